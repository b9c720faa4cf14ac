//! What `%name%` stands for in rules that say `expand`: values from files called `placeholders.yml`.

use std::collections::HashMap;

use rsigma_parser::{SigmaString, SigmaValue, StringPart};
use serde::Deserialize;
use yaml_serde::{Mapping, Value};

use super::compile::{Refusal, refuse};

/// By name. Values are Sigma's: a text may hold wildcards.
#[derive(Debug, Default)]
pub(super) struct Placeholders(HashMap<String, Vec<SigmaValue>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    placeholders: Mapping,
}

/// A text with several placeholders stands for every combination of their values, up to so many.
const COMBINATIONS_MAX: usize = 100_000;

/// Says whether a file of this name holds placeholders, and no rules.
pub(super) fn are_in(file: &str) -> bool {
    matches!(file.rsplit(['/', '\\']).next(), Some("placeholders.yml" | "placeholders.yaml"))
}

impl Placeholders {
    /// Adds those that a file defines. Of a file with a fault none are used.
    pub(super) fn add_file(&mut self, yaml: &str) -> Result<(), Refusal> {
        let file: File = match yaml_serde::from_str(yaml) {
            Ok(file) => file,
            Err(error) => return refuse("", error.to_string()),
        };
        let mut defined = Vec::new();
        for (name, value) in &file.placeholders {
            let name = name.as_str().unwrap_or_default();
            if name.is_empty() || !name.chars().all(is_of_name) {
                return refuse(name, format!("'{name}' is no name: letters, digits, '_', '-' and '.' are"));
            }
            if self.0.contains_key(name) {
                return refuse(name, format!("the placeholder '{name}' is defined twice"));
            }
            defined.push((name.to_owned(), values(name, value)?));
        }
        self.0.extend(defined);
        Ok(())
    }

    /// Returns the values with every placeholder in them replaced.
    pub(super) fn expand(
        &self,
        values: &[SigmaValue],
        near: &str,
        is_raw: bool,
    ) -> Result<Vec<SigmaValue>, Refusal> {
        let mut expanded = Vec::new();
        for value in values {
            match value {
                SigmaValue::String(text) => self.expand_text(&text.original, near, is_raw, &mut expanded)?,
                other => expanded.push(other.clone()),
            }
        }
        Ok(expanded)
    }

    fn expand_text(
        &self,
        text: &str,
        near: &str,
        is_raw: bool,
        expanded: &mut Vec<SigmaValue>,
    ) -> Result<(), Refusal> {
        let read = |text: &str| if is_raw { SigmaString::from_raw(text) } else { SigmaString::new(text) };
        let mut forms = vec![read("")];
        for piece in pieces(text) {
            let name = match piece {
                Piece::Text(text) => {
                    let text = read(text);
                    forms = forms.iter().map(|form| joined(form, &text)).collect();
                    continue;
                }
                Piece::Name(name) => name,
            };
            let Some(values) = self.0.get(name) else {
                return refuse(near, format!("the placeholder '{name}' is not defined in placeholders.yml"));
            };
            if name.len() + 2 == text.len() {
                // It is the whole value, and keeps its type.
                expanded.extend(values.iter().map(|value| as_read(value, is_raw)));
                return Ok(());
            }
            if forms.len().saturating_mul(values.len()) > COMBINATIONS_MAX {
                return refuse(near, format!("its placeholders have over {COMBINATIONS_MAX} combinations"));
            }
            let with = |form: &SigmaString| {
                let values = values.iter().map(|value| joined(form, &text_of(value, is_raw)));
                values.collect::<Vec<_>>()
            };
            forms = forms.iter().flat_map(with).collect();
        }
        expanded.extend(forms.into_iter().map(SigmaValue::String));
        Ok(())
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

/// Takes a text apart into placeholders and what stands between them.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let marks: Vec<usize> = text.match_indices('%').map(|(at, _)| at).collect();
    let mut pieces = Vec::new();
    let mut start = 0;
    for (open, close) in marks.iter().zip(marks.iter().skip(1)) {
        let name = text.get(open + 1..*close).filter(|name| !name.is_empty() && name.chars().all(is_of_name));
        if let (Some(name), Some(before)) = (name, text.get(start..*open)) {
            pieces.extend([Piece::Text(before), Piece::Name(name)]);
            start = close + 1;
        }
    }
    pieces.extend(text.get(start..).map(Piece::Text));
    pieces
}

fn joined(one: &SigmaString, other: &SigmaString) -> SigmaString {
    let mut parts = one.parts.clone();
    for part in &other.parts {
        match (parts.last_mut(), part) {
            (Some(StringPart::Plain(last)), StringPart::Plain(next)) => last.push_str(next),
            _ => parts.push(part.clone()),
        }
    }
    SigmaString { parts, original: format!("{}{}", one.original, other.original) }
}

fn text_of(value: &SigmaValue, is_raw: bool) -> SigmaString {
    match value {
        SigmaValue::String(text) if !is_raw => text.clone(),
        other => SigmaString::from_raw(&other.to_string()),
    }
}

fn as_read(value: &SigmaValue, is_raw: bool) -> SigmaValue {
    if is_raw { SigmaValue::String(text_of(value, true)) } else { value.clone() }
}

fn values(name: &str, stated: &Value) -> Result<Vec<SigmaValue>, Refusal> {
    let values = match stated {
        Value::Sequence(values) => values.as_slice(),
        single => std::slice::from_ref(single),
    };
    if values.is_empty() {
        return refuse(name, format!("the placeholder '{name}' has no values"));
    }
    let is_simple = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    if !values.iter().all(is_simple) {
        return refuse(name, format!("the placeholder '{name}' takes texts, numbers and booleans"));
    }
    Ok(values.iter().map(SigmaValue::from_yaml).collect())
}
