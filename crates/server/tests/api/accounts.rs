use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use crate::harness::{Answer, TestServer, reference_entry};

const BASIC_ANA: &str = "Basic YW5hOmEtUGFzc3cwcmQ="; // ana:a-Passw0rd

fn with(server: &TestServer, method: &str, path: &str, authorization: &str) -> Answer {
    let headers = [("authorization", authorization), ("content-type", "application/json")];
    let body = if method == "POST" { reference_entry().to_string().into_bytes() } else { Vec::new() };
    server.send(method, path, &headers, body)
}

#[test]
fn signing_up_shows_the_key_once_and_takes_the_name() {
    let server = TestServer::dev();
    let body = json!({"username": "corp_admin", "password": "s3cure"});
    let signed_up = server.post("/security/signup", &body).assert_status(201);
    assert_eq!(signed_up.body["username"], "corp_admin");
    assert_eq!(signed_up.body["plan"], "Free");
    assert!(signed_up.text("api_key").starts_with("sf_"));
    server.post("/security/signup", &body).assert_problem(409);
    let other_case = json!({"username": "CORP_admin", "password": "s3cure"});
    server.post("/security/signup", &other_case).assert_problem(409);
}

#[test]
fn a_rename_moves_every_log_and_frees_the_name() {
    let server = TestServer::dev();
    server.sign_up("corp_admin");
    for _ in 0..3 {
        server.post("/security/analyze/corp_admin", &reference_entry()).assert_status(200);
    }
    let change = json!({"new_username": "admin_v2", "new_plan": "Pro"});
    let updated = server.patch("/security/user/update/corp_admin", &change).assert_status(200);
    let expected = json!({"username": "admin_v2", "plan": "Pro", "llm_ask": "always", "migrated_logs": 3});
    assert_eq!(updated.body, expected);
    server.get("/security/logs/corp_admin").assert_problem(404);
    assert_eq!(server.get("/security/logs/admin_v2").assert_status(200).body.as_array().unwrap().len(), 3);

    server.sign_up("corp_admin");
    assert_eq!(server.get("/security/logs/corp_admin").assert_status(200).body, json!([]));
    let taken = json!({"new_username": "corp_admin"});
    server.patch("/security/user/update/admin_v2", &taken).assert_problem(409);
}

#[test]
fn an_update_that_changes_nothing_or_asks_for_the_impossible_is_refused() {
    let server = TestServer::dev();
    let cases = [
        (json!({}), vec![""]),
        (json!({"new_plan": null}), vec![""]),
        (json!({"new_plan": "Gold"}), vec!["/new_plan"]),
        (
            json!({"new_username": "a b", "new_password": "x", "nwe_plan": "Pro"}),
            vec!["/new_username", "/new_password", "/nwe_plan"],
        ),
    ];
    for (change, faults) in cases {
        let answer = server.patch("/security/user/update/admin", &change).assert_problem(422);
        assert_eq!(answer.faults(), faults, "{change}");
    }
    server.patch("/security/user/update/nobody", &json!({"new_plan": "Pro"})).assert_problem(404);
}

#[test]
fn a_rename_under_eight_writers_loses_nothing_and_doubles_nothing() {
    let server = TestServer::dev();
    server.sign_up("before");
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (server, done, written) = (&server, &done, &written);
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        for name in if writer % 2 == 0 { ["before", "after"] } else { ["after", "before"] } {
                            let answer =
                                server.post(&format!("/security/analyze/{name}"), &reference_entry());
                            match answer.status {
                                200 => {
                                    ids.push(answer.text("log_id"));
                                    written.fetch_add(1, Ordering::Relaxed);
                                }
                                404 => {}
                                status => panic!("{status}: {}", answer.body),
                            }
                        }
                    }
                    ids
                })
            })
            .collect();
        let rename = |from: &str, to: &str| {
            server
                .patch(&format!("/security/user/update/{from}"), &json!({"new_username": to}))
                .assert_status(200);
        };
        let mut rounds = 0;
        while rounds < 10 || written.load(Ordering::Relaxed) <= 100 {
            rename("before", "after");
            rename("after", "before");
            rounds += 1;
        }
        rename("before", "after");
        done.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer panicked")).collect()
    });
    assert!(acknowledged.len() > 100, "only {} writes happened", acknowledged.len());
    let stored = all_log_ids(&server, "after");
    assert_eq!(stored.len(), stored.iter().collect::<BTreeSet<_>>().len(), "a log is listed twice");
    assert_eq!(
        stored.into_iter().collect::<BTreeSet<_>>(),
        acknowledged.into_iter().collect::<BTreeSet<_>>()
    );
}

