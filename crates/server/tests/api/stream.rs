//! New threats as they come: nothing lost, nothing twice, nothing of others.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sentinelflow_fakes::{FakeModel, Mind};
use serde_json::{Value, json};
use ureq::BodyReader;

use crate::harness::{Start, TestServer, benign_entry, reference_entry, until};

const PATH: &str = "/security/stream/admin";

/// One message, comments included.
#[derive(Debug, Default, PartialEq)]
struct Message {
    event: Option<String>,
    id: Option<String>,
    data: Option<Value>,
    comment: Option<String>,
    retry: Option<String>,
}

/// An open stream.
struct Stream {
    lines: BufReader<BodyReader<'static>>,
    /// Where it begins.
    position: String,
}

impl Stream {
    fn open(server: &TestServer) -> Self {
        Self::with(server, PATH, &[])
    }

    fn after(server: &TestServer, last: &str) -> Self {
        Self::with(server, PATH, &[("last-event-id", last)])
    }

    fn with(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Self {
        let (head, body) = server.open(path, headers).into_parts();
        assert_eq!(head.status.as_u16(), 200, "{path}");
        for (name, text) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(head.headers[name], text, "{name}");
        }
        let mut stream = Self { lines: BufReader::new(body.into_reader()), position: String::new() };
        let opening = stream.message().expect("it says at once that it is open");
        assert_eq!((opening.comment.as_deref(), opening.data), (Some("open"), None));
        assert_eq!(opening.retry.as_deref(), Some("3000"));
        stream.position = opening.id.expect("it says where it begins");
        stream
    }

    /// Waits for the next message; `None` at the end.
    fn message(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("the stream ends as it should") == 0 {
                assert_eq!(message, Message::default(), "it ends between messages");
                return None;
            }
            let line = line.strip_suffix('\n').expect("a whole line");
            if line.is_empty() {
                return Some(message);
            }
            let (name, text) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let field = match name {
                "" => &mut message.comment,
                "event" => &mut message.event,
                "id" => &mut message.id,
                "retry" => &mut message.retry,
                "data" => {
                    let data = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
                    assert_eq!(message.data.replace(data), None, "data is one line");
                    continue;
                }
                _ => panic!("{line}"),
            };
            assert_eq!(field.replace(text.to_owned()), None, "{line}");
        }
    }

    /// Waits for the next message that is no heartbeat.
    fn news(&mut self) -> Option<Message> {
        loop {
            let message = self.message()?;
            if message.comment.is_none() {
                return Some(message);
            }
        }
    }

    /// Waits for the next threat and returns the id that its message has.
    fn threat(&mut self) -> String {
        let message = self.news().expect("the stream goes on");
        assert_eq!(message.event.as_deref(), Some("threat"), "{message:?}");
        let id = message.id.expect("it has an id");
        assert_eq!(message.data.expect("it has data")["id"], id);
        id
    }

    fn threats(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.threat()).collect()
    }
}

fn analyze(server: &TestServer, tenant: &str, entry: &Value) -> String {
    server.post(&format!("/security/analyze/{tenant}"), entry).assert_status(200).text("log_id")
}

fn threat(server: &TestServer) -> String {
    analyze(server, "admin", &reference_entry())
}

#[test]
fn a_stream_begins_when_it_is_opened_and_tells_each_threat_as_the_list_does() {
    let server = TestServer::dev();
    let before = threat(&server);
    let mut stream = Stream::open(&server);
    assert_eq!(stream.position, before);
    let sent: Vec<String> = (0..3).map(|_| threat(&server)).collect();
    let answered = Instant::now();
    for id in sent {
        let told = stream.news().unwrap();
        assert_eq!((told.event.as_deref(), told.id.as_ref()), (Some("threat"), Some(&id)));
        let listed = server.get(&format!("/security/logs/admin/{id}")).assert_status(200).body;
        assert_eq!(told.data, Some(listed));
    }
    assert!(answered.elapsed() < Duration::from_secs(10), "only the heartbeat found them");
}

#[test]
fn a_stream_of_a_tenant_without_logs_begins_before_the_first() {
    let server = TestServer::dev();
    let mut first = Stream::open(&server);
    let position = first.position.clone();
    let id = threat(&server);
    assert_eq!(first.threat(), id);
    assert_eq!(Stream::after(&server, &position).threat(), id);
}

