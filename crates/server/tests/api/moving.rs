//! Moving house with the real binary: a server on the copy answers as the first one did.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    audit::table,
    command_line::{sentinelflow, text},
    harness::{Answer, Start, TestServer, command, database, reference_entry},
};

/// A `serve` on a store of its own choice.
fn serve_on(store: &str) -> TestServer {
    TestServer::started(Start { mode: "serve", store: Some(store.to_owned()), ..Start::default() })
}

fn post_as(server: &TestServer, key: &str, path: &str, body: &Value, idempotency_key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*bearer),
        ("idempotency-key", idempotency_key),
    ];
    server.send("POST", path, &headers, body.to_string().into_bytes())
}

fn entry(number: usize) -> Value {
    let mut entry = reference_entry();
    entry["source"] = json!(format!("source {number}"));
    entry
}

/// Fills a server with something of what it remembers, and returns the tenant's API key.
fn fill(server: &TestServer) -> String {
    let key = server.sign_up("ana");
    for number in 0..30 {
        let path = "/security/analyze/ana";
        post_as(server, &key, path, &entry(number), &format!("retry-{number}")).assert_status(200);
    }
    let newest = server.get_as(&key, "/security/logs/ana?limit=1").assert_status(200);
    let resolved = newest.body[0]["id"].as_str().unwrap().to_owned();
    server.delete_as(&key, &format!("/security/issue/{resolved}")).assert_status(200);
    server.scan_as(&key, "?top=5", "a.csv", table().as_bytes()).assert_status(200);
    key
}

/// Returns the answers to whatever can be asked about the tenant, by path.
fn answers(server: &TestServer, key: &str) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    for list in ["?limit=7", "?limit=7&status=resolved", "?limit=7&status=all"] {
        let mut path = Some(format!("/security/logs/ana{list}"));
        while let Some(asked) = path.take() {
            let page = server.get_as(key, &asked).assert_status(200);
            path = page.next_page();
            answers.insert(asked, page.body);
        }
    }
    let mut stats = server.get_as(key, "/security/stats/ana?window=31d&buckets=1").assert_status(200).body;
    stats["generated_at"].take();
    answers.insert("stats".to_owned(), stats);
    let scans = server.get_as(key, "/audit/logs").assert_status(200).body;
    let scan = scans[0]["id"].as_str().unwrap().to_owned();
    answers.insert("scans".to_owned(), scans);
    for path in [format!("/audit/scan/{scan}"), format!("/audit/scan/{scan}/threats?limit=3")] {
        answers.insert(path.clone(), server.get_as(key, &path).assert_status(200).body);
    }
    answers
}

fn store_copy(folder: &Path, from: &str, to: &str) -> Command {
    let mut copy = command();
    copy.args(["store", "copy", from, "env:COPY_TO"]).env("COPY_TO", to).current_dir(folder);
    copy
}

#[test]
fn a_server_on_the_copy_answers_as_the_first_and_goes_on() {
    let place = TempDir::new().unwrap();
    let (first, there, back) = ("sqlite:first.db", database("there"), "sqlite:back.db");
    let at = |store: &str| store.replace("sqlite:", &format!("sqlite:{}/", place.path().display()));
    let mut server = serve_on(&at(first));
    let key = fill(&server);
    let before = answers(&server, &key);
    let in_use = store_copy(place.path(), first, back).output().unwrap();
    assert!(text(&in_use.stderr).contains("used by another process"), "{}", text(&in_use.stderr));
    server.end();

    for (from, to) in [(first, &*there), (&*there, back)] {
        let copied = store_copy(place.path(), from, to).output().unwrap();
        let (said, table) = (text(&copied.stderr), text(&copied.stdout));
        assert_eq!(copied.status.code(), Some(0), "{said}");
        assert!(table.contains("logs") && table.contains("both") && !table.contains("FROM"), "{table}");
        assert!(!said.contains(there.as_str()) && !table.contains(there.as_str()), "{said}");
        let mut server = serve_on(&at(to));
        assert_eq!(answers(&server, &key), before);
        let retry = post_as(&server, &key, "/security/analyze/ana", &entry(3), "retry-3").assert_status(200);
        assert!(before.values().any(|page| page.to_string().contains(&retry.text("log_id"))));
        server.end();
    }
    let again = store_copy(place.path(), first, &there).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("TO is not empty"), "{}", text(&again.stderr));
    let server = serve_on(&at(back));
    let new = post_as(&server, &key, "/security/analyze/ana", &entry(99), "new").assert_status(200);
    let newest = server.get_as(&key, "/security/logs/ana?limit=1").assert_status(200);
    assert_eq!(newest.body[0]["id"], new.body["log_id"]);
}

