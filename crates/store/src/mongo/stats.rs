//! Counts per tenant, minute and run of a node: added in the transaction that records the logs, so they can't drift from
//! them. Each run has counters of its own, so that nobody waits for another node, or for the transaction that a killed
//! process left open; whoever reads adds them up.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc, oid};
use sentinelflow_domain::{
    analysis::Score,
    store::{MinuteCounts, StatsBook, StoreError},
    tenant::TenantId,
    time::Timestamp,
};

use super::{MongoStore, deadline::InTime as _, errors::damaged, fields::Fields, ids::to_bson, named};

#[async_trait]
impl StatsBook for MongoStore {
    async fn per_minute(
        &self,
        tenant: TenantId,
        from: i64,
        to: i64,
    ) -> Result<Vec<MinuteCounts>, StoreError> {
        let mut found = self
            .collection(named::MINUTES)
            .find(minutes(tenant, from, to))
            .sort(doc! { "_id": 1 })
            .in_time()
            .await?;
        let mut counts: Vec<MinuteCounts> = Vec::new();
        while found.advance().in_time().await? {
            let of_run = of_run(Fields(found.current()))?;
            match counts.last_mut().filter(|last| last.minute == of_run.minute) {
                Some(last) => {
                    last.events += of_run.events;
                    last.threats += of_run.threats;
                    last.max_score = last.max_score.max(of_run.max_score);
                }
                None => counts.push(of_run),
            }
        }
        Ok(counts)
    }
}

fn of_run(fields: Fields<'_>) -> Result<MinuteCounts, StoreError> {
    Ok(MinuteCounts {
        minute: fields.document("_id")?.int("minute")?,
        events: fields.count("events")?,
        threats: fields.count("threats")?,
        max_score: Score::try_from(u8::try_from(fields.int("max_score")?).map_err(damaged)?)
            .map_err(damaged)?,
    })
}

/// Returns the condition for a tenant's minutes from one to before another, of all runs.
pub(super) fn minutes(tenant: TenantId, from: i64, to: i64) -> Document {
    let bound = |minute: i64| doc! { "tenant": to_bson(tenant), "minute": minute, "run": Bson::MinKey };
    doc! { "_id": { "$gte": bound(from), "$lt": bound(to) } }
}

/// Where a log counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    tenant: TenantId,
    minute: i64,
}

/// What is to be added there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Addition {
    events: i64,
    threats: i64,
    max_score: u8,
}

impl Place {
    pub(super) fn of(tenant: TenantId, received_at: Timestamp) -> Self {
        Self { tenant, minute: received_at.as_millis().div_euclid(60_000) }
    }
}

impl Addition {
    pub(super) fn add_log(&mut self, score: Score) {
        self.events += 1;
        self.threats += i64::from(score.is_threat());
        self.max_score = self.max_score.max(score.value());
    }

    /// What it adds that a log's score rose.
    pub(super) fn of_rise(before: Score, after: Score) -> Self {
        let is_new_threat = after.is_threat() && !before.is_threat();
        Self { events: 0, threats: i64::from(is_new_threat), max_score: after.value() }
    }
}

/// Returns the command that adds to a run's counters.
pub(super) fn add(run: oid::ObjectId, additions: impl IntoIterator<Item = (Place, Addition)>) -> Document {
    let updates = additions.into_iter().map(|(place, addition)| {
        let id = doc! { "tenant": to_bson(place.tenant), "minute": place.minute, "run": run };
        doc! {
            "q": { "_id": id },
            "u": {
                "$inc": { "events": addition.events, "threats": addition.threats },
                "$max": { "max_score": i32::from(addition.max_score) },
            },
            "upsert": true,
        }
    });
    doc! { "update": named::MINUTES, "updates": updates.collect::<Vec<_>>() }
}

impl MongoStore {
    /// Returns how many logs the tenant ever had.
    pub(super) async fn count_logs(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let counts = self.per_minute(tenant, i64::MIN, i64::MAX).await?;
        Ok(counts.iter().map(|counts| counts.events).sum())
    }
}
