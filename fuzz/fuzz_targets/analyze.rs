//! Log entries as tenants push them: the source on the first line, metadata on the second, then the message.
//!
//! Asserts that an entry is judged the same twice, that the sender's graver grading never lowers the score, that the
//! answer's numbers agree with each other, and that whatever is quoted is short and harmless to show.
#![no_main]

use std::sync::LazyLock;

use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::{Analysis, Category, Score},
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
};
use sentinelflow_fuzz::assert_harmless;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::built_in);

/// A few sentences with a few facts of 80 characters in each.
const MOST_TOLD_BYTES: usize = 8 << 10;
const MOST_DETECTIONS: usize = 16;
/// 160 characters, each of which may be written as an escape such as `\u{10ffff}`, and an ellipsis.
const MOST_EXCERPT_CHARS: usize = 160 * 10 + 1;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let Some(entry) = entry(&String::from_utf8_lossy(text)) else { return };
    let analysis = ENGINE.analyze(&entry);
    assert_eq!(analysis, ENGINE.analyze(&entry), "an entry is judged the same twice");
    assert_agrees_with_itself(&analysis);
    assert_is_harmless(&analysis);
    let graver = ENGINE.analyze(&LogEntry { severity_level: SeverityLevel::Critical, ..entry });
    assert!(graver.score >= analysis.score, "{:?} was lowered to {:?}", analysis.score, graver.score);
});

fn entry(text: &str) -> Option<LogEntry> {
    let (source, rest) = text.split_once('\n')?;
    let (metadata, message) = rest.split_once('\n')?;
    Some(LogEntry {
        source: Source::try_from(source.to_owned()).ok()?,
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).ok()?,
        metadata: Metadata::parse(metadata).unwrap_or_default(),
        timestamp: None,
    })
}

fn assert_agrees_with_itself(analysis: &Analysis) {
    assert!(analysis.score <= Score::MAX);
    assert_eq!(analysis.category != Category::None, analysis.score.is_threat(), "{analysis:?}");
    assert!(analysis.detections.len() <= MOST_DETECTIONS);
    assert!(!analysis.score.is_threat() || !analysis.detections.is_empty(), "a threat has a reason");
    for told in [&analysis.summary, &analysis.prevention_measures] {
        assert!((1..=MOST_TOLD_BYTES).contains(&told.len()), "{} bytes: {told}", told.len());
    }
}

fn assert_is_harmless(analysis: &Analysis) {
    assert_harmless("the summary", &analysis.summary);
    assert_harmless("the advice", &analysis.prevention_measures);
    for detection in &analysis.detections {
        assert_harmless("a title", &detection.title);
        for evidence in &detection.evidence {
            assert_harmless("an excerpt", &evidence.excerpt);
            assert_harmless("a field's name", &evidence.field);
            assert!(evidence.excerpt.chars().count() <= MOST_EXCERPT_CHARS, "{}", evidence.excerpt);
        }
    }
}
