//! A column as values that come again: words, beginnings and endings of words, networks, hours, codes.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::Sight;
use crate::{
    encoder::{Held, address, network},
    table::{MISSING, Sample, Values, Words, decode},
};

/// The value of a cell that was never seen.
pub(crate) const NONE: u32 = u32::MAX;
/// The value of a cell that is missing.
const ABSENT: u32 = 0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) column: usize,
    of: Of,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Of {
    /// Words, or what of them comes again; numbered from 1.
    Words {
        as_seen: AsSeen,
        known: Known,
    },
    /// Few numbers, such as codes, by their bits.
    Codes(HashMap<u64, u32, FixedState>),
    /// Twelfths of the day.
    Hours,
    Weekend,
}

type Known = HashMap<Box<[u8]>, u32, FixedState>;

/// What of a word is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum AsSeen {
    Whole,
    /// Each digit is like any other.
    WithoutDigits,
    /// The first parts of a path.
    Folder,
    /// What stands behind the last dot.
    Ending,
    /// The first two octets of an address.
    Network,
}

pub(crate) const MOST_VIEWS: usize = 24;
/// Words of which more than this share of the rows are different are looked at in parts.
const MOST_WHOLE: f64 = 0.15;
/// Parts of words must come again more often.
const MOST_PARTS: f64 = 0.05;
/// Numbers with more values are amounts, not codes.
const MOST_CODES: usize = 40;
/// Codes come so often, each.
const ROWS_OF_A_CODE: usize = 20;
const FOLDERS: usize = 3;
const LONGEST_ENDING: usize = 12;

impl View {
    /// Returns the views of columns: first times, then those that name something, then codes.
    pub(crate) fn choose(sample: &Sample, is_ignored: impl Fn(usize) -> bool) -> Vec<Self> {
        let mut views: Vec<(u8, Self)> = Vec::new();
        for (column, of) in sample.columns.iter().enumerate().filter(|(column, _)| !is_ignored(*column)) {
            let view = |rank, of| (rank, Self { column, of });
            match &of.values {
                Values::Words(words) => {
                    views.extend(of_words(words, sample.rows.len()).into_iter().map(|of| view(1, of)));
                }
                Values::Times(_) => views.extend([view(0, Of::Hours), view(0, Of::Weekend)]),
                Values::Numbers(numbers) => views.extend(codes(numbers).map(|of| view(2, of))),
            }
        }
        views.sort_by_key(|(rank, _)| *rank);
        views.into_iter().map(|(_, view)| view).take(MOST_VIEWS).collect()
    }

    /// Whether its values are names of something, not places on a scale.
    pub(crate) fn names_something(&self) -> bool {
        matches!(self.of, Of::Words { .. })
    }

    /// Returns how the column is looked at.
    pub(crate) fn sight(&self) -> Sight {
        match &self.of {
            Of::Words { as_seen: AsSeen::Whole | AsSeen::Network, .. } => Sight::Whole,
            Of::Words { .. } => Sight::Parts,
            Of::Codes(_) => Sight::Codes,
            Of::Hours | Of::Weekend => Sight::None,
        }
    }

    /// Returns a value in words.
    pub(crate) fn shown(&self, value: u32) -> String {
        if value == ABSENT {
            return "no value".to_owned();
        }
        match &self.of {
            Of::Words { known, .. } => {
                let word = known.iter().find(|(_, other)| **other == value).map(|(word, _)| word);
                word.map_or_else(String::new, |word| decode(word).into_owned())
            }
            Of::Codes(known) => {
                let code =
                    known.iter().find(|(_, other)| **other == value).map(|(bits, _)| f64::from_bits(*bits));
                code.map_or_else(String::new, |code| code.to_string())
            }
            Of::Hours => format!("{:02}:00 – {:02}:00 UTC", (value - 1) * 2, value * 2),
            Of::Weekend => if value == 1 { "weekdays" } else { "weekends" }.to_owned(),
        }
    }

    /// Returns the value of a cell.
    pub(crate) fn of(&self, held: &Held<'_>) -> u32 {
        match (&self.of, held) {
            (Of::Words { as_seen, known }, Held::Word(word)) => word.as_deref().map_or(ABSENT, |word| {
                as_seen.part(word).and_then(|part| known.get(part.as_ref()).copied()).unwrap_or(NONE)
            }),
            (Of::Codes(known), Held::Number(number)) if !number.is_nan() => {
                known.get(&(number + 0.0).to_bits()).copied().unwrap_or(NONE)
            }
            (Of::Hours, Held::Time(seconds)) if !seconds.is_nan() => {
                part_of(seconds.rem_euclid(86_400.0) / 7_200.0)
            }
            (Of::Weekend, Held::Time(seconds)) if !seconds.is_nan() => {
                // The first of January 1970 was a Thursday.
                part_of(f64::from(u8::from((seconds / 86_400.0 + 3.0).rem_euclid(7.0) >= 5.0)))
            }
            (Of::Codes(_), Held::Number(_)) | (Of::Hours | Of::Weekend, Held::Time(_)) => ABSENT,
            _ => NONE,
        }
    }

