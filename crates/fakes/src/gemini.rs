//! Gemini's `generateContent`: what it accepts, how it answers, how it refuses.

use hyper::{Method, StatusCode, http::request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    Answer,
    api::{Api, Errand, MODELS, is_get, is_json, unknown_member},
    asked::{Asked, Ending, Said, Speaker},
    received::{Place, credentials},
    reply::Reply,
};

const JSON: &str = "application/json; charset=UTF-8";

const CATEGORIES: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];
const THRESHOLDS: [&str; 5] =
    ["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"];

pub(crate) struct Gemini;

impl Api for Gemini {
    fn errand(&self, head: &Parts, body: &[u8]) -> Result<Errand, Reply> {
        let listing = is_get(head, "/v1beta/models");
        let asked_model = model_in_path(head);
        if !listing && asked_model.is_none() {
            return Err(refuse(404, "NOT_FOUND", "Requested entity was not found.", None));
        }
        check_credential(head)?;
        let Some(model) = asked_model else {
            return Ok(Errand::ListModels);
        };
        if model.starts_with("gemini-2.0-flash") {
            return Err(model_retired(model));
        }
        if !is_json(head) {
            return Err(invalid("The content type must be application/json."));
        }
        question(model, body).map(Errand::Grade).map_err(|message| invalid(&message))
    }

    fn refusal(&self, answer: &Answer, model: &str) -> Option<Reply> {
        let reply = match answer {
            Answer::RateLimited { retry_delay, retry_after } => {
                rate_limited(*retry_delay, model).with_retry_after(*retry_after)
            }
            Answer::DailyQuota => {
                quota_exceeded("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "19s", model)
            }
            Answer::Unpaid => refuse(
                402,
                "RESOURCE_EXHAUSTED",
                "Your prepayment credits are depleted. Please go to AI Studio to manage your project and \
                 billing.",
                None,
            ),
            Answer::BadRequest => invalid("Request contains an invalid argument."),
            Answer::BadKey => bad_key(),
            Answer::Unauthenticated => unauthenticated(),
            Answer::Forbidden => {
                refuse(403, "PERMISSION_DENIED", "The caller does not have permission", None)
            }
            Answer::NoSuchModel => refuse(
                404,
                "NOT_FOUND",
                &format!(
                    "models/{model} is not found for API version v1beta, or is not supported for \
                     generateContent. Call ListModels to see the list of available models and their \
                     supported methods."
                ),
                None,
            ),
            Answer::ModelRetired => model_retired(model),
            Answer::Internal => refuse(
                500,
                "INTERNAL",
                "An internal error has occurred. Please retry or report in \
                 https://developers.generativeai.google/guide/troubleshooting",
                None,
            ),
            Answer::Overloaded => {
                refuse(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", None)
            }
            Answer::DeadlineExceeded => {
                refuse(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", None)
            }
            Answer::HtmlBadGateway => Reply::bad_gateway(),
            _ => return None,
        };
        Some(reply)
    }

    fn models(&self) -> Reply {
        let models = MODELS.map(|model| {
            json!({
                "name": format!("models/{model}"),
                "version": "001",
                "displayName": model,
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            })
        });
        Reply::json(StatusCode::OK, JSON, &json!({ "models": models }))
    }

    fn said(&self, asked: &Asked, said: &Said) -> Reply {
        let candidate = |reason| {
            json!([{
                "content": { "role": "model", "parts": [{ "text": said.text }] },
                "finishReason": reason,
                "index": 0,
            }])
        };
        let mut body = match said.ending {
            Ending::Complete => json!({ "candidates": candidate("STOP") }),
            Ending::OutOfTokens => json!({ "candidates": candidate("MAX_TOKENS") }),
            Ending::PromptBlocked => json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } }),
            Ending::AnswerBlocked => json!({ "candidates": [{
                "finishReason": "SAFETY",
                "index": 0,
                "safetyRatings": [{
                    "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
                    "probability": "HIGH",
                    "blocked": true,
                }],
            }] }),
            Ending::NoCandidates => json!({ "candidates": [] }),
        };
        body["usageMetadata"] = usage(asked.prompt_tokens, said);
        body["modelVersion"] = said.model.as_str().into();
        body["responseId"] = "from-the-fake-model".into();
        Reply::json(StatusCode::OK, JSON, &body)
    }
}

fn usage(prompt_tokens: usize, said: &Said) -> Value {
    if !matches!(said.ending, Ending::Complete | Ending::OutOfTokens) {
        return json!({ "promptTokenCount": prompt_tokens, "totalTokenCount": prompt_tokens });
    }
    json!({
        "promptTokenCount": prompt_tokens,
        "candidatesTokenCount": said.tokens(),
        "totalTokenCount": prompt_tokens + said.tokens(),
        "thoughtsTokenCount": 0,
        "cachedContentTokenCount": 0,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt_tokens }],
    })
}

