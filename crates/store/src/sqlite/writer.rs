//! The one thread that writes. Whatever waits is committed together, so that many callers share one sync of the disk,
//! and nobody is answered before the commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{CachedStatement, Connection};
use sentinelflow_domain::{store::StoreError, time::Timestamp};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::{
    checkpoint::Checkpoints,
    errors::store_error,
    filing::Unfiled,
    logs,
    row_id::{Ids, Origins},
};

/// How many jobs may wait; a caller beyond that waits before it hands its job over.
const QUEUE_LEN: usize = 512;
/// How many jobs share a commit. More of them would make the first one wait without saving a visible part of a sync.
const BATCH_MAX: usize = 256;
/// While fewer wait than seven eighths of those who came together lately, the writer naps: a commit costs as much for
/// one log as for forty, so that callers who are about to come should share it.
const NAP: Duration = Duration::from_micros(200);
/// How often it naps for one commit: at most 1.6 ms, of an answer's ten.
const NAPS: usize = 8;

pub(super) struct Writer {
    /// `None` only while the writer is dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        ids: Ids,
        checkpoints: Option<Checkpoints>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_LEN);
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(&connection, ids, checkpoints, jobs))?;
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
    #[error("SQLite gave the transaction up, as it may when a disk is full or fails")]
    GivenUp,
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
    pub(super) unfiled: &'c mut Unfiled,
    ids: &'c mut Ids,
    insert_log: Option<CachedStatement<'c>>,
    after_commit: Vec<Box<dyn FnOnce()>>,
}

impl<'c> Batch<'c> {
    pub(super) fn origins(&self) -> &Origins {
        &self.ids.origins
    }

    pub(super) fn mint(&mut self, now: Timestamp) -> i64 {
        self.ids.mint(now)
    }

    /// Returns the statement that adds a log, looked up once for all logs of the transaction.
    pub(super) fn insert_log(&mut self) -> rusqlite::Result<&mut CachedStatement<'c>> {
        let statement = match self.insert_log.take() {
            Some(statement) => statement,
            None => self.connection.prepare_cached(logs::INSERT)?,
        };
        Ok(self.insert_log.insert(statement))
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

fn serve(
    connection: &Connection,
    mut ids: Ids,
    mut checkpoints: Option<Checkpoints>,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
) {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    // How many callers there seem to be at once: the largest batch of late.
    let mut crowd: usize = 0;
    let mut unfiled = Unfiled::unknown();
    while queue.blocking_recv_many(&mut jobs, BATCH_MAX) > 0 {
        // A lone caller never waits here; of many, the first would otherwise get a commit of its own each time.
        for _ in 0..NAPS {
            if jobs.len() >= crowd * 7 / 8 {
                break;
            }
            thread::sleep(NAP);
            take_waiting(&mut queue, &mut jobs);
        }
        crowd = jobs.len().max(crowd - crowd.div_ceil(8));
        let fate = commit_together(connection, &mut ids, &mut unfiled, &mut jobs);
        if let Err(reason) = &fate {
            error!(store.jobs = jobs.len(), error = ?reason, "The store could not commit {} jobs", jobs.len());
        }
        let count = jobs.len();
        for job in jobs.drain(..) {
            job.answer(&fate);
        }
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.after_commit(connection, count);
        }
    }
}

fn take_waiting(queue: &mut mpsc::Receiver<Box<dyn Job>>, jobs: &mut Vec<Box<dyn Job>>) {
    while jobs.len() < BATCH_MAX
        && let Ok(job) = queue.try_recv()
    {
        jobs.push(job);
    }
}

/// Runs all jobs in one transaction; after an error or a panic nothing of them is kept.
fn commit_together(
    connection: &Connection,
    ids: &mut Ids,
    unfiled: &mut Unfiled,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), NotCommitted> {
    let lead_stored_s = ids.lead_s;
    let done = catch_unwind(AssertUnwindSafe(|| transact(connection, ids, unfiled, jobs)))
        .unwrap_or(Err(NotCommitted::Panic));
    if done.is_err() {
        ids.lead_s = lead_stored_s;
        if !connection.is_autocommit() {
            execute(connection, "ROLLBACK")?;
        }
    }
    for change in done? {
        change();
    }
    Ok(())
}

