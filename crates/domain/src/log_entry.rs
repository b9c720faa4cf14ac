//! A log entry as a tenant pushed it: bounded, and kept word for word.

use std::{collections::HashSet, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::time::Timestamp;

/// The longest source, in characters.
pub const SOURCE_MAX_CHARS: usize = 256;
/// The longest message, in bytes of UTF-8.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// The longest metadata object, in bytes of JSON text.
pub const METADATA_MAX_BYTES: usize = 64 * 1024;
/// How deep metadata may nest; `{}` alone is depth 1.
pub const METADATA_MAX_DEPTH: usize = 32;

/// One event from a firewall, a gateway, an identity provider or a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub source: Source,
    pub event_id: i64,
    pub severity_level: SeverityLevel,
    pub message: Message,
    pub metadata: Metadata,
    /// When the origin says that it happened.
    pub timestamp: Option<Timestamp>,
}

/// The system an entry comes from, such as `AWS WAF`: 1 to 256 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to {SOURCE_MAX_CHARS} characters, not {0}")]
pub struct InvalidSource(usize);

impl Source {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Source {
    type Error = InvalidSource;

    fn try_from(raw: String) -> Result<Self, InvalidSource> {
        match raw.chars().count() {
            1..=SOURCE_MAX_CHARS => Ok(Self(raw.into())),
            chars => Err(InvalidSource(chars)),
        }
    }
}

/// The raw log text: 1 byte to 64 KiB of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to {MESSAGE_MAX_BYTES} bytes of UTF-8, not {0}")]
pub struct InvalidMessage(usize);

impl Message {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Message {
    type Error = InvalidMessage;

    fn try_from(raw: String) -> Result<Self, InvalidMessage> {
        match raw.len() {
            1..=MESSAGE_MAX_BYTES => Ok(Self(raw.into())),
            bytes => Err(InvalidMessage(bytes)),
        }
    }
}

/// The sender's own grading of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SeverityLevel {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be INFO, WARNING or CRITICAL (or the syslog names DEBUG, NOTICE, ERROR, ALERT, EMERGENCY)")]
pub struct InvalidSeverityLevel;

impl SeverityLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

impl FromStr for SeverityLevel {
    type Err = InvalidSeverityLevel;

    /// Reads a level in any case; syslog's severities (RFC 5424 §6.2.1) are mapped onto the three.
    fn from_str(raw: &str) -> Result<Self, InvalidSeverityLevel> {
        const NAMES: [(&str, SeverityLevel); 8] = [
            ("INFO", SeverityLevel::Info),
            ("WARNING", SeverityLevel::Warning),
            ("CRITICAL", SeverityLevel::Critical),
            ("DEBUG", SeverityLevel::Info),
            ("NOTICE", SeverityLevel::Info),
            ("ERROR", SeverityLevel::Warning),
            ("ALERT", SeverityLevel::Critical),
            ("EMERGENCY", SeverityLevel::Critical),
        ];
        let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(raw));
        known.map(|(_, level)| *level).ok_or(InvalidSeverityLevel)
    }
}

/// A bounded JSON object, kept as the text that was sent so that no digit of it is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidMetadata {
    #[error("must be a JSON object")]
    NotAnObject,
    #[error("must be at most {METADATA_MAX_BYTES} bytes of JSON, not {0}")]
    TooLong(usize),
    #[error("must nest at most {METADATA_MAX_DEPTH} deep")]
    TooDeep,
    #[error("is not valid JSON: {0}")]
    Malformed(String),
}

impl Metadata {
    /// Checks the text of a JSON object and keeps it as it is.
    pub fn parse(raw: &str) -> Result<Self, InvalidMetadata> {
        Self::with_extra(raw, &[])
    }

    /// Checks the text of a JSON object and adds members to it: `extra` holds names and values as JSON text.
    /// A name that is taken becomes `top_level.NAME`, as often as it takes, so that none hides another.
    pub fn with_extra(raw: &str, extra: &[(&str, &RawValue)]) -> Result<Self, InvalidMetadata> {
        let raw = raw.trim();
        let names = checked_names(raw, !extra.is_empty())?;
        if extra.is_empty() {
            return Ok(Self(raw.into()));
        }
        // Checked before any name is: what is kept is short, however much was sent.
        let added: usize =
            extra.iter().map(|(name, value)| r#","":"#.len() + name.len() + value.get().len()).sum();
        let length = raw.len() + added - usize::from(names.is_empty());
        if length > METADATA_MAX_BYTES {
            return Err(InvalidMetadata::TooLong(length));
        }
        let mut object = raw.strip_suffix('}').ok_or(InvalidMetadata::NotAnObject)?.to_owned();
        let mut separator = if names.is_empty() { "" } else { "," };
        let mut names: HashSet<String> = names.into_iter().collect();
        for (name, value) in extra {
            let mut name = (*name).to_owned();
            while names.contains(&name) {
                name.insert_str(0, "top_level.");
            }
            object.push_str(separator);
            object.push_str(&serde_json::Value::from(&*name).to_string());
            names.insert(name);
            object.push(':');
            object.push_str(value.get());
            separator = ",";
        }
        object.push('}');
        checked_names(&object, false)?;
        Ok(Self(object.into()))
    }

    /// Returns the JSON text of the object.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.trim_start_matches('{').trim_start().starts_with('}')
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self("{}".into())
    }
}

