//! No request waits for ever: a member can hang with its connections open.

use std::{
    future::{Future, IntoFuture},
    time::Duration,
};

use mongodb::error::Error;
use sentinelflow_domain::store::StoreError;
use thiserror::Error;
use tokio::time::timeout;

use super::errors::store_error;

/// Longer than an election takes (`electionTimeoutMillis`, 10 s), and than most clients wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What can be tried again is: a member that hangs must not be waited for as long as that.
pub(super) const ATTEMPT: Duration = Duration::from_secs(4);

#[derive(Debug, Error)]
#[error("the database gave no answer within {} s", PATIENCE.as_secs())]
pub(super) struct NoAnswer;

/// What a driver is asked.
pub(super) trait InTime<T> {
    /// Waits for the answer, but not longer than a caller would; what was asked may still be done later.
    fn in_time(self) -> impl Future<Output = Result<T, StoreError>> + Send;
}

impl<T, A: IntoFuture<Output = Result<T, Error>, IntoFuture: Send>> InTime<T> for A {
    fn in_time(self) -> impl Future<Output = Result<T, StoreError>> + Send {
        let answer = timeout(PATIENCE, self);
        async { answer.await.map_err(|_| StoreError::Unavailable(Box::new(NoAnswer)))?.map_err(store_error) }
    }
}
