//! Why a rule holds for an entry or not, selection by selection: for whoever writes rules.

use rsigma_parser::{ConditionExpr, Detections, SigmaRule, parse_sigma_yaml};
use sentinelflow_domain::log_entry::LogEntry;

use super::{
    BUILT_IN,
    bounds::{self, Allowance},
    compile::{Trust, compile},
    condition::Evidence,
    placeholders::{self, Placeholders},
    probe::Found,
    source::RuleSource,
    view::{FieldNames, View},
};
use crate::{
    decode::decode,
    event::{Event, LogSource, Value},
};

/// What a rule makes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub title: String,
    pub holds: bool,
    /// The rule's condition as it is written.
    pub condition: String,
    /// The log source that the rule states and the event's, as category, product and service.
    pub rule_source: [Option<String>; 3],
    pub event_source: [Option<String>; 3],
    pub covers: bool,
    pub selections: Vec<Selection>,
    /// The event as rules see it: names and values.
    pub fields: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub name: String,
    pub holds: bool,
    /// What made it hold: fields and the parts of their values.
    pub found: Vec<(String, String)>,
}

/// Asks the rule of this id, name or title, among those that come with the program and those of the files.
///
/// # Errors
/// There is no such rule, it is a correlation, or it can't be used.
pub fn why(
    files: impl Iterator<Item = (String, String)>,
    wanted: &str,
    entry: &LogEntry,
) -> Result<Why, String> {
    let (definitions, files): (Vec<_>, Vec<_>) = files.partition(|(file, _)| placeholders::are_in(file));
    let mut placeholders = Placeholders::default();
    for (file, yaml) in definitions {
        placeholders.add_file(&yaml).map_err(|refusal| format!("{file}: {}", refusal.what))?;
    }
    let built_in = BUILT_IN.iter().map(|(_, yaml)| (*yaml).to_owned());
    for yaml in built_in.chain(files.into_iter().map(|(_, yaml)| yaml)) {
        let Some(Ok(collection)) = bounds::check(&yaml).is_ok().then(|| parse_sigma_yaml(&yaml)) else {
            continue;
        };
        let is_wanted = |id: &Option<String>, name: &Option<String>, title: &str| {
            [id.as_deref(), name.as_deref(), Some(title)].contains(&Some(wanted))
        };
        if collection.correlations.iter().any(|rule| is_wanted(&rule.id, &rule.name, &rule.title)) {
            return Err("that is a correlation: it counts what other rules find; ask those".to_owned());
        }
        if let Some(rule) = collection.rules.iter().find(|rule| is_wanted(&rule.id, &rule.name, &rule.title))
        {
            return ask(rule, entry, &placeholders);
        }
    }
    Err(format!("no rule has the id, name or title '{wanted}'"))
}

fn ask(rule: &SigmaRule, entry: &LogEntry, placeholders: &Placeholders) -> Result<Why, String> {
    let decoded = decode(entry);
    let event = &decoded.event;
    let source = RuleSource::from(&rule.logsource);
    let covers = source.covers(event.log_source);
    let mut names: Vec<&String> = rule.detection.named.keys().collect();
    names.sort();
    let mut selections = Vec::new();
    for name in names {
        let alone = Detections {
            conditions: vec![ConditionExpr::Identifier(name.clone())],
            condition_strings: vec![name.clone()],
            ..rule.detection.clone()
        };
        let (holds, found) = holds(&alone, event, placeholders)?;
        selections.push(Selection { name: name.clone(), holds, found });
    }
    let (holds, _) = holds(&rule.detection, event, placeholders)?;
    Ok(Why {
        title: rule.title.clone(),
        holds: holds && covers,
        condition: rule.detection.condition_strings.join(" or "),
        rule_source: [&rule.logsource.category, &rule.logsource.product, &rule.logsource.service]
            .map(Clone::clone),
        event_source: parts_of(event.log_source),
        covers,
        selections,
        fields: (event.fields.iter()).map(|field| (field.name.to_string(), text_of(&field.value))).collect(),
    })
}

fn holds(
    detections: &Detections,
    event: &Event<'_>,
    placeholders: &Placeholders,
) -> Result<(bool, Vec<(String, String)>), String> {
    let mut names = FieldNames::default();
    let condition = compile(detections, &mut names, placeholders, &mut Allowance::default(), Trust::Foreign)
        .map_err(|refusal| format!("the rule can't be used: {}", refusal.what))?;
    let mut evidence = Vec::new();
    let view = View::new(event, &names);
    let holds = condition.holds(&view, &Found::default(), &mut evidence);
    let found = |(index, range): Evidence| {
        let field = &event.fields[index];
        let text = text_of(&field.value);
        let part = range.and_then(|range| text.get(range)).unwrap_or(&text);
        (field.name.to_string(), part.to_owned())
    };
    Ok((holds, evidence.into_iter().map(found).collect()))
}

fn parts_of(source: LogSource) -> [Option<String>; 3] {
    [source.category, source.product, source.service].map(|part| part.map(str::to_owned))
}

fn text_of(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::log_entry::{Message, Metadata, SeverityLevel, Source};

    use super::*;

    fn asked(rule: &str, message: &str) -> Result<Why, String> {
        let entry = LogEntry {
            source: Source::try_from("sshd".to_owned()).unwrap(),
            event_id: 1,
            severity_level: SeverityLevel::Info,
            message: Message::try_from(message.to_owned()).unwrap(),
            metadata: Metadata::default(),
            timestamp: None,
        };
        why(std::iter::empty(), rule, &entry)
    }

    #[test]
    fn each_selection_says_whether_it_holds_and_by_what() {
        let failed = "sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2";
        let why = asked("SSH login failed", failed).unwrap();
        assert!(why.holds && why.covers);
        let found = &why.selections[0];
        assert_eq!((found.name.as_str(), found.holds), ("failed", true));
        assert_eq!(found.found, [("message".to_owned(), "Failed password for ".to_owned())]);
        assert!(!why.selections[1].holds);
        assert!(why.fields.contains(&("user".to_owned(), "root".to_owned())));

        assert!(!asked("SSH login failed", "all is well").unwrap().holds);
        assert!(asked("brute_force", failed).unwrap_err().contains("correlation"));
        assert!(asked("nobody", failed).unwrap_err().contains("'nobody'"));
    }
}
