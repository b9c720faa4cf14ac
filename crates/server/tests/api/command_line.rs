use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{TestServer, command};

pub fn sentinelflow(folder: &Path, arguments: &[&str]) -> Output {
    command().args(arguments).current_dir(folder).output().expect("the binary starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_faulty_configuration_is_told_whole_and_exits_with_2() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("sentinelflow.toml"), "listen = \"here\"\ncolour = \"red\"\n").unwrap();
    let output = sentinelflow(folder.path(), &["serve", "--store", "carrier-pigeon"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for part in ["sentinelflow.toml line 1: listen", "sentinelflow.toml line 2: colour", "--store"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
}

#[test]
fn dev_refuses_to_listen_beyond_loopback() {
    let folder = TempDir::new().unwrap();
    let output = sentinelflow(folder.path(), &["dev", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("loopback"));
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = TestServer::dev();
    let data = server.data_folder().to_owned();
    let output = sentinelflow(&data, &["dev", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another"), "{}", text(&output.stderr));
    server.get("/readyz").assert_status(200);
}

#[test]
fn a_port_in_use_is_told() {
    let server = TestServer::dev();
    let folder = TempDir::new().unwrap();
    let address = server.base.trim_start_matches("http://").to_owned();
    let output = sentinelflow(folder.path(), &["dev", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
}

#[test]
fn scan_tells_the_anomalies_and_writes_a_score_for_every_row() {
    let folder = TempDir::new().unwrap();
    let cell = |row| if row == 150 { 99_999 } else { row * 17 % 89 };
    let rows: Vec<String> = (0..200).map(|row| format!("{},{}", row * 37 % 101, cell(row))).collect();
    std::fs::write(folder.path().join("t.csv"), format!("a,b\n{}\n", rows.join("\n"))).unwrap();
    let output =
        sentinelflow(folder.path(), &["scan", "t.csv", "--scores", "scores.csv", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["threats"][0]["row"], 151);
    let scores = std::fs::read_to_string(folder.path().join("scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 201);
    let best = scores.lines().skip(1).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
    assert!(best.starts_with("151,"), "{best}");

    let table = sentinelflow(folder.path(), &["scan", "t.csv"]);
    assert!(text(&table.stdout).contains("151"), "{}", text(&table.stdout));
    let as_csv = sentinelflow(folder.path(), &["scan", "t.csv", "--format", "csv"]);
    assert!(text(&as_csv.stdout).starts_with("file,row,score,column,value,typical,share\nt.csv,151,"));
}

#[test]
fn scan_makes_a_page_of_one_file() {
    let folder = TempDir::new().unwrap();
    let rows: Vec<String> = (0..100).map(|row| format!("{},{}", row * 7 % 31, row * 5 % 23)).collect();
    std::fs::write(folder.path().join("t.csv"), format!("a,b\n{}\n9999,1\n", rows.join("\n"))).unwrap();
    let printed = sentinelflow(folder.path(), &["scan", "t.csv", "--top", "1", "--format", "html"]);
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let page = text(&printed.stdout);
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(page.contains("1 of 101 rows") && page.contains("Row 101"), "{page}");

    let written = sentinelflow(folder.path(), &["scan", "t.csv", "--format", "html", "--output", "t.html"]);
    assert!(written.status.success() && written.stdout.is_empty(), "{}", text(&written.stderr));
    assert!(
        std::fs::read_to_string(folder.path().join("t.html")).unwrap().contains("<td><bdi>t.csv</bdi></td>")
    );

    let of_two = sentinelflow(folder.path(), &["scan", "t.csv", "t.csv", "--format", "html"]);
    assert_eq!(of_two.status.code(), Some(1));
    assert!(text(&of_two.stderr).contains("--format html makes a page of one file only"));
}

fn score(line: &str) -> f64 {
    line.split(',').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_file_that_cannot_be_scanned_costs_only_itself() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("bad.csv"), "").unwrap();
    let rows: Vec<String> = (0..100).map(|row| format!("{},{}", row * 7 % 31, row * 5 % 23)).collect();
    std::fs::write(folder.path().join("good.csv"), format!("a,b\n{}\n", rows.join("\n"))).unwrap();
    let output = sentinelflow(folder.path(), &["scan", "bad.csv", "missing.csv", "good.csv"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("bad.csv:") && said.contains("missing.csv:") && said.contains("2 of 3 files"),
        "{said}"
    );
    assert!(text(&output.stdout).contains("good.csv"));
}

#[test]
fn openapi_prints_what_the_server_serves() {
    let server = TestServer::dev();
    let output = sentinelflow(server.data_folder(), &["openapi"]);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, server.get("/openapi.json").body);
}

pub const RULE: &str = "title: T\nid: mine\nlogsource:\n  category: any\ndetection:\n  sel:\n    '|contains': purple\n  condition: sel\nlevel: high\n";

#[test]
fn analyze_judges_the_lines_of_files_and_sums_up() {
    let folder = TempDir::new().unwrap();
    let failed = |second: usize| {
        format!(
            "Nov 24 10:00:{second:02} web sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2\n"
        )
    };
    let log: String = (0..12).map(failed).collect();
    std::fs::write(folder.path().join("auth.log"), log + "Nov 24 11:00:00 web cron[1]: done\n").unwrap();
    let sent = "{\"source\":\"app\",\"message\":\"GET /i?id=1%27%20or%20%271%27=%271 HTTP/1.1\"}\n";
    std::fs::write(folder.path().join("sent.jsonl"), [sent.as_bytes(), b"purple \xff rain\n"].concat())
        .unwrap();
    std::fs::write(folder.path().join("mine.yml"), RULE).unwrap();
    let output = sentinelflow(folder.path(), &["analyze", "auth.log", "sent.jsonl", "--rules", "mine.yml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(shown.lines().count(), 14, "{shown}");
    let line = |number: usize| shown.lines().nth(number - 1).unwrap_or_default();
    assert!(line(9).starts_with("auth.log:9: ") && line(9).contains(" LOW auth_failure: "), "{shown}");
    assert!(line(10).contains(" MEDIUM brute_force: 10 logins failed within 5 minutes"), "{shown}");
    assert!(shown.contains("sent.jsonl:1: ") && shown.contains("sql_injection"), "{shown}");
    assert!(shown.contains("sent.jsonl:2: 80 HIGH"), "{shown}");
    for part in ["15 events: ", "T1110.001", "1 lines were not UTF-8"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }

    let output = sentinelflow(folder.path(), &["analyze", "sent.jsonl", "nothing.log", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let judged: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&judged["line"], &judged["category"]), (&1.into(), &"sql_injection".into()));
    assert!(text(&output.stderr).contains("nothing.log: cannot be opened"));
}

#[test]
fn rules_are_listed_checked_and_tested() {
    let folder = TempDir::new().unwrap();
    let output = sentinelflow(folder.path(), &["rules", "test"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(": 0 come out otherwise"), "{}", text(&output.stdout));

    let nested = folder.path().join("a/b");
    std::fs::create_dir_all(&nested).unwrap();
    std::fs::write(nested.join("good.yml"), RULE).unwrap();
    std::fs::write(
        nested.join("bad.yaml"),
        RULE.replace("id: mine", "id: other").replace("contains", "cloudy"),
    )
    .unwrap();
    std::fs::write(nested.join("binary.yml"), b"\xff\xfe").unwrap();
    std::fs::write(nested.join("note.txt"), "no rule").unwrap();
    let output = sentinelflow(folder.path(), &["rules", "check", "a"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.contains("a/b/bad.yaml:7: ") && shown.contains("cloudy"), "{shown}");
    assert!(shown.contains("a/b/binary.yml:1: is not UTF-8"), "{shown}");
    assert!(shown.contains("3 files: 1 rules can be used, 2 faults"), "{shown}");

    let output = sentinelflow(folder.path(), &["rules", "list", "a/b/good.yml"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("mine") && shown.contains("counted only"), "{shown}");
}

#[test]
fn rules_of_the_operator_are_read_again_on_sighup_and_a_faulty_one_costs_only_itself() {
    let mut server = TestServer::dev();
    let folder = server.data_folder().to_owned();
    std::fs::create_dir(folder.join("rules")).unwrap();
    std::fs::write(folder.join("sentinelflow.toml"), "rules = 'rules'\n").unwrap();
    std::fs::write(folder.join("rules/bad.yml"), "title: [").unwrap();
    server.kill_and_restart();
    let entry = json!({"source": "app", "event_id": 1, "severity_level": "INFO", "message": "purple rain"});
    let is_found = || {
        let analyzed = server.post("/security/analyze/admin", &entry).assert_status(200);
        analyzed.text("analysis.severity") == "HIGH"
    };
    assert!(!is_found());
    std::fs::write(folder.join("rules/mine.yml"), RULE).unwrap();
    let hung_up = Command::new("kill").args(["-HUP", &server.process_id().to_string()]).status();
    assert!(hung_up.is_ok_and(|status| status.success()));
    assert!((0..20_000).any(|_| is_found()), "the new rule is never used");
}
