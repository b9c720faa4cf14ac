//! What is learned: the same on any number of cores, kept and read again, and tried out before it is told.

use std::fmt::Write as _;

use proptest::prelude::*;
use sentinelflow_domain::scan::{Cutoff, ScanOptions, ScanReport, Unwatched};
use sentinelflow_forensic::{Baseline, BaselineError, Limits, ScanError, Scores, learn, scan};

use crate::{ScanOutcome, scan_with, statistical};

const USERS: [&str; 6] = ["ana", "ben", "cleo", "dora", "emil", "fritz"];

/// A log of people who work by day, each at a place of their own, with amounts that go with what they do.
fn log(rows: usize, seed: u64) -> String {
    let mut state = seed;
    let mut dice = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut log = "time,user,place,action,bytes\n".to_owned();
    for _ in 0..rows {
        let user = dice(6) as usize;
        let place = if dice(50) == 0 { "office" } else { ["Bonn", "Graz", "Bern"][user % 3] };
        let action = ["read", "read", "read", "write", "list"][dice(5) as usize];
        let (day, hour, minute) = (dice(28) + 1, 8 + dice(10), dice(60));
        let bytes = (1 + user as u64) * (900 + dice(200) + dice(200) + dice(200));
        writeln!(log, "2026-03-{day:02}T{hour:02}:{minute:02}:00Z,{},{place},{action},{bytes}", USERS[user])
            .unwrap();
    }
    log
}

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn learned(table: &str, options: &ScanOptions) -> Baseline {
    let file = file_of(table.as_bytes());
    learn(file.path(), "march.csv", options, &Limits::default(), &Unwatched).unwrap()
}

fn judged(
    table: &str,
    baseline: &Baseline,
    options: &ScanOptions,
) -> Result<(ScanReport, Vec<f64>), ScanError> {
    let (file, mut scores) = (file_of(table.as_bytes()), Scores::default());
    let limits = Limits::default();
    let report = scan(file.path(), "today.csv", options, Some(baseline), &limits, &Unwatched, &mut scores)?;
    Ok((report, scores.0))
}

#[test]
fn one_core_and_several_give_the_same_bits() {
    let table = log(6_000, 1);
    let scan_on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| scan_with(table.as_bytes(), &ScanOptions::default(), &Limits::default()).unwrap())
    };
    assert_eq!(scan_on(1), scan_on(3));
}

#[test]
fn a_known_user_at_an_unusual_hour_and_place_is_found() {
    let table = format!("{}2026-03-14T03:10:00Z,ana,Bern,read,1200\n", log(4_000, 2));
    let options = ScanOptions { cutoff: Cutoff::Top(3), ..ScanOptions::default() };
    let ScanOutcome { report, .. } = scan_with(table.as_bytes(), &options, &Limits::default()).unwrap();
    assert_eq!(report.threats[0].row, 4_001);
    let reasons: Vec<&str> = report.threats[0].reasons.iter().map(|reason| reason.column.as_str()).collect();
    assert!(
        reasons.contains(&"time") && (reasons.contains(&"place") || reasons.contains(&"user")),
        "{reasons:?}"
    );
}

#[test]
fn an_amount_is_judged_by_who_it_is_of() {
    // 9,000 bytes are usual for Fritz and far too much for Ana.
    let table = format!("{}2026-03-14T10:10:00Z,ana,Bonn,read,9000\n", log(4_000, 3));
    let options = ScanOptions { cutoff: Cutoff::Top(1), ..ScanOptions::default() };
    let ScanOutcome { report, .. } = scan_with(table.as_bytes(), &options, &Limits::default()).unwrap();
    assert_eq!((report.threats[0].row, report.threats[0].reasons[0].column.as_str()), (4_001, "bytes"));
}

#[test]
fn a_counterfactual_passes_when_it_is_made() {
    let table = format!("{}2026-03-14T10:10:00Z,ana,Bonn,read,90000\n", log(3_000, 4));
    let ScanOutcome { report, .. } =
        scan_with(table.as_bytes(), &ScanOptions::default(), &Limits::default()).unwrap();
    let threat = report.threats.iter().find(|threat| threat.row == 3_001).expect("the row is flagged");
    let counterfactual = threat.counterfactual.as_ref().expect("one cell is enough");
    assert!(counterfactual.score < report.threshold_used);
    let change = &counterfactual.changes[0];
    assert_eq!((change.column.as_str(), counterfactual.changes.len()), ("bytes", 1));
    assert!(change.would_pass.starts_with("≤ "), "{}", change.would_pass);
    let changed = table.replace(",90000\n", &format!(",{}\n", change.value));
    let ScanOutcome { report, scores } =
        scan_with(changed.as_bytes(), &ScanOptions::default(), &Limits::default()).unwrap();
    assert!(scores[3_000] < report.threshold_used, "{} after {change:?}", scores[3_000]);
}

