//! Settings: defaults → file → environment → flags, parsed into ready types, all faults reported together.
//! The only place that reads the environment.

mod model;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use sentinelflow_domain::tenant::Plan;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

pub use self::model::Model;
use self::model::WhyOff;
use crate::{credentials::OperatorToken, retention::Kept};

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "sentinelflow.toml";
const ENVIRONMENT_PREFIX: &str = "SENTINELFLOW_";

/// Every setting by its name in the file; in the environment `log.filter` is `SENTINELFLOW_LOG__FILTER`.
const SETTINGS: [&str; 34] = [
    "listen",
    "data",
    "store",
    "rules",
    "indicators",
    "operator_token_file",
    "log.filter",
    "log.format",
    "http.max_connections",
    "scan.max_upload_mib",
    "scan.at_once",
    "scan.queued_per_tenant",
    "retention.free_days",
    "retention.pro_days",
    "retention.enterprise_days",
    "air_gapped",
    "llm.provider",
    "llm.base_url",
    "llm.path",
    "llm.auth_header",
    "llm.key_file",
    "llm.model",
    "llm.fallback_models",
    "llm.thinking_level",
    "llm.ask",
    "llm.timeout_ms",
    "llm.request_timeout_ms",
    "llm.concurrency",
    "llm.batch",
    "llm.batch_wait_ms",
    "llm.cache_entries",
    "llm.cache_ttl_hours",
    "llm.tokens_per_day",
    "llm.usd_per_day",
];
/// What a model costs: `llm.prices.MODEL`, for models whose names begin so.
const PRICES: &str = "llm.prices.";

/// What the server runs with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub mode: Mode,
    pub listen: SocketAddr,
    /// Where uploads are spooled, and the store unless `store` says otherwise.
    pub data: PathBuf,
    pub store: StoreLocation,
    /// The operator's rule files, besides those that come with the program: a folder of them, or one.
    pub rules: Option<PathBuf>,
    /// The operator's lists of indicators: a folder of them, those under `tenants/NAME` for one tenant each.
    pub indicators: Option<PathBuf>,
    /// By which `serve` knows an operator; without it nobody is one.
    pub operator_token: Option<OperatorToken>,
    pub log: LogSettings,
    pub max_connections: usize,
    pub max_upload_bytes: u64,
    /// How many scans may compute at the same time.
    pub scans_at_once: usize,
    /// How many scans of one tenant may wait for that.
    pub scans_queued_per_tenant: usize,
    /// How long logs are kept.
    pub kept: Kept,
    pub model: Model,
}

/// Who is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Loopback only; tenants are trusted by the name in the path.
    Dev,
    /// Every caller shows credentials.
    Serve,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    Sqlite(PathBuf),
    Mongo(MongoUrl),
}

impl StoreLocation {
    /// Reads what a command is given: what `--store` takes, a path, or `env:NAME`, which stands for what that variable
    /// of the environment holds.
    pub fn given(name: &str, text: &str) -> Result<Self, ConfigFaults> {
        let fault = |what: String| ConfigFaults(vec![format!("{name}: {what}")]);
        let Some(variable) = text.strip_prefix("env:") else {
            let is_path = !text.is_empty() && !text.contains(':');
            return if is_path { Ok(Self::Sqlite(text.into())) } else { store_location(text).map_err(fault) };
        };
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let held = std::env::var(variable);
        let held = held.map_err(|_| fault(format!("the environment has no variable {variable}")))?;
        store_location(&held).map_err(|what| fault(format!("environment {variable}: {what}")))
    }
}

/// As people are told of it: without what may be a password.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Mongo(_) => f.write_str("mongodb://…"),
        }
    }
}

/// The address of a MongoDB. There may be a password in it: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUrl(String);

impl MongoUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongoUrl(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// In the syntax of tracing's `EnvFilter`, such as `info` or `sentinelflow=debug`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Settings given as flags: names of `SETTINGS` and their text.
pub type Flags = Vec<(&'static str, String)>;

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq, Error)]
pub struct ConfigFaults(Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl Config {
    /// Reads the file, the environment and the flags; later ones win.
    pub fn read(mode: Mode, file: Option<&Path>, flags: Flags) -> Result<Self, ConfigFaults> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let environment = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.to_string_lossy().into_owned())));
        let default_file = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default_file.exists().then_some(default_file));
        let file = file.map(|path| (path.display().to_string(), std::fs::read_to_string(path)));
        Self::from_layers(mode, file, environment, flags)
    }

    fn from_layers(
        mode: Mode,
        file: Option<(String, std::io::Result<String>)>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Flags,
    ) -> Result<Self, ConfigFaults> {
        let mut layers = Layers::default();
        match file {
            Some((path, Ok(text))) => layers.add_file(&path, &text),
            Some((path, Err(error))) => layers.faults.push(format!("{path}: can't be read: {error}")),
            None => {}
        }
        layers.add_environment(environment);
        layers.add_flags(flags);
        layers.into_config(mode)
    }
}

