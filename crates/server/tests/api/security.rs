use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{TestServer, benign_entry, reference_entry};

#[test]
fn the_references_example_is_judged_stored_and_listed() {
    let server = TestServer::dev();
    let analyzed = server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
    assert_eq!(analyzed.text("analysis.category"), "sql_injection");
    assert_eq!(analyzed.text("analysis.severity"), "HIGH");
    assert_eq!(analyzed.text("analysis.degraded"), "model_off");
    assert!(analyzed.body["analysis"]["detections"][0]["evidence"][0]["excerpt"].is_string());

    let logs = server.get("/security/logs/admin").assert_status(200);
    let log = &logs.body[0];
    assert_eq!(log["id"], analyzed.body["log_id"]);
    assert_eq!(log["analysis"], analyzed.body["analysis"]);
    for member in ["source", "event_id", "severity_level", "message", "metadata"] {
        assert_eq!(log[member], reference_entry()[member], "{member}");
    }
    assert_eq!(log["status"], "active");

    let id = analyzed.text("log_id");
    let one = server.get(&format!("/security/logs/admin/{id}")).assert_status(200);
    assert_eq!(&one.body, log);
}

#[test]
fn benign_events_are_kept_but_not_in_the_feed() {
    let server = TestServer::dev();
    let analyzed = server.post("/security/analyze/admin", &benign_entry()).assert_status(200);
    assert_eq!(analyzed.text("analysis.severity"), "NONE");
    assert_eq!(server.get("/security/logs/admin").assert_status(200).body, json!([]));
    assert_eq!(
        server.get("/security/logs/admin?status=all").assert_status(200).body.as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_resolved_threat_leaves_the_feed_and_stays_in_the_statistics() {
    let server = TestServer::dev();
    let id = server.post("/security/analyze/admin", &reference_entry()).assert_status(200).text("log_id");
    let resolved = server.delete(&format!("/security/issue/{id}")).assert_status(200);
    assert_eq!(resolved.text("status"), "resolved");
    let again = server.delete(&format!("/security/issue/{id}")).assert_status(200);
    assert_eq!(resolved.body, again.body, "resolving twice changes nothing");

    assert_eq!(server.get("/security/logs/admin").body, json!([]));
    assert_eq!(server.get("/security/logs/admin?status=resolved").body[0]["id"], id.as_str());
    let counts = server.get("/security/stats/admin").assert_status(200).body["counts"].clone();
    assert_eq!(counts.as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 1);
}

#[test]
fn statistics_have_fifteen_two_minute_buckets_the_oldest_first() {
    let server = TestServer::dev();
    server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
    let stats = server.get("/security/stats/admin").assert_status(200).body;
    assert_eq!(stats["labels"][0], "-30m");
    assert_eq!(stats["labels"][14], "-2m");
    for array in ["labels", "counts", "risks", "threats", "max_scores"] {
        assert_eq!(stats[array].as_array().unwrap().len(), 15, "{array}");
    }
    assert_eq!(stats["bucket_seconds"], 120);
    assert!(stats["risks"].as_array().unwrap().contains(&json!("High")));

    let day = server.get("/security/stats/admin?window=24h&buckets=24").assert_status(200).body;
    assert_eq!(day["labels"][0], "-1440m");
    assert_eq!(
        server.get("/security/stats/admin?window=30m&buckets=7").assert_problem(422).faults(),
        ["?buckets"]
    );
}

#[test]
fn pages_follow_each_other_without_gap_or_repeat() {
    let server = TestServer::dev();
    let sent: BTreeSet<String> = (0..7)
        .map(|_| server.post("/security/analyze/admin", &reference_entry()).assert_status(200).text("log_id"))
        .collect();
    let mut seen = Vec::new();
    let mut path = Some("/security/logs/admin?limit=3".to_owned());
    while let Some(page) = path.take().map(|path| server.get(&path).assert_status(200)) {
        seen.extend(page.body.as_array().unwrap().iter().map(|log| log["id"].as_str().unwrap().to_owned()));
        path = page.next_page();
    }
    assert!(seen.is_sorted_by(|newer, older| newer > older), "newest first: {seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), sent);
}

#[test]
fn unknown_top_level_fields_are_kept_in_the_metadata() {
    let server = TestServer::dev();
    let mut entry = reference_entry();
    entry["region"] = json!("eu-west-1");
    entry["ip"] = json!("10.0.0.1");
    let id = server.post("/security/analyze/admin", &entry).assert_status(200).text("log_id");
    let log = server.get(&format!("/security/logs/admin/{id}")).assert_status(200).body;
    let metadata = json!({"ip": "45.22.19.11", "path": "/api/v1/users", "region": "eu-west-1", "top_level.ip": "10.0.0.1"});
    assert_eq!(log["metadata"], metadata);
}

#[test]
fn times_come_back_in_utc_however_they_were_given() {
    let server = TestServer::dev();
    let moment = "2024-01-25T10:00:00.000Z";
    for timestamp in [
        json!("2024-01-25T11:00:00+01:00"),
        json!(1_706_176_800),
        json!(1_706_176_800_000_i64),
        json!(1_706_176_800.0),
    ] {
        let mut entry = reference_entry();
        entry["timestamp"] = timestamp.clone();
        let id = server.post("/security/analyze/admin", &entry).assert_status(200).text("log_id");
        let log = server.get(&format!("/security/logs/admin/{id}")).assert_status(200).body;
        assert_eq!(log["timestamp"], moment, "{timestamp}");
    }
}

#[test]
fn a_retry_under_the_same_key_stores_nothing_new() {
    let server = TestServer::dev();
    let send = |entry: &Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "retry-1")];
        server.send("POST", "/security/analyze/admin", &headers, entry.to_string().into_bytes())
    };
    let first = send(&reference_entry()).assert_status(200);
    let second = send(&reference_entry()).assert_status(200);
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(server.get("/security/logs/admin").body.as_array().unwrap().len(), 1);
    send(&benign_entry()).assert_problem(409);
    assert_eq!(server.get("/security/logs/admin?status=all").body.as_array().unwrap().len(), 1);
}

