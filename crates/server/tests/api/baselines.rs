//! Baselines: learned from one file, kept, and asked about others.

use serde_json::{Value, json};

use crate::{
    audit::table,
    harness::{MULTIPART, TestServer, form, until},
    scans::{hand_in, large_table, until_status, without},
};

const CHANGING: [&str; 3] = ["id", "timestamp", "duration_ms"];

/// As `table`, without the row that doesn't belong.
fn clean_table() -> String {
    table().lines().filter(|line| !line.starts_with("9100000")).collect::<Vec<_>>().join("\n")
}

/// Ordinary rows but for the last.
fn today() -> String {
    let ordinary: Vec<String> = table().lines().take(150).map(str::to_owned).collect();
    format!("{}\n9100000,11,eve\n", ordinary.join("\n"))
}

#[test]
fn a_clean_month_judges_today_after_a_restart_too() {
    let mut server = TestServer::dev();
    let learned = server.learn("?name=2026-10", "october.csv", clean_table().as_bytes()).assert_status(201);
    assert_eq!(
        (&learned.body["name"], &learned.body["rows"], &learned.body["filename"]),
        (&json!("2026-10"), &json!(399), &json!("october.csv"))
    );
    assert!(learned.body["size_bytes"].as_u64() > Some(100));
    assert_eq!(server.get("/audit/baselines").assert_status(200).body, json!([learned.body]));
    assert_eq!(server.spooled_files(), 0);

    let scan =
        server.scan("?baseline=2026-10&top=1", "today.csv", today().as_bytes()).assert_status(200).body;
    assert_eq!((&scan["baseline"], &scan["threats"][0]["row"]), (&json!("2026-10"), &json!(150)));
    server.kill_and_restart();
    let place = hand_in(&server, "&baseline=2026-10&top=1", today().as_bytes());
    let mut later = until_status(&server, &place, "done");
    later["filename"] = scan["filename"].clone();
    assert_eq!(without(later, &CHANGING), without(scan, &CHANGING));

    assert_eq!(server.delete("/audit/baselines/2026-10").assert_status(204).bytes, b"");
    server.delete("/audit/baselines/2026-10").assert_problem(404);
    assert_eq!(server.get("/audit/baselines").body, json!([]));
}

#[test]
fn a_baseline_is_not_replaced_and_faults_are_named() {
    let server = TestServer::dev();
    server.learn("?name=march", "a.csv", clean_table().as_bytes()).assert_status(201);
    server.learn("?name=march", "b.csv", table().as_bytes()).assert_problem(409);
    assert_eq!(server.get("/audit/baselines").body[0]["filename"], "a.csv");
    let nameless = server.learn("?threshold=1&engine=magic", "a.csv", table().as_bytes()).assert_problem(422);
    assert_eq!(nameless.faults(), ["?name", "?engine", "?threshold"]);
    let misnamed = server.learn("?name=..%2Fmarch", "a.csv", table().as_bytes()).assert_problem(422);
    assert_eq!(misnamed.faults(), ["?name"]);
    server.learn("?name=april", "a.csv", b"a,b\n1,2\n").assert_problem(422);
    assert_eq!(server.get("/audit/baselines").body.as_array().map(Vec::len), Some(1));
    server.delete("/audit/baselines/..%2Fmarch").assert_problem(404);

    let missing = server.scan("?baseline=june", "a.csv", table().as_bytes()).assert_problem(422);
    assert_eq!(missing.faults(), ["?baseline"]);
    server.scan("?baseline=june&async=true", "a.csv", table().as_bytes()).assert_problem(422);
    server.scan("?baseline=march", "a.csv", b"x,y\n1,2\n3,4\n").assert_problem(422);
    assert_eq!(server.get("/audit/logs").body, json!([]));
    assert_eq!(server.spooled_files(), 0);
}

#[test]
fn a_baseline_that_goes_while_a_scan_waits_fails_the_scan() {
    let server = TestServer::start("dev", "[scan]\nat_once = 1\n");
    server.learn("?name=march", "a.csv", clean_table().as_bytes()).assert_status(201);
    let running = hand_in(&server, "", &large_table());
    until(|| server.get(&running).body, |scan| scan["progress"].as_f64() > Some(0.0));
    let waiting = hand_in(&server, "&baseline=march", today().as_bytes());
    server.delete("/audit/baselines/march").assert_status(204);
    let failed = until_status(&server, &waiting, "failed");
    assert_eq!(failed["error"], "there is no baseline “march”.");
}

#[test]
fn another_tenants_baseline_is_not_there() {
    let server = TestServer::serve();
    let (ana, bob) = (server.sign_up("ana"), server.sign_up("bob"));
    let headers = [("content-type", MULTIPART), ("authorization", &format!("Bearer {ana}"))];
    let body = form("a.csv", clean_table().as_bytes());
    server.send("POST", "/audit/baselines?name=march", &headers, body).assert_status(201);
    assert_eq!(server.get_as(&bob, "/audit/baselines").assert_status(200).body, Value::Array(Vec::new()));
    server.delete_as(&bob, "/audit/baselines/march").assert_problem(404);
    server.scan_as(&bob, "?baseline=march", "a.csv", today().as_bytes()).assert_problem(422);
    server.get("/audit/baselines").assert_problem(401);
    assert_eq!(server.get_as(&ana, "/audit/baselines").body.as_array().map(Vec::len), Some(1));
}
