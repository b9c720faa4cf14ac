//! Settings of the second opinion: `llm.…`, and the key under its provider's own name.

use std::{fmt, path::Path, time::Duration};

use sentinelflow_domain::second_opinion::Ask;
use sentinelflow_llm::{ApiKey, HeaderName, Price, ProviderKind, Settings};

use super::{Layers, PRICES, whole};

/// Where Google's own tools look for the key.
pub(super) const GEMINI_KEY: &str = "GEMINI_API_KEY";

/// Whether a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    Off(WhyOff),
    On(Box<Settings>),
}

/// Why no model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyOff {
    NoKey,
    AirGapped,
    Never,
}

impl fmt::Display for WhyOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "no language model (there is no key for one): the rules judge alone",
            Self::AirGapped => "air-gapped, no language model: the rules judge alone",
            Self::Never => "no language model (llm.ask is never): the rules judge alone",
        })
    }
}

impl Layers {
    pub(super) fn take_model(&mut self) -> Model {
        let is_air_gapped = self.take("air_gapped", false, |text| {
            text.parse().map_err(|_| format!("'{text}' is neither true nor false"))
        });
        let provider = self.take("llm.provider", ProviderKind::Gemini, provider);
        let usual = Settings::new(provider);
        let key_file = self.take("llm.key_file", None, |file| key_in(Path::new(file)).map(Some));
        let settings = Settings {
            base_url: self.take("llm.base_url", usual.base_url, base_url),
            path: self.take("llm.path", None, |text| Ok(Some(text.to_owned()))),
            auth_header: self.take("llm.auth_header", None, |text| auth_header(text).map(Some)),
            key: key_file.or_else(|| self.key_of(provider)),
            model: self.take("llm.model", usual.model, model_name),
            fallback_models: self.take("llm.fallback_models", Vec::new(), |text| {
                text.split(',').map(|name| model_name(name.trim())).collect()
            }),
            thinking_level: self.take("llm.thinking_level", usual.thinking_level, thinking_level),
            ask: self
                .take("llm.ask", usual.ask, |text| text.parse::<Ask>().map_err(|error| error.to_string())),
            timeout: self.take("llm.timeout_ms", usual.timeout, |text| milliseconds(text, 50)),
            request_timeout: self
                .take("llm.request_timeout_ms", usual.request_timeout, |text| milliseconds(text, 50)),
            concurrency: self.take("llm.concurrency", usual.concurrency, |text| whole(text, 1, 1024)),
            batch: self.take("llm.batch", usual.batch, |text| whole(text, 1, 64)),
            batch_wait: self.take("llm.batch_wait_ms", usual.batch_wait, |text| milliseconds(text, 0)),
            cache_entries: self.take("llm.cache_entries", usual.cache_entries, |text| {
                whole(text, 0, 100_000_000).map(|entries| entries as u64)
            }),
            cache_ttl: self.take("llm.cache_ttl_hours", usual.cache_ttl, |text| {
                whole(text, 1, 24 * 365).map(|hours| Duration::from_hours(hours as u64))
            }),
            tokens_per_day: self.take("llm.tokens_per_day", usual.tokens_per_day, |text| {
                whole(text, 0, 1 << 50).map(|tokens| tokens as u64)
            }),
            nano_usd_per_day: self.take("llm.usd_per_day", usual.nano_usd_per_day, nano_usd),
            ..usual
        };
        let settings = self.take_prices(settings);
        self.checked(provider, is_air_gapped, settings)
    }

    fn checked(&mut self, provider: ProviderKind, is_air_gapped: bool, settings: Settings) -> Model {
        if is_air_gapped {
            return Model::Off(WhyOff::AirGapped);
        }
        match provider {
            ProviderKind::Gemini if settings.key.is_none() => return Model::Off(WhyOff::NoKey),
            ProviderKind::OpenAiCompatible if settings.model.is_empty() => {
                self.faults
                    .push("llm.model: must be given where llm.provider is openai-compatible".to_owned());
            }
            ProviderKind::Gemini | ProviderKind::OpenAiCompatible => {}
        }
        if settings.ask == Ask::Never {
            return Model::Off(WhyOff::Never);
        }
        Model::On(Box::new(settings))
    }

