//! What only the store for many servers owes: its word through elections, and several nodes on one database.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Client,
    bson::{DateTime, Document, doc},
};
use sentinelflow_domain::{
    id::ObjectId,
    second_opinion::Spend,
    store::{IdempotencyKey, LogFilter, NewLog, Recorded, StatusFilter, TenantChange, ThreatFeed},
    tenant::TenantId,
};
use sentinelflow_mongod::{Mongod, Options, ReplicaSet, fresh_database_name, shared_one_member};
use sentinelflow_store::{ConnectError, MongoStore, Node};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    exchanges::{day_of, exchange, remembered},
    given::{AnyStore, Opened, all_pages, at, everything, ids, log, record, record_all, tenant},
    stats::recount,
};

/// A node with a data folder of its own, on the database of that name.
pub(crate) struct OnDatabase {
    pub(crate) store: AnyStore,
    pub(crate) feed: Arc<dyn ThreatFeed>,
    folder: TempDir,
}

impl OnDatabase {
    pub(crate) async fn open(url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let node = Node::claim(folder.path()).unwrap();
        let store = MongoStore::open(url, node).await.unwrap();
        Self { store: Arc::new(store.clone()), feed: Arc::new(store), folder }
    }
}

pub(crate) fn database(set: &ReplicaSet, name: &str) -> String {
    set.uri().replace("/?", &format!("/{name}?"))
}

pub(crate) async fn open_anew() -> Opened {
    let set = shared_one_member().await;
    let OnDatabase { store, folder, .. } = OnDatabase::open(&database(set, &fresh_database_name())).await;
    Opened { store, _place: Box::new(folder) }
}

async fn refusal(url: &str) -> ConnectError {
    let folder = TempDir::new().unwrap();
    MongoStore::open(url, Node::claim(folder.path()).unwrap()).await.err().expect("it must be refused")
}

#[tokio::test]
async fn what_can_not_keep_its_word_is_refused_with_a_reason() {
    let alone = Mongod::standalone().await;
    assert!(matches!(refusal(&alone.uri()).await, ConnectError::Alone));
    alone.kill();
    let url = format!("{}&serverSelectionTimeoutMS=300", alone.uri());
    assert!(matches!(refusal(&url).await, ConnectError::Unreachable(_)));
    let odd = refusal("mongodb://user:se/cret@host/").await;
    assert!(matches!(odd, ConnectError::Address));
    assert!(!format!("{odd} {odd:?}").contains("cret"));
}

