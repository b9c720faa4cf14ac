//! Says which columns make a row strange, and what would have been ordinary there.

use sentinelflow_domain::scan::ColumnReason;
use serde_json::{Map, Value};

use crate::{
    detectors::neighbours::squared_distance,
    exemplars::Cells,
    model::{Model, Rows},
    schema::CLIP,
    typical::{MOST_CHARACTERS, interval_of_hours, interval_of_numbers, usual_words},
};

const NEAREST: usize = 8;
const MOST_REASONS: usize = 5;
/// Columns with a smaller part are left out; they explain nothing.
const LEAST_SHARE: f64 = 0.02;
/// Exemplars a flagged row is compared with, and a bound on the work of comparing all of them.
const FEWEST_COMPARED: usize = 256;
const MOST_WORK: usize = 2_000_000_000;

pub(crate) struct Explainer<'m> {
    model: &'m Model,
    precision: Vec<f64>,
    compared: usize,
}

/// Why a row is strange: its columns by falling share, and the ordinary rows that are most like it.
pub(crate) struct Explanation {
    pub(crate) shares: Vec<(usize, f64)>,
    pub(crate) nearest: Vec<usize>,
    /// For each of the columns what usually comes with the row's other values; empty where no habit says so.
    pub(crate) usual: Vec<Vec<String>>,
}

impl<'m> Explainer<'m> {
    /// Prepares for so many rows.
    pub(crate) fn new(model: &'m Model, rows: usize) -> Self {
        let affordable = MOST_WORK / (rows * model.schema.width()).max(1);
        let compared = affordable.max(FEWEST_COMPARED).min(model.exemplars.matrix.rows);
        Self { model, precision: model.detectors.spread.precision(), compared }
    }

    /// Explains an encoded row; `row` is its number in the file that was learned from, if it is of that file.
    pub(crate) fn explain(&self, encoded: &Rows, row: Option<u64>) -> Explanation {
        let nearest = self.nearest(&encoded.numbers, row);
        let mut shares: Vec<(usize, f64)> =
            self.column_shares(encoded, &nearest).into_iter().enumerate().collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares.retain(|(_, share)| *share >= LEAST_SHARE);
        shares.truncate(MOST_REASONS);
        let usual = |(column, _): &(usize, f64)| {
            let habits = self.model.habits.as_ref();
            habits.map_or_else(Vec::new, |habits| habits.usual(*column, &encoded.traits, encoded.are_known))
        };
        let usual = shares.iter().map(usual).collect();
        Explanation { shares, nearest, usual }
    }

    pub(crate) fn reasons(
        &self,
        explanation: &Explanation,
        record: &Map<String, Value>,
    ) -> Vec<ColumnReason> {
        let reason = |((column, share), usual): (&(usize, f64), &Vec<String>)| {
            let name = &self.model.schema.columns[*column].name;
            ColumnReason {
                column: name.clone(),
                value: record.get(name).cloned().unwrap_or(Value::Null),
                typical: self.typical(*column, usual, &explanation.nearest),
                share: *share,
            }
        };
        explanation.shares.iter().zip(&explanation.usual).map(reason).collect()
    }

    /// The nearest exemplars other than the row itself.
    fn nearest(&self, encoded: &[f32], row: Option<u64>) -> Vec<usize> {
        let exemplars = &self.model.exemplars;
        let mut distances: Vec<(f32, usize)> = (0..self.compared)
            .filter(|exemplar| row.is_none_or(|row| !exemplars.is_row(*exemplar, row)))
            .map(|exemplar| (squared_distance(encoded, exemplars.matrix.row(exemplar)), exemplar))
            .collect();
        let nearest = NEAREST.min(distances.len());
        if nearest < distances.len() {
            distances.select_nth_unstable_by(nearest, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        distances.truncate(nearest);
        distances.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        distances.into_iter().map(|(_, exemplar)| exemplar).collect()
    }

    /// Where habits are broken, the part of each column in that. Else the mean of two shares: of the difference to the nearest exemplars, and of the surprise given all other
    /// columns. Features are folded into the columns they were read off.
    fn column_shares(&self, encoded: &Rows, nearest: &[usize]) -> Vec<f64> {
        let Model { schema, exemplars, detectors, habits, .. } = self.model;
        if let Some(habits) = habits.as_ref().filter(|_| self.model.breaks_habits(encoded)) {
            return as_shares(habits.by_column(&encoded.traits, encoded.are_known, schema.columns.len()));
        }
        let mut differences = vec![0.0; schema.width()];
        for exemplar in nearest {
            let other = exemplars.matrix.row(*exemplar);
            for (difference, (x, y)) in differences.iter_mut().zip(encoded.numbers.iter().zip(other)) {
                *difference += f64::from(x.clamp(-CLIP, CLIP) - y.clamp(-CLIP, CLIP)).powi(2);
            }
        }
        let mut surprises = vec![0.0; schema.width()];
        let spread = &detectors.spread;
        for (feature, surprise) in
            spread.features.iter().zip(spread.surprises(&encoded.numbers, &self.precision))
        {
            surprises[*feature] = surprise;
        }
        let mut shares = vec![0.0; schema.columns.len()];
        let parts = [differences, surprises].map(as_shares);
        let told = parts.iter().filter(|part| part.iter().any(|share| *share > 0.0)).count().max(1);
        for part in &parts {
            for (feature, share) in schema.features.iter().zip(part) {
                shares[feature.column] += share / told as f64;
            }
        }
        // Where one column is all of it, the rounded sum may lie a little above one.
        shares.into_iter().map(|share: f64| share.min(1.0)).collect()
    }

    fn typical(&self, column: usize, usual: &[String], nearest: &[usize]) -> String {
        if !usual.is_empty() {
            return usual
                .iter()
                .map(|word| word.chars().take(MOST_CHARACTERS).collect())
                .collect::<Vec<String>>()
                .join(", ");
        }
        let of = |numbers: &[f64]| -> Vec<f64> {
            nearest.iter().map(|exemplar| numbers[*exemplar]).filter(|number| !number.is_nan()).collect()
        };
        match self.model.exemplars.cells(column) {
            Cells::Numbers(numbers) => {
                let near = of(numbers);
                let least = near.iter().copied().reduce(f64::min);
                interval_of_numbers(least.zip(near.iter().copied().reduce(f64::max)))
            }
            Cells::Times(times) => interval_of_hours(of(times).into_iter()),
            Cells::Words { codes, words } => {
                usual_words(nearest.iter().map(|exemplar| codes[*exemplar]), words)
            }
            Cells::Unused => String::new(),
        }
    }
}

fn as_shares(numbers: Vec<f64>) -> Vec<f64> {
    let sum: f64 = numbers.iter().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return vec![0.0; numbers.len()];
    }
    numbers.into_iter().map(|number| number / sum).collect()
}
