//! How often a model is asked: by the server's setting, by each tenant's own, and by the budget of the day.

use sentinelflow_fakes::FakeModel;
use serde_json::{Value, json};

use super::{analyze, asking, asking_with, failed_login, fresh_event};
use crate::harness::{Answer, TestServer, reference_entry};

fn switch(server: &TestServer, tenant: &str, change: &Value) -> Answer {
    server.patch(&format!("/security/user/update/{tenant}"), change)
}

/// Returns of a harmless, a doubtful and a clear event whether the model was asked about it.
fn asked_about(server: &TestServer, tenant: &str) -> [bool; 3] {
    // Words that were never there make each event a question of its own.
    let note = fresh_event()["message"].clone();
    [fresh_event(), failed_login(), reference_entry()].map(|mut event| {
        event["metadata"] = json!({"note": note});
        let analyzed = server.post(&format!("/security/analyze/{tenant}"), &event).assert_status(200);
        match (&*analyzed.text("analysis.engine"), &analyzed.body["analysis"]["degraded"]) {
            ("rules+llm", Value::Null) => true,
            ("rules", _) => false,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_tenant_that_says_never_is_not_spoken_of_also_after_a_restart() {
    let model = FakeModel::start();
    let mut server = asking(&model);
    server.sign_up("ana");
    let changed = switch(&server, "ana", &json!({"new_llm_ask": "never"})).assert_status(200);
    assert_eq!(
        changed.body,
        json!({"username": "ana", "plan": "Free", "llm_ask": "never", "migrated_logs": 0})
    );
    for _ in 0..2 {
        let analyzed = server.post("/security/analyze/ana", &failed_login()).assert_status(200);
        assert_eq!(analyzed.text("analysis.degraded"), "model_off");
        assert_eq!(asked_about(&server, "ana"), [false; 3]);
        assert_eq!(model.request_count(), 0);
        server.kill_and_restart();
    }
    assert_eq!(asked_about(&server, "admin"), [true; 3], "each tenant decides for itself");
    let changed = switch(&server, "ana", &json!({"new_llm_ask": "Always"})).assert_status(200);
    assert_eq!(changed.text("llm_ask"), "always");
    assert_eq!(asked_about(&server, "ana"), [true; 3]);
}

#[test]
fn uncertain_asks_only_where_the_rules_are_not_sure() {
    let model = FakeModel::start();
    let server = asking(&model);
    switch(&server, "admin", &json!({"new_llm_ask": "uncertain"})).assert_status(200);
    assert_eq!(asked_about(&server, "admin"), [false, true, false]);
    let unasked = analyze(&server, &reference_entry());
    assert_eq!(unasked.body["analysis"]["degraded"], Value::Null, "nothing went wrong");
    assert_eq!(unasked.body["analysis"]["opinion"], Value::Null);
}

#[test]
fn a_tenant_is_not_asked_about_more_often_than_the_server_is_set_to() {
    let model = FakeModel::start();
    let server = asking_with(&model, "llm.ask = 'uncertain'");
    switch(&server, "admin", &json!({"new_llm_ask": "always"})).assert_status(200);
    assert_eq!(asked_about(&server, "admin"), [false, true, false]);

    let server = asking_with(&model, "llm.ask = 'never'");
    model.forget();
    switch(&server, "admin", &json!({"new_llm_ask": "always"})).assert_status(200);
    assert_eq!(asked_about(&server, "admin"), [false; 3]);
    assert_eq!(analyze(&server, &failed_login()).text("analysis.degraded"), "model_off");
    assert_eq!(model.request_count(), 0);
    assert!(server.said().contains("llm.ask is never"), "{}", server.said());
}

#[test]
fn a_switch_that_is_none_is_refused_and_changes_nothing() {
    let server = TestServer::dev();
    for wrong in [json!("sometimes"), json!(""), json!(true), json!(["never"])] {
        let refused = switch(&server, "admin", &json!({"new_llm_ask": wrong})).assert_problem(422);
        assert_eq!(refused.faults(), ["/new_llm_ask"], "{wrong}");
        let half = json!({"new_plan": "Pro", "new_llm_ask": wrong});
        assert_eq!(switch(&server, "admin", &half).assert_problem(422).faults(), ["/new_llm_ask"]);
    }
    let now = switch(&server, "admin", &json!({"new_llm_ask": "always"})).assert_status(200);
    assert_eq!(now.text("plan"), "Free");
}

#[test]
fn a_spent_budget_ends_the_asking_also_after_a_restart() {
    for setting in ["llm.tokens_per_day = 3000", "llm.usd_per_day = 0.003"] {
        let model = FakeModel::start();
        let mut server = asking_with(&model, setting);
        server.sign_up("ana");
        let first = fresh_event();
        assert_eq!(analyze(&server, &first).text("analysis.engine"), "rules+llm", "{setting}");
        let mut asked = 1;
        let reason = loop {
            let analyzed = analyze(&server, &fresh_event());
            match analyzed.body["analysis"]["degraded"].as_str() {
                None => asked += 1,
                Some(reason) => break reason.to_owned(),
            }
        };
        assert_eq!(reason, "budget", "{setting}");
        assert!(asked < 20, "{asked} with {setting}");
        assert_eq!(model.request_count(), asked);

        server.kill_and_restart();
        assert_eq!(analyze(&server, &fresh_event()).text("analysis.degraded"), "budget", "{setting}");
        assert_eq!(
            analyze(&server, &first).body["analysis"]["opinion"]["remembered"],
            true,
            "that costs nothing"
        );
        assert_eq!(model.request_count(), asked);
        let others = server.post("/security/analyze/ana", &fresh_event()).assert_status(200);
        assert_eq!(others.text("analysis.engine"), "rules+llm", "each tenant has a budget of its own");
    }
}
