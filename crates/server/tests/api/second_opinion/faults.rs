//! Whatever the provider does, every event is answered for in time and stored.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use sentinelflow_fakes::{Answer, FakeModel, Mind};

use super::{analyze, asking, fresh_event, log};
use crate::harness::{TestServer, until};

/// The deadline of 2.5 seconds and a little.
const IN_TIME: Duration = Duration::from_millis(2_600);
/// As long where it is waited for to its end, on a machine that is busy with other tests.
const AT_THE_DEADLINE: Duration = Duration::from_millis(3_500);

/// Has an event analysed and returns why its analysis stands without an opinion.
fn degraded(server: &TestServer) -> Option<String> {
    let started = Instant::now();
    let analyzed = analyze(server, &fresh_event());
    let took = started.elapsed();
    let is_late = analyzed.body["analysis"]["degraded"] == "model_timeout";
    assert!(took < if is_late { AT_THE_DEADLINE } else { IN_TIME }, "{took:?}");
    let stored = log(server, &analyzed.text("log_id"));
    let reason = analyzed.body["analysis"]["degraded"].as_str().map(str::to_owned);
    // What comes late may be there by now.
    if !is_late {
        assert_eq!(stored.body["analysis"], analyzed.body["analysis"]);
    }
    reason
}

#[test]
fn a_fault_that_may_pass_costs_one_event_its_opinion() {
    let model = FakeModel::start();
    let server = asking(&model);
    let later = Answer::RateLimited { retry_delay: None, retry_after: None };
    for (fault, expected, calls) in [
        (Answer::TextNotJson, "model_answer_invalid", 1),
        (Answer::WrongSchema, "model_answer_invalid", 1),
        (Answer::MissingIds, "model_answer_invalid", 1),
        (Answer::ExtraIds, "model_answer_invalid", 1),
        (Answer::DuplicateIds, "model_answer_invalid", 1),
        (Answer::OutOfRange, "model_answer_invalid", 1),
        (Answer::EmptyCandidates, "model_answer_invalid", 1),
        (Answer::Huge { bytes: 10_000_000 }, "model_answer_invalid", 1),
        (Answer::MaxTokens, "model_truncated", 1),
        (Answer::PromptBlocked, "model_blocked", 1),
        (Answer::AnswerBlocked, "model_blocked", 1),
        (Answer::BadRequest, "model_refused", 1),
        (later, "model_rate_limited", 3),
        (Answer::Internal, "model_unavailable", 3),
        (Answer::Overloaded, "model_unavailable", 3),
        (Answer::DeadlineExceeded, "model_unavailable", 3),
        (Answer::HtmlBadGateway, "model_unavailable", 3),
        (Answer::DropMidBody, "model_unavailable", 3),
        (Answer::Hang(Duration::from_secs(10)), "model_timeout", 1),
    ] {
        model.forget();
        model.script(vec![fault.clone(); calls]);
        assert_eq!(degraded(&server).as_deref(), Some(expected), "{fault:?}");
        assert_eq!(model.request_count(), calls, "{fault:?}");
        assert_eq!(degraded(&server), None, "after {fault:?}");
    }
}

#[test]
fn what_a_person_must_put_right_is_told_and_not_tried_again_and_again() {
    let model = FakeModel::start();
    let mut server = asking(&model);
    for (fault, expected) in [
        (Answer::BadKey, "model_unauthorized"),
        (Answer::Unauthenticated, "model_unauthorized"),
        (Answer::Forbidden, "model_unauthorized"),
        (Answer::Unpaid, "model_unpaid"),
        (Answer::DailyQuota, "model_quota"),
        (Answer::NoSuchModel, "model_not_found"),
        (Answer::ModelRetired, "model_not_found"),
        (Answer::RateLimited { retry_delay: Some("47s"), retry_after: None }, "model_rate_limited"),
        (Answer::RateLimited { retry_delay: None, retry_after: Some("30") }, "model_rate_limited"),
    ] {
        model.forget();
        model.script([fault.clone()]);
        for _ in 0..3 {
            assert_eq!(degraded(&server).as_deref(), Some(expected), "{fault:?}");
        }
        assert_eq!(model.request_count(), 1, "{fault:?}");
        server.kill_and_restart();
        assert_eq!(degraded(&server), None, "after {fault:?}");
    }
}

#[test]
fn a_provider_that_is_gone_costs_no_event_and_is_found_when_it_comes_back() {
    let model = FakeModel::start();
    let address: SocketAddr = model.url().trim_start_matches("http://").parse().unwrap();
    let server = asking(&model);
    assert_eq!(degraded(&server), None);
    model.stop();
    for _ in 0..12 {
        assert_eq!(degraded(&server).as_deref(), Some("model_unavailable"));
    }
    let again = FakeModel::start_on(address, Mind::honest()).unwrap();
    until(|| degraded(&server), Option::is_none);
    assert!(again.request_count() >= 1);
}

#[test]
fn a_provider_that_hangs_keeps_nobody_longer_than_the_deadline() {
    let model = FakeModel::start();
    model.delay(Duration::from_mins(1));
    let mut server = asking(&model);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(degraded(&server).as_deref(), Some("model_timeout")));
        }
    });
    let started = Instant::now();
    server.end();
    assert!(started.elapsed() < AT_THE_DEADLINE, "the end waits for no model: {:?}", started.elapsed());
}

#[test]
fn what_a_provider_calls_its_model_is_bounded_and_writes_no_line_of_the_log() {
    let model = FakeModel::start();
    let mut server = asking(&model);
    let name = format!("gemini-\u{1b}[2J\nFORGED {}", "x".repeat(100_000));
    model.script([Answer::Rerouted { model: name.leak() }]);
    let analyzed = analyze(&server, &fresh_event());
    let told = analyzed.body["analysis"]["model"].as_str().unwrap_or_default();
    assert!(told.len() <= 256, "{} bytes are kept with each event", told.len());
    assert!(!told.contains(char::is_control), "{told:?}");
    let log = server.end();
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log:.2000}");
}
