//! The key to the provider: where it may stand, and that nobody is ever told it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use sentinelflow_fakes::FakeModel;
use serde_json::json;
use tempfile::TempDir;

use super::{KEY, analyze, asking, fresh_event};
use crate::{
    command_line::text,
    harness::{Start, TestServer, benign_entry, command},
};

/// Everything that the server tells of itself.
const EVERYTHING: &str = "log.filter = 'trace'";

#[test]
fn without_a_key_one_line_of_the_log_says_so() {
    let mut server = TestServer::dev();
    assert_eq!(analyze(&server, &benign_entry()).text("analysis.degraded"), "model_off");
    let log = server.end();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("language model")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("no language model (there is no key for one)"), "{log}");
}

#[test]
fn with_a_key_the_start_names_the_model() {
    let model = FakeModel::start();
    let mut server = asking(&model);
    let named = "gemini-3.5-flash-lite gives a second opinion (ask: always)";
    assert!(server.said().contains(named), "{}", server.said());
    assert!(!server.end().contains("no language model"));
    assert_eq!(model.request_count(), 0, "nobody is asked before there is an event");
}

#[test]
fn a_key_in_a_file_is_as_good() {
    let model = FakeModel::start();
    let mut server = TestServer::started(Start {
        mode: "dev",
        environment: vec![("SENTINELFLOW_LLM__BASE_URL", model.url())],
        ..Start::default()
    });
    let folder = server.data_folder().to_owned();
    std::fs::write(folder.join("key"), format!("{KEY}\n")).unwrap();
    std::fs::write(folder.join("sentinelflow.toml"), format!("{EVERYTHING}\nllm.key_file = 'key'")).unwrap();
    server.kill_and_restart();
    assert_eq!(analyze(&server, &fresh_event()).text("analysis.engine"), "rules+llm");
    assert_eq!(model.requests()[0].credential.as_deref(), Some(KEY));
    assert_tells_no_key("its log", &server.end());
}

#[track_caller]
fn assert_tells_no_key(whence: &str, told: &str) {
    // Without what all keys begin with: somebody may have cut it.
    let secret = KEY.trim_start_matches("AQ.");
    let line = told.lines().find(|line| line.contains(secret));
    assert_eq!(line, None, "{whence} tells the key");
}

/// A provider that answers with this status and, in its words, all that it was sent: the key too. It also points
/// elsewhere.
fn parrot(status: u16, elsewhere: &str) -> String {
    let elsewhere = elsewhere.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever hangs up meanwhile misses its answer, and no more.
            drop(repeat(stream.unwrap(), status, &elsewhere));
        }
    });
    format!("http://{address}")
}

fn repeat(stream: TcpStream, status: u16, elsewhere: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    assert!(head.contains(KEY), "the key is sent: {head}");
    let said = format!("{head}{}", String::from_utf8_lossy(&body));
    let error =
        json!({"error": {"code": status, "message": said, "status": KEY, "details": [{"reason": said}]}});
    let error = error.to_string();
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} {KEY}\r\nx-echo: {KEY}\r\nlocation: {elsewhere}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{error}",
        error.len()
    )
}

#[test]
fn the_key_is_told_nowhere_whatever_the_provider_answers() {
    let elsewhere = FakeModel::start();
    for (status, expected) in [
        (302, "model_refused"),
        (307, "model_refused"),
        (400, "model_refused"),
        (401, "model_unauthorized"),
        (403, "model_unauthorized"),
        (404, "model_not_found"),
        (429, "model_rate_limited"),
        (500, "model_unavailable"),
    ] {
        let environment = vec![
            ("GEMINI_API_KEY", KEY.to_owned()),
            ("SENTINELFLOW_LLM__BASE_URL", parrot(status, &elsewhere.url())),
        ];
        let checked = {
            let folder = TempDir::new().unwrap();
            let environment = environment.iter().map(|(name, value)| (name, value));
            command().args(["llm", "check"]).envs(environment).current_dir(folder.path()).output().unwrap()
        };
        assert_eq!(checked.status.code(), Some(1), "{status}");
        assert_tells_no_key("llm check", &(text(&checked.stdout) + &text(&checked.stderr)));

        let settings = EVERYTHING.to_owned();
        let mut server =
            TestServer::started(Start { mode: "dev", settings, environment, ..Start::default() });
        let analyzed = analyze(&server, &fresh_event());
        assert_eq!(analyzed.text("analysis.degraded"), expected);
        let id = analyzed.text("log_id");
        let mut answers = vec![analyzed];
        for path in [
            "/metrics",
            "/openapi.json",
            "/readyz",
            "/security/logs/admin?status=all",
            &format!("/security/logs/admin/{id}"),
            &format!("/security/logs/admin/{id}/opinion"),
            "/security/stats/admin",
            "/security/logs/nobody",
            "/nowhere",
        ] {
            answers.push(server.get(path));
        }
        answers.push(server.post("/security/analyze/admin", &json!({})).assert_problem(422));
        answers.push(
            server.patch("/security/user/update/admin", &json!({"new_llm_ask": "x"})).assert_problem(422),
        );
        for answer in answers {
            assert_tells_no_key(&answer.request, &String::from_utf8_lossy(&answer.bytes));
            assert_tells_no_key(&answer.request, &format!("{:?}", answer.headers));
        }
        let log = server.end();
        assert!(log.contains("TRACE"), "it was told to tell everything");
        assert_tells_no_key("its log", &log);
    }
    assert_eq!(elsewhere.request_count(), 0, "where nobody configured it to go, nothing goes");
}

#[test]
fn what_a_start_that_fails_says_holds_no_key() {
    let folder = TempDir::new().unwrap();
    for (name, value) in [
        ("SENTINELFLOW_LLM__BASE_URL", format!("https://me:{KEY}@example.org")),
        ("SENTINELFLOW_LLM__BASE_URL", format!("https://example.org/?key={KEY}")),
        ("GEMINI_API_KEY", format!("two {KEY}")),
    ] {
        let output = command().arg("serve").env(name, value).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text(&output.stderr).contains(name), "{}", text(&output.stderr));
        assert_tells_no_key("the failed start", &text(&output.stderr));
    }
}
