//! Opens the store: reaches the servers, sees that they can keep what is promised, makes collections and indexes.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Database, IndexModel,
    bson::{DateTime, Document, doc, oid},
    error::{Error as DriverError, ErrorKind, WriteFailure},
    options::{ClientOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria},
};
use sentinelflow_domain::{id::ObjectId, time::Timestamp};
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use super::{
    MongoStore,
    changes::Hub,
    copy::is_unfinished,
    errors::Cause,
    ids::{Ids, from_bson},
    logs, named,
    tenants::Directory,
    transaction::durable,
    writer::Writer,
};
use crate::node::Node;

/// The name of a database if the URL has none.
const DATABASE: &str = "sentinelflow";
/// The oldest release whose promises are known to hold here.
const OLDEST_RELEASE: i64 = 6;
/// So long a member is looked for that takes writes.
const SELECTION: Duration = Duration::from_secs(5);
/// So long everything may take until a store is open; only an index for logs that are there already takes longer than a
/// moment, and the servers go on with that when nobody waits.
const OPENING: Duration = Duration::from_secs(30);
/// A member that hangs is known for it after about two of these.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// So many requests are under way at once with each member; a search of many logs has one for a while.
const CONNECTIONS: u32 = 32;

/// So many streams of threats look through changes of before at once, of those that come back.
const TURNS: usize = 8;

/// Why a MongoDB can't be the store. No message holds the URL: there may be a password in it.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error(
        "the address of the MongoDB can't be used: it is mongodb://[USER:PASSWORD@]HOST[,HOST…]/[DATABASE][?OPTIONS], \
         and marks such as @ and / in a password are written as %40 and %2F"
    )]
    Address,
    #[error("no member of the MongoDB that takes writes answered within {} s", SELECTION.as_secs())]
    Unreachable(#[source] Cause),
    #[error("the MongoDB refuses the credentials")]
    Refused(#[source] Cause),
    #[error("the MongoDB does not let the node write: its user needs the role readWrite on the database")]
    MayNotWrite(#[source] Cause),
    #[error(
        "the MongoDB is no replica set or sharded cluster: what a single server acknowledges can be lost; \
         start it with --replSet and run rs.initiate(), one member is enough"
    )]
    Alone,
    #[error(
        "the member of the MongoDB that was asked takes no writes: name all members in the address, \
         and leave directConnection out"
    )]
    ReadOnly,
    #[error("the MongoDB is version {0}; at least {OLDEST_RELEASE}.0 is needed")]
    TooOld(String),
    #[error("the MongoDB did not get ready within {} s; it answers too slowly or makes an index", OPENING.as_secs())]
    NotInTime,
    #[error("the database is an unfinished copy of another store: let `sentinelflow store copy` finish it")]
    Unfinished,
    #[error("the MongoDB can't be prepared")]
    Unprepared(#[source] Cause),
}

impl From<DriverError> for ConnectError {
    fn from(error: DriverError) -> Self {
        /// What servers call failed authentication.
        const REFUSALS: [i32; 2] = [18, 8000];
        const LACK_OF_RIGHTS: i32 = 13;
        match &*error.kind {
            ErrorKind::Authentication { .. } => Self::Refused(Cause(error)),
            ErrorKind::Command(command) if REFUSALS.contains(&command.code) => Self::Refused(Cause(error)),
            ErrorKind::Command(command) if command.code == LACK_OF_RIGHTS => Self::MayNotWrite(Cause(error)),
            ErrorKind::ServerSelection { message, .. } if message.contains("uthentication") => {
                Self::Refused(Cause(error))
            }
            // The driver itself goes no further back than to 4.4.
            ErrorKind::ServerSelection { message, .. } if message.contains("reports wire version") => {
                Self::TooOld("4.2 or older".to_owned())
            }
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::DnsResolve { .. } => {
                Self::Unreachable(Cause(error))
            }
            _ => Self::Unprepared(Cause(error)),
        }
    }
}

