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
    deadline::InTime as _,
    errors::damaged,
    fields::{Fields, millis, odd},
    ids::{first_of_second, from_bson, to_bson},
    logs::BY_AGE,
    named, stats,
};

#[async_trait]
impl Retention for MongoStore {
    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let hello = self.database.run_command(doc! { "hello": 1 }).in_time().await?;
        let now = hello.get_datetime("localTime").map_err(damaged)?;
        Ok(Some(Timestamp::from_millis(now.timestamp_millis())))
    }

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
        let lead_s = self.id_lead_s().await?;
        let ahead_ms = i64::from(lead_s).saturating_add(1).saturating_mul(1000);
        let end = Timestamp::from_millis(received_before.as_millis().saturating_add(ahead_ms));
        let received = doc! {
            "tenant": to_bson(tenant),
            "_id": { "$lt": to_bson(first_of_second(end)) },
            "received_at": { "$lt": millis(received_before) },
        };
        let (logs, removed) = self.remove_some(named::LOGS, received, doc! { "_id": 1 }, at_most).await?;
        let end = minute_of(received_before.as_millis());
        // The oldest go first, so no log of these minutes is there any more.
        let gone_before = match logs.last().and_then(Bson::as_object_id) {
            Some(last) if logs.len() == at_most => {
                let second = i64::from(from_bson(last).seconds()) - i64::from(lead_s);
                end.min(minute_of(second * 1000))
            }
            _ => end,
        };
        let minutes = stats::minutes(tenant, i64::MIN, gone_before);
        self.documents(named::MINUTES).delete_many(minutes).in_time().await?;
        let asked = doc! { "tenant": to_bson(tenant), "asked_at": { "$lt": millis(asked_before) } };
        let (exchanges, _) =
            self.remove_some(named::EXCHANGES, asked, doc! { "asked_at": 1 }, at_most).await?;
        Ok(Removed { logs: removed, is_all: logs.len() < at_most && exchanges.len() < at_most })
    }
}

impl MongoStore {
    /// Removes the first of a tenant's documents. Returns the ids of those that were found, and how many of them were
    /// still there to be removed.
    async fn remove_some(
        &self,
        name: &str,
        query: Document,
        order: Document,
        at_most: usize,
    ) -> Result<(Vec<Bson>, u64), StoreError> {
        let documents = self.documents(name);
        let tenant = query.get("tenant").cloned();
        let found = documents.find(query).hint(Hint::Name(BY_AGE.to_owned())).sort(order);
        let mut found = found.limit(int(at_most)).projection(doc! { "_id": 1 }).in_time().await?;
        let mut ids: Vec<Bson> = Vec::new();
        while found.advance().in_time().await? {
            let id = found.current().get("_id").map_err(damaged)?.ok_or_else(|| odd("_id"))?;
            ids.push(id.try_into().map_err(damaged)?);
        }
        if ids.is_empty() {
            return Ok((ids, 0));
        }
        let these = doc! { "tenant": tenant, "_id": { "$in": &ids } };
        let removed = documents.delete_many(these).in_time().await?;
        Ok((ids, removed.deleted_count))
    }
}

fn minute_of(millis: i64) -> i64 {
    millis.div_euclid(60_000)
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