    /// Returns the values of a sampled column, each different word looked at once.
    pub(crate) fn of_column(&self, sample: &Sample) -> Vec<u32> {
        match &sample.columns[self.column].values {
            Values::Numbers(numbers) => {
                numbers.iter().map(|number| self.of(&Held::Number(*number))).collect()
            }
            Values::Times(times) => times.iter().map(|time| self.of(&Held::Time(*time))).collect(),
            Values::Words(words) => {
                let dictionary = words.dictionary();
                let by_word: Vec<u32> =
                    dictionary.into_iter().map(|word| self.of(&Held::Word(Some(word.into())))).collect();
                let value = |code: &u32| if *code == MISSING { ABSENT } else { by_word[*code as usize] };
                words.codes().iter().map(value).collect()
            }
        }
    }
}

fn part_of(part: f64) -> u32 {
    #[expect(clippy::cast_sign_loss, reason = "the rest of a division by a positive number")]
    let part = part as u32;
    part + 1
}

impl AsSeen {
    fn part(self, word: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Whole => Some(Cow::Borrowed(word)),
            Self::WithoutDigits => Some(
                word.iter()
                    .map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte })
                    .collect::<Vec<u8>>()
                    .into(),
            ),
            Self::Folder => {
                let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
                let slashes = word.iter().enumerate().filter(|(_, byte)| is_slash(byte)).map(|(at, _)| at);
                let end = slashes.take(FOLDERS + 1).last()?;
                Some(Cow::Borrowed(&word[..end]))
            }
            Self::Ending => {
                let dot = word.iter().rposition(|byte| *byte == b'.')?;
                let ending = &word[dot + 1..];
                (ending.len() <= LONGEST_ENDING && !ending.is_empty()).then_some(Cow::Borrowed(ending))
            }
            Self::Network => Some(network(&address(word)?, 2).into()),
        }
    }
}

fn of_words(words: &Words, rows: usize) -> Vec<Of> {
    let dictionary = words.dictionary();
    let present = words.codes().iter().filter(|code| **code != MISSING).count();
    if dictionary.is_empty() || (dictionary.len() == 1 && present == rows) {
        return Vec::new();
    }
    let (whole, parts) = (present as f64 * MOST_WHOLE, present as f64 * MOST_PARTS);
    let known = |as_seen: AsSeen, most: f64| {
        let known = known(as_seen, &dictionary);
        (!known.is_empty() && known.len() as f64 <= most).then_some(Of::Words { as_seen, known })
    };
    let are_addresses =
        dictionary.iter().filter(|word| address(word).is_some()).count() * 20 >= dictionary.len() * 19;
    if are_addresses {
        return [known(AsSeen::Network, parts), known(AsSeen::Whole, f64::INFINITY)]
            .into_iter()
            .flatten()
            .collect();
    }
    if dictionary.len() as f64 <= whole {
        return known(AsSeen::Whole, f64::INFINITY).into_iter().collect();
    }
    let are_paths =
        dictionary.iter().filter(|word| AsSeen::Folder.part(word).is_some()).count() * 2 > dictionary.len();
    let middle = if are_paths { known(AsSeen::Folder, parts) } else { known(AsSeen::WithoutDigits, whole) };
    [middle, known(AsSeen::Ending, parts)].into_iter().flatten().collect()
}

fn known(as_seen: AsSeen, dictionary: &[&[u8]]) -> Known {
    let mut parts: Vec<Box<[u8]>> =
        dictionary.iter().filter_map(|word| as_seen.part(word)).map(|part| part.as_ref().into()).collect();
    parts.sort_unstable();
    parts.dedup();
    parts.into_iter().zip(1..).collect()
}

/// Whether numbers have so few values that they are codes.
pub(crate) fn is_few(numbers: &[f64]) -> bool {
    few(numbers).is_some()
}

fn few(numbers: &[f64]) -> Option<Vec<u64>> {
    let most = MOST_CODES.min(numbers.len() / ROWS_OF_A_CODE);
    let mut values: Vec<u64> = Vec::new();
    for number in numbers.iter().filter(|number| !number.is_nan()) {
        let bits = (number + 0.0).to_bits();
        if let Err(place) = values.binary_search(&bits) {
            values.insert(place, bits);
            if values.len() > most || number.fract() != 0.0 {
                return None;
            }
        }
    }
    Some(values)
}

fn codes(numbers: &[f64]) -> Option<Of> {
    let values = few(numbers).filter(|values| values.len() > 1)?;
    Some(Of::Codes(values.into_iter().zip(1..).collect()))
}
