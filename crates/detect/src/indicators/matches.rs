//! An event → what of it is listed → findings, one for each kind of indicator.

use std::{borrow::Cow, ops::Range};

use sentinelflow_domain::analysis::Category;

use super::{
    entry::Kind,
    tables::{Note, Tables},
    words::{Candidate, Wanted, candidates},
};
use crate::{
    event::{Event, Origin, Value},
    explain::name_in_template,
    finding::{Finding, Quote},
    score,
};

/// An event is read no further than this, over all its fields.
const MAX_TOTAL_BYTES: usize = 256 * 1024;
const MAX_QUOTES: usize = 3;
const MAX_TEXTS: usize = 4;

/// Fields whose value says who takes part are quoted before others.
const PARTIES: [&str; 2] = ["src_ip", "dst_ip"];

/// What was found of one kind.
struct Found<'t> {
    kind: Kind,
    /// What counts most.
    note: &'t Note,
    /// The listed texts, each once, that which counts most first; of many, some.
    texts: Vec<String>,
    quotes: Vec<Quote>,
}

/// Returns what the tables hold of the event.
pub(super) fn findings(tables: &[&Tables], event: &Event<'_>) -> Vec<Finding> {
    let wanted = Wanted::those(|kind| tables.iter().any(|tables| tables.has(kind)));
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut room = MAX_TOTAL_BYTES;
    for (field, text) in texts(event) {
        let Some(left) = room.checked_sub(text.len()) else { break };
        room = left;
        candidates(text, wanted, |candidate, range| {
            if let Some((kind, note)) = find(tables, &candidate) {
                remember(&mut found, kind, note, field, text, range);
            }
        });
    }
    found.into_iter().map(Found::into_finding).collect()
}

/// Returns whether a text is listed, by itself or by what it belongs to.
pub(super) fn is_listed(tables: &Tables, text: &str) -> bool {
    Candidate::of(text).is_some_and(|candidate| find(&[tables], &candidate).is_some())
}

/// Returns the texts to read, each with its field. A piece of the message is read as a part of it, unless it was
/// written otherwise there.
fn texts<'e>(event: &'e Event<'_>) -> impl Iterator<Item = (usize, &'e str)> {
    let is_party = |name: &str| PARTIES.contains(&name);
    let texts = move |parties: bool| {
        event.fields.iter().enumerate().filter_map(move |(at, field)| {
            let Value::Text(text) = &field.value else { return None };
            let is_piece = field.origin == Origin::Message && matches!(text, Cow::Borrowed(_));
            let is_read = if parties {
                is_party(&field.name)
            } else {
                !is_party(&field.name) && (!is_piece || field.name == "message")
            };
            is_read.then_some((at, &**text))
        })
    };
    texts(true).chain(texts(false))
}

fn find<'t>(tables: &[&'t Tables], candidate: &Candidate) -> Option<(Kind, &'t Note)> {
    let look = |tables: &'t Tables| match candidate {
        Candidate::Address(address) => tables.address(*address),
        Candidate::Domain(domain) => tables.domain(domain),
        Candidate::Hash(hash) => tables.hash_of_file(hash),
        Candidate::Url(url) => tables.url(url),
    };
    let kind = match candidate {
        Candidate::Address(_) => Kind::Address,
        Candidate::Domain(_) => Kind::Domain,
        Candidate::Hash(_) => Kind::Hash,
        Candidate::Url(_) => Kind::Url,
    };
    // Of equals the first, which is the one of all tenants.
    let notes = tables.iter().filter_map(|tables| look(tables)).rev();
    notes.max_by_key(|note| note.weight()).map(|note| (kind, note))
}

fn remember<'t>(
    found: &mut Vec<Found<'t>>,
    kind: Kind,
    note: &'t Note,
    field: usize,
    text: &str,
    range: Range<usize>,
) {
    let text = text.get(range.clone()).unwrap_or_default();
    let quote = Quote { field, range: Some(range) };
    let Some(known) = found.iter_mut().find(|known| known.kind == kind) else {
        found.push(Found { kind, note, texts: vec![text.to_owned()], quotes: vec![quote] });
        return;
    };
    let is_graver = note.weight() > known.note.weight();
    let same = known.texts.iter().position(|known| known == text);
    if is_graver {
        known.note = note;
        known.quotes.insert(0, quote);
        let text = same.map_or_else(|| text.to_owned(), |same| known.texts.remove(same));
        known.texts.insert(0, text);
    } else {
        known.quotes.push(quote);
        if same.is_none() && known.texts.len() < MAX_TEXTS {
            known.texts.push(text.to_owned());
        }
    }
    known.texts.truncate(MAX_TEXTS);
    known.quotes.truncate(MAX_QUOTES);
}

impl Found<'_> {
    fn into_finding(self) -> Finding {
        let level = score::level_of_indicator(self.kind, self.note.confidence);
        let facts = Facts::of(self.kind);
        let list = &self.note.list;
        let in_template = list.replace('{', "{{");
        let mut texts = self.texts.iter().map(|text| name_in_template(text));
        let text = texts.next().unwrap_or_default();
        let others: Vec<String> = texts.collect();
        let said = match &self.note.description {
            Some(description) => format!(" ({})", description.replace('{', "{{")),
            None => String::new(),
        };
        let others =
            if others.is_empty() { String::new() } else { format!("; also listed: {}", others.join(", ")) };
        Finding {
            id: facts.id.into(),
            title: format!("{} on the list {list}", facts.title).into(),
            level,
            points: score::points(level),
            category: facts.category,
            techniques: Vec::new(),
            quotes: self.quotes,
            summary: format!("{} {text} is on the list {in_template}{said}{others}", facts.title).into(),
            advice: format!("{} {text}. {}", facts.search, facts.advice).into(),
            events: Vec::new(),
        }
    }
}

/// What is said of a kind.
struct Facts {
    id: &'static str,
    title: &'static str,
    category: Category,
    search: &'static str,
    advice: &'static str,
}

impl Facts {
    fn of(kind: Kind) -> Self {
        let (id, title, category, search, advice) = match kind {
            Kind::Address => (
                "indicator.ip",
                "Address",
                Category::Other,
                "Look for every connection to and from",
                "Block it if the list is right, and look at the hosts that talked to it.",
            ),
            Kind::Domain => (
                "indicator.domain",
                "Domain",
                Category::Malware,
                "Find the hosts that asked for or talked to",
                "Block it, and look for the program that used it.",
            ),
            Kind::Hash => (
                "indicator.hash",
                "File",
                Category::Malware,
                "Find every host that holds the file",
                "Isolate those that ran it, and keep a copy for analysis.",
            ),
            Kind::Url => (
                "indicator.url",
                "URL",
                Category::Malware,
                "Find the hosts that fetched",
                "Block it, and look at what they stored or ran afterwards.",
            ),
        };
        Self { id, title, category, search, advice }
    }
}
