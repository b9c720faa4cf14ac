//! What every provider is to the consultant: text in, text out. Building a request and reading a response are pure; one
//! sender carries both.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sentinelflow_domain::analysis::Degraded;
use serde_json::Value;
use thiserror::Error;

use crate::prompt::Prompt;

/// One API that language models are asked by.
pub(crate) trait Provider: Send + Sync {
    /// Returns where a model is asked, below the base URL.
    fn path(&self, model: &str) -> String;

    /// Returns the body of a request.
    fn body(&self, model: &str, prompt: &Prompt) -> Value;

    /// Reads the body of a response with status 200.
    fn reply(&self, body: &Value, asked_model: &str) -> Result<Reply, Fault>;

    /// Reads any other response. `hint` is what the headers say of trying again.
    fn fault(&self, status: u16, body: &Value, hint: Option<Duration>) -> Fault;

    /// How many tokens the model may think for: they count as output, and would else leave none for the answer.
    fn thinking_tokens(&self, _model: &str) -> u32 {
        0
    }

    /// The header that carries the key by default, and what stands before the key in it.
    fn credential(&self) -> (HeaderName, &'static str);
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub text: String,
    /// The model that answered, in its provider's words.
    pub model: Arc<str>,
    pub usage: Option<Usage>,
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// Of the prompt, the cached ones included.
    pub prompt: u64,
    pub cached: u64,
    /// Of the answer, thinking included.
    pub output: u64,
}

/// Returns the name of the model that answered, as the provider tells it, if it could be one.
pub(crate) fn model_named(body: &Value, pointer: &str, asked: &str) -> Arc<str> {
    const MOST_BYTES: usize = 128;
    let is_name = |name: &&str| {
        (1..=MOST_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    text_at(body, pointer).filter(is_name).unwrap_or(asked).into()
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("the provider can't be reached")]
    Unreachable,
    #[error("the provider did not answer in time")]
    TimedOut,
    #[error("the provider failed with status {0}")]
    Failing(u16),
    #[error("the provider asks for fewer requests")]
    RateLimited(Option<Duration>),
    #[error("the provider's quota for the day is used up")]
    DailyQuota,
    #[error("the provider wants to be paid first")]
    Unpaid,
    #[error("the provider does not accept the key")]
    Unauthorized,
    #[error("the provider does not have this model")]
    NoSuchModel,
    #[error("the provider does not accept the request (status {0})")]
    Refused(u16),
    /// By the provider, by the model, or by something that stands before both.
    #[error("the provider blocked the question or the answer")]
    Blocked(Option<Usage>),
    #[error("the answer was cut off")]
    Truncated(Option<Usage>),
    #[error("the answer is not what was asked for")]
    Invalid(Option<Usage>),
}

impl Fault {
    pub(crate) fn degraded(&self) -> Degraded {
        match self {
            Self::Unreachable | Self::Failing(_) => Degraded::ModelUnavailable,
            Self::TimedOut => Degraded::ModelTimeout,
            Self::RateLimited(_) => Degraded::ModelRateLimited,
            Self::DailyQuota => Degraded::ModelQuota,
            Self::Unpaid => Degraded::ModelUnpaid,
            Self::Unauthorized => Degraded::ModelUnauthorized,
            Self::NoSuchModel => Degraded::ModelNotFound,
            Self::Refused(_) => Degraded::ModelRefused,
            Self::Blocked(_) => Degraded::ModelBlocked,
            Self::Truncated(_) => Degraded::ModelTruncated,
            Self::Invalid(_) => Degraded::ModelAnswerInvalid,
        }
    }

    /// Whether the same request may be answered if it is sent again.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Failing(_) | Self::RateLimited(_))
    }

    /// Tokens that were used nevertheless.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Blocked(usage) | Self::Truncated(usage) | Self::Invalid(usage) => *usage,
            _ => None,
        }
    }
}

/// A provider's key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(HeaderValue);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is one line of visible characters")]
pub struct InvalidApiKey;

impl ApiKey {
    /// Keys have no shape that could be relied on: any line of visible characters may be one.
    pub fn new(key: &str) -> Result<Self, InvalidApiKey> {
        let is_line = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        let value = is_line.then(|| HeaderValue::from_str(key).ok()).flatten();
        value.map(|value| Self(sensitive(value))).ok_or(InvalidApiKey)
    }

    fn behind(&self, prefix: &str) -> HeaderValue {
        let value = [prefix.as_bytes(), self.0.as_bytes()].concat();
        sensitive(HeaderValue::from_bytes(&value).unwrap_or_else(|_| self.0.clone()))
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Carries requests to one provider over connections that stay open.
pub(crate) struct Sender {
    client: reqwest::Client,
    headers: HeaderMap,
    base_url: String,
    path: Option<String>,
}

/// More than any answer that was asked for; a longer one is not read to its end.
const MOST_ANSWER_BYTES: usize = 512 * 1024;
/// Of another response only its beginning matters.
const MOST_FAULT_BYTES: usize = 16 * 1024;

/// What the sender is to know.
pub(crate) struct Destination<'s> {
    pub base_url: &'s str,
    /// The path below it with `{model}` in it, if it is not the provider's usual one.
    pub path: Option<&'s str>,
    /// The header of the key and what stands before the key, if they are not the provider's usual ones.
    pub auth_header: Option<(HeaderName, String)>,
    pub key: Option<&'s ApiKey>,
    /// How long one request may take.
    pub request_timeout: Duration,
}

impl Sender {
    pub(crate) fn new(provider: &dyn Provider, to: Destination<'_>) -> Result<Self, reqwest::Error> {
        // A second call in one process finds the first one's choice.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut headers = HeaderMap::new();
        headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = to.key {
            let (usual, prefix) = provider.credential();
            let (name, prefix) = to.auth_header.unwrap_or((usual, prefix.to_owned()));
            headers.insert(name, key.behind(&prefix));
        }
        let mut client = reqwest::Client::builder()
            // A redirect would carry the question to where nobody configured it to go.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(to.request_timeout.min(Duration::from_secs(5)))
            .timeout(to.request_timeout)
            .user_agent(concat!("sentinelflow/", env!("CARGO_PKG_VERSION")));
        if is_loopback(to.base_url) {
            // What is on this machine is not asked by way of another.
            client = client.no_proxy();
        }
        let client = client.build()?;
        Ok(Self {
            client,
            headers,
            base_url: to.base_url.trim_end_matches('/').to_owned(),
            path: to.path.map(str::to_owned),
        })
    }

