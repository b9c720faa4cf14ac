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
    /// First what is looked through as a whole, then what is a piece of it but does not lie in it as it is.
    folded: String,
    /// Where a field's text lies in `folded`.
    spans: Vec<Range<usize>>,
    /// The values that are not a piece of the first one; their texts lie in this order.
    whole: Vec<usize>,
    /// A bit for each field that there is, by its lowest digits.
    present: u128,
}

impl<'e> View<'e> {
    pub(super) fn new(event: &'e Event<'e>, names: &FieldNames) -> Self {
        let count = event.fields.len();
        let mut view = Self {
            event,
            names: Vec::with_capacity(count),
            folded: String::with_capacity(count * 32),
            spans: Vec::with_capacity(count),
            whole: Vec::with_capacity(count),
            present: 0,
        };
        let first = event.fields.first().and_then(|field| borrowed(&field.value));
        for (index, field) in event.fields.iter().enumerate() {
            let name = names.0.get(field.name.as_ref()).copied().unwrap_or(UNASKED);
            view.names.push(name);
            view.present |= bit(name);
            let place = first.zip(borrowed(&field.value)).filter(|_| index > 0);
            let place = place.and_then(|(first, piece)| place_in(first, piece));
            let span = place.unwrap_or_else(|| {
                view.whole.push(index);
                view.push_folded(&field.value)
            });
            view.spans.push(span);
        }
        // In ASCII, folding has moved nothing, and a piece lies folded where it was cut from.
        if !first.is_some_and(str::is_ascii) {
            for (index, field) in event.fields.iter().enumerate() {
                if view.whole.binary_search(&index).is_err() {
                    view.spans[index] = view.push_folded(&field.value);
                }
            }
        }
        view
    }

    /// Folds a value's text behind what is there and returns where.
    fn push_folded(&mut self, value: &Value<'_>) -> Range<usize> {
        if !self.folded.is_empty() {
            self.folded.push('\n');
        }
        let start = self.folded.len();
        match value {
            Value::Text(text) => fold_into(&mut self.folded, text),
            Value::Number(number) => write_number(&mut self.folded, *number),
            Value::Bool(value) => self.folded.push_str(if *value { "true" } else { "false" }),
            Value::Null => {}
        }
        start..self.folded.len()
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

    /// Returns all values' texts, one behind the other. What is found may span two of them.
    pub(super) fn all(&self) -> &str {
        &self.folded
    }

    /// Whether a place in `all` lies in a value of the field.
    pub(super) fn is_of(&self, field: FieldId, place: &Range<usize>) -> bool {
        let mut values = self.names.iter().zip(&self.spans);
        self.present & bit(field) != 0
            && values.any(|(name, span)| *name == field && span.start <= place.start && place.end <= span.end)
    }

    /// Returns the indices of the values in which keywords are looked for: all but those that are a piece of the
    /// first text's own memory, because what occurs in them occurs there too.
    pub(super) fn whole_values(&self) -> impl Iterator<Item = usize> + '_ {
        self.whole.iter().copied()
    }

    /// Returns the value in which a place in `all` lies; `None` if it spans two, or lies in a piece.
    pub(super) fn value_around(&self, place: &Range<usize>) -> Option<usize> {
        let before = self.whole.partition_point(|index| self.spans[*index].end < place.end);
        self.whole.get(before).copied().filter(|index| self.spans[*index].start <= place.start)
    }
}

fn bit(field: FieldId) -> u128 {
    1 << (field % u128::BITS)
}

fn borrowed<'e>(value: &Value<'e>) -> Option<&'e str> {
    match value {
        Value::Text(Cow::Borrowed(text)) => Some(text),
        _ => None,
    }
}

/// Returns where a text's own memory holds the other one.
fn place_in(text: &str, piece: &str) -> Option<Range<usize>> {
    let start = piece.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    (start + piece.len() <= text.len()).then(|| start..start + piece.len())
}

/// Writes a number as `Display` does; whole ones, which are nearly all, by a shorter way.
fn write_number(text: &mut String, number: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it has no fraction and fits 2^53"
    )]
    let written = if (1.0..EXACT).contains(&number) && number.fract() == 0.0 {
        write!(text, "{}", number as u64)
    } else {
        write!(text, "{number}")
    };
    written.expect("a String takes whatever is written");
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
    use proptest::prelude::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;
    use crate::event::Origin;

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

    proptest! {
        #[test]
        fn a_number_is_written_as_rust_displays_it(number in any::<f64>(), whole in any::<i64>()) {
            #[expect(clippy::cast_precision_loss, reason = "any float will do")]
            for number in [number, number.trunc(), whole as f64, (whole % 70_000) as f64, -0.0] {
                let mut text = String::new();
                write_number(&mut text, number);
                prop_assert_eq!(text, number.to_string());
            }
        }

        #[test]
        fn every_value_is_folded_and_looked_through(
            message in "[a-zA-ZäÄßſİK ]{1,20}", other in "[A-Zİ]{1,9}", cut in (0..20_usize, 0..20_usize),
        ) {
            let mut ends = [cut.0, cut.1].map(|at| message.floor_char_boundary(at));
            ends.sort_unstable();
            let piece = message.get(ends[0]..ends[1]).unwrap();
            let mut event = Event::default();
            for (name, text) in [("message", message.as_str()), ("piece", piece), ("other", other.as_str())] {
                event.push(name, Value::Text(Cow::Borrowed(text)), Origin::Message);
            }
            let view = View::new(&event, &FieldNames::default());
            for index in 0..view.len() {
                prop_assert_eq!(view.folded(index), fold(view.written(index)));
            }
            for index in view.whole_values() {
                prop_assert!(view.all().contains(view.folded(index)));
            }
            prop_assert!(view.whole_values().eq([0, 2]));
        }
    }
}
