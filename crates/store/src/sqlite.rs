//! The embedded store: one database file, one thread that writes, a few connections that read.

mod checkpoint;
mod connection;
mod copy;
mod errors;
mod migrations;
mod row_id;

mod baselines;
mod exchanges;
mod filing;
mod logs;
mod readers;
mod retention;
mod scans;
mod stats;
mod tenants;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use sentinelflow_domain::{
    analysis::Analysis,
    store::{
        IdempotencyKey, LogBook, LogFilter, LogId, LogRecord, MinuteCounts, NewLog, NewTenant, Owner, Page,
        Recorded, StatsBook, Store, StoreError, TenantBook, TenantChange, TenantUpdate,
    },
    tenant::{ApiKeyHash, PasswordHash, Tenant, TenantId, Username},
    time::Timestamp,
};
use thiserror::Error;

pub use self::connection::OpenError;
pub(crate) use self::copy::SqliteHouse;
use self::{
    checkpoint::Checkpoints,
    connection::OwnedFile,
    errors::damaged,
    logs::{AnalysisColumns, LogRow},
    readers::Readers,
    row_id::{Ids, Origins},
    tenants::Directory,
    writer::Writer,
};

/// Enough for two cores that never wait long for a disk they have in memory.
const READERS: usize = 3;

/// A store in one file. Dropping it writes what still waits and waits for that.
pub struct SqliteStore {
    origins: Origins,
    directory: Directory,
    // The order in which they are dropped: the writer closes last and so can empty the write-ahead log.
    readers: Arc<Readers>,
    writer: Writer,
    /// Released when nothing uses the file any more.
    _file: OwnedFile,
}

impl SqliteStore {
    /// Opens the store in a directory or a file, made if it isn't there. It blocks, and no other process can open it
    /// until it is dropped.
    pub fn open(directory_or_file: &Path) -> Result<Self, OpenError> {
        let file = OwnedFile::claim(directory_or_file)?;
        let connection = file.open_writer()?;
        if copy::is_unfinished(&connection).map_err(|error| file.sqlite(error))? {
            return Err(file.unfinished());
        }
        let readers = (0..READERS).map(|_| file.open_reader()).collect::<Result<Vec<_>, _>>()?;
        let (ids, directory) = load(&connection).map_err(|error| file.sqlite(error))?;
        let origins = ids.origins.clone();
        let unreachable = |source| OpenError::Unreachable { path: directory_or_file.to_owned(), source };
        let checkpoints = Checkpoints::start(file.open_checkpointer()?).map_err(unreachable)?;
        let writer = Writer::start(connection, ids, Some(checkpoints)).map_err(unreachable)?;
        Ok(Self { origins, directory, readers: Arc::new(Readers::new(readers)), writer, _file: file })
    }
}

fn load(connection: &Connection) -> rusqlite::Result<(Ids, Directory)> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('origin', ?), ('id_lead_s', 0) ON CONFLICT DO NOTHING",
        [random],
    )?;
    let (own, origins) = origins(connection)?;
    let lead_s =
        connection.query_row("SELECT value FROM meta WHERE key = 'id_lead_s'", [], |row| row.get(0))?;
    let newest = connection.query_row(
        "SELECT max(newest) FROM (SELECT max(id) AS newest FROM logs UNION ALL
                                  SELECT max(id) FROM tenants UNION ALL SELECT max(id) FROM scans)",
        [],
        |row| row.get(0),
    )?;
    let directory = Directory::load(connection, &origins)?;
    Ok((Ids::new(origins, own, newest, lead_s), directory))
}

#[derive(Debug, Error)]
#[error("these can't be the origins of ids")]
struct OddOrigins;

/// Returns the origin that ids are minted with here, and those of all ids.
fn origins(connection: &Connection) -> rusqlite::Result<([u8; 5], Origins)> {
    let meta = "SELECT value FROM meta WHERE key = ?";
    let own = connection.query_row(meta, ["origin"], |row| row.get(0))?;
    let several = connection.query_row(meta, ["origins"], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let origins = match several {
        None => Origins::one(own),
        Some(several) => Origins::several(&several)
            .filter(|origins| origins.all().contains(&own))
            .ok_or_else(|| damaged(0, OddOrigins))?,
    };
    Ok((own, origins))
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let write = "INSERT OR REPLACE INTO meta (key, value) VALUES ('pinged', 1)";
        self.writer.run(move |batch| batch.connection.prepare_cached(write)?.execute([])).await?;
        let read = "SELECT 1 FROM meta WHERE key = 'pinged'";
        let row = |connection: &Connection| connection.query_row(read, [], |_| Ok(())).optional();
        self.readers.run(row).await.map(drop)
    }
}

