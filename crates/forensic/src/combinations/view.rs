//! A column as few values: words, networks, hours, weekdays, steps of numbers.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::{
    encoder::{Held, address, network},
    table::{MISSING, Sample, Values, Words},
};

/// The value of a cell that is too rare to be missed elsewhere.
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
    /// Words that are common enough to be missed elsewhere, numbered from 1.
    Words(HashMap<Box<[u8]>, u32, FixedState>),
    /// Beginnings of addresses, of so many octets, numbered from 1.
    Networks { octets: usize, known: HashMap<Box<[u8]>, u32, FixedState> },
    Hours,
    Weekdays,
    /// Numbers between rising bounds.
    Steps(Vec<f64>),
}

/// A value must have so many rows to be missed elsewhere.
const FEWEST_ROWS: u32 = 4;
const MOST_VIEWS: usize = 16;
const MOST_STEPS: usize = 6;
/// Octets of an address that make a view.
const OCTETS: [usize; 2] = [2, 4];
/// Where numbers are cut, as shares of the rows.
const BOUNDS: [f64; 6] = [0.02, 0.25, 0.75, 0.95, 0.99, 0.998];

impl View {
    /// Returns the views of the columns that are used: first those that name something, then times, then numbers.
    pub(crate) fn choose(sample: &Sample, is_used: impl Fn(usize) -> bool) -> Vec<Self> {
        let mut views: Vec<(u8, Self)> = Vec::new();
        for (column, of) in sample.columns.iter().enumerate().filter(|(column, _)| is_used(*column)) {
            let view = |rank, of| (rank, Self { column, of });
            match &of.values {
                Values::Words(words) => views.extend(of_words(words).into_iter().map(|of| view(0, of))),
                Values::Times(_) => views.extend([view(1, Of::Hours), view(1, Of::Weekdays)]),
                Values::Numbers(numbers) => views.extend(steps(numbers).map(|of| view(2, of))),
            }
        }
        views.sort_by_key(|(rank, _)| *rank);
        let numbers = views.iter().position(|(rank, _)| *rank == 2).unwrap_or(views.len());
        views.truncate(numbers + MOST_STEPS);
        views.into_iter().map(|(_, view)| view).take(MOST_VIEWS).collect()
    }

    /// Whether its values are names of something, not places on a scale.
    pub(crate) fn names_something(&self) -> bool {
        matches!(self.of, Of::Words(_) | Of::Networks { .. })
    }

    /// Whether a combination with another view says something that neither says alone.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.column != other.column && (self.names_something() || other.names_something())
    }

    /// Returns the value of a cell.
    pub(crate) fn of(&self, held: &Held<'_>) -> u32 {
        match (&self.of, held) {
            (Of::Words(known), Held::Word(word)) => {
                word.as_deref().map_or(ABSENT, |word| known.get(word).copied().unwrap_or(NONE))
            }
            (Of::Networks { octets, known }, Held::Word(word)) => word.as_deref().map_or(ABSENT, |word| {
                let network = address(word).map(|address| network(&address, *octets));
                network.and_then(|network| known.get(network.as_slice()).copied()).unwrap_or(NONE)
            }),
            (Of::Hours, Held::Time(seconds)) => part_of(*seconds, 86_400.0, 24.0),
            (Of::Weekdays, Held::Time(seconds)) => part_of((seconds / 86_400.0).floor(), 7.0, 7.0),
            (Of::Steps(bounds), Held::Number(number)) if !number.is_nan() => {
                bounds.partition_point(|bound| bound < number) as u32 + 1
            }
            (Of::Steps(_), Held::Number(_)) => ABSENT,
            _ => NONE,
        }
    }

    /// Returns the values of a sampled column, each different word looked at once.
    pub(crate) fn of_column(&self, sample: &Sample) -> Vec<u32> {
        match &sample.columns[self.column].values {
            Values::Numbers(numbers) => numbers.iter().map(|number| self.of(&Held::Number(*number))).collect(),
            Values::Times(times) => times.iter().map(|time| self.of(&Held::Time(*time))).collect(),
            Values::Words(words) => {
                let by_word: Vec<u32> =
                    words.dictionary().into_iter().map(|word| self.of(&Held::Word(Some(word.into())))).collect();
                let value = |code: &u32| if *code == MISSING { ABSENT } else { by_word[*code as usize] };
                words.codes().iter().map(value).collect()
            }
        }
    }
}

/// Returns in which of so many equal parts of a period a moment lies, from 1.
fn part_of(moment: f64, period: f64, parts: f64) -> u32 {
    if moment.is_nan() {
        return ABSENT;
    }
    #[expect(clippy::cast_sign_loss, reason = "the rest of a division by a positive number")]
    let part = (moment.rem_euclid(period) / period * parts) as u32;
    part + 1
}

fn of_words(words: &Words) -> Vec<Of> {
    let dictionary = words.dictionary();
    let mut rows = vec![0_u32; dictionary.len()];
    for code in words.codes().iter().filter(|code| **code != MISSING) {
        rows[*code as usize] += 1;
    }
    let addresses: Vec<_> = dictionary.iter().map(|word| address(word)).collect();
    if addresses.iter().flatten().count() * 20 < dictionary.len() * 19 {
        let known = common(dictionary.iter().map(|word| (*word).into()).zip(rows));
        return if known.is_empty() { Vec::new() } else { vec![Of::Words(known)] };
    }
    let networks = |octets: usize| {
        let networks = addresses.iter().zip(&rows).filter_map(|(address, rows)| Some((address.as_ref()?, *rows)));
        Of::Networks { octets, known: common(networks.map(|(address, rows)| (network(address, octets).into(), rows))) }
    };
    OCTETS.map(networks).into()
}

/// Numbers the values that have enough rows.
fn common(values: impl Iterator<Item = (Box<[u8]>, u32)>) -> HashMap<Box<[u8]>, u32, FixedState> {
    let mut rows: HashMap<Box<[u8]>, u32, FixedState> = HashMap::default();
    for (value, count) in values {
        *rows.entry(value).or_default() += count;
    }
    let mut common: Vec<Box<[u8]>> =
        rows.into_iter().filter(|(_, rows)| *rows >= FEWEST_ROWS).map(|(value, _)| value).collect();
    common.sort_unstable();
    common.into_iter().zip(1..).collect()
}

/// Cuts numbers at a few quantiles; `None` where they are all of one value.
fn steps(numbers: &[f64]) -> Option<Of> {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|number| !number.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_sign_loss, reason = "a share of an index")]
    let mut bounds: Vec<f64> = BOUNDS.iter().map(|share| sorted[(share * last as f64) as usize]).collect();
    bounds.dedup();
    bounds.retain(|bound| *bound < sorted[last]);
    (!bounds.is_empty()).then_some(Of::Steps(bounds))
}
