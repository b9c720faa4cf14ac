//! The story of one upload: a place in the queue, a desk, the forensic engine, the archive.
//! Whoever waits for the answer gets it here; scans that nobody waits for are `jobs`.

mod baselines;
mod desks;
mod engine;
mod jobs;
mod spool;
mod watch;

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    clock::Clock,
    scan::ScanReport,
    store::{
        BaselineName, Discarded, FinishedScan, MOST_BASELINE_BYTES, MOST_BASELINES, NewScan, ScanId,
        ScanRecord, Store, StoreError,
    },
    tenant::TenantId,
};
use sentinelflow_forensic::{BaselineError, Limits, ScanError};
use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::warn;

pub use self::{desks::QueueFull, spool::Spool};
use self::{
    desks::{Desk, Desks},
    engine::{Done, Task, TaskFile, judge},
    watch::{Stop, StopsWhenDropped, Watch},
};

/// How long an upload that somebody waits for waits for its turn.
const DESK_DEADLINE: Duration = Duration::from_mins(1);
/// How long scans under way get to stop at the end. They ask every few milliseconds whether to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Hunts(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Judges the texts in files.
    security: Arc<Engine>,
    desks: Desks,
    spool: Spool,
    /// Scans that nobody waits for, by what they are told and tell.
    watches: Mutex<HashMap<ScanId, Arc<Watch>>>,
    jobs: Mutex<JoinSet<()>>,
    /// Whether the server ends.
    is_ending: AtomicBool,
}

#[derive(Debug, Error)]
pub enum HuntError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the upload can't be kept")]
    Spool(#[source] io::Error),
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    #[error("there is no baseline “{0}”")]
    NoSuchBaseline(BaselineName),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error("what was learned takes more than {MOST_BASELINE_BYTES} bytes; leave columns out (ignore)")]
    BaselineTooLarge,
    #[error("there is a baseline of this name; remove it first")]
    NameTaken,
    #[error("there are {MOST_BASELINES} baselines, as many as may be; remove one first")]
    TooManyBaselines,
    #[error("no desk became free")]
    Busy,
    #[error("the scan broke off")]
    BrokeOff,
    #[error("no thread can be started")]
    NoThread(#[source] io::Error),
}

impl Parts {
    fn judge(
        &self,
        file: &Path,
        order: &NewScan,
        baseline: Option<&[u8]>,
        watch: &Watch,
    ) -> Result<ScanReport, HuntError> {
        judge(file, order, baseline, &self.limits, &self.security, watch)
    }
}

