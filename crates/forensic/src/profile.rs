//! Decides what each column is taken for, and which numbers are read off its cells.

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use sentinelflow_domain::scan::{ColumnKind, ColumnProfile};

use crate::table::{Column, MISSING, Table, Values, Words};

/// How a number is read off a cell.
pub(crate) enum Reading {
    /// The number itself, the median where it is missing.
    Value,
    IsMissing,
    /// A number for each word, the last one for a missing cell.
    ByWord(Vec<f64>),
    Clock(Hand),
}

/// A time as points on two circles, so that midnight lies beside 23:59 and Sunday beside Monday.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hand {
    HourSine,
    HourCosine,
    WeekdaySine,
    WeekdayCosine,
}

/// A number read off a column, not yet on a common scale.
pub(crate) struct Candidate {
    pub(crate) column: usize,
    pub(crate) reading: Reading,
    /// What counts as one unit at least, in the reading's own measure.
    pub(crate) least_scale: f64,
}

/// A column with fewer values than this is too short to tell an identifier from a name.
const FEWEST_FOR_IDENTIFIER: usize = 20;
/// Frequencies are in nats: without this, the noise between equally common words would count as much as rarity.
const ONE_NAT: f64 = 1.0;

pub(crate) fn profile(table: &Table, ignored: &[String]) -> (Vec<ColumnProfile>, Vec<Candidate>) {
    let mut profiles = Vec::new();
    let mut candidates = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let mut found = match &column.values {
            Values::Numbers(values) => numbers(values, column),
            Values::Times(values) => times(values, column),
            Values::Words(words) => worded(words, table.rows),
        };
        if ignored.contains(&column.name) {
            found.readings.clear();
            "left out on request".clone_into(&mut found.reason);
        }
        profiles.push(ColumnProfile {
            name: column.name.clone(),
            kind: found.kind,
            used: !found.readings.is_empty(),
            reason: found.reason,
            missing: column.missing as u64,
            distinct: None,
            typical: String::new(),
        });
        candidates.extend(found.readings.into_iter().map(|(reading, least_scale)| Candidate {
            column: index,
            reading,
            least_scale,
        }));
    }
    (profiles, candidates)
}

struct Found {
    kind: ColumnKind,
    reason: String,
    readings: Vec<(Reading, f64)>,
}

impl Found {
    fn unused(kind: ColumnKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), readings: Vec::new() }
    }
}

fn empty() -> Found {
    Found::unused(ColumnKind::Empty, "no cell has a value")
}

fn constant() -> Found {
    Found::unused(ColumnKind::Constant, "every cell holds the same value")
}

fn numbers(values: &[f64], column: &Column) -> Found {
    let Some(first) = values.iter().find(|value| !value.is_nan()) else { return empty() };
    #[expect(clippy::float_cmp, reason = "a constant repeats the same bits")]
    let is_constant = values.iter().all(|value| value.is_nan() || value == first);
    if is_constant && column.missing == 0 {
        return constant();
    }
    if counts_rows(values) {
        return Found::unused(ColumnKind::Identifier, "it counts the rows");
    }
    let mut readings = vec![(Reading::Value, 0.0)];
    if column.missing > 0 {
        readings.push((Reading::IsMissing, 0.0));
    }
    let reason = match column.missing {
        0 => "every cell is a number".to_owned(),
        missing => format!("numbers, {missing} of {} cells are missing", values.len()),
    };
    Found { kind: ColumnKind::Numeric, reason, readings }
}

fn counts_rows(values: &[f64]) -> bool {
    #[expect(clippy::float_cmp, reason = "whole numbers below 2⁵³ subtract exactly")]
    let is_counter = values.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
    values.len() >= FEWEST_FOR_IDENTIFIER && is_counter
}