#[test]
fn metadata_in_several_lines_stand_in_one() {
    let server = TestServer::dev();
    let mut stream = Stream::open(&server);
    let body = reference_entry().to_string().replace(r#"{"ip""#, "{\r\n  \"ip\"");
    assert!(body.contains("\r\n"), "{body}");
    let headers = [("content-type", "application/json")];
    server.send("POST", "/security/analyze/admin", &headers, body.into_bytes()).assert_status(200);
    assert_eq!(stream.news().unwrap().data.unwrap()["metadata"], reference_entry()["metadata"]);
}

#[test]
fn benign_events_are_never_told() {
    let server = TestServer::dev();
    let mut stream = Stream::open(&server);
    let mut threats = Vec::new();
    for _ in 0..20 {
        analyze(&server, "admin", &benign_entry());
        threats.push(threat(&server));
    }
    assert_eq!(stream.threats(20), threats);
    assert_eq!(Stream::after(&server, &threats[4]).threats(15), threats[5..]);
}

#[test]
fn resolved_threats_are_told_whoever_resolved_them_meanwhile() {
    let server = TestServer::dev();
    let start = Stream::open(&server).position;
    let threats: Vec<String> = (0..4).map(|_| threat(&server)).collect();
    for id in &threats[1..3] {
        server.delete(&format!("/security/issue/{id}")).assert_status(200);
    }
    let mut stream = Stream::after(&server, &start);
    let told: Vec<Value> = (0..4).map(|_| stream.news().unwrap().data.unwrap()).collect();
    assert!(told.iter().map(|log| log["id"].as_str().unwrap()).eq(&threats));
    assert!(told.iter().map(|log| &log["status"]).eq(["active", "resolved", "resolved", "active"]));
}

#[test]
fn another_tenants_threats_never_appear() {
    let server = TestServer::serve();
    let (ana, bob) = (server.sign_up("ana"), server.sign_up("bob"));
    let of = |key: &str| format!("Bearer {key}");
    let send = |name: &str, key: &str| {
        let headers = [("authorization", &*of(key)), ("content-type", "application/json")];
        let body = reference_entry().to_string().into_bytes();
        let path = format!("/security/analyze/{name}");
        server.send("POST", &path, &headers, body).assert_status(200).text("log_id")
    };
    let mut of_ana = Stream::with(&server, "/security/stream/ana", &[("authorization", &of(&ana))]);
    let mut of_bob = Stream::with(&server, "/security/stream/bob", &[("authorization", &of(&bob))]);
    let (mut hers, mut his) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        his.push(send("bob", &bob));
        hers.push(send("ana", &ana));
    }
    assert_eq!((of_ana.threats(20), of_bob.threats(20)), (hers.clone(), his.clone()));
    // Nor by going on from another's log.
    let headers = [("authorization", &*of(&ana)), ("last-event-id", &his[3])];
    assert_eq!(Stream::with(&server, "/security/stream/ana", &headers).threats(17), hers[3..]);

    server.get("/security/stream/ana").assert_problem(401);
    server.get_as(&bob, "/security/stream/ana").assert_problem(403);
    server.get_as(&bob, "/security/stream/nobody").assert_problem(403);
}

#[test]
fn a_rename_does_not_end_the_stream_under_the_old_name() {
    let server = TestServer::dev();
    server.sign_up("before");
    let mut stream = Stream::with(&server, "/security/stream/before", &[]);
    let first = analyze(&server, "before", &reference_entry());
    server.patch("/security/user/update/before", &json!({"new_username": "after"})).assert_status(200);
    let second = analyze(&server, "after", &reference_entry());
    assert_eq!(stream.threats(2), [first, second]);
    server.get("/security/stream/before").assert_problem(404);
}

#[test]
fn where_to_go_on_can_be_told_in_the_query_and_the_header_counts_more() {
    let server = TestServer::dev();
    let threats: Vec<String> = (0..3).map(|_| threat(&server)).collect();
    let in_query = format!("{PATH}?last_event_id={}", threats[0]);
    let mut stream = Stream::with(&server, &in_query, &[]);
    assert_eq!(stream.position, threats[0]);
    assert_eq!(stream.threats(2), threats[1..]);
    let mut again = Stream::with(&server, &in_query, &[("last-event-id", &threats[1])]);
    assert_eq!(again.threats(1), threats[2..]);
    // An id of nobody is a position.
    assert_eq!(Stream::after(&server, &"0".repeat(24)).threats(3), threats);
    let mut ahead = Stream::after(&server, &"f".repeat(24));
    threat(&server);
    server.signal("TERM");
    assert_eq!(ahead.news(), None);
}

