//! What a driver's error means to a caller of the store.

use std::fmt;

use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
    WriteFailure,
};
use sentinelflow_domain::store::StoreError;

/// The server's code for a key that is there already.
pub(super) const DUPLICATE_KEY: i32 = 11_000;
/// The server's code for what another transaction has written, too.
const WRITE_CONFLICT: i32 = 112;

/// What the driver says is wrong, on one line and without the server's raw answer, in which there may be what is stored.
pub struct Cause(pub(super) Error);

impl std::error::Error for Cause {}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.kind {
            ErrorKind::Command(command) => {
                // What follows is the command that the server was given.
                let message = command.message.split(" to execute command ").next().unwrap_or_default();
                write!(f, "{} ({})", message, command.code_name)
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                write!(f, "{} ({})", error.message, error.code_name)
            }
            kind => kind.fmt(f),
        }
    }
}

pub(super) fn store_error(error: Error) -> StoreError {
    match &*error.kind {
        _ if is_duplicate(&error) => StoreError::Conflict,
        ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => StoreError::Damaged(Box::new(Cause(error))),
        _ => StoreError::Unavailable(Box::new(Cause(error))),
    }
}

pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            error.write_errors.iter().flatten().any(|error| error.code == DUPLICATE_KEY)
        }
        _ => false,
    }
}

/// Whether another transaction, which may still be under way, has written the same.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(error) if error.code == WRITE_CONFLICT)
}

/// Whether the same may work soon: a member is elected, a connection broke, two nodes wrote the same.
pub(super) fn may_pass(error: &Error) -> bool {
    let labels = [TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, RETRYABLE_WRITE_ERROR];
    labels.iter().any(|label| error.contains_label(label))
        || matches!(
            &*error.kind,
            ErrorKind::Io(_) | ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. }
        )
}

/// Says that a stored field is no longer what was stored.
pub(super) fn damaged(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Damaged(cause.into())
}