fn times(values: &[f64], column: &Column) -> Found {
    let Some(first) = values.iter().find(|value| !value.is_nan()) else { return empty() };
    #[expect(clippy::float_cmp, reason = "a constant repeats the same bits")]
    let is_constant = values.iter().all(|value| value == first);
    if is_constant {
        return constant();
    }
    let hands = [Hand::HourSine, Hand::HourCosine, Hand::WeekdaySine, Hand::WeekdayCosine];
    let mut readings: Vec<_> = hands.into_iter().map(|hand| (Reading::Clock(hand), 0.0)).collect();
    if column.missing > 0 {
        readings.push((Reading::IsMissing, 0.0));
    }
    let reason = "times; the hour and the weekday are looked at".to_owned();
    Found { kind: ColumnKind::Timestamp, reason, readings }
}

fn worded(words: &Words, rows: usize) -> Found {
    if words.is_overfull() {
        return Found::unused(ColumnKind::Identifier, "it has more different values than can be compared");
    }
    let dictionary = words.dictionary();
    let counts = counts(words);
    let present = rows - counts[dictionary.len()];
    match dictionary.len() {
        0 => return empty(),
        1 if present == rows => return constant(),
        _ => {}
    }
    if let Some(addresses) = addresses(&dictionary) {
        return Found {
            kind: ColumnKind::IpAddress,
            reason: "IP addresses; how common the address and its networks are".to_owned(),
            readings: address_readings(&addresses, &counts),
        };
    }
    let is_near_unique = present >= FEWEST_FOR_IDENTIFIER && dictionary.len() * 10 > present * 9;
    let is_prose = dictionary.iter().filter(|word| word.contains(' ')).count() * 2 > dictionary.len();
    if is_near_unique && !is_prose {
        let reason = format!("{} of {present} values are different", dictionary.len());
        return Found::unused(ColumnKind::Identifier, reason);
    }
    if dictionary.len() > 50 && dictionary.len() * 2 > present {
        return Found {
            kind: ColumnKind::Text,
            reason: "free text; its length, its characters and how common its pattern is".to_owned(),
            readings: text_readings(&dictionary, &counts),
        };
    }
    Found {
        kind: ColumnKind::Nominal,
        reason: format!("{} different words; how common each is", dictionary.len()),
        readings: vec![(rarity(&(0..=dictionary.len()).collect::<Vec<_>>(), &counts), ONE_NAT)],
    }
}

/// Returns how many rows have each word, and last how many have none.
fn counts(words: &Words) -> Vec<usize> {
    let mut counts = vec![0; words.distinct() + 1];
    for code in words.codes() {
        let slot = if *code == MISSING { words.distinct() } else { *code as usize };
        counts[slot] += 1;
    }
    counts
}

/// Returns −ln of the share of rows whose word has the same key.
fn rarity<Key: Hash + Eq>(keys: &[Key], counts: &[usize]) -> Reading {
    let mut rows_by_key: HashMap<&Key, usize> = HashMap::new();
    for (key, count) in keys.iter().zip(counts) {
        *rows_by_key.entry(key).or_default() += count;
    }
    let rows = counts.iter().sum::<usize>() as f64;
    Reading::ByWord(keys.iter().map(|key| -(rows_by_key[key].max(1) as f64 / rows).ln()).collect())
}

/// Returns the words as addresses if nearly all are; the last entry stands for a missing cell.
fn addresses(dictionary: &[String]) -> Option<Vec<Option<IpAddr>>> {
    let addresses: Vec<Option<IpAddr>> =
        dictionary.iter().map(|word| word.parse().ok()).chain([None]).collect();
    let parsed = addresses.iter().flatten().count();
    (parsed * 20 >= dictionary.len() * 19).then_some(addresses)
}

