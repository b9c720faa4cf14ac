//! Copies a store into an empty one: page by page, resumably, and at the end compares what both hold.
//! What the records are is in `record`; each store reads and writes them in a file of its own.

pub(crate) mod record;

mod check;
mod compare;

use std::path::PathBuf;

use async_trait::async_trait;
use sentinelflow_domain::{clock::Clock, store::StoreError};
use thiserror::Error;

use self::{
    check::check,
    record::{Record, Value, called},
};
pub use self::{
    compare::{Comparison, Tally},
    record::Kind,
};
use crate::{
    mongo::{ConnectError, MongoHouse},
    sqlite::{OpenError, SqliteHouse},
};

/// So many records are read at once, of about so many bytes.
pub(crate) const PAGE_RECORDS: usize = 5_000;
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// Where a store is.
#[derive(Clone)]
pub enum Address {
    /// A database file, or the folder that holds it.
    Sqlite(PathBuf),
    /// A URL. There may be a password in it.
    Mongo(String),
}

/// A store as whoever moves sees it: something to be read from one end to the other, or to be filled.
#[async_trait]
pub(crate) trait House: Send + Sync {
    /// Returns what tells this store from others, wherever it is reached from.
    fn identity(&self) -> &str;

    async fn condition(&self) -> Result<Condition, CopyError>;

    /// Returns the origins of all ids, in order.
    async fn origins(&self) -> Result<Vec<[u8; 5]>, CopyError>;

    async fn count_unfinished_scans(&self) -> Result<u64, CopyError>;

    /// Returns the records of a kind behind `after` in the order of their keys, as many as make a page; none at the end.
    async fn page(&self, kind: Kind, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError>;

    /// Marks the store as an unfinished copy of another, so that no server uses it.
    async fn move_in(&self, source: &str, origins: &[[u8; 5]]) -> Result<(), CopyError>;

    /// Adds a page and remembers that it did; a page that was added in part before is added once.
    async fn put(&self, page: &Page) -> Result<(), CopyError>;

    /// Removes the mark: from now on servers may use the store.
    async fn settle(&self) -> Result<(), CopyError>;
}

/// How far a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Empty,
    /// A copy that has not come to its end.
    Unfinished {
        source: String,
        /// The last record of the last page that was added.
        last: Option<(Kind, Vec<Value>)>,
    },
    /// A store that servers use.
    Settled,
}

/// Some records of one kind, at least one.
pub(crate) struct Page {
    pub(crate) kind: Kind,
    pub(crate) records: Vec<Record>,
}

impl Page {
    /// Returns what its last record is found by.
    pub(crate) fn last(&self) -> &[Value] {
        self.records.last().map_or(&[], |record| &record.key)
    }
}

/// Why a store was not copied. For the operator.
#[derive(Debug, Error)]
pub enum CopyError {
    #[error("cannot open {side}")]
    Sqlite { side: &'static str, source: OpenError },
    #[error("cannot open {side}")]
    Mongo { side: &'static str, source: ConnectError },
    #[error("there is no store in FROM")]
    NothingToCopy,
    #[error("FROM is itself an unfinished copy")]
    SourceUnfinished,
    #[error(
        "FROM has {0} scan(s) that have not ended, and their uploads lie in the data folder of a server: let a \
         server finish them, or cancel them (DELETE /audit/scan/{{id}})"
    )]
    UnfinishedScans(u64),
    #[error("TO is not empty: name a new file or a new database")]
    NotEmpty,
    #[error(
        "TO is an unfinished copy of another store: go on with that, or name a new file or a new database"
    )]
    OfAnother,
    #[error("TO is not marked as this copy any more: another process has finished or removed it")]
    MarkLost,
    #[error("FROM holds the ids of {0} nodes; a SQLite store has room for those of {1}")]
    TooManyOrigins(usize, usize),
    #[error("{} {name}: it cannot be read, so nothing is copied in its place", kind.as_str())]
    Unreadable { kind: Kind, name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(
        "{} {name}: the id comes from a node that had written nothing when the copy began; empty TO and begin again",
        kind.as_str()
    )]
    NewOrigin { kind: Kind, name: String },
    #[error("{} {name}: it cannot be added to TO", kind.as_str())]
    Unwritable { kind: Kind, name: String, source: StoreError },
    #[error("a store failed")]
    Store(#[from] StoreError),
}

