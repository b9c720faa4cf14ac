//! The OpenAI-compatible `/chat/completions`: what it accepts, how it answers, how it refuses.

use hyper::{Method, StatusCode, http::request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    Answer,
    api::{Api, Errand, MODELS, is_get, is_json, unknown_member},
    asked::{Asked, Ending, Said, Speaker},
    received::{Place, credentials},
    reply::Reply,
};

const JSON: &str = "application/json";

pub(crate) struct OpenAi;

impl Api for OpenAi {
    fn errand(&self, head: &Parts, body: &[u8]) -> Result<Errand, Reply> {
        let listing = is_get(head, "/v1/models");
        let asking = head.method == Method::POST && head.uri.path() == "/v1/chat/completions";
        if !listing && !asking {
            let message = format!("Invalid URL ({} {})", head.method, head.uri.path());
            return Err(refuse(404, &message, "invalid_request_error", Value::Null));
        }
        check_credential(head)?;
        if listing {
            return Ok(Errand::ListModels);
        }
        if !is_json(head) {
            return Err(invalid("The content type must be application/json."));
        }
        question(body).map(Errand::Grade).map_err(|message| invalid(&message))
    }

    /// Some codes are numbers and some are words, as they are among servers that speak this API.
    fn refusal(&self, answer: &Answer, model: &str) -> Option<Reply> {
        let reply = match answer {
            Answer::RateLimited { retry_delay, retry_after } => {
                let when = retry_delay.map(|delay| format!(" Please try again in {delay}."));
                let message = format!("Rate limit reached for {model}.{}", when.unwrap_or_default());
                refuse(429, &message, "requests", "rate_limit_exceeded").with_retry_after(*retry_after)
            }
            Answer::DailyQuota => refuse(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                "insufficient_quota",
            ),
            Answer::Unpaid => refuse(402, "Insufficient Balance", "insufficient_balance", 402),
            Answer::BadRequest => invalid("The request could not be understood."),
            Answer::BadKey => {
                let message = "Incorrect API key provided.";
                refuse(401, message, "invalid_request_error", "invalid_api_key")
            }
            Answer::Unauthenticated => missing_key(),
            Answer::Forbidden => {
                let message = "You are not allowed to sample from this model.";
                refuse(403, message, "invalid_request_error", "model_access_denied")
            }
            Answer::NoSuchModel => {
                let message = format!("The model `{model}` does not exist or you do not have access to it.");
                refuse(404, &message, "invalid_request_error", "model_not_found")
            }
            Answer::ModelRetired => {
                let message = format!("The model `{model}` has been deprecated.");
                refuse(404, &message, "invalid_request_error", "model_not_found")
            }
            Answer::Internal => refuse(500, "The server had an error.", "InternalServerError", 500),
            Answer::Overloaded => {
                let message = "The engine is currently overloaded, please try again later.";
                refuse(503, message, "server_error", 503)
            }
            Answer::DeadlineExceeded => refuse(504, "Request timed out.", "timeout", "504"),
            Answer::HtmlBadGateway => Reply::bad_gateway(),
            _ => return None,
        };
        Some(reply)
    }

    fn models(&self) -> Reply {
        let models = MODELS.map(|model| json!({ "id": model, "object": "model", "owned_by": "fake" }));
        Reply::json(StatusCode::OK, JSON, &json!({ "object": "list", "data": models }))
    }

    fn said(&self, asked: &Asked, said: &Said) -> Reply {
        let choice = |content: Value, reason| {
            json!([{
                "index": 0,
                "message": { "role": "assistant", "content": content },
                "finish_reason": reason,
            }])
        };
        let text = Value::from(said.text.as_str());
        let choices = match said.ending {
            Ending::Complete => choice(text, "stop"),
            Ending::OutOfTokens => choice(text, "length"),
            Ending::PromptBlocked => choice(Value::Null, "content_filter"),
            Ending::AnswerBlocked => choice(text, "content_filter"),
            Ending::NoCandidates => json!([]),
        };
        let usage = json!({
            "prompt_tokens": asked.prompt_tokens,
            "completion_tokens": said.tokens(),
            "total_tokens": asked.prompt_tokens + said.tokens(),
        });
        let body = json!({
            "id": "chatcmpl-from-the-fake-model",
            "object": "chat.completion",
            "created": 0,
            "model": said.model,
            "choices": choices,
            "usage": usage,
        });
        Reply::json(StatusCode::OK, JSON, &body)
    }
}

