//! What a store for several servers tells of their threats: each once, in the order of the commits.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Client,
    bson::{DateTime, Document, doc},
};
use sentinelflow_domain::{
    store::{FollowedThreats, Happened, LogId, NewLog, Owner, ThreatFeed},
    tenant::TenantId,
    time::Timestamp,
};
use sentinelflow_mongod::{Options, ReplicaSet, fresh_database_name, shared_one_member};
use tokio::task::JoinSet;

use crate::{
    given::{log, record, record_all, tenant, with_opinion},
    mongo::{OnDatabase, database},
};

/// Changes are looked for where the ids say that they are, so the time here is the real one.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(DateTime::now().timestamp_millis() - 1000 * seconds)
}

fn threat(tenant: TenantId, seconds_ago: i64) -> NewLog {
    NewLog { received_at: ago(seconds_ago), ..log(tenant, "x", 50) }
}

async fn two_nodes() -> [OnDatabase; 2] {
    let url = database(shared_one_member().await, &fresh_database_name());
    [OnDatabase::open(&url).await, OnDatabase::open(&url).await]
}

async fn follow(
    feed: &Arc<dyn ThreatFeed>,
    tenant: TenantId,
    after: Option<LogId>,
) -> Box<dyn FollowedThreats> {
    feed.follow(tenant, after).await.unwrap()
}

async fn next(followed: &mut Box<dyn FollowedThreats>) -> Happened {
    const PATIENCE: Duration = Duration::from_mins(2);
    let happened = async {
        loop {
            // A store that is being elected is asked again, as every caller does.
            if let Ok(Some(happened)) = followed.next().await {
                return happened;
            }
        }
    };
    tokio::time::timeout(PATIENCE, happened).await.expect("something happens")
}