impl Hunts {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        security: Arc<Engine>,
        spool: Spool,
        at_once: usize,
        queued_per_tenant: usize,
    ) -> Self {
        Self(Arc::new(Parts {
            store,
            clock,
            limits: Limits::default(),
            security,
            desks: Desks::new(at_once, queued_per_tenant),
            spool,
            watches: Mutex::default(),
            jobs: Mutex::default(),
            is_ending: AtomicBool::new(false),
        }))
    }

    /// Returns an empty file for an upload, unless the tenant has as many waiting as it may.
    pub fn new_upload(&self, tenant: TenantId) -> Result<NamedTempFile, HuntError> {
        self.0.desks.check_room(tenant)?;
        self.0.spool.new_upload().map_err(HuntError::Spool)
    }

    /// Scans a file that is deleted with the upload, and remembers the report.
    /// Whoever stops waiting stops the scan.
    pub async fn scan(&self, upload: TempPath, order: NewScan) -> Result<ScanRecord, HuntError> {
        self.check_baseline_of(&order).await?;
        let desk = self.next_desk(order.tenant).await?;
        let baseline = self.baseline_of(&order).await?;
        let (hunts, asked) = (self.clone(), order.clone());
        let work = move |file: &Path, watch: &Watch| hunts.0.judge(file, &asked, baseline.as_deref(), watch);
        let Done { found: report, duration, desk } = work_at(desk, upload, work).await?;
        let finished = Arc::new(self.finished(report, duration));
        let hunts = self.clone();
        in_any_case(async move {
            let remembered = hunts.remember(order, finished).await;
            drop(desk);
            remembered
        })
        .await
    }

    /// Returns a desk when the tenant's turn comes.
    async fn next_desk(&self, tenant: TenantId) -> Result<Desk, HuntError> {
        let place = self.0.desks.join(tenant)?;
        let desk = tokio::time::timeout(DESK_DEADLINE, place).await.map_err(|_| HuntError::Busy)?;
        Ok(desk.expect("the desks live as long as the hunts"))
    }

    /// Remembers a scan that ended before anybody was told of it: all of it or nothing.
    async fn remember(&self, order: NewScan, finished: Arc<FinishedScan>) -> Result<ScanRecord, HuntError> {
        let tenant = order.tenant;
        let store = &self.0.store;
        let id = store.enqueue_scan(order).await?;
        let remembered = async {
            store.start_scan(id).await?;
            store.finish_scan(id, finished).await?;
            store.scan(tenant, id).await
        };
        match remembered.await {
            Ok(Some(scan)) => Ok(scan),
            // Somebody found it in the history and removed it at once.
            Ok(None) => Err(HuntError::Scan(ScanError::Cancelled)),
            Err(error) => {
                self.forget(tenant, id).await?;
                Err(error.into())
            }
        }
    }

    /// Accepts a scan that nobody waits for. Once this returns, it survives whatever happens to the process.
    pub async fn enqueue(&self, upload: TempPath, order: NewScan) -> Result<ScanId, HuntError> {
        self.check_baseline_of(&order).await?;
        let place = self.0.desks.join(order.tenant)?;
        let hunts = self.clone();
        in_any_case(async move {
            let upload = blocking(move || spool::sync(&upload).map(|()| upload)).await?;
            let id = hunts.0.store.enqueue_scan(order.clone()).await?;
            let spooling = hunts.clone();
            if let Err(error) = blocking(move || spooling.0.spool.keep(upload, id)).await {
                hunts.forget(order.tenant, id).await?;
                hunts.0.spool.remove(id);
                return Err(error);
            }
            hunts.start_job(id, order, place);
            Ok(id)
        })
        .await
    }

    /// Returns how far a scan that nobody waits for is, 0 to 1; `None` if it doesn't wait or run here.
    pub fn progress(&self, scan: ScanId) -> Option<f64> {
        self.watches().get(&scan).map(|watch| watch.progress())
    }

    /// Cancels a scan that waits or runs, and removes one that has ended; `None` if the tenant has no such scan.
    pub async fn discard(&self, tenant: TenantId, scan: ScanId) -> Result<Option<Discarded>, StoreError> {
        let discarded = self.0.store.discard_scan(tenant, scan, self.0.clock.now()).await?;
        if discarded.is_some()
            && let Some(watch) = self.watches().get(&scan)
        {
            watch.stop(Stop::Unwanted);
        }
        Ok(discarded)
    }

    /// Tells the scans that nobody waits for to stop; they run again at the next start.
    pub fn stop_jobs(&self) {
        self.0.is_ending.store(true, Ordering::SeqCst);
        for watch in self.watches().values() {
            watch.stop(Stop::ServerEnds);
        }
    }

    /// Returns once the scans that were told to stop have, or have taken too long.
    pub async fn jobs_stopped(&self) {
        let mut jobs = std::mem::take(&mut *self.jobs());
        let stopped = async { while jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_DEADLINE, stopped).await.is_err() {
            warn!("Some scans did not stop in time; they run again at the next start");
        }
    }

    /// Leaves nothing of a scan, whether it has ended or not.
    async fn forget(&self, tenant: TenantId, scan: ScanId) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        while self.0.store.discard_scan(tenant, scan, now).await?.is_some() {}
        Ok(())
    }

    fn finished(&self, mut report: ScanReport, duration: Duration) -> FinishedScan {
        FinishedScan {
            finished_at: self.0.clock.now(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            threats: std::mem::take(&mut report.threats),
            report,
        }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<ScanId, Arc<Watch>>> {
        self.0.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works on an upload until whoever waits for it goes away.
async fn work_at<T: Send + 'static>(
    desk: Desk,
    upload: TempPath,
    work: impl FnOnce(&Path, &Watch) -> Result<T, HuntError> + Send + 'static,
) -> Result<Done<T>, HuntError> {
    let watch = Arc::new(Watch::new());
    let _stops_when_dropped = StopsWhenDropped(&watch);
    let task = Task { desk, file: TaskFile::Upload(upload), watch: Arc::clone(&watch) };
    engine::run(task, work).await
}

/// Does what must not stop midway, even if nobody waits for it any more.
async fn in_any_case<T: Send + 'static>(
    work: impl Future<Output = Result<T, HuntError>> + Send + 'static,
) -> Result<T, HuntError> {
    tokio::spawn(work).await.map_err(|_| HuntError::BrokeOff)?
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, HuntError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| HuntError::BrokeOff)?.map_err(HuntError::Spool)
}
