//! The matcher's naive twin: walks the syntax tree for every event, with no compiling, no index and no shared code.

use proptest::prelude::*;
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SigmaString, SigmaValue,
    SpecialChar, StringPart, parse_sigma_yaml,
};

use crate::event::{Event, Value};

pub(super) fn holds(yaml: &str, event: &Event<'_>) -> bool {
    let collection = parse_sigma_yaml(yaml).expect("generated rules are valid");
    let detections = &collection.rules[0].detection;
    detections.conditions.iter().any(|condition| expression(condition, detections, event))
}

fn expression(condition: &ConditionExpr, detections: &Detections, event: &Event<'_>) -> bool {
    match condition {
        ConditionExpr::And(parts) => parts.iter().all(|part| expression(part, detections, event)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| expression(part, detections, event)),
        ConditionExpr::Not(part) => !expression(part, detections, event),
        ConditionExpr::Identifier(name) => detection(&detections.named[name], event),
        ConditionExpr::Selector { quantifier, pattern } => {
            let selected: Vec<bool> = (detections.named.iter())
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .map(|(_, selected)| detection(selected, event))
                .collect();
            let holding = selected.iter().filter(|holds| **holds).count();
            match quantifier {
                Quantifier::Any => holding > 0,
                Quantifier::All => holding == selected.len(),
                Quantifier::Count(count) => holding as u64 >= *count,
            }
        }
    }
}

fn detection(detection_: &Detection, event: &Event<'_>) -> bool {
    match detection_ {
        Detection::AllOf(items) => items.iter().all(|one| item(one, event)),
        Detection::AnyOf(parts) => parts.iter().any(|part| detection(part, event)),
        Detection::Keywords(values) => values.iter().any(|value| keyword(value, event)),
        _ => unreachable!("not generated"),
    }
}

fn item(item: &DetectionItem, event: &Event<'_>) -> bool {
    let has = |modifier| item.field.modifiers.contains(&modifier);
    let holds = |value: &SigmaValue| match &item.field.name {
        None => keyword(value, event),
        Some(name) if has(Modifier::Exists) => {
            (event.values(name).next().is_some()) == (*value == SigmaValue::Bool(true))
        }
        Some(name) if *value == SigmaValue::Null => {
            event.values(name).next().is_none() || event.values(name).any(|value| *value == Value::Null)
        }
        Some(name) => event.values(name).any(|found| fits(found, value, &item.field.modifiers)),
    };
    if has(Modifier::All) { item.values.iter().all(holds) } else { item.values.iter().any(holds) }
}

fn keyword(value: &SigmaValue, event: &Event<'_>) -> bool {
    event.fields.iter().any(|field| fits(&field.value, value, &[Modifier::Contains]))
}

fn fits(found: &Value<'_>, wanted: &SigmaValue, modifiers: &[Modifier]) -> bool {
    let has = |modifier| modifiers.contains(&modifier);
    let text = match found {
        Value::Null => return false,
        Value::Text(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
    };
    if has(Modifier::Gt) {
        return text.trim().parse::<f64>().is_ok_and(|number| number > wanted.to_string().parse().unwrap());
    }
    let expression = match wanted {
        _ if has(Modifier::Re) => wanted.to_string(),
        SigmaValue::String(wanted) => expression_of(wanted, modifiers),
        _ => expression_of(&SigmaString::from_raw(&wanted.to_string()), modifiers),
    };
    let is_cased = has(Modifier::Cased) || (has(Modifier::Re) && !has(Modifier::IgnoreCase));
    let mut regex = regex::RegexBuilder::new(&expression);
    regex
        .case_insensitive(!is_cased)
        .dot_matches_new_line(!has(Modifier::Re))
        .build()
        .unwrap()
        .is_match(&text)
}

fn expression_of(wanted: &SigmaString, modifiers: &[Modifier]) -> String {
    let any = |modifier| modifiers.contains(&Modifier::Contains) || modifiers.contains(&modifier);
    let mut expression = if any(Modifier::EndsWith) { String::new() } else { "^".to_owned() };
    for part in &wanted.parts {
        match part {
            StringPart::Plain(plain) => expression.push_str(&regex::escape(plain)),
            StringPart::Special(SpecialChar::WildcardMulti) => expression.push_str(".*"),
            StringPart::Special(SpecialChar::WildcardSingle) => expression.push('.'),
        }
    }
    if !any(Modifier::StartsWith) {
        expression.push('$');
    }
    expression
}

/// A value that owns its text.
#[derive(Debug, Clone)]
pub(super) enum Owned {
    Text(String),
    Number(i32),
    Null,
}

impl Owned {
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text.as_str().into()),
            Self::Number(number) => Value::Number(f64::from(*number)),
            Self::Null => Value::Null,
        }
    }
}

