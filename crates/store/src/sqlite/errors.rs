//! What a driver's error means to a caller of the store.

use rusqlite::{Error, ErrorCode, types::Type};
use sentinelflow_domain::store::StoreError;

pub(super) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => StoreError::Damaged(Box::new(error)),
        _ => match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StoreError::Conflict,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(Box::new(error))
            }
            _ => StoreError::Unavailable(Box::new(error)),
        },
    }
}

/// Says that a stored text is no longer what was stored.
pub(super) fn damaged(column: usize, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause))
}
