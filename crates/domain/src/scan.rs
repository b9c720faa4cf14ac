//! What the forensic engine is asked and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which engine the caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOptions {
    pub engine: EngineChoice,
    /// The cut-off on the 0–1 scale of `Anomaly::score`; without it the engine bounds false alarms itself.
    pub threshold: Option<f64>,
    /// How many flagged rows the report may hold; all of them are counted.
    pub limit: usize,
    /// The sheet of a workbook to read; without it the first that has rows.
    pub sheet: Option<String>,
    /// Columns to leave out, by name.
    pub ignore: Vec<String>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { engine: EngineChoice::Auto, threshold: None, limit: 1_000, sheet: None, ignore: Vec::new() }
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
    pub engine: ScanEngine,
    /// Why this engine, in a sentence.
    pub engine_reason: String,
    pub columns: Vec<ColumnProfile>,
    /// What the reader had to put up with, such as padded rows; empty for a clean file.
    pub notes: Vec<String>,
    /// The flagged rows by falling score, at most `ScanOptions::limit`.
    pub threats: Vec<Anomaly>,
}

/// What a column is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Numeric,
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
