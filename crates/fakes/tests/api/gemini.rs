//! The shapes of Gemini's API, and how strictly the fake checks what it gets.

use sentinelflow_fakes::{Answer, FakeModel, Mind};
use serde_json::{Value, json};
use ureq::http::Request;

use crate::caller::{
    Change, Headers, KEY, MODEL, agent, ask_gemini, gemini_body, gemini_request, prompt_tokens, record, send,
};

fn records() -> [Value; 2] {
    [record("a1", "Failed password for root"), record("a2", "GET /index.html")]
}

#[test]
fn an_honest_answer_has_the_documented_shape() {
    let model = FakeModel::start();
    let reply = ask_gemini(&model, &records());

    let prompt_tokens = prompt_tokens(&records());
    let tokens = reply.gemini_text().chars().count().div_ceil(4);
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.body,
        json!({
            "candidates": [{
                "content": { "role": "model", "parts": [{ "text": reply.gemini_text() }] },
                "finishReason": "STOP",
                "index": 0,
            }],
            "usageMetadata": {
                "promptTokenCount": prompt_tokens,
                "candidatesTokenCount": tokens,
                "totalTokenCount": prompt_tokens + tokens,
                "thoughtsTokenCount": 0,
                "cachedContentTokenCount": 0,
                "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt_tokens }],
            },
            "modelVersion": MODEL,
            "responseId": "from-the-fake-model",
        })
    );
    assert_eq!(reply.of_verdicts("id"), ["a1", "a2"]);
    assert_eq!(reply.of_verdicts("severity"), ["medium", "info"]);
    assert_eq!(reply.of_verdicts("technique"), ["T1110", "none"]);
}

#[test]
fn verdicts_can_be_spoiled() {
    let model = FakeModel::start();
    let ids_after = |answer| {
        model.script([answer]);
        ask_gemini(&model, &records()).of_verdicts("id")
    };
    assert_eq!(ids_after(Answer::Ok), ["a1", "a2"]);
    assert_eq!(ids_after(Answer::MissingIds), ["a1"]);
    assert_eq!(ids_after(Answer::ExtraIds), ["a1", "a2", "nobody-asked-about-this"]);
    assert_eq!(ids_after(Answer::DuplicateIds), ["a1", "a2", "a1"]);
    assert_eq!(ids_after(Answer::Verdicts(json!({ "verdicts": [{ "id": "x" }] }))), ["x"]);

    model.script([Answer::DuplicateIds, Answer::OutOfRange, Answer::WrongSchema]);
    assert_eq!(ask_gemini(&model, &records()).of_verdicts("severity"), ["medium", "info", "info"]);
    let reply = ask_gemini(&model, &records());
    assert_eq!(reply.of_verdicts("severity"), ["apocalyptic", "apocalyptic"]);
    assert_eq!(reply.of_verdicts("confidence"), [400, 400]);
    assert_eq!(ask_gemini(&model, &records()).verdicts()[0]["severity"], 3);
}

