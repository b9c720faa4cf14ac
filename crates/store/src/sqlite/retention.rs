//! Removes what has expired, a few rows in one transaction, so that whoever records hardly waits. The file does not shrink:
//! new rows take the place of the old ones.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sentinelflow_domain::{
    store::{Expired, Removed, Retention, StoreError},
    tenant::{Plan, TenantId},
};

use super::{
    SqliteStore,
    filing::NEWEST_FILED,
    row_id::{Origins, second_of},
    writer::Batch,
};

#[async_trait]
impl Retention for SqliteStore {
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
        let remove = move |batch: &mut Batch<'_>| {
            batch.all_or_nothing(|batch| {
                remove(batch.connection, &origins, (tenant, plan), expired, int(at_most))
            })
        };
        self.writer.run(remove).await
    }
}

const TENANTS: &str = "SELECT id FROM tenants WHERE plan = ? AND id > ? ORDER BY id LIMIT ?";

pub(super) const EXCHANGES: &str = "DELETE FROM exchanges WHERE rowid IN
    (SELECT rowid FROM exchanges WHERE tenant = ? AND asked_at < ? LIMIT ?)";

/// Returns the query for the ids of logs that were received before a moment, whose ids run ahead by so much at most.
pub(super) fn expired_logs(origins: &Origins) -> String {
    let bound = format!("?2 + ((SELECT value FROM meta WHERE key = 'id_lead_s') + 1 << {})", origins.shift());
    format!(
        "SELECT id FROM filed_logs INDEXED BY filed_of_tenant CROSS JOIN logs USING (id)
         WHERE filed_logs.tenant = ?1 AND filed_logs.id < {bound} AND received_at < ?3
         UNION ALL
         SELECT id FROM logs WHERE id > {NEWEST_FILED} AND tenant = ?1 AND id < {bound} AND received_at < ?3
         LIMIT ?4"
    )
}

fn remove(
    connection: &Connection,
    origins: &Origins,
    (tenant, plan): (i64, Plan),
    Expired { received_before, asked_before }: Expired,
    at_most: i64,
) -> rusqlite::Result<Removed> {
    let has_plan = "SELECT 1 FROM tenants WHERE id = ? AND plan = ?";
    if !connection.prepare_cached(has_plan)?.exists(params![tenant, plan.as_str()])? {
        return Ok(Removed { logs: 0, is_all: true });
    }
    let first_row = origins.first_row_of(second_of(received_before));
    let mut expired = connection.prepare_cached(&expired_logs(origins))?;
    let ids = expired
        .query_map(params![tenant, first_row, received_before.as_millis(), at_most], |row| row.get(0))?;
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    for id in &ids {
        connection.prepare_cached("DELETE FROM filed_logs WHERE id = ?")?.execute([id])?;
        connection.prepare_cached("DELETE FROM logs WHERE id = ?")?.execute([id])?;
    }
    let is_last_log = int(ids.len()) < at_most;
    if is_last_log {
        connection
            .prepare_cached("DELETE FROM minute_counts WHERE tenant = ? AND minute < ?")?
            .execute([tenant, received_before.as_millis().div_euclid(60_000)])?;
    }
    let exchanges =
        connection.prepare_cached(EXCHANGES)?.execute(params![tenant, asked_before.as_millis(), at_most])?;
    Ok(Removed { logs: ids.len(), is_all: is_last_log && int(exchanges) < at_most })
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
