//! Says which columns make a row strange, and what would have been ordinary there.

use sentinelflow_domain::scan::{Anomaly, ColumnReason, ScanProgress};
use serde_json::{Map, Value};

use crate::{
    ScanError,
    detectors::{Findings, neighbours::squared_distance},
    features::{CLIP, Features},
    table::{Column, MISSING, Table, Values},
};

const NEAREST: usize = 8;
const MOST_REASONS: usize = 5;
/// Columns with a smaller part are left out; they explain nothing.
const LEAST_SHARE: f64 = 0.02;
/// Trusted rows a flagged row is compared with, and a bound on the work of comparing all of them.
const MOST_COMPARED: usize = 4_096;
const FEWEST_COMPARED: usize = 256;
const MOST_WORK: usize = 2_000_000_000;

/// A flagged row: its place in the matrix and its score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flagged {
    pub(crate) position: usize,
    pub(crate) score: f64,
}

/// Returns the flagged rows with their cells and their reasons, in the order given.
pub(crate) fn explain(
    flagged: &[Flagged],
    table: &Table,
    features: &Features,
    findings: &Findings,
    progress: &dyn ScanProgress,
) -> Result<Vec<Anomaly>, ScanError> {
    if flagged.is_empty() {
        return Ok(Vec::new());
    }
    let explainer = Explainer::new(table, features, findings, flagged.len());
    let records = records_of(flagged, table, features)?;
    let mut anomalies = Vec::with_capacity(flagged.len());
    for (done, (flagged, record)) in flagged.iter().zip(records).enumerate() {
        progress.advance("explaining", done as f64 / anomalies.capacity() as f64);
        if progress.is_cancelled() {
            return Err(ScanError::Cancelled);
        }
        anomalies.push(Anomaly {
            row: u64::from(features.file_rows[flagged.position]) + 1,
            score: flagged.score,
            reasons: explainer.reasons(flagged.position, &record),
            record,
            counterfactual: None,
        });
    }
    Ok(anomalies)
}

fn records_of(
    flagged: &[Flagged],
    table: &Table,
    features: &Features,
) -> Result<Vec<Map<String, Value>>, ScanError> {
    let row_of = |flagged: &Flagged| features.file_rows[flagged.position] as usize;
    let mut rows: Vec<usize> = flagged.iter().map(row_of).collect();
    rows.sort_unstable();
    let mut records = table.records(&rows)?;
    // A file that was cut off since it was read has fewer records now.
    records.resize(rows.len(), Map::new());
    let place = |flagged| rows.binary_search(&row_of(flagged)).expect("every flagged row was asked for");
    Ok(flagged.iter().map(|flagged| std::mem::take(&mut records[place(flagged)])).collect())
}

struct Explainer<'a> {
    table: &'a Table<'a>,
    features: &'a Features,
    findings: &'a Findings,
    compared: Vec<usize>,
    precision: Vec<f64>,
    /// The words of the columns that have any, by code.
    dictionaries: Vec<Vec<String>>,
}

impl<'a> Explainer<'a> {
    fn new(table: &'a Table<'a>, features: &'a Features, findings: &'a Findings, flagged: usize) -> Self {
        let affordable = MOST_WORK / (flagged * features.matrix.width);
        let most = affordable.clamp(FEWEST_COMPARED, MOST_COMPARED);
        let stride = findings.trusted.len().div_ceil(most);
        let compared = findings.trusted.iter().copied().step_by(stride).collect();
        let dictionary = |column: &Column| match &column.values {
            Values::Words(words) => words.dictionary(),
            _ => Vec::new(),
        };
        Self {
            table,
            features,
            findings,
            compared,
            precision: findings.spread.precision(),
            dictionaries: table.columns.iter().map(dictionary).collect(),
        }
    }

    fn reasons(&self, position: usize, record: &Map<String, Value>) -> Vec<ColumnReason> {
        let nearest = self.nearest(position);
        let mut shares: Vec<(usize, f64)> =
            self.column_shares(position, &nearest).into_iter().enumerate().collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
            .into_iter()
            .take(MOST_REASONS)
            .filter(|(_, share)| *share >= LEAST_SHARE)
            .map(|(column, share)| {
                let name = &self.table.columns[column].name;
                ColumnReason {
                    column: name.clone(),
                    value: record.get(name).cloned().unwrap_or(Value::Null),
                    typical: self.typical(column, &nearest),
                    share,
                }
            })
            .collect()
    }