/// Starts a copy and kills it as soon as it has said so many lines.
fn kill_after(lines: usize, folder: &Path, from: &str, to: &str) {
    let mut copy = store_copy(folder, from, to).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(copy.stderr.take().unwrap()).lines();
    for _ in 0..lines {
        if said.next().is_none() {
            break;
        }
    }
    // It may have ended already.
    drop(copy.kill());
    copy.wait().unwrap();
}

/// Whether a server opens a store; if not, it says that it is half a copy.
fn is_served(folder: &Path, store: &str) -> bool {
    let mut server = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--store", store])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut decisive = lines.filter(|line| line.contains("Listening on") || line.contains("unfinished copy"));
    let line = decisive.next();
    drop(server.kill());
    server.wait().unwrap();
    line.expect("it listens or says that the copy is unfinished").contains("Listening on")
}

#[test]
fn a_copy_that_is_killed_again_and_again_comes_to_the_same_end() {
    let place = TempDir::new().unwrap();
    let first = "sqlite:first.db";
    let mut server = serve_on(&format!("sqlite:{}/first.db", place.path().display()));
    let key = fill(&server);
    let mut large = reference_entry();
    // Large enough for several pages.
    large["message"] = json!("x".repeat(60_000));
    for number in 0..300 {
        let path = "/security/analyze/ana";
        post_as(&server, &key, path, &large, &format!("large-{number}")).assert_status(200);
    }
    let before = answers(&server, &key);
    server.end();

    for to in [database("killed"), format!("sqlite:{}/to.db", place.path().display())] {
        let mut kills = 0;
        for lines in 1..8 {
            kill_after(lines, place.path(), first, &to);
            // The last ones may come too late.
            if is_served(place.path(), &to) {
                break;
            }
            kills += 1;
        }
        assert!(kills > 0, "it was too fast to be killed");
        let done = store_copy(place.path(), first, &to).output().unwrap();
        let said = text(&done.stderr);
        let is_done = done.status.success() && said.contains("Going on with the copy");
        assert!(is_done || said.contains("TO is not empty"), "{said}");
        assert_eq!(answers(&serve_on(&to), &key), before);
    }
}

#[test]
fn wrong_addresses_are_told_without_what_may_be_a_password() {
    let place = TempDir::new().unwrap();
    let first = place.path().join("first.db");
    drop(serve_on(&format!("sqlite:{}", first.display())));
    for (from, to, code, said) in [
        ("sqlite:missing.db", "sqlite:to.db", 1, "there is no database at missing.db"),
        ("missing.db", "to.db", 1, "there is no database at missing.db"),
        ("first.db", "mongo://ana:s3cret@host/", 2, "TO: must be sqlite:PATH or mongodb://"),
        ("env:NOWHERE", "to.db", 2, "FROM: the environment has no variable NOWHERE"),
        ("first.db", "mongodb://ana:s3cret@127.0.0.1:1/x?serverSelectionTimeoutMS=100", 1, "cannot open TO"),
        ("first.db", "sqlite:first.db", 1, "FROM and TO are the same"),
    ] {
        let refused = sentinelflow(place.path(), &["store", "copy", from, to]);
        let all = text(&refused.stderr) + &text(&refused.stdout);
        assert_eq!(refused.status.code(), Some(code), "{from} {to}: {all}");
        assert!(all.contains(said) && !all.contains("s3cret"), "{from} {to}: {all}");
    }
    assert!(!place.path().join("to.db").exists() && !place.path().join("missing.db").exists());
}
