use async_trait::async_trait;

use super::StoreError;
use crate::{
    tenant::{Plan, TenantId},
    time::Timestamp,
};

/// Removes what is older than its tenant's plan keeps it. For the server itself: no caller removes logs.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Returns what time it is where the logs are kept, if that is another machine. What is removed is gone for good, so
    /// one clock that is wrong must not be enough.
    async fn time(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Returns tenants of a plan in the order of their ids, those behind `after`; fewer than `limit` at the end.
    async fn tenants_of(
        &self,
        plan: Plan,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError>;

    /// Removes what a tenant has that is expired, if it still has that plan: logs, their counts, and exchanges; at most
    /// `at_most` of each at once.
    async fn remove_expired(
        &self,
        tenant: TenantId,
        plan: Plan,
        expired: Expired,
        at_most: usize,
    ) -> Result<Removed, StoreError>;
}

/// What is too old to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Logs that were received before this, the beginning of a minute; the counts of these minutes go with them.
    pub received_before: Timestamp,
    /// Exchanges with a model from before this. Answers are used again for a while, so exchanges outlive logs.
    pub asked_before: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// How many logs are gone; another server may have removed some of those that were expired.
    pub logs: u64,
    /// Nothing of the tenant's is expired any more.
    pub is_all: bool,
}
