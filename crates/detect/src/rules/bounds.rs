//! What a rule file may ask for, so that none takes long, fills the memory or overflows the stack. The parser would
//! follow anchors, merge documents and open brackets as far as a file tells it to.

use std::fmt;

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

use super::compile::{Refusal, refuse};

/// Larger files are no rules.
pub const FILE_MAX_BYTES: usize = 1 << 20;
/// A file holds so many values at most, once its anchors are followed and its documents merged.
const VALUES_MAX: usize = 500_000;
/// Brackets and negations of a condition nest so deep at most.
const DEPTH_MAX: usize = 50;

/// The parser looks through all open brackets at each step.
const OPEN_MAX: usize = 300;

/// What the rules of one file may still ask for.
#[derive(Debug)]
pub(super) struct Allowance {
    questions: usize,
    steps: usize,
}

/// Each value that a selection asks for is a question each time that a condition names the selection.
const QUESTIONS_MAX: usize = 200_000;
/// All states of a file's regular expressions.
const STEPS_MAX: usize = 200_000;

impl Default for Allowance {
    fn default() -> Self {
        Self { questions: QUESTIONS_MAX, steps: STEPS_MAX }
    }
}

impl Allowance {
    pub(super) fn ask(&mut self, questions: usize, near: &str) -> Result<(), Refusal> {
        match self.questions.checked_sub(questions) {
            Some(left) => self.questions = left,
            None => {
                return refuse(near, format!("the rules of a file ask at most {QUESTIONS_MAX} questions"));
            }
        }
        Ok(())
    }

    pub(super) fn build(&mut self, steps: usize, near: &str) -> Result<(), Refusal> {
        match self.steps.checked_sub(steps) {
            Some(left) => self.steps = left,
            None => return refuse(near, "the regular expressions of this file are too large together"),
        }
        Ok(())
    }
}

/// A fault, and the line if it is known.
type Fault = (String, Option<usize>);

/// Says what in a file is too much for the parser.
pub(super) fn check(yaml: &str) -> Result<(), Fault> {
    if yaml.len() > FILE_MAX_BYTES {
        let what = format!("has {} bytes; a rule file has at most {FILE_MAX_BYTES}", yaml.len());
        return Err((what, Some(1)));
    }
    if let Some(line) = line_of_too_many_open(yaml) {
        return Err((format!("opens over {OPEN_MAX} brackets within each other"), Some(line)));
    }
    let merges = yaml.contains("action");
    let nests = yaml.matches('(').count() > DEPTH_MAX || yaml.matches("not").count() > DEPTH_MAX;
    if merges || nests || has_anchor(yaml) { look_through(yaml, merges) } else { Ok(()) }
}

/// Brackets in texts are counted too: they come in pairs, or after a backslash.
fn line_of_too_many_open(yaml: &str) -> Option<usize> {
    let (mut open, mut line) = (0_usize, 1);
    let mut before = b' ';
    for byte in yaml.bytes() {
        match byte {
            b'[' | b'{' if before != b'\\' => open += 1,
            b']' | b'}' if before != b'\\' => open = open.saturating_sub(1),
            b'\n' => line += 1,
            _ => {}
        }
        if open > OPEN_MAX {
            return Some(line);
        }
        before = byte;
    }
    None
}

fn has_anchor(yaml: &str) -> bool {
    let bytes = yaml.as_bytes();
    let opens = |at: usize| at.checked_sub(1).is_none_or(|before| b" \t\n-:,[{?".contains(&bytes[before]));
    yaml.match_indices('&')
        .any(|(at, _)| opens(at) && bytes.get(at + 1).is_some_and(|next| !b" &".contains(next)))
}

fn look_through(yaml: &str, merges: bool) -> Result<(), Fault> {
    let mut budget = Budget { left: VALUES_MAX, fault: None };
    let mut documents = 0;
    for document in yaml_serde::Deserializer::from_str(yaml) {
        documents += 1;
        if let Err(error) = (Look { budget: &mut budget, is_condition: false }).deserialize(document) {
            let line = error.location().map(|place| place.line());
            // Other faults are the parser's to tell.
            let repeats = error.to_string().contains("repetition").then(too_many);
            return budget.fault.or(repeats).map_or(Ok(()), |what| Err((what, line)));
        }
    }
    // A document can be merged into each that follows.
    if merges && (VALUES_MAX - budget.left).saturating_mul(documents) > VALUES_MAX {
        return Err((format!("holds over {VALUES_MAX} values once its documents are merged"), Some(1)));
    }
    Ok(())
}

fn too_many() -> String {
    format!("holds over {VALUES_MAX} values once its anchors are followed")
}

struct Budget {
    left: usize,
    fault: Option<String>,
}

/// Looks at a value and what it holds, and keeps nothing.
struct Look<'b> {
    budget: &'b mut Budget,
    is_condition: bool,
}

impl Look<'_> {
    fn spend<E: Error>(&mut self, amount: usize) -> Result<(), E> {
        match self.budget.left.checked_sub(amount) {
            Some(left) => self.budget.left = left,
            None => {
                return self.fault(format!("holds over {VALUES_MAX} values once its anchors are followed"));
            }
        }
        Ok(())
    }

    fn fault<E: Error>(&mut self, what: String) -> Result<(), E> {
        let error = E::custom(&what);
        self.budget.fault = Some(what);
        Err(error)
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        // A long text counts as several values.
        self.spend(1 + text.len() / 64)?;
        if self.is_condition && depth(text) > DEPTH_MAX {
            return self.fault(format!("a condition nests deeper than {DEPTH_MAX}"));
        }
        Ok(())
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_i128<E: Error>(mut self, _: i128) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_u128<E: Error>(mut self, _: u128) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.spend(1)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.spend(1)?;
        while members
            .next_element_seed(Look { budget: self.budget, is_condition: self.is_condition })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.spend(1)?;
        while let Some(key) = members.next_key::<Key>()? {
            let is_condition = key.0.as_deref() == Some("condition");
            members.next_value_seed(Look { budget: self.budget, is_condition })?;
        }
        Ok(())
    }
}

/// A member's name, if it is a text.
struct Key(Option<String>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = yaml_serde::Value::deserialize(deserializer)?;
        Ok(Self(key.as_str().map(str::to_owned)))
    }
}

/// Returns how deep brackets and negations of a condition nest.
fn depth(condition: &str) -> usize {
    let mut deepest = 0;
    let (mut brackets, mut negations) = (0_usize, 0_usize);
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '*';
    for word in condition.split_inclusive(|c| !is_of_word(c)) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, end)) if !is_of_word(end) => (word.get(..at).unwrap_or_default(), Some(end)),
            _ => (word, None),
        };
        match word {
            "" => {}
            "not" => negations += 1,
            _ => negations = 0,
        }
        match end {
            Some('(') => brackets += 1,
            Some(')') => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(brackets + negations);
    }
    deepest
}