#[tokio::test]
async fn the_time_is_the_databases_own() {
    let node = OnDatabase::open(&database(shared_one_member().await, &fresh_database_name())).await;
    let before = DateTime::now().timestamp_millis();
    let there = node.store.time().await.unwrap().unwrap().as_millis();
    assert!((before..=DateTime::now().timestamp_millis()).contains(&there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_find_the_store_ready() {
    let url = database(shared_one_member().await, &fresh_database_name());
    let mut opening = JoinSet::new();
    for _ in 0..10 {
        let url = url.clone();
        opening.spawn(async move { OnDatabase::open(&url).await });
    }
    for node in opening.join_all().await {
        node.store.ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_are_one_store() {
    const EACH: usize = 1_000;
    let url = database(shared_one_member().await, &fresh_database_name());
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let ana = tenant(&nodes[0].store, "ana").await.id;
    let logs = |from: usize| (0..EACH).map(|n| log(ana, &format!("{}", from + n), 50)).collect();
    let (first, second) =
        tokio::join!(record_all(&nodes[0].store, logs(0)), record_all(&nodes[1].store, logs(EACH)));
    let sent: BTreeSet<ObjectId> = first.into_iter().chain(second).collect();
    assert_eq!(sent.len(), 2 * EACH);
    for node in &nodes {
        let seen = all_pages(&node.store, ana, everything()).await;
        assert!(seen.is_sorted_by(|a, b| a.id > b.id));
        assert_eq!(ids(&seen).into_iter().collect::<BTreeSet<_>>(), sent);
        let counts = node.store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
        assert_eq!(counts, recount(&seen));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stores_its_entry_once_on_whichever_nodes() {
    let url = database(shared_one_member().await, &fresh_database_name());
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let ana = tenant(&nodes[0].store, "ana").await.id;
    let key: IdempotencyKey = "once".parse().unwrap();
    let mut retries = JoinSet::new();
    for n in 0..16 {
        let store = nodes[n % 2].store.clone();
        let log = NewLog { idempotency_key: Some(key.clone()), ..log(ana, "x", 50) };
        retries.spawn(async move { store.record(log).await.unwrap() });
    }
    let new = retries.join_all().await.into_iter().filter(|outcome| matches!(outcome, Recorded::New(_)));
    assert_eq!(new.count(), 1);
    assert_eq!(all_pages(&nodes[1].store, ana, everything()).await.len(), 1);
}

#[tokio::test]
async fn a_rename_that_is_acknowledged_holds_on_every_node() {
    let url = database(shared_one_member().await, &fresh_database_name());
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let ana = tenant(&nodes[0].store, "ana").await;
    let (old, new) = ("ana".parse().unwrap(), "anna".parse().unwrap());
    assert_eq!(nodes[1].store.tenant_named(&old).await.unwrap(), Some(ana.clone()));
    let change = TenantChange { username: Some("anna".parse().unwrap()), ..TenantChange::default() };
    nodes[0].store.update_tenant(ana.id, change).await.unwrap().unwrap();
    for node in &nodes {
        assert_eq!(node.store.tenant_named(&old).await.unwrap(), None);
        assert_eq!(node.store.tenant_named(&new).await.unwrap().unwrap().id, ana.id);
    }
}

/// Records logs one after the other until told to stop; returns the messages that were acknowledged.
async fn record_until_told(store: AnyStore, tenant: TenantId, name: usize, told: Arc<Told>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !told.to_stop.load(Ordering::Relaxed) {
        let message = format!("{name}-{number}");
        let key = Some(message.parse().unwrap());
        let log = NewLog { idempotency_key: key, ..log(tenant, &message, 50) };
        number += 1;
        if store.record(log).await.is_ok() {
            acknowledged.push(message);
            told.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

#[derive(Default)]
struct Told {
    to_stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Told {
    /// Waits until so many more are acknowledged.
    async fn of(&self, more: usize) {
        const PATIENCE: Duration = Duration::from_mins(2);
        let enough = self.acknowledged.load(Ordering::Relaxed) + more;
        let is_reached = async {
            while self.acknowledged.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_reached).await.expect("writes go on after an election");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_the_death_of_primaries_and_is_stored_once() {
    const WRITERS: usize = 8;
    const KILLS: usize = 3;
    let options = Options { election_timeout_ms: Some(2_000), ..Options::default() };
    let set = ReplicaSet::start_with(3, options).await;
    let url = database(&set, "survives");
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let ana = tenant(&nodes[0].store, "ana").await.id;
    let told = Arc::new(Told::default());
    let mut writers = JoinSet::new();
    for name in 0..WRITERS {
        writers.spawn(record_until_told(nodes[name % 2].store.clone(), ana, name, told.clone()));
    }
    for _ in 0..KILLS {
        told.of(10 * WRITERS).await;
        let primary = set.primary().await;
        set.kill(primary);
        told.of(WRITERS).await;
        set.restart(primary).await;
    }
    told.to_stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    let seen = all_pages(&nodes[0].store, ana, everything()).await;
    let messages: Vec<&str> = seen.iter().map(|log| log.entry.message.as_str()).collect();
    let once: BTreeSet<&str> = messages.iter().copied().collect();
    assert_eq!(once.len(), messages.len(), "nothing is stored twice");
    for message in &acknowledged {
        assert!(once.contains(message.as_str()), "{message} is lost");
    }
    let counts = nodes[1].store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
    assert_eq!(counts, recount(&seen), "the counters did not drift");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_the_primary_hangs() {
    let options = Options { election_timeout_ms: Some(2_000), ..Options::default() };
    let set = ReplicaSet::start_with(3, options).await;
    let node = OnDatabase::open(&database(&set, "hangs")).await;
    let ana = tenant(&node.store, "ana").await.id;
    record(&node.store, log(ana, "before", 50)).await;
    let primary = set.primary().await;
    set.stop(primary);
    // On a busy machine an election can take longer than a caller waits: he tries again.
    let meanwhile = async {
        loop {
            if let Ok(Recorded::New(id)) = node.store.record(log(ana, "meanwhile", 50)).await {
                return id;
            }
        }
    };
    let meanwhile = tokio::time::timeout(Duration::from_mins(2), meanwhile).await.expect("writes go on");
    set.resume(primary);
    let active = LogFilter { status: StatusFilter::Active, ..everything() };
    assert!(ids(&all_pages(&node.store, ana, active).await).contains(&meanwhile));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_killed_node_left_open_holds_up_its_own_keys_only() {
    const OTHERS: usize = 100;
    let set = shared_one_member().await;
    let name = fresh_database_name();
    let node = OnDatabase::open(&database(set, &name)).await;
    let ana = tenant(&node.store, "ana").await.id;
    let keyed = |key: &str| NewLog { idempotency_key: Some(key.parse().unwrap()), ..log(ana, key, 50) };
    record(&node.store, keyed("pattern")).await;

    // What such a node leaves behind: its last logs' keys, neither committed nor aborted.
    let left = Client::with_uri_str(set.uri()).await.unwrap();
    let keys = left.database(&name).collection::<Document>("idempotency_keys");
    let mut pattern = keys.find_one(doc! {}).await.unwrap().unwrap();
    pattern.get_document_mut("_id").unwrap().insert("key", "left-open");
    let mut session = left.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    keys.insert_one(pattern).session(&mut session).await.unwrap();

    let stuck = tokio::spawn({
        let (store, log) = (node.store.clone(), keyed("left-open"));
        async move { store.record(log).await }
    });
    let others = (0..OTHERS).map(|number| keyed(&number.to_string())).collect();
    let others = tokio::time::timeout(Duration::from_secs(15), record_all(&node.store, others));
    assert_eq!(others.await.expect("the others are recorded meanwhile").len(), OTHERS);
    assert!(!stuck.is_finished(), "it can't be recorded yet");
    session.abort_transaction().await.unwrap();
    assert!(matches!(stuck.await.unwrap(), Ok(Recorded::New(_))));
    assert_eq!(all_pages(&node.store, ana, everything()).await.len(), OTHERS + 2);
}

#[tokio::test]
async fn what_a_killed_node_left_open_holds_up_no_other_that_asks_a_model_the_same() {
    let set = shared_one_member().await;
    let name = fresh_database_name();
    let url = database(set, &name);
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let ana = tenant(&nodes[0].store, "ana").await.id;
    let pay = async |node: usize, id: u8| {
        let verdicts = vec![remembered(1, at(60))];
        nodes[node].store.keep_exchange(ana, exchange(id, at(0)), verdicts).await.unwrap();
    };
    pay(0, 1).await;
    let left = Client::with_uri_str(set.uri()).await.unwrap();
    let mut session = left.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for written in ["spends", "verdicts"] {
        let written = left.database(&name).collection::<Document>(written);
        let change = doc! { "$set": { "left_open": true } };
        let changed = written.update_many(doc! {}, change).session(&mut session).await.unwrap();
        assert_eq!(changed.modified_count, 1);
    }
    tokio::time::timeout(Duration::from_secs(15), pay(1, 2)).await.expect("it doesn't wait for the verdict");
    session.abort_transaction().await.unwrap();
    for node in &nodes {
        let spent = node.store.spent(ana, day_of(at(0))).await.unwrap();
        let one = exchange(1, at(0)).spent;
        assert_eq!(spent, Spend { tokens: 2 * one.tokens, nano_usd: 2 * one.nano_usd });
    }
}
