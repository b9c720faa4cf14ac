//! Logs as documents, and the queries for them. Each names its tenant first, as the shard key and the indexes do.

use std::sync::Arc;

use mongodb::{
    bson::{Document, RawDocument, RawDocumentBuf, doc, raw::cstr},
    options::Hint,
};
use sentinelflow_domain::{
    analysis::{Analysis, Severity},
    id::ObjectId,
    log_entry::{LogEntry, Message, Metadata, Source},
    store::{IdempotencyKey, LogFilter, LogRecord, NewLog, StatusFilter, StoreError},
    tenant::TenantId,
    time::Timestamp,
};

use super::{
    errors::damaged,
    fields::{Fields, millis},
    ids::{first_of_second, to_bson},
};

/// A threat that nobody has resolved has this `status`, what was resolved has the other, and the rest has none and
/// stands in no index but the first.
pub(super) const ACTIVE: &str = "active";
pub(super) const RESOLVED: &str = "resolved";

/// The indexes' names; exchanges have the first, too.
pub(super) const BY_AGE: &str = "of_tenant_by_age";
pub(super) const BY_STATUS: &str = "of_tenant_by_status";

/// What a document says of an analysis.
pub(super) fn json_of(analysis: &Analysis) -> String {
    serde_json::to_string(analysis).expect("an analysis is plain data")
}

/// Returns a log's document; `json` is its analysis as `json_of` makes it.
pub(super) fn document(id: ObjectId, log: &NewLog, json: &str) -> RawDocumentBuf {
    let NewLog { tenant, entry, analysis, received_at, .. } = log;
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), to_bson(id));
    document.append(cstr!("tenant"), to_bson(*tenant));
    if analysis.score.is_threat() {
        document.append(cstr!("status"), ACTIVE);
    }
    document.append(cstr!("received_at"), millis(*received_at));
    if let Some(timestamp) = entry.timestamp {
        document.append(cstr!("timestamp"), millis(timestamp));
    }
    document.append(cstr!("event_id"), entry.event_id);
    document.append(cstr!("score"), i32::from(analysis.score.value()));
    document.append(cstr!("category"), analysis.category.as_str());
    document.append(cstr!("severity_level"), entry.severity_level.as_str());
    document.append(cstr!("source"), entry.source.as_str());
    document.append(cstr!("message"), entry.message.as_str());
    document.append(cstr!("metadata"), entry.metadata.as_str());
    document.append(cstr!("summary"), &*analysis.summary);
    document.append(cstr!("analysis"), json);
    document
}

pub(super) fn record(document: &RawDocument) -> Result<LogRecord, StoreError> {
    let fields = Fields(document);
    let entry = LogEntry {
        timestamp: fields.moment_if_any("timestamp")?,
        event_id: fields.int("event_id")?,
        severity_level: fields.text("severity_level")?.parse().map_err(damaged)?,
        source: Source::try_from(fields.text("source")?.to_owned()).map_err(damaged)?,
        message: Message::try_from(fields.text("message")?.to_owned()).map_err(damaged)?,
        metadata: Metadata::parse(fields.text("metadata")?).map_err(damaged)?,
    };
    let mut analysis: Analysis = serde_json::from_str(fields.text("analysis")?).map_err(damaged)?;
    analysis.summary = fields.text("summary")?.to_owned().into();
    Ok(LogRecord {
        id: fields.id("_id")?,
        entry,
        analysis: Arc::new(analysis),
        received_at: fields.moment("received_at")?,
        resolved_at: fields.moment_if_any("resolved_at")?,
    })
}

/// Returns the id of an idempotency key's document.
pub(super) fn key_id(tenant: TenantId, key: &IdempotencyKey) -> Document {
    doc! { "tenant": to_bson(tenant), "key": key.as_str() }
}

/// Returns which index lists logs of a status by age.
pub(super) fn hint(status: StatusFilter) -> Hint {
    let name = match status {
        StatusFilter::Active | StatusFilter::Resolved => BY_STATUS,
        StatusFilter::All => BY_AGE,
    };
    Hint::Name(name.to_owned())
}

/// Returns the condition for the logs that the filter lets through; ids may be so many seconds ahead of the receipt.
pub(super) fn query(tenant: TenantId, filter: &LogFilter, lead_s: u32) -> Document {
    let mut query = doc! { "tenant": to_bson(tenant) };
    match filter.status {
        StatusFilter::Active => query.insert("status", ACTIVE),
        StatusFilter::Resolved => query.insert("status", RESOLVED),
        StatusFilter::All => None,
    };
    let mut below = filter.before;
    let mut received = Document::new();
    if let Some(until) = filter.until {
        let ahead = i64::from(lead_s).saturating_add(1).saturating_mul(1000);
        let end = first_of_second(Timestamp::from_millis(until.as_millis().saturating_add(ahead)));
        below = Some(below.map_or(end, |before| before.min(end)));
        received.insert("$lt", millis(until));
    }
    let mut ids = Document::new();
    if let Some(below) = below {
        ids.insert("$lt", to_bson(below));
    }
    if let Some(since) = filter.since {
        // No id is behind its log's receipt, so the range of ids holds every log of the range of time.
        ids.insert("$gte", to_bson(first_of_second(since)));
        received.insert("$gte", millis(since));
    }
    if !ids.is_empty() {
        query.insert("_id", ids);
    }
    if !received.is_empty() {
        query.insert("received_at", received);
    }
    let lowest = filter.severity.map(Severity::lowest_score).max(filter.min_score);
    let highest = filter.severity.map(Severity::highest_score);
    let mut scores = Document::new();
    if let Some(lowest) = lowest {
        scores.insert("$gte", i32::from(lowest.value()));
    }
    if let Some(highest) = highest {
        scores.insert("$lte", i32::from(highest.value()));
    }
    if !scores.is_empty() {
        query.insert("score", scores);
    }
    if let Some(category) = filter.category {
        query.insert("category", category.as_str());
    }
    if let Some(source) = &filter.source {
        query.insert("source", source.as_str());
    }
    if let Some(text) = &filter.text {
        // `$toLower` folds ASCII only, and `$indexOfBytes` knows no wildcards.
        let text = text.to_ascii_lowercase();
        let holds = |field: &str| {
            let place = doc! { "$indexOfBytes": [{ "$toLower": field }, { "$literal": text.as_str() }] };
            doc! { "$gte": [place, 0] }
        };
        query.insert("$expr", doc! { "$or": [holds("$message"), holds("$source"), holds("$summary")] });
    }
    query
}
