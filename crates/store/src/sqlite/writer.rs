//! The one thread that writes. Whatever waits is committed together, so that many callers share one sync of the disk,
//! and nobody is answered before the commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

use rusqlite::Connection;
use sentinelflow_domain::{store::StoreError, time::Timestamp};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::{
    errors::store_error,
    row_id::{Ids, Origin},
    stats::MinuteTally,
};

/// How many jobs may wait; a caller beyond that waits before it hands its job over.
const QUEUE_LEN: usize = 512;
/// How many jobs share a commit. More of them would make the first one wait without saving a visible part of a sync.
const BATCH_MAX: usize = 256;

pub(super) struct Writer {
    /// `None` only while the writer is dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, ids: Ids) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_LEN);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(&connection, ids, jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in the next transaction and returns once that is on the disk. Work of more than one statement that
    /// may fail midway belongs into `Batch::all_or_nothing`. It runs even if the caller stops waiting.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), result: None, answer });
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    /// Lets the thread finish what waits, and waits for it.
    fn drop(&mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("The store's writer thread died of a panic");
        }
    }
}

#[derive(Debug, Error)]
#[error("the store's writer has stopped")]
struct Gone;

fn gone() -> StoreError {
    StoreError::Unavailable(Box::new(Gone))
}

/// Why nothing of a batch was kept.
#[derive(Debug, Clone, Error)]
enum NotCommitted {
    #[error("the transaction failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    #[error("a job of the transaction panicked")]
    Panic,
}

impl From<rusqlite::Error> for NotCommitted {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// Something to be done in a transaction, and somebody who waits for it.
trait Job: Send {
    fn run(&mut self, batch: &mut Batch<'_>);
    fn answer(self: Box<Self>, fate: &Result<(), NotCommitted>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    F: FnOnce(&mut Batch<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, batch: &mut Batch<'_>) {
        self.result = self.work.take().map(|work| work(batch));
    }

    fn answer(self: Box<Self>, fate: &Result<(), NotCommitted>) {
        let answer = match (fate, self.result) {
            (Ok(()), Some(result)) => result.map_err(store_error),
            (Ok(()), None) => Err(gone()),
            (Err(reason), _) => Err(StoreError::Unavailable(Box::new(reason.clone()))),
        };
        // A caller that went away doesn't want its answer.
        drop(self.answer.send(answer));
    }
}

/// One transaction, as its jobs see it.
pub(super) struct Batch<'c> {
    pub(super) connection: &'c Connection,
    pub(super) counts: MinuteTally,
    ids: &'c mut Ids,
    after_commit: Vec<Box<dyn FnOnce()>>,
}

impl Batch<'_> {
    pub(super) fn origin(&self) -> Origin {
        self.ids.origin
    }

    pub(super) fn mint(&mut self, now: Timestamp) -> i64 {
        self.ids.mint(now)
    }

    /// Does `change` to what is held in memory, once the transaction is on the disk and before anybody is answered.
    pub(super) fn after_commit(&mut self, change: impl FnOnce() + 'static) {
        self.after_commit.push(Box::new(change));
    }

    /// Runs statements of which either all count or none, without harm to the other jobs of the transaction.
    pub(super) fn all_or_nothing<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        execute(self.connection, "SAVEPOINT job")?;
        let result = work(self);
        if result.is_err() && !self.connection.is_autocommit() {
            execute(self.connection, "ROLLBACK TO job")?;
        }
        if !self.connection.is_autocommit() {
            execute(self.connection, "RELEASE job")?;
        }
        result
    }
}

fn serve(connection: &Connection, mut ids: Ids, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    while queue.blocking_recv_many(&mut jobs, BATCH_MAX) > 0 {
        let fate = commit_together(connection, &mut ids, &mut jobs);
        if let Err(reason) = &fate {
            error!(store.jobs = jobs.len(), error = ?reason, "The store could not commit {} jobs", jobs.len());
        }
        for job in jobs.drain(..) {
            job.answer(&fate);
        }
    }
}

/// Runs all jobs in one transaction; after an error or a panic nothing of them is kept.
fn commit_together(
    connection: &Connection,
    ids: &mut Ids,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), NotCommitted> {
    let lead_stored_s = ids.lead_s;
    let done = catch_unwind(AssertUnwindSafe(|| transact(connection, ids, jobs)))
        .unwrap_or(Err(NotCommitted::Panic));
    if done.is_err() {
        ids.lead_s = lead_stored_s;
        if !connection.is_autocommit() {
            execute(connection, "ROLLBACK")?;
        }
    }
    done
}

fn transact(connection: &Connection, ids: &mut Ids, jobs: &mut [Box<dyn Job>]) -> Result<(), NotCommitted> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let lead_stored_s = ids.lead_s;
    let mut batch = Batch { connection, counts: MinuteTally::default(), ids, after_commit: Vec::new() };
    for job in jobs {
        job.run(&mut batch);
        if connection.is_autocommit() {
            // SQLite gave up the whole transaction, as it may on a full disk.
            return Err(rusqlite::Error::QueryReturnedNoRows.into());
        }
    }
    batch.counts.write(connection)?;
    if batch.ids.lead_s > lead_stored_s {
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('id_lead_s', ?)")?
            .execute([batch.ids.lead_s])?;
    }
    execute(connection, "COMMIT")?;
    for change in batch.after_commit {
        change();
    }
    Ok(())
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
