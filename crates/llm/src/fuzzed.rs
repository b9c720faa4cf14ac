//! What the fuzz targets reach into: the readers of outside text, each by itself. No part of the interface.

use sentinelflow_domain::second_opinion::{ExchangeId, ModelVerdict};
use serde_json::Value;

use crate::{
    answer::verdicts,
    gemini::Gemini,
    mask::{Masker, Words},
    openai_compatible::OpenAiCompatible,
    prompt::Prompt,
    provider::Provider,
};

/// The names of the records that a fuzzed answer may speak of.
pub const RECORDS: [&str; 2] = ["r1", "r2"];
/// What no fuzzed answer that is used may hold.
pub const CANARY: &str = "canary";

/// Reads a response's body as both providers' answer to a question about `RECORDS`; returns the verdicts that are used.
pub fn answer(status: u16, body: &[u8]) -> Vec<ModelVerdict> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let prompt = Prompt {
        user: String::new(),
        ids: RECORDS.map(Into::into).into(),
        canary: CANARY.to_owned(),
        max_output_tokens: 1,
    };
    let providers: [&dyn Provider; 2] = [&Gemini { thinking_level: None }, &OpenAiCompatible];
    let mut used = Vec::new();
    for provider in providers {
        if status != 200 {
            // Every fault has its name.
            assert!(!provider.fault(status, &body, None).degraded().as_str().is_empty());
        } else if let Ok(reply) = provider.reply(&body, "model")
            && let Ok(verdicts) = verdicts(&reply, &prompt, ExchangeId([0; 16]))
        {
            used.extend(verdicts.into_iter().flatten());
        }
    }
    used
}

/// Returns a text as it may leave, and the values that stay here.
pub fn masked(text: &str) -> (String, Vec<String>) {
    let mut masker = Masker::new(Words::Masked);
    let mut written = String::new();
    masker.text(text, &mut written);
    if masker.may_have_missed_some(&[text]) {
        masker = masker.knowing_its_secrets();
        written.clear();
        masker.text(text, &mut written);
    }
    let secrets = masker.into_placeholders().secrets().map(str::to_owned).collect();
    (written, secrets)
}

/// Returns where a text's secrets are, and what they are called.
pub fn secrets(text: &str) -> Vec<(std::ops::Range<usize>, &'static str)> {
    let secrets = crate::redact::secrets(text).into_iter();
    secrets.map(|secret| (secret.range, secret.kind.name())).collect()
}
