//! The second opinion of a language model, as a caller, an operator and the provider see it.

mod opinions;

mod faults;
mod limits;

mod air_gap;
mod key;
mod secrets;

mod check;
mod metrics;

use std::sync::atomic::{AtomicUsize, Ordering};

use sentinelflow_fakes::FakeModel;
use serde_json::{Value, json};

use crate::harness::{Answer, Start, TestServer};

const KEY: &str = "AQ.Ab8RN6-a-key-that-nobody-may-see";

/// What a server needs to ask this model.
fn environment(model: &FakeModel) -> Vec<(&'static str, String)> {
    vec![("GEMINI_API_KEY", KEY.to_owned()), ("SENTINELFLOW_LLM__BASE_URL", model.url())]
}

/// Starts `dev`, which asks this model.
fn asking(model: &FakeModel) -> TestServer {
    asking_with(model, "")
}

/// As `asking`, with settings in TOML.
fn asking_with(model: &FakeModel, settings: &str) -> TestServer {
    TestServer::started(Start {
        mode: "dev",
        settings: settings.to_owned(),
        environment: environment(model),
        ..Start::default()
    })
}

fn event(message: &str) -> Value {
    json!({"source": "app", "event_id": 1, "severity_level": "INFO", "message": message})
}

/// Returns a harmless event about which the same was never asked before.
fn fresh_event() -> Value {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut word = String::new();
    // Letters, as numbers of one length are the same to a model.
    loop {
        word.push(char::from(b'a' + u8::try_from(number % 16).unwrap()));
        number /= 16;
        if number == 0 {
            return event(&format!("the {word} lamp is on"));
        }
    }
}

/// A threat of which the rules are not sure: its severity is LOW.
fn failed_login() -> Value {
    event("sshd[7]: Failed password for root from 203.0.113.9 port 40022 ssh2")
}

fn analyze(server: &TestServer, event: &Value) -> Answer {
    server.post("/security/analyze/admin", event).assert_status(200)
}

fn log(server: &TestServer, log_id: &str) -> Answer {
    server.get(&format!("/security/logs/admin/{log_id}")).assert_status(200)
}

/// Returns what the log's own page says of the opinion.
fn opinion_on(server: &TestServer, log_id: &str) -> Value {
    server.get(&format!("/security/logs/admin/{log_id}/opinion")).assert_status(200).body
}

fn feed(server: &TestServer) -> Vec<Value> {
    server.get("/security/logs/admin").assert_status(200).body.as_array().unwrap().clone()
}

/// Returns the threats and the highest score of the last half hour.
fn stats(server: &TestServer) -> (u64, u64) {
    let stats = server.get("/security/stats/admin").assert_status(200).body;
    let numbers =
        |name: &str| stats[name].as_array().unwrap().iter().filter_map(Value::as_u64).collect::<Vec<_>>();
    (numbers("threats").iter().sum(), numbers("max_scores").into_iter().max().unwrap())
}
