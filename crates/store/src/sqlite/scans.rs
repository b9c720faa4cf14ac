//! Scans: what becomes of them (here), how they are read back (`read`), and their flagged rows (`rows`).

mod read;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sentinelflow_domain::{
    scan::Anomaly,
    store::{
        BaselineName, Discarded, FinishedScan, NewScan, Page, ScanArchive, ScanFailure, ScanId, ScanRecord,
        ScanState, ScanSummary, StoreError, UnfinishedScan,
    },
    tenant::TenantId,
    time::Timestamp,
};

#[cfg(test)]
pub(super) use self::read::list_query;
use super::{SqliteStore, writer::Batch};

#[async_trait]
impl ScanArchive for SqliteStore {
    async fn enqueue_scan(&self, scan: NewScan) -> Result<ScanId, StoreError> {
        let tenant = self.origins.row(scan.tenant).ok_or(StoreError::Conflict)?;
        let options = serde_json::to_string(&scan.options).map_err(unwritable)?;
        let id = self.writer.run(move |batch| insert(batch, tenant, &scan, &options)).await?;
        Ok(self.origins.id(id))
    }

    async fn start_scan(&self, scan: ScanId) -> Result<Option<u32>, StoreError> {
        let Some(id) = self.origins.row(scan) else { return Ok(None) };
        self.writer
            .run(move |batch| {
                batch.connection.prepare_cached(START)?.query_row([id], |row| row.get(0)).optional()
            })
            .await
    }

    async fn put_back_scan(&self, scan: ScanId) -> Result<(), StoreError> {
        let Some(id) = self.origins.row(scan) else { return Ok(()) };
        self.writer.run(move |batch| batch.connection.prepare_cached(PUT_BACK)?.execute([id]).map(drop)).await
    }

    async fn finish_scan(&self, scan: ScanId, finished: Arc<FinishedScan>) -> Result<bool, StoreError> {
        let Some(id) = self.origins.row(scan) else { return Ok(false) };
        let written = {
            let finished = Arc::clone(&finished);
            tokio::task::spawn_blocking(move || rows::write(&finished.threats))
        };
        let pieces = written.await.map_err(unwritable)?.map_err(unwritable)?;
        let report = serde_json::to_string(&finished.report).map_err(unwritable)?;
        self.clear_rows(id).await?;
        let is_done = self.add_rows(id, pieces).await?
            && self.writer.run(move |batch| finish(batch.connection, id, &finished, &report)).await?;
        if !is_done {
            self.clear_rows(id).await?;
        }
        Ok(is_done)
    }

    async fn fail_scan(&self, scan: ScanId, failure: ScanFailure) -> Result<bool, StoreError> {
        let Some(id) = self.origins.row(scan) else { return Ok(false) };
        self.writer.run(move |batch| fail(batch.connection, id, &failure)).await
    }

    async fn discard_scan(
        &self,
        tenant: TenantId,
        scan: ScanId,
        now: Timestamp,
    ) -> Result<Option<Discarded>, StoreError> {
        let (Some(tenant), Some(id)) = (self.origins.row(tenant), self.origins.row(scan)) else {
            return Ok(None);
        };
        let discarded = self.writer.run(move |batch| discard(batch.connection, tenant, id, now)).await?;
        if discarded == Some(Discarded::Removed) {
            self.clear_rows(id).await?;
        }
        Ok(discarded)
    }

    async fn scan(&self, tenant: TenantId, scan: ScanId) -> Result<Option<ScanRecord>, StoreError> {
        let (Some(tenant), Some(id)) = (self.origins.row(tenant), self.origins.row(scan)) else {
            return Ok(None);
        };
        let origins = self.origins.clone();
        self.readers.run(move |connection| read::one(connection, &origins, tenant, id)).await
    }