/// Checks the bounds; returns the names of the outermost members if they are wanted.
fn checked_names(raw: &str, wanted: bool) -> Result<Vec<String>, InvalidMetadata> {
    if !raw.starts_with('{') {
        return Err(InvalidMetadata::NotAnObject);
    }
    if raw.len() > METADATA_MAX_BYTES {
        return Err(InvalidMetadata::TooLong(raw.len()));
    }
    let mut names = Vec::new();
    let mut json = serde_json::Deserializer::from_str(raw);
    let bounds = Bounds { depth_left: METADATA_MAX_DEPTH, names: wanted.then_some(&mut names) };
    let checked = bounds.deserialize(&mut json).and_then(|()| json.end());
    match checked {
        Ok(()) => Ok(names),
        Err(error) if error.to_string().starts_with(TOO_DEEP) => Err(InvalidMetadata::TooDeep),
        Err(error) => Err(InvalidMetadata::Malformed(error.to_string())),
    }
}

const TOO_DEEP: &str = "nested too deep";

/// Walks a JSON value, decoding every string and number in it, down to a limited depth.
struct Bounds<'n> {
    depth_left: usize,
    names: Option<&'n mut Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Bounds<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Bounds<'_> {
    fn inner<E: de::Error>(&self) -> Result<Bounds<'static>, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))?;
        Ok(Bounds { depth_left, names: None })
    }
}

impl<'de> Visitor<'de> for Bounds<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.inner::<A::Error>()?;
        while seq.next_element_seed(self.inner()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            let has_member = match &mut self.names {
                Some(names) => map.next_key()?.map(|name| names.push(name)).is_some(),
                // Nobody wants the name, which is checked like any other text.
                None => map.next_key_seed(self.inner()?)?.is_some(),
            };
            if !has_member {
                return Ok(());
            }
            map.next_value_seed(self.inner()?)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn metadata_is_kept_to_the_digit() {
        let raw = r#"{"id": 123456789012345678901234567890, "ratio": 0.10}"#;
        assert_eq!(Metadata::parse(raw).unwrap().as_str(), raw);
    }

    #[test]
    fn metadata_out_of_bounds_is_refused_with_the_reason() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(METADATA_MAX_BYTES));
        let cases = [
            ("[]", InvalidMetadata::NotAnObject),
            ("null", InvalidMetadata::NotAnObject),
            (&long, InvalidMetadata::TooLong(long.len())),
            (&nested(METADATA_MAX_DEPTH + 1), InvalidMetadata::TooDeep),
        ];
        for (raw, reason) in cases {
            assert_eq!(Metadata::parse(raw), Err(reason));
        }
        assert!(Metadata::parse(&nested(METADATA_MAX_DEPTH)).is_ok());
        for raw in [r#"{"a":1e999}"#, r#"{"a":"\ud800"}"#, r#"{"\ud800":1}"#, r#"{"a":1}}"#, r#"{"a""#] {
            assert!(matches!(Metadata::parse(raw), Err(InvalidMetadata::Malformed(_))), "{raw}");
        }
    }

    #[test]
    fn extra_fields_join_the_metadata_and_hide_nothing() {
        let value: Box<RawValue> = serde_json::from_str(r#""x""#).unwrap();
        let cases = [
            ("{}", r#"{"ip":"x"}"#),
            (r#"{ "a" : 1 }"#, r#"{ "a" : 1 ,"ip":"x"}"#),
            (r#"{"ip":1}"#, r#"{"ip":1,"top_level.ip":"x"}"#),
            (r#"{"ip":1,"top_level.ip":2}"#, r#"{"ip":1,"top_level.ip":2,"top_level.top_level.ip":"x"}"#),
        ];
        for (raw, joined) in cases {
            assert_eq!(Metadata::with_extra(raw, &[("ip", &value)]).unwrap().as_str(), joined);
        }
    }

    #[test]
    fn levels_are_read_in_any_case_and_syslog_names_are_mapped() {
        let cases = [
            ("info", SeverityLevel::Info),
            ("Warning", SeverityLevel::Warning),
            ("CRITICAL", SeverityLevel::Critical),
            ("notice", SeverityLevel::Info),
            ("error", SeverityLevel::Warning),
            ("Emergency", SeverityLevel::Critical),
        ];
        for (raw, level) in cases {
            assert_eq!(raw.parse(), Ok(level), "{raw}");
        }
        assert_eq!("fatal".parse::<SeverityLevel>(), Err(InvalidSeverityLevel));
    }

    #[test]
    fn texts_are_bounded() {
        assert!(Source::try_from("é".repeat(SOURCE_MAX_CHARS)).is_ok());
        assert_eq!(Source::try_from("x".repeat(257)), Err(InvalidSource(257)));
        assert_eq!(Source::try_from(String::new()), Err(InvalidSource(0)));
        assert!(Message::try_from("x".repeat(MESSAGE_MAX_BYTES)).is_ok());
        assert_eq!(Message::try_from("x".repeat(65_537)), Err(InvalidMessage(65_537)));
    }
}
