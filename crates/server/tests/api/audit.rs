use serde_json::{Value, json};

use crate::harness::TestServer;

/// 400 ordinary rows of two columns that go together, and row 200 that doesn't.
pub fn table() -> String {
    let rows = (1..=400).map(|row| {
        let bytes = if row == 200 { 9_100_000 } else { 1_000 + row * 37 % 211 };
        let user = ["ana", "bob", "eve"][row % 3];
        format!("{bytes},{},{user}", 10 + row * 37 % 13)
    });
    let lines: Vec<String> = std::iter::once("bytes,seconds,user".to_owned()).chain(rows).collect();
    lines.join("\n")
}

#[test]
fn a_scan_finds_the_row_that_does_not_belong_and_says_why() {
    let server = TestServer::dev();
    let scan = server.scan("", "audit_log.csv", table().as_bytes()).assert_status(200).body;
    assert_eq!(scan["total_scanned"], 400);
    assert_eq!(scan["threats"][0]["row"], 200);
    assert_eq!(scan["threats"][0]["reasons"][0]["column"], "bytes");
    assert_eq!(scan["threats"][0]["record"]["bytes"], 9_100_000);
    assert_eq!(scan["threats"].as_array().unwrap().len() as u64, scan["threats_detected"].as_u64().unwrap());

    let history = server.get("/audit/logs").assert_status(200).body;
    for member in
        ["id", "timestamp", "filename", "total_scanned", "threats_detected", "threshold_used", "engine"]
    {
        assert_eq!(history[0][member], scan[member], "{member}");
    }
    assert_eq!(history[0]["status"], "done");
}

#[test]
fn a_table_of_many_megabytes_is_taken() {
    let server = TestServer::dev();
    let rows: Vec<String> = (0..40_000).map(|row| format!("{row:0>60},{},{}", row % 97, row % 89)).collect();
    let csv = format!("id,a,b\n{}\n", rows.join("\n"));
    assert!(csv.len() > 2 << 20);
    let scan = server.scan("?engine=statistical", "large.csv", csv.as_bytes()).assert_status(200).body;
    assert_eq!(scan["total_scanned"], 40_000);
}

#[test]
fn the_same_file_gives_the_same_answer() {
    let server = TestServer::dev();
    let scan = || {
        let mut scan = server.scan("", "a.csv", table().as_bytes()).assert_status(200).body;
        for changing in ["id", "timestamp", "duration_ms"] {
            scan[changing] = Value::Null;
        }
        scan
    };
    assert_eq!(scan(), scan());
}

#[test]
fn options_are_heard_in_the_query_and_checked() {
    let server = TestServer::dev();
    let table = table();
    let statistical = server
        .scan("?engine=statistical&threshold=0&limit=2", "a.csv", table.as_bytes())
        .assert_status(200)
        .body;
    assert_eq!(statistical["engine"], "statistical");
    assert_eq!(statistical["threshold_used"], 0.0);
    assert_eq!(statistical["threats_detected"], 400);
    assert_eq!(statistical["threats"].as_array().unwrap().len(), 2);
    let ignoring = server.scan("?ignore=bytes", "a.csv", table.as_bytes()).assert_status(200).body;
    assert_eq!(ignoring["columns"][0]["used"], false);
    let wrong = server
        .scan("?engine=magic&threshold=2&limit=-1&async=maybe&more=1", "a.csv", table.as_bytes())
        .assert_problem(422);
    assert_eq!(wrong.faults(), ["?engine", "?threshold", "?limit", "?async", "?more"]);
    server.scan("?ignore=nothing", "a.csv", table.as_bytes()).assert_problem(422);
}

#[test]
fn utf_16_that_ends_in_half_a_character_is_read() {
    let server = TestServer::dev();
    let mut content = vec![0xff, 0xfe];
    content.extend(table().encode_utf16().flat_map(u16::to_le_bytes));
    content.push(0x41);
    let scan = server.scan("", "half.csv", &content).assert_status(200).body;
    assert!(scan["total_scanned"].as_u64().is_some_and(|rows| (400..=401).contains(&rows)), "{scan}");
}

#[test]
fn files_that_are_no_tables_are_refused_and_leave_nothing() {
    let server = TestServer::dev();
    let constant = format!("a,b\n{}", "1,2\n".repeat(50));
    let cases: [(&str, &[u8]); 8] = [
        ("empty.csv", b""),
        ("header.csv", b"a,b,c\n"),
        ("one_row.csv", b"a,b\n1,2\n"),
        ("constant.csv", constant.as_bytes()),
        ("binary.csv", &[0, 159, 146, 150, 0, 1, 2, 3]),
        ("picture.xlsx", b"\x89PNG\r\n\x1a\n0000"),
        ("truncated.xlsx", b"PK\x03\x04\x14\x00\x06\x00"),
        ("text.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ];
    for (filename, content) in cases {
        let answer = server.scan("", filename, content).assert_problem(422);
        assert!(answer.text("detail").len() > 20, "{filename}: {}", answer.text("detail"));
    }
    assert_eq!(server.get("/audit/logs").body, json!([]));
}

#[test]
fn a_form_without_a_file_is_told_so() {
    let server = TestServer::dev();
    server
        .send("POST", "/audit/scan", &[("content-type", "application/json")], b"{}".to_vec())
        .assert_problem(415);
    let form = [("content-type", "multipart/form-data; boundary=x")];
    server.send("POST", "/audit/scan", &form, b"--x--\r\n".to_vec()).assert_problem(400);
    server.send("POST", "/audit/scan", &form, b"--x\r\nbroken".to_vec()).assert_problem(400);
    let no_boundary = [("content-type", "multipart/form-data")];
    server.send("POST", "/audit/scan", &no_boundary, b"x".to_vec()).assert_problem(415);
}

#[test]
fn an_upload_leaves_no_file_behind() {
    let mut server = TestServer::dev();
    server.scan("", "a.csv", table().as_bytes()).assert_status(200);
    server.scan("", "b.csv", b"").assert_problem(422);
    assert_eq!(server.spooled_files(), 0);
    server.kill_and_restart();
    assert_eq!(server.get("/audit/logs").body.as_array().unwrap().len(), 1);
}