    fn take_prices(&mut self, mut settings: Settings) -> Settings {
        let names: Vec<String> = self.given.keys().filter(|name| name.starts_with(PRICES)).cloned().collect();
        for name in names {
            let given = self.take(&name, None, |text| price(text).map(Some));
            if let (Some(price), Some(model)) = (given, name.strip_prefix(PRICES)) {
                settings.prices.set(model.to_owned(), price);
            }
        }
        settings
    }

    /// A key in the environment is Gemini's: it is given to nobody else.
    fn key_of(&mut self, provider: ProviderKind) -> Option<ApiKey> {
        let key = self.gemini_key.take().filter(|_| provider == ProviderKind::Gemini)?;
        let key = ApiKey::new(key.trim())
            .map_err(|error| self.faults.push(format!("environment {GEMINI_KEY}: {error}")));
        key.ok()
    }
}

/// Reads a key from a file; the file's content is in no message.
fn key_in(file: &Path) -> Result<ApiKey, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("'{}' can't be read: {error}", file.display()))?;
    ApiKey::new(text.trim()).map_err(|error| format!("'{}' holds no key: {error}", file.display()))
}

fn provider(text: &str) -> Result<ProviderKind, String> {
    let text = text.replace('_', "-");
    let known = ProviderKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("'{text}' is neither gemini nor openai-compatible"))
}

