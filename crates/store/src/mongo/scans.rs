//! Scans. A scan runs on the node that took the upload, so that only this one finds it again after a restart.

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::{
    bson::{Bson, Document, doc, oid},
    options::ReturnDocument,
};
use sentinelflow_domain::{
    scan::{Anomaly, ScanEngine, ScanReport},
    store::{
        BaselineName, Discarded, FinishedScan, KEPT_JSON_BYTES, KEPT_ROWS, NewScan, Page, ScanArchive,
        ScanFailure, ScanFigures, ScanId, ScanRecord, ScanState, ScanSummary, StoreError, UnfinishedScan,
    },
    tenant::TenantId,
    time::Timestamp,
};
use thiserror::Error;

use super::{
    MongoStore,
    deadline::InTime as _,
    errors::damaged,
    fields::{Fields, binary, int, millis},
    ids::to_bson,
    named,
};

/// How many rows are written in one message, of about so many bytes.
const PIECE_ROWS: usize = 1_000;
const PIECE_BYTES: usize = 4 << 20;

#[async_trait]
impl ScanArchive for MongoStore {
    async fn enqueue_scan(&self, scan: NewScan) -> Result<ScanId, StoreError> {
        self.must_know(scan.tenant).await?;
        let id = self.ids.mint(scan.created_at).id;
        let options = serde_json::to_string(&scan.options).expect("options are plain data");
        let document = doc! {
            "_id": to_bson(id),
            "tenant": to_bson(scan.tenant),
            "node": binary(&self.node.id()),
            "unfinished": true,
            "status": "queued",
            "attempts": 0_i64,
            "created_at": millis(scan.created_at),
            "duration_ms": 0_i64,
            "shown_rows": i64::try_from(scan.options.limit).unwrap_or(i64::MAX),
            "filename": scan.filename,
            "baseline": scan.baseline.as_ref().map(BaselineName::as_str),
            "options": options,
        };
        self.documents(named::SCANS).insert_one(document).in_time().await?;
        Ok(id)
    }

    async fn start_scan(&self, scan: ScanId) -> Result<Option<u32>, StoreError> {
        let query = doc! { "_id": to_bson(scan), "status": "queued" };
        let start = doc! { "$set": { "status": "running" }, "$inc": { "attempts": 1_i64 } };
        let scans = self.collection(named::SCANS);
        let started = scans.find_one_and_update(query, start);
        let started = started.return_document(ReturnDocument::After).in_time().await?;
        started.map(|scan| attempts(Fields(&scan))).transpose()
    }

    async fn put_back_scan(&self, scan: ScanId) -> Result<(), StoreError> {
        let back = doc! { "$set": { "status": "queued" }, "$inc": { "attempts": -1_i64 } };
        self.change(doc! { "_id": to_bson(scan), "status": "running" }, back).await.map(drop)
    }

    async fn finish_scan(&self, scan: ScanId, finished: Arc<FinishedScan>) -> Result<bool, StoreError> {
        let rows = Rows { scan, content: oid::ObjectId::new() };
        let of_rows = Arc::clone(&finished);
        let pieces = tokio::task::spawn_blocking(move || rows.written(&of_rows.threats));
        let pieces = pieces.await.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let report = serde_json::to_string(&finished.report).map_err(damaged)?;
        let collection = self.documents(named::SCAN_THREATS);
        for piece in pieces {
            collection.insert_many(piece).in_time().await?;
        }
        // Nobody finds the rows before the scan leads to them.
        let done = doc! {
            "$set": {
                "status": "done",
                "finished_at": millis(finished.finished_at),
                "duration_ms": int(finished.duration_ms),
                "engine": finished.report.engine.as_str(),
                "total_scanned": int(finished.report.total_scanned),
                "threats_detected": int(finished.report.threats_detected),
                "threshold_used": finished.report.threshold_used,
                "report": report,
                "content": rows.content,
            },
            "$unset": { "unfinished": "" },
        };
        let is_done = self.change(doc! { "_id": to_bson(scan), "status": "running" }, done).await?;
        if !is_done {
            self.remove_rows(rows.range(0)).await?;
        }
        Ok(is_done)
    }

    async fn fail_scan(&self, scan: ScanId, failure: ScanFailure) -> Result<bool, StoreError> {
        let failed = doc! {
            "$set": {
                "status": "failed",
                "finished_at": millis(failure.finished_at),
                "duration_ms": int(failure.duration_ms),
                "error": failure.error,
            },
            "$unset": { "unfinished": "" },
        };
        self.change(doc! { "_id": to_bson(scan), "status": unfinished() }, failed).await
    }

