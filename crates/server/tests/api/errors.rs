use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{TestServer, benign_entry, reference_entry};

fn analyze(server: &TestServer, body: impl Into<Vec<u8>>) -> crate::harness::Answer {
    server.send("POST", "/security/analyze/admin", &[("content-type", "application/json")], body.into())
}

#[test]
fn every_failure_is_a_problem_with_the_requests_id() {
    let server = TestServer::dev();
    let cases = [
        ("GET", "/nowhere", 404),
        ("GET", "/security/logs/nobody", 404),
        ("GET", "/security/logs/a%20b", 404),
        ("GET", "/security/logs/%ff", 400),
        ("GET", "/security/logs/admin/65b2", 404),
        ("DELETE", "/security/issue/65b12...", 404),
        ("DELETE", "/security/issue/000000000000000000000000", 404),
        ("PUT", "/security/signup", 405),
        ("DELETE", "/security/logs/admin", 405),
        ("GET", "/audit/scan", 405),
    ];
    for (method, path, status) in cases {
        let answer = server.send(method, path, &[], Vec::new()).assert_problem(status);
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    let own_id =
        server.send("GET", "/nowhere", &[("x-request-id", "my-request-7")], Vec::new()).assert_problem(404);
    assert_eq!(own_id.text("request_id"), "my-request-7");
    let strange_id = server.send("GET", "/nowhere", &[("x-request-id", &"x".repeat(200))], Vec::new());
    assert_ne!(strange_id.assert_problem(404).text("request_id"), "x".repeat(200));
}

#[test]
fn bodies_that_cannot_be_read_are_told_apart() {
    let server = TestServer::dev();
    let entry = reference_entry().to_string();
    server.send("POST", "/security/analyze/admin", &[], entry.clone().into()).assert_problem(415);
    let as_text = [("content-type", "text/plain")];
    server.send("POST", "/security/analyze/admin", &as_text, entry.into()).assert_problem(415);
    for broken in ["", "{", "{\"source\":", "not json", "{} {}", "{\"a\":1,}", "\u{feff}{}"] {
        analyze(&server, broken).assert_problem(400);
    }
    analyze(&server, b"{\"source\":\"\xff\"}".to_vec()).assert_problem(400);
    for other in ["[]", "null", "5", "\"text\""] {
        analyze(&server, other).assert_problem(422);
    }
    analyze(&server, format!("{{\"message\":\"{}\"}}", "x".repeat(2 << 20))).assert_problem(413);
}

#[test]
fn whoever_is_refused_before_all_was_sent_still_reads_why() {
    let server = TestServer::serve();
    let entry = json!({"message": "x".repeat(900_000)}).to_string().into_bytes();
    for _ in 0..20 {
        let headers = [("content-type", "application/json")];
        server.send("POST", "/security/analyze/nobody", &headers, entry.clone()).assert_problem(401);
        server.send("POST", "/nowhere", &headers, entry.clone()).assert_problem(404);
    }
}

#[test]
fn every_wrong_field_is_named() {
    let server = TestServer::dev();
    let all = json!({"source": 5, "event_id": "x", "severity_level": "FATAL", "message": null, "metadata": [], "timestamp": "now"});
    let mut faults = analyze(&server, all.to_string()).assert_problem(422).faults();
    faults.sort();
    assert_eq!(faults, ["/event_id", "/message", "/metadata", "/severity_level", "/source", "/timestamp"]);

    let cases = [
        ("source", json!("")),
        ("source", json!("x".repeat(257))),
        ("event_id", json!(1.5)),
        ("event_id", json!(9_223_372_036_854_775_808_u64)),
        ("event_id", json!(true)),
        ("message", json!("")),
        ("message", json!("x".repeat(65_537))),
        ("message", json!({"a": 1})),
        ("metadata", json!("text")),
        ("metadata", json!({"long": "x".repeat(65_536)})),
        ("timestamp", json!("2024-01-25")),
        ("timestamp", json!(1e300)),
        ("timestamp", json!(true)),
    ];
    for (field, value) in cases {
        let mut entry = benign_entry();
        entry[field] = value;
        let answer = analyze(&server, entry.to_string()).assert_problem(422);
        assert_eq!(answer.faults(), [format!("/{field}")]);
    }
    let twice = r#"{"source":"s","source":"t","event_id":1,"severity_level":"INFO","message":"m"}"#;
    assert_eq!(analyze(&server, twice).assert_problem(422).faults(), ["/source"]);
    let beyond =
        r#"{"source":"s","event_id":1,"severity_level":"INFO","message":"m","metadata":{"n":1e999}}"#;
    assert_eq!(analyze(&server, beyond).assert_problem(422).faults(), ["/metadata"]);
    assert_eq!(server.get("/security/logs/admin?status=all").body, json!([]), "nothing refused was stored");
}

#[test]
fn a_flood_of_faults_is_told_in_part() {
    let server = TestServer::dev();
    let members: Vec<String> = (0..50_000).map(|member| format!("\"m{member}\":0")).collect();
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    let headers = [("content-type", "application/json")];
    let answer = server.send("POST", "/security/signup", &headers, body).assert_problem(422);
    assert_eq!(answer.faults().len(), 51);
}

#[test]
fn deep_nesting_is_refused_and_harms_nothing() {
    let server = TestServer::dev();
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let entry = |metadata: String| {
        format!(
            r#"{{"source":"s","event_id":1,"severity_level":"INFO","message":"m","metadata":{metadata}}}"#
        )
    };
    analyze(&server, entry(nested(32))).assert_status(200);
    analyze(&server, entry(nested(33))).assert_problem(422);
    analyze(&server, entry(nested(10_000))).assert_problem(422);
    analyze(&server, entry(format!("{}{}", "[".repeat(60_000), "]".repeat(60_000)))).assert_problem(422);
    analyze(&server, "[".repeat(500_000)).assert_problem(422);
    analyze(&server, "{\"a\":".repeat(100_000)).assert_problem(400);
    server.get("/readyz").assert_status(200);
}

#[test]
fn an_unusable_idempotency_key_is_refused() {
    let server = TestServer::dev();
    for key in ["x".repeat(129), "a b".to_owned()] {
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        server
            .send("POST", "/security/analyze/admin", &headers, benign_entry().to_string().into())
            .assert_problem(400);
    }
    assert_eq!(server.get("/security/logs/admin?status=all").body, json!([]));
}

#[test]
fn dev_turns_away_web_pages_from_elsewhere() {
    let server = TestServer::dev();
    let own = server.base.clone();
    let port = own.rsplit(':').next().unwrap();
    let local = format!("localhost:{port}");
    let accepted: [&[(&str, &str)]; 3] = [&[], &[("host", &local)], &[("origin", &own)]];
    for headers in accepted {
        server.send("GET", "/security/logs/admin", headers, Vec::new()).assert_status(200);
    }
    let refused: [&[(&str, &str)]; 6] = [
        &[("origin", &own), ("origin", "https://evil.example")],
        &[("host", "evil.example")],
        &[("host", "localhost.evil.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost:1")],
    ];
    for headers in refused {
        server.send("GET", "/security/logs/admin", headers, Vec::new()).assert_problem(403);
    }
}

#[test]
fn the_description_names_every_call_of_the_reference() {
    let server = TestServer::dev();
    let openapi = server.get("/openapi.json").assert_status(200).body;
    assert_eq!(openapi["openapi"], "3.1.0");
    let calls = [
        ("/security/signup", "post"),
        ("/security/user/update/{username}", "patch"),
        ("/security/analyze/{username}", "post"),
        ("/security/logs/{username}", "get"),
        ("/security/logs/{username}/{log_id}", "get"),
        ("/security/stats/{username}", "get"),
        ("/security/issue/{issue_id}", "delete"),
        ("/audit/scan", "post"),
        ("/audit/scan/{scan_id}", "get"),
        ("/audit/scan/{scan_id}", "delete"),
        ("/audit/scan/{scan_id}/threats", "get"),
        ("/audit/scan/{scan_id}/report", "get"),
        ("/audit/baselines", "post"),
        ("/audit/baselines", "get"),
        ("/audit/baselines/{name}", "delete"),
        ("/audit/logs", "get"),
        ("/security/logs/{username}/{log_id}/opinion", "get"),
        ("/security/stream/{username}", "get"),
        ("/operator/reload", "post"),
        ("/metrics", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    ];
    for (path, method) in calls {
        assert!(openapi["paths"][path][method].is_object(), "{method} {path}");
    }
    let paths: BTreeSet<&str> = calls.iter().map(|(path, _)| *path).collect();
    assert_eq!(openapi["paths"].as_object().map(serde_json::Map::len), Some(paths.len()));
}

#[test]
fn the_docs_need_no_network() {
    let server = TestServer::dev();
    let page = String::from_utf8(server.get("/docs/").assert_status(200).bytes).unwrap();
    assert!(page.contains("swagger-ui"));
    assert!(!page.contains("https://") && !page.contains("//cdn"), "{page}");
    for asset in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        assert!(!server.get(&format!("/docs/{asset}")).assert_status(200).bytes.is_empty(), "{asset}");
    }
}

#[test]
fn a_refused_answer_never_shows_what_was_sent_as_a_secret() {
    let server = TestServer::dev();
    let body = json!({"username": "x", "password": "hunter2-secret", "pasword": "hunter2-secret"});
    let answer = server.post("/security/signup", &body).assert_problem(422);
    assert_ne!(answer.body, Value::Null);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("hunter2"));
}
