//! A database file as something to be copied from or into (see `crate::copy`). A page is one transaction.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use rusqlite::{
    Connection, OptionalExtension as _, Row, Rows, Transaction, params, params_from_iter,
    types::Value as SqlValue,
};
use sentinelflow_domain::id::ObjectId;

use super::{
    connection::{OpenError, OwnedFile},
    errors::{damaged, store_error},
    filing::NEWEST_FILED,
    row_id::{MOST_ORIGINS, Origins},
};
use crate::copy::{
    Condition, CopyError, House, PAGE_BYTES, PAGE_RECORDS, Page,
    record::{BASELINE_PIECE_BYTES, Field, Form, Kind, Record, Value, called, key_from_bytes, key_to_bytes},
};

/// The write-ahead log is copied back after so many pages (32 MiB).
const CHECKPOINT_PAGES: i64 = 8_000;
const API_KEY_BYTES: usize = 32;

/// A database file that no other process opens while this value lives.
pub(crate) struct SqliteHouse {
    opened: Mutex<Opened>,
    identity: String,
}

struct Opened {
    connection: Connection,
    /// Released when nothing uses the file any more.
    _file: OwnedFile,
}

/// Whether the database is an unfinished copy of another store.
pub(super) fn is_unfinished(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM unfinished_copy")?.exists([])
}

impl SqliteHouse {
    /// Opens the file to be copied from; none is made.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, CopyError> {
        let open = || {
            let file = OwnedFile::claim_existing(path)?;
            let connection = file.open_writer()?;
            Ok((file, connection))
        };
        Self::opened("FROM", open())
    }

    /// Opens the file to be copied into, made if it isn't there.
    pub(crate) fn open(path: &Path) -> Result<Self, CopyError> {
        let open = || {
            let file = OwnedFile::claim(path)?;
            let connection = file.open_writer()?;
            connection
                .pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))
                .map_err(|error| file.sqlite(error))?;
            Ok((file, connection))
        };
        Self::opened("TO", open())
    }

    fn opened(
        side: &'static str,
        opened: Result<(OwnedFile, Connection), OpenError>,
    ) -> Result<Self, CopyError> {
        let (file, connection) = opened.map_err(|source| CopyError::Sqlite { side, source })?;
        let origin = connection
            .query_row("SELECT hex(value) FROM meta WHERE key = 'origin'", [], |row| row.get::<_, String>(0))
            .optional()
            .map_err(store_error)?;
        let identity = match origin {
            Some(origin) => format!("sqlite {origin}"),
            None if side == "FROM" => return Err(CopyError::NothingToCopy),
            None => String::new(),
        };
        let opened = Opened { connection, _file: file };
        Ok(Self { opened: Mutex::new(opened), identity })
    }

    /// Runs `work` where it is called, though it blocks: nobody else waits for this thread. Pages that one thread takes
    /// and another gives back would pile up in its allocator.
    fn run<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, CopyError>) -> Result<T, CopyError> {
        work(&mut self.opened.lock().unwrap_or_else(PoisonError::into_inner).connection)
    }
}

fn failed(error: rusqlite::Error) -> CopyError {
    CopyError::Store(store_error(error))
}

#[async_trait]
impl House for SqliteHouse {
    fn identity(&self) -> &str {
        &self.identity
    }

    async fn condition(&self) -> Result<Condition, CopyError> {
        self.run(|connection| condition(connection))
    }

    async fn origins(&self) -> Result<Vec<[u8; 5]>, CopyError> {
        self.run(|connection| Ok(super::origins(connection).map_err(failed)?.1.all().to_vec()))
    }

    async fn count_unfinished_scans(&self) -> Result<u64, CopyError> {
        let count = "SELECT count(*) FROM scans WHERE status IN ('queued', 'running')";
        self.run(|connection| connection.query_row(count, [], |row| row.get(0)).map_err(failed))
    }