    async fn discard_scan(
        &self,
        tenant: TenantId,
        scan: ScanId,
        now: Timestamp,
    ) -> Result<Option<Discarded>, StoreError> {
        let query = doc! { "_id": to_bson(scan), "tenant": to_bson(tenant) };
        let mut waiting = query.clone();
        waiting.insert("status", unfinished());
        let cancelled = doc! {
            "$set": { "status": "cancelled", "finished_at": millis(now) },
            "$unset": { "unfinished": "" },
        };
        if self.change(waiting, cancelled).await? {
            return Ok(Some(Discarded::Cancelled));
        }
        let removed = self.documents(named::SCANS).delete_one(query).in_time().await?;
        if removed.deleted_count == 0 {
            return Ok(None);
        }
        self.remove_rows(all_of(scan)).await?;
        Ok(Some(Discarded::Removed))
    }

    async fn scan(&self, tenant: TenantId, scan: ScanId) -> Result<Option<ScanRecord>, StoreError> {
        let query = doc! { "_id": to_bson(scan), "tenant": to_bson(tenant) };
        let found = self.collection(named::SCANS).find_one(query).in_time().await?;
        let Some(found) = found else { return Ok(None) };
        let fields = Fields(&found);
        let limit = usize::try_from(fields.int("shown_rows")?).unwrap_or(usize::MAX);
        let ScanSummary { id, filename, created_at, finished_at, duration_ms, .. } = summary(fields)?;
        let mut state = state(fields, report)?;
        if let ScanState::Done(report) = &mut state {
            report.threats = self.rows(fields, 0, limit).await?;
        }
        Ok(Some(ScanRecord { id, filename, created_at, finished_at, duration_ms, limit, state }))
    }

    async fn scan_threats(
        &self,
        tenant: TenantId,
        scan: ScanId,
        after: u64,
        limit: usize,
    ) -> Result<Option<ScanState<Page<Anomaly, u64>>>, StoreError> {
        let query = doc! { "_id": to_bson(scan), "tenant": to_bson(tenant) };
        let found = self.collection(named::SCANS).find_one(query).in_time().await?;
        let Some(found) = found else { return Ok(None) };
        let fields = Fields(&found);
        let state = state(fields, |_| Ok(()))?;
        if state != ScanState::Done(()) {
            return Ok(Some(state.map(|()| Page { items: Vec::new(), next: None })));
        }
        let mut items = self.rows(fields, after, limit.saturating_add(1)).await?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = has_more.then(|| after + limit as u64);
        Ok(Some(ScanState::Done(Page { items, next })))
    }

    async fn scans(
        &self,
        tenant: TenantId,
        limit: usize,
        before: Option<ScanId>,
    ) -> Result<Page<ScanSummary>, StoreError> {
        let mut query = doc! { "tenant": to_bson(tenant) };
        if let Some(before) = before {
            query.insert("_id", doc! { "$lt": to_bson(before) });
        }
        let most = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let scans = self.collection(named::SCANS);
        let found = scans.find(query).sort(doc! { "_id": -1 }).limit(most);
        let found = found.projection(doc! { "report": 0, "options": 0 });
        let mut found = found.in_time().await?;
        let mut items = Vec::new();
        while found.advance().in_time().await? {
            items.push(summary(Fields(found.current()))?);
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(|last| last.id);
        Ok(Page { items, next })
    }

    async fn unfinished_scans(&self) -> Result<Vec<UnfinishedScan>, StoreError> {
        let own = doc! { "node": binary(&self.node.id()), "unfinished": true };
        let again = doc! { "$set": { "status": "queued" } };
        self.documents(named::SCANS).update_many(own.clone(), again).in_time().await?;
        let scans = self.collection(named::SCANS);
        let found = scans.find(own).sort(doc! { "_id": 1 });
        let mut found = found.in_time().await?;
        let mut unfinished = Vec::new();
        while found.advance().in_time().await? {
            unfinished.push(order(Fields(found.current()))?);
        }
        for scan in &unfinished {
            // What a process left behind that was killed while it wrote.
            self.remove_rows(all_of(scan.id)).await?;
        }
        Ok(unfinished)
    }
}

impl MongoStore {
    /// Changes a scan; `false` if none is as the query says.
    async fn change(&self, query: Document, update: Document) -> Result<bool, StoreError> {
        let changed = self.documents(named::SCANS).update_one(query, update).in_time().await?;
        Ok(changed.matched_count > 0)
    }

    async fn remove_rows(&self, which: Document) -> Result<(), StoreError> {
        let rows = self.documents(named::SCAN_THREATS);
        rows.delete_many(which).in_time().await.map(drop)
    }

