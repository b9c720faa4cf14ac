//! Which model is asked, when, and for how much.

use std::time::Duration;

use reqwest::header::HeaderName;
use sentinelflow_domain::second_opinion::Ask;

use crate::{
    budget::Prices,
    gemini,
    provider::{ApiKey, is_loopback},
};

/// Everything the consultant is to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub provider: ProviderKind,
    /// Without the path that the provider's API adds.
    pub base_url: String,
    /// The path below it, with `{model}` in it, where it is not the API's usual one.
    pub path: Option<String>,
    /// The header that carries the key and what stands before the key, where they are not the API's usual ones.
    pub auth_header: Option<(HeaderName, String)>,
    pub key: Option<ApiKey>,
    pub model: String,
    /// Asked, in this order, when the provider does not have the model.
    pub fallback_models: Vec<String>,
    /// Gemini only: `MINIMAL`, `LOW`, `MEDIUM`, `HIGH` or `XHIGH`; without it as little as the model can do with.
    pub thinking_level: Option<String>,
    pub ask: Ask,
    /// After so long an event is answered for without the model.
    pub timeout: Duration,
    /// After so long a request is given up; its opinion would have come later.
    pub request_timeout: Duration,
    /// How many requests may be under way at the same time.
    pub concurrency: usize,
    /// How many records a request may hold.
    pub batch: usize,
    /// How long the first record of a request waits for others.
    pub batch_wait: Duration,
    /// How many verdicts are held in memory, of all tenants together.
    pub cache_entries: u64,
    /// How long a verdict answers the same question.
    pub cache_ttl: Duration,
    /// Of a tenant, per day from midnight UTC.
    pub tokens_per_day: u64,
    /// Of a tenant, per day, in billionths of a US dollar.
    pub nano_usd_per_day: u64,
    pub prices: Prices,
}

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    Gemini,
    OpenAiCompatible,
}

impl ProviderKind {
    pub const ALL: [Self; 2] = [Self::Gemini, Self::OpenAiCompatible];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAiCompatible => "openai-compatible",
        }
    }
}

impl Settings {
    /// Whether the key, and all that is asked, travels where others can read it.
    pub fn travels_in_the_clear(&self) -> bool {
        self.base_url.starts_with("http://") && !is_loopback(&self.base_url)
    }

    /// Returns what holds where nothing else is said.
    pub fn new(provider: ProviderKind) -> Self {
        let (base_url, model) = match provider {
            ProviderKind::Gemini => (gemini::BASE_URL, gemini::MODEL),
            // Where Ollama listens.
            ProviderKind::OpenAiCompatible => ("http://127.0.0.1:11434/v1", ""),
        };
        Self {
            provider,
            base_url: base_url.to_owned(),
            path: None,
            auth_header: None,
            key: None,
            model: model.to_owned(),
            fallback_models: Vec::new(),
            thinking_level: None,
            ask: Ask::Always,
            timeout: Duration::from_millis(2_500),
            request_timeout: Duration::from_secs(20),
            concurrency: 16,
            batch: 16,
            batch_wait: Duration::from_millis(5),
            cache_entries: 100_000,
            cache_ttl: Duration::from_hours(7 * 24),
            tokens_per_day: 2_000_000,
            nano_usd_per_day: 1_000_000_000,
            prices: Prices::listed(),
        }
    }
}
