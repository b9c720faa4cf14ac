//! Baselines: what was learned is opaque here, and cut into pieces, because a document holds at most 16 MiB.

use async_trait::async_trait;
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Document, RawDocumentBuf, doc, oid},
    error::Error,
};
use sentinelflow_domain::{
    store::{
        BaselineBook, BaselineName, BaselinePut, BaselineSummary, MOST_BASELINES, NewBaseline, StoreError,
    },
    tenant::TenantId,
};

use super::{
    MongoStore,
    deadline::InTime as _,
    errors::{damaged, store_error},
    fields::{Fields, binary, int, millis},
    ids::to_bson,
    named,
    transaction::{Writes, all_or_nothing},
};
use crate::copy::record::BASELINE_PIECE_BYTES;

#[async_trait]
impl BaselineBook for MongoStore {
    async fn put_baseline(&self, baseline: NewBaseline) -> Result<BaselinePut, StoreError> {
        self.must_know(baseline.tenant).await?;
        let content = oid::ObjectId::new();
        let pieces = self.documents(named::BASELINE_PIECES);
        // Nobody finds the pieces before the baseline leads to them.
        for (place, piece) in (0_i64..).zip(baseline.bytes.chunks(BASELINE_PIECE_BYTES)) {
            let piece = doc! { "_id": { "content": content, "place": place }, "bytes": binary(piece) };
            pieces.insert_one(piece).in_time().await?;
        }
        let mut put = Put { database: self.database.clone(), baseline, content };
        let done = all_or_nothing(&self.client, &mut put).await.map_err(store_error);
        if !matches!(done, Ok(BaselinePut::Stored) | Err(StoreError::Unavailable(_))) {
            self.remove_pieces(content).await?;
        }
        done
    }

    async fn baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<Option<Vec<u8>>, StoreError> {
        let baselines = self.collection(named::BASELINES);
        let found = baselines.find_one(doc! { "_id": id(tenant, name) }).in_time().await?;
        let Some(found) = found else { return Ok(None) };
        let content = to_bson(Fields(&found).id("content")?);
        let mut bytes = Vec::new();
        let pieces = self.collection(named::BASELINE_PIECES);
        let mut found = pieces.find(of_content(content)).sort(doc! { "_id": 1 }).in_time().await?;
        while found.advance().in_time().await? {
            bytes.extend_from_slice(Fields(found.current()).bytes("bytes")?);
        }
        Ok(Some(bytes))
    }

    async fn baselines(&self, tenant: TenantId) -> Result<Vec<BaselineSummary>, StoreError> {
        let baselines = self.collection(named::BASELINES);
        let found = baselines.find(of_tenant(tenant)).sort(doc! { "_id": 1 });
        let mut found = found.in_time().await?;
        let mut summaries = Vec::new();
        while found.advance().in_time().await? {
            let fields = Fields(found.current());
            summaries.push(BaselineSummary {
                name: fields.document("_id")?.text("name")?.parse().map_err(damaged)?,
                created_at: fields.moment("created_at")?,
                rows: fields.count("rows")?,
                filename: fields.text("filename")?.to_owned(),
                size_bytes: fields.count("size_bytes")?,
            });
        }
        Ok(summaries)
    }

    async fn remove_baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<bool, StoreError> {
        let baselines = self.collection(named::BASELINES);
        let removed = baselines.find_one_and_delete(doc! { "_id": id(tenant, name) });
        let Some(removed) = removed.in_time().await? else { return Ok(false) };
        self.remove_pieces(to_bson(Fields(&removed).id("content")?)).await?;
        Ok(true)
    }
}

impl MongoStore {
    async fn remove_pieces(&self, content: oid::ObjectId) -> Result<(), StoreError> {
        let pieces = self.documents(named::BASELINE_PIECES);
        pieces.delete_many(of_content(content)).in_time().await.map(drop)
    }
}

struct Put {
    database: Database,
    baseline: NewBaseline,
    /// Names the pieces.
    content: oid::ObjectId,
}

#[async_trait]
impl Writes for Put {
    type Done = BaselinePut;

    async fn write(&mut self, session: &mut ClientSession, _is_again: bool) -> Result<BaselinePut, Error> {
        let baselines: Collection<RawDocumentBuf> = self.database.collection(named::BASELINES);
        let NewBaseline { tenant, name, created_at, rows, filename, bytes } = &self.baseline;
        let taken = baselines.find_one(doc! { "_id": id(*tenant, name) }).session(&mut *session).await?;
        if let Some(taken) = taken {
            let is_own = taken.get_object_id("content").is_ok_and(|content| content == self.content);
            return Ok(if is_own { BaselinePut::Stored } else { BaselinePut::NameTaken });
        }
        // Whoever puts writes the count, so that two who put at the same time don't both fill the last place.
        let count = baselines.count_documents(of_tenant(*tenant)).session(&mut *session).await?;
        if count >= MOST_BASELINES as u64 {
            return Ok(BaselinePut::TooMany);
        }
        let tenants: Collection<Document> = self.database.collection(named::TENANTS);
        let turn = doc! { "$inc": { "baselines_put": 1_i64 } };
        tenants.update_one(doc! { "_id": to_bson(*tenant) }, turn).session(&mut *session).await?;
        let document = doc! {
            "_id": id(*tenant, name),
            "content": self.content,
            "created_at": millis(*created_at),
            "rows": int(*rows),
            "filename": filename.as_str(),
            "size_bytes": int(bytes.len() as u64),
        };
        let documents: Collection<Document> = self.database.collection(named::BASELINES);
        documents.insert_one(document).session(session).await?;
        Ok(BaselinePut::Stored)
    }
}

fn id(tenant: TenantId, name: &BaselineName) -> Document {
    doc! { "tenant": to_bson(tenant), "name": name.as_str() }
}

fn of_tenant(tenant: TenantId) -> Document {
    let bound = |name: &str| doc! { "tenant": to_bson(tenant), "name": name };
    // Names are letters, digits and marks of ASCII.
    doc! { "_id": { "$gte": bound(""), "$lt": bound("\u{7f}") } }
}

fn of_content(content: oid::ObjectId) -> Document {
    let bound = |place: i64| doc! { "content": content, "place": place };
    doc! { "_id": { "$gte": bound(0), "$lte": bound(i64::MAX) } }
}
