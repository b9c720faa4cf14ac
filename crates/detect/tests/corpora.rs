//! Judges the labelled lines of `shared/corpora` and prints how well the engine tells attacks from everyday lines.
//! A mirror, not a fence: it only fails if the engine does worse than the product promises.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use sentinelflow_detect::Engine;
use sentinelflow_domain::log_entry::{LogEntry, Message, Metadata, Source};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the first release promises: recall over strong attacks, averaged over corpora, at 1 % false positives.
const PROMISED_RECALL: f64 = 0.50;
const FALSE_POSITIVES: f64 = 0.01;

#[derive(Deserialize)]
struct Line {
    id: String,
    corpus: String,
    source: String,
    event_id: i64,
    message: String,
    metadata: Box<RawValue>,
    tier: String,
}

impl Line {
    fn entry(&self) -> LogEntry {
        let source: String = self.source.chars().take(256).collect();
        let source = if source.is_empty() { "unknown".to_owned() } else { source };
        LogEntry {
            source: Source::try_from(source).expect("cut to length"),
            event_id: self.event_id,
            severity_level: sentinelflow_domain::log_entry::SeverityLevel::Info,
            message: Message::try_from(self.message.clone()).expect("a corpus line is short"),
            metadata: Metadata::parse(self.metadata.get()).expect("a corpus line is valid"),
            timestamp: None,
        }
    }
}

#[test]
fn attacks_are_told_from_everyday_lines() {
    let corpus = Path::new("../../../shared/corpora/dev.jsonl");
    let Ok(text) = fs::read_to_string(corpus) else {
        println!("shared/corpora/dev.jsonl is absent: nothing was measured");
        return;
    };
    let engine = Engine::built_in();
    let mut benign = Vec::new();
    let mut strong: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut out = String::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).expect("the corpus is JSON lines");
        let analysis = engine.analyze(&line.entry());
        let score = analysis.score.value();
        match line.tier.as_str() {
            "bulk" | "hard" => benign.push(score),
            "strong" => strong.entry(line.corpus.clone()).or_default().push(score),
            _ => {}
        }
        let found: Vec<&str> = analysis.detections.iter().map(|detection| &*detection.id).collect();
        let line = serde_json::json!({
            "id": line.id, "score": score, "severity": analysis.score.severity().as_str(),
            "category": analysis.category.as_str(), "found": found,
        });
        writeln!(out, "{line}").expect("a String takes any text");
    }
    let judged = std::env::temp_dir().join("sentinelflow-corpora.jsonl");
    fs::write(&judged, out).expect("the temporary folder takes a file");
    println!("judgements: {}", judged.display());

    let (threshold, part) = operating_point(&mut benign);
    let mut recalls = Vec::new();
    for (corpus, scores) in &strong {
        let above = scores.iter().filter(|score| **score > threshold).count();
        let not_below = scores.iter().filter(|score| **score >= threshold).count();
        let recall = (ratio(above, scores.len())) + part * ratio(not_below - above, scores.len());
        println!("{corpus:24} {:5} attacks, recall {:.1} %", scores.len(), 100.0 * recall);
        recalls.push(recall);
    }
    let macro_recall = recalls.iter().sum::<f64>() / ratio(recalls.len(), 1);
    let alerts = benign.iter().filter(|score| **score >= 40).count();
    let threats = benign.iter().filter(|score| **score >= 20).count();
    println!("macro recall at 1 % false positives: {:.1} % (alert above {threshold})", 100.0 * macro_recall);
    println!(
        "benign lines at score 40: {:.2} %, at 20: {:.2} %",
        100.0 * ratio(alerts, benign.len()),
        100.0 * ratio(threats, benign.len())
    );
    assert!(macro_recall >= PROMISED_RECALL, "the engine misses too many attacks");
}

/// Returns the score above which 1 % of the benign lines alert, and the part of those equal to it that still may.
fn operating_point(benign: &mut [u8]) -> (u8, f64) {
    benign.sort_unstable_by(|a, b| b.cmp(a));
    let mut room = FALSE_POSITIVES * ratio(benign.len(), 1);
    for run in benign.chunk_by(|a, b| a == b).take_while(|run| run[0] > 0) {
        let count = ratio(run.len(), 1);
        if count > room {
            return (run[0], room / count);
        }
        room -= count;
    }
    (0, 0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of lines are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
