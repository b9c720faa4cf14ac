//! Finished scans: the report whole, and beside it what a list of scans shows.

use rusqlite::{Connection, Row, params};
use sentinelflow_domain::time::Timestamp;
use sentinelflow_domain::{
    id::ObjectId,
    scan::ScanEngine,
    store::{NewScan, Page, ScanSummary},
};
use thiserror::Error;

use super::{errors::damaged, row_id::Origin, writer::Batch};

pub(super) fn insert(
    batch: &mut Batch<'_>,
    tenant: i64,
    scan: &NewScan,
    report_json: &str,
) -> rusqlite::Result<ObjectId> {
    let id = batch.mint(scan.finished_at);
    batch
        .connection
        .prepare_cached(
            "INSERT INTO scans (id, tenant, finished_at, duration_ms, engine, total_scanned, threats_detected,
                                threshold_used, filename, report)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            tenant,
            scan.finished_at.as_millis(),
            scan.duration_ms,
            scan.report.engine.as_str(),
            scan.report.total_scanned,
            scan.report.threats_detected,
            scan.report.threshold_used,
            scan.filename,
            report_json,
        ])?;
    Ok(batch.origin().id(id))
}

pub(super) fn list(
    connection: &Connection,
    origin: Origin,
    tenant: i64,
    limit: usize,
    before: Option<ObjectId>,
) -> rusqlite::Result<Page<ScanSummary>> {
    let before = before.map_or(i64::MAX, |id| origin.rows_before(id));
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let mut select = connection.prepare_cached(LIST)?;
    let rows = select.query_map([tenant, before, one_more], |row| summary(origin, row))?;
    let mut items = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|last| last.id);
    Ok(Page { items, next })
}

pub(super) const LIST: &str =
    "SELECT id, filename, finished_at, duration_ms, engine, total_scanned, threats_detected, threshold_used
     FROM scans INDEXED BY scans_of_tenant WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?";

#[derive(Debug, Error)]
#[error("no engine has this name")]
struct UnknownEngine;

fn summary(origin: Origin, row: &Row<'_>) -> rusqlite::Result<ScanSummary> {
    let engine: String = row.get(4)?;
    let engines = [ScanEngine::Autoencoder, ScanEngine::Statistical];
    Ok(ScanSummary {
        id: origin.id(row.get(0)?),
        filename: row.get(1)?,
        finished_at: Timestamp::from_millis(row.get(2)?),
        duration_ms: row.get(3)?,
        engine: engines
            .into_iter()
            .find(|known| known.as_str() == engine)
            .ok_or_else(|| damaged(4, UnknownEngine))?,
        total_scanned: row.get(5)?,
        threats_detected: row.get(6)?,
        threshold_used: row.get(7)?,
    })
}
