//! How long a scan of 100,000 rows of 20 numbers takes, as a whole and up to the end of reading.
#![expect(clippy::cast_precision_loss, reason = "24 random bits fit")]

use std::{fmt::Write as _, fs, hint::black_box};

use criterion::{Criterion, criterion_group, criterion_main};
use sentinelflow_domain::scan::{EngineChoice, ScanOptions, ScanProgress, Unwatched};
use sentinelflow_forensic::{Limits, NoWitness, ScanError, scan};

/// Gives up as soon as a phase begins, so that only what comes before it is measured.
struct Until(&'static str, std::sync::atomic::AtomicBool);

impl ScanProgress for Until {
    fn advance(&self, phase: &'static str, _: f64) {
        if phase == self.0 {
            self.1.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Columns that follow five hidden factors, and one row in a hundred that does not.
fn table(rows: u64) -> String {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    };
    let mut table = (0..20).map(|column| format!("f{column}")).collect::<Vec<_>>().join(",");
    for row in 0..rows {
        let factors: [f64; 5] = std::array::from_fn(|_| noise() + noise());
        let odd = if row % 100 == 99 { 6.0 } else { 1.0 };
        for column in 0..20 {
            let separator = if column == 0 { '\n' } else { ',' };
            let value = factors[column % 5] + 0.5 * factors[(column + 2) % 5] + 0.3 * odd * noise();
            write!(table, "{separator}{:.4}", value * 40.0 + 100.0)
                .expect("a string takes all that fits into memory");
        }
    }
    table
}

fn scans(criterion: &mut Criterion) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), table(100_000)).expect("room for the table");
    let mut group = criterion.benchmark_group("100,000 rows of 20");
    group.sample_size(10);
    for (name, engine, until) in [
        ("reading", EngineChoice::Statistical, "profiling"),
        ("reading and scaling", EngineChoice::Statistical, "isolation"),
        ("statistical", EngineChoice::Statistical, ""),
        ("autoencoder", EngineChoice::Auto, ""),
    ] {
        let options = ScanOptions { engine, ..ScanOptions::default() };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let until = Until(until, false.into());
                let watched: &dyn ScanProgress = if until.0.is_empty() { &Unwatched } else { &until };
                match scan(
                    file.path(),
                    "table.csv",
                    &options,
                    None,
                    &Limits::default(),
                    watched,
                    &mut NoWitness,
                ) {
                    Ok(outcome) => drop(black_box(outcome)),
                    Err(error) => assert!(matches!(error, ScanError::Cancelled), "{error}"),
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
