//! Findings → analysis: what happened, to whom, and what to do about it. Pure.

use std::{borrow::Cow, cmp::Reverse, fmt::Write as _, sync::Arc};

use sentinelflow_domain::analysis::{Analysis, Category, Detection, Evidence, Score};

use crate::{
    decode::vocabulary::{ADDRESSES, USERS},
    event::{Event, Value},
    finding::{Finding, Quote},
};

/// Further detections are counted in the summary.
const MAX_DETECTIONS: usize = 16;
const MAX_EXCERPT_CHARS: usize = 160;
const MAX_FACT_CHARS: usize = 80;

/// What to do is said for so many of the gravest detections.
const MAX_ADVICE: usize = 3;

const NOTHING_FOUND: &str = "No sign of an attack in this event.";
const NOTHING_TO_DO: &str = "Nothing to do.";

/// Puts findings into words, the gravest first.
pub(crate) fn explain(
    event: &Event<'_>,
    mut findings: Vec<Finding>,
    score: Score,
    rule_set: Arc<str>,
) -> Analysis {
    findings.sort_by(|a, b| Reverse(a.points).cmp(&Reverse(b.points)).then_with(|| a.id.cmp(&b.id)));
    let mut techniques: Vec<Arc<str>> = Vec::new();
    for technique in findings.iter().flat_map(|finding| &finding.techniques) {
        if !techniques.contains(technique) {
            techniques.push(technique.clone());
        }
    }
    let is_threat = score.is_threat();
    let strongest = findings.first().filter(|_| is_threat);
    Analysis {
        score,
        category: strongest.map_or(Category::None, |finding| finding.category),
        summary: strongest
            .map_or(Cow::Borrowed(NOTHING_FOUND), |finding| summary(finding, &findings, event).into()),
        prevention_measures: strongest
            .map_or(Cow::Borrowed(NOTHING_TO_DO), |_| advice(&findings, event).into()),
        techniques,
        detections: findings.iter().take(MAX_DETECTIONS).map(|finding| detection(finding, event)).collect(),
        opinion: None,
        degraded: None,
        asked: None,
        engine_version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        rule_set,
    }
}

/// Says what the strongest finding is, who is behind it, and what else was found.
fn summary(strongest: &Finding, findings: &[Finding], event: &Event<'_>) -> String {
    let mut summary = filled(&strongest.summary, event);
    let trimmed = summary.trim_end_matches(['.', ' ']).len();
    summary.truncate(trimmed);
    for (word, names) in [("from", &ADDRESSES[..]), ("user", &USERS[..])] {
        if let Some(fact) = fact(names, event).filter(|fact| !summary.contains(fact.as_str())) {
            summary.push_str(if word == "from" { " from " } else { ", user " });
            summary.push_str(&fact);
        }
    }
    summary.push('.');
    let others: Vec<&str> = findings.iter().skip(1).take(3).map(|finding| finding.title.as_ref()).collect();
    if !others.is_empty() {
        let more = findings.len() - 1 - others.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        write!(summary, " Also: {}{more}.", others.join(", ")).expect("a String takes any text");
    }
    summary
}

/// Says what to do about the gravest findings, and whom to hold off.
fn advice(findings: &[Finding], event: &Event<'_>) -> String {
    let mut advice = String::new();
    if let Some(address) = fact(&ADDRESSES, event) {
        write!(advice, "Block or rate-limit {address} if it is not yours. ")
            .expect("a String takes any text");
    }
    let mut said: Vec<String> = Vec::new();
    for finding in findings.iter().take(MAX_ADVICE) {
        let sentence = filled(&finding.advice, event);
        if !said.contains(&sentence) {
            said.push(sentence);
        }
    }
    advice.push_str(&said.join(" "));
    advice
}

/// Returns the first fact under one of the names, as a short safe text.
fn fact(names: &[&str], event: &Event<'_>) -> Option<String> {
    names
        .iter()
        .find_map(|name| event.text(name))
        .filter(|text| !text.is_empty() && *text != "-")
        .map(|text| safe(text, MAX_FACT_CHARS))
}

/// Fills `{field}` with the event's value; a field that is not there leaves its name. `{{` is a brace.
fn filled(template: &str, event: &Event<'_>) -> String {
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        if let Some(following) = after.strip_prefix('{') {
            text.push('{');
            rest = following;
            continue;
        }
        let Some((name, following)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match event.values(name).next() {
            Some(Value::Text(value)) => text.push_str(&safe(value, MAX_FACT_CHARS)),
            Some(Value::Number(value)) => text.push_str(&value.to_string()),
            Some(Value::Bool(value)) => text.push_str(if *value { "true" } else { "false" }),
            Some(Value::Null) | None => text.push_str(name),
        }
        rest = following;
    }
    text.push_str(rest);
    text
}

fn detection(finding: &Finding, event: &Event<'_>) -> Detection {
    Detection {
        id: finding.id.clone(),
        title: finding.title.clone(),
        level: finding.level,
        evidence: finding.quotes.iter().filter_map(|quote| evidence(quote, event)).collect(),
        events: finding.events.clone(),
    }
}

