//! What tests may rely on when they start a mongod.

use std::time::Duration;

use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::{Acknowledgment, ClientOptions, WriteConcern},
};
use tokio::time::timeout;

use sentinelflow_mongod::{Mongod, Options, ReplicaSet, fresh_database_name, shared_one_member};

const PATIENCE: Duration = Duration::from_mins(2);

fn quick_elections() -> Options {
    Options { election_timeout_ms: Some(2_000), ..Options::default() }
}

async fn notes(uri: &str, database: &str) -> Collection<Document> {
    let mut options = ClientOptions::parse(uri).await.expect("the address is well formed");
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    options.server_selection_timeout = Some(PATIENCE);
    Client::with_options(options).expect("the options fit").database(database).collection("notes")
}

/// Retries what the driver doesn't: one retry of its own isn't enough for an election on a busy machine.
async fn written(notes: &Collection<Document>, note: Document) {
    let written =
        async { while notes.replace_one(note.clone(), note.clone()).upsert(true).await.is_err() {} };
    timeout(PATIENCE, written).await.expect("a primary takes the write");
}

#[tokio::test]
async fn one_member_takes_a_write_that_a_majority_has_journaled() {
    let set = shared_one_member().await;
    let notes = notes(&set.uri(), &fresh_database_name()).await;
    notes.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(notes.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(set.primary().await, 0);
}

#[tokio::test]
async fn tests_that_share_a_set_have_databases_of_their_own() {
    let set = shared_one_member().await;
    for _ in 0..2 {
        let notes = notes(&set.uri(), &fresh_database_name()).await;
        assert_eq!(notes.count_documents(doc! {}).await.unwrap(), 0);
        notes.insert_one(doc! { "_id": 1 }).await.unwrap();
    }
}

#[tokio::test]
async fn three_members_take_writes_after_their_primary_was_killed_and_it_comes_back() {
    let set = ReplicaSet::start_with(3, quick_elections()).await;
    let notes = notes(&set.uri(), "test").await;
    written(&notes, doc! { "_id": "before" }).await;

    let killed = set.primary().await;
    set.kill(killed);
    written(&notes, doc! { "_id": "after" }).await;
    assert_ne!(set.primary().await, killed);

    set.restart(killed).await;
    written(&notes, doc! { "_id": "back" }).await;
    assert_eq!(notes.count_documents(doc! {}).await.unwrap(), 3);
}

#[tokio::test]
async fn another_member_is_primary_while_the_first_is_stopped_and_after_it_goes_on() {
    let set = ReplicaSet::start_with(3, quick_elections()).await;
    let stopped = set.primary().await;
    set.stop(stopped);
    assert_ne!(set.primary().await, stopped);
    set.resume(stopped);
    assert_ne!(set.primary().await, stopped, "the later election counts");
}

#[tokio::test]
async fn a_mongod_alone_knows_of_no_replica_set() {
    let mongod = Mongod::standalone().await;
    let client = Client::with_uri_str(mongod.uri()).await.unwrap();
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
    assert!(!hello.contains_key("setName"), "{hello}");
}

#[tokio::test]
async fn nothing_is_left_of_a_set_that_was_dropped() {
    let mongod = Mongod::standalone().await;
    let uri = mongod.uri();
    mongod.stop();
    drop(mongod);
    let client = Client::with_uri_str(format!("{uri}&serverSelectionTimeoutMS=500")).await.unwrap();
    client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap_err();
}
