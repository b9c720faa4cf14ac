use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::harness::{BINARY, TestServer};

fn sentinelflow(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).current_dir(folder).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
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
