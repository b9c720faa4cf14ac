//! What a scan promises, asked of whole files.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "tables made here are small"
)]

use std::{fmt::Write as _, io::Write as _, path::Path};

use sentinelflow_domain::scan::{EngineChoice, ScanOptions, ScanProgress, ScanReport, Unwatched};
use sentinelflow_forensic::{Limits, ScanError, Scores};

mod accuracy;
mod bad_files;
mod bad_formats;
mod columns;
mod formats;
mod hostile_workbooks;
mod models;
mod promises;
mod report;
mod workbooks;

/// The statistical engine is enough wherever a test is not about engines.
fn statistical() -> ScanOptions {
    ScanOptions { engine: EngineChoice::Statistical, ..ScanOptions::default() }
}

/// A report, and a score for every row.
#[derive(Debug, Clone, PartialEq)]
struct ScanOutcome {
    report: ScanReport,
    scores: Vec<f64>,
}

fn scan(
    file: &Path,
    name: &str,
    options: &ScanOptions,
    limits: &Limits,
    progress: &dyn ScanProgress,
) -> Result<ScanOutcome, ScanError> {
    let mut scores = Scores::default();
    let report = sentinelflow_forensic::scan(file, name, options, None, limits, progress, &mut scores)?;
    Ok(ScanOutcome { report, scores: scores.0 })
}

fn scan_with(bytes: &[u8], options: &ScanOptions, limits: &Limits) -> Result<ScanOutcome, ScanError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    scan(file.path(), "upload", options, limits, &Unwatched)
}

fn scan_bytes(bytes: &[u8]) -> Result<ScanOutcome, ScanError> {
    scan_with(bytes, &statistical(), &Limits::default())
}

/// A table of three related columns without anything odd in it.
fn calm_table(rows: usize) -> String {
    let mut table = "sent,received,user\n".to_owned();
    for row in 0..rows {
        let sent = 100.0 + (row as f64 * 0.7).sin() * 20.0 + (row * 7919 % 31) as f64 * 0.1;
        let received = sent * 2.0 + (row * 104_729 % 17) as f64 * 0.2;
        let user = ["ana", "ben", "cleo"][row * 31 % 7 % 3];
        writeln!(table, "{sent:.3},{received:.3},{user}").unwrap();
    }
    table
}
