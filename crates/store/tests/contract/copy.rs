//! Promises about moving house: what was copied is the same store, whatever happened on the way.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use mongodb::{
    Client, Collection, Database,
    bson::{DateTime, Document, doc},
};
use sentinelflow_domain::{
    clock::Clock,
    id::ObjectId,
    log_entry::Message,
    second_opinion::Ask,
    store::{IdempotencyKey, LogFilter, NewBaseline, NewLog, NewTenant, Owner, StatusFilter, TenantChange},
    tenant::{ApiKeyHash, PasswordHash, TenantId},
    time::Timestamp,
};
use sentinelflow_mongod::{fresh_database_name, shared_one_member};
use sentinelflow_store::{
    Address, Comparison, ConnectError, Copy, CopyError, Kind, MongoStore, Node, OpenError, SqliteStore,
};
use tempfile::TempDir;

use crate::{
    exchanges::{day_of, exchange, remembered},
    given::{AnyStore, all_pages, everything, log, new_tenant, record, record_all, with_opinion},
    mongo::{OnDatabase, database},
    scans,
};

/// A clock that is so many milliseconds ahead.
struct In(i64);

impl Clock for In {
    fn now(&self) -> Timestamp {
        later(self.0)
    }
}

/// Keys and verdicts have time left in these tests.
fn now() -> Timestamp {
    Timestamp::from_millis(DateTime::now().timestamp_millis())
}

fn later(ms: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + ms)
}

const NAMES: [&str; 3] = ["Ana", "bob", "empty"];
const HOUR_MS: i64 = 3_600_000;

fn password(name: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id${name}"))
}

