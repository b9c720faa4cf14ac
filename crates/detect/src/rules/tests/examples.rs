//! The built-in rules' own examples, asked the way an entry goes: decoded, then matched.

use sentinelflow_domain::log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source};

use super::*;
use crate::decode::decode;

#[test]
fn the_built_in_rules_load_without_a_fault() {
    let files = BUILT_IN.iter().map(|(file, yaml)| ((*file).to_owned(), (*yaml).to_owned()));
    let (_, errors) = RuleSet::load(files);
    assert_eq!(errors, []);
}

fn entry(example: &serde_json::Value) -> LogEntry {
    let text = |name: &str, default: &str| example[name].as_str().unwrap_or(default).to_owned();
    let metadata = example.get("metadata").map_or_else(|| "{}".to_owned(), ToString::to_string);
    LogEntry {
        source: Source::try_from(text("source", "example")).expect("an example's source is short"),
        event_id: example["event_id"].as_i64().unwrap_or_default(),
        severity_level: SeverityLevel::Info,
        message: Message::try_from(text("message", "")).expect("an example has a message"),
        metadata: Metadata::parse(&metadata).expect("an example's metadata is a map"),
        timestamp: None,
    }
}

#[test]
fn every_built_in_rule_finds_its_examples_and_none_of_its_near_misses() {
    let rules = RuleSet::built_in();
    let mut faults = Vec::new();
    for rule in rules.iter() {
        let finds = |example: &serde_json::Value| {
            let entry = entry(example);
            rules.matches(&decode(&entry).event).iter().any(|found| found.rule.id == rule.id)
        };
        let hits = rule.examples.hits.iter().map(|example| (example, true));
        let misses = rule.examples.misses.iter().map(|example| (example, false));
        if rule.examples.hits.is_empty() || rule.examples.misses.is_empty() {
            faults.push(format!("{}: a hit and a near miss are needed", rule.title));
        }
        for (example, expected) in
            hits.chain(misses).filter(|(example, expected)| finds(example) != *expected)
        {
            faults.push(format!("{}: {} {example}", rule.title, if expected { "misses" } else { "finds" }));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_built_in_rule_is_looked_at_without_a_needle() {
    let rules = RuleSet::built_in();
    let without = rules.alternatives.iter().filter(|(_, condition)| needle::needles(condition).is_none());
    let titles: Vec<_> = without.map(|(number, _)| &rules.rules[*number].title).collect();
    assert!(titles.is_empty(), "give these rules a text that they can't do without: {titles:#?}");
}
