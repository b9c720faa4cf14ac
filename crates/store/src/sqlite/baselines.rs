//! Baselines: what was learned is opaque here.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sentinelflow_domain::{
    store::{
        BaselineBook, BaselineName, BaselinePut, BaselineSummary, MOST_BASELINES, NewBaseline, StoreError,
    },
    tenant::TenantId,
    time::Timestamp,
};

use super::{SqliteStore, errors::damaged};

#[async_trait]
impl BaselineBook for SqliteStore {
    async fn put_baseline(&self, baseline: NewBaseline) -> Result<BaselinePut, StoreError> {
        let tenant = self.origins.row(baseline.tenant).ok_or(StoreError::Conflict)?;
        self.writer.run(move |batch| put(batch.connection, tenant, &baseline)).await
    }

    async fn baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(None) };
        let name = name.clone();
        self.readers
            .run(move |connection| {
                connection
                    .prepare_cached("SELECT bytes FROM baselines WHERE tenant = ? AND name = ?")?
                    .query_row(params![tenant, name.as_str()], |row| row.get(0))
                    .optional()
            })
            .await
    }

    async fn baselines(&self, tenant: TenantId) -> Result<Vec<BaselineSummary>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(Vec::new()) };
        self.readers.run(move |connection| list(connection, tenant)).await
    }

    async fn remove_baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<bool, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(false) };
        let name = name.clone();
        self.writer
            .run(move |batch| {
                let removed = batch
                    .connection
                    .prepare_cached("DELETE FROM baselines WHERE tenant = ? AND name = ?")?
                    .execute(params![tenant, name.as_str()])?;
                Ok(removed > 0)
            })
            .await
    }
}

fn put(connection: &Connection, tenant: i64, baseline: &NewBaseline) -> rusqlite::Result<BaselinePut> {
    let (is_taken, count): (bool, u64) = connection
        .prepare_cached("SELECT coalesce(max(name = ?2), 0), count(*) FROM baselines WHERE tenant = ?1")?
        .query_row(params![tenant, baseline.name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if is_taken {
        return Ok(BaselinePut::NameTaken);
    }
    if count >= MOST_BASELINES as u64 {
        return Ok(BaselinePut::TooMany);
    }
    connection
        .prepare_cached(
            "INSERT INTO baselines (tenant, name, created_at, rows, size_bytes, filename, bytes)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            tenant,
            baseline.name.as_str(),
            baseline.created_at.as_millis(),
            baseline.rows,
            baseline.bytes.len() as u64,
            baseline.filename,
            baseline.bytes,
        ])?;
    Ok(BaselinePut::Stored)
}

fn list(connection: &Connection, tenant: i64) -> rusqlite::Result<Vec<BaselineSummary>> {
    let mut select = connection.prepare_cached(
        "SELECT name, created_at, rows, size_bytes, filename FROM baselines WHERE tenant = ? ORDER BY name",
    )?;
    select.query_map([tenant], summary)?.collect()
}

fn summary(row: &Row<'_>) -> rusqlite::Result<BaselineSummary> {
    let name = row.get_ref(0)?.as_str().map_err(|error| damaged(0, error))?;
    Ok(BaselineSummary {
        name: name.parse().map_err(|error| damaged(0, error))?,
        created_at: Timestamp::from_millis(row.get(1)?),
        rows: row.get(2)?,
        size_bytes: row.get(3)?,
        filename: row.get(4)?,
    })
}
