//! What is asked about an entry: a text in which nothing secret and nothing accidental stands. Whatever a model is to
//! judge by stands in it, so that its hash is the name of the question.

use std::{borrow::Cow, fmt, sync::LazyLock};

use memchr::memmem::Finder;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};

use sentinelflow_domain::{
    analysis::{Analysis, Level},
    log_entry::LogEntry,
    second_opinion::QuestionKey,
};

use crate::{
    mask::{Masker, Placeholders, Words},
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
    pub placeholders: Placeholders,
    texts: Texts,
    /// The event's id, where it names a kind of event.
    event_id: Option<i64>,
}

/// A question that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub key: QuestionKey,
    /// The record as JSON, without a name.
    pub record: String,
}

/// The parts of an entry as they may leave, one behind the other: its source, its message, then each member's name and
/// value.
#[derive(Debug)]
struct Texts {
    written: String,
    /// Where each part ends.
    ends: Vec<usize>,
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
    metadata: &'a [(&'a str, &'a str)],
    /// What the rules detected, and how grave they hold it.
    detected: Vec<Detected<'a>>,
    graded_by_rules: &'static str,
}

#[derive(Serialize)]
struct Detected<'a> {
    rule: &'a str,
    level: &'static str,
}

fn as_members<S: Serializer>(members: &&[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(members.iter().copied())
}

impl Draft {
    /// Returns what a model of this name may be asked about an entry.
    pub(crate) fn about(entry: &LogEntry, analysis: &Analysis, model: &str) -> Self {
        let is_detected = analysis.detections.iter().any(|detection| detection.level > Level::Informational);
        let mut masker = Masker::new(if is_detected { Words::Kept } else { Words::Masked });
        let mut texts = Texts::of(entry, &mut masker);
        let raw = [entry.source.as_str(), entry.message.as_str(), entry.metadata.as_str()];
        if masker.may_have_missed_some(&raw) {
            masker = masker.knowing_its_secrets();
            texts = Texts::of(entry, &mut masker);
        }
        let event_id = names_a_kind(entry).then_some(entry.event_id);
        let key = QuestionKey(texts.key(entry, event_id, analysis, model));
        Self { key, placeholders: masker.into_placeholders(), texts, event_id }
    }

    /// Returns the question to ask, about the entry that this was made of.
    pub(crate) fn question(&self, entry: &LogEntry, analysis: &Analysis) -> Question {
        let mut parts = self.texts.parts();
        let (source, message) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mut metadata = Vec::new();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            metadata.push((name, value));
        }
        let detected = analysis.detections.iter();
        let record = Record {
            source,
            event_id: self.event_id,
            graded_by_sender: entry.severity_level.as_str(),
            message,
            metadata: &metadata,
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
        let (message, metadata) = (entry.message.as_str(), entry.metadata.as_str());
        let mut texts = Self {
            written: String::with_capacity(message.len() + metadata.len() + 128),
            ends: Vec::with_capacity(16),
            rest: Sha256::new(),
        };
        masker.text(entry.source.as_str(), &mut texts.written);
        texts.end_part(MOST_TEXT_BYTES);
        masker.text(message, &mut texts.written);
        texts.end_part(MOST_TEXT_BYTES);
        if metadata.len() > "{}".len() {
            Members { masker, texts: &mut texts, path: String::new(), bytes_left: MOST_TEXT_BYTES }
                .read(metadata);
        }
        texts
    }

    /// Ends the part that was written last. Of a long one the middle goes into the hash only; its end tells more.
    fn end_part(&mut self, most_bytes: usize) {
        let start = self.ends.last().copied().unwrap_or(0);
        let length = self.written.len() - start;
        if length > most_bytes {
            let head = self.written.floor_char_boundary(start + most_bytes * 3 / 4);
            let tail = self.written.ceil_char_boundary(self.written.len() - most_bytes / 4);
            self.rest.update(self.written.get(head..tail).unwrap_or_default());
            self.written.replace_range(head..tail, "‹cut›");
        }
        self.ends.push(self.written.len());
    }

    /// Takes the part that is written into the hash only.
    fn drop_part(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.rest.update(self.written.get(start..).unwrap_or_default());
        self.written.truncate(start);
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.written.get(start..*end).unwrap_or_default())
    }

    /// Returns the hash of everything that a record says and of what judged it.
    fn key(&mut self, entry: &LogEntry, event_id: Option<i64>, analysis: &Analysis, model: &str) -> [u8; 32] {
        let mut judged = String::with_capacity(256);
        let rules = analysis.rule_set.split('+').next().unwrap_or_default();
        let versions = [prompt::VERSION, model, &analysis.engine_version, rules];
        let grades = [entry.severity_level.as_str(), analysis.score.severity().as_str()];
        for part in versions.into_iter().chain(grades) {
            judged.push_str(part);
            judged.push('\n');
        }
        for detection in &analysis.detections {
            judged.push_str(&detection.id);
            judged.push('\n');
            judged.push_str(&detection.title);
            judged.push_str(detection.level.as_str());
            judged.push('\n');
        }
        let mut lengths = Vec::with_capacity(8 * (self.ends.len() + 3));
        // No text passes for another, because each has its length here.
        let counts = [judged.len(), usize::from(event_id.is_some()), self.ends.len()];
        for number in counts.iter().chain(&self.ends) {
            lengths.extend_from_slice(&(*number as u64).to_le_bytes());
        }
        let mut key = Sha256::new_with_prefix(lengths);
        key.update(event_id.unwrap_or_default().to_le_bytes());
        key.update(judged);
        key.update(&self.written);
        key.update(self.rest.finalize_reset());
        key.finalize().into()
    }
}

