use std::sync::Arc;

use sentinelflow_domain::{
    analysis::{Category, Detection, Score},
    log_entry::{Message, Metadata, SeverityLevel, Source},
};

use super::*;

fn entry(message: &str, metadata: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from("app".to_owned()).unwrap(),
        event_id: 7,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).unwrap(),
        metadata: Metadata::parse(metadata).unwrap(),
        timestamp: None,
    }
}

fn analysis(detected: &[(&str, Level)]) -> Analysis {
    let detection = |(id, level): &(&str, Level)| Detection {
        id: Arc::from(*id),
        title: "title".into(),
        level: *level,
        evidence: Vec::new(),
        events: Vec::new(),
    };
    Analysis {
        score: Score::saturating(5),
        category: Category::None,
        summary: "".into(),
        prevention_measures: "".into(),
        techniques: Vec::new(),
        detections: detected.iter().map(detection).collect(),
        opinion: None,
        degraded: None,
        asked: None,
        engine_version: "1".into(),
        rule_set: "rules+lists".into(),
    }
}

fn record(message: &str, metadata: &str, detected: &[(&str, Level)]) -> String {
    let (entry, analysis) = (entry(message, metadata), analysis(detected));
    Draft::about(&entry, &analysis, "m").question(&entry, &analysis).record
}

fn key(message: &str, metadata: &str, detected: &[(&str, Level)]) -> QuestionKey {
    Draft::about(&entry(message, metadata), &analysis(detected), "m").key
}

#[test]
fn a_question_is_what_is_asked() {
    let metadata = r#"{"b":{"c":[1,"x"]},"a":null,"user":"ana"}"#;
    let expected = r#"{"source":"app","graded_by_sender":"INFO","message":"job ‹num2›","metadata":{"b.c":"1","b.c":"x","user":"‹user-1›"},"detected":[{"rule":"title","level":"low"}],"graded_by_rules":"NONE"}"#;
    assert_eq!(record("job 77", metadata, &[("d", Level::Low)]), expected);
}

#[test]
fn a_secret_is_gone_wherever_it_stands() {
    let asked = record("tried hunter22 twice", r#"{"password":"hunter22","note":"was hunter22"}"#, &[]);
    assert!(!asked.contains("hunter22") && asked.matches("‹password-1›").count() == 3, "{asked}");
}

#[test]
fn other_detections_models_or_rules_make_another_question() {
    let line = "GET /?q=x";
    let plain = key(line, "{}", &[]);
    assert_eq!(plain, key(line, "{}", &[]));
    assert_ne!(key(line, "{}", &[("a", Level::Low)]), key(line, "{}", &[("b", Level::Low)]));
    assert_ne!(key(line, "{}", &[("a", Level::Low)]), key(line, "{}", &[("a", Level::High)]));
    assert_ne!(plain, Draft::about(&entry(line, "{}"), &analysis(&[]), "other").key);
    let other_rules = Analysis { rule_set: "others".into(), ..analysis(&[]) };
    assert_ne!(plain, Draft::about(&entry(line, "{}"), &other_rules, "m").key);
    let other_lists = Analysis { rule_set: "rules+other lists".into(), ..analysis(&[]) };
    assert_eq!(
        plain,
        Draft::about(&entry(line, "{}"), &other_lists, "m").key,
        "what a list finds is a detection"
    );
}

#[test]
fn a_word_stays_where_something_was_detected() {
    let asked = |detected: &[(&str, Level)]| record("GET /?q=x", "{}", detected);
    assert!(asked(&[]).contains("q=‹word›") && asked(&[("d", Level::Informational)]).contains("q=‹word›"));
    assert!(asked(&[("d", Level::Low)]).contains("q=x"));
}

#[test]
fn long_entries_are_asked_about_in_part_and_told_apart_as_a_whole() {
    let long = |middle: &str| format!("begin {}{middle}{} end", "é ".repeat(10_000), "ü ".repeat(5_000));
    let asked = record(&long("x"), "{}", &[]);
    assert!(asked.len() < MOST_TEXT_BYTES + 300, "{}", asked.len());
    assert!(asked.contains("begin") && asked.contains("‹cut›") && asked.contains(" end"));
    assert_ne!(key(&long("x"), "{}", &[]), key(&long("y"), "{}", &[]));
    let members = |last: &str| {
        let many: Vec<String> = (0..500).map(|n| format!(r#""k{n}":"{}""#, "v".repeat(100))).collect();
        format!(r#"{{{},"z":"{last}"}}"#, many.join(","))
    };
    let asked = record("x", &members("a"), &[]);
    assert!(asked.len() < 2 * MOST_TEXT_BYTES, "{}", asked.len());
    assert_ne!(key("x", &members("a"), &[]), key("x", &members("b"), &[]));
}

#[test]
fn an_event_id_names_a_kind_only_where_windows_writes_it() {
    let asked = |source: &str, event_id: i64| {
        let entry =
            LogEntry { source: Source::try_from(source.to_owned()).unwrap(), event_id, ..entry("x", "{}") };
        Draft::about(&entry, &analysis(&[]), "m").key
    };
    assert_eq!(asked("shop", 1), asked("shop", 2));
    for source in ["Microsoft-Windows-Security-Auditing", "winlogbeat", "Security"] {
        assert_ne!(asked(source, 1102), asked(source, 4624), "{source}");
    }
}
