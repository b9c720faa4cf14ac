//! An opinion that came late takes an analysis's place; the counters follow in the same transaction.

use async_trait::async_trait;
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Document, doc, oid},
    error::Error,
};
use sentinelflow_domain::{
    analysis::{Analysis, Score},
    store::{LogId, StoreError},
    tenant::TenantId,
    time::Timestamp,
};

use super::{
    MongoStore,
    errors::store_error,
    ids::to_bson,
    logs, named,
    stats::{self, Addition, Place},
    transaction::{Writes, all_or_nothing, checked},
};

struct Raise {
    database: Database,
    run: oid::ObjectId,
    tenant: TenantId,
    id: oid::ObjectId,
    score: Score,
    /// What takes the place of the former fields.
    set: Document,
}

impl MongoStore {
    pub(super) async fn raise(
        &self,
        tenant: TenantId,
        id: LogId,
        analysis: &Analysis,
    ) -> Result<bool, StoreError> {
        let score = analysis.score;
        // In a pipeline a text that begins with `$` would be the name of a field.
        let mut set = doc! {
            "score": i32::from(score.value()),
            "category": analysis.category.as_str(),
            "summary": { "$literal": &*analysis.summary },
            "analysis": { "$literal": logs::json_of(analysis) },
        };
        if score.is_threat() {
            set.insert("status", doc! { "$ifNull": ["$status", logs::ACTIVE] });
        }
        let (database, run) = (self.database.clone(), self.run);
        let mut raise = Raise { database, run, tenant, id: to_bson(id), score, set };
        all_or_nothing(&self.client, &mut raise).await.map_err(store_error)
    }
}

#[async_trait]
impl Writes for Raise {
    type Done = bool;

    async fn write(&mut self, session: &mut ClientSession, _is_again: bool) -> Result<bool, Error> {
        let logs: Collection<Document> = self.database.collection(named::LOGS);
        let query = doc! {
            "_id": self.id,
            "tenant": to_bson(self.tenant),
            "score": { "$lte": i32::from(self.score.value()) },
        };
        let before = logs
            .find_one_and_update(query, vec![doc! { "$set": self.set.clone() }])
            .projection(doc! { "score": 1, "received_at": 1 })
            .session(&mut *session)
            .await?;
        let Some(before) = before else { return Ok(false) };
        let score = before.get_i32("score").ok().and_then(|score| u8::try_from(score).ok());
        let score = Score::saturating(score.unwrap_or_default());
        let received_at = before.get_datetime("received_at").map_err(Error::custom)?;
        let place = Place::of(self.tenant, Timestamp::from_millis(received_at.timestamp_millis()));
        let addition = [(place, Addition::of_rise(score, self.score))];
        let added = self.database.run_command(stats::add(self.run, addition)).session(session).await?;
        checked(&added)?;
        Ok(true)
    }
}
