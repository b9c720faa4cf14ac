//! Sigma rules in YAML, as operators bring them.
//!
//! Asserts that a file is used or its faults are named, each with a line that the file has; that loading it again
//! gives the same rules; and that asking the rules about events ends, with evidence that lies within the event.
#![no_main]

use sentinelflow_detect::{
    event::{Event, LogSource, Origin, Value},
    rules::RuleSet,
};

const FILE: &str = "rules/foreign.yml";

libfuzzer_sys::fuzz_target!(|yaml: &[u8]| {
    let yaml = String::from_utf8_lossy(yaml);
    let load = || RuleSet::load(std::iter::once((FILE.to_owned(), yaml.clone().into_owned())));
    let (rules, errors) = load();
    let lines = yaml.lines().count().max(1);
    for error in &errors {
        assert_eq!(error.file, FILE);
        assert!((1..=lines).contains(&error.line), "the file has {lines} lines: {error}");
        assert!(!error.what.is_empty());
    }
    let (again, same_errors) = load();
    assert_eq!((rules.hash(), rules.len(), errors), (again.hash(), again.len(), same_errors));
    for event in [event(&yaml), Event::default()] {
        let matches = rules.matches(&event);
        assert!(matches.len() <= rules.len(), "a rule matches once");
        for (field, range) in matches.into_iter().flat_map(|found| found.evidence) {
            let value = &event.fields[field].value;
            if let (Value::Text(text), Some(range)) = (value, range) {
                assert!(text.get(range.clone()).is_some(), "{range:?} is no part of {text:?}");
            }
        }
    }
});

/// An event that holds the rules' own text, so that keywords and patterns have something to find.
fn event(yaml: &str) -> Event<'_> {
    let mut event = Event {
        log_source: LogSource { category: Some("webserver"), product: Some("linux"), service: Some("sshd") },
        fields: Vec::new(),
    };
    event.push("message", Value::Text(yaml.into()), Origin::Message);
    for line in yaml.lines().take(40) {
        if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().split('|').next().unwrap_or_default();
            event.push(name, Value::Text(value.trim().into()), Origin::Metadata);
        }
    }
    event.push("c-ip", Value::Text("192.0.2.7".into()), Origin::Message);
    event.push("sc-status", Value::Number(404.0), Origin::Metadata);
    event.push("worked", Value::Bool(false), Origin::Metadata);
    event.push("user", Value::Null, Origin::Decoded { rounds: 1 });
    event
}
