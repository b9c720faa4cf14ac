//! The story of one upload: a free desk, a blocking thread, the forensic engine, the archive.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sentinelflow_domain::{
    clock::Clock,
    scan::{ScanOptions, ScanProgress},
    store::{NewScan, ScanRecord, Store, StoreError},
    tenant::TenantId,
};
use sentinelflow_forensic::{Limits, NoWitness, ScanError, scan};
use thiserror::Error;
use tokio::sync::Semaphore;

/// How long an upload waits for its turn.
const DESK_DEADLINE: Duration = Duration::from_mins(1);

pub struct Hunts {
    pub desks: Arc<Semaphore>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
}

#[derive(Debug, Error)]
pub enum HuntError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no desk became free")]
    Busy,
    #[error("the scan broke off")]
    BrokeOff(#[source] tokio::task::JoinError),
}

impl Hunts {
    /// Scans a file that is deleted with the upload, and remembers the report.
    /// Whoever stops waiting stops the scan.
    pub async fn scan(
        &self,
        tenant: TenantId,
        upload: tempfile::TempPath,
        filename: String,
        options: ScanOptions,
    ) -> Result<ScanRecord, HuntError> {
        let desk = tokio::time::timeout(DESK_DEADLINE, Arc::clone(&self.desks).acquire_owned()).await;
        let desk = desk.map_err(|_| HuntError::Busy)?.expect("the desks are never closed");
        let waiting = Arc::new(AtomicBool::new(true));
        let _stops_when_dropped = Waiting(Arc::clone(&waiting));
        let (name, limits) = (filename.clone(), self.limits.clone());
        let started = Instant::now();
        let work = move || {
            let path: PathBuf = upload.to_path_buf();
            let found = scan(&path, &name, &options, None, &limits, &WhileWaiting(waiting), &mut NoWitness);
            drop((desk, upload));
            found
        };
        let outcome = tokio::task::spawn_blocking(work).await.map_err(HuntError::BrokeOff)??;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);

        let finished_at = self.clock.now();
        let scan = NewScan { tenant, filename, finished_at, duration_ms, report: outcome };
        Ok(self.store.record_scan(scan).await?)
    }
}

/// Says, when it is dropped, that nobody waits any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct WhileWaiting(Arc<AtomicBool>);

impl ScanProgress for WhileWaiting {
    fn advance(&self, _: &'static str, _: f64) {}

    fn is_cancelled(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}