#[async_trait]
impl LogBook for SqliteStore {
    async fn record(&self, log: NewLog) -> Result<Recorded, StoreError> {
        let tenant = self.origins.row(log.tenant).ok_or(StoreError::Conflict)?;
        let origins = self.origins.clone();
        match LogRow::new(tenant, log) {
            (log, None) => {
                // The log comes back, so that its memory is freed where it was taken and not by the one writing thread.
                let (id, _log) = self.writer.run(move |batch| Ok((log.insert(batch)?, log))).await?;
                Ok(Recorded::New(origins.id(id)))
            }
            (log, Some(key)) => {
                let insert = move |batch: &mut writer::Batch<'_>| {
                    batch.all_or_nothing(|batch| log.insert_once(batch, &key))
                };
                self.writer.run(insert).await
            }
        }
    }

    async fn recorded_under(
        &self,
        tenant: TenantId,
        key: &IdempotencyKey,
    ) -> Result<Option<LogRecord>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(None) };
        let (origins, key) = (self.origins.clone(), key.clone());
        self.readers.run(move |connection| logs::recorded_under(connection, &origins, tenant, &key)).await
    }

    async fn recent(&self, tenant: TenantId, filter: LogFilter) -> Result<Page<LogRecord>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let origins = self.origins.clone();
        self.readers.run(move |connection| logs::recent(connection, &origins, tenant, &filter)).await
    }

    async fn threats_after(
        &self,
        tenant: TenantId,
        after: LogId,
        limit: usize,
    ) -> Result<Page<LogRecord>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let origins = self.origins.clone();
        let threats = move |connection: &Connection| {
            logs::threats_after(connection, &origins, tenant, origins.row_up_to(after), limit)
        };
        self.readers.run(threats).await
    }

    async fn replay(
        &self,
        since: Timestamp,
        newest: usize,
        after: Option<LogId>,
    ) -> Result<Vec<(TenantId, LogRecord)>, StoreError> {
        let origins = self.origins.clone();
        let after = after.and_then(|id| origins.row(id));
        self.readers.run(move |connection| logs::replay(connection, &origins, since, newest, after)).await
    }

    async fn find(&self, tenant: TenantId, id: LogId) -> Result<Option<LogRecord>, StoreError> {
        let (Some(tenant), Some(id)) = (self.origins.row(tenant), self.origins.row(id)) else {
            return Ok(None);
        };
        let origins = self.origins.clone();
        self.readers.run(move |connection| logs::find(connection, &origins, tenant, id)).await
    }

    async fn add_opinion(
        &self,
        tenant: TenantId,
        id: LogId,
        analysis: Arc<Analysis>,
    ) -> Result<bool, StoreError> {
        let (Some(tenant), Some(id)) = (self.origins.row(tenant), self.origins.row(id)) else {
            return Ok(false);
        };
        let analysis = AnalysisColumns::new(&analysis);
        let add = move |batch: &mut writer::Batch<'_>| {
            batch.all_or_nothing(|batch| logs::add_opinion(batch.connection, tenant, id, &analysis))
        };
        self.writer.run(add).await
    }

    async fn resolve(
        &self,
        owner: Owner,
        id: LogId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(id) = self.origins.row(id) else { return Ok(None) };
        let owner = match owner {
            Owner::Anyone => None,
            Owner::Tenant(tenant) => match self.origins.row(tenant) {
                Some(tenant) => Some(tenant),
                None => return Ok(None),
            },
        };
        self.writer.run(move |batch| logs::resolve(batch.connection, owner, id, now)).await
    }
}

#[async_trait]
impl StatsBook for SqliteStore {
    async fn per_minute(
        &self,
        tenant: TenantId,
        from: i64,
        to: i64,
    ) -> Result<Vec<MinuteCounts>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(Vec::new()) };
        self.readers.run(move |connection| stats::per_minute(connection, tenant, from, to)).await
    }
}

