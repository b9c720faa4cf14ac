//! Lists of indicators, as operators and feeds bring them: plain text, CSV, a STIX bundle.
//!
//! Asserts that every fault is told with a line that the file has, harmlessly; that reading a list again gives the same;
//! and that an event that holds the list's own text is judged the same twice, with quotes that are short and harmless,
//! and never lower than without the list.
#![no_main]

use std::sync::LazyLock;

use sentinelflow_detect::{
    Engine,
    indicators::{Indicators, ListReport, Reader, Reading},
    rules::RuleSet,
};
use sentinelflow_domain::{
    log_entry::{LogEntry, MESSAGE_MAX_BYTES, Message, Metadata, SeverityLevel, Source},
    time::Timestamp,
};
use sentinelflow_fuzz::assert_harmless;

const FILES: [&str; 3] = ["lists/feed.txt", "lists/feed.csv", "lists/feed.json"];
const LONGEST_TEXT: usize = 4_000;

static WITHOUT: LazyLock<Engine> = LazyLock::new(|| Engine::new(RuleSet::load(std::iter::empty()).0));
static WITH: LazyLock<Engine> = LazyLock::new(|| Engine::new(RuleSet::load(std::iter::empty()).0));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for file in FILES {
        let (indicators, report) = read(file, &text);
        let (again, same) = read(file, &text);
        assert_eq!((&report, indicators.len()), (&same, again.len()));
        assert_told(&report, &text);
        assert_eq!(indicators.is_empty(), report.used_count() == 0);
        if let Some(entry) = entry(&text) {
            WITH.use_indicators(indicators);
            let (without, with) = (WITHOUT.analyze(&entry), WITH.analyze(&entry));
            assert_eq!(with, WITH.analyze(&entry));
            assert!(with.score >= without.score, "a list never lowers a score");
            for shown in [&*with.summary, &*with.prevention_measures] {
                assert_harmless("what is told", shown);
                assert!(shown.len() < LONGEST_TEXT);
            }
            for detection in &with.detections {
                assert_harmless("a title", &detection.title);
                detection.evidence.iter().for_each(|evidence| assert_harmless("a quote", &evidence.excerpt));
            }
        }
    }
});

fn read(file: &str, text: &str) -> (Indicators, ListReport) {
    let mut reading = Reading::new(Timestamp::from_millis(1_800_000_000_000));
    let report = reading.add(&Reader::Everybody, file, text);
    (reading.finish(), report)
}

fn assert_told(report: &ListReport, text: &str) {
    let lines = text.lines().count().max(1);
    for fault in &report.faults {
        assert!((1..=lines).contains(&fault.line), "the file has {lines} lines: {fault}");
        assert_harmless("a fault", &fault.what);
    }
    assert!(report.fault_count >= report.faults.len() as u64);
}

/// An event that holds the text of the list, so that there is something to find.
fn entry(text: &str) -> Option<LogEntry> {
    let text: String = text.chars().take(MESSAGE_MAX_BYTES / 4).collect();
    Some(LogEntry {
        source: Source::try_from("app".to_owned()).ok()?,
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(text).ok()?,
        metadata: Metadata::default(),
        timestamp: None,
    })
}