fn check_credential(head: &Parts) -> Result<(), Reply> {
    match credentials(head).as_slice() {
        [only] if only.place == Place::Bearer && !only.value.is_empty() => Ok(()),
        [] | [_] => Err(missing_key()),
        _ => Err(invalid("Send one credential only.")),
    }
}

/// Returns the prompt, or a sentence that says what is wrong with the body.
fn question(body: &[u8]) -> Result<Asked, String> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| format!("We could not parse the JSON body of your request: {error}"))?;
    let body = members(&body, &["model", "messages", "response_format", "max_tokens"])?;

    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or("You must provide a model parameter.")?;
    let texts = messages(body)?;
    if let Some(format) = body.get("response_format") {
        check_format(format)?;
    }
    let max_tokens = match body.get("max_tokens") {
        None => None,
        Some(limit) => {
            let limit = limit.as_u64().filter(|limit| *limit > 0);
            usize::try_from(limit.ok_or("max_tokens must be a whole number above 0.")?).ok()
        }
    };
    Ok(Asked::new(model, &texts, max_tokens))
}

fn messages(body: &Map<String, Value>) -> Result<Vec<(Speaker, &str)>, String> {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut texts = Vec::new();
    for message in messages {
        let message = members(message, &["role", "content"])?;
        let speaker = match message.get("role").and_then(Value::as_str) {
            Some("system") => Speaker::Instruction,
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Model,
            _ => return Err("A message's role must be system, user or assistant.".to_owned()),
        };
        let content = message.get("content").and_then(Value::as_str);
        texts.push((speaker, content.ok_or("A message's content must be a string.")?));
    }
    match texts.last() {
        Some((Speaker::User, _)) => Ok(texts),
        Some(_) => Err("The last message must have the role user.".to_owned()),
        None => Err("[] is too short - 'messages'".to_owned()),
    }
}

fn check_format(format: &Value) -> Result<(), String> {
    let format = members(format, &["type", "json_schema"])?;
    let schema = match (format.get("type").and_then(Value::as_str), format.get("json_schema")) {
        (Some("text" | "json_object"), None) => return Ok(()),
        (Some("json_schema"), Some(schema)) => members(schema, &["name", "strict", "schema"])?,
        _ => return Err("Invalid value: 'response_format'.".to_owned()),
    };
    let is_name_char = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let name = schema.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name_char) {
        return Err("Invalid 'response_format.json_schema.name'.".to_owned());
    }
    if !schema.get("schema").is_some_and(Value::is_object) {
        return Err("Missing required parameter: 'response_format.json_schema.schema'.".to_owned());
    }
    if schema.get("strict").is_some_and(|strict| !strict.is_boolean()) {
        return Err("Invalid type for 'response_format.json_schema.strict'.".to_owned());
    }
    Ok(())
}

fn members<'v>(value: &'v Value, known: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let object = value.as_object().ok_or("Invalid type: expected an object.")?;
    match unknown_member(object, known) {
        Some(name) => Err(format!("Unrecognized request argument supplied: {name}")),
        None => Ok(object),
    }
}

fn missing_key() -> Reply {
    let message = "You didn't provide an API key. You need to provide your API key in an Authorization \
                   header using Bearer auth.";
    refuse(401, message, "invalid_request_error", Value::Null)
}

fn invalid(message: &str) -> Reply {
    refuse(400, message, "invalid_request_error", Value::Null)
}

fn refuse(status: u16, message: &str, kind: &str, code: impl Into<Value>) -> Reply {
    let status = StatusCode::from_u16(status).expect("the codes above are statuses");
    let error = json!({ "message": message, "type": kind, "param": null, "code": code.into() });
    Reply::json(status, JSON, &json!({ "error": error }))
}
