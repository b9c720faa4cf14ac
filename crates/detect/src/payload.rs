//! Finds injected code in what somebody outside may have written: inputs → hits → findings.
//! One pass over a text for literal signs and the bytes it uses decides which shape detectors look closer.

mod command;
pub(crate) mod decode;
mod marks;
mod sqli;
mod traversal;
mod xss;

use std::{ops::Range, sync::Arc};

use sentinelflow_domain::analysis::Category;

use crate::{
    decode::{Context, Decoded, Input},
    event::Value,
    explain::name_in_template,
    finder::Finder,
    finding::{Finding, Quote},
    payload::marks::Marks,
    score,
};

/// Longer inputs are judged by their beginning and their end: the work per event is bounded.
const MAX_INPUT_BYTES: usize = 16 * 1024;

/// One event is searched for no more than this, over all its inputs.
const MAX_TOTAL_BYTES: usize = 128 * 1024;

/// As many places are quoted for one detector.
const MAX_QUOTES: usize = 3;

/// What kind of payload a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Sql,
    NoSql,
    Ldap,
    Script,
    Traversal,
    Inclusion,
    Ssrf,
    Command,
    Code,
    Xxe,
    Crlf,
    Oversized,
}

/// Something suspicious in a text: worth `points` on the scale of a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub kind: Kind,
    pub points: u8,
    pub range: Range<usize>,
}

/// A literal that gives a payload away, with what it is worth in a value and in prose.
/// One that is worth nothing only calls for the shape detectors of its kind.
pub(crate) struct Sign {
    pub text: &'static str,
    pub kind: Kind,
    pub value: u8,
    pub prose: u8,
}

/// A text, with what the first pass over it saw.
pub(crate) struct Suspect<'t> {
    pub text: &'t str,
    /// The same in lower case, as far as it is ASCII.
    pub lower: &'t str,
    pub context: Context,
    /// What the sender calls it.
    pub name: &'t str,
    pub marks: Marks,
    hints: u16,
    /// Whether a word occurs without which prose holds no SQL.
    has_sql_word: bool,
}

impl Suspect<'_> {
    /// Whether a literal sign of the kind occurs.
    pub(crate) fn is_hinted(&self, kind: Kind) -> bool {
        self.hints & 1 << kind as u16 != 0
    }

    pub(crate) fn is_prose(&self) -> bool {
        self.context <= Context::Header
    }
}

/// All payload detectors, compiled once.
pub(crate) struct Detectors {
    /// The signs, then `sqli::WORDS`.
    literals: Finder,
    signs: Vec<&'static Sign>,
}

impl Detectors {
    pub(crate) fn new() -> Self {
        let signs: Vec<&'static Sign> =
            [sqli::SIGNS, xss::SIGNS, traversal::SIGNS, command::SIGNS].into_iter().flatten().collect();
        let literals = Finder::new(signs.iter().map(|sign| sign.text).chain(sqli::WORDS));
        Self { literals, signs }
    }

    /// Returns what the detectors find in an event's inputs, one finding for each kind.
    pub(crate) fn findings(&self, decoded: &Decoded<'_>) -> Vec<Finding> {
        let mut found: Vec<Found<'_>> = Vec::new();
        let mut room = MAX_TOTAL_BYTES;
        let mut lower = String::new();
        for input in &decoded.inputs {
            let Some(Value::Text(text)) = decoded.event.fields.get(input.field).map(|field| &field.value)
            else {
                continue;
            };
            let (start, end) = split_long(text);
            room = room.saturating_sub(start.len() + end.len());
            if room == 0 {
                break;
            }
            for (part, offset) in [(start, 0), (end, text.len() - end.len())] {
                lower.clear();
                lower.push_str(part);
                lower.make_ascii_lowercase();
                for hit in self.hits(part, &lower, input) {
                    remember(&mut found, input, &hit, offset);
                }
            }
        }
        found.into_iter().map(Found::into_finding).collect()
    }

    /// Returns what the detectors see in one text; `lower` is the same in lower case, as the signs are written.
    fn hits(&self, text: &str, lower: &str, input: &Input<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        if text.is_empty() {
            return hits;
        }
        let suspect = self.first_pass(text, lower, input, &mut hits);
        sqli::detect(&suspect, &mut hits);
        xss::detect(&suspect, &mut hits);
        traversal::detect(&suspect, &mut hits);
        command::detect(&suspect, &mut hits);
        hits
    }

    /// Looks for the literals, and says what the shape detectors may want to know.
    fn first_pass<'t>(
        &self,
        text: &'t str,
        lower: &'t str,
        input: &'t Input<'_>,
        hits: &mut Vec<Hit>,
    ) -> Suspect<'t> {
        let marks = Marks::of(text);
        let (context, name) = (input.context, &*input.name);
        let mut suspect = Suspect { text, lower, context, name, marks, hints: 0, has_sql_word: false };
        self.literals.find(lower, |literal, range| {
            if !is_whole(text, range.clone()) {
                return;
            }
            let Some(sign) = self.signs.get(literal) else {
                suspect.has_sql_word = true;
                return;
            };
            suspect.hints |= 1 << sign.kind as u16;
            let points = if suspect.is_prose() { sign.prose } else { sign.value };
            if points > 0 {
                hits.push(Hit { kind: sign.kind, points, range });
            }
        });
        suspect
    }
}

/// Returns the beginning and the end of a text; the end is empty where the text is short.
fn split_long(text: &str) -> (&str, &str) {
    if text.len() <= MAX_INPUT_BYTES {
        return (text, "");
    }
    let half = MAX_INPUT_BYTES / 2;
    let start = text.get(..text.floor_char_boundary(half)).unwrap_or("");
    let end = text.get(text.ceil_char_boundary(text.len() - half)..).unwrap_or("");
    (start, end)
}

