//! An event as the matcher sees it: names as numbers, and every value's text also in folded case.

use std::{borrow::Cow, collections::HashMap, fmt::Write as _, ops::Range};

use crate::event::{Event, Value};

/// A field name that some rule asks for.
pub(super) type FieldId = u32;

/// A field that no rule asks for by name; keywords still look at its value.
const UNASKED: FieldId = FieldId::MAX;

#[derive(Debug, Default)]
pub(super) struct FieldNames(HashMap<String, FieldId, foldhash::fast::RandomState>);

impl FieldNames {
    pub(super) fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.0.get(name) {
            return *id;
        }
        let id = FieldId::try_from(self.0.len()).expect("no rule set names four billion fields");
        self.0.insert(name.to_owned(), id);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[derive(Debug)]
pub(super) struct View<'e> {
    pub(super) event: &'e Event<'e>,
    names: Vec<FieldId>,
    folded: String,
    /// Where a field's text lies in `folded`.
    spans: Vec<Range<usize>>,
    is_piece: Vec<bool>,
}

impl<'e> View<'e> {
    pub(super) fn new(event: &'e Event<'e>, names: &FieldNames) -> Self {
        let mut view = Self {
            event,
            names: Vec::with_capacity(event.fields.len()),
            folded: String::with_capacity(event.fields.len() * 64),
            spans: Vec::with_capacity(event.fields.len()),
            is_piece: Vec::with_capacity(event.fields.len()),
        };
        let first = event.fields.first().and_then(|field| memory(&field.value));
        for field in &event.fields {
            view.names.push(names.0.get(field.name.as_ref()).copied().unwrap_or(UNASKED));
            let start = view.folded.len();
            match &field.value {
                Value::Text(text) => fold_into(&mut view.folded, text),
                Value::Number(number) => {
                    write!(view.folded, "{number}").expect("a String takes whatever is written");
                }
                Value::Bool(value) => view.folded.push_str(if *value { "true" } else { "false" }),
                Value::Null => {}
            }
            view.spans.push(start..view.folded.len());
            let is_piece = match (&first, memory(&field.value)) {
                (Some(first), Some(piece)) if view.spans.len() > 1 => {
                    first.start <= piece.start && piece.end <= first.end
                }
                _ => false,
            };
            view.is_piece.push(is_piece);
        }
        view
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the indices of the values that a field has.
    pub(super) fn values_of(&self, field: FieldId) -> impl Iterator<Item = usize> + '_ {
        self.names.iter().enumerate().filter(move |(_, name)| **name == field).map(|(index, _)| index)
    }

    pub(super) fn name(&self, index: usize) -> Option<FieldId> {
        self.names.get(index).copied().filter(|name| *name != UNASKED)
    }

    pub(super) fn is_piece(&self, index: usize) -> bool {
        self.is_piece[index]
    }

    pub(super) fn value(&self, index: usize) -> &'e Value<'e> {
        &self.event.fields[index].value
    }

    /// Returns a value's text in folded case; nothing has the text "".
    pub(super) fn folded(&self, index: usize) -> &str {
        self.folded.get(self.spans[index].clone()).expect("spans are cut between values")
    }

    /// Returns a value's text as it was written.
    pub(super) fn written(&self, index: usize) -> &str {
        match self.value(index) {
            Value::Text(text) => text,
            _ => self.folded(index),
        }
    }

    /// Returns the range of the written text that a range of the folded text stands for.
    pub(super) fn written_range(&self, index: usize, folded: Range<usize>) -> Range<usize> {
        let (written, text) = (self.written(index), self.folded(index));
        if written.is_ascii() {
            return folded;
        }
        // Folding keeps the number of characters, not that of bytes.
        let chars_before = |end: usize| text.char_indices().take_while(|(at, _)| *at < end).count();
        let byte_of = |chars: usize| written.char_indices().nth(chars).map_or(written.len(), |(at, _)| at);
        byte_of(chars_before(folded.start))..byte_of(chars_before(folded.end))
    }

    /// Returns the indices of the values in which keywords are looked for: all but those that are a piece of the
    /// first text's own memory, because what occurs in them occurs there too.
    pub(super) fn whole_values(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|index| !self.is_piece[*index])
    }
}

/// Returns the memory of a text that is borrowed.
fn memory<'e>(value: &'e Value<'e>) -> Option<Range<*const u8>> {
    match value {
        Value::Text(Cow::Borrowed(text)) => Some(text.as_bytes().as_ptr_range()),
        _ => None,
    }
}

/// Returns the text with every character in folded case.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(&mut folded, text);
    folded
}

fn fold_into(folded: &mut String, text: &str) {
    let start = folded.len();
    if text.is_ascii() {
        folded.push_str(text);
        folded.get_mut(start..).expect("a border between texts").make_ascii_lowercase();
    } else {
        folded.extend(text.chars().map(fold_char));
    }
}

/// Returns the one character that a character is compared as: its lower case where that is a single one.
pub(super) fn fold_char(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) if single != character => single,
        _ => first_of_its_kind(character),
    }
}

/// Returns the lower case letter that others are a form of, as regular expressions have it and needles must.
fn first_of_its_kind(lower: char) -> char {
    match lower {
        'ſ' => 's',
        'ς' => 'σ',
        'µ' => 'μ',
        'ẛ' => 'ṡ',
        'ϐ' => 'β',
        'ϑ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        '\u{345}' | '\u{1fbe}' => 'ι',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        'ᲀ' => 'в',
        'ᲁ' => 'д',
        'ᲂ' => 'о',
        'ᲃ' => 'с',
        'ᲄ' | 'ᲅ' => 'т',
        'ᲆ' => 'ъ',
        'ᲇ' => 'ѣ',
        'ᲈ' => 'ꙋ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    #[test]
    fn letters_that_are_one_without_regard_to_case_are_folded_alike() {
        for character in char::MIN..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
            class.case_fold_simple();
            let others = class.iter().flat_map(|range| range.start()..=range.end());
            for other in others {
                assert_eq!(fold_char(character), fold_char(other), "{character:?} and {other:?}");
            }
        }
    }
}