    /// The nearest trusted rows other than the row itself.
    fn nearest(&self, position: usize) -> Vec<usize> {
        let matrix = &self.features.matrix;
        let row = matrix.row(position);
        let mut distances: Vec<(f32, usize)> = self
            .compared
            .iter()
            .filter(|other| **other != position)
            .map(|other| (squared_distance(row, matrix.row(*other)), *other))
            .collect();
        let nearest = NEAREST.min(distances.len());
        if nearest < distances.len() {
            distances.select_nth_unstable_by(nearest, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        distances.truncate(nearest);
        distances.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        distances.into_iter().map(|(_, other)| other).collect()
    }

    /// The mean of two shares: of the difference to the nearest trusted rows, and of the surprise given all
    /// other columns. Features are folded into the columns they were read off.
    fn column_shares(&self, position: usize, nearest: &[usize]) -> Vec<f64> {
        let matrix = &self.features.matrix;
        let row = matrix.row(position);
        let mut differences = vec![0.0; matrix.width];
        for other in nearest {
            for (difference, (x, y)) in differences.iter_mut().zip(row.iter().zip(matrix.row(*other))) {
                *difference += f64::from(x.clamp(-CLIP, CLIP) - y.clamp(-CLIP, CLIP)).powi(2);
            }
        }
        let mut surprises = vec![0.0; matrix.width];
        let spread = &self.findings.spread;
        for (feature, surprise) in spread.features.iter().zip(spread.surprises(row, &self.precision)) {
            surprises[*feature] = surprise;
        }
        let mut shares = vec![0.0; self.table.columns.len()];
        let parts = [differences, surprises].map(as_shares);
        let told = parts.iter().filter(|part| part.iter().any(|share| *share > 0.0)).count().max(1);
        for part in &parts {
            for (feature, share) in self.features.each.iter().zip(part) {
                shares[feature.column] += share / told as f64;
            }
        }
        // Where one column is all of it, the rounded sum may lie a little above one.
        shares.into_iter().map(|share: f64| share.min(1.0)).collect()
    }

    fn typical(&self, column: usize, nearest: &[usize]) -> String {
        let rows = nearest.iter().map(|position| self.features.file_rows[*position] as usize);
        match &self.table.columns[column].values {
            Values::Numbers(_) => self.number_interval(column, nearest),
            Values::Times(values) => time_interval(rows.map(|row| values[row])),
            Values::Words(words) => {
                usual_words(rows.map(|row| words.codes()[row]), &self.dictionaries[column])
            }
        }
    }

    fn number_interval(&self, column: usize, nearest: &[usize]) -> String {
        let features = self.features.each.iter().enumerate();
        let Some((number, feature)) = features.into_iter().find(|(_, f)| f.column == column && f.is_value)
        else {
            return "no value".to_owned();
        };
        let values =
            nearest.iter().map(|position| feature.in_file_units(self.features.matrix.row(*position)[number]));
        let (least, most) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (least.min(x), most.max(x)));
        interval(&short(least), &short(most))
    }
}

fn as_shares(numbers: Vec<f64>) -> Vec<f64> {
    let sum: f64 = numbers.iter().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return vec![0.0; numbers.len()];
    }
    numbers.into_iter().map(|number| number / sum).collect()
}

fn interval(least: &str, most: &str) -> String {
    if least == most { least.to_owned() } else { format!("{least} – {most}") }
}

/// Returns a number with three digits that count, in a form that people read at a glance.
fn short(number: f64) -> String {
    let rounded: f64 = format!("{number:.2e}").parse().expect("a number that was just written");
    let size = rounded.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) { format!("{rounded:e}") } else { rounded.to_string() }
}

fn time_interval(times: impl Iterator<Item = f64>) -> String {
    let minutes: Vec<i64> = times
        .filter(|seconds| !seconds.is_nan())
        .map(|seconds| (seconds.rem_euclid(86_400.0) / 60.0) as i64)
        .collect();
    let (Some(first), Some(last)) = (minutes.iter().min(), minutes.iter().max()) else {
        return "no value".to_owned();
    };
    let clock = |minute: &i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{} UTC", interval(&clock(first), &clock(last)))
}

/// Returns the commonest words among the neighbours.
fn usual_words(codes: impl Iterator<Item = u32>, dictionary: &[String]) -> String {
    const MOST_WORDS: usize = 3;
    const MOST_CHARACTERS: usize = 60;
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for code in codes {
        let word = if code == MISSING { "no value" } else { &dictionary[code as usize] };
        *counts.entry(word.chars().take(MOST_CHARACTERS).collect()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(MOST_WORDS).map(|(word, _)| word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in
            [(0.0, "0"), (119.999_99, "120"), (88_123.0, "88100"), (9.1e9, "9.1e9"), (0.000_012, "1.2e-5")]
        {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn usual_words_begin_with_the_commonest() {
        let words = ["GET", "POST", "PUT", "PATCH"].map(str::to_owned);
        let codes = [1, 0, 0, 2, 3, 0, 1, MISSING];
        assert_eq!(usual_words(codes.into_iter(), &words), "GET, POST, PATCH");
    }
}