/// The text of a setting and where it was given.
struct Given {
    text: String,
    origin: String,
}

#[derive(Default)]
struct Layers {
    given: BTreeMap<String, Given>,
    /// The key that the environment holds under its provider's name for it.
    gemini_key: Option<String>,
    faults: Vec<String>,
}

impl Layers {
    fn add(&mut self, name: String, text: String, origin: String) {
        if SETTINGS.contains(&name.as_str())
            || name.strip_prefix(PRICES).is_some_and(|model| !model.is_empty())
        {
            self.given.insert(name, Given { text, origin });
        } else {
            self.faults.push(format!(
                "{origin}: unknown setting; the settings are {}, {PRICES}MODEL",
                SETTINGS.join(", ")
            ));
        }
    }

    fn add_file(&mut self, path: &str, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            self.faults.push(format!("{path} line {line}: {}", error.message()));
        }
        self.add_table(path, text, "", table.get_ref());
    }

    fn add_table(&mut self, path: &str, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let origin = format!("{path} line {}: {name}", line_of(text, key.span().start));
            match value.get_ref() {
                DeValue::Table(inner) => self.add_table(path, text, &format!("{name}."), inner),
                DeValue::String(string) => self.add(name, string.to_string(), origin),
                DeValue::Integer(integer) => self.add(name, integer.to_string(), origin),
                DeValue::Float(float) => self.add(name, float.to_string(), origin),
                DeValue::Boolean(boolean) => self.add(name, boolean.to_string(), origin),
                other => self.faults.push(format!(
                    "{origin}: must be a string, a number, true or false, not {}",
                    other.type_str()
                )),
            }
        }
    }

    fn add_environment(&mut self, environment: impl Iterator<Item = (String, String)>) {
        for (variable, text) in environment {
            if variable == model::GEMINI_KEY {
                self.gemini_key = Some(text).filter(|key| !key.is_empty());
            } else if let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) {
                self.add(
                    name.to_ascii_lowercase().replace("__", "."),
                    text,
                    format!("environment {variable}"),
                );
            }
        }
    }

    fn add_flags(&mut self, flags: Flags) {
        for (name, text) in flags {
            self.add(name.to_owned(), text, format!("--{}", name.replace('_', "-")));
        }
    }

    /// Returns the setting as `parse` reads it, `default` if it was not given or is faulty.
    fn take<T>(&mut self, name: &str, default: T, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(Given { text, origin }) = self.given.remove(name) else { return default };
        parse(&text).unwrap_or_else(|fault| {
            self.faults.push(format!("{origin}: {fault}"));
            default
        })
    }

    fn into_config(mut self, mode: Mode) -> Result<Config, ConfigFaults> {
        let data = self.take("data", PathBuf::from("sentinelflow-data"), path);
        let config = Config {
            mode,
            listen: self.take("listen", SocketAddr::from(([127, 0, 0, 1], 8000)), |text| address(mode, text)),
            store: self.take(
                "store",
                StoreLocation::Sqlite(data.join("sentinelflow.sqlite3")),
                store_location,
            ),
            data,
            rules: self.take("rules", None, |text| path(text).map(Some)),
            indicators: self.take("indicators", None, |text| path(text).map(Some)),
            operator_token: self.take("operator_token_file", None, |text| operator_token(text).map(Some)),
            log: LogSettings {
                filter: self.take("log.filter", "info".to_owned(), log_filter),
                format: self.take("log.format", LogFormat::Text, log_format),
            },
            max_connections: self.take("http.max_connections", 10_000, |text| whole(text, 1, 1_000_000)),
            max_upload_bytes: self.take("scan.max_upload_mib", 1024, |text| whole(text, 1, 1 << 20)) as u64
                * (1 << 20),
            scans_at_once: self.take("scan.at_once", 2, |text| whole(text, 1, 64)),
            scans_queued_per_tenant: self.take("scan.queued_per_tenant", 100, |text| whole(text, 1, 100_000)),
            kept: self.take_kept(),
            model: self.take_model(),
        };
        if matches!((&config.store, &config.model), (StoreLocation::Mongo(_), Model::Off(WhyOff::AirGapped)))
        {
            self.faults.push("air_gapped: a MongoDB is reached over the network; use sqlite:PATH".to_owned());
        }
        if self.faults.is_empty() { Ok(config) } else { Err(ConfigFaults(self.faults)) }
    }

    fn take_kept(&mut self) -> Kept {
        let days = |text: &str| whole(text, 2, 36_500).map(Some);
        let plans = [
            (Plan::Free, "retention.free_days"),
            (Plan::Pro, "retention.pro_days"),
            (Plan::Enterprise, "retention.enterprise_days"),
        ];
        let given = plans.map(|(plan, name)| Some((plan, self.take(name, None, days)?)));
        given
            .into_iter()
            .flatten()
            .map(|(plan, days)| (plan, u32::try_from(days).unwrap_or(u32::MAX)))
            .collect()
    }
}

