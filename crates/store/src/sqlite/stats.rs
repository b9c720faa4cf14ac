//! Counts per tenant and minute: the counters of what is filed, and what is not filed yet besides.

use rusqlite::Connection;
use sentinelflow_domain::{analysis::Score, store::MinuteCounts};

use super::{errors::damaged, filing::NEWEST_FILED};

/// Returns the query for a tenant's minutes from one to before another.
pub(super) fn query() -> String {
    format!(
        "SELECT minute, sum(events), sum(threats), max(max_score) FROM (
             SELECT minute, events, threats, max_score FROM minute_counts
             WHERE tenant = ?1 AND minute >= ?2 AND minute < ?3
             UNION ALL
             SELECT received_at / 60000 AS minute, 1, score >= 20, score FROM logs
             WHERE id > {NEWEST_FILED} AND tenant = ?1 AND minute >= ?2 AND minute < ?3
         ) GROUP BY minute ORDER BY minute"
    )
}

pub(super) fn per_minute(
    connection: &Connection,
    tenant: i64,
    from: i64,
    to: i64,
) -> rusqlite::Result<Vec<MinuteCounts>> {
    let mut select = connection.prepare_cached(&query())?;
    let rows = select.query_map([tenant, from, to], |row| {
        Ok(MinuteCounts {
            minute: row.get(0)?,
            events: row.get(1)?,
            threats: row.get(2)?,
            max_score: Score::try_from(row.get::<_, u8>(3)?).map_err(|error| damaged(3, error))?,
        })
    })?;
    rows.collect()
}