async fn recorded(followed: &mut Box<dyn FollowedThreats>, count: usize) -> Vec<LogId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match next(followed).await {
            Happened::Recorded(log) => ids.push(log.id),
            other => panic!("{other:?}"),
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_records_the_other_tells_in_the_order_of_the_commits() {
    let [one, other] = two_nodes().await;
    let ana = tenant(&one.store, "ana").await.id;
    let mut followed = follow(&other.feed, ana, None).await;
    let first = record(&one.store, threat(ana, 0)).await;
    let benign = NewLog { received_at: ago(0), ..log(ana, "x", 5) };
    record(&one.store, benign).await;
    // The ids of this node are lower than those of the other, but what it records comes later.
    let late = record(&other.store, threat(ana, 30)).await;
    let last = record(&one.store, threat(ana, 0)).await;
    assert!(late < first && first < last);
    assert_eq!(recorded(&mut followed, 3).await, [first, late, last]);
    let mut again = follow(&one.feed, ana, Some(first)).await;
    assert_eq!(recorded(&mut again, 2).await, [late, last]);
    let mut again = follow(&one.feed, ana, Some(late)).await;
    assert_eq!(recorded(&mut again, 1).await, [last]);
    // Without a log to go on from a stream can be gone on with, too.
    let mut from_its_start = follow(&one.feed, ana, Some(followed.start())).await;
    assert_eq!(
        recorded(&mut from_its_start, 3).await.into_iter().collect::<BTreeSet<_>>(),
        [late, first, last].into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_begins_behind_a_benign_log_can_be_gone_on_with() {
    let [one, other] = two_nodes().await;
    let ana = tenant(&one.store, "ana").await.id;
    record(&one.store, threat(ana, 0)).await;
    let benign = record(&one.store, NewLog { received_at: ago(0), ..log(ana, "x", 5) }).await;
    let followed = follow(&other.feed, ana, None).await;
    assert_eq!(followed.start(), benign);
    drop(followed);
    let meanwhile = record(&other.store, threat(ana, 20)).await;
    assert_eq!(recorded(&mut follow(&other.feed, ana, Some(benign)).await, 1).await, [meanwhile]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_nobody_is_a_position_and_what_is_listed_comes_once() {
    let [one, other] = two_nodes().await;
    let (ana, bob) = (tenant(&one.store, "ana").await.id, tenant(&one.store, "bob").await.id);
    let mut sent = Vec::new();
    for _ in 0..250 {
        sent.push(record(&one.store, threat(ana, 0)).await);
    }
    let of_bob = record(&one.store, threat(bob, 0)).await;
    sent.push(record(&one.store, threat(ana, 0)).await);
    let mut all = follow(&other.feed, ana, Some(LogId::LOWEST)).await;
    let first = recorded(&mut all, 1).await;
    // Recorded while the list is read.
    sent.push(record(&other.store, threat(ana, 0)).await);
    let rest = recorded(&mut all, sent.len() - 1).await;
    let told: BTreeSet<LogId> = first.into_iter().chain(rest).collect();
    assert_eq!(told, sent.iter().copied().collect());
    let mut after_bobs = follow(&other.feed, ana, Some(of_bob)).await;
    let newer: Vec<LogId> = sent.iter().copied().filter(|id| *id > of_bob).collect();
    let told: BTreeSet<LogId> = recorded(&mut after_bobs, newer.len()).await.into_iter().collect();
    assert_eq!(told, newer.into_iter().collect());
    let next_of_all = record(&one.store, threat(ana, 0)).await;
    assert_eq!(recorded(&mut all, 1).await, [next_of_all]);
    assert_eq!(recorded(&mut after_bobs, 1).await, [next_of_all]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_raises_the_other_tells_as_it_is_now() {
    let [one, other] = two_nodes().await;
    let (ana, bob) = (tenant(&one.store, "ana").await.id, tenant(&one.store, "bob").await.id);
    let benign = record(&one.store, NewLog { received_at: ago(0), ..log(ana, "x", 5) }).await;
    let of_bob = record(&one.store, NewLog { received_at: ago(0), ..log(bob, "x", 5) }).await;
    let known = record(&one.store, threat(ana, 0)).await;
    let mut followed = follow(&other.feed, ana, Some(benign)).await;
    assert_eq!(recorded(&mut followed, 1).await, [known]);
    for (tenant, id) in [(bob, of_bob), (ana, known), (ana, benign)] {
        assert!(one.store.add_opinion(tenant, id, with_opinion(60)).await.unwrap());
    }
    match next(&mut followed).await {
        Happened::Raised(log) => assert_eq!((log.id, log.analysis), (benign, with_opinion(60))),
        other => panic!("{other:?}"),
    }
    // What was resolved before it was told is told as resolved.
    let resolved = record(&one.store, threat(ana, 0)).await;
    one.store.resolve(Owner::Tenant(ana), resolved, ago(0)).await.unwrap().unwrap();
    match next(&mut follow(&other.feed, ana, Some(known)).await).await {
        Happened::Raised(log) => assert_eq!(log.id, benign),
        other => panic!("{other:?}"),
    }
    match next(&mut followed).await {
        Happened::Recorded(log) => assert!(log.id == resolved && log.resolved_at.is_some()),
        other => panic!("{other:?}"),
    }
}

/// Writes threats on both nodes from eight sides while something is done; returns their ids.
async fn write_meanwhile(
    nodes: &[OnDatabase; 2],
    tenant: TenantId,
    meanwhile: impl Future<Output = ()>,
) -> BTreeSet<LogId> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (store, is_over) = (nodes[writer % 2].store.clone(), Arc::clone(&is_over));
        writers.spawn(async move {
            let mut sent = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                // Not every clock is right.
                let skew_s = if writer % 2 == 0 { 0 } else { 3 };
                sent.push(record(&store, threat(tenant, skew_s)).await);
            }
            sent
        });
    }
    meanwhile.await;
    is_over.store(true, Ordering::Relaxed);
    writers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_misses_nothing_and_gets_nothing_twice_while_two_nodes_write() {
    let nodes = two_nodes().await;
    let ana = tenant(&nodes[0].store, "ana").await.id;
    let start = record(&nodes[0].store, threat(ana, 0)).await;
    let mut all = follow(&nodes[0].feed, ana, Some(start)).await;
    let mut pieces = Vec::new();
    let sent = write_meanwhile(&nodes, ana, async {
        for round in 0..20 {
            let after = pieces.last().copied().unwrap_or(start);
            let mut followed = follow(&nodes[round % 2].feed, ana, Some(after)).await;
            pieces.extend(recorded(&mut followed, 1 + round).await);
        }
    })
    .await;
    let told = recorded(&mut all, sent.len()).await;
    assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), sent, "each once");
    assert!(!told.is_sorted(), "the two nodes' ids were mixed");
    assert_eq!(pieces, told[..pieces.len()]);
    let rest = &told[pieces.len()..];
    let mut followed = follow(&nodes[0].feed, ana, pieces.last().copied()).await;
    assert_eq!(recorded(&mut followed, rest.len()).await, rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_falls_behind_reads_everything_all_the_same() {
    const COUNT: usize = 3_000;
    let [one, other] = two_nodes().await;
    let ana = tenant(&one.store, "ana").await.id;
    let mut slow = follow(&other.feed, ana, None).await;
    let mut quick = follow(&other.feed, ana, None).await;
    let record = record_all(&one.store, (0..COUNT).map(|_| threat(ana, 0)).collect());
    let (sent, order) = tokio::join!(record, recorded(&mut quick, COUNT));
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), sent.into_iter().collect());
    assert_eq!(recorded(&mut slow, COUNT).await, order);
    let next = crate::given::record(&one.store, threat(ana, 0)).await;
    assert_eq!(recorded(&mut slow, 1).await, [next]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_on_keeps_nobody_from_coming_back() {
    let [one, other] = two_nodes().await;
    let ana = tenant(&one.store, "ana").await.id;
    let known = record(&one.store, threat(ana, 0)).await;
    let sent = record_all(&one.store, (0..20).map(|_| threat(ana, 0)).collect()).await;
    let mut stalled = Vec::new();
    for _ in 0..12 {
        let mut followed = follow(&other.feed, ana, Some(known)).await;
        followed.next().await.unwrap();
        stalled.push(followed);
    }
    let mut reads_on = follow(&other.feed, ana, Some(known)).await;
    let told: BTreeSet<LogId> = recorded(&mut reads_on, sent.len()).await.into_iter().collect();
    assert_eq!(told, sent.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_follow_share_one_stream_of_changes_that_ends_with_them() {
    let set = ReplicaSet::start(1).await;
    let node = OnDatabase::open(&database(&set, "shared")).await;
    let client = Client::with_uri_str(set.uri()).await.unwrap();
    let (ana, bob) = (tenant(&node.store, "ana").await.id, tenant(&node.store, "bob").await.id);
    let mut followed = Vec::new();
    for number in 0..40 {
        followed.push(follow(&node.feed, if number % 2 == 0 { ana } else { bob }, None).await);
    }
    assert_eq!(streams_of_changes(&client).await, 1);
    let of_ana = record(&node.store, threat(ana, 0)).await;
    for followed in followed.iter_mut().step_by(2) {
        assert_eq!(recorded(followed, 1).await, [of_ana]);
    }
    drop(followed);
    let all_gone = async { while streams_of_changes(&client).await > 0 {} };
    tokio::time::timeout(Duration::from_mins(1), all_gone).await.expect("the stream ends");
}

/// Returns how many streams of changes are open at a server.
async fn streams_of_changes(client: &Client) -> usize {
    let operations = doc! { "$currentOp": { "idleCursors": true, "allUsers": true } };
    let is_stream =
        doc! { "$match": { "cursor.originatingCommand.pipeline.0.$changeStream": { "$exists": true } } };
    let mut found = client.database("admin").aggregate([operations, is_stream]).await.unwrap();
    let mut count = 0;
    while found.advance().await.unwrap() {
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_goes_on_when_the_logs_are_removed_under_him() {
    let set = shared_one_member().await;
    let name = fresh_database_name();
    let url = database(set, &name);
    let node = OnDatabase::open(&url).await;
    let ana = tenant(&node.store, "ana").await.id;
    let known = record(&node.store, threat(ana, 0)).await;
    let mut now = follow(&node.feed, ana, None).await;
    let client = Client::with_uri_str(set.uri()).await.unwrap();
    client.database(&name).collection::<Document>("logs").drop().await.unwrap();
    let other = OnDatabase::open(&url).await;
    let first = record(&other.store, threat(ana, 0)).await;
    for followed in [&mut now, &mut follow(&node.feed, ana, Some(known)).await] {
        assert_eq!(recorded(followed, 1).await, [first]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_primary_costs_a_stream_nothing() {
    let options = Options { election_timeout_ms: Some(2_000), ..Options::default() };
    let set = ReplicaSet::start_with(3, options).await;
    let node = OnDatabase::open(&database(&set, "followed")).await;
    let ana = tenant(&node.store, "ana").await.id;
    let mut followed = follow(&node.feed, ana, None).await;
    let before = record(&node.store, threat(ana, 0)).await;
    assert_eq!(recorded(&mut followed, 1).await, [before]);
    let unread = record(&node.store, threat(ana, 0)).await;
    set.kill(set.primary().await);
    let after = record(&node.store, threat(ana, 0)).await;
    assert_eq!(recorded(&mut followed, 2).await, [unread, after]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_when_the_changes_are_forgotten_is_told_by_ids_and_what_is_unsure() {
    // What a checkpoint still needs is not forgotten.
    let options = Options { arguments: vec!["--syncdelay".to_owned(), "1".to_owned()], ..Options::default() };
    let set = ReplicaSet::start_with(1, options).await;
    let node = OnDatabase::open(&database(&set, "forgotten")).await;
    let (ana, bob) = (tenant(&node.store, "ana").await.id, tenant(&node.store, "bob").await.id);
    let before = record(&node.store, threat(ana, 90)).await;
    let known = record(&node.store, threat(ana, 60)).await;
    let of_bob = record(&node.store, threat(bob, 60)).await;
    let newer = record(&node.store, threat(ana, 0)).await;
    forget_changes(&set).await;
    let mut followed = follow(&node.feed, ana, Some(known)).await;
    assert_eq!(next(&mut followed).await, Happened::Unsure(before));
    let newest = record(&node.store, threat(ana, 0)).await;
    assert_eq!(recorded(&mut followed, 2).await, [newer, newest]);
    // With nothing of about the same time there is no doubt.
    let last_of_bob = record(&node.store, threat(bob, 0)).await;
    assert_eq!(recorded(&mut follow(&node.feed, bob, Some(of_bob)).await, 1).await, [last_of_bob]);
}

/// Writes so much that the server's log of changes begins after this.
async fn forget_changes(set: &ReplicaSet) {
    let client = Client::with_uri_str(set.uri()).await.unwrap();
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    let other = client.database("other").collection::<Document>("other");
    let beginning = ago(0).as_millis() / 1000;
    let ballast = "x".repeat(8 << 20);
    loop {
        other.insert_one(doc! { "ballast": &ballast }).await.unwrap();
        // The first may be removed while it is read.
        if let Ok(Some(first)) = oplog.find_one(doc! {}).await
            && i64::from(first.get_timestamp("ts").unwrap().time) > beginning
        {
            return;
        }
    }
}
