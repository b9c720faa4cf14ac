//! The built-in rules' own examples.

use super::*;

#[test]
fn the_built_in_rules_load_without_a_fault() {
    let files = BUILT_IN.iter().map(|(file, yaml)| ((*file).to_owned(), (*yaml).to_owned()));
    let (_, errors) = RuleSet::load(files);
    assert_eq!(errors, []);
}

/// An entry as its own fields: what any decoder gives at least.
fn flat(example: &serde_json::Value) -> Event<'_> {
    let mut event = Event::default();
    for name in ["message", "source"] {
        event.push(name, Value::Text(example[name].as_str().unwrap_or("example").into()), Origin::Message);
    }
    flatten("", &example["metadata"], &mut event);
    event
}

fn flatten<'a>(path: &str, value: &'a serde_json::Value, event: &mut Event<'a>) {
    let value = match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, member, event);
            }
            return;
        }
        serde_json::Value::Array(members) => return members.iter().for_each(|member| flatten(path, member, event)),
        serde_json::Value::String(text) => Value::Text(text.into()),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().expect("JSON numbers are floats")),
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Null => Value::Null,
    };
    event.push(path.to_owned(), value, Origin::Metadata);
}

#[test]
fn every_built_in_rule_finds_its_examples_and_none_of_its_near_misses() {
    let rules = RuleSet::built_in();
    let mut faults = Vec::new();
    for rule in rules.iter() {
        let finds = |example: &serde_json::Value| {
            rules.matches(&flat(example)).iter().any(|found| found.rule.id == rule.id)
        };
        let hits = rule.examples.hits.iter().map(|example| (example, true));
        let misses = rule.examples.misses.iter().map(|example| (example, false));
        if rule.examples.hits.is_empty() || rule.examples.misses.is_empty() {
            faults.push(format!("{}: a hit and a near miss are needed", rule.title));
        }
        for (example, expected) in hits.chain(misses).filter(|(example, expected)| finds(example) != *expected) {
            faults.push(format!("{}: {} {example}", rule.title, if expected { "misses" } else { "finds" }));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