/// An event's id names its kind where Windows writes it; elsewhere it may count events.
fn names_a_kind(entry: &LogEntry) -> bool {
    const OF_SOURCES: [&[u8]; 6] = [b"windows", b"winlog", b"winevt", b"sysmon", b"security", b"eventlog"];
    static OF_METADATA: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["\"EventID\"", "\"Channel\"", "\"winlog"].map(Finder::new));
    let source = entry.source.as_str().as_bytes();
    let is_in_source =
        |word: &&[u8]| source.windows(word.len()).any(|piece| piece.eq_ignore_ascii_case(word));
    OF_SOURCES.iter().any(is_in_source)
        || OF_METADATA.iter().any(|name| name.find(entry.metadata.as_str().as_bytes()).is_some())
}

/// Writes the members of metadata by their paths, as they may leave.
struct Members<'m> {
    masker: &'m mut Masker,
    texts: &'m mut Texts,
    path: String,
    bytes_left: usize,
}

impl Members<'_> {
    fn read(&mut self, metadata: &str) {
        let mut json = serde_json::Deserializer::from_str(metadata);
        // Metadata was checked when it came; a text that is none nevertheless stands for itself.
        if Value(self).deserialize(&mut json).is_err() {
            self.put(metadata);
        }
    }

    fn put(&mut self, value: &str) {
        const MOST_NAME_BYTES: usize = 128;
        let before = self.texts.written.len();
        let of_member = self.masker.name(&self.path, &mut self.texts.written);
        let is_asked = self.texts.ends.len() < 2 * (MOST_MEMBERS + 1) && self.bytes_left >= MOST_NAME_BYTES;
        if is_asked {
            self.texts.end_part(MOST_NAME_BYTES);
        }
        self.masker.value(&self.path, of_member, value, &mut self.texts.written);
        if is_asked {
            self.texts.end_part(self.bytes_left);
            self.bytes_left = self.bytes_left.saturating_sub(self.texts.written.len() - before);
        } else {
            self.texts.drop_part();
        }
    }
}

/// Reads one value into the members.
struct Value<'v, 'm>(&'v mut Members<'m>);

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.put(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.put(&value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.put(&value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.put(&value.to_string());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.put(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Value(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let above = self.0.path.len();
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            if above > 0 {
                self.0.path.push('.');
            }
            self.0.path.push_str(&name);
            members.next_value_seed(Value(self.0))?;
            self.0.path.truncate(above);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