/// Gateways in one's own network are often reached without TLS; that is warned of at the start.
fn base_url(text: &str) -> Result<String, String> {
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    // The rest may hold credentials, so it isn't repeated.
    if !is_url || text.contains(['?', '#', '@', ' ']) {
        return Err("must be a URL with http:// or https://, without credentials, query or spaces".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn auth_header(text: &str) -> Result<(HeaderName, String), String> {
    let (name, prefix) = text.split_once(':').unwrap_or((text, ""));
    let name = HeaderName::try_from(name.trim()).map_err(|_| {
        "must be a header's name, or one with what stands before the key: 'Authorization: Bearer'".to_owned()
    })?;
    let prefix = prefix.trim();
    Ok((name, if prefix.is_empty() { String::new() } else { format!("{prefix} ") }))
}

fn model_name(text: &str) -> Result<String, String> {
    let is_name = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte));
    if is_name { Ok(text.to_owned()) } else { Err(format!("'{text}' is not a model's name")) }
}

/// Empty text leaves it to the model.
fn thinking_level(text: &str) -> Result<Option<String>, String> {
    match text.to_ascii_uppercase().as_str() {
        "" => Ok(None),
        level @ ("MINIMAL" | "LOW" | "MEDIUM" | "HIGH" | "XHIGH") => Ok(Some(level.to_owned())),
        _ => Err(format!("'{text}' is none of minimal, low, medium, high and xhigh")),
    }
}

fn milliseconds(text: &str, least: usize) -> Result<Duration, String> {
    whole(text, least, 600_000).map(|milliseconds| Duration::from_millis(milliseconds as u64))
}

/// Reads dollars as billionths of them.
fn nano_usd(text: &str) -> Result<u64, String> {
    scaled(text, 1e9).ok_or_else(|| format!("'{text}' is not an amount of US dollars such as 2.50"))
}

/// Reads what a million tokens cost in dollars: input, output and, if it differs, cached input.
fn price(text: &str) -> Result<Price, String> {
    let parts: Option<Vec<u64>> = text.split_whitespace().map(|part| scaled(part, 1e3)).collect();
    match parts.as_deref() {
        Some([input, output]) => Ok(Price { input: *input, cached_input: *input, output: *output }),
        Some([input, output, cached_input]) => {
            Ok(Price { input: *input, cached_input: *cached_input, output: *output })
        }
        _ => Err(format!(
            "'{text}' is not a price: dollars for a million tokens of input, of output and perhaps of cached input, such as '0.30 2.50 0.03'"
        )),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn scaled(text: &str, scale: f64) -> Option<u64> {
    let amount: f64 = text.parse().ok()?;
    (0.0..=1e6).contains(&amount).then(|| (amount * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Mode};
    use super::*;

    fn model(file: &str, environment: &[(&str, &str)]) -> Result<Model, String> {
        let file = Some(("s.toml".to_owned(), Ok(file.to_owned())));
        let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let config = Config::from_layers(Mode::Serve, file, environment, Vec::new());
        config.map(|config| config.model).map_err(|faults| faults.to_string())
    }

    fn settings(file: &str, environment: &[(&str, &str)]) -> Settings {
        match model(file, environment) {
            Ok(Model::On(settings)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_key_no_model_is_asked() {
        assert_eq!(model("", &[]), Ok(Model::Off(WhyOff::NoKey)));
        assert_eq!(model("", &[(GEMINI_KEY, "")]), Ok(Model::Off(WhyOff::NoKey)));
        let key = [(GEMINI_KEY, "AQ.x")];
        assert_eq!(model("air_gapped = true", &key), Ok(Model::Off(WhyOff::AirGapped)));
        assert_eq!(model("llm.ask = 'never'", &key), Ok(Model::Off(WhyOff::Never)));
    }

    #[test]
    fn a_key_alone_is_enough() {
        let settings = settings("", &[(GEMINI_KEY, " AQ.x\n")]);
        assert_eq!(settings.key, Some(ApiKey::new("AQ.x").unwrap()));
        assert_eq!((&*settings.model, settings.ask), ("gemini-3.5-flash-lite", Ask::Always));
    }

    #[test]
    fn every_setting_reaches_the_model() {
        let file = "[llm]\nprovider = 'openai-compatible'\nbase_url = 'http://10.0.0.9:11434/v1/'\nmodel = 'llama3:8b'\n\
            fallback_models = 'a, b'\nauth_header = 'X-Key: Token'\nusd_per_day = 0.25\ntimeout_ms = 900\n\
            [llm.prices]\n'llama3' = '1 2'";
        let settings = settings(file, &[(GEMINI_KEY, "AQ.x"), ("SENTINELFLOW_LLM__ASK", "uncertain")]);
        assert_eq!(settings.key, None, "Gemini's key is for Gemini");
        assert_eq!(settings.base_url, "http://10.0.0.9:11434/v1");
        assert_eq!(
            (&*settings.model, settings.fallback_models),
            ("llama3:8b", vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(settings.auth_header, Some((HeaderName::from_static("x-key"), "Token ".to_owned())));
        assert_eq!((settings.nano_usd_per_day, settings.timeout), (250_000_000, Duration::from_millis(900)));
        assert_eq!(settings.ask, Ask::Uncertain);
        let mut prices = Settings::new(ProviderKind::OpenAiCompatible).prices;
        prices.set("llama3".to_owned(), Price { input: 1_000, cached_input: 1_000, output: 2_000 });
        assert_eq!(settings.prices, prices);
    }

    #[test]
    fn faults_are_told_without_secrets() {
        let file = "[llm]\nprovider = 'openai-compatible'\nbase_url = 'https://me:secret@host'\nkey_file = '/nowhere'\n\
            ask = 'sometimes'\nusd_per_day = -1\nprices.x = 'cheap'\nthinking_level = 'deep'";
        let faults = model(file, &[("SENTINELFLOW_LLM__MODEL", "two words")]).unwrap_err();
        for place in ["line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "SENTINELFLOW_LLM__MODEL"] {
            assert!(faults.contains(place), "{place}: {faults}");
        }
        assert!(!faults.contains("secret"), "{faults}");
        let faults = model("", &[(GEMINI_KEY, "two secret words")]).unwrap_err();
        assert!(faults.contains(GEMINI_KEY) && !faults.contains("secret"), "{faults}");
    }
}
