//! The flagged rows of scans: written and removed in pieces, read page by page.

use rusqlite::{Connection, OptionalExtension as _};
use sentinelflow_domain::{
    scan::Anomaly,
    store::{KEPT_JSON_BYTES, KEPT_ROWS, Page, ScanState},
};

use super::read;
use crate::sqlite::{errors::damaged, writer::Batch};

/// How much of a scan's rows one transaction takes: a few milliseconds of the one writing thread.
const PIECE_ROWS: usize = 500;
const PIECE_BYTES: usize = 512 << 10;

/// Some of a scan's rows as JSON, with the place of the first.
pub(super) struct Piece {
    first: usize,
    threats: Vec<String>,
}

/// Returns as many of the first rows as are kept, in pieces.
pub(super) fn write(threats: &[Anomaly]) -> serde_json::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut piece = Piece { first: 0, threats: Vec::new() };
    let (mut kept_bytes, mut piece_bytes) = (0, 0);
    for (rank, threat) in threats.iter().take(KEPT_ROWS).enumerate() {
        let json = serde_json::to_string(threat)?;
        kept_bytes += json.len();
        if kept_bytes > KEPT_JSON_BYTES {
            break;
        }
        if piece.threats.len() == PIECE_ROWS || piece_bytes + json.len() > PIECE_BYTES {
            let next = Piece { first: rank, threats: Vec::new() };
            pieces.push(std::mem::replace(&mut piece, next));
            piece_bytes = 0;
        }
        piece_bytes += json.len();
        piece.threats.push(json);
    }
    pieces.push(piece);
    Ok(pieces)
}

/// Adds a piece if the scan is still running.
pub(super) fn insert(batch: &mut Batch<'_>, scan: i64, piece: &Piece) -> rusqlite::Result<bool> {
    let is_running = batch
        .connection
        .prepare_cached("SELECT 1 FROM scans WHERE id = ? AND status = 'running'")?
        .exists([scan])?;
    if !is_running {
        return Ok(false);
    }
    batch.all_or_nothing(|batch| {
        let mut insert = batch
            .connection
            .prepare_cached("INSERT OR REPLACE INTO scan_threats (scan, rank, threat) VALUES (?, ?, ?)")?;
        for (rank, threat) in (piece.first..).zip(&piece.threats) {
            insert.execute((scan, i64::try_from(rank).unwrap_or(i64::MAX), threat))?;
        }
        Ok(true)
    })
}

/// Removes a piece of what a scan has that is not done; `false` if there was nothing left.
pub(super) fn remove_some(connection: &Connection, scan: i64) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM scan_threats WHERE scan = ?1
             AND rank < (SELECT min(rank) FROM scan_threats WHERE scan = ?1) + ?2
             AND NOT EXISTS (SELECT 1 FROM scans WHERE id = ?1 AND status = 'done')",
        )?
        .execute([scan, i64::try_from(PIECE_ROWS).unwrap_or(i64::MAX)])?;
    Ok(removed > 0)
}

/// Returns the scans that have rows without being done.
pub(super) fn left_behind(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    // It jumps from scan to scan instead of reading every row.
    let mut select = connection.prepare(
        "WITH RECURSIVE stored (scan) AS (
             SELECT min(scan) FROM scan_threats
             UNION ALL
             SELECT (SELECT min(scan) FROM scan_threats WHERE scan > stored.scan) FROM stored
             WHERE stored.scan IS NOT NULL
         )
         SELECT scan FROM stored WHERE scan IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM scans WHERE id = stored.scan AND status = 'done')",
    )?;
    select.query_map([], |row| row.get(0))?.collect()
}

/// Returns rows of a tenant's scan, if it is done.
pub(super) fn page(
    connection: &Connection,
    tenant: i64,
    scan: i64,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Option<ScanState<Page<Anomaly, u64>>>> {
    let snapshot = connection.unchecked_transaction()?;
    let found = snapshot
        .prepare_cached(&format!("SELECT {} FROM scans WHERE id = ? AND tenant = ?", read::COLUMNS))?
        .query_row([scan, tenant], |row| read::state(row, |_| Ok(())))
        .optional()?;
    let Some(state) = found else { return Ok(None) };
    let mut items = of_scan(&snapshot, scan, after, limit.saturating_add(1))?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = has_more.then(|| after + limit as u64);
    Ok(Some(state.map(|()| Page { items, next })))
}

/// Returns rows of a scan by falling score, those behind the first `after`.
pub(super) fn of_scan(
    connection: &Connection,
    scan: i64,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Anomaly>> {
    let mut select = connection.prepare_cached(
        "SELECT threat FROM scan_threats WHERE scan = ? AND rank >= ? ORDER BY rank LIMIT ?",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = select.query_map([scan, after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let json = row.get_ref(0)?.as_str().map_err(|error| damaged(0, error))?;
        serde_json::from_str(json).map_err(|error| damaged(0, error))
    })?;
    rows.collect()
}
