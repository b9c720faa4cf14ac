//! What holds for every file: the same answer each time, no matter the order of its rows, and a way to stop.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;
use sentinelflow_domain::scan::{Cutoff, EngineChoice, ScanEngine, ScanOptions, ScanProgress};
use sentinelflow_forensic::{Limits, ScanError};

use crate::{calm_table, scan, scan_bytes, scan_with, statistical};

#[test]
fn the_same_file_gives_the_same_bits() {
    let table = calm_table(400);
    for engine in [EngineChoice::Statistical, EngineChoice::Auto] {
        let options = ScanOptions { engine, cutoff: Cutoff::Score(0.9), ..ScanOptions::default() };
        let answer = || scan_with(table.as_bytes(), &options, &Limits::default()).unwrap();
        assert_eq!(answer(), answer());
    }
}

#[test]
fn a_calm_file_is_hardly_flagged() {
    let report = scan_bytes(calm_table(3_000).as_bytes()).unwrap().report;
    assert!(report.threats_detected <= 45, "{} of 3000", report.threats_detected);
}

#[test]
fn the_limit_bounds_the_answer_and_not_the_count() {
    let options = ScanOptions { cutoff: Cutoff::Score(0.5), limit: 7, ..statistical() };
    let outcome = scan_with(calm_table(200).as_bytes(), &options, &Limits::default()).unwrap();
    assert_eq!(outcome.report.threats.len(), 7);
    assert!(outcome.report.threats_detected > 50);
    assert!(outcome.report.threats.windows(2).all(|pair| pair[0].score >= pair[1].score));
    for threat in &outcome.report.threats {
        assert_eq!(outcome.scores[threat.row as usize - 1].to_bits(), threat.score.to_bits());
    }
}

#[test]
fn a_short_table_falls_back_and_says_so() {
    let outcome = scan_with(calm_table(30).as_bytes(), &ScanOptions::default(), &Limits::default()).unwrap();
    assert_eq!(outcome.report.engine, ScanEngine::Statistical);
    assert!(!outcome.report.engine_reason.is_empty());
    let insist = ScanOptions { engine: EngineChoice::Autoencoder, ..ScanOptions::default() };
    let refusal = scan_with(calm_table(30).as_bytes(), &insist, &Limits::default());
    assert!(matches!(refusal, Err(ScanError::EngineUnavailable { .. })));
}

/// Stops after so many looks.
struct Impatient(AtomicUsize);

impl ScanProgress for Impatient {
    fn advance(&self, _: &'static str, fraction: f64) {
        assert!((0.0..=1.0).contains(&fraction));
    }

    fn is_cancelled(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

#[test]
fn a_scan_stops_wherever_it_is() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), calm_table(300)).unwrap();
    let options = ScanOptions { cutoff: Cutoff::Score(0.9), ..ScanOptions::default() };
    let scan_for = |looks| {
        scan(file.path(), "upload", &options, &Limits::default(), &Impatient(AtomicUsize::new(looks)))
    };
    let mut looks = 1;
    while let Err(error) = scan_for(looks) {
        assert!(matches!(error, ScanError::Cancelled), "{error}");
        looks += 1;
    }
    assert!(looks > 10, "only {looks} looks");
}

#[test]
fn no_share_is_more_than_the_whole() {
    let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
    for rows in 10..40 {
        let mut table = "when\n".to_owned();
        for row in 0..rows {
            writeln!(table, "2026-01-{:02}T{:02}:{:02}:00Z", row * 7 % 28 + 1, row * 5 % 24, row * 11 % 60)
                .unwrap();
        }
        let report = scan_with(table.as_bytes(), &options, &Limits::default()).unwrap().report;
        let mut shares = report.threats.iter().flat_map(|threat| &threat.reasons).map(|reason| reason.share);
        assert!(shares.all(|share| (0.0..=1.0).contains(&share)), "{rows} rows");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shuffled_rows_only_shuffle_the_findings(seed in any::<u64>()) {
        let table = calm_table(150);
        let (header, rows) = table.split_once('\n').unwrap();
        let mut order: Vec<(u64, &str)> = rows
            .lines()
            .zip(1_u64..)
            .map(|(line, number)| (seed.wrapping_mul(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7, line))
            .collect();
        order.sort_unstable();
        let shuffled = order.iter().map(|(_, line)| *line).collect::<Vec<_>>();
        let given = scan_bytes(table.as_bytes()).unwrap().scores;
        let again = scan_bytes(format!("{header}\n{}\n", shuffled.join("\n")).as_bytes()).unwrap().scores;
        let mut given: Vec<(&str, u64)> = rows.lines().zip(given.iter().map(|score| score.to_bits())).collect();
        let mut again: Vec<(&str, u64)> = shuffled.into_iter().zip(again.iter().map(|score| score.to_bits())).collect();
        given.sort_unstable();
        again.sort_unstable();
        prop_assert_eq!(given, again);
    }

    #[test]
    fn every_score_is_a_probability(values in prop::collection::vec((any::<f64>(), -3_i8..3), 10..80)) {
        let mut table = "x,y\n".to_owned();
        for (x, y) in values {
            writeln!(table, "{x:e},{y}").unwrap();
        }
        if let Ok(outcome) = scan_bytes(table.as_bytes()) {
            prop_assert!(outcome.scores.iter().all(|score| (0.0..=1.0).contains(score)));
        }
    }
}