/// Returns the ids of all logs, page by page.
pub fn all_log_ids(server: &TestServer, username: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut path = Some(format!("/security/logs/{username}?status=all&limit=500"));
    while let Some(page) = path.take().map(|path| server.get(&path).assert_status(200)) {
        ids.extend(page.body.as_array().unwrap().iter().map(|log| log["id"].as_str().unwrap().to_owned()));
        path = page.next_page();
    }
    ids
}

#[test]
fn serve_believes_nobody_without_credentials() {
    let server = TestServer::serve();
    let key = server.sign_up("ana");
    for path in ["/security/logs/ana", "/security/stats/ana", "/audit/logs", "/security/logs/nobody"] {
        let refused = server.get(path).assert_problem(401);
        assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.contains("Bearer")));
    }
    let wrong_key = format!("Bearer sf_{}", "A".repeat(43));
    let wrong =
        [wrong_key.as_str(), "Bearer", "Bearer x", "Basic YW5hOndyb25nLXB3", "Basic !!", "Digest x", &key];
    for authorization in wrong {
        with(&server, "GET", "/security/logs/ana", authorization).assert_problem(401);
    }
    with(&server, "GET", "/security/logs/ana", &format!("Bearer {key}")).assert_status(200);
    for open in ["/healthz", "/readyz", "/openapi.json", "/docs/"] {
        server.get(open).assert_status(200);
    }
}

#[test]
fn serve_lets_a_caller_act_for_itself_only() {
    let server = TestServer::serve();
    let ana = format!("Bearer {}", server.sign_up("ana"));
    let bob = format!("Bearer {}", server.sign_up("bob"));
    let id = with(&server, "POST", "/security/analyze/ana", &ana).assert_status(200).text("log_id");
    for name in ["ana", "nobody"] {
        with(&server, "POST", &format!("/security/analyze/{name}"), &bob).assert_problem(403);
        with(&server, "GET", &format!("/security/logs/{name}/{id}"), &bob).assert_problem(403);
    }
    with(&server, "GET", &format!("/security/logs/bob/{id}"), &bob).assert_problem(404);
    with(&server, "DELETE", &format!("/security/issue/{id}"), &bob).assert_problem(404);
    with(&server, "DELETE", &format!("/security/issue/{id}"), &ana).assert_status(200);
}

#[test]
fn a_changed_password_ends_the_old_one_at_once() {
    let server = TestServer::serve();
    server.sign_up("ana");
    for _ in 0..2 {
        with(&server, "GET", "/security/logs/ana", BASIC_ANA).assert_status(200);
    }
    let headers = [("authorization", BASIC_ANA), ("content-type", "application/json")];
    let change = json!({"new_password": "another-Passw0rd"}).to_string().into_bytes();
    server.send("PATCH", "/security/user/update/ana", &headers, change).assert_status(200);
    with(&server, "GET", "/security/logs/ana", BASIC_ANA).assert_problem(401);
}

#[test]
fn tenants_never_see_each_other() {
    let server = TestServer::dev();
    server.sign_up("ana");
    server.sign_up("bob");
    let id = server.post("/security/analyze/ana", &reference_entry()).assert_status(200).text("log_id");
    assert_eq!(server.get("/security/logs/bob?status=all").body, json!([]));
    server.get(&format!("/security/logs/bob/{id}")).assert_problem(404);
    let counts = server.get("/security/stats/bob").body["counts"].to_string();
    assert!(!counts.contains('1'), "{counts}");
}