    async fn scan_threats(
        &self,
        tenant: TenantId,
        scan: ScanId,
        after: u64,
        limit: usize,
    ) -> Result<Option<ScanState<Page<Anomaly, u64>>>, StoreError> {
        let (Some(tenant), Some(id)) = (self.origins.row(tenant), self.origins.row(scan)) else {
            return Ok(None);
        };
        self.readers.run(move |connection| rows::page(connection, tenant, id, after, limit)).await
    }

    async fn scans(
        &self,
        tenant: TenantId,
        limit: usize,
        before: Option<ScanId>,
    ) -> Result<Page<ScanSummary>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let origins = self.origins.clone();
        self.readers.run(move |connection| read::list(connection, &origins, tenant, limit, before)).await
    }

    async fn unfinished_scans(&self) -> Result<Vec<UnfinishedScan>, StoreError> {
        for id in self.readers.run(rows::left_behind).await? {
            self.clear_rows(id).await?;
        }
        let origins = self.origins.clone();
        self.writer
            .run(move |batch| {
                batch.connection.execute(QUEUE_AGAIN, [])?;
                read::unfinished(batch.connection, &origins)
            })
            .await
    }
}

impl SqliteStore {
    /// Adds rows to a running scan, some at a time, so that whoever records logs never waits long. `false` if it ended.
    async fn add_rows(&self, scan: i64, pieces: Vec<rows::Piece>) -> Result<bool, StoreError> {
        for piece in pieces {
            if !self.writer.run(move |batch| rows::insert(batch, scan, &piece)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the rows of a scan that is not done, some at a time.
    async fn clear_rows(&self, scan: i64) -> Result<(), StoreError> {
        while self.writer.run(move |batch| rows::remove_some(batch.connection, scan)).await? {}
        Ok(())
    }
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

fn insert(batch: &mut Batch<'_>, tenant: i64, scan: &NewScan, options: &str) -> rusqlite::Result<i64> {
    let id = batch.mint(scan.created_at);
    batch
        .connection
        .prepare_cached(
            "INSERT INTO scans (id, tenant, status, attempts, created_at, duration_ms, shown_rows, filename,
                                baseline, options)
             VALUES (?, ?, 'queued', 0, ?, 0, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            tenant,
            scan.created_at.as_millis(),
            i64::try_from(scan.options.limit).unwrap_or(i64::MAX),
            scan.filename,
            scan.baseline.as_ref().map(BaselineName::as_str),
            options,
        ])?;
    Ok(id)
}

const START: &str =
    "UPDATE scans SET status = 'running', attempts = attempts + 1 WHERE id = ? AND status = 'queued'
     RETURNING attempts";

const PUT_BACK: &str =
    "UPDATE scans SET status = 'queued', attempts = attempts - 1 WHERE id = ? AND status = 'running'";

// The first condition names the index, which knows only these.
const QUEUE_AGAIN: &str =
    "UPDATE scans SET status = 'queued' WHERE status IN ('queued', 'running') AND status = 'running'";

fn finish(connection: &Connection, id: i64, finished: &FinishedScan, report: &str) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE scans SET status = 'done', finished_at = ?, duration_ms = ?, engine = ?, total_scanned = ?,
                              threats_detected = ?, threshold_used = ?, report = ?
             WHERE id = ? AND status = 'running'",
        )?
        .execute(params![
            finished.finished_at.as_millis(),
            finished.duration_ms,
            finished.report.engine.as_str(),
            finished.report.total_scanned,
            finished.report.threats_detected,
            finished.report.threshold_used,
            report,
            id,
        ])?;
    Ok(changed > 0)
}

fn fail(connection: &Connection, id: i64, failure: &ScanFailure) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE scans SET status = 'failed', finished_at = ?, duration_ms = ?, error = ?
             WHERE id = ? AND status IN ('queued', 'running')",
        )?
        .execute(params![failure.finished_at.as_millis(), failure.duration_ms, failure.error, id])?;
    Ok(changed > 0)
}

