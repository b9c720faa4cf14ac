//! Reads scans back.

use rusqlite::{Connection, OptionalExtension as _, Row};
use sentinelflow_domain::{
    scan::{ScanEngine, ScanReport},
    store::{NewScan, Page, ScanFigures, ScanId, ScanRecord, ScanState, ScanSummary, UnfinishedScan},
    time::Timestamp,
};
use thiserror::Error;

use super::rows;
use crate::sqlite::{errors::damaged, row_id::Origins};

pub(super) fn list(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    limit: usize,
    before: Option<ScanId>,
) -> rusqlite::Result<Page<ScanSummary>> {
    let before = before.map_or(i64::MAX, |id| origins.rows_before(id));
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let mut select = connection.prepare_cached(&list_query())?;
    let rows = select.query_map([tenant, before, one_more], |row| summary(origins, row))?;
    let mut items = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|last| last.id);
    Ok(Page { items, next })
}

/// Returns the query for a tenant's scans, newest first.
pub(in crate::sqlite) fn list_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM scans INDEXED BY scans_of_tenant WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?"
    )
}

/// Returns a tenant's scan with the rows that its answer shows.
pub(super) fn one(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    id: i64,
) -> rusqlite::Result<Option<ScanRecord>> {
    let snapshot = connection.unchecked_transaction()?;
    let found = snapshot
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, shown_rows, report FROM scans WHERE id = ? AND tenant = ?"
        ))?
        .query_row([id, tenant], |row| record(origins, row))
        .optional()?;
    let Some(mut scan) = found else { return Ok(None) };
    if let ScanState::Done(report) = &mut scan.state {
        report.threats = rows::of_scan(&snapshot, id, 0, scan.limit)?;
    }
    Ok(Some(scan))
}

pub(super) const COLUMNS: &str = "id, filename, created_at, finished_at, duration_ms, status, error,
     engine, total_scanned, threats_detected, threshold_used";
const SHOWN_ROWS: usize = 11;
const REPORT: usize = 12;

#[derive(Debug, Error)]
#[error("no engine has this name")]
struct UnknownEngine;

#[derive(Debug, Error)]
#[error("no scan can be in this state")]
struct UnknownState;

fn summary(origins: &Origins, row: &Row<'_>) -> rusqlite::Result<ScanSummary> {
    Ok(ScanSummary {
        id: origins.id(row.get(0)?),
        filename: row.get(1)?,
        created_at: Timestamp::from_millis(row.get(2)?),
        finished_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        duration_ms: row.get(4)?,
        state: state(row, figures)?,
    })
}

fn record(origins: &Origins, row: &Row<'_>) -> rusqlite::Result<ScanRecord> {
    let ScanSummary { id, filename, created_at, finished_at, duration_ms, state: _ } = summary(origins, row)?;
    let limit = row.get::<_, u64>(SHOWN_ROWS)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(ScanRecord { id, filename, created_at, finished_at, duration_ms, limit, state: state(row, report)? })
}

pub(super) fn state<Found>(
    row: &Row<'_>,
    found: impl FnOnce(&Row<'_>) -> rusqlite::Result<Found>,
) -> rusqlite::Result<ScanState<Found>> {
    match row.get_ref(5)?.as_str().map_err(|error| damaged(5, error))? {
        "queued" => Ok(ScanState::Queued),
        "running" => Ok(ScanState::Running),
        "done" => found(row).map(ScanState::Done),
        "failed" => row.get(6).map(ScanState::Failed),
        "cancelled" => Ok(ScanState::Cancelled),
        _ => Err(damaged(5, UnknownState)),
    }
}

fn figures(row: &Row<'_>) -> rusqlite::Result<ScanFigures> {
    let engine: String = row.get(7)?;
    let engines = [ScanEngine::Autoencoder, ScanEngine::Statistical];
    Ok(ScanFigures {
        engine: engines
            .into_iter()
            .find(|known| known.as_str() == engine)
            .ok_or_else(|| damaged(7, UnknownEngine))?,
        total_scanned: row.get(8)?,
        threats_detected: row.get(9)?,
        threshold_used: row.get(10)?,
    })
}

fn report(row: &Row<'_>) -> rusqlite::Result<ScanReport> {
    let json = row.get_ref(REPORT)?.as_str().map_err(|error| damaged(REPORT, error))?;
    serde_json::from_str(json).map_err(|error| damaged(REPORT, error))
}

/// Returns the scans that have not ended, the oldest first.
pub(super) fn unfinished(
    connection: &Connection,
    origins: &Origins,
) -> rusqlite::Result<Vec<UnfinishedScan>> {
    let mut select = connection.prepare(
        "SELECT id, attempts, tenant, filename, options, baseline, created_at FROM scans
         WHERE status IN ('queued', 'running') ORDER BY id",
    )?;
    let rows = select.query_map([], |row| {
        let options = row.get_ref(4)?.as_str().map_err(|error| damaged(4, error))?;
        let baseline: Option<String> = row.get(5)?;
        let order = NewScan {
            tenant: origins.id(row.get(2)?),
            filename: row.get(3)?,
            options: serde_json::from_str(options).map_err(|error| damaged(4, error))?,
            baseline: baseline.map(|name| name.parse()).transpose().map_err(|error| damaged(5, error))?,
            created_at: Timestamp::from_millis(row.get(6)?),
        };
        Ok(UnfinishedScan { id: origins.id(row.get(0)?), attempts: row.get(1)?, order })
    })?;
    rows.collect()
}
