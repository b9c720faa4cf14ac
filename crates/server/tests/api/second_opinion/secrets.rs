//! Of the secrets that stand in log lines none leaves: not to the provider, not to the server's own log.
//! The samples are those that `llm` learns to redact by.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sentinelflow_fakes::{FakeModel, Received};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{analyze, asking_with, event};

/// A text and the parts of it that are nobody's business.
#[derive(Deserialize)]
struct Sample {
    text: String,
    secrets: Vec<String>,
}

fn samples() -> Vec<Sample> {
    let path = "../llm/tests/redaction.jsonl";
    let lines = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let sample = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}: {line}"));
    let samples: Vec<Sample> = lines.lines().map(sample).collect();
    assert!(samples.len() > 100, "{} samples are too few", samples.len());
    samples
}

/// A shorter one stands in many a text by accident.
const SHORTEST_UNMISTAKABLE: usize = 8;

/// Returns what gives a sample's secrets away wherever it is found: the secret, or a short one with its neighbours.
fn traces(sample: &Sample) -> Vec<String> {
    const NEIGHBOURS: usize = 4;
    let chars = |text: &str| text.chars().count();
    let mut traces = Vec::new();
    for secret in &sample.secrets {
        if chars(secret) >= SHORTEST_UNMISTAKABLE {
            traces.push(secret.clone());
            continue;
        }
        for (at, _) in sample.text.match_indices(secret.as_str()) {
            let before = chars(sample.text.split_at(at).0);
            let (from, length) = (before.saturating_sub(NEIGHBOURS), chars(secret) + 2 * NEIGHBOURS);
            traces.push(sample.text.chars().skip(from).take(length).collect());
        }
    }
    // As a log writes text that it quotes.
    let quoted: Vec<String> = traces.iter().map(|trace| trace.escape_debug().to_string()).collect();
    traces.extend(quoted);
    traces
}

/// The text with plain spaces in place of the characters that mark data.
fn unmarked(text: &str) -> String {
    text.replace(|char| ('\u{e000}'..='\u{f8ff}').contains(&char), " ")
}

/// Returns every text in a JSON value, names included.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.as_str()], texts(value)].concat()).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Returns what a request held, as it was sent and in every form that its reader could bring it into.
fn readings(received: &Received) -> Vec<String> {
    let body = received.json();
    assert!(body.is_object());
    let mut readings = vec![
        String::from_utf8(received.body.clone()).unwrap(),
        format!("{} {:?}", received.path, received.headers),
        texts(&body).join("\n"),
    ];
    readings.extend(received.records.iter().map(|record| texts(record).join("\n")));
    let unmarked: Vec<String> = readings.iter().map(|reading| unmarked(reading)).collect();
    readings.extend(unmarked);
    readings
}

/// An event and the sample that stands in it: as the message, as a member, or one of its secrets under a telling name.
struct Case<'s> {
    sample: &'s Sample,
    event: Value,
}

/// Where Windows writes an event's id it names its kind and is sent: it leads each record back to its case.
fn cases(samples: &[Sample]) -> Vec<Case<'_>> {
    const TELLING_NAMES: [&str; 5] = ["password", "api_key", "token", "client_secret", "authorization"];
    let mut cases = Vec::new();
    for sample in samples {
        let note = json!({"note": sample.text});
        let telling = sample.secrets.iter().zip(TELLING_NAMES.iter().cycle());
        let metadata = std::iter::once(note).chain(telling.map(|(secret, name)| json!({*name: secret})));
        let events = metadata.map(|metadata| ("the lamp is on", metadata));
        for (message, metadata) in std::iter::once((&*sample.text, json!({}))).chain(events) {
            let mut event = event(message);
            event["source"] = "Windows".into();
            event["event_id"] = cases.len().into();
            event["metadata"] = metadata;
            cases.push(Case { sample, event });
        }
    }
    cases
}

/// Does the work for each of them, on some threads.
fn for_each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// Returns the traces of any sample that are found in the text.
fn found<'t>(traces: &'t BTreeSet<String>, text: &str) -> Vec<&'t str> {
    traces.iter().map(String::as_str).filter(|trace| text.contains(trace)).collect()
}

