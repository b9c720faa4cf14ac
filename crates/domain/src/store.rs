//! The seams to what remembers: small traits that together make one `Store`.
//! Every promise here is a test asked of every store (`store/tests/contract`).

mod baselines;
mod exchanges;
mod feed;
mod retention;
mod scans;

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::{
    analysis::{Analysis, Category, Score, Severity},
    id::ObjectId,
    log_entry::LogEntry,
    second_opinion::Ask,
    tenant::{ApiKeyHash, PasswordHash, Plan, Tenant, TenantId, Username},
    time::Timestamp,
};

pub use self::{
    baselines::{
        BaselineBook, BaselineName, BaselinePut, BaselineSummary, InvalidBaselineName, MOST_BASELINE_BYTES,
        MOST_BASELINES, NewBaseline,
    },
    exchanges::ExchangeBook,
    feed::{FollowedThreats, Happened, ThreatFeed},
    retention::{Expired, Removed, Retention},
    scans::{
        Discarded, FinishedScan, KEPT_JSON_BYTES, KEPT_ROWS, NewScan, ScanArchive, ScanFailure, ScanFigures,
        ScanId, ScanRecord, ScanState, ScanSummary, UnfinishedScan,
    },
};

/// A log's id: ids of one store rise in the order in which the logs were recorded.
pub type LogId = ObjectId;

#[derive(Debug, Error)]
pub enum StoreError {
    /// The store can't answer now; whoever needs to know whether it changed anything asks it later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was asked contradicts what is stored, such as a name that is taken.
    #[error("the store holds something that contradicts this")]
    Conflict,
    /// Stored data can't be read back.
    #[error("stored data is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Everything one server needs remembered.
#[async_trait]
pub trait Store:
    LogBook + StatsBook + TenantBook + ScanArchive + BaselineBook + ExchangeBook + Retention
{
    /// Answers when both reading and writing work.
    async fn ping(&self) -> Result<(), StoreError>;
}

#[async_trait]
pub trait LogBook: Send + Sync {
    /// Remembers an analysed entry; returns only when it would survive a power cut.
    /// With an idempotency key that the tenant used before, nothing is added.
    async fn record(&self, log: NewLog) -> Result<Recorded, StoreError>;

    /// Returns the tenant's logs that the filter lets through, newest first.
    async fn recent(&self, tenant: TenantId, filter: LogFilter) -> Result<Page<LogRecord>, StoreError>;

    /// Returns the tenant's threats that are newer than `after`, resolved ones too, oldest first and at most `limit`;
    /// fewer where they are large. `next` is the last of them if there are more. An id that is nobody's is a position
    /// among the others. Whoever goes on from the last log he got misses none and gets none twice, whoever writes
    /// meanwhile.
    async fn threats_after(
        &self,
        tenant: TenantId,
        after: LogId,
        limit: usize,
    ) -> Result<Page<LogRecord>, StoreError>;

    /// Returns the tenant's log that was recorded under an idempotency key.
    async fn recorded_under(
        &self,
        tenant: TenantId,
        key: &IdempotencyKey,
    ) -> Result<Option<LogRecord>, StoreError>;

    /// Returns a page of the logs of all tenants that were received since a moment, the oldest first: those behind
    /// `after`, and without it the beginning of the `newest`. The page is empty at the end. For the server itself: no
    /// caller may see another tenant's logs.
    async fn replay(
        &self,
        since: Timestamp,
        newest: usize,
        after: Option<LogId>,
    ) -> Result<Vec<(TenantId, LogRecord)>, StoreError>;

    /// Returns one of the tenant's logs.
    async fn find(&self, tenant: TenantId, id: LogId) -> Result<Option<LogRecord>, StoreError>;

    /// Puts an analysis with an opinion that came later in the place of a log's; lists and counters follow at once.
    /// `false` if there is no such log, or if its score is higher already: a score never falls.
    async fn add_opinion(
        &self,
        tenant: TenantId,
        id: LogId,
        analysis: Arc<Analysis>,
    ) -> Result<bool, StoreError>;

    /// Marks a log as resolved and returns when that first happened; `None` if there is no such log.
    async fn resolve(&self, owner: Owner, id: LogId, now: Timestamp)
    -> Result<Option<Timestamp>, StoreError>;
}

/// Whose log may be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Only this tenant's.
    Tenant(TenantId),
    /// Anybody's: `sentinelflow dev` trusts its caller.
    Anyone,
}

