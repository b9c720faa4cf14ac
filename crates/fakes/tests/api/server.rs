//! What the fake does apart from the shapes: recording, connections, queues, pace, stopping.

use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use sentinelflow_fakes::{Answer, FakeModel, Mind};
use serde_json::json;

use crate::caller::{
    KEY, MODEL, agent, ask_gemini, gemini_body, gemini_request, impatient_agent, openai_body, openai_request,
    record, send,
};

#[test]
fn requests_are_recorded_without_their_credentials() {
    let model = FakeModel::start();
    let records = [record("a1", "so it goes")];
    send(&agent(), gemini_request(&model, MODEL, &gemini_body(&records))).unwrap();
    send(&agent(), openai_request(&model, &openai_body(&records))).unwrap();

    let [gemini, openai] = model.requests().try_into().unwrap();
    assert_eq!(gemini.method, "POST");
    assert_eq!(gemini.path, format!("/v1beta/models/{MODEL}:generateContent"));
    assert_eq!(gemini.credential.as_deref(), Some(KEY));
    assert_eq!(gemini.header("x-goog-api-key"), Some("<40 bytes>"));
    assert_eq!(gemini.json(), gemini_body(&records));
    assert_eq!(gemini.records, records);
    assert!(!format!("{:?}", gemini.headers).contains(KEY));

    assert_eq!(openai.path, "/v1/chat/completions");
    assert_eq!(openai.credential.as_deref(), Some(KEY));
    assert_eq!(openai.header("authorization"), Some("Bearer <40 bytes>"));
    assert_eq!(openai.records, records);
}

#[test]
fn refused_requests_are_recorded_and_take_no_answer() {
    let model = FakeModel::start();
    model.script([Answer::Unpaid]);
    let refused = send(&agent(), gemini_request(&model, MODEL, &json!({}))).unwrap();
    assert_eq!((refused.status, model.request_count()), (400, 1));
    assert_eq!(ask_gemini(&model, &[]).status, 402);
    assert_eq!(ask_gemini(&model, &[]).status, 200);
}

#[test]
fn connections_are_counted() {
    let model = FakeModel::start();
    let request = || gemini_request(&model, MODEL, &gemini_body(&[]));
    let patient = agent();
    for _ in 0..3 {
        send(&patient, request()).unwrap();
    }
    assert_eq!((model.request_count(), model.connections()), (3, 1));
    send(&agent(), request()).unwrap();
    assert_eq!((model.request_count(), model.connections()), (4, 2));

    model.forget();
    assert_eq!((model.request_count(), model.connections()), (0, 0));
    send(&patient, request()).unwrap();
    assert_eq!((model.request_count(), model.connections()), (1, 1));

    model.record_nothing();
    send(&patient, request()).unwrap();
    assert_eq!((model.request_count(), model.connections()), (0, 0));
}

#[test]
fn luck_brings_faults() {
    let model = FakeModel::start();
    let agent = agent();
    let statuses = || -> Vec<u16> {
        let request = || gemini_request(&model, MODEL, &gemini_body(&[]));
        (0..100).map(|_| send(&agent, request()).unwrap().status).collect()
    };
    model.at_random(3, 0.3, vec![Answer::Internal, Answer::Overloaded]);
    let first = statuses();
    let faults = first.iter().filter(|status| **status != 200).count();
    assert!((15..45).contains(&faults), "{first:?}");
    model.at_random(3, 0.3, vec![Answer::Internal, Answer::Overloaded]);
    assert_eq!(statuses(), first);
}

#[test]
fn an_answer_takes_its_time() {
    let model = FakeModel::start();
    let patience = Duration::from_millis(20);
    model.delay(patience);
    let start = Instant::now();
    assert_eq!(ask_gemini(&model, &[]).status, 200);
    assert!(start.elapsed() >= patience);

    model.delay(Duration::ZERO);
    model.script([Answer::Hang(patience)]);
    let start = Instant::now();
    assert_eq!(ask_gemini(&model, &[]).status, 200);
    assert!(start.elapsed() >= patience);
}

#[test]
fn impatience_is_punished() {
    let model = FakeModel::start();
    let unbearable = [Answer::Hang(Duration::from_mins(10)), Answer::SlowDrip { bytes_per_second: 20 }];
    for answer in unbearable {
        model.script([answer]);
        let outcome = send(&impatient_agent(), gemini_request(&model, MODEL, &gemini_body(&[])));
        assert!(matches!(outcome, Err(ureq::Error::Timeout(_))));
    }
    model.script([Answer::SlowDrip { bytes_per_second: 100_000 }]);
    assert_eq!(ask_gemini(&model, &[record("a1", "x")]).of_verdicts("id"), ["a1"]);
}

#[test]
fn a_connection_can_break_within_the_body() {
    let model = FakeModel::start();
    model.script([Answer::DropMidBody]);
    let request = || gemini_request(&model, MODEL, &gemini_body(&[]));
    let response = agent().run(request()).unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().read_to_string().is_err());
    assert_eq!(send(&agent(), request()).unwrap().status, 200);
}

#[test]
fn a_body_can_be_huge() {
    let model = FakeModel::start();
    for bytes in [1000, 5_000_000] {
        model.script([Answer::Huge { bytes }, Answer::Huge { bytes }]);
        let reply = ask_gemini(&model, &[]);
        assert_eq!((reply.status, reply.text.len()), (200, bytes));
        assert_eq!(reply.body["candidates"][0]["finishReason"], "STOP");
        assert!(reply.gemini_text().len() > bytes - 1000);

        let reply = send(&agent(), openai_request(&model, &openai_body(&[]))).unwrap();
        assert_eq!((reply.status, reply.text.len()), (200, bytes));
        assert_eq!(reply.body["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn a_stopped_model_refuses_connections_and_breaks_those_it_has() {
    let model = FakeModel::start();
    model.script([Answer::Hang(Duration::from_mins(10))]);
    let address = model.url().replace("http://", "");
    let request = gemini_request(&model, MODEL, &gemini_body(&[]));
    let waiting = thread::spawn(move || send(&agent(), request).is_err());
    while model.request_count() == 0 {
        thread::yield_now();
    }
    model.stop();
    assert!(waiting.join().unwrap());
    assert!(TcpStream::connect(&address).is_err());
    model.stop();

    let successor = FakeModel::start_on(address.parse().unwrap(), Mind::honest()).unwrap();
    assert_eq!(ask_gemini(&successor, &[]).status, 200);
    drop(successor);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn many_connections_are_served_at_once() {
    let model = FakeModel::start();
    let records: Vec<_> = (0..10).map(|id| record(&id.to_string(), "Failed password")).collect();
    let body = gemini_body(&records);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let agent = agent();
                for _ in 0..5 {
                    assert_eq!(send(&agent, gemini_request(&model, MODEL, &body)).unwrap().status, 200);
                }
            });
        }
    });
    assert_eq!((model.request_count(), model.connections()), (320, 64));
}
