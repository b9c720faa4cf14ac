//! What a node does that is started on a MongoDB which can't be its store: it says why on one line and ends.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use sentinelflow_mongod::{Mongod, Options};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    fake_mongod::{self, Nature},
    given::{Set, node, on},
    harness::{TestServer, command, reference_entry, until},
    slow_road,
};

const PASSWORD: &str = "pass-word-of-the-store";

/// The longest that a node may take to give up: the deadline of the store, and what a busy machine adds.
const BOUND: Duration = Duration::from_mins(1);

/// Starts a node on a store that must be refused and returns what it says of it.
#[track_caller]
fn refusal(store: &str) -> String {
    let data = TempDir::new().unwrap();
    // Whoever tried to listen before the store is open would complain of this instead.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let mut process = command()
        .args(["serve", "--listen", &taken.local_addr().unwrap().to_string(), "--data"])
        .arg(data.path())
        .env("SENTINELFLOW_STORE", store)
        .current_dir(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > BOUND {
            drop(process.kill());
            panic!("it neither starts nor ends");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    process.stderr.take().expect("it is piped").read_to_string(&mut said).unwrap();
    eprintln!("{:.1} s: {said}", started.elapsed().as_secs_f32());
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let reason = said.trim_end().strip_prefix("sentinelflow: cannot open the store: ");
    let reason = reason.unwrap_or_else(|| panic!("{said}")).to_owned();
    goes_on_with(data);
    reason
}

/// Sees that a data folder can be used after a refusal.
fn goes_on_with(data: TempDir) {
    let store = Set::shared().fresh_database().url();
    let server = TestServer::started_in(data, on("serve", &store));
    server.get("/readyz").assert_status(200);
}

#[test]
fn a_missing_mongodb() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reason = refusal(&format!("mongodb://ana:{PASSWORD}@{free}/?replicaSet=rs0"));
    assert!(reason.starts_with("no member of the MongoDB that takes writes answered"), "{reason}");
}

#[test]
fn a_mongodb_that_is_no_replica_set() {
    let runtime = Runtime::new().unwrap();
    let alone = runtime.block_on(Mongod::standalone());
    let reason = refusal(&alone.uri());
    assert!(reason.starts_with("the MongoDB is no replica set or sharded cluster"), "{reason}");
}

#[test]
fn a_release_that_is_too_old() {
    let reason = refusal(&fake_mongod::start(Nature { release: Some("5.0.31"), wire_version: 13 }));
    assert_eq!(reason, "the MongoDB is version 5.0.31; at least 6.0 is needed");
    let reason = refusal(&fake_mongod::start(Nature { release: Some("4.0.28"), wire_version: 7 }));
    assert_eq!(reason, "the MongoDB is version 4.2 or older; at least 6.0 is needed");
}

#[test]
fn a_mongodb_that_says_hello_and_falls_silent() {
    let reason = refusal(&fake_mongod::start(Nature { release: None, wire_version: 17 }));
    assert!(reason.starts_with("the MongoDB did not get ready within"), "{reason}");
}

#[test]
fn a_mongodb_that_hangs() {
    let set = Set::start(1, Options::default());
    set.stop(0);
    let reason = refusal(&set.fresh_database().url());
    assert!(reason.starts_with("no member of the MongoDB that takes writes answered"), "{reason}");
}

#[test]
fn members_that_take_no_writes() {
    let set = Set::start(3, Options { election_timeout_ms: Some(2_000), ..Options::default() });
    let database = set.fresh_database();
    let last = set.primary();
    let others: Vec<usize> = (0..3).filter(|member| *member != last).collect();
    let reason = refusal(&database.url_of_member(others[0]));
    assert!(reason.starts_with("the member of the MongoDB that was asked takes no writes"), "{reason}");
    for member in others {
        set.kill(member);
    }
    // The last one takes itself for the primary a while longer, and what it is told to write comes to no end.
    let reason = refusal(&database.url());
    assert!(reason.starts_with("no member of the MongoDB that takes writes answered"), "{reason}");
    until(|| set.is_secondary(last), |is_secondary| *is_secondary);
    let reason = refusal(&database.url());
    assert!(reason.starts_with("no member of the MongoDB that takes writes answered"), "{reason}");
}

#[test]
fn credentials_that_are_wrong_or_not_enough() {
    let set = Set::start(1, Options { asks_for_credentials: true, ..Options::default() });
    let database = set.fresh_database();
    database.add_user("reader", PASSWORD, "read");
    database.add_user("node", PASSWORD, "readWrite");

    let reason = refusal(&database.url_as("node", &format!("not-the-{PASSWORD}")));
    assert!(reason.starts_with("the MongoDB refuses the credentials"), "{reason}");
    let reason = refusal(&database.url_as("nobody", PASSWORD));
    assert!(reason.starts_with("the MongoDB refuses the credentials"), "{reason}");
    let reason = refusal(&database.url());
    assert!(reason.starts_with("the MongoDB does not let the node write"), "{reason}");

    let reads = database.url_as("reader", PASSWORD);
    let reason = refusal(&reads);
    assert!(reason.starts_with("the MongoDB does not let the node write"), "{reason}");
    let server = node(&database.url_as("node", PASSWORD));
    server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
    // Also where nothing is left to be made.
    let reason = refusal(&reads);
    assert!(reason.starts_with("the MongoDB does not let the node write"), "{reason}");
}

#[test]
fn a_mongodb_that_takes_its_time_is_waited_for() {
    let url = Set::shared().fresh_database().url_of_member(0);
    let (_, rest) = url.split_once("://").unwrap();
    let (member, rest) = rest.split_once('/').unwrap();
    let member: SocketAddr = member.parse().unwrap();
    let slow = slow_road::to(member, Duration::from_millis(100));
    let server = node(&format!("mongodb://{slow}/{rest}"));
    server.get("/readyz").assert_status(200);
    server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
}
