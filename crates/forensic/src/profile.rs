//! Decides what each column is taken for, why, and how numbers are read off its cells.

use std::net::IpAddr;

use sentinelflow_domain::scan::ColumnKind;
use serde::{Deserialize, Serialize};

use crate::{
    encoder::{Encoder, address, is_inside, mask, network},
    habits::Sight,
    rarity::Rarity,
    table::{Column, MISSING, Sample, Values, Words, decode},
    typical::{interval_of_numbers, interval_of_times, usual_words},
};

/// What a column was taken for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) kind: ColumnKind,
    pub(crate) reason: String,
    pub(crate) is_used: bool,
    /// `None` where no features are read off the column.
    pub(crate) encoder: Option<Encoder>,
    /// Different values in the sample, where they were counted.
    pub(crate) distinct: Option<u64>,
    pub(crate) typical: String,
}

/// A column with fewer values than this is too short to tell an identifier from a name.
const FEWEST_FOR_IDENTIFIER: usize = 20;

/// Returns a plan for each column; those to be ignored are not looked at.
pub(crate) fn plans(sample: &Sample, names: &[String], ignored: &[String]) -> Vec<Plan> {
    let plan = |(column, name): (&Column, &String)| {
        let mut plan = Plan { typical: typical(column), ..plan(column, sample) };
        if ignored.contains(name) {
            plan.is_used = false;
            plan.encoder = None;
            "left out on request".clone_into(&mut plan.reason);
        }
        plan
    };
    sample.columns.iter().zip(names).map(plan).collect()
}

fn plan(column: &Column, sample: &Sample) -> Plan {
    match &column.values {
        Values::Numbers(values) => numbers(values, column.missing(), sample),
        Values::Times(values) => times(values, column.missing()),
        Values::Words(words) => worded(words, sample.rows.len()),
    }
}

/// Returns what most cells hold: the middle nine tenths of numbers and times, the commonest words.
fn typical(column: &Column) -> String {
    match &column.values {
        Values::Numbers(values) => interval_of_numbers(middle(values)),
        Values::Times(values) => interval_of_times(middle(values)),
        Values::Words(words) => usual_words(words.codes().iter().copied(), &words.dictionary()),
    }
}

/// Returns the least and the most of the middle nine tenths.
fn middle(values: &[f64]) -> Option<(f64, f64)> {
    let mut present: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let last = present.len().checked_sub(1)?;
    let (low, high) = (last / 20, last - last / 20);
    let least = *present.select_nth_unstable_by(low, f64::total_cmp).1;
    let most = *present.select_nth_unstable_by(high, f64::total_cmp).1;
    Some((least, most))
}

impl Plan {
    fn unused(kind: ColumnKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            is_used: false,
            encoder: None,
            distinct: None,
            typical: String::new(),
        }
    }

    /// Says how the column is used in the end: by features, by habits, by both or not at all.
    pub(crate) fn settle(&mut self, has_features: bool, sight: Sight) {
        if !has_features {
            self.encoder = None;
        }
        match sight {
            Sight::None if !has_features && self.is_used => {
                self.is_used = false;
                "nothing that is looked at in it varies".clone_into(&mut self.reason);
            }
            Sight::None => {}
            Sight::Codes => {
                self.kind = ColumnKind::Code;
                "few different numbers, taken as codes; what they usually come with"
                    .clone_into(&mut self.reason);
            }
            Sight::Parts => {
                self.is_used = true;
                self.reason.push_str("; what their beginnings and endings usually come with");
            }
            Sight::Whole => self.reason.push_str("; what they usually come with"),
        }
    }

    fn used(kind: ColumnKind, reason: impl Into<String>, encoder: Encoder) -> Self {
        Self { is_used: true, encoder: Some(encoder), ..Self::unused(kind, reason) }
    }
}

fn empty() -> Plan {
    Plan::unused(ColumnKind::Empty, "no cell has a value")
}

fn constant() -> Plan {
    Plan::unused(ColumnKind::Constant, "every cell holds the same value")
}

fn numbers(values: &[f64], missing: usize, sample: &Sample) -> Plan {
    let Some(first) = values.iter().find(|value| !value.is_nan()) else { return empty() };
    #[expect(clippy::float_cmp, reason = "a constant repeats the same bits")]
    let is_constant = values.iter().all(|value| value.is_nan() || value == first);
    if is_constant && missing == 0 {
        return constant();
    }
    if counts_rows(values, &sample.rows) {
        return Plan::unused(ColumnKind::Identifier, "it counts the rows");
    }
    let reason = match missing {
        0 => "every cell is a number".to_owned(),
        missing => format!("numbers, {missing} of {} cells are missing", values.len()),
    };
    Plan::used(ColumnKind::Numeric, reason, Encoder::Number { may_be_missing: missing > 0 })
}

