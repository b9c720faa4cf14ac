//! Rules tested by their own examples, asked the way entries go.

use sentinelflow_domain::{
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    store::LogId,
    tenant::TenantId,
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    Engine,
    decode::decode,
    rules::{Rule, RuleSet},
};

/// Says of every example that does not come out as its rule says what is wrong with it.
pub fn failing_examples(rules: RuleSet) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in rules.iter() {
        let finds = |example: &Value| {
            let entry = entry(example)?;
            Ok(rules.matches(&decode(&entry).event).iter().any(|found| found.rule.id == rule.id))
        };
        judge(rule, finds, &mut faults);
    }
    let correlations: Vec<Rule> = rules.correlations().cloned().collect();
    let engine = Engine::new(rules);
    let mut examples = 0;
    for rule in &correlations {
        let finds = |example: &Value| {
            // Each example has a history of its own.
            examples += 1;
            plays_to(&engine, TenantId::from_parts(0, [0; 5], examples), rule, example)
        };
        judge(rule, finds, &mut faults);
    }
    faults
}

fn judge(rule: &Rule, mut finds: impl FnMut(&Value) -> Result<bool, String>, faults: &mut Vec<String>) {
    let hits = rule.examples.hits.iter().map(|example| (example, true));
    let misses = rule.examples.misses.iter().map(|example| (example, false));
    for (example, expected) in hits.chain(misses) {
        let fault = match finds(example) {
            Ok(found) if found == expected => continue,
            Ok(true) => "it must ignore, and finds".to_owned(),
            Ok(false) => "it must find, and misses".to_owned(),
            Err(fault) => format!("{fault} in"),
        };
        faults.push(format!("{} ({}): {fault} {example}", rule.title, rule.id));
    }
}

/// Plays the steps of an example and says whether the last event completes the correlation.
fn plays_to(engine: &Engine, of: TenantId, rule: &Rule, steps: &Value) -> Result<bool, String> {
    let steps = steps.as_array().ok_or("an example of a correlation is a list of steps")?;
    let mut found = false;
    let mut at_ms = 0;
    let mut stored = 0;
    for step in steps {
        let number = |name: &str| step[name].as_i64().ok_or_else(|| format!("a step has no number '{name}'"));
        let (times, every_s, entry) = (number("times")?, number("every_s")?, entry(step)?);
        for _ in 0..times {
            at_ms += every_s * 1_000;
            stored += 1;
            let (analysis, trace) = engine.analyze_after(of, Timestamp::from_millis(at_ms), &entry);
            engine.stored(&trace, LogId::from_parts(0, [0; 5], stored));
            found = analysis.detections.iter().any(|detection| detection.id == rule.id);
        }
    }
    Ok(found)
}

fn entry(example: &Value) -> Result<LogEntry, String> {
    let text = |name: &str, default: &str| example[name].as_str().unwrap_or(default).to_owned();
    let metadata = example.get("metadata").map_or_else(|| "{}".to_owned(), ToString::to_string);
    Ok(LogEntry {
        source: Source::try_from(text("source", "example")).map_err(|error| error.to_string())?,
        event_id: example["event_id"].as_i64().unwrap_or_default(),
        severity_level: SeverityLevel::Info,
        message: Message::try_from(text("message", "")).map_err(|error| error.to_string())?,
        metadata: Metadata::parse(&metadata).map_err(|error| error.to_string())?,
        timestamp: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_keep_to_their_examples() {
        let faults = failing_examples(RuleSet::built_in());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn examples_that_come_out_otherwise_are_told() {
        let yaml = "title: T\nid: t\nlogsource:\n  category: any\ndetection:\n  sel:\n    user: eve\n  condition: sel\n\
                    sentinelflow:\n  examples:\n    match:\n      - {message: x, metadata: {user: ana}}\n\
                    \x20   ignore:\n      - {message: x, metadata: {user: eve}}\n      - {message: '', metadata: {}}\n";
        let (rules, errors) = RuleSet::load(std::iter::once(("r.yml".to_owned(), yaml.to_owned())));
        assert_eq!(errors, []);
        let faults = failing_examples(rules).join("\n");
        for part in ["it must find, and misses", "it must ignore, and finds", "message"] {
            assert!(faults.contains(part), "{part} is missing: {faults}");
        }
    }
}
