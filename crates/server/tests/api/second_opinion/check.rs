//! `sentinelflow llm check`: whether the configured model can be asked, told to whoever sets it up.

use std::process::Output;

use sentinelflow_fakes::{Answer, FakeModel, Mind};
use tempfile::TempDir;

use super::{KEY, environment};
use crate::{command_line::text, harness::command};

fn check(environment: &[(&'static str, String)], settings: &str) -> Output {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("sentinelflow.toml"), settings).unwrap();
    std::fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
    let environment = environment.iter().map(|(name, value)| (name, value));
    command().args(["llm", "check"]).envs(environment).current_dir(folder.path()).output().unwrap()
}

/// Asserts that the check exits so and tells these parts, on either output, but never the key.
fn assert_told(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "'{part}' is missing: {said}");
    }
    assert!(!said.contains(KEY), "{said}");
}

#[test]
fn a_model_that_answers_is_told_with_its_latency_and_its_cost() {
    let model = FakeModel::start();
    let output = check(&environment(&model), "");
    assert_told(&output, 0, &[]);
    let said = text(&output.stdout);
    let value_of = |name: &str| {
        let line = said.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {said}")).trim()
    };
    assert_eq!(value_of("status"), "ok");
    assert!(value_of("asked").contains(&model.url()), "{said}");
    assert_eq!(value_of("answered"), "gemini-3.5-flash-lite");
    assert!(value_of("latency").strip_suffix(" ms").is_some_and(|ms| ms.parse::<u64>().is_ok()), "{said}");
    let cost = value_of("cost").split_whitespace().next().and_then(|tokens| tokens.parse::<u64>().ok());
    assert!(cost.is_some_and(|tokens| tokens > 100), "{said}");
    assert!(value_of("verdict").contains("MEDIUM"), "{said}");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(model.request_count(), 1);
    assert_eq!(model.requests()[0].credential.as_deref(), Some(KEY));
}

#[test]
fn a_key_may_stand_in_a_file_and_the_settings_too() {
    let model = FakeModel::start();
    let settings =
        format!("[llm]\nkey_file = 'key'\nbase_url = '{}'\nmodel = 'gemini-3.6-flash'", model.url());
    assert_told(&check(&[], &settings), 0, &["status    ok", "gemini-3.6-flash"]);
    assert_eq!(model.requests()[0].credential.as_deref(), Some(KEY));
}

#[test]
fn a_model_on_the_premises_gets_no_key_that_was_not_meant_for_it() {
    let model = FakeModel::start();
    let local = format!(
        "[llm]\nprovider = 'openai-compatible'\nbase_url = '{}/v1'\nmodel = 'llama3:8b'\n",
        model.url()
    );
    let key = [("GEMINI_API_KEY", KEY.to_owned())];
    assert_told(&check(&key, &local), 1, &["the provider does not accept the key"]);
    assert_eq!(model.requests()[0].credential, None);
    assert_told(&check(&[], &format!("{local}key_file = 'key'")), 0, &["status    ok", "llama3:8b"]);
    assert_eq!(model.requests()[1].credential.as_deref(), Some(KEY));
}

#[test]
fn why_there_is_no_answer_is_told_and_exits_with_1() {
    for (answer, why) in [
        (Answer::BadKey, "the provider does not accept the key"),
        (Answer::Unauthenticated, "the provider does not accept the key"),
        (Answer::Forbidden, "the provider does not accept the key"),
        (Answer::BadRequest, "the provider does not accept the request (status 400)"),
        (Answer::Internal, "the provider failed with status 500"),
        (Answer::Unpaid, "the provider wants to be paid first"),
        (Answer::DailyQuota, "the provider's quota for the day is used up"),
        (Answer::RateLimited { retry_delay: Some("47s"), retry_after: None }, "fewer requests, in 47 s"),
        (Answer::NoSuchModel, "the provider does not have this model"),
        (Answer::PromptBlocked, "the provider blocked the question or the answer"),
        (Answer::TextNotJson, "the answer can't be used"),
    ] {
        let model = FakeModel::start();
        model.script([answer]);
        assert_told(&check(&environment(&model), ""), 1, &["status    failed", "sentinelflow: ", why]);
        assert_eq!(model.request_count(), 1, "{why}");
    }
}

#[test]
fn a_provider_that_can_not_be_reached_is_told() {
    let model = FakeModel::start();
    model.stop();
    assert_told(&check(&environment(&model), ""), 1, &["status    failed", "the provider can't be reached"]);
}

#[test]
fn without_a_key_it_is_told_where_one_may_stand() {
    let parts = ["there is no key", "GEMINI_API_KEY", "llm.key_file"];
    assert_told(&check(&[], ""), 1, &parts);
    assert_told(&check(&[("GEMINI_API_KEY", String::new())], ""), 1, &parts);
}

#[test]
fn what_is_switched_off_is_not_asked() {
    let model = FakeModel::start_with(Mind::honest());
    assert_told(&check(&environment(&model), "air_gapped = true"), 1, &["air-gapped"]);
    assert_told(&check(&environment(&model), "llm.ask = 'never'"), 1, &["llm.ask is never"]);
    assert_eq!(model.request_count(), 0);
}

#[test]
fn a_faulty_setting_is_a_fault_of_the_configuration() {
    let model = FakeModel::start();
    let key = environment(&model);
    assert_told(
        &check(&key, "llm.colour = 'red'"),
        2,
        &["sentinelflow.toml line 1: llm.colour: unknown setting"],
    );
    assert_told(&check(&key, "llm.ask = 'sometimes'"), 2, &["line 1: llm.ask", "always, uncertain or never"]);
    assert_told(&check(&key, "llm.key_file = 'nowhere'"), 2, &["llm.key_file", "'nowhere' can't be read"]);
    assert_told(&check(&key, "llm.key_file = 'sentinelflow.toml'"), 2, &["holds no key"]);
    let unknown = [("SENTINELFLOW_LLM__COLOUR", "red".to_owned())];
    assert_told(&check(&unknown, ""), 2, &["environment SENTINELFLOW_LLM__COLOUR: unknown setting"]);
    let two_words = [("GEMINI_API_KEY", format!("two {KEY}"))];
    assert_told(&check(&two_words, ""), 2, &["environment GEMINI_API_KEY", "one line of visible characters"]);
    assert_eq!(model.request_count(), 0);
}

#[test]
fn a_providers_words_can_not_steer_the_terminal() {
    let model = FakeModel::start();
    model.script([Answer::Rerouted { model: "gemini-\u{1b}[2Jx\nstatus    ok" }]);
    let said = text(&check(&environment(&model), "").stdout);
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert_eq!(said.lines().filter(|line| line.starts_with("status")).count(), 1, "{said:?}");
}
