//! Kept baselines: one that was learned here, damaged. Each five bytes of the input are a place and what is put there.
#![no_main]

use std::{io::Write as _, sync::LazyLock};

use sentinelflow_domain::scan::{EngineChoice, ScanOptions, Unwatched};
use sentinelflow_forensic::{Baseline, Limits, Scores, learn, scan};

/// Enough rows for habits to be learned.
const ROWS: usize = 1_500;
const JUDGED_ROWS: usize = 20;

static LEARNED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let options = ScanOptions { engine: EngineChoice::Statistical, ..ScanOptions::default() };
    let file = table(ROWS);
    learn(file.path(), "a.csv", &options, &Limits::default(), &Unwatched).expect("it is ordinary").to_bytes()
});
static JUDGED: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| table(JUDGED_ROWS));

fn table(rows: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a temporary file");
    writeln!(file, "time,user,host,bytes,status").expect("there is room for a temporary file");
    for row in 0..rows {
        let (day, hour, user, host) = (1 + row % 28, row * 7 % 24, row * row % 11, row % 5);
        let bytes = 100 + row * 7_919 % 10_007;
        writeln!(file, "2026-01-{day:02}T{hour:02}:00:00Z,u{user},h{host},{bytes},{}", row % 3)
            .expect("there is room for a temporary file");
    }
    file
}

libfuzzer_sys::fuzz_target!(|edits: &[u8]| {
    let mut bytes = LEARNED.clone();
    for edit in edits.chunks_exact(5) {
        let [a, b, c, d, value] = edit else { continue };
        let place = u32::from_le_bytes([*a, *b, *c, *d]) as usize % bytes.len();
        bytes[place] = *value;
    }
    let Ok(baseline) = Baseline::from_bytes(&bytes) else { return };
    let mut scores = Scores::default();
    let options = ScanOptions::default();
    let judged =
        scan(JUDGED.path(), "b.csv", &options, Some(&baseline), &Limits::default(), &Unwatched, &mut scores);
    if judged.is_ok() {
        assert_eq!(scores.0.len(), JUDGED_ROWS);
        assert!(scores.0.iter().all(|score| (0.0..=1.0).contains(score)), "{:?}", scores.0);
    }
});