#[async_trait]
impl TenantBook for SqliteStore {
    async fn sign_up(&self, tenant: NewTenant) -> Result<Tenant, StoreError> {
        let directory = self.directory.clone();
        let sign_up = move |batch: &mut writer::Batch<'_>| {
            batch.all_or_nothing(|batch| tenants::sign_up(batch, directory, tenant))
        };
        self.writer.run(sign_up).await
    }

    async fn tenant_named(&self, name: &Username) -> Result<Option<Tenant>, StoreError> {
        Ok(self.directory.named(name))
    }

    async fn tenant_with_key(&self, key: &ApiKeyHash) -> Result<Option<Tenant>, StoreError> {
        Ok(self.directory.with_key(key))
    }

    async fn password_of(&self, tenant: TenantId) -> Result<Option<PasswordHash>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(None) };
        self.readers.run(move |connection| tenants::password(connection, tenant)).await
    }

    async fn update_tenant(
        &self,
        tenant: TenantId,
        change: TenantChange,
    ) -> Result<Option<TenantUpdate>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(None) };
        let directory = self.directory.clone();
        let update = move |batch: &mut writer::Batch<'_>| {
            batch.all_or_nothing(|batch| tenants::update(batch, directory, tenant, change))
        };
        self.writer.run(update).await
    }
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::{
        analysis::{Category, Score},
        log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
        store::{StatusFilter, TenantChange},
        tenant::Plan,
    };

    use super::*;

    async fn sign_up_ana(store: &SqliteStore) -> TenantId {
        let ana = NewTenant {
            username: "ana".parse().unwrap(),
            plan: Plan::Free,
            password: None,
            api_key: None,
            created_at: Timestamp::from_millis(0),
        };
        store.sign_up(ana).await.unwrap().id
    }

    fn large_log(tenant: TenantId) -> NewLog {
        let entry = LogEntry {
            source: Source::try_from("sshd".to_owned()).unwrap(),
            event_id: 1,
            severity_level: SeverityLevel::Info,
            message: Message::try_from("x".repeat(60_000)).unwrap(),
            metadata: Metadata::default(),
            timestamp: None,
        };
        let analysis = Analysis {
            score: Score::MAX,
            category: Category::Other,
            summary: "".into(),
            prevention_measures: "".into(),
            techniques: Vec::new(),
            detections: Vec::new(),
            opinion: None,
            degraded: None,
            asked: None,
            engine_version: "0".into(),
            rule_set: "0".into(),
        };
        let received_at = Timestamp::from_millis(60_000);
        NewLog { tenant, entry, analysis: Arc::new(analysis), received_at, idempotency_key: None }
    }

    #[tokio::test]
    async fn a_full_disk_is_an_outage_that_loses_nothing_and_passes() {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let limit_pages = |pages: i64| {
            let limit = move |batch: &mut writer::Batch<'_>| {
                batch.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            };
            store.writer.run(limit)
        };
        let ana = sign_up_ana(&store).await;
        limit_pages(200).await.unwrap();
        let mut recorded = 0;
        let outage = loop {
            match store.record(large_log(ana)).await {
                Ok(_) => recorded += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(outage, StoreError::Unavailable(_)), "{outage:?}");
        limit_pages(1_000_000).await.unwrap();
        store.record(large_log(ana)).await.unwrap();
        recorded += 1;

        let all = LogFilter { status: StatusFilter::All, limit: 500, ..LogFilter::default() };
        assert_eq!(store.recent(ana, all).await.unwrap().items.len(), recorded);
        let events = store.per_minute(ana, 0, 10).await.unwrap()[0].events;
        assert_eq!(usize::try_from(events), Ok(recorded));
        let rename = TenantChange { username: Some("anna".parse().unwrap()), ..TenantChange::default() };
        let migrated = store.update_tenant(ana, rename).await.unwrap().unwrap().migrated_logs;
        assert_eq!(usize::try_from(migrated), Ok(recorded));
    }

    #[tokio::test]
    async fn a_row_that_is_not_what_was_stored_is_damage() {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let ana = sign_up_ana(&store).await;
        let Recorded::New(id) = store.record(large_log(ana)).await.unwrap() else {
            panic!("no key was given")
        };
        for damage in ["analysis = '{'", "severity_level = 'LOUD'", "message = ''", "metadata = '[]'"] {
            let sql = format!("UPDATE logs SET {damage}");
            store.writer.run(move |batch| batch.connection.execute(&sql, [])).await.unwrap();
            let found = store.find(ana, id).await;
            assert!(matches!(found, Err(StoreError::Damaged(_))), "{damage}: {found:?}");
            assert_eq!(found.unwrap_err().to_string(), "stored data is damaged");
        }
    }

    #[tokio::test]
    async fn an_opinion_that_cannot_be_counted_changes_nothing() {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let ana = sign_up_ana(&store).await;
        let mut log = large_log(ana);
        let raised = std::mem::replace(&mut Arc::make_mut(&mut log.analysis).score, Score::THREAT);
        let Recorded::New(id) = store.record(log.clone()).await.unwrap() else { panic!("no key was given") };
        let file_and_fail = |batch: &mut writer::Batch<'_>| {
            *batch.unfiled = filing::Unfiled::unknown();
            batch.unfiled.file_if_many(batch.connection)?;
            batch.connection.execute_batch(
                "CREATE TRIGGER failure BEFORE UPDATE ON minute_counts
                 BEGIN SELECT RAISE(ABORT, 'as this test wants it'); END",
            )
        };
        store.writer.run(file_and_fail).await.unwrap();
        let analysis = Arc::new(Analysis { score: raised, ..(*log.analysis).clone() });
        assert!(store.add_opinion(ana, id, analysis).await.is_err());
        assert_eq!(store.find(ana, id).await.unwrap().unwrap().analysis, log.analysis);
        let filed = |batch: &mut writer::Batch<'_>| {
            batch.connection.query_row("SELECT score FROM filed_logs", [], |row| row.get::<_, u8>(0))
        };
        assert_eq!(store.writer.run(filed).await.unwrap(), Score::THREAT.value());
    }

    #[tokio::test]
    async fn an_analysis_from_before_there_were_opinions_reads_back() {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let ana = sign_up_ana(&store).await;
        let log = large_log(ana);
        let Recorded::New(id) = store.record(log.clone()).await.unwrap() else { panic!("no key was given") };
        let age = r#"UPDATE logs SET analysis = '{"score":100,"category":"other","prevention_measures":"",
            "techniques":[],"detections":[],"engine":"rules","model":null,"degraded":null,
            "engine_version":"0","rule_set":"0"}'"#;
        store.writer.run(move |batch| batch.connection.execute(age, [])).await.unwrap();
        assert_eq!(store.find(ana, id).await.unwrap().unwrap().analysis, log.analysis);
    }
}
