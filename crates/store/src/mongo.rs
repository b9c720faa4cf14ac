//! The store for many servers: a MongoDB replica set or sharded cluster that any number of nodes share.
//! What is acknowledged was written by a majority of its members and is in their journals.

mod connect;
mod copy;
mod deadline;
mod errors;
mod fields;
mod ids;
mod transaction;

mod baselines;
mod changes;
mod exchanges;
mod follow;
mod logs;
mod raise;
mod retention;
mod scans;
mod stats;
mod tenants;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::{
    Client, Collection, Database,
    bson::{Document, RawDocumentBuf, doc, oid},
    options::{FindOneAndUpdateOptions, ReturnDocument},
};
use sentinelflow_domain::{
    analysis::{Analysis, Severity},
    store::{
        IdempotencyKey, LogBook, LogFilter, LogId, LogRecord, NewLog, Owner, Page, Recorded, StatusFilter,
        Store, StoreError,
    },
    tenant::TenantId,
    time::Timestamp,
};
use tokio::{
    sync::{RwLock, Semaphore},
    time::{Instant, timeout, timeout_at},
};

pub use self::connect::ConnectError;
pub(crate) use self::copy::MongoHouse;
use self::{
    changes::Hub,
    deadline::{ATTEMPT, InTime as _, PATIENCE},
    fields::{Fields, millis},
    ids::{Ids, to_bson},
    tenants::Directory,
    writer::{ID_LEAD, NotRecorded, Writer, Written},
};
use crate::node::Node;

/// A database that nodes share. Cheap to clone.
#[derive(Clone)]
pub struct MongoStore {
    client: Client,
    database: Database,
    node: Node,
    /// Names this run of the node to whatever adds to counters beside the writer, which has a name of its own: nobody
    /// waits for a counter of another.
    run: oid::ObjectId,
    ids: Arc<Ids>,
    directory: Arc<Directory>,
    writer: Writer,
    hub: Hub,
    /// How many look through changes of before at the same time.
    turns: Arc<Semaphore>,
    /// Held, not alone, while an exchange is being kept.
    exchanges_under_way: Arc<RwLock<()>>,
}

/// So many bytes of threats are read at once by whoever follows them.
const MOST_THREAT_BYTES: usize = 256 * 1024;

/// The names of the collections.
mod named {
    pub(super) const TENANTS: &str = "tenants";
    pub(super) const LOGS: &str = "logs";
    pub(super) const MINUTES: &str = "minute_counts";
    pub(super) const KEYS: &str = "idempotency_keys";
    pub(super) const SCANS: &str = "scans";
    pub(super) const SCAN_THREATS: &str = "scan_threats";
    pub(super) const BASELINES: &str = "baselines";
    pub(super) const BASELINE_PIECES: &str = "baseline_pieces";
    pub(super) const EXCHANGES: &str = "exchanges";
    pub(super) const VERDICTS: &str = "verdicts";
    pub(super) const SPENDS: &str = "spends";
    pub(super) const META: &str = "meta";
}

impl MongoStore {
    fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// Returns how many seconds ids ever ran ahead of the receipt of their logs, on any node.
    async fn id_lead_s(&self) -> Result<u32, StoreError> {
        let lead = self.collection(named::META).find_one(doc! { "_id": ID_LEAD }).in_time().await?;
        let lead = lead.map(|lead| Fields(&lead).int("value")).transpose()?.unwrap_or(0);
        Ok(u32::try_from(lead).unwrap_or(u32::MAX))
    }

    /// Returns logs by their ids, upwards (1) or downwards (-1), by way of the index for a status; fewer than `limit`
    /// where they have so many bytes.
    async fn page(
        &self,
        query: Document,
        status: StatusFilter,
        direction: i32,
        limit: usize,
        most_bytes: usize,
    ) -> Result<Page<LogRecord>, StoreError> {
        let one_more = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
        let logs = self.collection(named::LOGS);
        let found = logs.find(query).sort(doc! { "_id": direction }).limit(i64::from(one_more));
        // All of a page in one answer.
        let mut found = found.hint(logs::hint(status)).batch_size(one_more).in_time().await?;
        let (mut items, mut bytes, mut has_more) = (Vec::new(), 0, false);
        while found.advance().in_time().await? {
            if items.len() >= limit || bytes >= most_bytes {
                has_more = true;
                break;
            }
            bytes += found.current().as_bytes().len();
            items.push(logs::record(found.current())?);
        }
        let next = items.last().filter(|_| has_more).map(|last| last.id);
        Ok(Page { items, next })
    }

    fn documents(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let meta = self.documents(named::META);
        let now = mongodb::bson::DateTime::now();
        let node = format!("node {}", self.node);
        let ping = meta.update_one(doc! { "_id": node }, doc! { "$set": { "pinged_at": now } }).upsert(true);
        match timeout(ATTEMPT, ping).await {
            Ok(written) => written.map(drop).map_err(errors::store_error),
            Err(late) => Err(StoreError::Unavailable(Box::new(late))),
        }
    }
}

