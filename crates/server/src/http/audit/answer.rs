//! What is said of a scan: its result, or how far it is.

use sentinelflow_domain::{
    scan::{Anomaly, ColumnProfile, Places, ScanReport, ScoreHistogram, Sightings},
    store::{ScanRecord, ScanState},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::error::ApiError;

/// A scan as its owner sees it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Scan)]
pub(super) enum ScanAnswer<'a> {
    Done(Box<ResultShape<'a>>),
    NotDone(NotDoneShape<'a>),
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScanDone)]
pub(super) enum DoneStatus {
    Done,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScanNotDone)]
pub(super) enum NotDoneStatus {
    Queued,
    Running,
    Failed,
    Cancelled,
}

/// A scan that has no result, or none yet.
#[derive(Serialize, ToSchema)]
#[schema(as = ScanWithoutResult)]
pub(super) struct NotDoneShape<'a> {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    status: NotDoneStatus,
    /// How far it is, 0 to 1; it never falls.
    #[schema(minimum = 0, maximum = 1, example = 0.42)]
    progress: f64,
    #[schema(example = "audit_log.csv")]
    filename: &'a str,
    /// When it failed or was cancelled; until then, when it was asked for.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Why it failed.
    #[schema(example = "the table has 1 data rows; at least 10 are needed.")]
    error: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ScanResult)]
pub(super) struct ResultShape<'a> {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    status: DoneStatus,
    /// 1: it is done.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    progress: f64,
    /// When it was done.
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(example = "audit_log.csv")]
    filename: &'a str,
    total_scanned: u64,
    /// All flagged rows, also those beyond the limit.
    threats_detected: u64,
    /// The cut-off applied, on the scale of `score`.
    threshold_used: f64,
    /// How the cut-off came about.
    threshold_method: &'a str,
    /// The share of a file without anomalies that the cut-off would flag.
    #[schema(minimum = 0, maximum = 1, example = 0.005)]
    expected_false_alarms: f64,
    #[schema(example = "autoencoder")]
    engine: &'static str,
    /// Why this engine.
    engine_reason: &'a str,
    /// The baseline that judged; null where the file was its own measure.
    baseline: Option<&'a str>,
    duration_ms: u64,
    #[schema(value_type = Vec<ColumnShape>)]
    columns: &'a [ColumnProfile],
    /// What the reader had to put up with.
    #[schema(value_type = Vec<String>)]
    notes: &'a [String],
    /// The flagged rows by falling score, as many as were asked for.
    #[schema(value_type = Vec<AnomalyShape>)]
    threats: &'a [Anomaly],
    #[schema(value_type = HistogramShape)]
    scores: &'a ScoreHistogram,
    #[schema(value_type = PlacesShape)]
    places: &'a Places,
    #[schema(value_type = SightingsShape)]
    sightings: &'a Sightings,
}

#[derive(ToSchema)]
#[schema(as = Column)]
#[expect(dead_code, reason = "describes `ColumnProfile`")]
struct ColumnShape {
    name: String,
    #[schema(example = "numeric")]
    kind: String,
    used: bool,
    /// Why the column was taken for this kind, or why it was not used.
    reason: String,
    /// Cells without a usable value.
    missing: u64,
    /// Different values among the rows that were learned from; null where they were not counted.
    distinct: Option<u64>,
    /// What most cells hold, for people; may be empty.
    typical: String,
}

#[derive(ToSchema)]
#[schema(as = Anomaly)]
#[expect(dead_code, reason = "describes `Anomaly`")]
pub(super) struct AnomalyShape {
    /// Counted from 1 over data rows; a header is not counted.
    #[schema(minimum = 1)]
    row: u64,
    /// The calibrated probability that a normal row scores lower.
    #[schema(minimum = 0, maximum = 1)]
    score: f64,
    reasons: Vec<ReasonShape>,
    /// The row's cells by column name; a text of more than 1,024 characters is cut and ends in “…”.
    #[schema(value_type = Object)]
    record: serde_json::Value,
    /// The least change after which the row would not be flagged; null where none was found.
    counterfactual: Option<CounterfactualShape>,
}

#[derive(ToSchema)]
#[schema(as = Reason)]
#[expect(dead_code, reason = "describes `ColumnReason`")]
struct ReasonShape {
    column: String,
    /// The cell as it stands in the file.
    value: serde_json::Value,
    /// What would have been ordinary here.
    #[schema(example = "1.2e3 – 8.8e4")]
    typical: String,
    /// The column's part of the anomaly.
    #[schema(minimum = 0, maximum = 1)]
    share: f64,
}

