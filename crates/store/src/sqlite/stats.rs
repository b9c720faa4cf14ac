//! Counters per tenant and minute, written in the transaction of the logs that they count.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use sentinelflow_domain::{analysis::Score, store::MinuteCounts, time::Timestamp};

use super::errors::damaged;

/// What one transaction adds, so that each counter is touched once however many logs it holds.
#[derive(Debug, Default)]
pub(super) struct MinuteTally(BTreeMap<(i64, i64), Added>);

#[derive(Debug, Default)]
struct Added {
    events: i64,
    threats: i64,
    max_score: u8,
}

impl MinuteTally {
    pub(super) fn add(&mut self, tenant: i64, received_at: Timestamp, score: Score) {
        let added = self.0.entry((tenant, received_at.as_minutes())).or_default();
        added.events += 1;
        added.threats += i64::from(score.is_threat());
        added.max_score = added.max_score.max(score.value());
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO minute_counts (tenant, minute, events, threats, max_score) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (tenant, minute) DO UPDATE SET
                 events = events + excluded.events,
                 threats = threats + excluded.threats,
                 max_score = max(max_score, excluded.max_score)",
        )?;
        for ((tenant, minute), Added { events, threats, max_score }) in &self.0 {
            upsert.execute(params![tenant, minute, events, threats, max_score])?;
        }
        Ok(())
    }
}

pub(super) const PER_MINUTE: &str = "SELECT minute, events, threats, max_score FROM minute_counts
     WHERE tenant = ? AND minute >= ? AND minute < ? ORDER BY minute";

pub(super) fn per_minute(
    connection: &Connection,
    tenant: i64,
    from: i64,
    to: i64,
) -> rusqlite::Result<Vec<MinuteCounts>> {
    let mut select = connection.prepare_cached(PER_MINUTE)?;
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
