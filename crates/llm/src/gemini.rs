//! Gemini's `generateContent`: its requests, answers, blocks and errors.

use std::time::Duration;

use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::{
    prompt::{INSTRUCTIONS, Prompt, schema},
    provider::{Fault, Provider, Reply, Usage, count_at, counted, fault_of_status, model_named, text_at},
};

pub(crate) const BASE_URL: &str = "https://generativelanguage.googleapis.com";
pub(crate) const MODEL: &str = "gemini-3.5-flash-lite";

pub(crate) struct Gemini {
    /// `MINIMAL`, `LOW`, `MEDIUM`, `HIGH` or `XHIGH`; without it as little as the model can do with.
    pub thinking_level: Option<String>,
}

impl Gemini {
    /// Returns the level to ask a model for; `None` leaves it to the model.
    fn level(&self, model: &str) -> Option<&str> {
        // Others refuse it, or do not know of levels.
        const MINIMAL: [&str; 4] =
            ["gemini-3.5-flash-lite", "gemini-3.1-flash-lite", "gemini-3.6-flash", "gemini-flash-lite"];
        let least = MINIMAL.iter().any(|name| model.starts_with(name)).then_some("MINIMAL");
        self.thinking_level.as_deref().or(least)
    }
}

/// What is asked about are attacks: a filter of dangerous content would block the very lines that matter.
const HARM_CATEGORIES: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

impl Provider for Gemini {
    fn path(&self, model: &str) -> String {
        format!("v1beta/models/{model}:generateContent")
    }

    fn body(&self, model: &str, prompt: &Prompt) -> Value {
        let mut generation = json!({
            "responseMimeType": "application/json",
            "responseJsonSchema": schema(),
            "maxOutputTokens": prompt.max_output_tokens,
        });
        if let Some(level) = self.level(model) {
            generation["thinkingConfig"] = json!({"thinkingLevel": level});
        }
        json!({
            "systemInstruction": {"parts": [{"text": INSTRUCTIONS}]},
            "contents": [{"role": "user", "parts": [{"text": prompt.user}]}],
            "safetySettings": HARM_CATEGORIES.map(|category| json!({"category": category, "threshold": "BLOCK_NONE"})),
            "generationConfig": generation,
            "store": false,
        })
    }

    fn reply(&self, body: &Value, asked_model: &str) -> Result<Reply, Fault> {
        let thoughts = count_at(body, "/usageMetadata/thoughtsTokenCount");
        let usage = counted(Usage {
            prompt: count_at(body, "/usageMetadata/promptTokenCount"),
            cached: count_at(body, "/usageMetadata/cachedContentTokenCount"),
            output: count_at(body, "/usageMetadata/candidatesTokenCount").saturating_add(thoughts),
        });
        let Some(candidate) = body.pointer("/candidates/0") else {
            let is_blocked = body.pointer("/promptFeedback/blockReason").is_some();
            return Err(if is_blocked { Fault::Blocked(usage) } else { Fault::Invalid(usage) });
        };
        match text_at(candidate, "/finishReason") {
            Some("STOP") => {}
            Some("MAX_TOKENS") => return Err(Fault::Truncated(usage)),
            Some(
                "SAFETY" | "RECITATION" | "LANGUAGE" | "OTHER" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII",
            ) => {
                return Err(Fault::Blocked(usage));
            }
            _ => return Err(Fault::Invalid(usage)),
        }
        let parts =
            candidate.pointer("/content/parts").and_then(Value::as_array).ok_or(Fault::Blocked(usage))?;
        let is_thought = |part: &&Value| part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        let text: String =
            parts.iter().filter(|part| !is_thought(part)).filter_map(|part| text_at(part, "/text")).collect();
        let model = model_named(body, "/modelVersion", asked_model);
        Ok(Reply { text, model, usage })
    }