fn model_in_path(head: &Parts) -> Option<&str> {
    let model = head.uri.path().strip_prefix("/v1beta/models/")?.strip_suffix(":generateContent")?;
    let is_name = !model.is_empty()
        && model.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_'));
    (is_name && head.method == Method::POST).then_some(model)
}

fn check_credential(head: &Parts) -> Result<(), Reply> {
    match credentials(head).as_slice() {
        [] => Err(refuse(
            401,
            "UNAUTHENTICATED",
            "Request is missing required authentication credential. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential.",
            None,
        )),
        [only] => match only.place {
            Place::ApiKeyHeader if only.value.is_empty() => Err(bad_key()),
            Place::ApiKeyHeader => Ok(()),
            Place::Bearer | Place::OtherAuthorization => Err(unauthenticated()),
            Place::Query => Err(invalid("The key belongs in the header x-goog-api-key, never in the URL.")),
        },
        _ => Err(invalid("Multiple authentication credentials received. Please pass only one.")),
    }
}

/// Returns the prompt, or a sentence that says what is wrong with the body.
fn question(model: &str, body: &[u8]) -> Result<Asked, String> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| format!("Invalid JSON payload received. Parse error: {error}"))?;
    let known = ["contents", "systemInstruction", "safetySettings", "generationConfig", "store"];
    let body = members(&body, "request", &known)?;

    let mut texts = Vec::new();
    if let Some(instruction) = body.get("systemInstruction") {
        let instruction = members(instruction, "system_instruction", &["parts"])?;
        let parts = texts_of_parts(instruction, "system_instruction")?;
        texts.extend(parts.into_iter().map(|text| (Speaker::Instruction, text)));
    }
    texts.extend(contents(body)?);
    if let Some(settings) = body.get("safetySettings") {
        check_safety_settings(settings)?;
    }
    if body.get("store").is_some_and(|store| !store.is_boolean()) {
        return Err("Invalid value at 'store': must be true or false.".to_owned());
    }
    let max_output_tokens = match body.get("generationConfig") {
        Some(config) => check_generation_config(config, model)?,
        None => None,
    };
    Ok(Asked::new(model, &texts, max_output_tokens))
}

fn contents(body: &Map<String, Value>) -> Result<Vec<(Speaker, &str)>, String> {
    let contents = body.get("contents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut texts = Vec::new();
    let mut last = None;
    for content in contents {
        let content = members(content, "contents", &["role", "parts"])?;
        let speaker = match content.get("role").and_then(Value::as_str) {
            Some("user") => Speaker::User,
            Some("model") => Speaker::Model,
            _ => return Err("Please use a valid role: user, model.".to_owned()),
        };
        texts.extend(texts_of_parts(content, "contents")?.into_iter().map(|text| (speaker, text)));
        last = Some(speaker);
    }
    match last {
        None => Err("GenerateContentRequest.contents: contents is not specified".to_owned()),
        Some(Speaker::User) => Ok(texts),
        Some(_) => Err("The last content must have the role user.".to_owned()),
    }
}

fn texts_of_parts<'o>(holder: &'o Map<String, Value>, place: &str) -> Result<Vec<&'o str>, String> {
    let parts = holder.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| format!("{place}.parts must not be empty."))?;
    let text = |part| {
        let part = members(part, &format!("{place}.parts"), &["text"])?;
        part.get("text").and_then(Value::as_str).ok_or_else(|| format!("{place}.parts must have a text."))
    };
    parts.iter().map(text).collect()
}

fn check_safety_settings(settings: &Value) -> Result<(), String> {
    let settings = settings.as_array().ok_or("Invalid value at 'safety_settings': must be a list.")?;
    for setting in settings {
        let setting = members(setting, "safety_settings", &["category", "threshold"])?;
        let is_one_of = |name, known: &[&str]| {
            setting.get(name).and_then(Value::as_str).is_some_and(|value| known.contains(&value))
        };
        if !is_one_of("category", &CATEGORIES) || !is_one_of("threshold", &THRESHOLDS) {
            return Err(format!("Invalid value at 'safety_settings': {}", Value::from(setting.clone())));
        }
    }
    Ok(())
}