/// Quotes the place with some of what stands around it.
fn evidence(quote: &Quote, event: &Event<'_>) -> Option<Evidence> {
    const AROUND_BYTES: usize = 40;
    let field = event.fields.get(quote.field)?;
    let excerpt = match &field.value {
        Value::Text(text) => {
            let range = quote.range.clone().unwrap_or(0..0);
            let start = text.floor_char_boundary(range.start.saturating_sub(AROUND_BYTES));
            let end = text.ceil_char_boundary(range.end.saturating_add(AROUND_BYTES).min(text.len()));
            safe(text.get(start..end)?, MAX_EXCERPT_CHARS)
        }
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
    };
    Some(Evidence { field: safe(&field.name, MAX_EXCERPT_CHARS).into(), excerpt })
}

/// Returns a name that a sender chose as a part of a template: short, safe, and no placeholder.
pub(crate) fn name_in_template(name: &str) -> String {
    safe(name, MAX_FACT_CHARS).replace('{', "{{")
}

/// Shortens a text and writes characters that a terminal or a page would obey as escapes.
pub(crate) fn safe(text: &str, max_chars: usize) -> String {
    if text.len() <= max_chars && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len().min(max_chars));
    let mut room = max_chars;
    for c in text.chars() {
        if room == 0 {
            safe.push('…');
            break;
        }
        if is_obeyed(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
        room -= 1;
    }
    safe
}

/// Whether a character controls a display instead of showing on it: control, bidirectional, invisible.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::analysis::Level;

    use super::*;
    use crate::event::Origin;

    fn event() -> Event<'static> {
        let mut event = Event::default();
        event.push("ip", Value::Text("192.0.2.1".into()), Origin::Metadata);
        event.push("user", Value::Text("eve\u{202e}\n".into()), Origin::Metadata);
        event.push("count", Value::Number(3.0), Origin::Metadata);
        event
    }

    fn finding(id: &str, points: u8) -> Finding {
        Finding {
            id: id.into(),
            title: id.into(),
            level: Level::High,
            points,
            category: Category::Other,
            techniques: vec!["T1190".into()],
            quotes: vec![Quote { field: 1, range: Some(0..3) }],
            summary: "{count} tries by {user}".into(),
            advice: "Ask {user} about {nothing}.".into(),
            events: Vec::new(),
        }
    }

    fn explained(findings: Vec<Finding>, score: u8) -> Analysis {
        explain(&event(), findings, Score::saturating(score), "hash".into())
    }

    #[test]
    fn placeholders_are_filled_with_harmless_text() {
        let analysis = explained(vec![finding("a", 80)], 80);
        assert_eq!(analysis.summary, "3 tries by eve\\u{202e}\\u{a} from 192.0.2.1.");
        assert_eq!(
            analysis.prevention_measures,
            "Block or rate-limit 192.0.2.1 if it is not yours. Ask eve\\u{202e}\\u{a} about nothing."
        );
        assert_eq!(analysis.detections[0].evidence[0].excerpt, "eve\\u{202e}\\u{a}");
    }

    #[test]
    fn evidence_names_its_field_harmlessly() {
        let mut event = Event::default();
        event.push("n\u{202e}e", Value::Null, Origin::Metadata);
        let quote = Quote { field: 0, range: None };
        assert_eq!(evidence(&quote, &event).map(|evidence| evidence.field), Some("n\\u{202e}e".into()));
    }

    #[test]
    fn a_name_that_a_sender_chose_is_shortened_and_fills_nothing_in() {
        let name = format!("{{user}}\u{202e}{}", "n".repeat(MAX_FACT_CHARS));
        let shown = filled(&name_in_template(&name), &event());
        assert_eq!(shown, format!("{{user}}\\u{{202e}}{}…", "n".repeat(MAX_FACT_CHARS - 7)));
    }

    #[test]
    fn the_gravest_come_first_and_the_rest_is_counted() {
        let ids: Vec<String> = (0..20).map(|n| format!("d{n:02}")).collect();
        let findings = ids.iter().zip(60..).map(|(id, points)| finding(id, points)).collect();
        let analysis = explained(findings, 90);
        assert_eq!(analysis.detections.len(), MAX_DETECTIONS);
        assert_eq!(&*analysis.detections[0].id, "d19");
        assert_eq!(analysis.techniques, ["T1190".into()]);
        assert!(analysis.summary.ends_with("Also: d18, d17, d16 and 16 more."), "{}", analysis.summary);
    }

    #[test]
    fn nothing_found_is_said_without_a_copy() {
        let analysis = explained(Vec::new(), 5);
        assert!(matches!(analysis.summary, Cow::Borrowed(NOTHING_FOUND)));
        assert!(matches!(analysis.prevention_measures, Cow::Borrowed(NOTHING_TO_DO)));
        assert_eq!(analysis.category, Category::None);
    }
}