    /// Returns where a model is asked, for people: without a query, which may hold a key.
    pub(crate) fn shown_url(&self, provider: &dyn Provider, model: &str) -> String {
        let url = self.url(provider, model);
        url.split_once('?').map_or(url.clone(), |(place, _)| place.to_owned())
    }

    /// Returns where a model is asked.
    fn url(&self, provider: &dyn Provider, model: &str) -> String {
        let path = match &self.path {
            Some(path) => path.replace("{model}", model),
            None => provider.path(model),
        };
        format!("{}/{}", self.base_url, path.trim_start_matches('/'))
    }

    /// Sends a body once.
    pub(crate) async fn send(
        &self,
        provider: &dyn Provider,
        model: &str,
        body: &str,
    ) -> Result<Reply, Fault> {
        let request =
            self.client.post(self.url(provider, model)).headers(self.headers.clone()).body(body.to_owned());
        let mut response = request.send().await.map_err(|error| fault_of(&error))?;
        let status = response.status().as_u16();
        let hint = retry_after(response.headers());
        let most = if status == 200 { MOST_ANSWER_BYTES } else { MOST_FAULT_BYTES };
        let mut bytes = Vec::new();
        while bytes.len() <= most
            && let Some(chunk) = response.chunk().await.map_err(|error| fault_of(&error))?
        {
            bytes.extend_from_slice(&chunk);
        }
        if status == 200 && bytes.len() > most {
            return Err(Fault::Invalid(None));
        }
        let body = serde_json::from_slice(&bytes);
        if status != 200 {
            // A proxy may answer with a page, and a gateway with a list of one.
            let body = match body.unwrap_or(Value::Null) {
                Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
                body => body,
            };
            return Err(provider.fault(status, &body, hint));
        }
        provider.reply(&body.map_err(|_| Fault::Invalid(None))?, model)
    }
}

/// Whether a URL leads to this machine itself.
pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
        None => false,
    }
}

fn fault_of(error: &reqwest::Error) -> Fault {
    if error.is_timeout() { Fault::TimedOut } else { Fault::Unreachable }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a moment by the provider's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    Some(moment.duration_since(httpdate::parse_http_date(date).ok()?).unwrap_or_default())
}

/// Reads a fault that every provider tells by the status alone.
pub(crate) fn fault_of_status(status: u16, hint: Option<Duration>) -> Fault {
    match status {
        401 | 403 => Fault::Unauthorized,
        402 => Fault::Unpaid,
        404 => Fault::NoSuchModel,
        408 | 500..=599 => Fault::Failing(status),
        // It is too long.
        413 => Fault::Truncated(None),
        429 => Fault::RateLimited(hint),
        _ => Fault::Refused(status),
    }
}

/// Returns a text inside a JSON value.
pub(crate) fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str()
}

/// Returns what a provider counted, if it did.
pub(crate) fn counted(usage: Usage) -> Option<Usage> {
    (usage != Usage::default()).then_some(usage)
}

/// Returns a number inside a JSON value, 0 if there is none.
pub(crate) fn count_at(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = ApiKey::new("AQ.very-secret").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.behind("Bearer ")), "ApiKey(…) Sensitive");
        for wrong in ["", "two words", "line\nbreak", "ключ"] {
            assert_eq!(ApiKey::new(wrong), Err(InvalidApiKey));
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for url in ["http://127.0.0.1:9/v1", "http://localhost", "https://[::1]:8", "http://127.9.9.9"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://10.0.0.1", "https://example.org", "http://localhost.example.org", "nonsense"] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_models_name_is_a_word() {
        let named = |name: &str| model_named(&serde_json::json!({"m": name}), "/m", "asked");
        assert_eq!(&*named("gemini-3.6-flash"), "gemini-3.6-flash");
        for wrong in ["", "two words", "line\nbreak", "\u{1b}[2J", &"x".repeat(129), "modèle"] {
            assert_eq!(&*named(wrong), "asked", "{wrong}");
        }
    }

    #[test]
    fn a_hint_is_seconds_or_a_moment_by_the_providers_clock() {
        let hint = |date: &'static str, after: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("date", HeaderValue::from_static(date));
            headers.insert("retry-after", HeaderValue::from_static(after));
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let now = "Sat, 31 Jan 2026 08:00:00 GMT";
        assert_eq!(hint(now, "7"), Some(7));
        assert_eq!(hint(now, "Sat, 31 Jan 2026 08:00:09 GMT"), Some(9));
        assert_eq!(hint(now, "Sat, 31 Jan 2026 07:00:00 GMT"), Some(0));
        assert_eq!(hint(now, "soon"), None);
    }
}
