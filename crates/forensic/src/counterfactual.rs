//! What would have to be otherwise for a row to pass: changes that are made and scored before they are told.

use sentinelflow_domain::scan::{CellChange, Counterfactual};
use serde_json::Value;

use crate::{
    encoder::Held,
    exemplars::{Cells, MOST_WORD_CHARACTERS},
    model::{Model, Rows},
    reasons::Explanation,
    table::{Cell, Form, KeptRecord, Meaning, as_json, as_rfc3339},
};

/// A changed row passes with so much to spare, as a factor of the share of ordinary rows beyond it, so that it also
/// passes when the changed file is learned from anew.
const MARGIN: f64 = 3.0;
/// Points between the value that passes most easily and the one in the file at which is looked for the limit.
const POINTS: usize = 16;

/// A value that a cell may be changed to.
#[derive(Debug, Clone, PartialEq)]
enum Other {
    Number(f64),
    Time(f64),
    Word(String),
}

/// Looks for changes of a row that is flagged.
pub(crate) struct Search<'a> {
    pub(crate) model: &'a Model,
    pub(crate) threshold: f64,
    /// The row's cells, and where the model's columns are among them.
    pub(crate) record: &'a KeptRecord,
    pub(crate) columns: &'a [Option<usize>],
    pub(crate) encoded: &'a Rows,
}

impl Search<'_> {
    /// Returns the smallest change found after which the row would pass: of one cell if that is enough.
    pub(crate) fn run(&self, explanation: &Explanation) -> Option<Counterfactual> {
        let others: Vec<(usize, Other)> = explanation
            .shares
            .iter()
            .zip(&explanation.usual)
            .filter_map(|((column, _), usual)| {
                let other =
                    self.usual(*column, usual).or_else(|| self.ordinary(*column, &explanation.nearest));
                Some((*column, other?))
            })
            .collect();
        for change in &others {
            if let Some(found) = self.checked(std::slice::from_ref(change)) {
                return Some(self.at_the_limit(change).unwrap_or(found));
            }
        }
        let enough = (2..=others.len()).find(|count| self.passes(&others[..*count]).is_some())?;
        let mut changes = others[..enough].to_vec();
        for spare in (0..enough).rev() {
            let mut fewer = changes.clone();
            fewer.remove(spare);
            if !fewer.is_empty() && self.passes(&fewer).is_some() {
                changes = fewer;
            }
        }
        self.checked(&changes)
    }

    /// Returns what usually comes with the row's other values.
    fn usual(&self, column: usize, usual: &[String]) -> Option<Other> {
        self.columns[column]?;
        let habits = self.model.habits.as_ref()?;
        if let Some(amount) = habits.expected(column, &self.encoded.traits) {
            return Some(Other::Number(three_digits(amount)));
        }
        let usual = usual.first().filter(|_| habits.names(column))?;
        match self.model.schema.columns[column].form {
            Form::Numbers => usual.parse().ok().map(Other::Number),
            Form::Words => Some(Other::Word(usual.clone())),
            Form::Times => None,
        }
    }

    /// Returns what the nearest ordinary rows have in a column: the middle of the numbers, the commonest word.
    fn ordinary(&self, column: usize, nearest: &[usize]) -> Option<Other> {
        self.columns[column]?;
        let middle = |numbers: &[f64]| {
            let mut near: Vec<f64> =
                nearest.iter().map(|exemplar| numbers[*exemplar]).filter(|number| !number.is_nan()).collect();
            near.sort_unstable_by(f64::total_cmp);
            near.get(near.len() / 2).copied()
        };
        match self.model.exemplars.cells(column) {
            Cells::Numbers(numbers) => middle(numbers).map(Other::Number),
            Cells::Times(times) => middle(times).map(Other::Time),
            Cells::Words { codes, words } => {
                let near: Vec<&String> =
                    nearest.iter().filter_map(|exemplar| words.get(codes[*exemplar] as usize)).collect();
                let votes = |word: &String| near.iter().filter(|other| **other == word).count();
                let usual = near.iter().max_by(|a, b| votes(a).cmp(&votes(b)).then(b.cmp(a)))?;
                let is_whole = usual.chars().count() < MOST_WORD_CHARACTERS;
                is_whole.then(|| Other::Word((*usual).clone()))
            }
            Cells::Unused => None,
        }
    }

    /// Returns the change that leaves a number as near as possible to the one in the file: every value tried between
    /// it and the ordinary one passes.
    fn at_the_limit(&self, (column, ordinary): &(usize, Other)) -> Option<Counterfactual> {
        let Other::Number(ordinary) = ordinary else { return None };
        let cell = self.record.cell(self.columns[*column]?);
        let Meaning::Number(actual) = cell.meaning() else { return None };
        let point = |share: f64| rounded_towards(ordinary + (actual - ordinary) * share, *ordinary);
        let passes = |value: f64| self.passes(&[(*column, Other::Number(value))]).is_some();
        let (mut low, mut width) = (0.0, 1.0);
        for _ in 0..2 {
            let step = width / POINTS as f64;
            let passing = (1..POINTS).take_while(|n| passes(point(low + step * *n as f64))).count();
            low += step * passing as f64;
            width = step;
        }
        let limit = point(low);
        let found = self.checked(&[(*column, Other::Number(limit))])?;
        let sign = if actual > *ordinary { "≤" } else { "≥" };
        let [change] = found.changes.try_into().ok()?;
        let would_pass = format!("{sign} {}", change.value);
        Some(Counterfactual { changes: vec![CellChange { would_pass, ..change }], score: found.score })
    }

    fn checked(&self, changes: &[(usize, Other)]) -> Option<Counterfactual> {
        let score = self.passes(changes)?;
        let change = |(column, other): &(usize, Other)| {
            let value = other.as_json();
            CellChange {
                column: self.model.schema.columns[*column].name.clone(),
                would_pass: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                value,
            }
        };
        Some(Counterfactual { changes: changes.iter().map(change).collect(), score })
    }

    /// Returns the score of the changed row if it passes.
    fn passes(&self, changes: &[(usize, Other)]) -> Option<f64> {
        let mut row = self.encoded.clone();
        for (column, other) in changes {
            self.encode(*column, other, &mut row);
        }
        let score = self.model.scores(&row)[0];
        (1.0 - score >= (1.0 - self.threshold) * MARGIN && score < self.threshold).then_some(score)
    }

    fn encode(&self, column: usize, other: &Other, row: &mut Rows) {
        let schema = &self.model.schema;
        let held = match other {
            Other::Number(number) => Held::Number(*number),
            Other::Time(seconds) => Held::Time(*seconds),
            Other::Word(word) => Held::Word(Some(word.as_bytes().into())),
        };
        let mut numbers = Vec::new();
        if let Some(encoder) = &schema.columns[column].plan.encoder {
            encoder.encode(&held, &mut numbers);
        }
        for (x, feature) in
            row.numbers.iter_mut().zip(&schema.features).filter(|(_, feature)| feature.column == column)
        {
            *x = feature.scaled(numbers[feature.number]);
        }
        if let Some(habits) = &self.model.habits {
            habits.change(column, &held, &mut row.traits);
        }
    }
}