#[test]
fn a_text_can_be_no_json_or_cut_off() {
    let model = FakeModel::start();
    let whole = ask_gemini(&model, &records());
    model.script([Answer::TextNotJson, Answer::MaxTokens]);

    let prose = ask_gemini(&model, &records());
    assert_eq!(prose.body["candidates"][0]["finishReason"], "STOP");
    assert!(serde_json::from_str::<Value>(prose.gemini_text()).is_err());

    let cut_off = ask_gemini(&model, &records());
    assert_eq!(cut_off.body["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert!(whole.gemini_text().starts_with(cut_off.gemini_text()));
    let tokens = cut_off.gemini_text().len().div_ceil(4);
    assert_eq!(cut_off.body["usageMetadata"]["candidatesTokenCount"], tokens);
}

#[test]
fn the_limit_of_tokens_is_kept() {
    let model = FakeModel::start();
    let mut body = gemini_body(&records());
    body["generationConfig"]["maxOutputTokens"] = 10.into();
    let reply = send(&agent(), gemini_request(&model, MODEL, &body)).unwrap();
    assert_eq!(reply.body["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(reply.gemini_text().len(), 40);
    assert_eq!(reply.body["usageMetadata"]["candidatesTokenCount"], 10);
}

#[test]
fn blocks_are_no_errors() {
    let model = FakeModel::start();
    model.script([Answer::PromptBlocked, Answer::AnswerBlocked, Answer::EmptyCandidates]);
    let tokens = prompt_tokens(&records());
    let usage = json!({ "promptTokenCount": tokens, "totalTokenCount": tokens });

    let prompt = ask_gemini(&model, &records());
    assert_eq!((prompt.status, &prompt.body["usageMetadata"]), (200, &usage));
    assert_eq!(prompt.body["promptFeedback"], json!({ "blockReason": "PROHIBITED_CONTENT" }));
    assert!(prompt.body.get("candidates").is_none());

    let answer = ask_gemini(&model, &records());
    assert_eq!((answer.status, &answer.body["usageMetadata"]), (200, &usage));
    assert_eq!(answer.body["candidates"][0]["finishReason"], "SAFETY");
    assert!(answer.body["candidates"][0].get("content").is_none());

    let empty = ask_gemini(&model, &records());
    assert_eq!((empty.status, &empty.body["candidates"]), (200, &json!([])));
    assert!(empty.body.get("promptFeedback").is_none());
}

#[test]
fn another_model_may_answer() {
    let model = FakeModel::start();
    model.script([Answer::Rerouted { model: "gemini-9-xenon" }]);
    assert_eq!(ask_gemini(&model, &records()).body["modelVersion"], "gemini-9-xenon");
    assert_eq!(ask_gemini(&model, &records()).body["modelVersion"], MODEL);
}

#[test]
fn refusals_have_the_documented_shape() {
    let no_hint = Answer::RateLimited { retry_delay: None, retry_after: None };
    let cases = [
        (no_hint, 429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"),
        (Answer::DailyQuota, 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        (Answer::Unpaid, 402, "RESOURCE_EXHAUSTED", "Your prepayment credits"),
        (Answer::BadRequest, 400, "INVALID_ARGUMENT", "Request contains"),
        (Answer::BadKey, 400, "INVALID_ARGUMENT", "API key not valid."),
        (Answer::Unauthenticated, 401, "UNAUTHENTICATED", "Request had invalid"),
        (Answer::Forbidden, 403, "PERMISSION_DENIED", "The caller"),
        (Answer::NoSuchModel, 404, "NOT_FOUND", "models/gemini-3.5-flash-lite is not found"),
        (Answer::ModelRetired, 404, "NOT_FOUND", "This model models/gemini-3.5-flash-lite is no longer"),
        (Answer::Internal, 500, "INTERNAL", "An internal error"),
        (Answer::Overloaded, 503, "UNAVAILABLE", "The model is overloaded."),
        (Answer::DeadlineExceeded, 504, "DEADLINE_EXCEEDED", "Deadline expired"),
    ];
    let model = FakeModel::start();
    for (answer, status, code, message) in cases {
        model.script([answer]);
        let reply = ask_gemini(&model, &records());
        let error = &reply.body["error"];
        assert_eq!((reply.status, &error["code"]), (status, &json!(status)));
        assert_eq!(error["status"], code);
        assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
        assert_eq!(reply.retry_after, None);
    }
}

#[test]
fn a_limited_caller_is_told_when_to_come_back() {
    let model = FakeModel::start();
    model.script([
        Answer::RateLimited { retry_delay: Some("47s"), retry_after: Some("50") },
        Answer::DailyQuota,
        Answer::BadKey,
        Answer::HtmlBadGateway,
    ]);
    let minute = ask_gemini(&model, &records());
    let details = &minute.body["error"]["details"];
    assert_eq!(minute.retry_after.as_deref(), Some("50"));
    assert_eq!(details[2]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(details[2]["retryDelay"], "47s");
    assert_eq!(
        details[1]["violations"][0]["quotaId"],
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
    );

    let day = ask_gemini(&model, &records());
    let quota = &day.body["error"]["details"][1]["violations"][0];
    assert_eq!(quota["quotaId"], "GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    assert_eq!(quota["quotaDimensions"], json!({ "location": "global", "model": MODEL }));

    let key = ask_gemini(&model, &records());
    assert_eq!(key.body["error"]["details"][0]["reason"], "API_KEY_INVALID");

    let gateway = ask_gemini(&model, &records());
    assert_eq!(gateway.status, 502);
    assert!(gateway.text.starts_with("<!DOCTYPE html>") && gateway.text.len() > 300);
}

#[test]
fn what_is_not_in_the_api_is_refused() {
    let changes: [(&str, Change); 22] = [
        ("\"temprature\"", |body| body["generationConfig"]["temprature"] = 0.into()),
        ("\"system_prompt\"", |body| body["system_prompt"] = "x".into()),
        ("\"name\"", |body| body["contents"][0]["name"] = "x".into()),
        ("\"inlineData\"", |body| body["contents"][0]["parts"][0]["inlineData"] = json!({})),
        ("\"role\"", |body| body["systemInstruction"]["role"] = "system".into()),
        ("not specified", |body| body["contents"] = json!([])),
        ("not specified", |body| body["contents"] = Value::Null),
        ("valid role", |body| body["contents"][0]["role"] = "system".into()),
        ("must not be empty", |body| body["contents"][0]["parts"] = json!([])),
        ("role user", |body| {
            let answer = json!({ "role": "model", "parts": [{ "text": "{" }] });
            body["contents"].as_array_mut().unwrap().push(answer);
        }),
        ("safety_settings", |body| body["safetySettings"][0]["category"] = "HARM_CATEGORY_FUN".into()),
        ("safety_settings", |body| body["safetySettings"][0]["threshold"] = "BLOCK_SOME".into()),
        ("store", |body| body["store"] = "no".into()),
        ("max_output_tokens", |body| body["generationConfig"]["maxOutputTokens"] = 0.into()),
        ("max_output_tokens", |body| body["generationConfig"]["maxOutputTokens"] = "9".into()),
        ("Only one", |body| body["generationConfig"]["responseSchema"] = json!({})),
        ("response_mime_type", |body| {
            body["generationConfig"].as_object_mut().unwrap().remove("responseMimeType");
        }),
        ("response_json_schema", |body| body["generationConfig"]["responseJsonSchema"] = "{}".into()),
        ("only set one", |body| body["generationConfig"]["thinkingConfig"]["thinkingBudget"] = 0.into()),
        ("thinking_config", |body| {
            body["generationConfig"]["thinkingConfig"]["thinkingLevel"] = "minimal".into();
        }),
        ("not supported", |body| {
            body["generationConfig"]["thinkingConfig"]["thinkingLevel"] = "XHIGH".into();
        }),
        ("must be an object", |body| *body = json!([])),
    ];
    let model = FakeModel::start();
    for (message, change) in changes {
        let mut body = gemini_body(&records());
        change(&mut body);
        let reply = send(&agent(), gemini_request(&model, MODEL, &body)).unwrap();
        let error = &reply.body["error"];
        assert_eq!((reply.status, &error["status"]), (400, &json!("INVALID_ARGUMENT")), "{message}");
        assert!(error["message"].as_str().unwrap().contains(message), "{message}: {error}");
    }
    let request = gemini_request(&model, MODEL, &json!({})).map(|_| "{".to_owned());
    assert_eq!(send(&agent(), request).unwrap().status, 400);
}

#[test]
fn models_differ_in_how_they_think() {
    let level = |level| json!({ "thinkingLevel": level });
    let budget = json!({ "thinkingBudget": 0 });
    let cases = [
        ("gemini-3.5-flash-lite", level("MINIMAL"), 200),
        ("gemini-3.8-flash", level("MINIMAL"), 400),
        ("gemini-3.8-flash", level("LOW"), 200),
        ("gemini-4-hydrogen", level("MINIMAL"), 400),
        ("gemini-4-hydrogen", level("XHIGH"), 200),
        ("gemini-4-hydrogen", budget.clone(), 400),
        ("gemini-2.5-flash-lite", budget, 200),
        ("gemini-2.5-flash-lite", level("LOW"), 400),
    ];
    let model = FakeModel::start();
    for (name, thinking, status) in cases {
        let mut body = gemini_body(&records());
        body["generationConfig"]["thinkingConfig"] = thinking.clone();
        let reply = send(&agent(), gemini_request(&model, name, &body)).unwrap();
        assert_eq!(reply.status, status, "{name} {thinking}");
    }
}

#[test]
fn exactly_one_credential_is_wanted() {
    let cases: [(Headers, &str, u16, &str); 6] = [
        (&[("x-goog-api-key", KEY)], "", 200, ""),
        (&[], "", 401, "missing required"),
        (&[("x-goog-api-key", KEY), ("authorization", "Bearer x")], "", 400, "Multiple"),
        (&[("x-goog-api-key", KEY)], "?key=x", 400, "Multiple"),
        (&[], "?key=x", 400, "never in the URL"),
        (&[("authorization", "Bearer x")], "", 401, "OAuth 2"),
    ];
    let model = FakeModel::start();
    for (headers, query, status, message) in cases {
        let uri = format!("{}/v1beta/models/{MODEL}:generateContent{query}", model.url());
        let mut request = Request::post(uri).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(gemini_body(&records()).to_string()).unwrap();
        let reply = send(&agent(), request).unwrap();
        assert_eq!(reply.status, status, "{headers:?} {query}");
        assert!(reply.text.contains(message), "{}", reply.text);
    }
}

#[test]
fn wrong_doors_are_404() {
    let model = FakeModel::start();
    let post = |path: &str| {
        let request = Request::post(format!("{}{path}", model.url())).header("x-goog-api-key", KEY);
        let request = request.header("content-type", "application/json");
        send(&agent(), request.body(gemini_body(&records()).to_string()).unwrap()).unwrap()
    };
    for path in ["/", "/v1beta/models/m:generate", "/v1beta/models/a/b:generateContent", "/v1beta/models"] {
        let reply = post(path);
        assert_eq!((reply.status, &reply.body["error"]["status"]), (404, &json!("NOT_FOUND")), "{path}");
    }
    let retired = post("/v1beta/models/gemini-2.0-flash-lite-001:generateContent");
    assert_eq!(retired.status, 404);
    assert!(retired.text.contains("is no longer available"));
}

#[test]
fn models_can_be_listed() {
    let model = FakeModel::start_with(Mind::always_benign());
    let list = || {
        let request = Request::get(format!("{}/v1beta/models", model.url())).header("x-goog-api-key", KEY);
        send(&agent(), request.body(String::new()).unwrap()).unwrap()
    };
    assert_eq!(
        list().body["models"][0],
        json!({
            "name": "models/gemini-3.5-flash-lite",
            "version": "001",
            "displayName": "gemini-3.5-flash-lite",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    );
    model.script([Answer::BadKey]);
    assert_eq!(list().status, 400);
}
