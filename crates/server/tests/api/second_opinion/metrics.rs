//! What is counted, in the text format of Prometheus, for those who may see it.

use std::collections::BTreeMap;

use sentinelflow_fakes::{Answer, FakeModel};
use serde_json::Value;

use super::{analyze, asking, environment, fresh_event, opinion_on};
use crate::{
    harness::{Start, TestServer},
    operator::{TOKEN, with_operator},
};

/// Returns every sample by its name and labels, as they are written; whatever is no metric in text form is refused.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(described) = line.strip_prefix("# HELP ") {
            let (name, help) = described.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && !help.is_empty(), "{line}");
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && ["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert_eq!(kinds.insert(name, kind), None, "one family stands together: {line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
            assert!(is_name(bare) && labels.ends_with('}'), "{line}");
            let pairs = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
            for (label, text) in pairs.map(|pair| pair.split_once('=').unwrap_or_else(|| panic!("{line}"))) {
                assert!(
                    is_name(label) && text.len() >= 2 && text.starts_with('"') && text.ends_with('"'),
                    "{line}"
                );
            }
            let family = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| bare.strip_suffix(end));
            let is_typed =
                kinds.contains_key(bare) || family.is_some_and(|family| kinds.contains_key(family));
            assert!(is_typed, "its type comes first: {line}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(samples.insert(name.to_owned(), value), None, "once each: {line}");
        }
    }
    samples
}

fn is_name(text: &str) -> bool {
    let is_inner = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':');
    text.starts_with(|char: char| is_inner(char) && !char.is_ascii_digit()) && text.chars().all(is_inner)
}

/// Returns what is counted; what was never counted is 0.
fn counted(server: &TestServer) -> impl Fn(&str) -> f64 {
    let answer = server.get("/metrics").assert_status(200);
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    let samples = samples(std::str::from_utf8(&answer.bytes).unwrap());
    move |name| samples.get(name).copied().unwrap_or_default()
}

#[test]
fn opinions_reasons_calls_and_tokens_are_counted() {
    let model = FakeModel::start();
    let server = asking(&model);
    let known = fresh_event();
    let mut tokens = 0.0;
    let mut analyze_and_add = |event: &Value| {
        let told = opinion_on(&server, &analyze(&server, event).text("log_id"));
        if told["opinion"]["remembered"] != true {
            tokens += told["exchange"]["tokens"].as_f64().unwrap();
        }
    };
    for event in [&known, &known, &known, &fresh_event()] {
        analyze_and_add(event);
    }
    model.script([Answer::PromptBlocked, Answer::TextNotJson]);
    analyze_and_add(&fresh_event());
    analyze_and_add(&fresh_event());
    model.script(vec![Answer::Overloaded; 3]);
    analyze_and_add(&fresh_event());

    let counted = counted(&server);
    for (name, expected) in [
        (r#"sentinelflow_llm_opinions_total{from="model"}"#, 2.0),
        (r#"sentinelflow_llm_opinions_total{from="memory"}"#, 2.0),
        (r#"sentinelflow_llm_degraded_total{reason="model_blocked"}"#, 1.0),
        (r#"sentinelflow_llm_degraded_total{reason="model_answer_invalid"}"#, 1.0),
        (r#"sentinelflow_llm_degraded_total{reason="model_unavailable"}"#, 1.0),
        (r#"sentinelflow_llm_degraded_total{reason="model_timeout"}"#, 0.0),
        (r#"sentinelflow_llm_calls_total{outcome="answered"}"#, 3.0),
        (r#"sentinelflow_llm_calls_total{outcome="model_blocked"}"#, 1.0),
        (r#"sentinelflow_llm_calls_total{outcome="model_unavailable"}"#, 3.0),
        (r#"sentinelflow_llm_unusable_answers_total{what="malformed"}"#, 1.0),
        ("sentinelflow_llm_call_seconds_count", 7.0),
        (r#"sentinelflow_llm_call_seconds_bucket{le="+Inf"}"#, 7.0),
        ("sentinelflow_llm_tokens_total", tokens),
    ] {
        assert!((counted(name) - expected).abs() < 0.5, "{name} is {}, not {expected}", counted(name));
    }
    assert!(counted("sentinelflow_llm_cost_nano_usd_total") > tokens * 300.0);
}

#[test]
fn under_serve_metrics_are_the_operators() {
    let server = with_operator();
    let key = server.sign_up("ana");
    server.get("/metrics").assert_problem(401);
    server.get_as(&format!("{TOKEN}4"), "/metrics").assert_problem(401);
    server.get_as(&key, "/metrics").assert_problem(403);
    let told = server.get_as(TOKEN, "/metrics").assert_status(200);
    samples(std::str::from_utf8(&told.bytes).unwrap());
}

#[test]
fn without_an_operator_nobody_sees_the_metrics_of_serve() {
    let model = FakeModel::start();
    let server =
        TestServer::started(Start { mode: "serve", environment: environment(&model), ..Start::default() });
    let key = server.sign_up("ana");
    let refused = server.get("/metrics").assert_problem(403);
    assert!(refused.text("detail").contains("--operator-token-file"), "{}", refused.body);
    server.get_as(&key, "/metrics").assert_problem(403);
    server.get_as(TOKEN, "/metrics").assert_problem(403);
}
