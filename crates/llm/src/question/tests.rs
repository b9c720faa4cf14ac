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

fn key(message: &str, metadata: &str, detected: &[(&str, Level)]) -> QuestionKey {
    Question::about(&entry(message, metadata), &analysis(detected), "m").key
}

#[test]
fn a_question_is_what_is_asked() {
    let question = Question::about(
        &entry("job 1", r#"{"b":{"c":[1,"x"]},"a":null,"user":"ana"}"#),
        &analysis(&[("d", Level::Low)]),
        "m",
    );
    let expected = r#"{"source":"app","graded_by_sender":"INFO","message":"job ‹num3›","metadata":{"b.c":"‹num3›","b.c":"x","user":"‹user-1›"},"detected":[{"rule":"title","level":"low"}],"graded_by_rules":"NONE"}"#;
    assert_eq!(question.record, expected);
}

#[test]
fn other_detections_models_or_rules_make_another_question() {
    let line = "GET /?q=x";
    let plain = key(line, "{}", &[]);
    assert_eq!(plain, key(line, "{}", &[]));
    assert_ne!(key(line, "{}", &[("a", Level::Low)]), key(line, "{}", &[("b", Level::Low)]));
    assert_ne!(key(line, "{}", &[("a", Level::Low)]), key(line, "{}", &[("a", Level::High)]));
    assert_ne!(plain, Question::about(&entry(line, "{}"), &analysis(&[]), "other").key);
    let other_rules = Analysis { rule_set: "others".into(), ..analysis(&[]) };
    assert_ne!(plain, Question::about(&entry(line, "{}"), &other_rules, "m").key);
    let other_lists = Analysis { rule_set: "rules+other lists".into(), ..analysis(&[]) };
    assert_eq!(
        plain,
        Question::about(&entry(line, "{}"), &other_lists, "m").key,
        "what a list finds is a detection"
    );
}

#[test]
fn a_word_stays_where_something_was_detected() {
    let asked = |detected: &[(&str, Level)]| {
        Question::about(&entry("GET /?q=x", "{}"), &analysis(detected), "m").record
    };
    assert!(asked(&[]).contains("q=‹word›") && asked(&[("d", Level::Informational)]).contains("q=‹word›"));
    assert!(asked(&[("d", Level::Low)]).contains("q=x"));
}

#[test]
fn long_entries_are_asked_about_in_part_and_told_apart_as_a_whole() {
    let long = |middle: &str| format!("begin {}{middle}{} end", "é ".repeat(10_000), "ü ".repeat(5_000));
    let question = Question::about(&entry(&long("x"), "{}"), &analysis(&[]), "m");
    assert!(question.record.len() < MOST_TEXT_BYTES + 300, "{}", question.record.len());
    assert!(
        question.record.contains("begin")
            && question.record.contains("‹cut›")
            && question.record.contains(" end")
    );
    assert_ne!(question.key, key(&long("y"), "{}", &[]));
    let members = |last: &str| {
        let many: Vec<String> = (0..500).map(|n| format!(r#""k{n}":"{}""#, "v".repeat(100))).collect();
        format!(r#"{{{},"z":"{last}"}}"#, many.join(","))
    };
    let question = Question::about(&entry("x", &members("a")), &analysis(&[]), "m");
    assert!(question.record.len() < 2 * MOST_TEXT_BYTES, "{}", question.record.len());
    assert_ne!(question.key, key("x", &members("b"), &[]));
}