/// Whether a sign that begins or ends with a letter stands there as a whole word.
fn is_whole(text: &str, range: Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let is_word = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let starts = range.start == 0 || !is_word(range.start) || !is_word(range.start - 1);
    let ends = !is_word(range.end - 1) || !is_word(range.end);
    starts && ends
}

/// What was seen of one kind, over all inputs.
struct Found<'i> {
    kind: Kind,
    points: u8,
    /// The shapes seen beside the strongest; they make it surer.
    others: u8,
    input: &'i Input<'i>,
    quotes: Vec<Quote>,
}

fn remember<'i>(found: &mut Vec<Found<'i>>, input: &'i Input<'i>, hit: &Hit, offset: usize) {
    let range = hit.range.start + offset..hit.range.end + offset;
    let quote = Quote { field: input.field, range: Some(range) };
    let Some(known) = found.iter_mut().find(|known| known.kind == hit.kind) else {
        found.push(Found { kind: hit.kind, points: hit.points, others: 0, input, quotes: vec![quote] });
        return;
    };
    if known.quotes.contains(&quote) {
        known.points = known.points.max(hit.points);
        return;
    }
    known.others = known.others.saturating_add(1);
    if hit.points > known.points {
        known.points = hit.points;
        known.input = input;
        known.quotes.insert(0, quote);
    } else {
        known.quotes.push(quote);
    }
    known.quotes.truncate(MAX_QUOTES);
}

impl Found<'_> {
    fn into_finding(self) -> Finding {
        const MOST_FOR_OTHERS: u8 = 4;
        let facts = Facts::of(self.kind);
        let points = (self.points + self.others.min(MOST_FOR_OTHERS)).min(98);
        let place = match self.input.context {
            Context::Parameter => format!("parameter {}", name_in_template(&self.input.name)),
            Context::Header => format!("header {}", name_in_template(&self.input.name)),
            Context::Path => "the request path".to_owned(),
            Context::Value | Context::Prose => "the message".to_owned(),
        };
        Finding {
            id: facts.id.into(),
            title: facts.title.into(),
            level: score::level(points),
            points,
            category: facts.category,
            techniques: facts.techniques.iter().map(|technique| Arc::from(*technique)).collect(),
            quotes: self.quotes,
            summary: format!("{} in {place}", facts.title).into(),
            advice: facts.advice.into(),
            events: Vec::new(),
        }
    }
}

/// What is said of a kind.
struct Facts {
    id: &'static str,
    title: &'static str,
    category: Category,
    techniques: &'static [&'static str],
    advice: &'static str,
}

impl Facts {
    fn of(kind: Kind) -> Self {
        let (id, title, category, techniques, advice): (_, _, _, &[&str], _) = match kind {
            Kind::Sql => (
                "payload.sql",
                "SQL injection",
                Category::SqlInjection,
                &["T1190"],
                "Check that the query behind this request binds its parameters, and look in the database's log for what it ran.",
            ),
            Kind::NoSql => (
                "payload.nosql",
                "NoSQL injection",
                Category::SqlInjection,
                &["T1190"],
                "Make the application refuse objects and operators where it expects a plain value.",
            ),
            Kind::Ldap => (
                "payload.ldap",
                "LDAP or XPath injection",
                Category::Other,
                &["T1190"],
                "Escape what users write before it becomes part of a directory or XPath filter.",
            ),
            Kind::Script => (
                "payload.script",
                "Cross-site scripting",
                Category::Xss,
                &["T1190", "T1059.007"],
                "Check that the page encodes this value for its place in the markup, and set a Content-Security-Policy.",
            ),
            Kind::Traversal => (
                "payload.traversal",
                "Path traversal",
                Category::PathTraversal,
                &["T1190", "T1083"],
                "Check whether the answer held a file: resolve paths first, then refuse those outside the intended folder.",
            ),
            Kind::Inclusion => (
                "payload.inclusion",
                "File inclusion",
                Category::PathTraversal,
                &["T1190"],
                "Allow only known names where a request chooses a file, and forbid remote and wrapper URLs.",
            ),
            Kind::Ssrf => (
                "payload.ssrf",
                "Server-side request forgery",
                Category::Other,
                &["T1190", "T1552.005"],
                "Let the application fetch only from an allow-list, never from internal or metadata addresses.",
            ),
            Kind::Command => (
                "payload.command",
                "Command injection",
                Category::RemoteCodeExecution,
                &["T1190", "T1059"],
                "Look for processes that the service started at this time, and pass values as arguments, never through a shell.",
            ),
            Kind::Code => (
                "payload.code",
                "Code injection",
                Category::RemoteCodeExecution,
                &["T1190", "T1059"],
                "Look for processes and connections that the service started at this time, and patch the component that evaluates input.",
            ),
            Kind::Xxe => (
                "payload.xxe",
                "XML external entity",
                Category::Other,
                &["T1190"],
                "Switch off document types and external entities in the XML parser.",
            ),
            Kind::Crlf => (
                "payload.crlf",
                "Header injection",
                Category::Other,
                &["T1190"],
                "Refuse line breaks in values that become part of a header.",
            ),
            Kind::Oversized => (
                "payload.oversized",
                "Oversized repetitive input",
                Category::Other,
                &["T1190"],
                "Limit the length of parameters, and check that the service did not crash.",
            ),
        };
        Self { id, title, category, techniques, advice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_written_as_they_are_looked_for() {
        for sign in Detectors::new().signs {
            assert_eq!(sign.text, sign.text.to_ascii_lowercase());
        }
    }
}
