//! Removes what has expired, a few rows in one transaction, so that whoever records hardly waits. The file does not shrink:
//! new rows take the place of the old ones.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sentinelflow_domain::{
    store::{Expired, Removed, Retention, StoreError},
    tenant::{Plan, TenantId},
    time::Timestamp,
};

use super::{
    SqliteStore,
    filing::NEWEST_FILED,
    row_id::{Origins, second_of},
    writer::Batch,
};

#[async_trait]
impl Retention for SqliteStore {
    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn tenants_of(
        &self,
        plan: Plan,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        let origins = self.origins.clone();
        let after = after.map_or(i64::MIN, |after| origins.row_up_to(after));
        let read = move |connection: &Connection| {
            let mut tenants = connection.prepare_cached(TENANTS)?;
            let rows = tenants.query_map(params![plan.as_str(), after, int(limit)], |row| row.get(0))?;
            rows.map(|row| row.map(|row| origins.id(row))).collect()
        };
        self.readers.run(read).await
    }

    async fn remove_expired(
        &self,
        tenant: TenantId,
        plan: Plan,
        expired: Expired,
        at_most: usize,
    ) -> Result<Removed, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(Removed { logs: 0, is_all: true }) };
        let origins = self.origins.clone();
        let find = move |connection: &Connection| Piece::find(connection, &origins, tenant, expired, at_most);
        let piece = self.readers.run(find).await?;
        let remove = move |batch: &mut Batch<'_>| {
            batch.all_or_nothing(|batch| piece.remove(batch.connection, tenant, plan, expired, at_most))
        };
        self.writer.run(remove).await
    }
}

const TENANTS: &str = "SELECT id FROM tenants WHERE plan = ? AND id > ? ORDER BY id LIMIT ?";

pub(super) const EXCHANGES: &str = "DELETE FROM exchanges WHERE rowid IN
    (SELECT rowid FROM exchanges WHERE tenant = ? AND asked_at < ? LIMIT ?)";

/// Returns the queries for the ids of logs that were received before a moment, whose ids run ahead by so much at most:
/// those that are filed, and those that are not, which are newer.
pub(super) fn expired_logs(origins: &Origins) -> [String; 2] {
    let bound = format!("?2 + ((SELECT value FROM meta WHERE key = 'id_lead_s') + 1 << {})", origins.shift());
    [
        format!(
            "SELECT id FROM filed_logs INDEXED BY filed_of_tenant CROSS JOIN logs USING (id)
             WHERE filed_logs.tenant = ?1 AND filed_logs.id < {bound} AND received_at < ?3
             ORDER BY filed_logs.id LIMIT ?4"
        ),
        format!(
            "SELECT id FROM logs WHERE id > {NEWEST_FILED} AND tenant = ?1 AND id < {bound} AND received_at < ?3
             ORDER BY id LIMIT ?4"
        ),
    ]
}

/// The oldest of a tenant's logs that are expired.
struct Piece {
    ids: Vec<i64>,
    /// Once they are gone, no log of the minutes before this one is left.
    gone_before: i64,
}

impl Piece {
    fn find(
        connection: &Connection,
        origins: &Origins,
        tenant: i64,
        Expired { received_before, .. }: Expired,
        at_most: usize,
    ) -> rusqlite::Result<Self> {
        let first_row = origins.first_row_of(second_of(received_before));
        let mut ids: Vec<i64> = Vec::new();
        for query in expired_logs(origins) {
            let room = int(at_most - ids.len());
            let mut expired = connection.prepare_cached(&query)?;
            let found = expired
                .query_map(params![tenant, first_row, received_before.as_millis(), room], |row| row.get(0))?;
            for id in found {
                ids.push(id?);
            }
        }
        let end = minute_of(received_before.as_millis());
        let gone_before = match ids.last() {
            Some(last) if ids.len() == at_most => {
                let lead = "SELECT value FROM meta WHERE key = 'id_lead_s'";
                let lead_s: i64 = connection.query_row(lead, [], |row| row.get(0))?;
                end.min(minute_of((i64::from(origins.id(*last).seconds()) - lead_s) * 1000))
            }
            _ => end,
        };
        Ok(Self { ids, gone_before })
    }

    fn remove(
        self,
        connection: &Connection,
        tenant: i64,
        plan: Plan,
        Expired { asked_before, .. }: Expired,
        at_most: usize,
    ) -> rusqlite::Result<Removed> {
        let has_plan = "SELECT 1 FROM tenants WHERE id = ? AND plan = ?";
        if !connection.prepare_cached(has_plan)?.exists(params![tenant, plan.as_str()])? {
            return Ok(Removed { logs: 0, is_all: true });
        }
        let mut logs = 0;
        for id in &self.ids {
            connection.prepare_cached("DELETE FROM filed_logs WHERE id = ?")?.execute([id])?;
            logs += connection.prepare_cached("DELETE FROM logs WHERE id = ?")?.execute([id])?;
        }
        connection
            .prepare_cached("DELETE FROM minute_counts WHERE tenant = ? AND minute < ?")?
            .execute([tenant, self.gone_before])?;
        let exchanges = connection.prepare_cached(EXCHANGES)?.execute(params![
            tenant,
            asked_before.as_millis(),
            int(at_most)
        ])?;
        let is_all = self.ids.len() < at_most && exchanges < at_most;
        Ok(Removed { logs: logs as u64, is_all })
    }
}

fn minute_of(millis: i64) -> i64 {
    millis.div_euclid(60_000)
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
