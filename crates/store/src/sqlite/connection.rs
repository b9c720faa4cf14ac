//! Opens the database file: alone, private to its owner, and with the settings that durability and a small memory ask for.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::migrations;
use crate::private::{create_private_directory, open_private};

/// The file in a data directory.
const FILE_NAME: &str = "sentinelflow.sqlite3";
/// Written into the file's header: "SFLW". It tells our databases from those of other programs.
const APPLICATION_ID: i64 = 0x5346_4C57;
/// Locks inside one process are held for microseconds; only a backup tool could hold one for longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const WRITER_CACHE_KIB: i64 = 8 * 1024;
const READER_CACHE_KIB: i64 = 2 * 1024;
/// A commit writes whole pages: with many tenants most of them are of indexes, a few bytes of each new.
const PAGE_BYTES: i64 = 4 * 1024;
const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// Why a database was not opened. For the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("cannot create or open {}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("{} is used by another process", path.display())]
    InUse { path: PathBuf },
    #[error("there is no database at {}", path.display())]
    NotThere { path: PathBuf },
    #[error(
        "{} is an unfinished copy of another store: let `sentinelflow store copy` finish it", path.display()
    )]
    Unfinished { path: PathBuf },
    #[error("{} is not a SentinelFlow database", path.display())]
    NotOurs { path: PathBuf },
    #[error("{} has schema version {found}; this binary knows versions up to {known}", path.display())]
    FromTheFuture { path: PathBuf, found: i64, known: i64 },
    #[error("there is no room on the disk for {}", path.display())]
    DiskFull { path: PathBuf },
    #[error("{} cannot be read as a database", path.display())]
    Sqlite { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

/// A database file that no other process opens while this value lives.
#[derive(Debug)]
pub(super) struct OwnedFile {
    path: PathBuf,
    _lock: File,
}

impl OwnedFile {
    /// Takes the file, or the directory that is to hold it.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let file = file_at(path);
        let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
        if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_private_directory(directory).map_err(unreachable)?;
        }
        // SQLite gives its other files the rights of this one.
        open_private(&file).map_err(unreachable)?;
        let lock_path = PathBuf::from(format!("{}.lock", file.display()));
        let lock = open_private(&lock_path).map_err(unreachable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: file, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: file }),
            Err(TryLockError::Error(source)) => Err(unreachable(source)),
        }
    }

    /// Takes a file only if it is there and holds something.
    pub(super) fn claim_existing(path: &Path) -> Result<Self, OpenError> {
        let file = file_at(path);
        match file.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => Self::claim(&file),
            _ => Err(OpenError::NotThere { path: file }),
        }
    }

    /// Returns how the file is called when it can't serve because it is half a copy.
    pub(super) fn unfinished(&self) -> OpenError {
        OpenError::Unfinished { path: self.path.clone() }
    }

    /// Opens the connection that writes, with the newest schema.
    pub(super) fn open_writer(&self) -> Result<Connection, OpenError> {
        let mut connection = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|error| self.sqlite(error))?;
        self.check_identity(&connection)?;
        prepare_for_writing(&mut connection).map_err(|error| self.sqlite(error))?;
        Ok(connection)
    }

    /// Opens a connection that only copies the write-ahead log back, once the one that writes is open.
    pub(super) fn open_checkpointer(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "fullfsync", true)?;
            Ok(connection)
        };
        open().map_err(|error| self.sqlite(error))
    }

    /// Opens a connection that can only read.
    pub(super) fn open_reader(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        open().map_err(|error| self.sqlite(error))
    }

    /// Refuses what another program or a newer binary has written, before anything is changed.
    fn check_identity(&self, connection: &Connection) -> Result<(), OpenError> {
        let read = || {
            let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let tables: i64 =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((application, tables, migrations::version(connection)?))
        };
        let path = || self.path.clone();
        let (application, tables, version) = read().map_err(|error: rusqlite::Error| self.sqlite(error))?;
        let is_empty = tables == 0 && version == 0;
        if application != APPLICATION_ID && !is_empty {
            return Err(OpenError::NotOurs { path: path() });
        }
        if version > migrations::NEWEST {
            return Err(OpenError::FromTheFuture { path: path(), found: version, known: migrations::NEWEST });
        }
        Ok(())
    }

    pub(super) fn sqlite(&self, error: rusqlite::Error) -> OpenError {
        let path = self.path.clone();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotOurs { path },
            Some(ErrorCode::DiskFull) => OpenError::DiskFull { path },
            _ => OpenError::Sqlite { path, source: Box::new(error) },
        }
    }
}

/// Returns the file that a path means: a path that doesn't exist is a file if it has an extension.
fn file_at(path: &Path) -> PathBuf {
    let is_directory = if path.exists() { path.is_dir() } else { path.extension().is_none() };
    if is_directory { path.join(FILE_NAME) } else { path.to_owned() }
}

fn prepare_for_writing(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // It counts only in an empty file, before anything is written.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Every commit is synced: an answer given is on the disk, not in its write cache.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A thread of its own does that (checkpoint.rs).
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT_BYTES, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(32);
    migrations::migrate(connection)
}