    async fn page(&self, kind: Kind, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        self.run(|connection| {
            let origins = super::origins(connection).map_err(failed)?.1;
            Reader { connection, origins, kind }.page(after)
        })
    }

    async fn move_in(&self, source: &str, origins: &[[u8; 5]]) -> Result<(), CopyError> {
        self.run(|connection| move_in(connection, source, origins))
    }

    async fn put(&self, page: &Page) -> Result<(), CopyError> {
        self.run(|connection| put(connection, page))
    }

    async fn settle(&self) -> Result<(), CopyError> {
        self.run(|connection| {
            connection.execute("DELETE FROM unfinished_copy", []).map_err(failed)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
        })
    }
}

fn condition(connection: &Connection) -> Result<Condition, CopyError> {
    let mark = connection
        .query_row("SELECT source, kind, last FROM unfinished_copy", [], |row| {
            Ok((row.get(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        })
        .optional()
        .map_err(failed)?;
    if let Some((source, kind, last)) = mark {
        let last = kind.and_then(|kind| Kind::named(&kind)).zip(last.and_then(|key| key_from_bytes(&key)));
        return Ok(Condition::Unfinished { source, last });
    }
    for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Lead | Kind::BaselinePieces)) {
        let any = format!("SELECT 1 FROM {}", kind.table());
        if connection.prepare(&any).and_then(|mut any| any.exists([])).map_err(failed)? {
            return Ok(Condition::Settled);
        }
    }
    Ok(Condition::Empty)
}

fn move_in(connection: &mut Connection, source: &str, origins: &[[u8; 5]]) -> Result<(), CopyError> {
    if origins.len() > MOST_ORIGINS {
        return Err(CopyError::TooManyOrigins(origins.len(), MOST_ORIGINS));
    }
    let mut write = || {
        let transaction = connection.transaction()?;
        transaction.execute("INSERT INTO unfinished_copy (source) VALUES (?)", [source])?;
        let meta = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)";
        match origins {
            [] => {
                let mut own = [0; 5];
                getrandom::fill(&mut own)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                transaction.execute(meta, params!["origin", own])?;
            }
            [own] => {
                transaction.execute(meta, params!["origin", own])?;
            }
            [own, ..] => {
                transaction.execute(meta, params!["origin", own])?;
                transaction.execute(meta, params!["origins", origins.as_flattened()])?;
            }
        }
        transaction.commit()
    };
    write().map_err(failed)
}

/// Reads records of one kind.
struct Reader<'c> {
    connection: &'c Connection,
    origins: Origins,
    kind: Kind,
}

