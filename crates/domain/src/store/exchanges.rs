//! The seam to what is remembered of a language model: what was sent, what it said, what it has cost.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    second_opinion::{Exchange, ExchangeId, QuestionKey, RememberedVerdict, Spend},
    tenant::TenantId,
    time::Timestamp,
};

#[async_trait]
pub trait ExchangeBook: Send + Sync {
    /// Remembers what was sent to a model, adds its cost to the tenant's day, and keeps the verdicts that may answer the
    /// same questions again: all of it or nothing. A verdict for a known key takes the former one's place.
    async fn keep_exchange(
        &self,
        tenant: TenantId,
        exchange: Exchange,
        verdicts: Vec<RememberedVerdict>,
    ) -> Result<(), StoreError>;

    /// Returns one of the tenant's exchanges.
    async fn exchange(&self, tenant: TenantId, id: ExchangeId) -> Result<Option<Exchange>, StoreError>;

    /// Returns the tenant's verdicts for these questions, in any order; there is none where it has expired.
    async fn verdicts(
        &self,
        tenant: TenantId,
        keys: Vec<QuestionKey>,
        now: Timestamp,
    ) -> Result<Vec<RememberedVerdict>, StoreError>;

    /// Returns what the tenant's exchanges of a day have cost; a day is counted from 1970 and begins at midnight UTC.
    async fn spent(&self, tenant: TenantId, day: i64) -> Result<Spend, StoreError>;
}
