//! What several fuzz targets share. Each target states the promise that it asserts.

use std::io::Write as _;

use sentinelflow_domain::scan::{Cutoff, EngineChoice, ScanOptions, ScanReport, Unwatched};
use sentinelflow_forensic::{Limits, NoWitness, ScanError, Scores, scan};

/// Whether a character controls a display instead of showing on it. Told apart from the engine's own list, by range.
pub fn is_obeyed(c: char) -> bool {
    let is_bidirectional =
        matches!(u32::from(c), 0x061C | 0x200E..=0x200F | 0x202A..=0x202E | 0x2066..=0x2069);
    c.is_control() || is_bidirectional
}

/// Asserts that a text can be shown on a terminal or a page as it is.
pub fn assert_harmless(what: &str, text: &str) {
    assert!(!text.chars().any(is_obeyed), "{what} holds characters that a display obeys: {text:?}");
}

/// A report, and a score for every row.
#[derive(Debug)]
struct ScanOutcome {
    report: ScanReport,
    scores: Vec<f64>,
}

/// Small enough that whatever is taken is scanned in milliseconds.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    rows: 500,
    columns: 40,
    cells: 4_000,
    record_bytes: 64 << 10,
    unpacked_bytes: 4 << 20,
    packing_ratio: 200,
};

/// How many anomalies a report may list here.
const MOST_LISTED: usize = 5;

/// Asserts what a scan of a file promises: a report that agrees with itself and stays within the limits, or an error
/// that says why; and that the threshold asked for changes what is flagged, not how rows are scored.
pub fn assert_scan_keeps_its_promises(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a temporary file");
    file.write_all(bytes).expect("there is room for a temporary file");
    let scan_with = |cutoff| {
        let engine = EngineChoice::Statistical;
        let options = ScanOptions { engine, cutoff, limit: MOST_LISTED, ..ScanOptions::default() };
        let mut scores = Scores::default();
        let report = scan(file.path(), "upload", &options, None, &LIMITS, &Unwatched, &mut scores);
        let outcome = report.map(|report| ScanOutcome { report, scores: scores.0 });
        assert_agrees_with_itself(&outcome);
        outcome
    };
    let (found, asked) = (scan_with(Cutoff::default()), scan_with(Cutoff::Score(0.5)));
    match (found, asked) {
        (Ok(found), Ok(asked)) => {
            let bits = |outcome: &ScanOutcome| -> Vec<u64> {
                outcome.scores.iter().map(|score| score.to_bits()).collect()
            };
            assert_eq!(bits(&found), bits(&asked), "the same file is scored alike");
            assert_eq!(found.report.columns, asked.report.columns);
            assert_eq!(found.report.notes, asked.report.notes);
        }
        (Err(found), Err(asked)) => assert_eq!(found.to_string(), asked.to_string()),
        (found, asked) => panic!("one file, two answers: {found:?} and {asked:?}"),
    }
}

/// Asserts that two files hold the same table: where the first is read, the second gives the same report.
pub fn assert_scanned_alike(bytes: &[u8], other: &[u8]) {
    assert_scan_keeps_its_promises(other);
    let [scanned, other] = [bytes, other].map(|bytes| {
        let mut file = tempfile::NamedTempFile::new().expect("there is room for a temporary file");
        file.write_all(bytes).expect("there is room for a temporary file");
        let options = ScanOptions { engine: EngineChoice::Statistical, ..ScanOptions::default() };
        scan(file.path(), "upload", &options, None, &LIMITS, &Unwatched, &mut NoWitness)
    });
    match (scanned, other) {
        (Ok(scanned), Ok(other)) => assert_eq!(scanned, other, "the same table in another file"),
        (Ok(_), Err(error)) => panic!("the same table in another file is refused: {error}"),
        (Err(scanned), Ok(_)) => panic!("a table that is refused is read from another file: {scanned}"),
        (Err(_), Err(_)) => {}
    }
}

/// The engine catches what foreign readers panic with; libFuzzer's hook would end the process before. A panic that
/// nobody catches still ends it.
pub fn let_guarded_panics_pass() {
    drop(std::panic::take_hook());
}

fn assert_agrees_with_itself(outcome: &Result<ScanOutcome, ScanError>) {
    let ScanOutcome { report, scores } = match outcome {
        Ok(outcome) => outcome,
        Err(ScanError::Unreadable(error)) => panic!("a readable file is not read: {error}"),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let rows = scores.len() as u64;
    assert_eq!(report.total_scanned, rows, "each row is scored");
    assert!((10..=LIMITS.rows).contains(&rows), "{rows} rows are out of bounds");
    assert!(report.columns.len() <= LIMITS.columns && rows * report.columns.len() as u64 <= LIMITS.cells);
    assert!(report.columns.iter().any(|column| column.used), "something was learned from");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "a score is a probability: {scores:?}");

    let flagged = scores.iter().filter(|score| **score >= report.threshold_used).count();
    assert_eq!(report.threats_detected, flagged as u64, "what reaches the threshold is counted");
    assert_eq!(report.threats.len(), flagged.min(MOST_LISTED), "and listed up to the limit");
    assert!(report.threats.is_sorted_by(|a, b| (b.score, a.row) < (a.score, b.row)), "the strangest first");
    for threat in &report.threats {
        let row = usize::try_from(threat.row - 1).expect("rows are few");
        assert_eq!(scores[row].to_bits(), threat.score.to_bits(), "a row is listed with its own score");
        assert_eq!(
            threat.record.len(),
            report.columns.len(),
            "a row is shown whole, each cell under its name"
        );
        for reason in &threat.reasons {
            assert!((0.0..=1.0).contains(&reason.share), "{reason:?}");
            assert_eq!(threat.record.get(&reason.column), Some(&reason.value), "a reason quotes its row");
        }
        assert!(threat.reasons.is_sorted_by(|a, b| a.share >= b.share), "the largest share first");
    }
}