impl Reader<'_> {
    fn page(&self, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        if self.kind == Kind::BaselinePieces {
            return self.pieces(after);
        }
        let (key, fields) = (columns(self.kind.key()), columns(self.kind.fields()));
        let (behind, values) = self.behind(after)?;
        let most = PAGE_RECORDS;
        let sql = match self.kind {
            Kind::Lead => format!(
                "SELECT key, value FROM meta WHERE key = 'id_lead_s' {} LIMIT {most}",
                behind.replace("WHERE", "AND")
            ),
            Kind::Tenants => format!(
                "SELECT id, {} FROM tenants {behind} ORDER BY id LIMIT {most}",
                // Their place is filled below.
                fields.replace("api_keys", "x''")
            ),
            // What is not filed yet is little, and counts besides; of what is filed the first are enough.
            Kind::MinuteCounts => format!(
                "SELECT tenant, minute, sum(events), sum(threats), max(max_score) FROM (
                     SELECT * FROM (
                         SELECT tenant, minute, events, threats, max_score FROM minute_counts {behind}
                         ORDER BY tenant, minute LIMIT {most}
                     )
                     UNION ALL
                     SELECT * FROM (
                         SELECT tenant, received_at / 60000 AS minute, 1, score >= 20, score FROM logs
                         WHERE id > {NEWEST_FILED}
                     ) {behind}
                 ) GROUP BY tenant, minute ORDER BY tenant, minute LIMIT {most}"
            ),
            // Rows count once their scan is done.
            Kind::ScanThreats => format!(
                "SELECT {key}, {fields} FROM scan_threats {behind} {} EXISTS
                     (SELECT 1 FROM scans WHERE scans.id = scan_threats.scan AND status = 'done')
                 ORDER BY {key} LIMIT {most}",
                if behind.is_empty() { "WHERE" } else { "AND" }
            ),
            _ => {
                let table = self.kind.table();
                format!("SELECT {key}, {fields} FROM {table} {behind} ORDER BY {key} LIMIT {most}")
            }
        };
        let mut select = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = select.query(params_from_iter(values)).map_err(failed)?;
        self.read(&mut rows, after)
    }

    fn read(&self, rows: &mut Rows<'_>, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut last = after.unwrap_or_default().to_vec();
        while bytes < PAGE_BYTES
            && let Some(row) = rows.next().map_err(|error| self.unreadable(&last, "behind ", error))?
        {
            let key = self
                .values(row, self.kind.key(), 0)
                .map_err(|error| self.unreadable(&last, "behind ", error))?;
            let fields = self
                .values(row, self.kind.fields(), key.len())
                .and_then(|fields| self.with_api_keys(row, fields))
                .map_err(|error| self.unreadable(&key, "", error))?;
            last.clone_from(&key);
            let record = Record { key, fields };
            bytes += record.size_bytes();
            records.push(record);
        }
        Ok(records)
    }

    fn unreadable(&self, key: &[Value], relation: &str, error: rusqlite::Error) -> CopyError {
        let name = format!("{relation}{}", called(key));
        CopyError::Unreadable { kind: self.kind, name, source: Box::new(error) }
    }

    /// Returns the condition for what stands behind a key, and its values.
    fn behind(&self, after: Option<&[Value]>) -> Result<(String, Vec<SqlValue>), CopyError> {
        let Some(after) = after else { return Ok((String::new(), Vec::new())) };
        let numbers: Vec<String> = (1..=after.len()).map(|number| format!("?{number}")).collect();
        let behind = format!("WHERE ({}) > ({})", columns(self.kind.key()), numbers.join(", "));
        let values = after.iter().map(|value| sql_value(&self.origins, value));
        let values = values.collect::<Option<Vec<_>>>().ok_or_else(|| self.new_origin(after))?;
        Ok((behind, values))
    }

    fn new_origin(&self, key: &[Value]) -> CopyError {
        CopyError::NewOrigin { kind: self.kind, name: called(key) }
    }

    /// Reads columns from one on.
    fn values(&self, row: &Row<'_>, fields: &[Field], first: usize) -> rusqlite::Result<Vec<Value>> {
        let values = fields.iter().zip(first..).map(|(field, column)| {
            let value = match field.form {
                Form::Id => row.get::<_, Option<i64>>(column)?.map(|id| Value::Id(self.origins.id(id))),
                Form::Int | Form::Small | Form::Moment => row.get::<_, Option<i64>>(column)?.map(Value::Int),
                Form::Real => row.get::<_, Option<f64>>(column)?.map(|number| Value::Real(number.to_bits())),
                Form::Text => row.get::<_, Option<String>>(column)?.map(Value::Text),
                Form::Bytes => row.get::<_, Option<Vec<u8>>>(column)?.map(Value::Bytes),
            };
            Ok(value.unwrap_or(Value::Nothing))
        });
        values.collect()
    }

    fn with_api_keys(&self, row: &Row<'_>, mut fields: Vec<Value>) -> rusqlite::Result<Vec<Value>> {
        if self.kind == Kind::Tenants {
            let tenant: i64 = row.get(0)?;
            let mut select =
                self.connection.prepare_cached("SELECT hash FROM api_keys WHERE tenant = ? ORDER BY hash")?;
            let hashes = select.query_map([tenant], |row| row.get::<_, [u8; API_KEY_BYTES]>(0))?;
            let hashes = hashes.collect::<rusqlite::Result<Vec<_>>>()?;
            if let Some(place) = fields.last_mut() {
                *place = Value::Bytes(hashes.concat());
            }
        }
        Ok(fields)
    }

    /// Returns the pieces of baselines behind one.
    fn pieces(&self, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let (tenant, name, place) = match after {
            Some([tenant, Value::Text(name), Value::Int(place)]) => {
                let row = tenant.id().and_then(|id| self.origins.row(id));
                (row.ok_or_else(|| self.new_origin(after.unwrap_or_default()))?, name.clone(), *place)
            }
            _ => (i64::MIN, String::new(), -1),
        };
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT rowid, tenant, name, length(bytes) FROM baselines WHERE (tenant, name) >= (?, ?)
                 ORDER BY tenant, name",
            )
            .map_err(failed)?;
        let mut rows = select.query(params![tenant, name]).map_err(failed)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next().map_err(failed)? {
            let baseline = (|| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get(3)?))
            })();
            let (rowid, of, called, len): (_, _, _, usize) =
                baseline.map_err(|error| self.unreadable(after.unwrap_or_default(), "behind ", error))?;
            let is_begun = of == tenant && called == name;
            let mut next = if is_begun { place + 1 } else { 0 };
            loop {
                let first = usize::try_from(next).unwrap_or(usize::MAX).saturating_mul(BASELINE_PIECE_BYTES);
                if first >= len {
                    break;
                }
                if bytes >= PAGE_BYTES {
                    return Ok(records);
                }
                let key = vec![Value::Id(self.origins.id(of)), Value::Text(called.clone()), Value::Int(next)];
                let mut piece = vec![0; BASELINE_PIECE_BYTES.min(len - first)];
                self.connection
                    .blob_open("main", "baselines", "bytes", rowid, true)
                    .and_then(|blob| blob.read_at_exact(&mut piece, first))
                    .map_err(|error| self.unreadable(&key, "", error))?;
                bytes += piece.len();
                records.push(Record { key, fields: vec![Value::Bytes(piece)] });
                next += 1;
            }
        }
        Ok(records)
    }
}