    /// Returns rows of a scan that is done, by falling score, those behind the first `after`.
    async fn rows(&self, scan: Fields<'_>, after: u64, limit: usize) -> Result<Vec<Anomaly>, StoreError> {
        let of_scan = Rows { scan: scan.id("_id")?, content: to_bson(scan.id("content")?) };
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let collection = self.collection(named::SCAN_THREATS);
        let found = collection.find(of_scan.range(after));
        let mut found = found.sort(doc! { "_id": 1 }).limit(limit).in_time().await?;
        while found.advance().in_time().await? {
            rows.push(serde_json::from_str(Fields(found.current()).text("threat")?).map_err(damaged)?);
        }
        Ok(rows)
    }
}

/// The rows that one attempt at a scan has written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) scan: ScanId,
    /// Tells them from those of other attempts.
    pub(super) content: oid::ObjectId,
}

impl Rows {
    pub(super) fn id(self, rank: impl Into<Bson>) -> Document {
        doc! { "scan": to_bson(self.scan), "content": self.content, "rank": rank }
    }

    /// Returns the condition for the rows behind the first `after`.
    pub(super) fn range(self, after: u64) -> Document {
        doc! { "_id": { "$gte": self.id(int(after)), "$lt": self.id(Bson::MaxKey) } }
    }

    /// Returns documents of as many of the first rows as are kept, in pieces.
    fn written(self, threats: &[Anomaly]) -> Vec<Vec<Document>> {
        let mut pieces = Vec::new();
        let mut piece = Vec::new();
        let (mut kept_bytes, mut piece_bytes) = (0, 0);
        for (rank, threat) in (0_i64..).zip(threats.iter().take(KEPT_ROWS)) {
            let json = serde_json::to_string(threat).expect("a row is plain data");
            kept_bytes += json.len();
            if kept_bytes > KEPT_JSON_BYTES {
                break;
            }
            piece_bytes += json.len();
            piece.push(doc! { "_id": self.id(rank), "threat": json });
            if piece.len() == PIECE_ROWS || piece_bytes > PIECE_BYTES {
                pieces.push(std::mem::take(&mut piece));
                piece_bytes = 0;
            }
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        pieces
    }
}

/// Returns the condition for whatever attempts at a scan have written.
fn all_of(scan: ScanId) -> Document {
    let bound = |content: Bson| doc! { "scan": to_bson(scan), "content": content };
    doc! { "_id": { "$gte": bound(Bson::MinKey), "$lt": bound(Bson::MaxKey) } }
}

fn unfinished() -> Document {
    doc! { "$in": ["queued", "running"] }
}

fn attempts(fields: Fields<'_>) -> Result<u32, StoreError> {
    u32::try_from(fields.int("attempts")?).map_err(damaged)
}

fn summary(fields: Fields<'_>) -> Result<ScanSummary, StoreError> {
    Ok(ScanSummary {
        id: fields.id("_id")?,
        filename: fields.text("filename")?.to_owned(),
        created_at: fields.moment("created_at")?,
        finished_at: fields.moment_if_any("finished_at")?,
        duration_ms: fields.count("duration_ms")?,
        state: state(fields, figures)?,
    })
}

#[derive(Debug, Error)]
#[error("no scan can be in this state")]
struct UnknownState;

#[derive(Debug, Error)]
#[error("no engine has this name")]
struct UnknownEngine;

fn state<Found>(
    fields: Fields<'_>,
    found: impl FnOnce(Fields<'_>) -> Result<Found, StoreError>,
) -> Result<ScanState<Found>, StoreError> {
    match fields.text("status")? {
        "queued" => Ok(ScanState::Queued),
        "running" => Ok(ScanState::Running),
        "done" => found(fields).map(ScanState::Done),
        "failed" => Ok(ScanState::Failed(fields.text("error")?.to_owned())),
        "cancelled" => Ok(ScanState::Cancelled),
        _ => Err(damaged(UnknownState)),
    }
}

fn figures(fields: Fields<'_>) -> Result<ScanFigures, StoreError> {
    let engine = fields.text("engine")?;
    let engines = [ScanEngine::Autoencoder, ScanEngine::Statistical];
    let engine = engines.into_iter().find(|known| known.as_str() == engine);
    Ok(ScanFigures {
        engine: engine.ok_or_else(|| damaged(UnknownEngine))?,
        total_scanned: fields.count("total_scanned")?,
        threats_detected: fields.count("threats_detected")?,
        threshold_used: fields.double("threshold_used")?,
    })
}

fn report(fields: Fields<'_>) -> Result<ScanReport, StoreError> {
    serde_json::from_str(fields.text("report")?).map_err(damaged)
}

fn order(fields: Fields<'_>) -> Result<UnfinishedScan, StoreError> {
    let baseline = fields.text_if_any("baseline")?;
    let order = NewScan {
        tenant: fields.id("tenant")?,
        filename: fields.text("filename")?.to_owned(),
        options: serde_json::from_str(fields.text("options")?).map_err(damaged)?,
        baseline: baseline.map(str::parse).transpose().map_err(damaged)?,
        created_at: fields.moment("created_at")?,
    };
    Ok(UnfinishedScan { id: fields.id("_id")?, attempts: attempts(fields)?, order })
}
