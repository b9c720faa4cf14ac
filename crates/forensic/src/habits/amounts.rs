//! Amounts: how much is usual for whom. Ninety megabytes are little for a backup and far too much for a salesman.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::view::{NONE, View, is_few};
use crate::{
    encoder::Held,
    table::{Sample, Values},
};

/// What is usual in a column of numbers: an amount is the sum of what each of its row's values adds, on the scale of
/// logarithms, and what is left over is usually small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amounts {
    pub(crate) column: usize,
    /// What each value of a view adds, of the view that explains most first.
    effects: Vec<(usize, Vec<f32>)>,
    /// How much is usually left over: in general, and for each value of the first view that has enough rows.
    general: Spread,
    given: Vec<Option<Spread>>,
}

/// Where the middle eight tenths lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Spread {
    median: f32,
    below: f32,
    above: f32,
}

const MOST_COLUMNS: usize = 8;
const MOST_EFFECTS: usize = 5;
/// A view with more values explains too much.
const MOST_VALUES: usize = 1_000;
const FEWEST_ROWS: usize = 30;
/// What a value adds is taken for less the fewer rows it has: so many count as nothing added.
const ROWS_OF_DOUBT: f32 = 8.0;
/// A view that explains less of what is left over is not looked at.
const LEAST_EXPLAINED: f32 = 0.01;
/// A tenth of the rows of a normal distribution lies beyond so many standard deviations.
const DEVIATIONS_TO_A_TENTH: f32 = 1.2816;
/// An amount within a factor of e^¼ is the same for people.
const LEAST_DEVIATION: f32 = 0.25;
/// So many deviations happen, and more than this many are no stranger.
const ORDINARY: f32 = 2.5;
const STRANGEST: f32 = 10.0;

/// Returns the logarithm of an amount, with its sign; NaN where it is missing or zero: nothing is no small amount.
pub(crate) fn logarithm(held: &Held<'_>) -> f32 {
    let Held::Number(number) = held else { return f32::NAN };
    if *number == 0.0 {
        return f32::NAN;
    }
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
        let conditions: Vec<usize> =
            (0..views.len()).filter(|view| (2..=MOST_VALUES).contains(&values[*view])).collect();
        let chosen: Vec<_> = amounts.take(MOST_COLUMNS).collect();
        chosen
            .into_par_iter()
            .map(|(column, numbers)| {
                let numbers: Vec<f32> = numbers.iter().map(|x| logarithm(&Held::Number(*x))).collect();
                let others = conditions.iter().copied().filter(|view| views[*view].column != column);
                (Self::fit(column, &numbers, others.collect(), columns, values), numbers)
            })
            .unzip()
    }

    fn fit(
        column: usize,
        numbers: &[f32],
        mut conditions: Vec<usize>,
        columns: &[Vec<u32>],
        values: &[usize],
    ) -> Self {
        let mut left = numbers.to_vec();
        let mut effects: Vec<(usize, Vec<f32>)> = Vec::new();
        while effects.len() < MOST_EFFECTS {
            let all = sum_of_squares(&left);
            let tried = conditions.par_iter().map(|view| {
                let added = added(&left, &columns[*view], values[*view]);
                (1.0 - sum_of_squares(&without(&left, &columns[*view], &added)) / all, *view, added)
            });
            let best = tried.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let Some((_, view, added)) = best.filter(|(explained, ..)| *explained >= LEAST_EXPLAINED) else {
                break;
            };
            left = without(&left, &columns[view], &added);
            conditions.retain(|other| *other != view);
            effects.push((view, added));
        }
        let nothing = Spread { median: 0.0, below: f32::MAX, above: f32::MAX };
        let general = Spread::of(left.iter().copied().filter(|x| !x.is_nan()).collect()).unwrap_or(nothing);
        let given = effects.first().map(|(view, _)| by_value(&left, &columns[*view], values[*view]));
        Self { column, effects, general, given: given.unwrap_or_default() }
    }

    /// Returns by how many deviations more than happens an amount differs from what the row's values let expect: 0 to 10.
    pub(crate) fn strength(&self, x: f32, values: &[u32]) -> f64 {
        if x.is_nan() {
            return 0.0;
        }
        let (added, spread) = self.usual(values);
        let deviations = spread.deviations(x - added);
        f64::from((deviations - ORDINARY).clamp(0.0, STRANGEST))
    }

    /// Returns the amount that the row's values let expect.
    pub(crate) fn expected(&self, values: &[u32]) -> f64 {
        let (added, spread) = self.usual(values);
        let logarithm = f64::from(added + spread.median);
        logarithm.signum() * logarithm.abs().exp_m1()
    }

    /// Returns what the row's values add up to, and what is usually left over.
    fn usual(&self, values: &[u32]) -> (f32, Spread) {
        let value = |view: usize| values[view] as usize;
        let added = self.effects.iter().filter_map(|(view, added)| added.get(value(*view))).sum();
        let given = self.effects.first().and_then(|(view, _)| *self.given.get(value(*view))?);
        (added, given.unwrap_or(self.general))
    }

    pub(crate) fn is_sound(&self, columns: usize, views: usize) -> bool {
        self.column < columns
            && self.effects.iter().all(|(view, added)| *view < views && added.iter().all(|x| x.is_finite()))
            && self.given.iter().flatten().chain([&self.general]).all(|spread| {
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

fn sum_of_squares(numbers: &[f32]) -> f32 {
    let present = || numbers.iter().filter(|x| !x.is_nan()).map(|x| f64::from(*x));
    let mean = present().sum::<f64>() / (present().count().max(1) as f64);
    present().map(|x| (x - mean).powi(2)).sum::<f64>() as f32
}

/// Returns what each value adds: the mean of its rows, drawn towards the mean of all where it has few.
fn added(numbers: &[f32], column: &[u32], values: usize) -> Vec<f32> {
    let mut sums = vec![(0.0_f64, 0.0_f32); values];
    let mut all = (0.0_f64, 0.0_f32);
    for (x, value) in numbers.iter().zip(column).filter(|(x, value)| !x.is_nan() && **value != NONE) {
        for (sum, rows) in [&mut sums[*value as usize], &mut all] {
            *sum += f64::from(*x);
            *rows += 1.0;
        }
    }
    let mean = all.0 / f64::from(all.1.max(1.0));
    sums.into_iter()
        .map(|(sum, rows)| (sum - mean * f64::from(rows)) as f32 / (rows + ROWS_OF_DOUBT))
        .collect()
}

fn without(numbers: &[f32], column: &[u32], added: &[f32]) -> Vec<f32> {
    let rest = |(x, value): (&f32, &u32)| x - added.get(*value as usize).copied().unwrap_or(0.0);
    numbers.iter().zip(column).map(rest).collect()
}

fn by_value(numbers: &[f32], column: &[u32], values: usize) -> Vec<Option<Spread>> {
    let mut grouped = vec![Vec::new(); values];
    for (x, value) in numbers.iter().zip(column).filter(|(x, value)| !x.is_nan() && **value != NONE) {
        grouped[*value as usize].push(*x);
    }
    grouped.into_iter().map(Spread::of).collect()
}