/// Everything is asked about, and everything is told.
const SETTINGS: &str = "log.filter = 'trace'
[llm]
timeout_ms = 60000
request_timeout_ms = 60000
tokens_per_day = 1000000000000
usd_per_day = 1000000";

#[test]
fn no_secret_of_a_log_line_is_sent_logged_or_counted() {
    let model = FakeModel::start();
    let mut server = asking_with(&model, SETTINGS);
    let samples = samples();
    let cases = cases(&samples);
    for_each(&cases, |case| {
        let analyzed = analyze(&server, &case.event);
        assert_eq!(analyzed.text("analysis.engine"), "rules+llm", "{}", case.event);
    });

    let received = model.requests();
    let mut betrayed = BTreeSet::new();
    let mut is_sent = vec![false; cases.len()];
    for record in received.iter().flat_map(|received| &received.records) {
        let id = usize::try_from(record["event_id"].as_u64().unwrap()).unwrap();
        is_sent[id] = true;
        let mut record = record.clone();
        // It is hex digits, made of chance.
        record["id"] = Value::Null;
        let reading = texts(&record).join("\n");
        for secret in &cases[id].sample.secrets {
            if unmarked(&reading).contains(secret.as_str()) {
                betrayed.insert(format!("the provider gets {secret:?} of {}", cases[id].event));
            }
        }
    }
    assert!(is_sent.iter().all(|is_sent| *is_sent), "every case is asked about");

    let traces: BTreeSet<String> = samples.iter().flat_map(traces).collect();
    for reading in received.iter().flat_map(readings) {
        betrayed.extend(found(&traces, &reading).iter().map(|trace| format!("some request holds {trace:?}")));
    }
    let counted = server.get("/metrics").assert_status(200);
    let counted = String::from_utf8(counted.bytes).unwrap();
    betrayed.extend(found(&traces, &counted).iter().map(|trace| format!("/metrics holds {trace:?}")));
    let log = server.end();
    assert!(log.contains("TRACE"), "it was told to tell everything");
    betrayed.extend(found(&traces, &log).iter().map(|trace| format!("the log holds {trace:?}")));
    assert!(betrayed.is_empty(), "{betrayed:#?}");
}

#[test]
fn no_secret_of_a_log_line_is_in_an_answer_to_a_faulty_request() {
    let model = FakeModel::start();
    let mut server = asking_with(&model, SETTINGS);
    let samples = samples();
    let betrayed = Mutex::new(BTreeSet::new());
    for_each(&samples, |sample| {
        let with = |name: &str, value: Value| {
            let mut event = event(&sample.text);
            event[name] = value;
            server.post("/security/analyze/admin", &event)
        };
        let json = [("content-type", "application/json")];
        let raw = sample.text.clone().into_bytes();
        let answers = [
            with("severity_level", json!(sample.text)),
            with("event_id", json!(sample.text)),
            with("timestamp", json!(sample.text)),
            with("metadata", json!(sample.text)),
            with("source", json!("")),
            server.send("POST", "/security/analyze/admin", &json, raw),
            server.patch("/security/user/update/admin", &json!({"new_llm_ask": sample.text})),
        ];
        for answer in answers {
            assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.body);
            let told = texts(&answer.body).join("\n");
            for secret in sample.secrets.iter().filter(|secret| told.contains(secret.as_str())) {
                let request = format!("{secret:?} of {:?}: {}", sample.text, answer.body);
                betrayed.lock().unwrap().insert(request);
            }
        }
    });
    let traces: BTreeSet<String> = samples.iter().flat_map(traces).collect();
    let log = server.end();
    let mut betrayed = betrayed.into_inner().unwrap();
    betrayed.extend(found(&traces, &log).iter().map(|trace| format!("the log holds {trace:?}")));
    assert!(betrayed.is_empty(), "{betrayed:#?}");
    assert_eq!(model.request_count(), 0, "what is refused is not asked about");
}
