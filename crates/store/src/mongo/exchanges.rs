//! What is remembered of a language model: exchanges to be read, verdicts that answer again, the cost of each day.

use async_trait::async_trait;
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Bson, Document, doc},
    error::Error,
};
use sentinelflow_domain::{
    second_opinion::{Exchange, ExchangeId, QuestionKey, RememberedVerdict, Spend},
    store::{ExchangeBook, StoreError},
    tenant::TenantId,
    time::Timestamp,
};
use tokio::time::Instant;

use super::{
    MongoStore,
    deadline::{ATTEMPT, InTime as _},
    errors::{damaged, store_error},
    fields::{Fields, binary, from_now, int, millis},
    ids::to_bson,
    named,
    transaction::{Writes, all_or_nothing, checked},
};

const DAY_MS: i64 = 86_400_000;
/// The server removes a verdict so long after it has expired, by its own clock.
pub(super) const LEEWAY_MS: i64 = 3_600_000;

#[async_trait]
impl ExchangeBook for MongoStore {
    async fn keep_exchange(
        &self,
        tenant: TenantId,
        exchange: Exchange,
        verdicts: Vec<RememberedVerdict>,
    ) -> Result<(), StoreError> {
        let _under_way = self.exchanges_under_way.read().await;
        self.must_know(tenant).await?;
        let verdicts: Vec<Document> =
            verdicts.iter().map(|verdict| upsert(tenant, verdict, exchange.asked_at)).collect();
        let mut keep = Keep {
            database: self.database.clone(),
            day: spend_id(tenant, exchange.asked_at.as_millis().div_euclid(DAY_MS), self.run),
            spent: exchange.spent,
            exchange: document(tenant, exchange),
            verdicts,
            since: Instant::now(),
        };
        all_or_nothing(&self.client, &mut keep).await.map_err(store_error)
    }

    async fn exchange(&self, tenant: TenantId, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        let query = doc! { "_id": binary(&id.0), "tenant": to_bson(tenant) };
        let found = self.collection(named::EXCHANGES).find_one(query).in_time().await?;
        found.map(|found| exchange(id, Fields(&found))).transpose()
    }

    async fn verdicts(
        &self,
        tenant: TenantId,
        keys: Vec<QuestionKey>,
        now: Timestamp,
    ) -> Result<Vec<RememberedVerdict>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Document> = keys.iter().map(|key| verdict_id(tenant, *key)).collect();
        let query = doc! { "_id": { "$in": ids }, "expires_at": { "$gt": millis(now) } };
        let mut found = self.collection(named::VERDICTS).find(query).in_time().await?;
        let mut verdicts = Vec::new();
        while found.advance().in_time().await? {
            let fields = Fields(found.current());
            let key = fields.document("_id")?.bytes("key")?.try_into().map_err(damaged)?;
            verdicts.push(RememberedVerdict {
                key: QuestionKey(key),
                verdict: serde_json::from_str(fields.text("verdict")?).map_err(damaged)?,
                expires_at: fields.moment("expires_at")?,
            });
        }
        Ok(verdicts)
    }

    async fn spent(&self, tenant: TenantId, day: i64) -> Result<Spend, StoreError> {
        let spends = self.collection(named::SPENDS);
        let bound = |day: i64| spend_id(tenant, day, Bson::MinKey);
        let of_day = doc! { "_id": { "$gte": bound(day), "$lt": bound(day.saturating_add(1)) } };
        let mut found = spends.find(of_day).in_time().await?;
        let mut spent = Spend::default();
        while found.advance().in_time().await? {
            let of_run = Fields(found.current());
            spent.tokens += of_run.count("tokens")?;
            spent.nano_usd += of_run.count("nano_usd")?;
        }
        Ok(spent)
    }
}

/// Everything that is kept of an exchange.
struct Keep {
    database: Database,
    exchange: Document,
    day: Document,
    spent: Spend,
    verdicts: Vec<Document>,
    since: Instant,
}

#[async_trait]
impl Writes for Keep {
    type Done = ();

    async fn write(&mut self, session: &mut ClientSession, is_again: bool) -> Result<(), Error> {
        let exchanges: Collection<Document> = self.database.collection(named::EXCHANGES);
        if is_again {
            let id = self.exchange.get("_id");
            if exchanges.find_one(doc! { "_id": id }).session(&mut *session).await?.is_some() {
                return Ok(());
            }
        }
        exchanges.insert_one(&self.exchange).session(&mut *session).await?;
        let spends: Collection<Document> = self.database.collection(named::SPENDS);
        let spent = doc! { "tokens": int(self.spent.tokens), "nano_usd": int(self.spent.nano_usd) };
        let spend = spends.update_one(doc! { "_id": &self.day }, doc! { "$inc": spent }).upsert(true);
        spend.session(&mut *session).await?;
        // A node that was asked the same and was killed may hold up the verdict for a minute. What it answers again is not
        // worth that, and logs wait for this.
        if self.verdicts.is_empty() || self.since.elapsed() > ATTEMPT {
            return Ok(());
        }
        let upserts = doc! { "update": named::VERDICTS, "updates": self.verdicts.clone() };
        checked(&self.database.run_command(upserts).session(session).await?)
    }
}

fn document(tenant: TenantId, exchange: Exchange) -> Document {
    doc! {
        "_id": binary(&exchange.id.0),
        "tenant": to_bson(tenant),
        "asked_at": millis(exchange.asked_at),
        "duration_ms": int(exchange.duration_ms),
        "tokens": int(exchange.spent.tokens),
        "nano_usd": int(exchange.spent.nano_usd),
        "model": exchange.model,
        "failure": exchange.failure,
        "url": exchange.url,
        "sent": exchange.sent,
        "answer": exchange.answer,
    }
}

fn exchange(id: ExchangeId, fields: Fields<'_>) -> Result<Exchange, StoreError> {
    let text = |name| fields.text_if_any(name).map(|text| text.map(str::to_owned));
    Ok(Exchange {
        id,
        asked_at: fields.moment("asked_at")?,
        url: fields.text("url")?.to_owned(),
        sent: fields.text("sent")?.to_owned(),
        answer: text("answer")?,
        failure: text("failure")?,
        model: text("model")?,
        duration_ms: fields.count("duration_ms")?,
        spent: Spend { tokens: fields.count("tokens")?, nano_usd: fields.count("nano_usd")? },
    })
}

/// Returns what puts a verdict in the place of the former one.
fn upsert(tenant: TenantId, remembered: &RememberedVerdict, asked_at: Timestamp) -> Document {
    let left_ms = remembered.expires_at.as_millis().saturating_sub(asked_at.as_millis());
    let verdict = serde_json::to_string(&remembered.verdict).expect("a verdict is plain data");
    let fields = doc! {
        "verdict": verdict,
        "expires_at": millis(remembered.expires_at),
        "remove_at": from_now(left_ms.saturating_add(LEEWAY_MS)),
    };
    doc! { "q": { "_id": verdict_id(tenant, remembered.key) }, "u": { "$set": fields }, "upsert": true }
}

fn verdict_id(tenant: TenantId, key: QuestionKey) -> Document {
    doc! { "tenant": to_bson(tenant), "key": binary(&key.0) }
}

/// Names what a run of a node adds to; as with the counters of minutes, nobody waits for another.
fn spend_id(tenant: TenantId, day: i64, run: impl Into<Bson>) -> Document {
    doc! { "tenant": to_bson(tenant), "day": day, "run": run.into() }
}
