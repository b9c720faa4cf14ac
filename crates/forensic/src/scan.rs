//! The story of a scan: table → features → detectors → threshold → reasons.

use std::path::Path;

use sentinelflow_domain::scan::{Places, ScanOptions, ScanProgress, ScanReport, ScoreHistogram, Sightings};

use crate::{
    Limits, ScanError,
    detectors::{self, Engine},
    features::Features,
    fusion::fuse,
    profile::profile,
    reasons::{Flagged, explain},
    table::Table,
    threshold::{Calibration, calibrate},
};

/// A report, and one score for every data row in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutcome {
    pub report: ScanReport,
    pub scores: Vec<f64>,
}

/// Below this nothing can be said about what is ordinary.
const FEWEST_ROWS: usize = 10;

/// Returns what is anomalous in a file.
///
/// The same file, options and version give the same answer, bit for bit; the order of the rows does not matter.
pub fn scan(
    file: &Path,
    name: &str,
    options: &ScanOptions,
    limits: &Limits,
    progress: &dyn ScanProgress,
) -> Result<ScanOutcome, ScanError> {
    let mut table = Table::read(file, name, options, limits, progress)?;
    if table.rows < FEWEST_ROWS {
        return Err(ScanError::TooFewRows { rows: table.rows as u64, needed: FEWEST_ROWS as u64 });
    }
    let (mut columns, candidates) = profile(&table, &options.ignore);
    let features = Features::build(&mut table, &candidates, &mut columns, progress)?;
    let Engine { engine, reason } = Engine::choose(options.engine, table.rows)?;
    let findings = detectors::run(&features, engine, progress)?;
    let calibration = calibrate(&fuse(&findings.parts), options.cutoff);
    let flagged = flag(&calibration, &features.file_rows);
    let reported = &flagged[..flagged.len().min(options.limit)];
    let threats = explain(reported, &table, &features, &findings, progress)?;
    let report = ScanReport {
        total_scanned: table.rows as u64,
        threats_detected: flagged.len() as u64,
        threshold_used: calibration.threshold,
        threshold_method: calibration.method,
        expected_false_alarms: calibration.expected_false_alarms,
        engine,
        engine_reason: reason,
        columns,
        notes: table.notes,
        threats,
        scores: histogram(&calibration.scores),
        places: Places::default(),
        baseline: None,
        sightings: Sightings::default(),
    };
    progress.advance("done", 1.0);
    Ok(ScanOutcome { report, scores: in_file_order(&calibration.scores, &features.file_rows) })
}

fn histogram(scores: &[f64]) -> ScoreHistogram {
    let mut histogram = ScoreHistogram::default();
    scores.iter().for_each(|score| histogram.count(*score));
    histogram
}

/// Returns the rows that reach the threshold, by falling score and then by row.
fn flag(calibration: &Calibration, file_rows: &[u32]) -> Vec<Flagged> {
    let scores = calibration.scores.iter().copied().enumerate();
    let mut flagged: Vec<Flagged> = scores
        .filter(|(_, score)| *score >= calibration.threshold)
        .map(|(position, score)| Flagged { position, score })
        .collect();
    flagged.sort_unstable_by(|a, b| {
        b.score.total_cmp(&a.score).then(file_rows[a.position].cmp(&file_rows[b.position]))
    });
    flagged
}

fn in_file_order(scores: &[f64], file_rows: &[u32]) -> Vec<f64> {
    let mut ordered = vec![0.0; scores.len()];
    for (score, row) in scores.iter().zip(file_rows) {
        ordered[*row as usize] = *score;
    }
    ordered
}
