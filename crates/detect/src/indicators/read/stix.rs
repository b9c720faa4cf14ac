//! A STIX 2.1 bundle: the patterns of its indicators, where they say exactly one thing or one of several.

mod pattern;

use sentinelflow_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::pattern::alternatives;
use super::Reading;

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow)]
    objects: Vec<&'t RawValue>,
}

/// The members of a STIX object that matter here.
#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    indicator_types: Vec<String>,
    pattern: Option<String>,
    pattern_type: Option<String>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    #[serde(default)]
    revoked: bool,
    confidence: Option<u8>,
}

pub(super) fn read(text: &str, reading: &mut Reading<'_>) {
    let bundle: Bundle<'_> = match serde_json::from_str(text) {
        Ok(bundle) => bundle,
        Err(error) => {
            // A text that breaks off does so behind its last line.
            let line = error.line().min(text.lines().count()).max(1);
            return reading.break_off(line, &format!("is no STIX bundle: {error}"));
        }
    };
    let mut lines = Lines { text, line: 1, at: 0 };
    for object in bundle.objects {
        let line = lines.of(object.get());
        match serde_json::from_str::<Object>(object.get()) {
            Ok(object) if object.kind == "indicator" => add(line, &object, reading),
            Ok(_) => reading.report.others += 1,
            Err(error) => reading.report.fault(line, &format!("an object can't be read: {error}")),
        }
    }
}

/// Counts lines as far as a place.
struct Lines<'t> {
    text: &'t str,
    line: usize,
    at: usize,
}

impl Lines<'_> {
    /// Returns the line that a piece of the text begins in; later pieces are asked later.
    fn of(&mut self, piece: &str) -> usize {
        let start = piece.as_ptr().addr() - self.text.as_ptr().addr();
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += passed.matches('\n').count();
        self.at = start;
        self.line
    }
}

fn add(line: usize, object: &Object, reading: &mut Reading<'_>) {
    let (Some(pattern), Some("stix")) = (&object.pattern, object.pattern_type.as_deref()) else {
        let name = object.name.as_deref().unwrap_or("indicator");
        return reading.refuse(line, name, "has no pattern of type 'stix'");
    };
    if object.indicator_types.iter().any(|said| said == "benign") {
        return reading.refuse(line, pattern, "is called benign");
    }
    let is_over = object.valid_until.is_some_and(|until| until <= reading.now);
    let is_to_come = object.valid_from.is_some_and(|from| from > reading.now);
    if object.revoked || is_over || is_to_come {
        reading.report.lapsed += 1;
        return;
    }
    reading.describe(object.name.as_deref().or(object.description.as_deref()).unwrap_or_default());
    reading.note.confidence = object.confidence.filter(|confidence| *confidence <= 100);
    match alternatives(pattern) {
        Ok(alternatives) => {
            for (path, value) in alternatives {
                match pattern::kind_of(path) {
                    Some(kind) => reading.add(line, &value, Some(kind)),
                    None => reading.refuse(line, path, "is not looked for"),
                }
            }
        }
        Err(why) => reading.refuse(line, pattern, &why),
    }
}