#[test]
fn a_baseline_judges_other_files_and_keeps_its_word_about_false_alarms() {
    let baseline = learned(&log(20_000, 5), &statistical());
    for share in [0.05, 0.01] {
        let options = ScanOptions { cutoff: Cutoff::FalseAlarms(share), ..statistical() };
        let (report, scores) = judged(&log(10_000, 6), &baseline, &options).unwrap();
        let flagged = report.threats_detected as f64 / scores.len() as f64;
        // Three standard deviations of a count of 10,000 and of the 4,000 rows held back.
        let luck = 3.0 * (share * (1.0 / 10_000.0 + 1.0 / 4_000.0)).sqrt();
        assert!(flagged <= share + luck, "{flagged} of clean rows are flagged where {share} may be");
        assert_eq!(report.baseline.as_deref(), Some("march.csv"));
    }
    let (report, _) = judged(
        "time,user,place,action,bytes\n2026-04-02T03:00:00Z,ana,Lagos,delete,1000\n",
        &baseline,
        &statistical(),
    )
    .unwrap();
    assert_eq!((report.total_scanned, report.threats_detected), (1, 1));
}

#[test]
fn a_row_is_scored_alone_as_among_others() {
    let baseline = learned(&log(5_000, 7), &ScanOptions::default());
    let table = log(50, 8);
    let (header, rows) = table.split_once('\n').unwrap();
    let (_, together) = judged(&table, &baseline, &ScanOptions::default()).unwrap();
    for (row, score) in rows.lines().zip(together) {
        let (_, alone) = judged(&format!("{header}\n{row}\n"), &baseline, &ScanOptions::default()).unwrap();
        assert_eq!(alone[0].to_bits(), score.to_bits(), "{row}");
    }
}

#[test]
fn columns_are_found_by_name_and_a_file_of_another_kind_is_refused() {
    let baseline = learned(&log(3_000, 9), &statistical());
    let swapped = "note,bytes,action,place,user,time\nx,2000,read,Bonn,ana,2026-04-02T10:00:00Z\n";
    let (report, swapped) = judged(swapped, &baseline, &statistical()).unwrap();
    assert_eq!(report.columns.iter().filter(|column| column.used).count(), 5);
    let (_, straight) = judged(
        "time,user,place,action,bytes\n2026-04-02T10:00:00Z,ana,Bonn,read,2000\n",
        &baseline,
        &statistical(),
    )
    .unwrap();
    assert_eq!(swapped, straight);
    assert!(matches!(
        judged("a,b\n1,2\n", &baseline, &statistical()),
        Err(ScanError::BaselineMismatch { .. })
    ));
}

#[test]
fn a_kept_baseline_is_the_same_and_its_bytes_too() {
    let baseline = learned(&log(3_000, 10), &ScanOptions::default());
    let bytes = baseline.to_bytes();
    assert_eq!(Baseline::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    assert_eq!(learned(&log(3_000, 10), &ScanOptions::default()).to_bytes(), bytes);
    assert_eq!(Baseline::from_bytes(b"PAR1"), Err(BaselineError::NotABaseline));
    let mut newer = bytes.clone();
    newer[6] = 99;
    assert_eq!(Baseline::from_bytes(&newer), Err(BaselineError::OtherVersion { found: 99 }));
    assert_eq!(Baseline::from_bytes(&bytes[..bytes.len() - 1]), Err(BaselineError::Damaged));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_are_refused_or_judge(place in 0.0..1.0_f64, byte in any::<u8>(), seed in 0_u64..2) {
        let mut bytes = learned(&log(300 + 900 * seed as usize, seed), &statistical()).to_bytes();
        let place = (place * (bytes.len() - 1) as f64) as usize;
        bytes[place] = byte;
        if let Ok(baseline) = Baseline::from_bytes(&bytes) {
            let found = judged(&log(20, 11), &baseline, &statistical());
            if let Ok((_, scores)) = found {
                prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
            }
        }
    }
}
