//! The shapes of the OpenAI-compatible API, and how strictly the fake checks what it gets.

use sentinelflow_fakes::{Answer, FakeModel};
use serde_json::{Value, json};
use ureq::http::Request;

use crate::caller::{
    Change, Headers, KEY, MODEL, agent, ask_openai, openai_body, openai_request, prompt_tokens, record, send,
};

fn records() -> [Value; 2] {
    [record("a1", "Failed password for root"), record("a2", "GET /index.html")]
}

#[test]
fn an_honest_answer_has_the_documented_shape() {
    let model = FakeModel::start();
    let reply = ask_openai(&model, &records());

    let prompt_tokens = prompt_tokens(&records());
    let tokens = reply.openai_text().chars().count().div_ceil(4);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["model"], MODEL);
    assert_eq!(
        reply.body["choices"],
        json!([{
            "index": 0,
            "message": { "role": "assistant", "content": reply.openai_text() },
            "finish_reason": "stop",
        }])
    );
    assert_eq!(
        reply.body["usage"],
        json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        })
    );
    let verdicts: Value = serde_json::from_str(reply.openai_text()).unwrap();
    assert_eq!(verdicts["verdicts"][0]["id"], "a1");
}

#[test]
fn endings_have_their_counterparts() {
    let cases = [
        (Answer::MaxTokens, "length", true),
        (Answer::PromptBlocked, "content_filter", false),
        (Answer::AnswerBlocked, "content_filter", true),
        (Answer::TextNotJson, "stop", true),
    ];
    let model = FakeModel::start();
    for (answer, reason, has_content) in cases {
        model.script([answer]);
        let reply = ask_openai(&model, &records());
        let choice = &reply.body["choices"][0];
        assert_eq!((reply.status, &choice["finish_reason"]), (200, &json!(reason)));
        assert_eq!(choice["message"]["content"].is_string(), has_content);
    }
    model.script([Answer::EmptyCandidates, Answer::Rerouted { model: "other" }]);
    assert_eq!(ask_openai(&model, &records()).body["choices"], json!([]));
    assert_eq!(ask_openai(&model, &records()).body["model"], "other");
}

#[test]
fn refusals_have_their_counterparts() {
    let limited = Answer::RateLimited { retry_delay: Some("47s"), retry_after: Some("47") };
    let cases = [
        (limited, 429, "requests", json!("rate_limit_exceeded"), Some("47")),
        (Answer::DailyQuota, 429, "insufficient_quota", json!("insufficient_quota"), None),
        (Answer::Unpaid, 402, "insufficient_balance", json!(402), None),
        (Answer::BadRequest, 400, "invalid_request_error", Value::Null, None),
        (Answer::BadKey, 401, "invalid_request_error", json!("invalid_api_key"), None),
        (Answer::Unauthenticated, 401, "invalid_request_error", Value::Null, None),
        (Answer::Forbidden, 403, "invalid_request_error", json!("model_access_denied"), None),
        (Answer::NoSuchModel, 404, "invalid_request_error", json!("model_not_found"), None),
        (Answer::ModelRetired, 404, "invalid_request_error", json!("model_not_found"), None),
        (Answer::Internal, 500, "InternalServerError", json!(500), None),
        (Answer::Overloaded, 503, "server_error", json!(503), None),
        (Answer::DeadlineExceeded, 504, "timeout", json!("504"), None),
    ];
    let model = FakeModel::start();
    for (answer, status, kind, code, retry_after) in cases {
        model.script([answer]);
        let reply = ask_openai(&model, &records());
        let error = &reply.body["error"];
        assert_eq!(reply.status, status);
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code));
        assert!(error["message"].is_string());
        assert_eq!(reply.retry_after.as_deref(), retry_after);
    }
    model.script([Answer::HtmlBadGateway]);
    assert_eq!(ask_openai(&model, &records()).status, 502);
}

#[test]
fn what_is_not_in_the_api_is_refused() {
    let changes: [(&str, Change); 13] = [
        ("temperature", |body| body["temperature"] = 0.into()),
        ("model parameter", |body| body["model"] = Value::Null),
        ("too short", |body| body["messages"] = json!([])),
        ("role", |body| body["messages"][0]["role"] = "developer".into()),
        ("name", |body| body["messages"][0]["name"] = "x".into()),
        ("content", |body| body["messages"][1]["content"] = json!([{ "type": "text" }])),
        ("role user", |body| body["messages"][1]["role"] = "assistant".into()),
        ("response_format", |body| body["response_format"]["type"] = "yaml".into()),
        ("json_schema.name", |body| body["response_format"]["json_schema"]["name"] = "a b".into()),
        ("json_schema.schema", |body| body["response_format"]["json_schema"]["schema"] = Value::Null),
        ("json_schema.strict", |body| body["response_format"]["json_schema"]["strict"] = "yes".into()),
        ("description", |body| body["response_format"]["json_schema"]["description"] = "x".into()),
        ("max_tokens", |body| body["max_tokens"] = 0.into()),
    ];
    let model = FakeModel::start();
    for (message, change) in changes {
        let mut body = openai_body(&records());
        change(&mut body);
        let reply = send(&agent(), openai_request(&model, &body)).unwrap();
        assert_eq!(reply.status, 400, "{message}");
        assert_eq!(reply.body["error"]["type"], "invalid_request_error");
        assert!(reply.text.contains(message), "{message}: {}", reply.text);
    }
}

#[test]
fn only_a_bearer_gets_in() {
    let cases: [(Headers, u16); 5] = [
        (&[("authorization", "Bearer x")], 200),
        (&[], 401),
        (&[("authorization", "Basic x")], 401),
        (&[("x-goog-api-key", KEY)], 401),
        (&[("authorization", "Bearer x"), ("x-goog-api-key", KEY)], 400),
    ];
    let model = FakeModel::start();
    for (headers, status) in cases {
        let mut request = Request::post(format!("{}/v1/chat/completions", model.url()))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(openai_body(&records()).to_string()).unwrap();
        assert_eq!(send(&agent(), request).unwrap().status, status, "{headers:?}");
    }
}

#[test]
fn models_can_be_listed_and_wrong_doors_are_404() {
    let model = FakeModel::start();
    let get = |path: &str| {
        let request = Request::get(format!("{}{path}", model.url())).header("authorization", "Bearer x");
        send(&agent(), request.body(String::new()).unwrap()).unwrap()
    };
    assert_eq!(get("/v1/models").body["data"][0]["id"], MODEL);
    let wrong = get("/v1/completions");
    assert_eq!((wrong.status, &wrong.body["error"]["type"]), (404, &json!("invalid_request_error")));
}