fn api_key(name: &str) -> ApiKeyHash {
    let mut hash = [7; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    ApiKeyHash(hash)
}

fn idempotency_key(number: usize) -> IdempotencyKey {
    format!("key-{number}").parse().unwrap()
}

/// Fills stores, which may be nodes on one database, with something of everything. Two pages of logs and of a baseline.
async fn fill(nodes: &[AnyStore]) {
    let first = &nodes[0];
    let mut tenants = Vec::new();
    for (name, node) in NAMES.iter().zip(nodes.iter().cycle()) {
        let new = NewTenant {
            password: (*name != "bob").then(|| password(name)),
            api_key: (*name != "empty").then(|| api_key(name)),
            created_at: later(-HOUR_MS),
            ..new_tenant(name)
        };
        tenants.push(node.sign_up(new).await.unwrap().id);
    }
    let [ana, bob, _] = tenants[..] else { panic!("three signed up") };
    let change = TenantChange {
        plan: Some(sentinelflow_domain::tenant::Plan::Pro),
        ask: Some(Ask::Uncertain),
        ..TenantChange::default()
    };
    first.update_tenant(bob, change).await.unwrap().unwrap();
    fill_logs(nodes, ana, bob).await;
    for (number, node) in (0..3).zip(nodes.iter().cycle()) {
        let verdicts = vec![remembered(number, later(HOUR_MS))];
        node.keep_exchange(ana, exchange(number, now()), verdicts).await.unwrap();
    }
    for number in 0..3_u64 {
        let new = scans::scan(bob, &format!("{number}.csv"));
        scans::done(&nodes[usize::try_from(number).unwrap() % nodes.len()], new, scans::report(number * 4))
            .await;
    }
    let failed = first.enqueue_scan(scans::scan(ana, "failed.csv")).await.unwrap();
    assert!(first.fail_scan(failed, scans::failure()).await.unwrap());
    let cancelled = first.enqueue_scan(scans::scan(ana, "cancelled.csv")).await.unwrap();
    first.discard_scan(ana, cancelled, now()).await.unwrap().unwrap();
    for (tenant, name, len) in [(ana, "large", 9 << 20), (ana, "small", 3), (bob, "large", 0)] {
        let bytes = (0..=250).cycle().take(len).collect();
        let name = name.parse().unwrap();
        let filename = "clean \0 month.csv".into();
        let new = NewBaseline { tenant, name, created_at: now(), rows: 5_000, filename, bytes };
        first.put_baseline(new).await.unwrap();
    }
}

async fn fill_logs(nodes: &[AnyStore], ana: TenantId, bob: TenantId) {
    let (first, last) = (&nodes[0], &nodes[nodes.len() - 1]);
    for (number, node) in (0..6).zip(nodes.iter().cycle()) {
        let large = (0..30_u8).map(|n| {
            let mut large = log(ana, "x", n * 3);
            large.entry.message = Message::try_from(format!("{number} {n} {}", "ß".repeat(30_000))).unwrap();
            NewLog { received_at: later(-HOUR_MS + i64::from(number) * 61_000), ..large }
        });
        record_all(node, large.collect()).await;
        let small = log(bob, &format!("{number}"), 50);
        record(node, NewLog { received_at: now(), ..small }).await;
    }
    for number in 0..4 {
        let keyed = NewLog {
            idempotency_key: Some(idempotency_key(number)),
            received_at: now(),
            ..log(ana, &format!("keyed {number} \0 \u{202e}"), 30)
        };
        record(&nodes[number % nodes.len()], keyed).await;
    }
    // The clock steps back: from here on ids lead.
    let raised = record(first, NewLog { received_at: later(-2 * HOUR_MS), ..log(ana, "raised", 5) }).await;
    assert!(first.add_opinion(ana, raised, with_opinion(60)).await.unwrap());
    for score in [5, 80] {
        let resolved = record(last, NewLog { received_at: now(), ..log(bob, "resolved", score) }).await;
        last.resolve(Owner::Tenant(bob), resolved, later(3)).await.unwrap().unwrap();
    }
}

/// Returns whatever callers can read of a filled store, by what it is.
async fn all_that_is_read(store: &AnyStore) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    let mut see = |what: String, seen: &dyn std::fmt::Debug| {
        assert!(read.insert(what, format!("{seen:?}")).is_none());
    };
    for name in NAMES {
        let tenant = store.tenant_named(&name.parse().unwrap()).await.unwrap().unwrap();
        let id = tenant.id;
        see(name.to_owned(), &tenant);
        let phc = store.password_of(id).await.unwrap().map(|password| password.as_str().to_owned());
        see(format!("{name} password"), &phc);
        see(format!("{name} key"), &store.tenant_with_key(&api_key(name)).await.unwrap());
        for status in [StatusFilter::Active, StatusFilter::Resolved, StatusFilter::All] {
            let filter = LogFilter { status, limit: 7, ..everything() };
            see(format!("{name} {status:?}"), &all_pages(store, id, filter).await);
        }
        let until = LogFilter { until: Some(later(-HOUR_MS)), ..everything() };
        see(format!("{name} until"), &store.recent(id, until).await.unwrap().items.len());
        let mut after = ObjectId::LOWEST;
        let mut feed = Vec::new();
        loop {
            let page = store.threats_after(id, after, 50).await.unwrap();
            feed.extend(page.items.iter().map(|log| log.id));
            let Some(next) = page.next else { break };
            after = next;
        }
        see(format!("{name} feed"), &feed);
        for number in 0..4 {
            let found = store.recorded_under(id, &idempotency_key(number)).await.unwrap();
            see(format!("{name} recorded under {number}"), &found);
            let number = u8::try_from(number).unwrap();
            see(
                format!("{name} exchange {number}"),
                &store.exchange(id, exchange(number, now()).id).await.unwrap(),
            );
            let key = remembered(number, now()).key;
            see(format!("{name} verdict {number}"), &store.verdicts(id, vec![key], now()).await.unwrap());
        }
        see(format!("{name} minutes"), &store.per_minute(id, i64::MIN, i64::MAX).await.unwrap());
        see(format!("{name} spent"), &store.spent(id, day_of(now())).await.unwrap());
        let listed = store.scans(id, 10, None).await.unwrap();
        see(format!("{name} scans"), &listed);
        for scan in listed.items {
            see(format!("{name} scan {}", scan.id), &store.scan(id, scan.id).await.unwrap());
            let rows = store.scan_threats(id, scan.id, 1, 100).await.unwrap();
            see(format!("{name} rows of {}", scan.id), &rows);
        }
        let baselines = store.baselines(id).await.unwrap();
        see(format!("{name} baselines"), &baselines);
        for baseline in baselines {
            let bytes = store.baseline(id, &baseline.name).await.unwrap();
            see(
                format!("{name} baseline {}", baseline.name),
                &bytes.map(|bytes| (bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())),
            );
        }
    }
    read
}

