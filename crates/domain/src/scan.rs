//! What the forensic engine is asked and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::analysis::{Score, Severity};

/// Which engine the caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// The autoencoder where it can run, else the statistical engine.
    #[default]
    Auto,
    Autoencoder,
    Statistical,
}

/// Which engine found the anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScanEngine {
    Autoencoder,
    Statistical,
}

impl ScanEngine {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Autoencoder => "autoencoder",
            Self::Statistical => "statistical",
        }
    }
}

/// What a scan may be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanOptions {
    pub engine: EngineChoice,
    pub cutoff: Cutoff,
    /// How many flagged rows the report may hold; all of them are counted.
    pub limit: usize,
    /// The sheet of a workbook to read; without it the first that has rows.
    pub sheet: Option<String>,
    /// Columns to leave out, by name.
    pub ignore: Vec<String>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            engine: EngineChoice::Auto,
            cutoff: Cutoff::default(),
            limit: 1_000,
            sheet: None,
            ignore: Vec::new(),
        }
    }
}

/// Which rows are flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cutoff {
    /// Those that score so high that at most this share of a file without anomalies would: above 0, at most 1.
    FalseAlarms(f64),
    /// Those with at least this score, 0 to 1.
    Score(f64),
    /// So many rows with the highest scores; of equals the first in the file.
    Top(u64),
}

impl Cutoff {
    /// The share of a clean file that is flagged unless something else is asked for.
    pub const FALSE_ALARMS: f64 = 5e-3;
}

impl Default for Cutoff {
    fn default() -> Self {
        Self::FalseAlarms(Self::FALSE_ALARMS)
    }
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanReport {
    pub total_scanned: u64,
    /// All flagged rows, also those beyond the limit.
    pub threats_detected: u64,
    /// The cut-off applied, on the scale of `Anomaly::score`.
    pub threshold_used: f64,
    /// How the cut-off came about, in a sentence.
    pub threshold_method: String,
    /// The share of a file without anomalies that the cut-off would flag, 0 to 1.
    #[serde(default)]
    pub expected_false_alarms: f64,
    pub engine: ScanEngine,
    /// Why this engine, in a sentence.
    pub engine_reason: String,
    pub columns: Vec<ColumnProfile>,
    /// What the reader had to put up with, such as padded rows; empty for a clean file.
    pub notes: Vec<String>,
    /// The flagged rows by falling score, at most `ScanOptions::limit`.
    pub threats: Vec<Anomaly>,
    #[serde(default)]
    pub scores: ScoreHistogram,
    #[serde(default)]
    pub places: Places,
    /// The name of the baseline that judged; `None` where the file was its own measure.
    #[serde(default)]
    pub baseline: Option<String>,
    /// What the security engine saw in the file's texts, whatever the rows' scores.
    #[serde(default)]
    pub sightings: Sightings,
}

/// How many rows have which score. The scale is the surprise, −log₁₀(1 − score), on which the rare rows are far apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Rows by surprise in steps of 1/`STEPS`; the last also counts whatever lies beyond. Empty in old reports.
    pub rows: Vec<u64>,
}

impl ScoreHistogram {
    /// Bins to one unit of surprise.
    pub const STEPS: usize = 10;
    pub const BINS: usize = 80;

    /// Returns the bin of a score of 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped"
    )]
    pub fn bin(score: f64) -> usize {
        let surprise = -(1.0 - score).max(f64::MIN_POSITIVE).log10();
        (surprise * Self::STEPS as f64).clamp(0.0, (Self::BINS - 1) as f64) as usize
    }

    pub fn count(&mut self, score: f64) {
        self.rows.resize(Self::BINS, 0);
        self.rows[Self::bin(score)] += 1;
    }
}

/// Where in the file the flagged rows lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// How many rows of the file a slice holds; the last may have fewer. 0 in old reports.
    pub rows_per_slice: u64,
    /// Flagged rows of each slice, from the top of the file; at most 128 slices.
    pub flagged: Vec<u64>,
}

/// What the rules of the security engine found in columns of text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sightings {
    /// The columns whose cells were looked at, by name.
    pub columns: Vec<String>,
    /// All rows with a sighting, also those that are not listed.
    pub rows: u64,
    /// By falling score of the security engine, then by row; at most as many as the report holds threats.
    pub listed: Vec<Sighting>,
}

/// One cell in which the security engine saw a threat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Counted from 1 over data rows, as in `Anomaly::row`.
    pub row: u64,
    pub column: String,
    /// What the security engine says of the cell, 0 to 100.
    pub score: Score,
    pub severity: Severity,
    pub category: String,
    pub summary: String,
    /// Ids of the rules that fired.
    pub rules: Vec<String>,
    /// What the forensic engine says of the row, 0 to 1.
    pub row_score: f64,
}

/// What a column is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Numeric,
    /// Few different numbers that name something, such as an exit code.
    Code,
    Nominal,
    Timestamp,
    IpAddress,
    Text,
    Identifier,
    Constant,
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    pub kind: ColumnKind,
    pub used: bool,
    /// Why the column was taken for this kind, or why it was not used.
    pub reason: String,
    /// Cells without a usable value.
    #[serde(default)]
    pub missing: u64,
    /// Different values among the rows that were learned from; `None` where they were not counted.
    #[serde(default)]
    pub distinct: Option<u64>,
    /// What most cells hold, for people: the middle nine tenths of the numbers, the commonest words. May be empty.
    #[serde(default)]
    pub typical: String,
}

/// A row that does not belong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Counted from 1 over data rows; a header is not counted.
    pub row: u64,
    /// The calibrated probability that a normal row scores lower, 0 to 1.
    pub score: f64,
    /// The columns that make it anomalous, the largest share first.
    pub reasons: Vec<ColumnReason>,
    /// The row's cells by column name; a text of more than 1,024 characters is cut and ends in “…”, as a name is.
    pub record: Map<String, Value>,
    /// The least change after which the row would not be flagged; `None` where none was found.
    #[serde(default)]
    pub counterfactual: Option<Counterfactual>,
}

/// A change of a few cells after which the row scores below the cut-off. It was made and scored before it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counterfactual {
    pub changes: Vec<CellChange>,
    /// The score of the changed row, below the cut-off.
    pub score: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellChange {
    pub column: String,
    /// The cell that was tried, as it would stand in the file.
    pub value: Value,
    /// The change in words, such as “≤ 4200000” or “GET”.
    pub would_pass: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnReason {
    pub column: String,
    /// The cell as a JSON value, null where it is empty, cut as in the record.
    pub value: Value,
    /// What would have been ordinary here, in the file's own units.
    pub typical: String,
    /// The column's part of the anomaly, 0 to 1.
    pub share: f64,
}

/// Follows a scan and can stop it.
pub trait ScanProgress: Sync {
    /// Hears how far a phase is: its name and a fraction of 0 to 1.
    fn advance(&self, phase: &'static str, fraction: f64);

    /// Tells whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Follows nothing and stops nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl ScanProgress for Unwatched {
    fn advance(&self, _: &'static str, _: f64) {}
}