/// Returns the limit of tokens that the configuration sets.
fn check_generation_config(config: &Value, model: &str) -> Result<Option<usize>, String> {
    let known = [
        "responseMimeType",
        "responseJsonSchema",
        "responseSchema",
        "maxOutputTokens",
        "thinkingConfig",
        "temperature",
        "topP",
        "topK",
        "seed",
    ];
    let config = members(config, "generation_config", &known)?;
    let has_schema = config.contains_key("responseJsonSchema");
    if has_schema && config.contains_key("responseSchema") {
        return Err("Only one of response_schema and response_json_schema may be set.".to_owned());
    }
    if has_schema && config.get("responseMimeType").and_then(Value::as_str) != Some("application/json") {
        return Err("A response schema needs the response_mime_type application/json.".to_owned());
    }
    if config.get("responseJsonSchema").is_some_and(|schema| !schema.is_object()) {
        return Err("Invalid value at 'generation_config.response_json_schema'.".to_owned());
    }
    if let Some(thinking) = config.get("thinkingConfig") {
        check_thinking(thinking, model)?;
    }
    let Some(limit) = config.get("maxOutputTokens") else {
        return Ok(None);
    };
    let limit = limit.as_u64().filter(|limit| (1..=65_536).contains(limit));
    let limit = limit.ok_or("max_output_tokens must be between 1 and 65536.")?;
    Ok(usize::try_from(limit).ok())
}

fn check_thinking(thinking: &Value, model: &str) -> Result<(), String> {
    let known = ["thinkingLevel", "thinkingBudget", "includeThoughts"];
    let thinking = members(thinking, "generation_config.thinking_config", &known)?;
    let is_4 = model.starts_with("gemini-4-");
    let is_2_5 = model.starts_with("gemini-2.5-");
    let has_budget = thinking.contains_key("thinkingBudget");
    if has_budget && is_4 {
        return Err("Thinking budget is not supported for this model.".to_owned());
    }
    let Some(level) = thinking.get("thinkingLevel") else {
        return Ok(());
    };
    if has_budget {
        return Err("You can only set one of thinking budget and thinking level.".to_owned());
    }
    let supported = match level.as_str() {
        Some("MINIMAL") => !is_2_5 && !is_4 && !model.starts_with("gemini-3.8-flash"),
        Some("LOW" | "MEDIUM" | "HIGH") => !is_2_5,
        Some("XHIGH") => is_4,
        _ => return Err(format!("Invalid value at 'generation_config.thinking_config': {level}")),
    };
    if supported { Ok(()) } else { Err(format!("Thinking level {level} is not supported for this model.")) }
}

fn members<'v>(value: &'v Value, place: &str, known: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let object =
        value.as_object().ok_or_else(|| format!("Invalid value at '{place}': must be an object."))?;
    match unknown_member(object, known) {
        Some(name) => Err(format!(
            "Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field."
        )),
        None => Ok(object),
    }
}

fn rate_limited(retry_delay: Option<&str>, model: &str) -> Reply {
    let Some(retry_delay) = retry_delay else {
        let message = "Resource has been exhausted (e.g. check quota).";
        return refuse(429, "RESOURCE_EXHAUSTED", message, None);
    };
    quota_exceeded("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", retry_delay, model)
}

fn quota_exceeded(quota_id: &str, retry_delay: &str, model: &str) -> Reply {
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details. For more information \
         on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. Please retry in \
         {retry_delay}."
    );
    let details = json!([
        { "@type": "type.googleapis.com/google.rpc.Help", "links": [{
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }] },
        { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
            "quotaId": quota_id,
            "quotaDimensions": { "location": "global", "model": model },
        }] },
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay },
    ]);
    refuse(429, "RESOURCE_EXHAUSTED", &message, Some(details))
}

fn bad_key() -> Reply {
    let message = "API key not valid. Please pass a valid API key.";
    let details = json!([
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        },
        {
            "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
            "locale": "en-US",
            "message": message,
        },
    ]);
    refuse(400, "INVALID_ARGUMENT", message, Some(details))
}

fn unauthenticated() -> Reply {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
                   cookie or other valid authentication credential. See \
                   https://developers.google.com/identity/sign-in/web/devconsole-project.";
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "domain": "googleapis.com",
        "metadata": { "service": "generativelanguage.googleapis.com" },
    }]);
    refuse(401, "UNAUTHENTICATED", message, Some(details))
}

fn model_retired(model: &str) -> Reply {
    let message = format!(
        "This model models/{model} is no longer available. Please update your code to use a newer model \
         for the latest features and improvements."
    );
    refuse(404, "NOT_FOUND", &message, None)
}

fn invalid(message: &str) -> Reply {
    refuse(400, "INVALID_ARGUMENT", message, None)
}

/// Returns an error in the form of `google.rpc.Status`.
fn refuse(code: u16, status: &str, message: &str, details: Option<Value>) -> Reply {
    let mut error = json!({ "code": code, "message": message, "status": status });
    if let Some(details) = details {
        error["details"] = details;
    }
    let code = StatusCode::from_u16(code).expect("the codes above are statuses");
    Reply::json(code, JSON, &json!({ "error": error }))
}
