//! Scans that nobody waits for: from their place in the queue to their end, across restarts.

use std::{
    collections::HashSet,
    io::ErrorKind,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sentinelflow_domain::{
    scan::ScanReport,
    store::{BaselineName, NewScan, ScanFailure, ScanId, Store, StoreError, UnfinishedScan},
    tenant::TenantId,
};
use sentinelflow_forensic::ScanError;
use tracing::{error, info, warn};

use super::{
    HuntError, Hunts,
    desks::{Desk, Place},
    engine::{self, Done, Task, TaskFile},
    watch::{Stop, Watch},
};

/// A scan that ends the process must not do so for ever.
const MOST_ATTEMPTS: u32 = 3;
/// How long the store gets to recover before it is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// What is to become of a scan's file.
enum Fate {
    /// The scan has ended, one way or another.
    Ended,
    /// It runs at the next start of the server.
    Waits,
}

impl Hunts {
    /// Takes up what a former process left: scans that had not ended run again, files of others are removed.
    pub async fn resume(&self) -> anyhow::Result<()> {
        let found = self.0.store.unfinished_scans().await.context("cannot read the unfinished scans")?;
        let mut unfinished = Vec::new();
        for scan in found {
            unfinished.extend(self.still_wanted(scan).await?);
        }
        let ids: HashSet<ScanId> = unfinished.iter().map(|scan| scan.id).collect();
        self.0.spool.remove_others(&ids)?;
        if !ids.is_empty() {
            info!(scans = ids.len(), "{} scans go on that had not ended", ids.len());
        }
        for UnfinishedScan { id, order, .. } in unfinished {
            let place = self.0.desks.join_again(order.tenant);
            self.start_job(id, order, place);
        }
        Ok(())
    }

    async fn still_wanted(&self, scan: UnfinishedScan) -> anyhow::Result<Option<UnfinishedScan>> {
        let id = scan.id;
        if !self.0.spool.file_of(id).exists() {
            // An upload is acknowledged once its file is kept, and its file goes after its end is remembered.
            warn!(scan.id = %id, "Scan {id} was never acknowledged, or its file was taken away; it is forgotten");
            self.forget(scan.order.tenant, id).await?;
            return Ok(None);
        }
        if scan.attempts < MOST_ATTEMPTS {
            return Ok(Some(scan));
        }
        warn!(scan.id = %id, "The server ended {} times while it ran scan {id}; it is given up", scan.attempts);
        let error = format!(
            "The server ended {} times while it ran this scan; it is not tried again.",
            scan.attempts
        );
        self.0.store.fail_scan(id, self.failure(error, Duration::ZERO)).await?;
        Ok(None)
    }

    /// Lets a scan whose file is kept take its way.
    pub(super) fn start_job(&self, id: ScanId, order: NewScan, place: Place) {
        let watch = Arc::new(Watch::new());
        self.watches().insert(id, Arc::clone(&watch));
        let hunts = self.clone();
        let job = async move {
            if let Fate::Ended = hunts.fate_of(id, order, place, &watch).await {
                hunts.0.spool.remove(id);
            }
            hunts.watches().remove(&id);
        };
        let mut jobs = self.jobs();
        while jobs.try_join_next().is_some() {}
        jobs.spawn(job);
        drop(jobs);
        if self.0.is_ending.load(Ordering::SeqCst) {
            self.stop_jobs();
        }
    }

    async fn fate_of(&self, id: ScanId, order: NewScan, place: Place, watch: &Arc<Watch>) -> Fate {
        let desk = tokio::select! {
            biased;
            why = watch.stopped() => return why.into(),
            desk = place => desk.expect("the desks live as long as the hunts"),
        };
        match self.insist(watch, |store| async move { store.start_scan(id).await }).await {
            Ok(Some(_)) => self.run_job(id, order, desk, watch).await,
            // It was cancelled while it waited.
            Ok(None) => Fate::Ended,
            Err(why) => why.into(),
        }
    }

    async fn run_job(&self, id: ScanId, order: NewScan, desk: Desk, watch: &Arc<Watch>) -> Fate {
        let file = TaskFile::Spooled(self.0.spool.file_of(id));
        let task = Task { desk, file, watch: Arc::clone(watch) };
        let started = Instant::now();
        let outcome = self.report_on(task, order, watch).await;
        match (outcome, watch.told_to_stop()) {
            (Err(HuntError::Scan(ScanError::Cancelled)), Some(why)) => self.let_go(id, why).await,
            (Ok(Done { found: report, duration, desk: _desk }), _) => {
                info!(
                    scan.id = %id, scan.rows = report.total_scanned, duration_ms = duration.as_millis(),
                    "Scan {id} flagged {} of {} rows", report.threats_detected, report.total_scanned
                );
                let finished = Arc::new(self.finished(report, duration));
                let finish = |store: Arc<dyn Store>| {
                    let finished = Arc::clone(&finished);
                    async move { store.finish_scan(id, finished).await }
                };
                self.insist(watch, finish).await.map_or_else(Fate::from, |_| Fate::Ended)
            }
            (Err(error), _) => {
                let failure = self.failure(sentence(id, &error), started.elapsed());
                let fail = |store: Arc<dyn Store>| {
                    let failure = failure.clone();
                    async move { store.fail_scan(id, failure).await }
                };
                self.insist(watch, fail).await.map_or_else(Fate::from, |_| Fate::Ended)
            }
        }
    }

    async fn report_on(
        &self,
        task: Task,
        order: NewScan,
        watch: &Watch,
    ) -> Result<Done<ScanReport>, HuntError> {
        let baseline = match &order.baseline {
            Some(name) => Some(self.insist_on_baseline(order.tenant, name, watch).await?),
            None => None,
        };
        let hunts = self.clone();
        let work = move |file: &Path, watch: &Watch| hunts.0.judge(file, &order, baseline.as_deref(), watch);
        engine::run(task, work).await
    }

    async fn insist_on_baseline(
        &self,
        tenant: TenantId,
        name: &BaselineName,
        watch: &Watch,
    ) -> Result<Vec<u8>, HuntError> {
        let ask = |store: Arc<dyn Store>| {
            let name = name.clone();
            async move { store.baseline(tenant, &name).await }
        };
        match self.insist(watch, ask).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(HuntError::NoSuchBaseline(name.clone())),
            Err(_) => Err(HuntError::Scan(ScanError::Cancelled)),
        }
    }

    /// Leaves a scan that was stopped as it shall be found.
    async fn let_go(&self, id: ScanId, why: Stop) -> Fate {
        if why == Stop::ServerEnds
            && let Err(error) = self.0.store.put_back_scan(id).await
        {
            warn!(scan.id = %id, error = %error, "Scan {id} could not be put back; it counts as tried");
        }
        why.into()
    }

    /// Asks the store until it answers, for what was acknowledged must not be lost to an outage, or until the scan shall
    /// stop.
    async fn insist<T, Answer>(
        &self,
        watch: &Watch,
        ask: impl Fn(Arc<dyn Store>) -> Answer + Sync,
    ) -> Result<T, Stop>
    where
        Answer: Future<Output = Result<T, StoreError>> + Send,
    {
        loop {
            match ask(Arc::clone(&self.0.store)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    error!(error = %error, "The store does not answer about a scan; it is asked again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                why = watch.stopped() => return Err(why),
            }
        }
    }

    pub(super) fn failure(&self, error: String, duration: Duration) -> ScanFailure {
        ScanFailure {
            finished_at: self.0.clock.now(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            error,
        }
    }
}

/// Returns why a scan failed, for whoever asked for it.
fn sentence(id: ScanId, error: &HuntError) -> String {
    match error {
        HuntError::Scan(ScanError::Unreadable(cause) | ScanError::Unwritten(cause))
            if is_disk_full(cause) =>
        {
            error!(scan.id = %id, "There was no room on the disk for scan {id}");
            "There was no room for this scan on the server's disk.".to_owned()
        }
        HuntError::Scan(error) if !matches!(error, ScanError::Unreadable(_) | ScanError::Unwritten(_)) => {
            format!("{error}.")
        }
        HuntError::NoSuchBaseline(_) | HuntError::Baseline(_) => format!("{error}."),
        _ => {
            error!(scan.id = %id, error = ?error, "Scan {id} failed inside");
            "Something failed inside the server; it was logged under this scan's id.".to_owned()
        }
    }
}

fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl From<Stop> for Fate {
    fn from(why: Stop) -> Self {
        match why {
            Stop::Unwanted => Self::Ended,
            Stop::ServerEnds => Self::Waits,
        }
    }
}