/// Returns what is to be done once the commit is known to have worked.
fn transact(
    connection: &Connection,
    ids: &mut Ids,
    unfiled: &mut Unfiled,
    jobs: &mut [Box<dyn Job>],
) -> Result<Vec<Box<dyn FnOnce()>>, NotCommitted> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let lead_stored_s = ids.lead_s;
    let mut batch = Batch { connection, unfiled, ids, insert_log: None, after_commit: Vec::new() };
    for job in jobs {
        job.run(&mut batch);
        if connection.is_autocommit() {
            return Err(NotCommitted::GivenUp);
        }
    }
    batch.unfiled.file_if_many(connection)?;
    if batch.ids.lead_s > lead_stored_s {
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('id_lead_s', ?)")?
            .execute([batch.ids.lead_s])?;
    }
    execute(connection, "COMMIT")?;
    Ok(batch.after_commit)
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use sentinelflow_domain::id::ObjectId;

    use super::*;
    use crate::sqlite::migrations::migrate;

    /// Starts a writer on an empty table `t` of unique numbers, which is busy until the returned sender is dropped:
    /// what is handed over until then shares one transaction.
    async fn busy_writer() -> (Arc<Writer>, mpsc::Sender<()>) {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.execute_batch("CREATE TABLE t (x UNIQUE)").unwrap();
        let writer = Arc::new(
            Writer::start(connection, Ids::new(Origins::one([1; 5]), [1; 5], None, 0), None).unwrap(),
        );
        let (busy, until) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let blocked = Arc::clone(&writer);
        tokio::spawn(async move {
            let block = move |_: &mut Batch<'_>| {
                begun.send(()).unwrap();
                assert!(until.recv().is_err());
                Ok(())
            };
            blocked.run(block).await
        });
        has_begun.await.unwrap();
        (writer, busy)
    }

    fn insert(batch: &mut Batch<'_>, number: i64) -> rusqlite::Result<i64> {
        batch.connection.execute("INSERT INTO t VALUES (?)", [number])?;
        Ok(number)
    }

    async fn stored(writer: &Writer) -> Vec<i64> {
        let read = |batch: &mut Batch<'_>| {
            let mut select = batch.connection.prepare("SELECT x FROM t ORDER BY x")?;
            select.query_map([], |row| row.get(0))?.collect()
        };
        writer.run(read).await.unwrap()
    }

    #[tokio::test]
    async fn a_failing_job_costs_only_itself() {
        let (writer, busy) = busy_writer().await;
        let twice = |batch: &mut Batch<'_>| {
            batch.all_or_nothing(|batch| {
                insert(batch, 2)?;
                insert(batch, 1)
            })
        };
        let (one, two, three, ()) = tokio::join!(
            writer.run(|batch| insert(batch, 1)),
            writer.run(twice),
            writer.run(|batch| insert(batch, 3)),
            async { drop(busy) },
        );
        assert_eq!((one.unwrap(), three.unwrap()), (1, 3));
        assert!(matches!(two, Err(StoreError::Conflict)));
        assert_eq!(stored(&writer).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_panic_undoes_its_transaction_and_the_writer_goes_on() {
        let (writer, busy) = busy_writer().await;
        let (changed, has_changed) = mpsc::channel::<()>();
        let with_change = move |batch: &mut Batch<'_>| {
            batch.after_commit(move || changed.send(()).unwrap());
            insert(batch, 1)
        };
        let (innocent, guilty, ()) = tokio::join!(
            writer.run(with_change),
            writer.run(|_: &mut Batch<'_>| -> rusqlite::Result<()> { panic!("as this test wants it") }),
            async { drop(busy) },
        );
        assert!(matches!(innocent, Err(StoreError::Unavailable(_))));
        assert!(matches!(guilty, Err(StoreError::Unavailable(_))));
        assert!(has_changed.recv().is_err(), "what is held in memory must not change");
        assert_eq!(stored(&writer).await, [0_i64; 0]);
        writer.run(|batch| insert(batch, 1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_gave_up_is_nobodys() {
        let (writer, busy) = busy_writer().await;
        let (first, lost, last, ()) = tokio::join!(
            writer.run(|batch| insert(batch, 1)),
            writer.run(|batch| batch.connection.execute_batch("ROLLBACK")),
            writer.run(|batch| insert(batch, 3)),
            async { drop(busy) },
        );
        assert!(first.is_err() && lost.is_err() && last.is_err());
        assert_eq!(stored(&writer).await, [0_i64; 0]);
    }

    #[tokio::test]
    async fn a_filing_that_fails_midway_leaves_nothing_behind() {
        let (writer, busy) = busy_writer().await;
        drop(busy);
        let fail_at_the_second = |batch: &mut Batch<'_>| {
            batch.connection.execute_batch(
                "INSERT INTO tenants VALUES (1, 'ana', 'ana', 'FREE', NULL, 0, 'always');
                 CREATE TRIGGER failure BEFORE INSERT ON filed_logs WHEN new.id = 2
                 BEGIN SELECT RAISE(FAIL, 'as this test wants it'); END;",
            )
        };
        let record_three = |batch: &mut Batch<'_>| {
            *batch.unfiled = Unfiled::unknown();
            batch.connection.execute_batch(
                "INSERT INTO logs VALUES (1, 1, 60000, NULL, NULL, 1, 80, '', '', '', '', '', '', ''),
                                         (2, 1, 60000, NULL, NULL, 1, 80, '', '', '', '', '', '', ''),
                                         (3, 1, 60000, NULL, NULL, 1, 80, '', '', '', '', '', '', '')",
            )
        };
        let kept = |batch: &mut Batch<'_>| {
            batch.connection.query_row(
                "SELECT (SELECT count(*) FROM logs), (SELECT count(*) FROM filed_logs),
                        (SELECT coalesce(sum(events), 0) FROM minute_counts)",
                [],
                |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]),
            )
        };
        writer.run(fail_at_the_second).await.unwrap();
        assert!(matches!(writer.run(record_three).await, Err(StoreError::Unavailable(_))));
        writer.run(|batch| batch.connection.execute_batch("DROP TRIGGER failure")).await.unwrap();
        assert_eq!(writer.run(kept).await.unwrap(), [0, 0, 0]);
        writer.run(record_three).await.unwrap();
        assert_eq!(writer.run(kept).await.unwrap(), [3, 3, 3]);
    }

    #[tokio::test]
    async fn how_far_ids_run_ahead_is_written_even_after_a_failure() {
        let (writer, busy) = busy_writer().await;
        let mint_back_in_time = |batch: &mut Batch<'_>| {
            batch.mint(Timestamp::from_millis(90_000));
            Ok(batch.mint(Timestamp::from_millis(60_000)))
        };
        let (lost, _, ()) = tokio::join!(
            writer.run(mint_back_in_time),
            writer.run(|batch| batch.connection.execute_batch("ROLLBACK")),
            async { drop(busy) },
        );
        assert!(lost.is_err());
        let id: ObjectId = Origins::one([1; 5]).id(writer.run(mint_back_in_time).await.unwrap());
        assert_eq!(id.seconds(), 90);
        let read = |batch: &mut Batch<'_>| {
            batch
                .connection
                .query_row("SELECT value FROM meta WHERE key = 'id_lead_s'", [], |row| row.get::<_, u32>(0))
        };
        assert_eq!(writer.run(read).await.unwrap(), 30);
    }

    #[tokio::test]
    async fn dropping_it_finishes_what_waits() {
        let (writer, busy) = busy_writer().await;
        let (done, is_done) = mpsc::channel();
        let last = Arc::clone(&writer);
        let waiting = tokio::spawn(async move {
            last.run(move |_: &mut Batch<'_>| {
                done.send(()).unwrap();
                Ok(())
            })
            .await
        });
        tokio::task::yield_now().await;
        drop(busy);
        drop(writer);
        waiting.await.unwrap().unwrap();
        is_done.recv().unwrap();
    }
}
