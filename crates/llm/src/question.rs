//! What is asked about an entry: a text in which nothing secret and nothing accidental stands. Whatever a model is to
//! judge by stands in it, so that its hash is the name of the question.

use serde::{Serialize, Serializer};
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

/// What may be asked about an entry, the same for every entry that differs only in what is masked. It is cheap: most are
/// never asked, because their answer is remembered.
#[derive(Debug)]
pub(crate) struct Draft {
    pub key: QuestionKey,
    pub placeholders: Vec<Placeholder>,
    texts: Texts,
}

/// A question that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub key: QuestionKey,
    /// The record as JSON, without a name.
    pub record: String,
}

/// The parts of an entry as they may leave.
#[derive(Debug)]
struct Texts {
    source: String,
    message: String,
    metadata: Vec<(String, String)>,
    /// The hash of what is too long to be asked about.
    rest: Sha256,
}

#[derive(Serialize)]
struct Record<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<i64>,
    graded_by_sender: &'static str,
    message: &'a str,
    #[serde(serialize_with = "as_members", skip_serializing_if = "<[_]>::is_empty")]
    metadata: &'a [(String, String)],
    /// What the rules detected, and how grave they hold it.
    detected: Vec<Detected<'a>>,
    graded_by_rules: &'static str,
}

#[derive(Serialize)]
struct Detected<'a> {
    rule: &'a str,
    level: &'static str,
}

fn as_members<S: Serializer>(members: &&[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
}

impl Draft {
    /// Returns what a model of this name may be asked about an entry.
    pub(crate) fn about(entry: &LogEntry, analysis: &Analysis, model: &str) -> Self {
        let is_detected = analysis.detections.iter().any(|detection| detection.level > Level::Informational);
        let mut masker = Masker::new(if is_detected { Words::Kept } else { Words::Masked });
        let mut texts = Texts::of(entry, &mut masker);
        if masker.has_secrets() {
            // A secret may stand again where nothing announces it.
            masker = masker.knowing_its_secrets();
            texts = Texts::of(entry, &mut masker);
        }
        let key = QuestionKey(texts.key(entry, analysis, model));
        Self { key, placeholders: masker.into_placeholders(), texts }
    }

    /// Returns the question to ask, about the entry that this was made of.
    pub(crate) fn question(&self, entry: &LogEntry, analysis: &Analysis) -> Question {
        let detected = analysis.detections.iter();
        let record = Record {
            source: &self.texts.source,
            event_id: names_a_kind(entry).then_some(entry.event_id),
            graded_by_sender: entry.severity_level.as_str(),
            message: &self.texts.message,
            metadata: &self.texts.metadata,
            detected: detected
                .map(|found| Detected { rule: &found.title, level: found.level.as_str() })
                .collect(),
            graded_by_rules: analysis.score.severity().as_str(),
        };
        let record = serde_json::to_string(&record).expect("texts and numbers are JSON");
        Question { key: self.key, record }
    }
}

impl Texts {
    fn of(entry: &LogEntry, masker: &mut Masker) -> Self {
        let mut rest = Sha256::new();
        let source = masker.text(entry.source.as_str());
        let mut message = masker.text(entry.message.as_str());
        cut(&mut message, MOST_TEXT_BYTES, &mut rest);
        let metadata = members(entry.metadata.as_str(), masker, &mut rest);
        Self { source, message, metadata, rest }
    }

    /// Returns the hash of everything that a record says and of what judged it.
    fn key(&mut self, entry: &LogEntry, analysis: &Analysis, model: &str) -> [u8; 32] {
        let mut text = Vec::with_capacity(self.message.len() + 512);
        let mut add = |part: &str| {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        };
        let rules = analysis.rule_set.split('+').next().unwrap_or_default();
        let versions = [prompt::VERSION, model, &analysis.engine_version, rules];
        let grades = [entry.severity_level.as_str(), analysis.score.severity().as_str()];
        versions.into_iter().chain(grades).for_each(&mut add);
        if names_a_kind(entry) {
            add(&entry.event_id.to_string());
        }
        add(&self.source);
        add(&self.message);
        for (name, value) in &self.metadata {
            add(name);
            add(value);
        }
        for detection in &analysis.detections {
            add(&detection.id);
            add(&detection.title);
            add(detection.level.as_str());
        }
        // Where the parts end that there may be many of.
        add(&format!("{} {}", self.metadata.len(), analysis.detections.len()));
        let mut key = Sha256::new_with_prefix(text);
        key.update(self.rest.finalize_reset());
        key.finalize().into()
    }
}

/// An event's id names its kind where Windows writes it; elsewhere it may count events.
fn names_a_kind(entry: &LogEntry) -> bool {
    const OF_SOURCES: [&str; 6] = ["windows", "winlog", "winevt", "sysmon", "security", "eventlog"];
    const OF_METADATA: [&str; 4] = ["\"EventID\"", "\"Channel\"", "\"ProviderName\"", "\"winlog"];
    let source = entry.source.as_str().to_ascii_lowercase();
    let metadata = entry.metadata.as_str();
    OF_SOURCES.iter().any(|word| source.contains(word))
        || OF_METADATA.iter().any(|name| metadata.contains(name))
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

fn members(metadata: &str, masker: &mut Masker, rest: &mut Sha256) -> Vec<(String, String)> {
    if metadata.len() <= "{}".len() {
        return Vec::new();
    }
    let value: Value = serde_json::from_str(metadata).unwrap_or_else(|_| Value::from(metadata));
    let mut flat = Flat { masker, rest, members: Vec::new(), bytes_left: MOST_TEXT_BYTES };
    flat.add("", &value);
    flat.members
}

struct Flat<'m> {
    masker: &'m mut Masker,
    rest: &'m mut Sha256,
    members: Vec<(String, String)>,
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
        let (mut name, mut value) = self.masker.member(name, value);
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
