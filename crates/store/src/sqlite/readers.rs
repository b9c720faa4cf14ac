//! A few connections that only read, lent to blocking threads. A reader sees what was committed when it began.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use sentinelflow_domain::store::StoreError;
use tokio::sync::Semaphore;

use super::errors::store_error;

pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    /// As many permits as connections.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self { permits: Arc::new(Semaphore::new(connections.len())), idle: Mutex::new(connections) }
    }

    /// Runs `work` on a free connection and a thread that may block.
    pub(super) async fn run<T, F>(self: &Arc<Self>, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(unavailable)?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let lent = readers.lend();
            let result = work(lent.connection());
            drop(lent);
            drop(permit);
            result
        });
        reading.await.map_err(unavailable)?.map_err(store_error)
    }

    fn lend(&self) -> Lent<'_> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        Lent { connection: idle.pop(), readers: self }
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// A connection that goes back when it is dropped, also by a panic.
struct Lent<'r> {
    connection: Option<Connection>,
    readers: &'r Readers,
}

impl Lent<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("there are as many connections as permits")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}
