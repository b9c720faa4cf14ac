//! The words an entry is made of: each is refused, or comes back as it went.
//!
//! The first line is read as every kind of word, the second as metadata, all others as members to add to it.
#![no_main]

use std::{collections::BTreeMap, fmt, str::FromStr};

use sentinelflow_domain::{
    id::ObjectId,
    log_entry::{METADATA_MAX_BYTES, METADATA_MAX_DEPTH, Message, Metadata, SeverityLevel, Source},
    tenant::{Plan, Username},
    time::Timestamp,
};
use serde_json::value::{RawValue, Value};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n');
    let word = lines.next().unwrap_or_default();
    let metadata = lines.next().unwrap_or("{}").trim();
    assert_words(word);
    assert_epoch(word);
    assert_metadata(metadata);
    assert_extra(metadata, &lines.collect::<Vec<_>>());
});

fn assert_words(word: &str) {
    if let Some(id) = comes_back::<ObjectId>(word, ToString::to_string) {
        assert_eq!(id.to_string(), word.to_ascii_lowercase());
        assert_eq!(ObjectId::from_parts(id.seconds(), id.origin(), id.counter()), id);
    }
    if let Some(name) = comes_back::<Username>(word, |name| name.as_str().to_owned()) {
        assert_eq!(name.as_str(), word, "a name is kept as it was given");
        comes_back::<Username>(&name.folded(), Username::folded).expect("a folded name is a name");
    }
    comes_back::<SeverityLevel>(word, |level| level.as_str().to_owned());
    comes_back::<Plan>(word, |plan| plan.as_str().to_owned());
    if let Some(moment) = comes_back::<Timestamp>(word, ToString::to_string) {
        assert_eq!(Timestamp::from_millis(moment.as_millis()), moment);
        assert!(serde_json::to_string(&moment).is_ok_and(|json| json == format!("\"{moment}\"")));
    }
    assert_eq!(Source::try_from(word.to_owned()).is_ok(), (1..=256).contains(&word.chars().count()));
    assert_eq!(Message::try_from(word.to_owned()).is_ok(), (1..=65_536).contains(&word.len()));
}

/// Reads a word; if it is one, writes it, and asserts that what was written reads the same.
fn comes_back<T: FromStr + PartialEq + fmt::Debug>(word: &str, write: impl Fn(&T) -> String) -> Option<T> {
    let read: T = word.parse().ok()?;
    let written = write(&read);
    assert_eq!(written.parse().ok().as_ref(), Some(&read), "{word:?} was written as {written:?}");
    Some(read)
}

fn assert_epoch(word: &str) {
    let Ok(number) = word.parse::<f64>() else { return };
    let Ok(moment) = Timestamp::from_epoch(number) else { return };
    assert_eq!(moment.to_string().parse(), Ok(moment));
    #[expect(clippy::cast_precision_loss, reason = "moments lie within 2^53 milliseconds")]
    let millis = moment.as_millis() as f64;
    let is_near = |of: f64| (millis - of).abs() <= 0.5;
    assert!(is_near(number * 1000.0) || is_near(number), "{number} became {moment}");
}

/// `Metadata` must take what serde's own tree takes, within the bounds.
fn assert_metadata(raw: &str) {
    let tree: Option<Value> = serde_json::from_str(raw).ok().filter(Value::is_object);
    let fits = |tree: &Value| raw.len() <= METADATA_MAX_BYTES && depth(tree) <= METADATA_MAX_DEPTH;
    let metadata = Metadata::parse(raw);
    assert_eq!(metadata.is_ok(), tree.as_ref().is_some_and(fits), "{metadata:?}");
    if let (Ok(metadata), Some(Value::Object(members))) = (metadata, tree) {
        assert_eq!(metadata.as_str(), raw, "metadata is kept word for word");
        assert_eq!(metadata.is_empty(), members.is_empty());
    }
}

fn depth(tree: &Value) -> usize {
    match tree {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Members that join the metadata hide none that was there, and none is hidden.
fn assert_extra(raw: &str, lines: &[&str]) {
    let mut extra: BTreeMap<&str, &RawValue> = BTreeMap::new();
    for (name, value) in lines.iter().take(8).filter_map(|line| line.split_once('=')) {
        if let Ok(value) = serde_json::from_str(value) {
            extra.insert(name, value);
        }
    }
    let extra: Vec<(&str, &RawValue)> = extra.into_iter().collect();
    let Ok(joined) = Metadata::with_extra(raw, &extra) else { return };
    let members = |text: &str| -> BTreeMap<String, Box<RawValue>> {
        serde_json::from_str(text).expect("metadata is an object")
    };
    let (before, after) = (members(raw), members(joined.as_str()));
    assert_eq!(after.len(), before.len() + extra.len(), "each member keeps a name of its own: {joined:?}");
    for (name, value) in &before {
        assert_eq!(after[name].get(), value.get(), "{name} is as it was");
    }
    for (name, value) in extra {
        let is_there = after.iter().any(|(other, held)| other.ends_with(name) && held.get() == value.get());
        assert!(is_there, "{name} is missing in {joined:?}");
    }
}