fn columns(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

/// Returns a value as SQLite keeps it; `None` for an id that this database has no room for.
fn sql_value(origins: &Origins, value: &Value) -> Option<SqlValue> {
    Some(match value {
        Value::Nothing => SqlValue::Null,
        Value::Int(number) => SqlValue::Integer(*number),
        Value::Real(bits) => SqlValue::Real(f64::from_bits(*bits)),
        Value::Text(text) => SqlValue::Text(text.clone()),
        Value::Bytes(bytes) => SqlValue::Blob(bytes.clone()),
        Value::Id(id) => SqlValue::Integer(origins.row(*id)?),
    })
}

/// Adds a page in one transaction, with the note of how far the copy is.
fn put(connection: &mut Connection, page: &Page) -> Result<(), CopyError> {
    let transaction = connection.transaction().map_err(failed)?;
    let writer =
        Writer { origins: super::origins(&transaction).map_err(failed)?.1, kind: page.kind, transaction };
    for record in &page.records {
        writer.add(record)?;
    }
    let noted = writer
        .transaction
        .execute(
            "UPDATE unfinished_copy SET kind = ?, last = ?",
            params![page.kind.as_str(), key_to_bytes(page.last())],
        )
        .map_err(failed)?;
    if noted != 1 {
        return Err(CopyError::MarkLost);
    }
    writer.transaction.commit().map_err(failed)
}

/// Adds records of one kind.
struct Writer<'c> {
    origins: Origins,
    kind: Kind,
    transaction: Transaction<'c>,
}

