//! Files logs: enters them into the lists of their tenants and the counters of their minutes, for hundreds at once.
//!
//! A log is durable once its row is. What is derived from the rows can follow later, because whoever reads lists or
//! counters reads the few rows that are not filed besides, in the same snapshot. So nothing can drift: what is filed is
//! computed from the rows in one transaction, and a crash only leaves more to read.

use rusqlite::{Connection, OptionalExtension as _, params};
use sentinelflow_domain::analysis::Score;

/// So many logs may wait. A page of index is then written once for several commits, and a read of what waits still takes
/// a fraction of a millisecond.
const MOST_UNFILED: usize = 256;

/// The id above which logs are not filed, as an SQL expression.
pub(super) const NEWEST_FILED: &str = "(SELECT coalesce(max(id), 0) FROM filed_logs)";

/// How many logs wait to be filed; too high a number is harmless.
#[derive(Debug)]
pub(super) struct Unfiled(usize);

impl Unfiled {
    /// Nobody has counted what waits, as when a database was just opened.
    pub(super) fn unknown() -> Self {
        Self(MOST_UNFILED)
    }

    pub(super) fn add_one(&mut self) {
        self.0 += 1;
    }

    /// Files what waits if it is enough, in the transaction that is open.
    pub(super) fn file_if_many(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.0 >= MOST_UNFILED {
            file(connection)?;
            self.0 = 0;
        }
        Ok(())
    }
}

/// Follows a log whose score was raised. One that is not filed yet needs nothing: it will be filed as it is then.
pub(super) fn raise(connection: &Connection, log: i64, score: Score) -> rusqlite::Result<()> {
    let score = score.value();
    let becomes_threat: Option<bool> = connection
        .prepare_cached("SELECT score < 20 AND ?2 >= 20 FROM filed_logs WHERE id = ?1 AND score < ?2")?
        .query_row(params![log, score], |row| row.get(0))
        .optional()?;
    let Some(becomes_threat) = becomes_threat else { return Ok(()) };
    connection
        .prepare_cached("UPDATE filed_logs SET score = ? WHERE id = ?")?
        .execute(params![score, log])?;
    connection
        .prepare_cached(
            "UPDATE minute_counts SET threats = threats + ?, max_score = max(max_score, ?)
             WHERE (tenant, minute) = (SELECT tenant, received_at / 60000 FROM logs WHERE id = ?)",
        )?
        .execute(params![becomes_threat, score, log])
        .map(drop)
}

/// Files every log that waits, in the transaction that is open.
fn file(connection: &Connection) -> rusqlite::Result<()> {
    // The transaction does not outlive a failure here. `OR FAIL` tells SQLite so, which otherwise copies each page aside
    // to be able to undo one statement alone.
    //
    // A minute counts logs by their receipt, which is after 1970, so that a division rounds down.
    connection
        .prepare_cached(&format!(
            "INSERT OR FAIL INTO minute_counts (tenant, minute, events, threats, max_score)
             SELECT tenant, received_at / 60000, count(*), sum(score >= 20), max(score) FROM logs
             WHERE id > {NEWEST_FILED} GROUP BY 1, 2
             ON CONFLICT (tenant, minute) DO UPDATE SET
                 events = events + excluded.events,
                 threats = threats + excluded.threats,
                 max_score = max(max_score, excluded.max_score)"
        ))?
        .execute([])?;
    connection
        .prepare_cached(&format!(
            "INSERT OR FAIL INTO filed_logs (id, tenant, score, resolved_at)
             SELECT id, tenant, score, resolved_at FROM logs WHERE id > {NEWEST_FILED} ORDER BY id"
        ))?
        .execute([])
        .map(drop)
}
