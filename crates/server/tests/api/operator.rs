//! What an operator may do, and who is one.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    command_line::{RULE, sentinelflow, text},
    harness::{Answer, TestServer, benign_entry},
};

pub const TOKEN: &str = "correct-horse-battery-staple-0123";
const SETTINGS: &str = "rules = 'rules'\nindicators = 'lists'\n";

/// Starts `server` again with these settings, and with folders for rules and lists.
fn with_settings(mut server: TestServer, settings: &str) -> TestServer {
    let folder = server.data_folder().to_owned();
    fs::create_dir(folder.join("rules")).unwrap();
    fs::create_dir(folder.join("lists")).unwrap();
    fs::write(folder.join("sentinelflow.toml"), settings).unwrap();
    server.kill_and_restart();
    server
}

/// Starts `serve` with a token for its operator.
pub fn with_operator() -> TestServer {
    let server = TestServer::serve();
    write_token(&server.data_folder().join("token"), &format!("{TOKEN}\n"), 0o640);
    with_settings(server, "operator_token_file = 'token'")
}

fn write_token(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn reload(server: &TestServer) -> Answer {
    server.send("POST", "/operator/reload", &[], Vec::new())
}

fn reload_as(server: &TestServer, authorization: &str) -> Answer {
    server.send("POST", "/operator/reload", &[("authorization", authorization)], Vec::new())
}

fn severity_of(server: &TestServer, message: &str) -> String {
    let entry = json!({"source": "app", "event_id": 1, "severity_level": "INFO", "message": message});
    server.post("/security/analyze/admin", &entry).assert_status(200).text("analysis.severity")
}

#[test]
fn a_new_rule_and_a_new_list_are_in_force_once_the_reload_is_answered() {
    let server = with_settings(TestServer::dev(), SETTINGS);
    let before = reload(&server).assert_status(200);
    assert_eq!(before.body["faults"], json!([]));
    assert_eq!(severity_of(&server, "purple rain from 203.0.113.4"), "NONE");

    fs::write(server.data_folder().join("rules/mine.yml"), RULE).unwrap();
    fs::write(server.data_folder().join("lists/feed.txt"), "203.0.113.4\n").unwrap();
    let after = reload(&server).assert_status(200);
    assert_eq!(after.body["rules"], before.body["rules"].as_u64().unwrap() + 1);
    assert_eq!(after.body["indicators"], 1);
    assert_ne!(after.text("rule_set"), before.text("rule_set"));
    assert_eq!(severity_of(&server, "purple rain"), "HIGH");
    assert_eq!(severity_of(&server, "talked to 203.0.113.4"), "MEDIUM");
}

#[test]
fn what_can_not_be_used_is_told_with_file_and_line_and_costs_only_itself() {
    let server = with_settings(TestServer::dev(), SETTINGS);
    let folder = server.data_folder();
    fs::write(folder.join("rules/mine.yml"), RULE).unwrap();
    fs::write(
        folder.join("rules/bad.yml"),
        RULE.replace("id: mine", "id: other").replace("contains", "cloudy"),
    )
    .unwrap();
    let many = "10.0.0.1\n".repeat(70);
    fs::write(folder.join("lists/feed.txt"), format!("203.0.113.4\n{many}")).unwrap();
    let reloaded = reload(&server).assert_status(200);
    let faults = reloaded.body["faults"].as_array().unwrap();
    let is_told = |file: &str, line: u64, reason: &str| {
        faults.iter().any(|fault| {
            let says = |name: &str, part: &str| fault[name].as_str().unwrap().contains(part);
            says("file", file) && says("reason", reason) && fault["line"] == line
        })
    };
    assert!(is_told("rules/bad.yml", 7, "cloudy") && is_told("lists/feed.txt", 2, "private"), "{faults:#?}");
    assert_eq!((faults.len(), &reloaded.body["more_faults"]), (51, &json!(20)));
    assert_eq!(severity_of(&server, "purple rain"), "HIGH");
}

#[test]
fn what_can_not_be_read_leaves_the_former_in_force_and_is_refused() {
    let server = with_settings(TestServer::dev(), SETTINGS);
    let folder = server.data_folder();
    fs::write(folder.join("rules/mine.yml"), RULE).unwrap();
    fs::write(folder.join("lists/feed.txt"), "203.0.113.4\n").unwrap();
    reload(&server).assert_status(200);
    let keeps_both = || {
        assert_eq!(severity_of(&server, "purple rain"), "HIGH");
        assert_eq!(severity_of(&server, "talked to 203.0.113.4"), "MEDIUM");
    };

    fs::write(folder.join("lists/feed.txt"), "<html>\n").unwrap();
    let refused = reload(&server).assert_problem(422);
    assert!(refused.text("detail").contains("the former indicators stay in force"), "{}", refused.body);
    assert_eq!(refused.faults(), ["/indicators", "/faults"]);
    assert!(refused.body["errors"][1]["message"].as_str().unwrap().contains("lists/feed.txt:1: '<html>'"));
    keeps_both();

    fs::remove_dir_all(folder.join("rules")).unwrap();
    let refused = reload(&server).assert_problem(422);
    assert_eq!(refused.faults(), ["/indicators", "/rules", "/faults"]);
    keeps_both();
}

#[test]
fn only_the_operator_may_reload() {
    let server = with_operator();
    let key = server.sign_up("ana");
    let refused = reload(&server).assert_problem(401);
    assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.contains("Bearer")));
    let no_credentials = [&format!("Bearer {TOKEN}4"), "Bearer", "Bearer x", "Basic !!", "Digest x", TOKEN];
    for authorization in no_credentials {
        let refused = reload_as(&server, authorization).assert_problem(401);
        assert!(!refused.body.to_string().contains(TOKEN));
    }
    for tenant in [&format!("Bearer {key}"), "Basic YW5hOmEtUGFzc3cwcmQ="] {
        reload_as(&server, tenant).assert_problem(403);
    }
    reload_as(&server, &format!("Bearer {TOKEN}")).assert_status(200);
    let as_tenant = [("authorization", &*format!("Bearer {TOKEN}"))];
    server.send("GET", "/security/logs/ana", &as_tenant, Vec::new()).assert_problem(401);
}

