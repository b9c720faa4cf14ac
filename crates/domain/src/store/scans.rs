//! Scans as the store remembers them, from the upload to the report: the words and the seam.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BaselineName, Page, StoreError};
use crate::{
    id::ObjectId,
    scan::{Anomaly, ScanEngine, ScanOptions, ScanReport},
    tenant::TenantId,
    time::Timestamp,
};

/// A scan's id: ids of one store rise in the order in which the scans were asked for.
pub type ScanId = ObjectId;

/// How many flagged rows of a scan are kept at most.
pub const KEPT_ROWS: usize = 100_000;
/// How many bytes of JSON the kept rows of a scan may take; those with the highest scores are kept.
pub const KEPT_JSON_BYTES: usize = 64 << 20;

#[async_trait]
pub trait ScanArchive: Send + Sync {
    /// Remembers a scan that is to be run, as queued; returns only when it would survive a power cut.
    async fn enqueue_scan(&self, scan: NewScan) -> Result<ScanId, StoreError>;

    /// Marks a queued scan as running and counts the attempt; returns the attempts so far, `None` if it is not queued.
    async fn start_scan(&self, scan: ScanId) -> Result<Option<u32>, StoreError>;

    /// Marks a running scan as queued again, as if it had never been started.
    async fn put_back_scan(&self, scan: ScanId) -> Result<(), StoreError>;

    /// Remembers what a running scan found, all at once for whoever reads; returns only when it would survive a power
    /// cut. `false` says that the scan is not running any more, and then nothing is kept. Of the rows as many are kept as
    /// fit `KEPT_ROWS` and `KEPT_JSON_BYTES`.
    async fn finish_scan(&self, scan: ScanId, finished: Arc<FinishedScan>) -> Result<bool, StoreError>;

    /// Remembers why a queued or running scan ended without a report; `false` if it is neither any more.
    async fn fail_scan(&self, scan: ScanId, failure: ScanFailure) -> Result<bool, StoreError>;

    /// Cancels a scan that waits or runs, and removes one that has ended; `None` if the tenant has no such scan.
    async fn discard_scan(
        &self,
        tenant: TenantId,
        scan: ScanId,
        now: Timestamp,
    ) -> Result<Option<Discarded>, StoreError>;

    /// Returns one of the tenant's scans.
    async fn scan(&self, tenant: TenantId, scan: ScanId) -> Result<Option<ScanRecord>, StoreError>;

    /// Returns kept rows of one of the tenant's scans by falling score, those behind the first `after`, if it is done;
    /// `None` if the tenant has no such scan.
    async fn scan_threats(
        &self,
        tenant: TenantId,
        scan: ScanId,
        after: u64,
        limit: usize,
    ) -> Result<Option<ScanState<Page<Anomaly, u64>>>, StoreError>;

    /// Returns the tenant's scans, newest first.
    async fn scans(
        &self,
        tenant: TenantId,
        limit: usize,
        before: Option<ScanId>,
    ) -> Result<Page<ScanSummary>, StoreError>;

    /// Returns the scans of all tenants that have not ended, the oldest first, all of them queued again. For the start
    /// of the server, when none can be running.
    async fn unfinished_scans(&self) -> Result<Vec<UnfinishedScan>, StoreError>;
}

/// A scan that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScan {
    pub tenant: TenantId,
    pub filename: String,
    /// As asked for: the limit is that of the answer.
    pub options: ScanOptions,
    /// The name of the baseline that is to judge.
    pub baseline: Option<BaselineName>,
    pub created_at: Timestamp,
}

/// A scan that was asked for and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct UnfinishedScan {
    pub id: ScanId,
    /// How often it was started.
    pub attempts: u32,
    pub order: NewScan,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FinishedScan {
    pub finished_at: Timestamp,
    pub duration_ms: u64,
    /// The report without its rows.
    pub report: ScanReport,
    /// The flagged rows by falling score.
    pub threats: Vec<Anomaly>,
}

/// Why a scan has no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFailure {
    pub finished_at: Timestamp,
    pub duration_ms: u64,
    /// A sentence for whoever asked.
    pub error: String,
}

/// What became of a scan that nobody wants any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// It had not ended; it is remembered as cancelled.
    Cancelled,
    /// It had ended; nothing of it is left.
    Removed,
}

/// How far a scan is, with what is known of it at its end.
#[derive(Debug, Clone, PartialEq)]
pub enum ScanState<Found> {
    Queued,
    Running,
    Done(Found),
    /// With the sentence that says why.
    Failed(String),
    Cancelled,
}

impl<Found> ScanState<Found> {
    /// Makes what is known at the end something else.
    pub fn map<Other>(self, change: impl FnOnce(Found) -> Other) -> ScanState<Other> {
        match self {
            Self::Queued => ScanState::Queued,
            Self::Running => ScanState::Running,
            Self::Done(found) => ScanState::Done(change(found)),
            Self::Failed(error) => ScanState::Failed(error),
            Self::Cancelled => ScanState::Cancelled,
        }
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stored scan as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanSummary {
    pub id: ScanId,
    pub filename: String,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// 0 until it has ended.
    pub duration_ms: u64,
    pub state: ScanState<ScanFigures>,
}

/// A report in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanFigures {
    pub engine: ScanEngine,
    pub total_scanned: u64,
    /// All flagged rows, also those that were not kept.
    pub threats_detected: u64,
    pub threshold_used: f64,
}

/// A stored scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRecord {
    pub id: ScanId,
    pub filename: String,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// 0 until it has ended.
    pub duration_ms: u64,
    /// How many rows the report shows, as asked for.
    pub limit: usize,
    /// The report with its first rows, at most `limit`.
    pub state: ScanState<ScanReport>,
}