impl ConnectError {
    /// Whether another primary was elected while the store was made ready.
    fn tells_of_an_election(&self) -> bool {
        /// What servers say who are no primary, are about to end, or leave the office at that moment.
        const LEAVING: [i32; 6] = [91, 189, 10_107, 11_600, 11_602, 13_435];
        let Self::Unprepared(Cause(error)) = self else { return false };
        match &*error.kind {
            ErrorKind::Command(command) => LEAVING.contains(&command.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => LEAVING.contains(&error.code),
            _ => false,
        }
    }
}

impl MongoStore {
    /// Opens the store at a `mongodb://` or `mongodb+srv://` URL, whose path may name the database; it is made ready if
    /// it is new, also by several nodes at the same time.
    pub async fn open(url: &str, node: Node) -> Result<Self, ConnectError> {
        let opening = async {
            let (client, database) = connect(url).await?;
            let newest = make_ready(&database).await?;
            Ok::<_, ConnectError>((client, database, newest))
        };
        let opened = timeout(OPENING, opening).await;
        let (client, database, newest) = opened.map_err(|_| ConnectError::NotInTime)??;
        let now = DateTime::now().timestamp_millis();
        let ids = Arc::new(Ids::new(node.id(), newest, Timestamp::from_millis(now)));
        let run = oid::ObjectId::new();
        let writer = Writer::start(client.clone(), database.clone(), run, Arc::clone(&ids));
        let hub = Hub::new(database.clone());
        let turns = Arc::new(Semaphore::new(TURNS));
        let directory = Arc::new(Directory::default());
        let exchanges_under_way = Arc::default();
        Ok(Self { client, database, node, run, ids, directory, writer, hub, turns, exchanges_under_way })
    }
}

/// Reaches the database at a URL, on servers that can keep what is promised; makes nothing.
pub(super) async fn connect(url: &str) -> Result<(Client, Database), ConnectError> {
    let mut options = ClientOptions::parse(url).await.map_err(|_| ConnectError::Address)?;
    options.app_name.get_or_insert_with(|| "sentinelflow".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    options.connect_timeout.get_or_insert(HEARTBEAT);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    options.retry_reads = Some(true);
    options.retry_writes = Some(true);
    // What was read must not be lost later, and what was acknowledged must be seen.
    options.write_concern = Some(durable());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let client = Client::with_options(options).map_err(|_| ConnectError::Address)?;
    let database = client.database(&name);
    timeout(OPENING, check(&database)).await.map_err(|_| ConnectError::NotInTime)??;
    Ok((client, database))
}

/// Makes the store ready, again if meanwhile another primary is elected, and returns the newest id in it.
async fn make_ready(database: &Database) -> Result<Option<ObjectId>, ConnectError> {
    const PAUSE: Duration = Duration::from_millis(200);
    let give_up = Instant::now() + SELECTION;
    loop {
        let made_ready = async {
            if is_unfinished(database).await? {
                return Err(ConnectError::Unfinished);
            }
            must_take_writes(database).await?;
            prepare(database).await?;
            Ok(newest_id(database).await?)
        };
        match made_ready.await {
            Err(ConnectError::ReadOnly) if Instant::now() < give_up => sleep(PAUSE).await,
            Err(error) if error.tells_of_an_election() => sleep(PAUSE).await,
            done => return done,
        }
    }
}

async fn must_take_writes(database: &Database) -> Result<(), ConnectError> {
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let takes_writes = hello.get_bool("isWritablePrimary").unwrap_or_default();
    if takes_writes { Ok(()) } else { Err(ConnectError::ReadOnly) }
}

/// Sees that the servers can keep what is promised.
async fn check(database: &Database) -> Result<(), ConnectError> {
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let is_router = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
    if !is_router && hello.get_str("setName").is_err() {
        return Err(ConnectError::Alone);
    }
    let build = database.run_command(doc! { "buildInfo": 1 }).await?;
    let version = build.get_str("version").unwrap_or("unknown");
    let release = version.split('.').next().and_then(|major| major.parse::<i64>().ok());
    if release.is_none_or(|release| release < OLDEST_RELEASE) {
        return Err(ConnectError::TooOld(version.to_owned()));
    }
    Ok(())
}

/// Makes the collections and indexes that are missing.
pub(super) async fn prepare(database: &Database) -> Result<(), DriverError> {
    const ALREADY_THERE: i32 = 48;
    let collections = [
        named::TENANTS,
        named::LOGS,
        named::MINUTES,
        named::KEYS,
        named::SCANS,
        named::SCAN_THREATS,
        named::BASELINES,
        named::BASELINE_PIECES,
        named::EXCHANGES,
        named::VERDICTS,
        named::SPENDS,
        named::META,
    ];
    let there = database.list_collection_names().await?;
    for name in collections.into_iter().filter(|name| !there.iter().any(|known| known == name)) {
        match database.create_collection(name).await {
            // Another node was faster.
            Err(error) if matches!(&*error.kind, ErrorKind::Command(command) if command.code == ALREADY_THERE) =>
                {}
            made => made?,
        }
    }
    for (collection, index) in indexes() {
        database.collection::<Document>(collection).create_index(index).await?;
    }
    Ok(())
}

fn indexes() -> Vec<(&'static str, IndexModel)> {
    let index =
        |keys: Document, options: IndexOptions| IndexModel::builder().keys(keys).options(options).build();
    let plain = |name: &str| IndexOptions::builder().name(name.to_owned()).build();
    let unique = |name: &str| IndexOptions::builder().name(name.to_owned()).unique(true).build();
    let partial = |name: &str, which: Document| {
        IndexOptions::builder().name(name.to_owned()).partial_filter_expression(which).build()
    };
    let key_of_one = IndexOptions::builder()
        .name("by_api_key".to_owned())
        .unique(true)
        .partial_filter_expression(doc! { "api_keys": { "$exists": true } })
        .build();
    let removed_at =
        || IndexOptions::builder().name("removed".to_owned()).expire_after(Duration::ZERO).build();
    vec![
        (named::TENANTS, index(doc! { "folded": 1 }, unique("by_name"))),
        (named::TENANTS, index(doc! { "api_keys": 1 }, key_of_one)),
        (named::LOGS, index(doc! { "tenant": 1, "_id": -1 }, plain(logs::BY_AGE))),
        (
            named::LOGS,
            index(
                doc! { "tenant": 1, "status": 1, "_id": -1 },
                partial(logs::BY_STATUS, doc! { "status": { "$exists": true } }),
            ),
        ),
        (named::KEYS, index(doc! { "remove_at": 1 }, removed_at())),
        (named::VERDICTS, index(doc! { "remove_at": 1 }, removed_at())),
        (named::EXCHANGES, index(doc! { "tenant": 1, "asked_at": 1 }, plain(logs::BY_AGE))),
        (named::SCANS, index(doc! { "tenant": 1, "_id": -1 }, plain("of_tenant_by_age"))),
        (
            named::SCANS,
            index(
                doc! { "node": 1, "_id": 1 },
                partial("unfinished", doc! { "unfinished": { "$exists": true } }),
            ),
        ),
    ]
}

/// Returns the newest id that any node has minted.
async fn newest_id(database: &Database) -> Result<Option<ObjectId>, DriverError> {
    let mut newest = None;
    for name in [named::LOGS, named::TENANTS, named::SCANS] {
        let collection = database.collection::<Document>(name);
        let last =
            collection.find_one(doc! {}).sort(doc! { "_id": -1 }).projection(doc! { "_id": 1 }).await?;
        let last = last.and_then(|last| last.get_object_id("_id").ok()).map(from_bson);
        newest = newest.max(last);
    }
    Ok(newest)
}