/// What the last step of a copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub kind: Kind,
    pub records: usize,
    pub bytes: usize,
}

/// A copy under way. It may be dropped, or killed, at any moment: the next one goes on where it was.
pub struct Copy {
    from: Box<dyn House>,
    to: Box<dyn House>,
    /// Was read while the page before was written.
    next: Option<Page>,
    is_resumed: bool,
}

impl Copy {
    /// Begins a copy, or goes on with one that was broken off. `to` must be empty or an unfinished copy of `from`.
    pub async fn begin(from: Address, to: Address) -> Result<Self, CopyError> {
        let from: Box<dyn House> = match from {
            Address::Sqlite(path) => Box::new(SqliteHouse::open_existing(&path)?),
            Address::Mongo(url) => Box::new(MongoHouse::reach_existing(&url).await?),
        };
        if matches!(from.condition().await?, Condition::Unfinished { .. }) {
            return Err(CopyError::SourceUnfinished);
        }
        let unfinished = from.count_unfinished_scans().await?;
        if unfinished > 0 {
            return Err(CopyError::UnfinishedScans(unfinished));
        }
        let to: Box<dyn House> = match to {
            Address::Sqlite(path) => Box::new(SqliteHouse::open(&path)?),
            Address::Mongo(url) => Box::new(MongoHouse::reach(&url).await?),
        };
        let (is_resumed, last) = match to.condition().await? {
            Condition::Settled => return Err(CopyError::NotEmpty),
            Condition::Unfinished { source, .. } if source != from.identity() => {
                return Err(CopyError::OfAnother);
            }
            Condition::Unfinished { last, .. } => (true, last),
            Condition::Empty => {
                to.move_in(from.identity(), &from.origins().await?).await?;
                (false, None)
            }
        };
        let next = read_on(&*from, last.as_ref().map(|(kind, key)| (*kind, key.as_slice()))).await?;
        Ok(Self { from, to, next, is_resumed })
    }

    /// Whether it goes on with a copy that was broken off.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Copies the next page; `None` if there is none left.
    pub async fn step(&mut self) -> Result<Option<Progress>, CopyError> {
        let Some(page) = self.next.take() else { return Ok(None) };
        let (written, next) =
            tokio::join!(self.to.put(&page), read_on(&*self.from, Some((page.kind, page.last()))));
        written?;
        self.next = next?;
        let bytes = page.records.iter().map(Record::size_bytes).sum();
        Ok(Some(Progress { kind: page.kind, records: page.records.len(), bytes }))
    }

    /// Compares what both sides hold of a kind, read back from both.
    pub async fn compare(&self, kind: Kind, clock: &dyn Clock) -> Result<Comparison, CopyError> {
        compare::compare(&*self.from, &*self.to, kind, clock).await
    }

    /// Opens the copy to servers, if nothing is left to be copied and all kinds were found to agree; says whether it did.
    pub async fn settle(self, comparisons: &[Comparison]) -> Result<bool, CopyError> {
        let is_compared = Kind::ALL
            .iter()
            .all(|kind| comparisons.iter().any(|comparison| comparison.kind == *kind && comparison.agrees()));
        let is_done = self.next.is_none() && is_compared;
        if is_done {
            self.to.settle().await?;
        }
        Ok(is_done)
    }
}

/// Returns the page behind a record, of the next kind that has any if there are no more of this one.
async fn read_on(from: &dyn House, last: Option<(Kind, &[Value])>) -> Result<Option<Page>, CopyError> {
    let mut after = last.map(|(_, key)| key);
    let kinds = Kind::ALL.into_iter().skip_while(|kind| last.is_some_and(|(last, _)| last != *kind));
    for kind in kinds {
        let records = from.page(kind, after.take()).await?;
        for record in &records {
            check(kind, record).map_err(|source| CopyError::Unreadable {
                kind,
                name: called(&record.key),
                source,
            })?;
        }
        if !records.is_empty() {
            return Ok(Some(Page { kind, records }));
        }
    }
    Ok(None)
}
