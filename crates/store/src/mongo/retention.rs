//! Removes what has expired. Every node does; what another has removed already is no longer there.

use async_trait::async_trait;
use mongodb::{
    bson::{Bson, Document, doc},
    options::Hint,
};
use sentinelflow_domain::{
    store::{Expired, Removed, Retention, StoreError},
    tenant::{Plan, TenantId},
    time::Timestamp,
};

use super::{
    MongoStore,
    connect::EXCHANGES_BY_AGE,
    deadline::InTime as _,
    errors::damaged,
    fields::{Fields, millis, odd},
    ids::{first_of_second, to_bson},
    logs, named, stats,
};

#[async_trait]
impl Retention for MongoStore {
    async fn tenants_of(
        &self,
        plan: Plan,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        let mut query = doc! { "plan": plan.as_str() };
        if let Some(after) = after {
            query.insert("_id", doc! { "$gt": to_bson(after) });
        }
        let tenants = self.collection(named::TENANTS);
        let found = tenants.find(query).sort(doc! { "_id": 1 }).limit(int(limit));
        let mut found = found.projection(doc! { "_id": 1 }).in_time().await?;
        let mut tenants = Vec::new();
        while found.advance().in_time().await? {
            tenants.push(Fields(found.current()).id("_id")?);
        }
        Ok(tenants)
    }

    async fn remove_expired(
        &self,
        tenant: TenantId,
        plan: Plan,
        Expired { received_before, asked_before }: Expired,
        at_most: usize,
    ) -> Result<Removed, StoreError> {
        let has_plan = doc! { "_id": to_bson(tenant), "plan": plan.as_str() };
        if self.documents(named::TENANTS).find_one(has_plan).in_time().await?.is_none() {
            return Ok(Removed { logs: 0, is_all: true });
        }
        let ahead_ms = i64::from(self.id_lead_s().await?).saturating_add(1).saturating_mul(1000);
        let end = Timestamp::from_millis(received_before.as_millis().saturating_add(ahead_ms));
        let received = doc! {
            "tenant": to_bson(tenant),
            "_id": { "$lt": to_bson(first_of_second(end)) },
            "received_at": { "$lt": millis(received_before) },
        };
        let logs = self.remove_some(named::LOGS, tenant, received, logs::BY_AGE, at_most).await?;
        if logs < at_most {
            // By then no log of these minutes is there to be counted.
            let minutes = stats::minutes(tenant, i64::MIN, received_before.as_millis().div_euclid(60_000));
            self.documents(named::MINUTES).delete_many(minutes).in_time().await?;
        }
        let asked = doc! { "tenant": to_bson(tenant), "asked_at": { "$lt": millis(asked_before) } };
        let exchanges = self.remove_some(named::EXCHANGES, tenant, asked, EXCHANGES_BY_AGE, at_most).await?;
        Ok(Removed { logs, is_all: logs < at_most && exchanges < at_most })
    }
}

impl MongoStore {
    /// Removes some of a tenant's documents that a query finds by an index. Returns how many were found.
    async fn remove_some(
        &self,
        name: &str,
        tenant: TenantId,
        query: Document,
        index: &str,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let documents = self.documents(name);
        let found = documents.find(query).hint(Hint::Name(index.to_owned())).limit(int(at_most));
        let mut found = found.projection(doc! { "_id": 1 }).in_time().await?;
        let mut ids: Vec<Bson> = Vec::new();
        while found.advance().in_time().await? {
            let id = found.current().get("_id").map_err(damaged)?.ok_or_else(|| odd("_id"))?;
            ids.push(id.try_into().map_err(damaged)?);
        }
        if ids.is_empty() {
            return Ok(0);
        }
        let count = ids.len();
        let these = doc! { "tenant": to_bson(tenant), "_id": { "$in": ids } };
        documents.delete_many(these).in_time().await?;
        Ok(count)
    }
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