#[async_trait]
impl LogBook for MongoStore {
    async fn record(&self, log: NewLog) -> Result<Recorded, StoreError> {
        self.must_know(log.tenant).await?;
        // What a log tells of a request to a model can be read once the log can.
        let give_up = Instant::now() + PATIENCE;
        let none_is_under_way = timeout_at(give_up, self.exchanges_under_way.write()).await;
        drop(none_is_under_way.map_err(|_| NotRecorded::TooLate)?);
        let (tenant, entry) = (log.tenant, log.idempotency_key.is_some().then(|| log.entry.clone()));
        match self.writer.record(log, give_up).await? {
            Written::New(id) => Ok(Recorded::New(id)),
            Written::KeyLeadsTo(id) => {
                let before = self.find(tenant, id).await?.ok_or(StoreError::Conflict)?;
                let is_same = entry.is_none_or(|entry| entry == before.entry);
                Ok(if is_same { Recorded::Before(Box::new(before)) } else { Recorded::KeyOfAnotherEntry })
            }
        }
    }

    async fn recent(&self, tenant: TenantId, filter: LogFilter) -> Result<Page<LogRecord>, StoreError> {
        let lead_s = if filter.until.is_some() { self.id_lead_s().await? } else { 0 };
        let query = logs::query(tenant, &filter, lead_s);
        self.page(query, filter.status, -1, filter.limit, usize::MAX).await
    }

    // In order within one node; what another node commits late may lie behind a cursor.
    async fn threats_after(
        &self,
        tenant: TenantId,
        after: LogId,
        limit: usize,
    ) -> Result<Page<LogRecord>, StoreError> {
        let query = doc! {
            "tenant": to_bson(tenant),
            "status": { "$in": [logs::ACTIVE, logs::RESOLVED] },
            "_id": { "$gt": to_bson(after) },
            "score": { "$gte": i32::from(Severity::Low.lowest_score().value()) },
        };
        self.page(query, StatusFilter::Active, 1, limit, MOST_THREAT_BYTES).await
    }

    async fn recorded_under(
        &self,
        tenant: TenantId,
        key: &IdempotencyKey,
    ) -> Result<Option<LogRecord>, StoreError> {
        let keys = self.collection(named::KEYS);
        let found = keys.find_one(doc! { "_id": logs::key_id(tenant, key) }).in_time().await?;
        match found {
            Some(found) => self.find(tenant, Fields(&found).id("log")?).await,
            None => Ok(None),
        }
    }

    async fn replay(
        &self,
        since: Timestamp,
        newest: usize,
        after: Option<LogId>,
    ) -> Result<Vec<(TenantId, LogRecord)>, StoreError> {
        /// Each log may be large.
        const AT_ONCE: i64 = 200;
        let logs = self.collection(named::LOGS);
        let after = if let Some(after) = after {
            Some(to_bson(after))
        } else {
            let oldest = logs.find_one(doc! {}).sort(doc! { "_id": -1 }).skip(newest as u64);
            let oldest = oldest.projection(doc! { "_id": 1 }).in_time().await?;
            oldest.map(|oldest| Fields(&oldest).id("_id").map(to_bson)).transpose()?
        };
        let mut range = doc! { "$gte": to_bson(ids::first_of_second(since)) };
        if let Some(after) = after {
            range.insert("$gt", after);
        }
        let query = doc! { "_id": range, "received_at": { "$gte": millis(since) } };
        let found = logs.find(query).sort(doc! { "_id": 1 }).limit(AT_ONCE);
        let mut found = found.in_time().await?;
        let mut page = Vec::new();
        while found.advance().in_time().await? {
            page.push((Fields(found.current()).id("tenant")?, logs::record(found.current())?));
        }
        Ok(page)
    }

    async fn find(&self, tenant: TenantId, id: LogId) -> Result<Option<LogRecord>, StoreError> {
        let query = doc! { "_id": to_bson(id), "tenant": to_bson(tenant) };
        let found = self.collection(named::LOGS).find_one(query).in_time().await?;
        found.map(|found| logs::record(&found)).transpose()
    }

    async fn add_opinion(
        &self,
        tenant: TenantId,
        id: LogId,
        analysis: Arc<Analysis>,
    ) -> Result<bool, StoreError> {
        self.raise(tenant, id, &analysis).await
    }

    async fn resolve(
        &self,
        owner: Owner,
        id: LogId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut query = doc! { "_id": to_bson(id) };
        if let Owner::Tenant(tenant) = owner {
            query.insert("tenant", to_bson(tenant));
        }
        // The first moment stays.
        let first = doc! { "$ifNull": ["$resolved_at", millis(now)] };
        let update = vec![doc! { "$set": { "resolved_at": first, "status": logs::RESOLVED } }];
        let after = FindOneAndUpdateOptions::builder().return_document(ReturnDocument::After).build();
        let logs = self.collection(named::LOGS);
        let resolved = logs.find_one_and_update(query, update).with_options(after);
        let resolved = resolved.projection(doc! { "resolved_at": 1 }).in_time().await?;
        resolved.map(|log| Fields(&log).moment("resolved_at")).transpose()
    }
}
