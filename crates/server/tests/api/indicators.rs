//! Lists of indicators: what they find, for whom, and when they are read again.

use std::{path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    command_line::{RULE, sentinelflow, text},
    harness::TestServer,
};

/// Lists to look in, and a server that does.
fn watching(lists: &[(&str, &str)]) -> TestServer {
    let mut server = TestServer::dev();
    let folder = server.data_folder().to_owned();
    write_lists(&folder, lists);
    std::fs::write(folder.join("sentinelflow.toml"), "indicators = 'indicators'\nrules = 'rules'\n").unwrap();
    std::fs::create_dir(folder.join("rules")).unwrap();
    server.kill_and_restart();
    server
}

fn write_lists(folder: &Path, lists: &[(&str, &str)]) {
    for (file, text) in lists {
        let path = folder.join("indicators").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Returns the titles of what is found in a connection from an address.
fn found_in(server: &TestServer, tenant: &str, address: &str) -> Vec<String> {
    let message = format!("connection from {address} port 22");
    let entry = json!({"source": "app", "event_id": 1, "severity_level": "INFO", "message": message});
    let analyzed = server.post(&format!("/security/analyze/{tenant}"), &entry).assert_status(200);
    let detections = analyzed.body["analysis"]["detections"].as_array().unwrap();
    detections.iter().map(|detection| detection["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_listed_address_raises_the_score_and_is_named() {
    let server = watching(&[("feed.txt", "# description: servers of a botnet\n203.0.113.0/24\n10.0.0.1\n")]);
    let entry = json!({"source": "app", "event_id": 1, "severity_level": "INFO", "message": "talked", "metadata": {"dst_ip": "203.0.113.4"}});
    let analyzed = server.post("/security/analyze/admin", &entry).assert_status(200);
    assert_eq!(analyzed.text("analysis.severity"), "MEDIUM");
    assert!(
        analyzed.text("analysis.summary").contains("203.0.113.4 is on the list feed (servers of a botnet)")
    );
    let detection = &analyzed.body["analysis"]["detections"][0];
    assert_eq!(detection["id"], "indicator.ip");
    assert_eq!(detection["title"], "Address on the list feed");
    assert_eq!(detection["evidence"][0], json!({"field": "dst_ip", "excerpt": "203.0.113.4"}));
    assert!(found_in(&server, "admin", "198.51.100.4").is_empty());
    assert!(found_in(&server, "admin", "10.0.0.1").is_empty());
}

#[test]
fn lists_are_read_again_on_sighup_and_a_broken_one_leaves_them_as_they_are() {
    let server = watching(&[("feed.txt", "203.0.113.4\n")]);
    let folder = server.data_folder();
    let hang_up = || {
        let hung_up = Command::new("kill").args(["-HUP", &server.process_id().to_string()]).status();
        assert!(hung_up.is_ok_and(|status| status.success()));
    };
    let is_found = |address: &str| !found_in(&server, "admin", address).is_empty();
    assert!(is_found("203.0.113.4") && !is_found("198.51.100.9"));

    write_lists(folder, &[("feed.txt", "198.51.100.9\n")]);
    hang_up();
    assert!((0..20_000).any(|_| is_found("198.51.100.9")), "the new list is never used");
    assert!(!is_found("203.0.113.4"));

    write_lists(folder, &[("feed.txt", "<html>\n"), ("other.txt", "203.0.113.4\n")]);
    // Rules are read after the lists, so that they tell when those were.
    std::fs::write(folder.join("rules/mine.yml"), RULE).unwrap();
    hang_up();
    assert!((0..20_000).any(|_| is_found("purple")), "the new rule is never used");
    assert!(is_found("198.51.100.9") && !is_found("203.0.113.4"));
}

#[test]
fn a_tenants_lists_follow_its_name() {
    let server = watching(&[("tenants/Acme/own.txt", "203.0.113.4\n"), ("all.txt", "198.51.100.9\n")]);
    server.sign_up("acme");
    assert_eq!(found_in(&server, "acme", "203.0.113.4"), ["Address on the list own"]);
    assert_eq!(found_in(&server, "acme", "198.51.100.9"), ["Address on the list all"]);
    assert!(found_in(&server, "admin", "203.0.113.4").is_empty());
    server.patch("/security/user/update/acme", &json!({"new_username": "zenith"})).assert_status(200);
    assert!(found_in(&server, "zenith", "203.0.113.4").is_empty());
    server.sign_up("ACME");
    assert_eq!(found_in(&server, "ACME", "203.0.113.4"), ["Address on the list own"]);
}

#[test]
fn lists_are_checked_and_used_offline() {
    let folder = TempDir::new().unwrap();
    write_lists(folder.path(), &[("feed.txt", "203.0.113.4\nevil.example\n10.0.0.1\n")]);
    let output = sentinelflow(folder.path(), &["indicators", "check", "indicators"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for part in [
        "indicators/feed.txt: 1 addresses, 1 domains, 1 faults",
        "  indicators/feed.txt:3: '10.0.0.1' is private",
        "1 files: 2 indicators in",
    ] {
        assert!(shown.contains(part), "{part} is missing: {shown}");
    }

    std::fs::write(folder.path().join("app.log"), "asked for www.evil.example\n").unwrap();
    let output = sentinelflow(folder.path(), &["analyze", "app.log", "--indicators", "indicators"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("app.log:1: 80 HIGH malware: Domain www.evil.example"), "{shown}");
    assert!(text(&output.stderr).contains("feed.txt:3: '10.0.0.1' is private"), "{}", text(&output.stderr));

    write_lists(folder.path(), &[("page.txt", "<html>\n")]);
    let output = sentinelflow(folder.path(), &["indicators", "check", "indicators"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nothing of 1 of 2 files can be used"), "{}", text(&output.stderr));
}