fn address_readings(addresses: &[Option<IpAddr>], counts: &[usize]) -> Vec<(Reading, f64)> {
    let network = |octets: usize| -> Vec<Option<Vec<u8>>> {
        let head = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.octets()[..octets].to_vec(),
            // A site has a /48, a network a /64; the ends of an address are often random.
            IpAddr::V6(address) => address.octets()[..[0, 2, 6, 8, 16][octets]].to_vec(),
        };
        addresses.iter().map(|address| address.as_ref().map(head)).collect()
    };
    let mut readings: Vec<_> = (1..=4).map(|octets| (rarity(&network(octets), counts), ONE_NAT)).collect();
    let is_private = |address: &Option<IpAddr>| match address {
        Some(IpAddr::V4(address)) => address.is_private() || address.is_loopback() || address.is_link_local(),
        Some(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        None => false,
    };
    readings.push((rarity(&addresses.iter().map(is_private).collect::<Vec<_>>(), counts), ONE_NAT));
    readings
}

fn text_readings(dictionary: &[String], counts: &[usize]) -> Vec<(Reading, f64)> {
    let measure = |of: &dyn Fn(&str) -> f64| {
        Reading::ByWord(dictionary.iter().map(|word| of(word)).chain([f64::NAN]).collect())
    };
    let share = |belongs: fn(char) -> bool| {
        measure(&move |word| {
            word.chars().filter(|c| belongs(*c)).count() as f64 / word.chars().count().max(1) as f64
        })
    };
    let masks: Vec<String> = dictionary.iter().map(|word| mask(word)).chain([String::new()]).collect();
    vec![
        (measure(&|word| (word.chars().count() as f64).ln_1p()), 0.1),
        (share(|c| c.is_ascii_digit()), 0.02),
        (share(char::is_uppercase), 0.02),
        (share(|c| c.is_ascii_punctuation()), 0.02),
        (share(|c| !c.is_ascii()), 0.02),
        (rarity(&masks, counts), ONE_NAT),
    ]
}

/// Returns the pattern of a text: runs of digits, letters and spaces each as one sign, at most 40 of them.
fn mask(text: &str) -> String {
    let mut mask = String::new();
    for sign in text.chars().map(|c| match c {
        '0'..='9' => '0',
        c if c.is_alphabetic() => 'a',
        c if c.is_whitespace() => ' ',
        c if c.is_ascii() => c,
        _ => '?',
    }) {
        if !mask.ends_with(sign) {
            mask.push(sign);
        }
        if mask.len() >= 40 {
            break;
        }
    }
    mask
}

impl Reading {
    /// Returns the number of one row, NaN where there is none.
    pub(crate) fn of(&self, column: &Column, row: usize) -> f64 {
        match (self, &column.values) {
            (Self::Value, Values::Numbers(values)) => values[row],
            (Self::IsMissing, Values::Numbers(values) | Values::Times(values)) => {
                f64::from(u8::from(values[row].is_nan()))
            }
            (Self::ByWord(numbers), Values::Words(words)) => {
                let code = words.codes()[row];
                numbers[if code == MISSING { numbers.len() - 1 } else { code as usize }]
            }
            (Self::Clock(hand), Values::Times(values)) => hand.at(values[row]),
            _ => f64::NAN,
        }
    }
}

impl Hand {
    fn at(self, seconds: f64) -> f64 {
        let day = (seconds / 86_400.0).rem_euclid(1.0) * std::f64::consts::TAU;
        let week = ((seconds / 86_400.0).floor() / 7.0).rem_euclid(1.0) * std::f64::consts::TAU;
        match self {
            Self::HourSine => day.sin(),
            Self::HourCosine => day.cos(),
            Self::WeekdaySine => week.sin(),
            Self::WeekdayCosine => week.cos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_shape_share_a_mask() {
        assert_eq!(mask("user 17 logged in"), mask("root 4 signed out"));
        assert_ne!(mask("user 17 logged in"), mask("' OR 1=1 --"));
    }

    #[test]
    fn midnight_lies_beside_a_minute_before() {
        let near = Hand::HourSine.at(86_399.0) - Hand::HourSine.at(86_400.0);
        assert!(near.abs() < 1e-3);
    }
}