impl Other {
    fn as_json(&self) -> Value {
        match self {
            Self::Number(number) => as_json(Cell::Number(*number)),
            Self::Time(seconds) => Value::String(as_rfc3339(*seconds)),
            Self::Word(word) => Value::String(word.clone()),
        }
    }
}

/// Rounds a number to three digits that count, towards another; one that would go past the other stays as it is.
fn rounded_towards(number: f64, other: f64) -> f64 {
    if number == 0.0 {
        return number;
    }
    let step = 10_f64.powi(number.abs().log10().floor() as i32 - 2);
    let steps = number / step;
    let steps = if other < number { steps.floor() } else { steps.ceil() };
    let rounded = three_digits(steps * step);
    let lies_between = (rounded - number) * (rounded - other) <= 0.0;
    if lies_between { rounded } else { number }
}

/// Returns a number with three digits that count: written and read again, so that 26.8 is not 26.800000000000004.
fn three_digits(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "rounding to decimals is exact")]
    fn limits_are_rounded_towards_what_passes() {
        assert_eq!(rounded_towards(24.571_875, 20.0), 24.5);
        assert_eq!(rounded_towards(12.512, 16.0), 12.6);
        assert_eq!(rounded_towards(4_211_999.0, 1e3), 4_210_000.0);
        assert_eq!(rounded_towards(-0.001_234_9, 0.0), -0.001_23);
        assert_eq!(rounded_towards(24.571, 24.57), 24.571);
        assert_eq!(rounded_towards(0.0, 5.0), 0.0);
    }
}
