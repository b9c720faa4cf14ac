//! The calls to the forensic engine, on threads of their own: neither requests nor the store wait for its threads.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    scan::{ScanOptions, ScanReport},
    store::{KEPT_ROWS, NewScan},
};
use sentinelflow_forensic::{Baseline, Limits, NoWitness, scan};
use tempfile::TempPath;
use tokio::sync::oneshot;

use super::{HuntError, desks::Desk, watch::Watch};
use crate::sightings::Sighter;

/// A file at its desk. The desk is free when whoever gets what came of it has let go of that too: it may be large.
pub struct Task {
    pub desk: Desk,
    pub file: TaskFile,
    pub watch: Arc<Watch>,
}

pub enum TaskFile {
    /// Removed with the task.
    Upload(TempPath),
    /// Kept until the scan has ended.
    Spooled(PathBuf),
}

/// What came of a file.
pub struct Done<T> {
    pub found: T,
    pub duration: Duration,
    /// Taken as long as this lives.
    pub desk: Desk,
}

/// Works on a file. A file that nobody keeps is removed when the thread has let go of it.
pub async fn run<T: Send + 'static>(
    task: Task,
    work: impl FnOnce(&Path, &Watch) -> Result<T, HuntError> + Send + 'static,
) -> Result<Done<T>, HuntError> {
    let (answer, answered) = oneshot::channel();
    let on_thread = move || {
        let started = Instant::now();
        let found = match &task.file {
            TaskFile::Upload(path) => work(path, &task.watch),
            TaskFile::Spooled(path) => work(path, &task.watch),
        };
        let Task { desk, file, .. } = task;
        drop(file);
        let done = found.map(|found| Done { found, duration: started.elapsed(), desk });
        // Whoever went away doesn't want the answer.
        drop(answer.send(done));
    };
    thread::Builder::new().name("scan".into()).spawn(on_thread).map_err(HuntError::NoThread)?;
    answered.await.map_err(|_| HuntError::BrokeOff)?
}

/// Returns the report on a file, with all rows that are kept. With the bytes of a baseline, that one judges.
pub fn judge(
    file: &Path,
    order: &NewScan,
    baseline: Option<&[u8]>,
    limits: &Limits,
    security: &Engine,
    watch: &Watch,
) -> Result<ScanReport, HuntError> {
    let options = ScanOptions { limit: KEPT_ROWS, ..order.options.clone() };
    let baseline = baseline.map(Baseline::from_bytes).transpose()?;
    let mut nobody_else = NoWitness;
    let mut sighter = Sighter::new(security, order.options.limit, &mut nobody_else);
    let mut report = scan(file, &order.filename, &options, baseline.as_ref(), limits, watch, &mut sighter)?;
    report.baseline = order.baseline.as_ref().map(ToString::to_string);
    report.sightings = sighter.finish();
    Ok(report)
}
