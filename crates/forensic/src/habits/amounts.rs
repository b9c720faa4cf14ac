//! Amounts: how much is usual for whom. Ninety megabytes are little for a backup and far too much for a salesman.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::view::{NONE, View, is_few};
use crate::{
    encoder::Held,
    table::{Sample, Values},
};

/// What is usual in a column of numbers, in general and for each value of other columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amounts {
    pub(crate) column: usize,
    general: Spread,
    /// For each of some views what is usual for each of its values.
    given: Vec<(usize, Vec<Option<Spread>>)>,
}

/// Where the middle eight tenths lie, on the scale of logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Spread {
    median: f32,
    below: f32,
    above: f32,
}

const MOST_COLUMNS: usize = 8;
const MOST_GIVEN: usize = 8;
/// A view with more values groups too few rows for each.
const MOST_VALUES: usize = 200;
const FEWEST_ROWS: usize = 30;
/// A tenth of the rows of a normal distribution lies beyond so many standard deviations.
const DEVIATIONS_TO_A_TENTH: f32 = 1.2816;
/// An amount within a factor of e^¼ is the same for people.
const LEAST_DEVIATION: f32 = 0.25;
/// So many deviations happen, and more than this many are no stranger.
const ORDINARY: f32 = 2.5;
const STRANGEST: f32 = 10.0;

/// Returns the logarithm of an amount, with its sign; NaN where it is missing.
pub(crate) fn logarithm(held: &Held<'_>) -> f32 {
    let Held::Number(number) = held else { return f32::NAN };
    (number.signum() * number.abs().ln_1p()) as f32
}

impl Amounts {
    /// Learns the columns of many different numbers; returns also their logarithms in the order of the sample.
    pub(crate) fn learn(
        sample: &Sample,
        views: &[View],
        columns: &[Vec<u32>],
        values: &[usize],
        is_ignored: impl Fn(usize) -> bool,
    ) -> (Vec<Self>, Vec<Vec<f32>>) {
        let amounts = sample.columns.iter().enumerate().filter_map(|(column, of)| match &of.values {
            Values::Numbers(numbers) if !is_ignored(column) && !is_few(numbers) => Some((column, numbers)),
            _ => None,
        });
        let conditions: Vec<usize> = (0..views.len())
            .filter(|view| (2..=MOST_VALUES).contains(&values[*view]))
            .take(MOST_GIVEN)
            .collect();
        let chosen: Vec<_> = amounts.take(MOST_COLUMNS).collect();
        chosen
            .into_par_iter()
            .map(|(column, numbers)| {
                let numbers: Vec<f32> = numbers.iter().map(|x| logarithm(&Held::Number(*x))).collect();
                let given = |view: &usize| (*view, by_value(&numbers, &columns[*view], values[*view]));
                let general = Spread::of(numbers.iter().copied().filter(|x| !x.is_nan()).collect());
                let general = general.unwrap_or(Spread { median: 0.0, below: f32::MAX, above: f32::MAX });
                (Self { column, general, given: conditions.iter().map(given).collect() }, numbers)
            })
            .unzip()
    }

    /// Returns by how many deviations more than happens an amount differs from what is usual, given any of the row's
    /// values: 0 to 10.
    pub(crate) fn strength(&self, x: f32, values: &[u32]) -> f64 {
        if x.is_nan() {
            return 0.0;
        }
        let given = self.given.iter().filter_map(|(view, spreads)| *spreads.get(values[*view] as usize)?);
        let furthest = given.chain([self.general]).map(|spread| spread.deviations(x)).fold(0.0, f32::max);
        f64::from((furthest - ORDINARY).clamp(0.0, STRANGEST))
    }

    pub(crate) fn is_sound(&self, columns: usize, views: usize) -> bool {
        let spreads = self.given.iter().flat_map(|(_, spreads)| spreads.iter().flatten());
        self.column < columns
            && self.given.iter().all(|(view, _)| *view < views)
            && spreads.chain([&self.general]).all(|spread| {
                spread.median.is_finite()
                    && spread.below >= LEAST_DEVIATION
                    && spread.above >= LEAST_DEVIATION
            })
    }
}

impl Spread {
    fn of(mut numbers: Vec<f32>) -> Option<Self> {
        if numbers.len() < FEWEST_ROWS {
            return None;
        }
        let last = numbers.len() - 1;
        let mut at = |place: usize| *numbers.select_nth_unstable_by(place, f32::total_cmp).1;
        let (low, median, high) = (at(last / 10), at(last / 2), at(last - last / 10));
        let deviation = |distance: f32| (distance / DEVIATIONS_TO_A_TENTH).max(LEAST_DEVIATION);
        Some(Self { median, below: deviation(median - low), above: deviation(high - median) })
    }

    fn deviations(self, x: f32) -> f32 {
        if x > self.median { (x - self.median) / self.above } else { (self.median - x) / self.below }
    }
}

fn by_value(numbers: &[f32], column: &[u32], values: usize) -> Vec<Option<Spread>> {
    let mut grouped = vec![Vec::new(); values];
    for (x, value) in numbers.iter().zip(column).filter(|(x, value)| !x.is_nan() && **value != NONE) {
        grouped[*value as usize].push(*x);
    }
    grouped.into_iter().map(Spread::of).collect()
}
