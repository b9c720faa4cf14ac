//! Combinations: two values that are each common and hardly ever come together, such as a user and a country.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{encoder::Held, table::{Sample, Values}};
use view::View;

mod view;

use view::NONE;

/// Says how surprising it is that a row's values come together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Combinations {
    views: Vec<View>,
    /// For each view and each of its values how often it was seen.
    seen: Vec<Vec<Seen>>,
    pairs: Vec<Pair>,
    rows: f64,
}

/// How often a value was seen: in how many rows, and on how many days. What happens in one burst happened once, so
/// that the rows of an intrusion do not make each other look usual. In a table without times every row is a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    rows: u32,
    days: u32,
    last_day: u32,
}

/// Two views, and on how many days each combination of their values was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair {
    first: usize,
    second: usize,
    days: HashMap<u64, u32, FixedState>,
}

/// Below this a combination is none to wonder about: nats.
const ORDINARY: f64 = 1.0;
/// Added to what is expected and to what was seen, so that nothing is impossible.
const HALF_A_DAY: f64 = 0.5;

impl Combinations {
    /// Learns the combinations in a sample; `None` where no column has words or addresses that come again.
    pub(crate) fn learn(sample: &Sample, is_used: impl Fn(usize) -> bool) -> Option<(Self, Vec<u32>)> {
        let views = View::choose(sample, is_used);
        if views.len() < 2 || !views.iter().any(View::names_something) {
            return None;
        }
        let columns: Vec<Vec<u32>> = views.par_iter().map(|view| view.of_column(sample)).collect();
        let days = days(sample);
        let mut order: Vec<u32> = (0..).take(sample.rows.len()).collect();
        order.sort_by_key(|row| days[*row as usize]);
        let seen = columns.par_iter().map(|column| marginals(column, &days, &order)).collect();
        let pairs = pairs(&views);
        let pairs = pairs
            .into_par_iter()
            .map(|(first, second)| Pair {
                first,
                second,
                days: joint(&columns[first], &columns[second], &days, &order),
            })
            .collect();
        let values = (0..sample.rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        Some((Self { views, seen, pairs, rows: sample.rows.len() as f64 }, values))
    }

    /// Returns how many values a row has.
    pub(crate) fn width(&self) -> usize {
        self.views.len()
    }

    /// Appends the values of a row, whose cells are asked for by column.
    pub(crate) fn values<'h>(&self, held: &[Option<Held<'h>>], values: &mut Vec<u32>) {
        values.extend(self.views.iter().map(|view| held[view.column].as_ref().map_or(NONE, |held| view.of(held))));
    }

    /// Changes the values of a row as if a cell held something else.
    pub(crate) fn change(&self, column: usize, held: &Held<'_>, values: &mut [u32]) {
        let views = self.views.iter().zip(values).filter(|(view, _)| view.column == column);
        views.for_each(|(view, value)| *value = view.of(held));
    }

    /// Returns the surprises of a row's combinations, summed; `is_known` if the row itself was learned from.
    pub(crate) fn score(&self, values: &[u32], is_known: bool) -> f64 {
        self.surprises(values, is_known).map(|(_, surprise)| surprise).sum()
    }

    /// Returns for each column its part of a row's surprises: half of those of its combinations.
    pub(crate) fn by_column(&self, values: &[u32], is_known: bool, columns: usize) -> Vec<f64> {
        let mut shares = vec![0.0; columns];
        for (pair, surprise) in self.surprises(values, is_known) {
            shares[self.views[pair.first].column] += surprise / 2.0;
            shares[self.views[pair.second].column] += surprise / 2.0;
        }
        shares
    }

    fn surprises(&self, values: &[u32], is_known: bool) -> impl Iterator<Item = (&Pair, f64)> {
        self.pairs.iter().filter_map(move |pair| {
            let (a, b) = (values[pair.first], values[pair.second]);
            let first = self.seen[pair.first].get(a as usize)?;
            let second = self.seen[pair.second].get(b as usize)?;
            let expected = self.expected_days(first, second);
            if (expected + HALF_A_DAY).ln() - HALF_A_DAY.ln() <= ORDINARY {
                return None;
            }
            let days = pair.days.get(&cell(a, b)).copied().unwrap_or(0);
            // The day of the row itself says nothing about the others.
            let others = f64::from(days - days.min(u32::from(is_known)));
            let surprise = ((expected + HALF_A_DAY) / (others + HALF_A_DAY)).ln() - ORDINARY;
            (surprise > 0.0).then_some((pair, surprise))
        })
    }

    /// Returns on how many days two values would come together if they had nothing to do with each other.
    fn expected_days(&self, first: &Seen, second: &Seen) -> f64 {
        let rows = f64::from(first.rows) * f64::from(second.rows) / self.rows;
        let days = f64::from(first.days.min(second.days));
        if days > 0.0 { days * -(-rows / days).exp_m1() } else { 0.0 }
    }

    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        let views = self.views.len();
        self.views.iter().all(|view| view.column < columns)
            && self.seen.len() == views
            && self.seen.iter().flatten().all(|seen| seen.rows >= seen.days)
            && self.pairs.iter().all(|pair| pair.first < views && pair.second < views)
            && self.rows >= 1.0
            && self.rows.is_finite()
    }
}

/// Every two views that say different things.
fn pairs(views: &[View]) -> Vec<(usize, usize)> {
    let all = (0..views.len()).flat_map(|first| (first + 1..views.len()).map(move |second| (first, second)));
    all.filter(|(first, second)| views[*first].goes_with(&views[*second])).collect()
}

fn cell(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// Returns the day of each row by the first column of times that most rows have; else each row is a day of its own.
fn days(sample: &Sample) -> Vec<u32> {
    let rows = sample.rows.len();
    let times = sample.columns.iter().find_map(|column| match &column.values {
        Values::Times(times) if column.missing() * 2 < rows => Some(times),
        _ => None,
    });
    let Some(times) = times else { return (0..).take(rows).collect() };
    let first = times.iter().copied().filter(|time| !time.is_nan()).fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_sign_loss, reason = "no time lies before the first")]
    let day = |time: &f64| if time.is_nan() { 0 } else { ((time - first) / 86_400.0) as u32 };
    times.iter().map(day).collect()
}

fn marginals(column: &[u32], days: &[u32], order: &[u32]) -> Vec<Seen> {
    let values = column.iter().filter(|value| **value != NONE).max().map_or(0, |most| *most as usize + 1);
    let mut seen = vec![Seen { rows: 0, days: 0, last_day: u32::MAX }; values];
    for row in order {
        if let Some(seen) = seen.get_mut(column[*row as usize] as usize) {
            seen.rows += 1;
            let day = days[*row as usize];
            seen.days += u32::from(seen.last_day != day);
            seen.last_day = day;
        }
    }
    seen
}

fn joint(first: &[u32], second: &[u32], days: &[u32], order: &[u32]) -> HashMap<u64, u32, FixedState> {
    let mut seen: HashMap<u64, (u32, u32), FixedState> = HashMap::default();
    for row in order {
        let (a, b, day) = (first[*row as usize], second[*row as usize], days[*row as usize]);
        if a == NONE || b == NONE {
            continue;
        }
        let (count, last_day) = seen.entry(cell(a, b)).or_insert((0, u32::MAX));
        *count += u32::from(*last_day != day);
        *last_day = day;
    }
    seen.into_iter().map(|(cell, (days, _))| (cell, days)).collect()
}