/// Returns the line, counted from 1, that byte `offset` of `text` lies in.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

fn address(mode: Mode, text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.parse(), |port| format!("127.0.0.1:{port}").parse())
        .map_err(|_| format!("'{text}' is not an address with a port, such as 127.0.0.1:8000"))?;
    if mode == Mode::Dev && !address.ip().is_loopback() {
        return Err(format!(
            "'{text}' is not loopback; dev asks for no credentials and so listens on loopback only (use serve)"
        ));
    }
    Ok(address)
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must name a folder".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn operator_token(file: &str) -> Result<OperatorToken, String> {
    OperatorToken::read(Path::new(file)).map_err(|error| format!("'{file}' {error}"))
}

fn store_location(text: &str) -> Result<StoreLocation, String> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            Ok(StoreLocation::Sqlite(path.strip_prefix("//").unwrap_or(path).into()))
        }
        Some(("mongodb" | "mongodb+srv", rest))
            if rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty()) =>
        {
            Ok(StoreLocation::Mongo(MongoUrl(text.to_owned())))
        }
        // It may hold a password, so it isn't repeated.
        _ => Err("must be sqlite:PATH or mongodb://…".to_owned()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
    parsed.map(|_| text.to_owned()).map_err(|error| format!("'{text}' is not a filter: {error}"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("'{text}' is neither text nor json")),
    }
}

fn whole(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("'{text}' is not a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        mode: Mode,
        file: &str,
        environment: &[(&str, &str)],
        flags: Flags,
    ) -> Result<Config, Vec<String>> {
        let file = (!file.is_empty()).then(|| ("s.toml".to_owned(), Ok(file.to_owned())));
        let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Config::from_layers(mode, file, environment, flags).map_err(|faults| faults.0)
    }

    #[test]
    fn without_settings_it_listens_on_loopback_and_keeps_its_data_beside_itself() {
        let config = read(Mode::Dev, "", &[("PATH", "/bin")], vec![]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.store, StoreLocation::Sqlite("sentinelflow-data/sentinelflow.sqlite3".into()));
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let file = "listen = '127.0.0.1:1'\ndata = 'from-file'\n[log]\nfilter = 'debug'\n[scan]\nat_once = 3";
        let environment = [("SENTINELFLOW_LISTEN", "127.0.0.1:2"), ("SENTINELFLOW_LOG__FILTER", "warn")];
        let config = read(Mode::Serve, file, &environment, vec![("listen", "127.0.0.1:3".into())]).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.log.filter, "warn");
        assert_eq!(config.data, PathBuf::from("from-file"));
        assert_eq!(config.scans_at_once, 3);
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_place() {
        let file = "listen = 'nowhere'\n\ncolour = 'red'\n[scan]\nat_once = 0\nmax_upload_mib = []";
        let environment =
            [("SENTINELFLOW_STORE", "mongo://user:secret@host"), ("SENTINELFLOW_LOG__FORMAT", "xml")];
        let faults = read(Mode::Serve, file, &environment, vec![]).unwrap_err();
        let expected = [
            "s.toml line 1: listen:",
            "s.toml line 3: colour: unknown setting",
            "s.toml line 5: scan.at_once:",
            "s.toml line 6: scan.max_upload_mib: must be a string, a number, true or false",
            "environment SENTINELFLOW_STORE:",
            "environment SENTINELFLOW_LOG__FORMAT:",
        ];
        for start in expected {
            assert!(faults.iter().any(|fault| fault.starts_with(start)), "{start} is missing in {faults:#?}");
        }
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        assert!(!faults.concat().contains("secret"));
    }

    #[test]
    fn broken_toml_is_told_with_its_line() {
        let faults = read(Mode::Serve, "data = 'x'\nlisten = = 3\n", &[], vec![]).unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with("s.toml line 2:")), "{faults:#?}");
    }

    #[test]
    fn dev_refuses_to_listen_beyond_loopback() {
        for (text, is_loopback) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("0.0.0.0:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(
                read(Mode::Dev, "", &[], vec![("listen", text.into())]).is_ok(),
                is_loopback,
                "{text}"
            );
            assert!(read(Mode::Serve, "", &[], vec![("listen", text.into())]).is_ok(), "{text}");
        }
    }
}