fn assert_same(copy: &BTreeMap<String, String>, first: &BTreeMap<String, String>) {
    assert_eq!(copy.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    for (what, seen) in first {
        assert!(copy[what] == *seen, "{what}: {:.2000} is not {:.2000}", copy[what], seen);
    }
}

fn sqlite(path: &Path) -> Address {
    Address::Sqlite(path.to_owned())
}

fn open_sqlite(path: &Path) -> AnyStore {
    Arc::new(SqliteStore::open(path).unwrap())
}

async fn filled_sqlite(path: &Path) -> BTreeMap<String, String> {
    let store = open_sqlite(path);
    fill(std::slice::from_ref(&store)).await;
    all_that_is_read(&store).await
}

async fn fresh_url() -> String {
    database(shared_one_member().await, &fresh_database_name())
}

/// Reaches the database itself.
async fn bare(url: &str) -> Database {
    Client::with_uri_str(url).await.unwrap().default_database().unwrap()
}

async fn comparisons(copy: &Copy) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for kind in Kind::ALL {
        comparisons.push(copy.compare(kind, &In(0)).await.unwrap());
    }
    comparisons
}

/// Copies to the end, in as many runs as there are numbers in `stops` and one more; each ends after so many pages.
async fn copy_with_stops(from: Address, to: Address, stops: &[usize]) -> Vec<Comparison> {
    let mut copied = 0;
    for (run, pages) in stops.iter().enumerate() {
        let mut copy = Copy::begin(from.clone(), to.clone()).await.unwrap();
        assert_eq!(copy.is_resumed(), run > 0);
        for _ in 0..*pages {
            copied += copy.step().await.unwrap().unwrap().records;
        }
    }
    let mut copy = Copy::begin(from, to).await.unwrap();
    while let Some(progress) = copy.step().await.unwrap() {
        copied += progress.records;
    }
    let comparisons = comparisons(&copy).await;
    let disagreeing: Vec<_> = comparisons.iter().filter(|kind| !kind.agrees()).collect();
    assert!(disagreeing.is_empty(), "{disagreeing:?}");
    let count: u64 = comparisons.iter().map(|comparison| comparison.from.count).sum();
    assert_eq!(
        u64::try_from(copied),
        Ok(count),
        "each record is copied once, however often it was broken off"
    );
    assert!(copy.settle(&comparisons).await.unwrap());
    comparisons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_and_back_again_is_the_same_store() {
    let place = TempDir::new().unwrap();
    let (first, back, beside) =
        (place.path().join("first.db"), place.path().join("back.db"), place.path().join("beside"));
    let (url, other_url) = (fresh_url().await, fresh_url().await);
    let read = filled_sqlite(&first).await;

    let there = copy_with_stops(sqlite(&first), Address::Mongo(url.clone()), &[]).await;
    for comparison in &there {
        assert!(comparison.from.count > 0, "nothing of {:?} was copied", comparison.kind);
    }
    let node = OnDatabase::open(&url).await;
    assert_same(&all_that_is_read(&node.store).await, &read);
    let across = copy_with_stops(Address::Mongo(url.clone()), Address::Mongo(other_url.clone()), &[]).await;
    let home = copy_with_stops(Address::Mongo(other_url), sqlite(&back), &[]).await;
    let next_door = copy_with_stops(sqlite(&back), sqlite(&beside), &[]).await;
    for comparisons in [across, home, next_door] {
        assert_eq!(comparisons, there);
    }
    for path in [&back, &beside] {
        assert_same(&all_that_is_read(&open_sqlite(path)).await, &read);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_nodes_wrote_fits_one_file_and_goes_on_there() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("one.db");
    let url = fresh_url().await;
    let nodes = [OnDatabase::open(&url).await, OnDatabase::open(&url).await, OnDatabase::open(&url).await];
    let stores: Vec<AnyStore> = nodes.iter().map(|node| node.store.clone()).collect();
    fill(&stores).await;
    let read = all_that_is_read(&stores[1]).await;
    copy_with_stops(Address::Mongo(url), sqlite(&path), &[1, 4]).await;

    let store = open_sqlite(&path);
    assert_same(&all_that_is_read(&store).await, &read);
    let ana = store.tenant_named(&"ana".parse().unwrap()).await.unwrap().unwrap().id;
    let before = all_pages(&store, ana, everything()).await;
    let newest = record(&store, NewLog { received_at: now(), ..log(ana, "new", 50) }).await;
    assert!(newest > before[0].id);
    drop(store);
    let after = all_pages(&open_sqlite(&path), ana, everything()).await;
    assert_eq!((after[0].id, after[1..].len()), (newest, before.len()));
    let again = place.path().join("again.db");
    copy_with_stops(sqlite(&path), sqlite(&again), &[3]).await;
    assert_eq!(all_pages(&open_sqlite(&again), ana, everything()).await, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_broken_off_goes_on_where_it_was() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    let read = filled_sqlite(&first).await;
    let stops = [0, 1, 2, 1, 1, 1, 2, 1, 1, 3];
    let url = fresh_url().await;
    let (there, back) = (Address::Mongo(url.clone()), place.path().join("back.db"));
    copy_with_stops(sqlite(&first), there.clone(), &stops).await;
    assert_same(&all_that_is_read(&OnDatabase::open(&url).await.store).await, &read);
    copy_with_stops(there, sqlite(&back), &stops).await;
    assert_same(&all_that_is_read(&open_sqlite(&back)).await, &read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_added_before_a_kill_is_added_once() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    let read = filled_sqlite(&first).await;
    let url = fresh_url().await;
    let to = Address::Mongo(url.clone());
    let mut copy = Copy::begin(sqlite(&first), to.clone()).await.unwrap();
    while copy.step().await.unwrap().is_some() {}
    drop(copy);
    // As if none of the pages had been noted, and the last half of each were missing.
    let bare = bare(&url).await;
    let meta: Collection<Document> = bare.collection("meta");
    let unnoted = doc! { "$unset": { "kind": "", "last": "" } };
    meta.update_one(doc! { "_id": "unfinished_copy" }, unnoted).await.unwrap();
    for name in ["logs", "tenants", "scans", "scan_threats", "baseline_pieces", "minute_counts", "verdicts"] {
        let collection: Collection<Document> = bare.collection(name);
        let mut half = collection.count_documents(doc! {}).await.unwrap() / 2;
        while half > 0 {
            collection.find_one_and_delete(doc! {}).sort(doc! { "_id": -1 }).await.unwrap().unwrap();
            half -= 1;
        }
    }
    copy_with_stops(sqlite(&first), to, &[]).await;
    assert_same(&all_that_is_read(&OnDatabase::open(&url).await.store).await, &read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_copy_serves_nobody_and_is_copied_by_nobody() {
    let place = TempDir::new().unwrap();
    let (first, half) = (place.path().join("first.db"), place.path().join("half.db"));
    filled_sqlite(&first).await;
    let url = fresh_url().await;
    for to in [sqlite(&half), Address::Mongo(url.clone())] {
        let mut copy = Copy::begin(sqlite(&first), to.clone()).await.unwrap();
        copy.step().await.unwrap();
        assert!(!copy.settle(&[]).await.unwrap());
        let onwards = Copy::begin(to, sqlite(&place.path().join("onwards.db"))).await;
        assert!(matches!(onwards.err(), Some(CopyError::SourceUnfinished)));
    }
    assert!(matches!(SqliteStore::open(&half), Err(OpenError::Unfinished { .. })));
    let folder = TempDir::new().unwrap();
    let refused = MongoStore::open(&url, Node::claim(folder.path()).unwrap()).await;
    assert!(matches!(refused.err(), Some(ConnectError::Unfinished)));

    let other = place.path().join("other.db");
    fill(&[open_sqlite(&other)]).await;
    for to in [sqlite(&half), Address::Mongo(url.clone())] {
        assert!(matches!(Copy::begin(sqlite(&other), to).await.err(), Some(CopyError::OfAnother)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_empty_is_filled_and_only_what_is_there_is_copied() {
    let place = TempDir::new().unwrap();
    let (first, full) = (place.path().join("first.db"), place.path().join("full.db"));
    for path in [&first, &full] {
        let store = open_sqlite(path);
        store.sign_up(new_tenant("ana")).await.unwrap();
    }
    let url = fresh_url().await;
    OnDatabase::open(&url).await.store.sign_up(new_tenant("ana")).await.unwrap();
    for to in [sqlite(&full), Address::Mongo(url)] {
        assert!(matches!(Copy::begin(sqlite(&first), to).await.err(), Some(CopyError::NotEmpty)));
    }
    let missing = place.path().join("missing.db");
    let to = place.path().join("to.db");
    let refused = Copy::begin(sqlite(&missing), sqlite(&to)).await.err().unwrap();
    assert!(matches!(refused, CopyError::Sqlite { source: OpenError::NotThere { .. }, .. }), "{refused:?}");
    let refused = Copy::begin(Address::Mongo(fresh_url().await), sqlite(&to)).await.err().unwrap();
    assert!(matches!(refused, CopyError::NothingToCopy), "{refused:?}");
    assert!(!missing.exists() && !to.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_has_not_ended_is_waited_for() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    let store = open_sqlite(&first);
    let ana = store.sign_up(new_tenant("ana")).await.unwrap().id;
    let scan = store.enqueue_scan(scans::scan(ana, "a.csv")).await.unwrap();
    drop(store);
    let to = sqlite(&place.path().join("to.db"));
    let refused = Copy::begin(sqlite(&first), to.clone()).await.err().unwrap();
    assert!(matches!(refused, CopyError::UnfinishedScans(1)), "{refused:?}");
    open_sqlite(&first).discard_scan(ana, scan, now()).await.unwrap().unwrap();
    copy_with_stops(sqlite(&first), to, &[]).await;
}

/// Copies, damages the copy by a statement, and returns the kinds that are found to differ with the first difference.
async fn differences_after(first: &Path, to: &Path, damage: &str) -> Vec<(Kind, String)> {
    let mut copy = Copy::begin(sqlite(first), sqlite(to)).await.unwrap();
    while copy.step().await.unwrap().is_some() {}
    rusqlite::Connection::open(to).unwrap().execute_batch(damage).unwrap();
    let comparisons = comparisons(&copy).await;
    assert!(!copy.settle(&comparisons).await.unwrap());
    assert!(matches!(SqliteStore::open(to), Err(OpenError::Unfinished { .. })));
    let differing = comparisons.into_iter().filter(|kind| !kind.agrees());
    differing.map(|kind| (kind.kind, kind.first_difference.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_a_lost_record_and_one_too_many_are_found_and_named() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    filled_sqlite(&first).await;
    let store = open_sqlite(&first);
    let bob = store.tenant_named(&"bob".parse().unwrap()).await.unwrap().unwrap().id;
    let oldest = all_pages(&store, bob, everything()).await.pop().unwrap().id;
    drop(store);
    let of_bob = "(SELECT min(id) FROM logs WHERE tenant = (SELECT id FROM tenants WHERE folded = 'bob'))";
    let last_byte = "substr(bytes, 1, length(bytes) - 1) || x'00'";
    let damages = [
        (
            format!("UPDATE logs SET summary = summary || ' ' WHERE id = {of_bob}"),
            Kind::Logs,
            format!("{oldest} is not the same in TO"),
        ),
        (
            format!(
                "DELETE FROM idempotency_keys; DELETE FROM filed_logs; DELETE FROM logs WHERE id = {of_bob}; INSERT INTO filed_logs SELECT id, tenant, score, resolved_at FROM logs"
            ),
            Kind::Logs,
            format!("{oldest} is not in TO"),
        ),
        (
            "INSERT INTO spends VALUES ((SELECT min(id) FROM tenants), 3, 1, 1)".to_owned(),
            Kind::Spends,
            " 3 is not in FROM".to_owned(),
        ),
        (
            "UPDATE tenants SET password = '$' WHERE folded = 'ana'".to_owned(),
            Kind::Tenants,
            "is not the same in TO".to_owned(),
        ),
        ("DELETE FROM api_keys".to_owned(), Kind::Tenants, "is not the same in TO".to_owned()),
        (
            "UPDATE minute_counts SET events = events + 1".to_owned(),
            Kind::MinuteCounts,
            "is not the same in TO".to_owned(),
        ),
        (
            format!(
                "UPDATE baselines SET bytes = CAST({last_byte} AS BLOB) WHERE name = 'large' AND length(bytes) > 0"
            ),
            Kind::BaselinePieces,
            "large 1 is not the same in TO".to_owned(),
        ),
        (
            "UPDATE meta SET value = value + 1 WHERE key = 'id_lead_s'".to_owned(),
            Kind::Lead,
            "id_lead_s is not the same in TO".to_owned(),
        ),
    ];
    for (number, (damage, kind, named)) in damages.into_iter().enumerate() {
        let to = place.path().join(format!("to-{number}.db"));
        let found = differences_after(&first, &to, &damage).await;
        let said = found.iter().find(|(found, _)| *found == kind).map(|(_, said)| said.as_str());
        assert!(said.is_some_and(|said| said.ends_with(&named)), "{damage}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_to_the_source_meanwhile_does_not_pass_silently() {
    let url = fresh_url().await;
    let node = OnDatabase::open(&url).await;
    fill(std::slice::from_ref(&node.store)).await;
    let ana = node.store.tenant_named(&"ana".parse().unwrap()).await.unwrap().unwrap().id;
    let mut copy = Copy::begin(Address::Mongo(url), Address::Mongo(fresh_url().await)).await.unwrap();
    while copy.step().await.unwrap().is_some() {}
    let late = record(&node.store, NewLog { received_at: now(), ..log(ana, "late", 50) }).await;
    let comparisons = comparisons(&copy).await;
    let logs = comparisons.iter().find(|comparison| comparison.kind == Kind::Logs).unwrap();
    assert_eq!(logs.first_difference, Some(format!("{late} is not in TO")));
    assert_eq!(logs.from.count, logs.to.count + 1);
    assert!(!copy.settle(&comparisons).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_can_not_be_read_is_named_and_not_skipped() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    filled_sqlite(&first).await;
    for (number, (damage, kind)) in [
        ("UPDATE logs SET analysis = '{' WHERE message = '3'", Kind::Logs),
        ("UPDATE logs SET message = CAST(x'ff' AS TEXT) WHERE message = '3'", Kind::Logs),
        ("UPDATE verdicts SET verdict = '{}'", Kind::Verdicts),
        ("UPDATE scan_threats SET threat = '[' WHERE rank = 2", Kind::ScanThreats),
        ("UPDATE tenants SET plan = 'Gold' WHERE folded = 'bob'", Kind::Tenants),
    ]
    .into_iter()
    .enumerate()
    {
        let damaged = place.path().join(format!("damaged-{number}.db"));
        std::fs::copy(&first, &damaged).unwrap();
        let connection = rusqlite::Connection::open(&damaged).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let to = sqlite(&place.path().join(format!("to-{number}.db")));
        let refused = async {
            let mut copy = Copy::begin(sqlite(&damaged), to).await?;
            while copy.step().await?.is_some() {}
            Ok(())
        };
        let refused: Result<(), CopyError> = refused.await;
        let Err(CopyError::Unreadable { kind: found, name, .. }) = refused else {
            panic!("{damage}: {refused:?}")
        };
        assert!(found == kind && name.len() >= 24, "{damage}: {found:?} {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_has_expired_may_be_on_one_side() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    filled_sqlite(&first).await;
    let url = fresh_url().await;
    let mut copy = Copy::begin(sqlite(&first), Address::Mongo(url.clone())).await.unwrap();
    while copy.step().await.unwrap().is_some() {}
    for (name, kind, hours) in
        [("verdicts", Kind::Verdicts, 1), ("idempotency_keys", Kind::IdempotencyKeys, 24)]
    {
        let whole = copy.compare(kind, &In(0)).await.unwrap();
        assert!(whole.agrees() && whole.from.count > 1, "{whole:?}");
        let collection: Collection<Document> = bare(&url).await.collection(name);
        collection.find_one_and_delete(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().unwrap();
        let lost = copy.compare(kind, &In(hours * HOUR_MS - HOUR_MS / 2)).await.unwrap();
        assert!(lost.first_difference.is_some_and(|said| said.ends_with("is not in TO")));
        let lapsed = copy.compare(kind, &In(hours * HOUR_MS + HOUR_MS / 2)).await.unwrap();
        assert!(lapsed.agrees() && lapsed.from.count + 1 == whole.from.count, "{lapsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_verdicts_expire_as_they_would_have() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    filled_sqlite(&first).await;
    let url = fresh_url().await;
    copy_with_stops(sqlite(&first), Address::Mongo(url.clone()), &[]).await;
    let bare = bare(&url).await;
    let keys: Collection<Document> = bare.collection("idempotency_keys");
    let key = keys.find_one(doc! {}).await.unwrap().unwrap();
    let recorded_ms = key.get_object_id("log").unwrap().timestamp().timestamp_millis();
    assert_eq!(key.get_datetime("remove_at").unwrap().timestamp_millis(), recorded_ms + 24 * HOUR_MS);
    let verdicts: Collection<Document> = bare.collection("verdicts");
    let mut found = verdicts.find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let verdict = found.deserialize_current().unwrap();
        let expires_ms = verdict.get_datetime("expires_at").unwrap().timestamp_millis();
        assert!(verdict.get_datetime("remove_at").unwrap().timestamp_millis() >= expires_ms);
    }
}
