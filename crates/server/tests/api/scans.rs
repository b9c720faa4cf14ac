//! Scans that nobody waits for: jobs that survive the process, their rows, and whose turn it is.

use std::{collections::BTreeSet, time::Instant};

use serde_json::Value;

use crate::{
    audit::table,
    harness::{Answer, MULTIPART, TestServer, form, reference_entry, until},
};

/// Enough rows for a scan to be seen at work.
pub fn large_table() -> Vec<u8> {
    let line = |row: u64| {
        let noise = row.wrapping_mul(6_364_136_223_846_793_005) >> 40;
        let user = ["ana", "bob", "eve", "joe"][usize::try_from(noise % 4).unwrap()];
        let (bytes, seconds, port) = (noise % 9_973, noise % 89, noise % 60_013);
        format!("{bytes},{seconds},{port},{},{user},/p/{}", noise % 7, noise % 211)
    };
    let lines = std::iter::once("bytes,seconds,port,code,user,path".to_owned()).chain((0..60_000).map(line));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// Hands a file in and returns where to ask for its scan.
#[track_caller]
pub fn hand_in(server: &TestServer, query: &str, content: &[u8]) -> String {
    let accepted = server.scan(&format!("?async=true{query}"), "audit_log.csv", content).assert_status(202);
    assert_eq!(accepted.body["status"], "queued");
    let place = accepted.header("location").unwrap().to_owned();
    assert_eq!(place, format!("/audit/scan/{}", accepted.text("id")));
    place
}

#[track_caller]
pub fn until_status(server: &TestServer, place: &str, status: &str) -> Value {
    until(|| server.get(place).assert_status(200), |answer| answer.body["status"] == status).body
}

pub fn without(mut scan: Value, changing: &[&str]) -> Value {
    for name in changing {
        scan[*name] = Value::Null;
    }
    scan
}

#[test]
fn a_scan_that_nobody_waits_for_ends_as_one_that_somebody_does() {
    let server = TestServer::dev();
    let changing = ["id", "timestamp", "duration_ms"];
    let waited = server.scan("?limit=1&threshold=0", "audit_log.csv", table().as_bytes()).assert_status(200);
    let place = hand_in(&server, "&limit=1&threshold=0", table().as_bytes());
    let scan = until_status(&server, &place, "done");
    assert_eq!(scan["progress"], 1.0);
    assert_eq!(scan["threats"].as_array().unwrap().len(), 1);
    assert_eq!(without(scan.clone(), &changing), without(waited.body.clone(), &changing));
    let waited_for = format!("/audit/scan/{}", waited.text("id"));
    assert_eq!(server.get(&waited_for).assert_status(200).body, waited.body);

    let history = server.get("/audit/logs").assert_status(200).body;
    assert_eq!(history[0]["id"], scan["id"]);
    for member in ["timestamp", "total_scanned", "threats_detected", "threshold_used", "engine", "status"] {
        assert_eq!(history[0][member], scan[member], "{member}");
    }
    assert_eq!(server.spooled_files(), 0);
}

#[test]
fn progress_grows_until_the_scan_is_done_and_others_are_answered_meanwhile() {
    let server = TestServer::dev();
    let place = hand_in(&server, "", &large_table());
    let mut seen = Vec::new();
    loop {
        let asked = Instant::now();
        server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
        assert!(asked.elapsed().as_secs() < 5);
        let scan = server.get(&place).assert_status(200).body;
        seen.push(scan["progress"].as_f64().unwrap());
        if scan["status"] == "done" {
            assert_eq!(scan["total_scanned"], 60_000);
            break;
        }
        let history = server.get("/audit/logs").assert_status(200).body;
        assert!(history[0]["status"] == "done" || history[0]["total_scanned"].is_null(), "{history}");
    }
    assert!(seen.is_sorted(), "{seen:?}");
    let between = seen.iter().filter(|progress| (0.01..0.99).contains(*progress));
    assert!(between.count() > 3, "{seen:?}");
}

#[test]
fn a_scan_that_fails_says_why_in_the_words_of_a_refusal() {
    let server = TestServer::dev();
    for content in [b"a,b\n1,2\n".as_slice(), b"", b"PK\x03\x04\x14\x00\x06\x00"] {
        let refusal = server.scan("", "a.csv", content).assert_problem(422).text("detail");
        let place = hand_in(&server, "", content);
        let scan = until_status(&server, &place, "failed");
        assert_eq!(scan["error"], refusal);
        server.get(&format!("{place}/threats")).assert_problem(409);
        assert_eq!(server.get("/audit/logs").body[0]["status"], "failed");
        assert_eq!(server.delete(&place).assert_status(200).body["status"], "removed");
        server.get(&place).assert_problem(404);
    }
    until(|| server.spooled_files(), |files| *files == 0);
}

#[test]
fn a_running_scan_is_cancelled_and_then_removed() {
    let server = TestServer::start("dev", "[scan]\nat_once = 1\n");
    let running = hand_in(&server, "", &large_table());
    let queued = hand_in(&server, "", table().as_bytes());
    until(|| server.get(&running).body, |scan| scan["progress"].as_f64() > Some(0.0));
    assert_eq!(server.get(&queued).body["status"], "queued");
    server.get(&format!("{queued}/threats")).assert_problem(409);
    for place in [&queued, &running] {
        assert_eq!(server.delete(place).assert_status(200).body["status"], "cancelled");
        assert_eq!(server.get(place).assert_status(200).body["status"], "cancelled");
    }
    until(|| server.spooled_files(), |files| *files == 0);
    let next = hand_in(&server, "", table().as_bytes());
    until_status(&server, &next, "done");
    for place in [&queued, &running, &next] {
        assert_eq!(server.delete(place).assert_status(200).body["status"], "removed");
        server.delete(place).assert_problem(404);
        server.get(place).assert_problem(404);
        server.get(&format!("{place}/threats")).assert_problem(404);
    }
    assert_eq!(server.get("/audit/logs").body, Value::Array(Vec::new()));
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    let mut server = TestServer::start("dev", "[scan]\nat_once = 1\n");
    let running = hand_in(&server, "", &large_table());
    let queued = hand_in(&server, "&limit=3", table().as_bytes());
    until(|| server.get(&running).body, |scan| scan["progress"].as_f64() > Some(0.0));
    let stray = server.data_folder().join("scans/65b21f3e9c1d4a0007f3a1b2");
    std::fs::write(&stray, "of nobody").unwrap();
    server.kill_and_restart();
    assert!(!stray.exists());
    let scan = until_status(&server, &running, "done");
    assert_eq!((&scan["filename"], &scan["total_scanned"]), (&"audit_log.csv".into(), &60_000.into()));
    assert_eq!(until_status(&server, &queued, "done")["total_scanned"], 400);
    let history = server.get("/audit/logs").body;
    assert_eq!(history.as_array().unwrap().len(), 2, "each is there once: {history}");
    until(|| server.spooled_files(), |files| *files == 0);
}

#[test]
fn a_server_that_is_told_to_stop_leaves_its_scans_to_the_next() {
    let mut server = TestServer::dev();
    let place = hand_in(&server, "", &large_table());
    // It never counts as tried, however often the server is told to stop.
    for _ in 0..4 {
        until(|| server.get(&place).body, |scan| scan["progress"].as_f64() > Some(0.0));
        let told = Instant::now();
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
        assert!(told.elapsed().as_secs() < 15, "{:?}", told.elapsed());
        server.kill_and_restart();
    }
    until_status(&server, &place, "done");
}

#[test]
fn a_scan_that_ends_the_server_three_times_is_given_up() {
    let mut server = TestServer::dev();
    let place = hand_in(&server, "", &large_table());
    for _ in 0..3 {
        until(|| server.get(&place).body, |scan| scan["progress"].as_f64() > Some(0.0));
        server.kill_and_restart();
    }
    let scan = server.get(&place).assert_status(200);
    assert_eq!(scan.body["status"], "failed");
    assert!(scan.text("error").contains("ended 3 times"), "{}", scan.body);
    assert_eq!(server.spooled_files(), 0);
}

#[test]
fn tenants_take_turns_and_a_full_queue_is_told() {
    let server = TestServer::start("serve", "[scan]\nat_once = 1\nqueued_per_tenant = 3\n");
    let (ana, bob) = (server.sign_up("ana"), server.sign_up("bob"));
    let small = table();
    let hand_in = |key: &str, content: &[u8]| server.scan_as(key, "?async=true", "a.csv", content);
    let first = hand_in(&ana, &large_table()).assert_status(202).text("id");
    let place = format!("/audit/scan/{first}");
    until(|| server.get_as(&ana, &place).body, |scan| scan["progress"].as_f64() > Some(0.0));
    let hers: Vec<String> =
        (0..3).map(|_| hand_in(&ana, small.as_bytes()).assert_status(202).text("id")).collect();
    let full = hand_in(&ana, small.as_bytes()).assert_problem(429);
    assert!(full.header("retry-after").is_some());
    server.scan_as(&ana, "", "a.csv", small.as_bytes()).assert_problem(429);
    let his = hand_in(&bob, small.as_bytes()).assert_status(202).text("id");

    let ended = |key: &str, id: &str| {
        let place = format!("/audit/scan/{id}");
        until(|| server.get_as(key, &place).assert_status(200), |scan| scan.body["status"] == "done")
            .text("timestamp")
    };
    let hers: Vec<String> = hers.iter().map(|id| ended(&ana, id)).collect();
    assert!(hers.is_sorted(), "{hers:?}");
    assert!(ended(&bob, &his) <= hers[1], "one of hers was before his, the others after");
}

#[test]
fn another_tenants_scan_is_not_there() {
    let server = TestServer::serve();
    let (ana, bob) = (server.sign_up("ana"), server.sign_up("bob"));
    let accepted = server.scan_as(&ana, "?async=true", "a.csv", table().as_bytes()).assert_status(202);
    let place = accepted.header("location").unwrap();
    let (rows, report) = (format!("{place}/threats"), format!("{place}/report"));
    for path in [place, &rows, &report, "/audit/scan/65b21f3e9c1d4a0007f3a1b2", "/audit/scan/x"] {
        server.get_as(&bob, path).assert_problem(404);
    }
    server.delete_as(&bob, place).assert_problem(404);
    server.get(place).assert_problem(401);
    assert_eq!(server.get_as(&bob, "/audit/logs").body, Value::Array(Vec::new()));
    until(|| server.get_as(&ana, place).assert_status(200), |scan| scan.body["status"] == "done");
}

#[test]
fn pages_hold_each_flagged_row_once_by_falling_score() {
    let server = TestServer::dev();
    let place = hand_in(&server, "&threshold=0&limit=5", table().as_bytes());
    let scan = until_status(&server, &place, "done");
    let mut pages = Vec::new();
    let mut next = Some(format!("{place}/threats?limit=90"));
    while let Some(path) = next {
        let page = server.get(&path).assert_status(200);
        next = page.next_page();
        pages.push(page.body.as_array().unwrap().clone());
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [90, 90, 90, 90, 40]);
    let threats = pages.concat();
    assert!(threats.is_sorted_by_key(|threat| -threat["score"].as_f64().unwrap()));
    let rows: BTreeSet<u64> = threats.iter().map(|threat| threat["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, (1..=400).collect());
    assert_eq!(scan["threats"].as_array().unwrap()[..], threats[..5]);
    let threats = |query: &str| server.get(&format!("{place}/threats{query}"));
    assert_eq!(threats("?cursor=400").assert_status(200).body, Value::Array(Vec::new()));
    let wrong = threats("?limit=0&cursor=-1&colour=red").assert_problem(422);
    assert_eq!(wrong.faults(), ["?limit", "?cursor", "?colour"]);
}

#[test]
fn a_table_of_all_flagged_rows_holds_no_formula() {
    let server = TestServer::dev();
    let notes = ["plain", "=1+1", "+cmd|' /C calc'!A0", "@x", "-2+3", "\"a,\"\"b\"\"\"", "\"two\nlines\""];
    let line = |(row, note)| format!("{},-{},{note}", row % 97, row * 37 % 211);
    let lines: Vec<String> = (0..1_200).zip(notes.into_iter().cycle()).map(line).collect();
    let content = format!("=name,bytes,note\n{}\n", lines.join("\n"));
    let place = hand_in(&server, "&threshold=0&limit=1", content.as_bytes());
    until_status(&server, &place, "done");
    let path = format!("{place}/threats");
    let answer = server.send("GET", &path, &[("accept", "text/csv, */*")], Vec::new()).assert_status(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment; filename=\"scan-"));
    let mut table = csv::Reader::from_reader(answer.bytes.as_slice());
    assert_eq!(table.headers().unwrap(), &["row", "score", "reasons", "'=name", "bytes", "note"][..]);
    let records: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let rows: BTreeSet<u64> = records.iter().map(|record| record[0].parse().unwrap()).collect();
    assert_eq!(rows, (1..=1_200).collect());
    let mut cells = records.iter().flatten();
    assert!(cells.all(|cell| !cell.starts_with(['=', '+', '-', '@']) || cell.parse::<f64>().is_ok()));
    assert!(records.iter().any(|record| &record[5] == "'=1+1"));
    assert!(records.iter().any(|record| &record[5] == "two\nlines"));
    assert!(records.iter().all(|record| record[4].parse::<i64>().is_ok()));
    let json = [("accept", "application/json, text/csv")];
    assert!(server.send("GET", &path, &json, Vec::new()).assert_status(200).body.is_array());
}

#[test]
fn the_report_is_a_page_in_which_nothing_runs() {
    let server = TestServer::dev();
    let content = table().replace("user", "<script>alert(1)</script>");
    let place = hand_in(&server, "&limit=0&top=3", content.as_bytes());
    until_status(&server, &place, "done");
    let page = server.get(&format!("{place}/report")).assert_status(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let text = String::from_utf8(page.bytes).unwrap();
    assert!(text.contains("audit_log.csv") && text.contains("9100000"), "the rows are there: {text}");
    assert!(!text.contains("<script"));
    server.get("/audit/scan/65b21f3e9c1d4a0007f3a1b2/report").assert_problem(404);
    let failed = hand_in(&server, "", b"a,b\n1,2\n");
    until_status(&server, &failed, "failed");
    server.get(&format!("{failed}/report")).assert_problem(409);
}

#[test]
fn an_upload_that_is_refused_or_broken_off_leaves_nothing() {
    let server = TestServer::dev();
    server.scan("?async=true&threshold=7", "a.csv", table().as_bytes()).assert_problem(422);
    server.scan("?async=perhaps", "a.csv", table().as_bytes()).assert_problem(422);
    let mut half = form("a.csv", &large_table());
    half.truncate(1 << 20);
    let broken = |body| server.send("POST", "/audit/scan?async=true", &[("content-type", MULTIPART)], body);
    let answer: Answer = broken(half);
    answer.assert_problem(400);
    assert_eq!(server.spooled_files(), 0);
    assert_eq!(server.get("/audit/logs").body, Value::Array(Vec::new()));
}