/// An analysed entry that is not stored yet.
#[derive(Debug, Clone)]
pub struct NewLog {
    pub tenant: TenantId,
    pub entry: LogEntry,
    pub analysis: Arc<Analysis>,
    pub received_at: Timestamp,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A key under which a retry stores nothing new: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 128 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(raw: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_valid = (1..=128).contains(&raw.len()) && raw.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(raw.into())) } else { Err(InvalidIdempotencyKey) }
    }
}

/// What became of a `NewLog`.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    New(LogId),
    /// The same entry was recorded under this key before; here it is.
    Before(Box<LogRecord>),
    /// Another entry was recorded under this key before; nothing was added.
    KeyOfAnotherEntry,
}

/// A stored log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    pub id: LogId,
    pub entry: LogEntry,
    pub analysis: Arc<Analysis>,
    pub received_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

/// Which logs to return. The default asks for the ten newest active threats.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFilter {
    /// The page's length, 1 to 500.
    pub limit: usize,
    /// Only logs older than this one.
    pub before: Option<LogId>,
    pub status: StatusFilter,
    pub min_score: Option<Score>,
    pub severity: Option<Severity>,
    /// The exact source.
    pub source: Option<String>,
    pub category: Option<Category>,
    /// A piece of the message, the source or the summary, without regard to ASCII case.
    pub text: Option<String>,
    /// Received at or after this moment.
    pub since: Option<Timestamp>,
    /// Received before this moment.
    pub until: Option<Timestamp>,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self {
            limit: 10,
            before: None,
            status: StatusFilter::Active,
            min_score: None,
            severity: None,
            source: None,
            category: None,
            text: None,
            since: None,
            until: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// Threats (score 20 and more) that nobody has resolved.
    Active,
    /// Whatever was resolved.
    Resolved,
    /// Every log, benign ones too.
    All,
}

/// A part of a list; `next` is where the following part begins, `None` at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, Cursor = ObjectId> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

#[async_trait]
pub trait StatsBook: Send + Sync {
    /// Returns the tenant's counts of the minutes `from..to` (since 1970) in which something was recorded, oldest first.
    /// Resolved logs count too.
    async fn per_minute(&self, tenant: TenantId, from: i64, to: i64)
    -> Result<Vec<MinuteCounts>, StoreError>;
}

/// What one minute brought a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteCounts {
    /// Minutes since 1970, by the time of receipt.
    pub minute: i64,
    pub events: u64,
    /// Events with a score of 20 and more.
    pub threats: u64,
    pub max_score: Score,
}

#[async_trait]
pub trait TenantBook: Send + Sync {
    /// Adds a tenant; `Conflict` if the name is taken, without regard to case.
    async fn sign_up(&self, tenant: NewTenant) -> Result<Tenant, StoreError>;

    async fn tenant_named(&self, name: &Username) -> Result<Option<Tenant>, StoreError>;

    /// Returns the tenant that an API key belongs to.
    async fn tenant_with_key(&self, key: &ApiKeyHash) -> Result<Option<Tenant>, StoreError>;

    /// Returns the tenant's password; `None` also for a tenant without one.
    async fn password_of(&self, tenant: TenantId) -> Result<Option<PasswordHash>, StoreError>;

    /// Changes a tenant, all at once; `Conflict` if the new name is another's, `None` if there is no such tenant.
    async fn update_tenant(
        &self,
        tenant: TenantId,
        change: TenantChange,
    ) -> Result<Option<TenantUpdate>, StoreError>;
}

#[derive(Debug, Clone)]
pub struct NewTenant {
    pub username: Username,
    pub plan: Plan,
    /// Without one the tenant can't sign in by password.
    pub password: Option<PasswordHash>,
    pub api_key: Option<ApiKeyHash>,
    pub created_at: Timestamp,
}

/// What is to be changed; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct TenantChange {
    pub username: Option<Username>,
    pub plan: Option<Plan>,
    pub password: Option<PasswordHash>,
    /// When a model is to be asked about the tenant's entries; it can't ask more than the server does.
    pub ask: Option<Ask>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUpdate {
    pub tenant: Tenant,
    /// How many logs answer under the new name; 0 if the name stayed.
    pub migrated_logs: u64,
}