#[test]
fn odd_but_valid_text_comes_back_as_it_was_sent() {
    let server = TestServer::dev();
    for message in [
        "nul \0 inside",
        "bidi \u{202e}txt.exe",
        "🦀 \u{fffd}",
        "'; DROP TABLE logs; --",
        &"x".repeat(65_536),
    ] {
        let mut entry = benign_entry();
        entry["message"] = json!(message);
        entry["metadata"] = json!({"note": message.get(..20).unwrap_or(message)});
        let id = server.post("/security/analyze/admin", &entry).assert_status(200).text("log_id");
        let log = server.get(&format!("/security/logs/admin/{id}")).assert_status(200).body;
        assert_eq!(log["message"], message);
        assert_eq!(log["metadata"], entry["metadata"]);
    }
}

#[test]
fn numbers_in_metadata_keep_every_digit() {
    let server = TestServer::dev();
    let body = r#"{"source":"s","event_id":1,"severity_level":"INFO","message":"m","metadata":{"n":123456789012345678901234567890,"r":0.10}}"#;
    let headers = [("content-type", "application/json")];
    let id = server
        .send("POST", "/security/analyze/admin", &headers, body.into())
        .assert_status(200)
        .text("log_id");
    let log = server.get(&format!("/security/logs/admin/{id}")).assert_status(200);
    let text = String::from_utf8(log.bytes).unwrap();
    assert!(text.contains(r#""metadata":{"n":123456789012345678901234567890,"r":0.10}"#), "{text}");
}

#[test]
fn the_feed_can_be_filtered() {
    let server = TestServer::dev();
    server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
    server.post("/security/analyze/admin", &benign_entry()).assert_status(200);
    let cases = [
        ("min_score=70", 1),
        ("status=all", 2),
        ("status=all&severity=NONE", 1),
        ("source=Nginx%20Gateway", 1),
        ("source=nginx", 0),
        ("category=sql_injection", 1),
        ("category=xss", 0),
        ("q=PATTERN", 1),
        ("q=100%25", 0),
        ("since=2020-01-01T00:00:00Z", 1),
        ("until=2020-01-01T00:00:00Z", 0),
        ("limit=1&status=all", 1),
    ];
    for (query, expected) in cases {
        let logs = server.get(&format!("/security/logs/admin?{query}")).assert_status(200).body;
        assert_eq!(logs.as_array().unwrap().len(), expected, "{query}: {logs}");
    }
    for (query, fault) in [
        ("limit=0", "?limit"),
        ("limit=501", "?limit"),
        ("colour=red", "?colour"),
        ("cursor=1", "?cursor"),
        ("since=now", "?since"),
    ] {
        let answer = server.get(&format!("/security/logs/admin?{query}")).assert_problem(422);
        assert_eq!(answer.faults(), [fault], "{query}");
    }
}

fn failed_login(number: usize) -> Value {
    json!({
        "source": "sshd",
        "event_id": number,
        "severity_level": "INFO",
        "message": "sshd[7]: Failed password for root from 203.0.113.9 port 40022 ssh2",
    })
}

#[test]
fn a_brute_force_is_seen_across_a_restart_and_names_its_events() {
    let mut server = TestServer::dev();
    let mut ids = Vec::new();
    for number in 0..9 {
        let analyzed = server.post("/security/analyze/admin", &failed_login(number)).assert_status(200);
        assert_eq!(analyzed.text("analysis.severity"), "LOW", "one failed login is no attack");
        ids.push(analyzed.body["log_id"].clone());
    }
    server.kill_and_restart();
    let analyzed = server.post("/security/analyze/admin", &failed_login(9)).assert_status(200);
    assert_eq!(analyzed.text("analysis.category"), "brute_force");
    assert_eq!(analyzed.text("analysis.severity"), "MEDIUM");
    assert!(analyzed.text("analysis.summary").contains("10 logins failed"), "{:?}", analyzed.body);
    let detections = analyzed.body["analysis"]["detections"].as_array().unwrap().clone();
    let brute_force =
        detections.iter().find(|found| found["title"] == "Brute force from one address").unwrap();
    assert_eq!(brute_force["events"], Value::Array(ids));
    let stored = server.get(&format!("/security/logs/admin/{}", analyzed.text("log_id"))).assert_status(200);
    assert_eq!(stored.body["analysis"], analyzed.body["analysis"]);
}

#[test]
fn a_retry_counts_once_and_another_tenants_events_never() {
    let server = TestServer::dev();
    server.sign_up("other");
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    for _ in 0..12 {
        let body = failed_login(0).to_string().into_bytes();
        let analyzed = server.send("POST", "/security/analyze/admin", &headers, body).assert_status(200);
        assert_eq!(analyzed.text("analysis.severity"), "LOW");
        let others = server.post("/security/analyze/other", &reference_entry()).assert_status(200);
        assert_eq!(others.text("analysis.category"), "sql_injection");
    }
    for number in 1..9 {
        server.post("/security/analyze/other", &failed_login(number)).assert_status(200);
        let analyzed = server.post("/security/analyze/admin", &failed_login(number)).assert_status(200);
        assert_eq!(analyzed.text("analysis.severity"), "LOW");
    }
}
