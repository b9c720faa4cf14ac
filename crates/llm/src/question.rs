//! What is asked about an entry: a text in which nothing secret and nothing accidental stands. Whatever a model is to
//! judge by stands in it, so that its hash is the name of the question.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use sentinelflow_domain::{
    analysis::{Analysis, Level},
    log_entry::LogEntry,
    second_opinion::QuestionKey,
};

use crate::{
    mask::{Masker, Placeholder, Words},
    prompt,
};

/// So much of a message and of all metadata is asked about; of the rest the hash is a part of the question's name.
const MOST_TEXT_BYTES: usize = 6 * 1024;
/// So many members of the metadata are asked about.
const MOST_MEMBERS: usize = 64;

/// A question about an entry, the same for every entry that differs only in what is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub key: QuestionKey,
    /// The record as JSON, without a name.
    pub record: String,
    pub placeholders: Vec<Placeholder>,
}

#[derive(Serialize)]
struct Record<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<i64>,
    graded_by_sender: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Members::is_empty")]
    metadata: &'a Members,
    /// What the rules detected, and how grave they hold it.
    detected: Vec<Detected<'a>>,
    graded_by_rules: &'static str,
}

#[derive(Serialize)]
struct Detected<'a> {
    rule: &'a str,
    level: &'static str,
}

#[derive(Debug, Default)]
struct Members(Vec<(String, String)>);

impl Members {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference to the field")]
    fn is_empty(members: &&Self) -> bool {
        members.0.is_empty()
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Question {
    /// Returns what a model of this name is to be asked about an entry.
    pub(crate) fn about(entry: &LogEntry, analysis: &Analysis, model: &str) -> Self {
        let is_detected = analysis.detections.iter().any(|detection| detection.level > Level::Informational);
        let mut masker = Masker::new(if is_detected { Words::Kept } else { Words::Masked });
        let mut rest = Sha256::new();
        let source = masker.text(entry.source.as_str());
        let mut message = masker.text(entry.message.as_str());
        cut(&mut message, MOST_TEXT_BYTES, &mut rest);
        let members = members(entry.metadata.as_str(), &mut masker, &mut rest);
        let detected = analysis.detections.iter();
        let record = Record {
            source: &source,
            event_id: names_a_kind(entry).then_some(entry.event_id),
            graded_by_sender: entry.severity_level.as_str(),
            message: &message,
            metadata: &members,
            detected: detected
                .map(|found| Detected { rule: &found.title, level: found.level.as_str() })
                .collect(),
            graded_by_rules: analysis.score.severity().as_str(),
        };
        let record = serde_json::to_string(&record).expect("texts and numbers are JSON");
        let mut key = Sha256::new();
        let rules = analysis.rule_set.split('+').next().unwrap_or_default();
        for part in [prompt::VERSION, model, &analysis.engine_version, rules, &record] {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        }
        for detection in &analysis.detections {
            key.update((detection.id.len() as u64).to_le_bytes());
            key.update(&*detection.id);
        }
        key.update(rest.finalize());
        Self { key: QuestionKey(key.finalize().into()), record, placeholders: masker.into_placeholders() }
    }
}

/// An event's id names its kind where Windows writes it; elsewhere it may count events.
fn names_a_kind(entry: &LogEntry) -> bool {
    let source = entry.source.as_str().as_bytes();
    let starts_with = |name: &str| {
        source.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    ["Microsoft-Windows", "Windows", "WinEvt", "Security", "Sysmon"].into_iter().any(starts_with)
}

/// Shortens a text and takes what goes into the hash.
fn cut(text: &mut String, most_bytes: usize, rest: &mut Sha256) {
    if text.len() <= most_bytes {
        return;
    }
    // Its end tells more than its middle.
    let head = text.floor_char_boundary(most_bytes * 3 / 4);
    let tail = text.ceil_char_boundary(text.len() - most_bytes / 4);
    rest.update(text.get(head..tail).unwrap_or_default());
    text.replace_range(head..tail, "‹cut›");
}

fn members(metadata: &str, masker: &mut Masker, rest: &mut Sha256) -> Members {
    let mut members = Members::default();
    if metadata.len() <= "{}".len() {
        return members;
    }
    let value: Value = serde_json::from_str(metadata).unwrap_or_else(|_| Value::from(metadata));
    let mut flat = Flat { masker, rest, members: &mut members.0, bytes_left: MOST_TEXT_BYTES };
    flat.add("", &value);
    members
}

struct Flat<'m> {
    masker: &'m mut Masker,
    rest: &'m mut Sha256,
    members: &'m mut Vec<(String, String)>,
    bytes_left: usize,
}

impl Flat<'_> {
    fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(object) => {
                for (member, value) in object {
                    let joined = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                    self.add(&joined, value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(name, item)),
            Value::String(text) => self.put(name, text),
            Value::Bool(_) | Value::Number(_) => self.put(name, &value.to_string()),
        }
    }

    fn put(&mut self, name: &str, value: &str) {
        let mut value = self.masker.member(name, value);
        let is_plain =
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"._-".contains(&byte));
        let mut name = if is_plain { name.to_owned() } else { self.masker.text(name) };
        cut(&mut name, 128, self.rest);
        if self.members.len() >= MOST_MEMBERS || self.bytes_left < name.len() {
            self.rest.update(&name);
            self.rest.update(&value);
            return;
        }
        self.bytes_left -= name.len();
        cut(&mut value, self.bytes_left, self.rest);
        self.bytes_left = self.bytes_left.saturating_sub(value.len());
        self.members.push((name, value));
    }
}

#[cfg(test)]
mod tests;