/// Few letters and few names, so that rules and events meet.
fn any_value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        8 => "[abAB ä\n1K]{0,6}".prop_map(Owned::Text),
        2 => (0..30).prop_map(Owned::Number),
        1 => Just(Owned::Null),
    ]
}

pub(super) fn any_events() -> impl Strategy<Value = Vec<Vec<(String, Owned)>>> {
    let field = ("[fgh]", any_value());
    prop::collection::vec(prop::collection::vec(field, 0..4), 1..8)
}

fn any_item() -> impl Strategy<Value = String> {
    let modifiers = prop_oneof![
        Just(""),
        Just("|contains"),
        Just("|startswith"),
        Just("|endswith"),
        Just("|contains|cased"),
        Just("|contains|all"),
        Just("|all")
    ];
    let texts = prop::collection::vec("[abAB Ä1*?]{1,4}", 1..3);
    let listed = |texts: Vec<String>| -> String {
        let lines: Vec<_> = texts.into_iter().map(|text| format!("\n      - '{text}'")).collect();
        lines.concat()
    };
    prop_oneof![
        8 => ("[fgh]", modifiers, texts).prop_map(move |(name, modifiers, texts)| {
            format!("{name}{modifiers}:{}", listed(texts))
        }),
        1 => ("[fgh]", 0..30).prop_map(|(name, number)| format!("{name}: {number}")),
        1 => ("[fgh]", 0..30).prop_map(|(name, number)| format!("{name}|gt: {number}")),
        1 => "[fgh]".prop_map(|name| format!("{name}: null")),
        1 => ("[fgh]", any::<bool>()).prop_map(|(name, is_there)| format!("{name}|exists: {is_there}")),
        2 => ("[fgh]", "(ab?|b|k){1,3}[ab]", prop_oneof![Just(""), Just("|i")])
            .prop_map(|(name, regex, flag)| format!("{name}|re{flag}: '{regex}'")),
        1 => "[abAB1]{1,3}".prop_map(|keyword| format!("'|all': ['{keyword}', 'a']")),
    ]
}

fn any_selection() -> impl Strategy<Value = String> {
    let selection = prop::collection::vec(any_item(), 1..3).prop_map(|mut items| {
        // A selection is a map: the same key twice is not valid YAML.
        items.sort();
        items.dedup_by_key(|item| item.split(':').next().unwrap_or_default().to_owned());
        items.into_iter().map(|item| format!("  {item}\n")).collect::<Vec<_>>().concat()
    });
    let keywords = prop::collection::vec("[abAB1*]{1,3}", 1..3).prop_map(|words| {
        words.into_iter().map(|word| format!("  - '{word}'\n")).collect::<Vec<_>>().concat()
    });
    prop_oneof![4 => selection, 1 => keywords]
}

pub(super) fn any_detection() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        Just("s1"),
        Just("s1 and s2"),
        Just("s1 or s2 and s3"),
        Just("s1 and not s2"),
        Just("not (s1 or s3)"),
        Just("1 of s*"),
        Just("all of them"),
        Just("2 of s*"),
    ];
    (any_selection(), any_selection(), any_selection(), condition)
        .prop_map(|(s1, s2, s3, condition)| format!("s1:\n{s1}s2:\n{s2}s3:\n{s3}condition: {condition}\n"))
}