#[test]
fn an_id_that_is_none_is_refused() {
    let server = TestServer::dev();
    for id in ["1", "xyz", "65b21f3e9c1d4a0007f3a1b", "65b21f3e9c1d4a0007f3a1bg"] {
        server.send("GET", PATH, &[("last-event-id", id)], Vec::new()).assert_problem(400);
        let faulty = server.get(&format!("{PATH}?last_event_id={id}")).assert_problem(422);
        assert_eq!(faulty.faults(), ["?last_event_id"]);
    }
    assert_eq!(server.get(&format!("{PATH}?colour=red")).assert_problem(422).faults(), ["?colour"]);
    server.get("/security/stream/nobody").assert_problem(404);
    server.post(PATH, &json!({})).assert_problem(405);
}

/// A threat that one of eight writers sent.
struct Written {
    id: String,
    /// How many streams were open before it was sent.
    opened: usize,
}

/// Writes threats and benign events from eight sides meanwhile, which counts the streams that it opens. Returns the
/// threats in order.
fn write_meanwhile(server: &TestServer, meanwhile: impl FnOnce(&AtomicUsize)) -> Vec<Written> {
    let (opened, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let written = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let opened = opened.load(Ordering::SeqCst);
                    let id = threat(server);
                    written.lock().unwrap().push(Written { id, opened });
                    analyze(server, "admin", &benign_entry());
                }
            });
        }
        meanwhile(&opened);
        is_over.store(true, Ordering::SeqCst);
    });
    let mut written = written.into_inner().unwrap();
    written.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    written
}

#[test]
fn whoever_comes_back_misses_nothing_and_gets_nothing_twice_while_eight_write() {
    let server = TestServer::dev();
    let mut position = Stream::open(&server).position;
    let mut told: Vec<String> = Vec::new();
    let written = write_meanwhile(&server, |_| {
        for round in 0..20 {
            let mut stream = Stream::after(&server, &position);
            told.extend(stream.threats(1 + round));
            position.clone_from(told.last().unwrap());
        }
    });
    let rest = written.len() - told.len();
    told.extend(Stream::after(&server, &position).threats(rest));
    assert!(told.iter().eq(written.iter().map(|written| &written.id)));
}

#[test]
fn whatever_is_sent_once_a_stream_is_open_is_told_once_while_eight_write() {
    let server = TestServer::dev();
    let mut streams = Vec::new();
    let written = write_meanwhile(&server, |opened| {
        for count in 1..=12 {
            let stream = Stream::open(&server);
            opened.store(count, Ordering::SeqCst);
            threat(&server);
            streams.push(stream);
        }
    });
    for (place, mut stream) in streams.into_iter().enumerate() {
        let is_owed = |written: &&Written| written.opened > place;
        let mut owed: BTreeSet<&str> =
            written.iter().filter(is_owed).map(|written| written.id.as_str()).collect();
        let (mut told, mut last) = (BTreeSet::new(), stream.position.clone());
        while !owed.is_empty() {
            let Message { id, data, .. } = stream.news().unwrap();
            let log = data.unwrap()["id"].as_str().unwrap().to_owned();
            match id {
                Some(id) => assert!(std::mem::replace(&mut last, id) < log),
                None => assert!(log <= stream.position, "it was answered only when the stream was open"),
            }
            owed.remove(&*log);
            assert!(told.insert(log), "nothing is told twice");
        }
    }
}

#[test]
fn a_reader_that_does_not_read_for_a_while_gets_everything() {
    const COUNT: usize = 300;
    let server = TestServer::dev();
    let mut stream = Stream::open(&server);
    // Far more than what the system holds for a connection.
    let mut large = reference_entry();
    large["message"] = json!(format!("SQL Injection pattern detected in header {}", "x".repeat(64_000)));
    let sent: Vec<String> = (0..COUNT).map(|_| analyze(&server, "admin", &large)).collect();
    assert_eq!(stream.threats(COUNT), sent);
    let last = threat(&server);
    assert_eq!(stream.threat(), last);
}