#[test]
fn without_a_token_nobody_is_the_operator_and_the_answer_says_how_to_become_one() {
    let server = TestServer::serve();
    let key = server.sign_up("ana");
    for authorization in [format!("Bearer {key}"), "Bearer ".to_owned(), format!("Bearer {TOKEN}")] {
        let refused = reload_as(&server, &authorization).assert_problem(403);
        assert!(refused.text("detail").contains("--operator-token-file"), "{}", refused.body);
    }
    reload(&server).assert_problem(403);
}

#[test]
fn a_page_of_elsewhere_can_not_reload_dev() {
    let server = TestServer::dev();
    let elsewhere = [("origin", "https://example.org")];
    server.send("POST", "/operator/reload", &elsewhere, Vec::new()).assert_problem(403);
}

#[test]
fn events_are_judged_while_rules_are_read() {
    let server = with_settings(TestServer::dev(), SETTINGS);
    fs::write(server.data_folder().join("rules/mine.yml"), RULE).unwrap();
    let is_done = AtomicBool::new(false);
    let (judged, rule_sets): (usize, Vec<Value>) = thread::scope(|scope| {
        let judging = scope.spawn(|| {
            let mut judged = 0;
            while !is_done.load(Ordering::Relaxed) {
                server.post("/security/analyze/admin", &benign_entry()).assert_status(200);
                judged += 1;
            }
            judged
        });
        let reloads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| reload(&server).assert_status(200).body["rule_set"].clone()))
            .collect();
        let reloaded: Vec<_> = reloads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_done.store(true, Ordering::Relaxed);
        (judging.join().unwrap(), reloaded.into_iter().map(Result::unwrap).collect())
    });
    assert!(judged > 1, "nothing was judged meanwhile");
    assert!(rule_sets.iter().all(|rule_set| *rule_set == rule_sets[0]), "{rule_sets:?}");
}

#[test]
fn a_token_that_is_missing_short_or_open_to_everybody_is_refused_at_start() {
    let folder = TempDir::new().unwrap();
    let (short, _) = TOKEN.split_at(31);
    let cases = [
        (short, 0o600, "32 to 1024 visible ASCII characters"),
        ("", 0o600, "32 to 1024 visible ASCII characters"),
        (&format!("{TOKEN}\n{TOKEN}\n"), 0o600, "and nothing else"),
        (TOKEN, 0o644, "chmod o="),
        (TOKEN, 0o602, "chmod o="),
    ];
    for (token, mode, why) in cases {
        write_token(&folder.path().join("token"), token, mode);
        let output = sentinelflow(folder.path(), &["serve", "--operator-token-file", "token"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--operator-token-file: 'token' ") && said.contains(why), "{said}");
        assert!(!said.contains(short), "{said}");
    }
    let output = sentinelflow(folder.path(), &["serve", "--operator-token-file", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'nowhere' can't be read"), "{}", text(&output.stderr));
}