fn counts_rows(values: &[f64], rows: &[u64]) -> bool {
    #[expect(clippy::float_cmp, reason = "whole numbers below 2⁵³ subtract exactly")]
    let is_counter = values
        .windows(2)
        .zip(rows.windows(2))
        .all(|(pair, rows)| pair[1] - pair[0] == (rows[1] - rows[0]) as f64);
    values.len() >= FEWEST_FOR_IDENTIFIER && is_counter
}

fn times(values: &[f64], missing: usize) -> Plan {
    let Some(first) = values.iter().find(|value| !value.is_nan()) else { return empty() };
    #[expect(clippy::float_cmp, reason = "a constant repeats the same bits")]
    let is_constant = values.iter().all(|value| value == first);
    if is_constant {
        return constant();
    }
    let encoder = Encoder::Time { may_be_missing: missing > 0 };
    Plan::used(ColumnKind::Timestamp, "times; the hour and the weekday are looked at", encoder)
}

fn worded(words: &Words, rows: usize) -> Plan {
    let dictionary = words.dictionary();
    let counts = counts(words);
    let present = rows - counts[dictionary.len()] as usize;
    match dictionary.len() {
        0 => return empty(),
        1 if present == rows => return constant(),
        _ => {}
    }
    let plan = if let Some(addresses) = addresses(&dictionary) {
        let reason = "IP addresses; how common the address and its networks are";
        Plan::used(ColumnKind::IpAddress, reason, by_networks(&addresses, &counts))
    } else {
        by_words(&dictionary, &counts, present)
    };
    Plan { distinct: Some(dictionary.len() as u64), ..plan }
}

fn by_words(dictionary: &[&[u8]], counts: &[u32], present: usize) -> Plan {
    let is_near_unique = present >= FEWEST_FOR_IDENTIFIER && dictionary.len() * 10 > present * 9;
    let is_prose = dictionary.iter().filter(|word| word.contains(&b' ')).count() * 2 > dictionary.len();
    if is_near_unique && !is_prose {
        let reason = format!("{} of {present} values are different", dictionary.len());
        return Plan::unused(ColumnKind::Identifier, reason);
    }
    if dictionary.len() > 50 && dictionary.len() * 2 > present {
        let masks = dictionary.iter().map(|word| Some(mask(&decode(word)))).chain([None]);
        let encoder = Encoder::Text { masks: Rarity::learn(masks.zip(counts.iter().copied())) };
        let reason = "free text; its length, its characters and how common its pattern is";
        return Plan::used(ColumnKind::Text, reason, encoder);
    }
    let words = dictionary.iter().copied().map(Some).chain([None]);
    let encoder = Encoder::Nominal(Rarity::learn(words.zip(counts.iter().copied())));
    let reason = format!("{} different words; how common each is", dictionary.len());
    Plan::used(ColumnKind::Nominal, reason, encoder)
}

/// Returns how many rows have each word, and last how many have none.
fn counts(words: &Words) -> Vec<u32> {
    let mut counts = vec![0; words.distinct() + 1];
    for code in words.codes() {
        let slot = if *code == MISSING { words.distinct() } else { *code as usize };
        counts[slot] += 1;
    }
    counts
}

/// Returns the words as addresses if nearly all are; the last entry stands for a missing cell.
fn addresses(dictionary: &[&[u8]]) -> Option<Vec<Option<IpAddr>>> {
    let addresses: Vec<Option<IpAddr>> = dictionary.iter().map(|word| address(word)).chain([None]).collect();
    let parsed = addresses.iter().flatten().count();
    (parsed * 20 >= dictionary.len() * 19).then_some(addresses)
}

fn by_networks(addresses: &[Option<IpAddr>], counts: &[u32]) -> Encoder {
    let learn = |octets: usize| {
        let networks = addresses.iter().map(|address| address.as_ref().map(|a| network(a, octets)));
        Rarity::learn(networks.zip(counts.iter().copied()))
    };
    let insides = addresses.iter().map(|address| Some([u8::from(address.as_ref().is_some_and(is_inside))]));
    Encoder::Address {
        networks: [1, 2, 3, 4].map(learn),
        is_private: Rarity::learn(insides.zip(counts.iter().copied())),
    }
}