#[test]
fn a_tenant_has_at_most_sixteen_streams_and_whoever_goes_makes_room() {
    let server = TestServer::dev();
    server.sign_up("other");
    let mut streams: Vec<Stream> = (0..16).map(|_| Stream::open(&server)).collect();
    let refused = server.get(PATH).assert_problem(429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.text("type"), "urn:sentinelflow:problem:too_many_streams");
    Stream::with(&server, "/security/stream/other", &[]);
    let id = threat(&server);
    assert!(streams.iter_mut().all(|stream| stream.threat() == id));
    let count = |server: &TestServer| {
        let metrics = server.get("/metrics").assert_status(200);
        let text = String::from_utf8(metrics.bytes).unwrap();
        text.lines().find_map(|line| line.strip_prefix("sentinelflow_open_streams ")).unwrap().to_owned()
    };
    drop(streams.pop());
    until(|| count(&server), |count| count == "15");
    streams.push(Stream::open(&server));
    server.get(PATH).assert_problem(429);
}

#[test]
fn told_to_stop_the_server_ends_the_streams_at_once() {
    let mut server = TestServer::dev();
    let mut streams: Vec<Stream> = (0..8).map(|_| Stream::open(&server)).collect();
    let id = threat(&server);
    assert!(streams.iter_mut().all(|stream| stream.threat() == id));
    let told = Instant::now();
    server.signal("TERM");
    for stream in &mut streams {
        assert_eq!(stream.message(), None);
    }
    assert_eq!(server.wait(), Some(0));
    // Far below the time that requests under way have to end.
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    server.kill_and_restart();
    let next = threat(&server);
    assert_eq!(Stream::after(&server, &id).threat(), next, "it goes on after a restart");
}

#[test]
fn a_quiet_stream_says_that_it_is_still_there() {
    let server = TestServer::dev();
    let mut stream = Stream::open(&server);
    let heartbeat = Message { comment: Some(String::new()), ..Message::default() };
    assert_eq!(stream.message(), Some(heartbeat));
}

/// Starts `dev` with a model whose opinion on a benign event is that it is grave, and comes late.
fn late_model() -> (FakeModel, TestServer) {
    let model = FakeModel::start_with(Mind::says("high", 90));
    model.delay(Duration::from_millis(1_200));
    let environment = vec![
        ("GEMINI_API_KEY", "a-key-that-nobody-may-see".to_owned()),
        ("SENTINELFLOW_LLM__BASE_URL", model.url()),
    ];
    let settings = "llm.timeout_ms = 100".to_owned();
    (model, TestServer::started(Start { mode: "dev", settings, environment, ..Start::default() }))
}

#[test]
fn a_log_that_a_late_opinion_raises_is_told_once() {
    let (_model, server) = late_model();
    let mut stream = Stream::open(&server);
    let raised = analyze(&server, "admin", &benign_entry());
    let newer = threat(&server);
    assert_eq!(stream.threat(), newer);
    let late = stream.news().unwrap();
    let data = late.data.unwrap();
    assert_eq!((late.event.as_deref(), late.id), (Some("threat"), None), "it is no place to go on from");
    assert_eq!((&data["id"], &data["analysis"]["score"]), (&json!(raised), &json!(87)));
    // Its opinion on the threat itself makes nothing new of it, and nothing comes twice.
    let logged = || server.get(&format!("/security/logs/admin/{newer}")).assert_status(200).body;
    until(logged, |log| log["analysis"]["opinion"].is_object());
    let last = threat(&server);
    assert_eq!(stream.threat(), last);
    // Who comes later finds it in its place.
    assert_eq!(Stream::after(&server, &"0".repeat(24)).threats(3), [raised, newer, last]);
}

#[test]
fn a_log_that_is_raised_before_anything_newer_is_told_stands_in_its_order() {
    let (_model, server) = late_model();
    let mut stream = Stream::open(&server);
    let raised = analyze(&server, "admin", &benign_entry());
    let first = stream.news().unwrap();
    assert_eq!(first.data.unwrap()["id"], raised);
    // Where several servers write, what is raised is no place to go on from.
    assert!(first.id.is_none_or(|id| id == raised));
    let next = threat(&server);
    assert_eq!(stream.threat(), next);
}