    fn fault(&self, status: u16, body: &Value, hint: Option<Duration>) -> Fault {
        let details = body.pointer("/error/details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_bad_key = details.iter().any(|detail| text_at(detail, "/reason") == Some("API_KEY_INVALID"));
        match status {
            400 if is_bad_key => Fault::Unauthorized,
            // Not in the API's form: something before it did not like the question.
            403 if body.get("error").is_none() => Fault::Blocked(None),
            429 if details.iter().any(is_daily) => Fault::DailyQuota,
            429 => Fault::RateLimited(details.iter().filter_map(retry_delay).chain(hint).max()),
            _ => fault_of_status(status, hint),
        }
    }

    fn thinking_tokens(&self, model: &str) -> u32 {
        match self.level(model) {
            Some("MINIMAL") => 0,
            Some("LOW") => 2_048,
            // It may be the model's default as well.
            None | Some("MEDIUM") => 8_192,
            Some(_) => 16_384,
        }
    }

    fn credential(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-goog-api-key"), "")
    }
}

fn is_daily(detail: &Value) -> bool {
    let violations = detail.get("violations").and_then(Value::as_array);
    violations.is_some_and(|violations| {
        violations
            .iter()
            .any(|violation| text_at(violation, "/quotaId").is_some_and(|quota| quota.contains("PerDay")))
    })
}

/// Reads a `RetryInfo`: a duration as protobuf writes it, such as `45.578569677s`.
fn retry_delay(detail: &Value) -> Option<Duration> {
    let seconds = text_at(detail, "/retryDelay")?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gemini() -> Gemini {
        Gemini { thinking_level: Some("MINIMAL".to_owned()) }
    }

    #[test]
    fn thoughts_are_no_part_of_the_answer() {
        let body = json!({
            "candidates": [{"finishReason": "STOP", "content": {"parts": [
                {"text": "hm", "thought": true}, {"text": "a"}, {"thoughtSignature": "x"}, {"text": "b"}]}}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4},
        });
        let reply = gemini().reply(&body, "asked").unwrap();
        assert_eq!((&*reply.text, &*reply.model), ("ab", "asked"));
        assert_eq!(reply.usage, Some(Usage { prompt: 9, cached: 4, output: 5 }));
    }

    #[test]
    fn whatever_is_no_whole_answer_is_told_by_its_kind() {
        let cases = [
            (json!({}), Fault::Invalid(None)),
            (json!({"candidates": []}), Fault::Invalid(None)),
            (json!({"promptFeedback": {"blockReason": "OTHER"}}), Fault::Blocked(None)),
            (json!({"candidates": [{"finishReason": "SAFETY"}]}), Fault::Blocked(None)),
            (json!({"candidates": [{"finishReason": "STOP"}]}), Fault::Blocked(None)),
            (json!({"candidates": [{"finishReason": "MAX_TOKENS"}]}), Fault::Truncated(None)),
            (json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}), Fault::Invalid(None)),
            (json!({"candidates": [{}]}), Fault::Invalid(None)),
        ];
        for (body, fault) in cases {
            assert_eq!(gemini().reply(&body, "m"), Err(fault), "{body}");
        }
    }

    #[test]
    fn a_model_thinks_as_little_as_it_can_unless_it_is_told_otherwise() {
        let level = |set: Option<&str>, model: &str| {
            Gemini { thinking_level: set.map(str::to_owned) }.level(model).map(str::to_owned)
        };
        assert_eq!(level(None, "gemini-3.5-flash-lite-001").as_deref(), Some("MINIMAL"));
        for model in ["gemini-3.8-flash", "gemini-4-hydrogen", "gemini-2.5-flash-lite", "gemini-flash-latest"]
        {
            assert_eq!(level(None, model), None, "{model}");
            assert_eq!(level(Some("LOW"), model).as_deref(), Some("LOW"), "{model}");
        }
    }

    #[test]
    fn errors_are_told_apart_and_the_longer_hint_counts() {
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        let retry = json!({"error": {"details": [{"retryDelay": "45.5s"}]}});
        let daily = json!({"error": {"details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}]}});
        let bad_key = json!({"error": {"details": [{"reason": "API_KEY_INVALID"}]}});
        let cases = [
            (400, json!({}), None, Fault::Refused(400)),
            (400, bad_key, None, Fault::Unauthorized),
            (401, Value::Null, None, Fault::Unauthorized),
            (402, Value::Null, None, Fault::Unpaid),
            (403, json!({"error": {"status": "PERMISSION_DENIED"}}), None, Fault::Unauthorized),
            (403, json!("<html>"), None, Fault::Blocked(None)),
            (413, Value::Null, None, Fault::Truncated(None)),
            (404, Value::Null, None, Fault::NoSuchModel),
            (429, Value::Null, None, Fault::RateLimited(None)),
            (429, Value::Null, seconds(3.0), Fault::RateLimited(seconds(3.0))),
            (429, retry.clone(), seconds(3.0), Fault::RateLimited(seconds(45.5))),
            (429, retry, seconds(60.0), Fault::RateLimited(seconds(60.0))),
            (429, daily, seconds(3.0), Fault::DailyQuota),
            (429, json!({"error": {"details": [{"retryDelay": "-1s"}]}}), None, Fault::RateLimited(None)),
            (500, Value::Null, None, Fault::Failing(500)),
            (502, json!("<html>"), None, Fault::Failing(502)),
            (302, Value::Null, None, Fault::Refused(302)),
        ];
        for (status, body, hint, fault) in cases {
            assert_eq!(gemini().fault(status, &body, hint), fault, "{status} {body}");
        }
    }
}