fn discard(
    connection: &Connection,
    tenant: i64,
    id: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Discarded>> {
    let cancelled = connection
        .prepare_cached(
            "UPDATE scans SET status = 'cancelled', finished_at = ?
             WHERE id = ? AND tenant = ? AND status IN ('queued', 'running')",
        )?
        .execute([now.as_millis(), id, tenant])?;
    if cancelled > 0 {
        return Ok(Some(Discarded::Cancelled));
    }
    let removed =
        connection.prepare_cached("DELETE FROM scans WHERE id = ? AND tenant = ?")?.execute([id, tenant])?;
    Ok((removed > 0).then_some(Discarded::Removed))
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::store::TenantBook as _;

    use super::*;

    /// A database as the second schema left it, with one scan of a tenant.
    const OF_THE_SECOND_SCHEMA: &str = r#"
        PRAGMA application_id = 0x53464C57;
        PRAGMA user_version = 2;
        INSERT INTO tenants VALUES (17179869184, 'ana', 'ana', 'Free', NULL, 0);
        INSERT INTO scans VALUES (17179869185, 17179869184, 60000, 412, 'statistical', 400, 3, 0.98, 'a.csv',
            '{"total_scanned":400,"threats_detected":3,"threshold_used":0.98,"threshold_method":"asked for",
              "engine":"statistical","engine_reason":"asked for","notes":[],
              "columns":[{"name":"a","kind":"numeric","used":true,"reason":"numbers"}],
              "threats":[{"row":9,"score":0.999,"record":{"a":1},
                          "reasons":[{"column":"a","value":1,"typical":"2","share":1.0}]},
                         {"row":7,"score":0.99,"record":{"a":1},"reasons":[]}]}');
    "#;

    #[tokio::test]
    async fn a_scan_of_an_old_database_is_listed_and_read_whole() {
        let place = tempfile::TempDir::new().unwrap();
        let path = place.path().join("old.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("migrations/0001_first_tables.sql")).unwrap();
        old.execute_batch(include_str!("migrations/0002_filing.sql")).unwrap();
        old.execute_batch(OF_THE_SECOND_SCHEMA).unwrap();
        drop(old);

        let store = SqliteStore::open(&path).unwrap();
        let ana = store.tenant_named(&"ana".parse().unwrap()).await.unwrap().unwrap().id;
        let listed = store.scans(ana, 10, None).await.unwrap().items;
        let ScanState::Done(figures) = &listed[0].state else { panic!("{listed:?}") };
        assert_eq!((listed.len(), figures.total_scanned, figures.threats_detected), (1, 400, 3));
        let scan = store.scan(ana, listed[0].id).await.unwrap().unwrap();
        let ScanState::Done(report) = &scan.state else { panic!("{scan:?}") };
        assert_eq!(report.threats.iter().map(|threat| threat.row).collect::<Vec<_>>(), [9, 7]);
        assert_eq!(report.threats[0].reasons[0].column, "a");
        let rows = store.scan_threats(ana, scan.id, 1, 10).await.unwrap().unwrap();
        assert_eq!(rows, ScanState::Done(Page { items: report.threats[1..].to_vec(), next: None }));
        assert_eq!(store.unfinished_scans().await.unwrap(), []);
    }

    #[tokio::test]
    async fn rows_that_a_killed_process_left_are_removed_at_the_next_start() {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let left = |batch: &mut Batch<'_>| {
            let rows = "INSERT INTO scan_threats VALUES (1, 0, '{}'), (1, 900, '{}'), (3, 0, '{}')";
            batch.connection.execute_batch(rows)
        };
        store.writer.run(left).await.unwrap();
        store.unfinished_scans().await.unwrap();
        let count = |batch: &mut Batch<'_>| {
            batch.connection.query_row("SELECT count(*) FROM scan_threats", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(store.writer.run(count).await.unwrap(), 0);
    }
}