impl Writer<'_> {
    fn add(&self, record: &Record) -> Result<(), CopyError> {
        let name = || called(&record.key);
        let values = record.key.iter().chain(&record.fields).map(|value| sql_value(&self.origins, value));
        let values = values
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| CopyError::NewOrigin { kind: self.kind, name: name() })?;
        self.insert(record, values).map_err(|error| CopyError::Unwritable {
            kind: self.kind,
            name: name(),
            source: store_error(error),
        })
    }

    fn insert(&self, record: &Record, mut values: Vec<SqlValue>) -> rusqlite::Result<()> {
        match self.kind {
            Kind::Tenants => return self.insert_tenant(record, values),
            Kind::BaselinePieces => return self.write_piece(record, &values),
            _ => {}
        }
        let mut columns = columns(self.kind.key()) + ", " + &columns(self.kind.fields());
        if self.kind == Kind::Baselines {
            columns.push_str(", bytes");
            values.push(values[self.kind.key().len() + SIZE_BYTES].clone());
        }
        let mut marks = vec!["?"; values.len()];
        if self.kind == Kind::Baselines {
            // The pieces fill it.
            marks.pop();
            marks.push("zeroblob(?)");
        }
        let (table, marks) = (self.kind.table(), marks.join(", "));
        // The lead is there from the start.
        let verb = if self.kind == Kind::Lead { "INSERT OR REPLACE" } else { "INSERT" };
        self.transaction
            .prepare_cached(&format!("{verb} INTO {table} ({columns}) VALUES ({marks})"))?
            .execute(params_from_iter(values))?;
        if self.kind == Kind::Logs {
            self.file(record)?;
        }
        Ok(())
    }

    /// Enters a log into the lists; the counters are records of their own.
    fn file(&self, log: &Record) -> rusqlite::Result<()> {
        let value = |name| sql_value(&self.origins, log.field(Kind::Logs, name)).unwrap_or(SqlValue::Null);
        self.transaction
            .prepare_cached("INSERT INTO filed_logs (id, tenant, score, resolved_at) VALUES (?, ?, ?, ?)")?
            .execute(params![
                log.key.first().and_then(Value::id).and_then(|id: ObjectId| self.origins.row(id)),
                value("tenant"),
                value("score"),
                value("resolved_at"),
            ])
            .map(drop)
    }

    fn insert_tenant(&self, record: &Record, mut values: Vec<SqlValue>) -> rusqlite::Result<()> {
        let username = record.field(Kind::Tenants, "username").text().unwrap_or_default();
        let created_at = record.field(Kind::Tenants, "created_at").int();
        values.pop();
        let id = values[0].clone();
        values.push(SqlValue::Text(username.to_ascii_lowercase()));
        self.transaction
            .prepare_cached(
                "INSERT INTO tenants (id, username, plan, ask, password, created_at, folded)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params_from_iter(values))?;
        let hashes = record.field(Kind::Tenants, "api_keys").bytes().unwrap_or_default();
        for hash in hashes.chunks(API_KEY_BYTES) {
            self.transaction
                .prepare_cached("INSERT INTO api_keys (hash, tenant, created_at) VALUES (?, ?, ?)")?
                .execute(params![hash, id, created_at])?;
        }
        Ok(())
    }

    fn write_piece(&self, record: &Record, values: &[SqlValue]) -> rusqlite::Result<()> {
        let [tenant, name, SqlValue::Integer(place), SqlValue::Blob(bytes)] = values else {
            return Err(rusqlite::Error::InvalidParameterCount(values.len(), record.key.len() + 1));
        };
        let rowid: i64 = self
            .transaction
            .prepare_cached("SELECT rowid FROM baselines WHERE tenant = ? AND name = ?")?
            .query_row(params![tenant, name], |row| row.get(0))?;
        let first = usize::try_from(*place).map_err(|error| damaged(2, error))? * BASELINE_PIECE_BYTES;
        self.transaction.blob_open("main", "baselines", "bytes", rowid, false)?.write_at(bytes, first)
    }
}

/// The place of `size_bytes` among a baseline's fields.
const SIZE_BYTES: usize = 2;
