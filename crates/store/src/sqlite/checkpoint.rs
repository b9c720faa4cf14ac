//! Copies the write-ahead log back into the database on a thread of its own, so that nobody who waits for a commit waits
//! for that too.
//!
//! The log can begin anew only when all of it was copied at the moment of a commit, which under load never happens by
//! itself. So once it is long, the writer copies what the thread left over: little, and done in a few milliseconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tracing::{error, warn};

/// After so many logs the thread copies what is there: some 2 MiB.
const LOGS_BETWEEN: usize = 800;
/// A log of so many pages (32 MiB) is to begin anew.
const LONG_PAGES: i64 = 8_000;

/// The writer's side.
pub(super) struct Checkpoints {
    /// `None` only while it is dropped.
    nudge: Option<SyncSender<()>>,
    is_long: Arc<AtomicBool>,
    logs: usize,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread with a connection of its own to the same database.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (nudge, nudges) = sync_channel(1);
        let is_long = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&is_long);
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || serve(&connection, &nudges, &tell))?;
        Ok(Self { nudge: Some(nudge), is_long, logs: 0, thread: Some(thread) })
    }

    /// Called after each commit of so many jobs.
    pub(super) fn after_commit(&mut self, connection: &Connection, jobs: usize) {
        self.logs += jobs;
        if self.logs < LOGS_BETWEEN {
            return;
        }
        self.logs = 0;
        if self.is_long.swap(false, Ordering::Relaxed)
            && let Err(error) = copy(connection)
        {
            warn!(error = %error, "The write-ahead log could not be copied back; it grows until it can");
        }
        if let Some(nudge) = &self.nudge {
            // Where the channel is full the thread has yet to answer the last nudge, and copies this too.
            nudge.try_send(()).unwrap_or_default();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.nudge = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("The store's checkpoint thread died of a panic");
        }
    }
}

fn serve(connection: &Connection, nudges: &Receiver<()>, is_long: &AtomicBool) {
    while nudges.recv().is_ok() {
        match copy(connection) {
            Ok(pages) if pages >= LONG_PAGES => is_long.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => {
                warn!(error = %error, "The write-ahead log could not be copied back; it grows until it can");
            }
        }
    }
}

/// Copies what no reader needs from the log any more, and returns how many pages the log has.
fn copy(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| row.get(1))
}
