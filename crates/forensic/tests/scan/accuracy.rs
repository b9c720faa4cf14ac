//! How well both engines rank the rows of 24 real tables whose anomalies are known.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sentinelflow_domain::scan::{EngineChoice, ScanOptions, Unwatched};
use sentinelflow_forensic::Limits;

use crate::scan;

struct Accuracy {
    auroc: f64,
    average_precision: f64,
}

fn check(engine: EngineChoice, least: &Accuracy) {
    let tables = Path::new("../../../shared/anomaly");
    if !tables.exists() {
        println!("the labelled tables are absent: {} was not measured", tables.display());
        return;
    }
    let mut sets: Vec<PathBuf> =
        fs::read_dir(tables.join("tables")).unwrap().map(|e| e.unwrap().path()).collect();
    sets.sort();
    let options = ScanOptions { engine, ..ScanOptions::default() };
    let (mut auroc, mut average_precision) = (0.0, 0.0);
    for table in &sets {
        let name = table.file_name().unwrap().to_str().unwrap();
        let labels = fs::read_to_string(tables.join("labels").join(name)).unwrap();
        let labels: Vec<bool> = labels.split_whitespace().map(|label| label == "1").collect();
        let outcome = scan(table, name, &options, &Limits::default(), &Unwatched).unwrap();
        let accuracy = accuracy(&outcome.scores, &labels);
        println!("{name:22} {:.4} {:.4}", accuracy.auroc, accuracy.average_precision);
        auroc += accuracy.auroc / sets.len() as f64;
        average_precision += accuracy.average_precision / sets.len() as f64;
    }
    println!("{} sets: AUROC {auroc:.4}, average precision {average_precision:.4}", sets.len());
    assert!(auroc >= least.auroc && average_precision >= least.average_precision);
}

/// Equal scores count together, as in the reference measure.
fn accuracy(scores: &[f64], labels: &[bool]) -> Accuracy {
    assert_eq!(scores.len(), labels.len());
    let mut ranked: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all_hits = labels.iter().filter(|label| **label).count() as f64;
    let all_others = labels.len() as f64 - all_hits;
    let (mut seen, mut found, mut pairs, mut precision) = (0.0, 0.0, 0.0, 0.0);
    for equal in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let hits = equal.iter().filter(|(_, label)| *label).count() as f64;
        let others = equal.len() as f64 - hits;
        pairs += others * (found + hits / 2.0);
        seen += equal.len() as f64;
        found += hits;
        precision += hits * found / seen;
    }
    Accuracy { auroc: pairs / (all_hits * all_others), average_precision: precision / all_hits }
}

#[test]
fn the_statistical_engine_ranks_anomalies_first() {
    check(EngineChoice::Statistical, &Accuracy { auroc: 0.789, average_precision: 0.473 });
}

#[cfg(feature = "autoencoder")]
#[test]
fn the_autoencoder_ranks_anomalies_first() {
    check(EngineChoice::Auto, &Accuracy { auroc: 0.789, average_precision: 0.473 });
}
