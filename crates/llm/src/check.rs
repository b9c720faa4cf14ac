//! Tries a provider out with one harmless record, for whoever sets it up.

use std::time::{Duration, Instant};

use sentinelflow_domain::second_opinion::{ExchangeId, ModelVerdict, Spend};

use crate::{answer::verdicts, consultant::connection, prompt::Prompt, provider::Fault, settings::Settings};

/// What became of a try.
#[derive(Debug)]
pub struct Check {
    pub url: String,
    /// The model that answered, in its provider's words.
    pub model: Option<String>,
    pub duration: Duration,
    pub spent: Spend,
    /// The model's verdict on an everyday line, or why there is none.
    pub verdict: Result<ModelVerdict, String>,
}

/// What is asked about.
const RECORD: &str = r#"{"source":"sshd","graded_by_sender":"INFO","message":"Failed password for ‹user-1› from ‹ip-1:public› port ‹num6› ssh‹#›","detected":[],"graded_by_rules":"NONE"}"#;

/// Asks the configured model once.
pub async fn check(settings: &Settings) -> Result<Check, reqwest::Error> {
    let (provider, sender) = connection(settings)?;
    let url = sender.shown_url(&*provider, &settings.model);
    let failed = |url: String, why: String| Check {
        url,
        model: None,
        duration: Duration::ZERO,
        spent: Spend::default(),
        verdict: Err(why),
    };
    let Ok(prompt) = Prompt::new(std::iter::once(RECORD), provider.thinking_tokens(&settings.model)) else {
        return Ok(failed(url, "there is no randomness to ask with".to_owned()));
    };
    let body = provider.body(&settings.model, &prompt).to_string();
    let started = Instant::now();
    let reply = sender.send(&*provider, &settings.model, &body).await;
    let duration = started.elapsed();
    let reply = match reply {
        Ok(reply) => reply,
        Err(fault) => {
            let usage = fault.usage().unwrap_or_default();
            let spent = settings.prices.spend(&settings.model, &settings.model, usage);
            return Ok(Check { duration, spent, ..failed(url, told(&fault)) });
        }
    };
    let read = verdicts(&reply, &prompt, ExchangeId([0; 16]));
    let verdict = match read {
        Ok(mut verdicts) => {
            verdicts.pop().flatten().ok_or_else(|| "the answer leaves the record out".to_owned())
        }
        Err(unusable) => Err(format!("the answer can't be used: {unusable}")),
    };
    let spent = settings.prices.spend(&reply.model, &settings.model, reply.usage.unwrap_or_default());
    Ok(Check { url, model: Some(reply.model.to_string()), duration, spent, verdict })
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::RateLimited(Some(hint)) => format!("{fault}, in {} s", hint.as_secs()),
        _ => fault.to_string(),
    }
}
