//! `/chat/completions` as `OpenAI` defined it and Ollama, vLLM, llama.cpp and gateways speak it.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::{Value, json};

use crate::{
    prompt::{INSTRUCTIONS, Prompt, schema},
    provider::{Fault, Provider, Reply, Usage, count_at, counted, fault_of_status, model_named, text_at},
};

pub(crate) struct OpenAiCompatible;

impl Provider for OpenAiCompatible {
    fn path(&self, _: &str) -> String {
        "chat/completions".to_owned()
    }

    fn body(&self, model: &str, prompt: &Prompt) -> Value {
        json!({
            "model": model,
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": prompt.user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdicts", "strict": true, "schema": strict(schema())},
            },
            "max_tokens": prompt.max_output_tokens,
        })
    }

    fn reply(&self, body: &Value, asked_model: &str) -> Result<Reply, Fault> {
        let usage = counted(Usage {
            prompt: count_at(body, "/usage/prompt_tokens"),
            cached: count_at(body, "/usage/prompt_tokens_details/cached_tokens"),
            output: count_at(body, "/usage/completion_tokens"),
        });
        match text_at(body, "/choices/0/finish_reason") {
            Some("stop") => {}
            Some("length") => return Err(Fault::Truncated(usage)),
            Some("content_filter") => return Err(Fault::Blocked(usage)),
            _ => return Err(Fault::Invalid(usage)),
        }
        let message = body.pointer("/choices/0/message").ok_or(Fault::Invalid(usage))?;
        if text_at(message, "/refusal").is_some() {
            return Err(Fault::Blocked(usage));
        }
        let text = text_at(message, "/content").ok_or(Fault::Blocked(usage))?.to_owned();
        let model = model_named(body, "/model", asked_model);
        Ok(Reply { text, model, usage })
    }

    fn fault(&self, status: u16, body: &Value, hint: Option<Duration>) -> Fault {
        let codes = ["/error/code", "/error/type"].map(|pointer| text_at(body, pointer));
        match status {
            429 if codes.contains(&Some("insufficient_quota")) => Fault::Unpaid,
            400 if codes.contains(&Some("invalid_api_key")) => Fault::Unauthorized,
            400 if codes.contains(&Some("model_not_found")) => Fault::NoSuchModel,
            400 if codes.contains(&Some("content_filter")) => Fault::Blocked(None),
            400 if codes.contains(&Some("context_length_exceeded")) => Fault::Truncated(None),
            // Not in the API's form: something before it did not like the question.
            403 if body.get("error").is_none() => Fault::Blocked(None),
            _ => fault_of_status(status, hint),
        }
    }

    fn credential(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }
}

/// Strict schemas ask that every member be required and no other be there.
fn strict(mut schema: Value) -> Value {
    if let Value::Object(object) = &mut schema {
        if let Some(Value::Object(members)) = object.get("properties") {
            let names: Vec<Value> = members.keys().cloned().map(Value::from).collect();
            object.insert("required".to_owned(), names.into());
            object.insert("additionalProperties".to_owned(), false.into());
        }
        let inner: Vec<(String, Value)> =
            object.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in inner {
            object.insert(name, strict(value));
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_a_strict_schema_is_required() {
        let schema = strict(schema());
        let item = schema.pointer("/properties/verdicts/items").unwrap();
        assert_eq!(item["required"].as_array().unwrap().len(), item["properties"].as_object().unwrap().len());
        assert_eq!(
            (&item["additionalProperties"], &schema["required"]),
            (&json!(false), &json!(["verdicts"]))
        );
    }

    #[test]
    fn whatever_is_no_whole_answer_is_told_by_its_kind() {
        let choice = |reason: &str, message: Value| json!({"choices": [{"finish_reason": reason, "message": message}]});
        let cases = [
            (json!({}), Fault::Invalid(None)),
            (choice("length", json!({})), Fault::Truncated(None)),
            (choice("content_filter", json!({})), Fault::Blocked(None)),
            (choice("stop", json!({"content": null})), Fault::Blocked(None)),
            (choice("stop", json!({"content": "", "refusal": "no"})), Fault::Blocked(None)),
            (choice("tool_calls", json!({"content": "x"})), Fault::Invalid(None)),
        ];
        for (body, fault) in cases {
            assert_eq!(OpenAiCompatible.reply(&body, "m"), Err(fault), "{body}");
        }
    }

    #[test]
    fn codes_may_be_numbers_or_texts() {
        let error = |code: Value| json!({"error": {"message": "x", "type": "y", "code": code}});
        for (status, code, fault) in [
            (429, json!("insufficient_quota"), Fault::Unpaid),
            (429, json!(429), Fault::RateLimited(Some(Duration::from_secs(2)))),
            (401, json!("invalid_api_key"), Fault::Unauthorized),
            (404, json!(404), Fault::NoSuchModel),
            (503, Value::Null, Fault::Failing(503)),
        ] {
            let hint = Some(Duration::from_secs(2));
            assert_eq!(OpenAiCompatible.fault(status, &error(code.clone()), hint), fault, "{status} {code}");
        }
    }
}
