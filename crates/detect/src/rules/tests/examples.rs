//! The built-in rules' own examples, asked the way an entry goes: decoded, then matched.

use std::collections::HashMap;

use sentinelflow_domain::log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source};

use super::*;
use crate::decode::decode;

/// A rule shows at least so many hits, and as many near misses.
const FEWEST_EXAMPLES: usize = 2;

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
        let fewest = rule.examples.hits.len().min(rule.examples.misses.len());
        if fewest < FEWEST_EXAMPLES {
            faults.push(format!("{}: two hits and two near misses are needed", rule.title));
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
fn every_built_in_rule_says_what_it_means_and_what_to_do() {
    let rules = RuleSet::built_in();
    let mut faults = Vec::new();
    let mut advice_of = HashMap::new();
    let no_advice = advice_of_a_rule_that_has_none();
    for rule in rules.iter() {
        let has_text = |text: &str| !text.trim().is_empty();
        if rule.techniques.is_empty() {
            faults.push(format!("{}: a technique is needed", rule.title));
        }
        if !has_text(&rule.description) {
            faults.push(format!("{}: a description is needed", rule.title));
        }
        if !rule.false_positives.iter().any(|cause| has_text(cause)) {
            faults.push(format!("{}: a false positive is needed", rule.title));
        }
        if !has_text(&rule.advice) || rule.advice == no_advice {
            faults.push(format!("{}: advice is needed", rule.title));
        }
        if let Some(other) = advice_of.insert(&rule.advice, &rule.title) {
            faults.push(format!("{}: the advice is that of '{other}'", rule.title));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn advice_of_a_rule_that_has_none() -> Arc<str> {
    let yaml = "title: t\nlogsource:\n  category: any\ndetection:\n  s:\n    f: v\n  condition: s\n";
    let (rules, errors) = RuleSet::load(std::iter::once(("t.yml".to_owned(), yaml.to_owned())));
    assert_eq!(errors, []);
    Arc::clone(&rules.iter().next().expect("the rule loads").advice)
}

#[test]
fn no_built_in_rule_is_looked_at_without_a_needle() {
    let rules = RuleSet::built_in();
    let alternatives = rules.parts.iter().flat_map(|part| &part.alternatives);
    let without = alternatives.filter(|(_, condition)| needle::needles(condition).is_none());
    let titles: Vec<_> = without.map(|(number, _)| &rules.rules[*number].title).collect();
    assert!(titles.is_empty(), "give these rules a text that they can't do without: {titles:#?}");
}
