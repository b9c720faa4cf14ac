//! What an opinion does to an analysis, where it stands, and that it may come late.

use std::{
    io::Write as _,
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use sentinelflow_fakes::{Answer, FakeModel, Mind};
use serde_json::{Value, json};

use super::{
    analyze, asking, asking_with, environment, event, failed_login, feed, fresh_event, log, opinion_on, stats,
};
use crate::harness::{Start, TestServer, benign_entry, reference_entry, until};

const MODELS_WORDS: &str = "Language model, not verified by a rule: ";

#[test]
fn an_opinion_stands_in_the_answer_and_in_the_log() {
    let model = FakeModel::start();
    let server = asking(&model);
    let analyzed = analyze(&server, &failed_login());
    let analysis = &analyzed.body["analysis"];
    assert_eq!(analyzed.text("analysis.engine"), "rules+llm");
    assert_eq!(analyzed.text("analysis.model"), "gemini-3.5-flash-lite");
    assert_eq!(analysis["degraded"], Value::Null);
    // Three quarters of the way from 40 to 69: "medium", of which the model is sure to 75 %.
    let opinion = json!({
        "score": 61, "severity": "MEDIUM", "summary": "A login was refused.", "prevention_measures": null,
        "technique": "T1110", "contested": false, "remembered": false,
    });
    assert_eq!(analysis["opinion"], opinion);
    assert_eq!(log(&server, &analyzed.text("log_id")).body["analysis"], *analysis);
    assert_eq!(feed(&server)[0]["analysis"], *analysis);
}

#[test]
fn every_byte_that_was_sent_can_be_read_with_the_answer_and_its_cost() {
    let model = FakeModel::start();
    let server = asking(&model);
    let analyzed = analyze(&server, &failed_login());
    let told = opinion_on(&server, &analyzed.text("log_id"));
    assert_eq!(told["log_id"], analyzed.body["log_id"]);
    assert_eq!(told["opinion"], analyzed.body["analysis"]["opinion"]);
    assert_eq!(told["degraded"], Value::Null);

    let received = model.requests();
    assert_eq!(received.len(), 1);
    let exchange = &told["exchange"];
    assert_eq!(exchange["sent"].as_str().unwrap().as_bytes(), received[0].body);
    assert_eq!(exchange["record"], received[0].records[0]["id"]);
    assert_eq!(exchange["url"], format!("{}{}", model.url(), received[0].path));
    assert_eq!(exchange["model"], "gemini-3.5-flash-lite");
    assert_eq!(exchange["failure"], Value::Null);
    assert_eq!(exchange["id"].as_str().unwrap().len(), 32);
    let answer: Value = serde_json::from_str(exchange["answer"].as_str().unwrap()).unwrap();
    assert_eq!(answer["verdicts"][0]["id"], exchange["record"]);
    // The list prices of the model are 0.30 and 2.50 dollars for a million tokens.
    let (tokens, cost) = (exchange["tokens"].as_f64().unwrap(), exchange["cost_usd"].as_f64().unwrap());
    assert!(tokens > 100.0 && cost > tokens * 0.3e-6 && cost < tokens * 2.5e-6, "{tokens} {cost}");
}

#[test]
fn an_answer_that_is_remembered_leads_to_the_request_that_it_came_from() {
    let model = FakeModel::start();
    let mut server = asking(&model);
    let ask = |server: &TestServer, event: &Value| {
        let analyzed = analyze(server, event);
        assert_eq!(analyzed.text("analysis.engine"), "rules+llm");
        opinion_on(server, &analyzed.text("log_id"))
    };
    let first = ask(&server, &event("job 17 took 230 ms"));
    let second = ask(&server, &event("job 18 took 190 ms"));
    server.kill_and_restart();
    let third = ask(&server, &event("job 19 took 450 ms"));
    assert_eq!(model.request_count(), 1);
    for later in [second, third] {
        assert_eq!(later["opinion"]["remembered"], true);
        assert_eq!(later["exchange"], first["exchange"]);
    }
}

#[test]
fn in_a_models_words_each_event_finds_its_own_values_and_no_secret() {
    let quoting = |records: &[Value]| {
        let quote = |record: &Value| {
            json!({"id": record["id"], "severity": "high", "confidence": 90, "technique": "none",
                "reason": record["message"], "action": record["message"]})
        };
        records.iter().map(quote).collect()
    };
    let model = FakeModel::start_with(Mind::custom(Arc::new(quoting)));
    let server = asking(&model);
    for (name, address, password) in
        [("ana", "198.51.100.7", "correct-horse"), ("bob", "203.0.113.80", "battery-staple")]
    {
        let analyzed = analyze(&server, &event(&format!("user={name} from {address} password={password}")));
        let logged = log(&server, &analyzed.text("log_id"));
        for member in ["analysis.opinion.summary", "analysis.opinion.prevention_measures"] {
            let words = analyzed.text(member);
            assert!(words.contains(name) && words.contains(address) && !words.contains(password), "{words}");
            assert_eq!(logged.text(member), words);
        }
    }
    assert_eq!(model.request_count(), 1, "it is the same question");
}

#[test]
fn what_was_not_sent_has_no_exchange_and_what_was_in_vain_has_one() {
    let server = TestServer::dev();
    let id = analyze(&server, &benign_entry()).text("log_id");
    let expected = json!({"log_id": id, "opinion": null, "degraded": "model_off", "exchange": null});
    assert_eq!(opinion_on(&server, &id), expected);

    let model = FakeModel::start();
    let server = asking(&model);
    model.script([Answer::PromptBlocked]);
    let analyzed = analyze(&server, &fresh_event());
    let told = opinion_on(&server, &analyzed.text("log_id"));
    assert_eq!((&told["opinion"], &told["degraded"]), (&Value::Null, &json!("model_blocked")));
    assert_eq!(told["exchange"]["sent"].as_str().unwrap().as_bytes(), model.requests()[0].body);
    assert_eq!(
        (&told["exchange"]["answer"], &told["exchange"]["failure"]),
        (&Value::Null, &json!("model_blocked"))
    );
}

#[test]
fn an_opinion_on_another_tenants_log_or_on_none_is_not_there() {
    let model = FakeModel::start();
    let server =
        TestServer::started(Start { mode: "serve", environment: environment(&model), ..Start::default() });
    let (ana, bob) = (server.sign_up("ana"), server.sign_up("bob"));
    let headers = [("authorization", &*format!("Bearer {ana}")), ("content-type", "application/json")];
    let body = failed_login().to_string().into_bytes();
    let analyzed = server.send("POST", "/security/analyze/ana", &headers, body).assert_status(200);
    let id = analyzed.text("log_id");
    let opinion = |name: &str, id: &str| format!("/security/logs/{name}/{id}/opinion");

    let own = server.get_as(&ana, &opinion("ana", &id)).assert_status(200);
    assert!(own.body["exchange"]["sent"].is_string());
    server.get_as(&bob, &opinion("bob", &id)).assert_problem(404);
    server.get_as(&bob, &opinion("ana", &id)).assert_problem(403);
    server.get(&opinion("ana", &id)).assert_problem(401);
    for unknown in [&*"0".repeat(24), "1", "%00"] {
        server.get_as(&ana, &opinion("ana", unknown)).assert_problem(404);
    }
}

#[test]
fn a_model_can_make_a_threat_of_what_no_rule_found() {
    let model = FakeModel::start_with(Mind::says("high", 90));
    let server = asking(&model);
    let analyzed = analyze(&server, &benign_entry());
    // Nine tenths of the way from 70 to 89.
    assert_eq!(analyzed.body["analysis"]["score"], 87);
    assert_eq!(analyzed.text("analysis.severity"), "HIGH");
    assert_eq!(analyzed.text("analysis.category"), "other");
    assert_eq!(analyzed.text("analysis.summary"), format!("{MODELS_WORDS}The same is said of every record."));
    assert_eq!(analyzed.body["analysis"]["detections"], json!([]));
    let threats = feed(&server);
    assert_eq!((threats.len(), &threats[0]["id"]), (1, &analyzed.body["log_id"]));
    assert_eq!(stats(&server), (1, 87));
}

#[test]
fn a_model_alone_makes_nothing_critical_and_with_a_grave_rule_it_does() {
    let model = FakeModel::start_with(Mind::says("critical", 100));
    let server = asking(&model);
    for (event, score, severity) in
        [(benign_entry(), 89, "HIGH"), (failed_login(), 89, "HIGH"), (reference_entry(), 100, "CRITICAL")]
    {
        let analyzed = analyze(&server, &event);
        assert_eq!(analyzed.body["analysis"]["score"], score, "{event}");
        assert_eq!(analyzed.text("analysis.severity"), severity, "{event}");
        assert_eq!(analyzed.body["analysis"]["opinion"]["score"], 100, "its own grading stays a fact");
        let is_marked = analyzed.text("analysis.summary").starts_with(MODELS_WORDS);
        assert_eq!(is_marked, event == benign_entry(), "the rules' words stay: {}", analyzed.body);
    }
}

#[test]
fn a_model_that_lulls_changes_nothing_and_is_shown_as_contested() {
    let by_rules = analyze(&TestServer::dev(), &reference_entry()).body["analysis"].clone();
    let model = FakeModel::start_with(Mind::always_benign());
    let server = asking(&model);
    let with_model = analyze(&server, &reference_entry()).body["analysis"].clone();
    for member in
        ["score", "severity", "category", "summary", "prevention_measures", "techniques", "detections"]
    {
        assert_eq!(with_model[member], by_rules[member], "{member}");
    }
    assert_eq!(with_model["opinion"]["contested"], true);
    assert_eq!(with_model["opinion"]["severity"], "NONE");
    assert_eq!(feed(&server)[0]["analysis"], with_model);

    let benign = analyze(&server, &benign_entry());
    assert_eq!(benign.body["analysis"]["opinion"]["contested"], false, "no rule says otherwise");
}

/// Longer than `LATE` lets an event wait, and not so long that nobody would.
const DELAY: Duration = Duration::from_millis(1_200);
const LATE: &str = "llm.timeout_ms = 100";

#[test]
fn an_opinion_that_comes_late_is_added_to_the_log_the_feed_and_the_statistics() {
    let model = FakeModel::start_with(Mind::says("high", 90));
    model.delay(DELAY);
    let server = asking_with(&model, LATE);
    let started = Instant::now();
    let analyzed = analyze(&server, &benign_entry());
    assert!(started.elapsed() < DELAY, "{:?}", started.elapsed());
    assert_eq!(analyzed.text("analysis.engine"), "rules");
    assert_eq!(analyzed.text("analysis.degraded"), "model_timeout");
    assert_eq!((analyzed.text("analysis.severity"), feed(&server).len()), ("NONE".to_owned(), 0));

    let id = analyzed.text("log_id");
    let late = until(|| log(&server, &id), |log| log.body["analysis"]["opinion"].is_object());
    assert_eq!(late.body["analysis"]["degraded"], Value::Null);
    assert_eq!(late.text("analysis.engine"), "rules+llm");
    assert_eq!(late.body["analysis"]["score"], 87);
    assert!(late.text("analysis.summary").starts_with(MODELS_WORDS), "{}", late.body);
    assert_eq!(feed(&server), [late.body]);
    assert_eq!(stats(&server), (1, 87));
    let told = opinion_on(&server, &id);
    assert_eq!(told["exchange"]["sent"].as_str().unwrap().as_bytes(), model.requests()[0].body);
}

#[test]
fn a_server_that_is_told_to_stop_waits_a_while_for_late_opinions() {
    let model = FakeModel::start_with(Mind::says("high", 90));
    model.delay(DELAY);
    let mut server = asking_with(&model, LATE);
    let analyzed = analyze(&server, &benign_entry());
    assert_eq!(analyzed.text("analysis.degraded"), "model_timeout");
    server.end();
    server.kill_and_restart();
    let kept = log(&server, &analyzed.text("log_id"));
    assert_eq!(
        (kept.body["analysis"]["score"].as_u64(), kept.text("analysis.engine")),
        (Some(87), "rules+llm".to_owned())
    );
}

#[test]
fn a_caller_that_hangs_up_while_the_model_thinks_has_sent_its_event_all_the_same() {
    let model = FakeModel::start();
    model.delay(DELAY);
    let server = asking(&model);
    let body = benign_entry().to_string();
    let head = format!(
        "POST /security/analyze/admin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut caller = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
    until(|| model.request_count(), |count| *count == 1);
    drop(caller);
    let logs = until(|| server.get("/security/logs/admin?status=all"), |logs| logs.body[0].is_object());
    assert_eq!(logs.body[0]["message"], benign_entry()["message"]);
}

#[test]
fn a_threat_that_was_resolved_meanwhile_stays_resolved() {
    let model = FakeModel::start_with(Mind::says("critical", 100));
    model.delay(DELAY);
    let server = asking_with(&model, LATE);
    let id = analyze(&server, &reference_entry()).text("log_id");
    let resolved = server.delete(&format!("/security/issue/{id}")).assert_status(200);
    let late = until(|| log(&server, &id), |log| log.body["analysis"]["opinion"].is_object());
    assert_eq!(late.body["analysis"]["score"], 100);
    assert_eq!(late.body["status"], "resolved");
    assert_eq!(late.body["resolved_at"], resolved.body["resolved_at"]);
    assert_eq!(feed(&server), [Value::Null; 0]);
    assert_eq!(stats(&server), (1, 100));
}

#[test]
fn a_retry_under_the_same_key_gets_the_first_answer_and_asks_nothing() {
    let model = FakeModel::start();
    let server = asking(&model);
    let send = |key: &str, event: &Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        server.send("POST", "/security/analyze/admin", &headers, event.to_string().into_bytes())
    };
    let first = send("given", &failed_login()).assert_status(200);
    assert_eq!(first.text("analysis.engine"), "rules+llm");
    let second = send("given", &failed_login()).assert_status(200);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.body, first.body);
    assert_eq!(model.request_count(), 1);
    assert_eq!(feed(&server).len(), 1);
}

#[test]
fn a_retry_of_what_was_asked_in_vain_asks_nothing() {
    let model = FakeModel::start();
    let server = asking(&model);
    let send = |event: &Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "in-vain")];
        server.send("POST", "/security/analyze/admin", &headers, event.to_string().into_bytes())
    };
    model.script([Answer::TextNotJson]);
    let event = fresh_event();
    let first = send(&event).assert_status(200);
    assert_eq!(first.text("analysis.degraded"), "model_answer_invalid");
    assert_eq!(send(&event).assert_status(200).body, first.body);
    assert_eq!(model.request_count(), 1, "it was stored, so its answer is known");
    send(&fresh_event()).assert_problem(409);
    assert_eq!(model.request_count(), 1, "what is refused is nobody's business");
}
