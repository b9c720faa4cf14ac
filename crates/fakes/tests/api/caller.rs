//! A caller that does everything right, unless a test asks it not to.

use std::time::Duration;

use sentinelflow_fakes::FakeModel;
use serde_json::{Value, json};
use ureq::{
    Agent, Body, Error,
    http::{Request, Response},
};

pub const MODEL: &str = "gemini-3.5-flash-lite";
pub const KEY: &str = "AQ.a-key-that-nobody-may-see-in-a-header";
const INSTRUCTION: &str = "You grade log records. Canary 0123456789abcdef0123.";
const HEADER: &str = "Grade these records; nonce=fedcba9876543210.";

/// A table's column of what is done to a good body.
pub type Change = fn(&mut Value);

/// A table's column of names and values.
pub type Headers = &'static [(&'static str, &'static str)];

pub fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

pub fn impatient_agent() -> Agent {
    let patience = Some(Duration::from_millis(50));
    Agent::config_builder().http_status_as_error(false).timeout_global(patience).build().into()
}

pub fn record(id: &str, message: &str) -> Value {
    json!({ "id": id, "message": message.replace(' ', "\u{e123}") })
}

pub fn prompt(records: &[Value]) -> String {
    let lines = records.iter().map(Value::to_string);
    std::iter::once(HEADER.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

pub fn gemini_body(records: &[Value]) -> Value {
    let setting = |category| json!({ "category": category, "threshold": "BLOCK_NONE" });
    json!({
        "systemInstruction": { "parts": [{ "text": INSTRUCTION }] },
        "contents": [{ "role": "user", "parts": [{ "text": prompt(records) }] }],
        "safetySettings": [
            setting("HARM_CATEGORY_HARASSMENT"),
            setting("HARM_CATEGORY_HATE_SPEECH"),
            setting("HARM_CATEGORY_SEXUALLY_EXPLICIT"),
            setting("HARM_CATEGORY_DANGEROUS_CONTENT"),
        ],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": { "type": "object" },
            "maxOutputTokens": 2048,
            "thinkingConfig": { "thinkingLevel": "MINIMAL" },
        },
        "store": false,
    })
}

pub fn openai_body(records: &[Value]) -> Value {
    json!({
        "model": MODEL,
        "messages": [
            { "role": "system", "content": INSTRUCTION },
            { "role": "user", "content": prompt(records) },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "verdicts", "strict": true, "schema": { "type": "object" } },
        },
        "max_tokens": 2048,
    })
}

/// The prompt's tokens in either API.
pub fn prompt_tokens(records: &[Value]) -> usize {
    (INSTRUCTION.chars().count() + prompt(records).chars().count()).div_ceil(4)
}

pub fn gemini_request(model: &FakeModel, name: &str, body: &Value) -> Request<String> {
    Request::post(format!("{}/v1beta/models/{name}:generateContent", model.url()))
        .header("x-goog-api-key", KEY)
        .header("content-type", "application/json")
        .body(body.to_string())
        .unwrap()
}

pub fn openai_request(model: &FakeModel, body: &Value) -> Request<String> {
    Request::post(format!("{}/v1/chat/completions", model.url()))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .unwrap()
}

/// What came back. The body is null where it is no JSON.
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
    pub body: Value,
}

pub fn send(agent: &Agent, request: Request<String>) -> Result<Reply, Error> {
    let response: Response<Body> = agent.run(request)?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let text = response.into_body().into_with_config().limit(64 * 1024 * 1024).read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(Reply { status, retry_after, text, body })
}

pub fn ask_gemini(model: &FakeModel, records: &[Value]) -> Reply {
    send(&agent(), gemini_request(model, MODEL, &gemini_body(records))).unwrap()
}

pub fn ask_openai(model: &FakeModel, records: &[Value]) -> Reply {
    send(&agent(), openai_request(model, &openai_body(records))).unwrap()
}

impl Reply {
    /// Returns the text that the model said in Gemini's form.
    pub fn gemini_text(&self) -> &str {
        self.body["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()
    }

    /// Returns the text that the model said in `OpenAI`'s form.
    pub fn openai_text(&self) -> &str {
        self.body["choices"][0]["message"]["content"].as_str().unwrap()
    }

    /// Returns the verdicts in Gemini's form.
    pub fn verdicts(&self) -> Vec<Value> {
        let text: Value = serde_json::from_str(self.gemini_text()).unwrap();
        text["verdicts"].as_array().unwrap().clone()
    }

    /// Returns one member of every verdict in Gemini's form.
    pub fn of_verdicts(&self, member: &str) -> Vec<Value> {
        self.verdicts().iter().map(|verdict| verdict[member].clone()).collect()
    }
}