/// A change of cells that was made and scored before it is shown.
#[derive(ToSchema)]
#[schema(as = Counterfactual)]
#[expect(dead_code, reason = "describes `Counterfactual`")]
struct CounterfactualShape {
    changes: Vec<ChangeShape>,
    /// The score of the changed row, below the cut-off.
    #[schema(minimum = 0, maximum = 1)]
    score: f64,
}

#[derive(ToSchema)]
#[schema(as = Change)]
#[expect(dead_code, reason = "describes `CellChange`")]
struct ChangeShape {
    column: String,
    /// The cell that was tried.
    value: serde_json::Value,
    /// The change in words.
    #[schema(example = "≤ 4200000")]
    would_pass: String,
}

#[derive(ToSchema)]
#[schema(as = ScoreHistogram)]
#[expect(dead_code, reason = "describes `ScoreHistogram`")]
struct HistogramShape {
    /// How many rows have which score: by −log₁₀(1 − score) in steps of a tenth, the last for whatever lies beyond.
    rows: Vec<u64>,
}

#[derive(ToSchema)]
#[schema(as = Places)]
#[expect(dead_code, reason = "describes `Places`")]
struct PlacesShape {
    /// How many rows of the file a slice holds.
    rows_per_slice: u64,
    /// Flagged rows of each slice, from the top of the file.
    flagged: Vec<u64>,
}

/// What the rules of the security engine found in columns of text.
#[derive(ToSchema)]
#[schema(as = Sightings)]
#[expect(dead_code, reason = "describes `Sightings`")]
struct SightingsShape {
    /// The columns whose cells were looked at.
    columns: Vec<String>,
    /// All rows with a sighting, also those that are not listed.
    rows: u64,
    listed: Vec<SightingShape>,
}

#[derive(ToSchema)]
#[schema(as = Sighting)]
#[expect(dead_code, reason = "describes `Sighting`")]
struct SightingShape {
    #[schema(minimum = 1)]
    row: u64,
    column: String,
    /// What the security engine says of the cell.
    #[schema(minimum = 0, maximum = 100)]
    score: u8,
    #[schema(example = "HIGH")]
    severity: String,
    category: String,
    summary: String,
    /// Ids of the rules that fired.
    rules: Vec<String>,
    /// What the forensic engine says of the row.
    #[schema(minimum = 0, maximum = 1)]
    row_score: f64,
}

impl<'a> ScanAnswer<'a> {
    /// Tells of a scan, with how far it is if it waits or runs.
    pub(super) fn of(scan: &'a ScanRecord, progress: Option<f64>) -> Self {
        let status = match &scan.state {
            ScanState::Done(report) => return Self::Done(Box::new(ResultShape::of(scan, report))),
            ScanState::Queued => NotDoneStatus::Queued,
            ScanState::Running => NotDoneStatus::Running,
            ScanState::Failed(_) => NotDoneStatus::Failed,
            ScanState::Cancelled => NotDoneStatus::Cancelled,
        };
        let error = if let ScanState::Failed(error) = &scan.state { Some(error.as_str()) } else { None };
        Self::NotDone(NotDoneShape {
            id: scan.id.to_string(),
            status,
            progress: progress.unwrap_or(0.0),
            filename: &scan.filename,
            timestamp: scan.finished_at.unwrap_or(scan.created_at).to_string(),
            error,
        })
    }

    /// Writes the answer, which borrows from what it tells.
    pub(super) fn written(&self) -> Result<Box<RawValue>, ApiError> {
        serde_json::value::to_raw_value(self).map_err(ApiError::damaged)
    }
}

impl<'a> ResultShape<'a> {
    fn of(scan: &'a ScanRecord, report: &'a ScanReport) -> Self {
        Self {
            id: scan.id.to_string(),
            status: DoneStatus::Done,
            progress: 1.0,
            timestamp: scan.finished_at.unwrap_or(scan.created_at).to_string(),
            filename: &scan.filename,
            total_scanned: report.total_scanned,
            threats_detected: report.threats_detected,
            threshold_used: report.threshold_used,
            threshold_method: &report.threshold_method,
            expected_false_alarms: report.expected_false_alarms,
            engine: report.engine.as_str(),
            engine_reason: &report.engine_reason,
            baseline: report.baseline.as_deref(),
            duration_ms: scan.duration_ms,
            columns: &report.columns,
            notes: &report.notes,
            threats: &report.threats,
            scores: &report.scores,
            places: &report.places,
            sightings: &report.sightings,
        }
    }
}
