//! Sigma rules, compiled once and evaluated often: files → conditions → index → matches.
//! Never here: decoding an entry, or what a match is worth.
//!
//! # What a rule is asked
//!
//! Text is compared without regard to case (character by character, so that evidence keeps its place) unless the rule
//! says `cased`; regular expressions are case-sensitive unless they say `i`. A condition on a field holds if any of
//! the field's values fits. Numbers and booleans are also the text that writes them. A keyword is found in any value
//! of any field that is not a piece of the message, so that it sees the message whole and every decoded form.
//! Expressions in plain ASCII work on bytes.
//!
//! # Which events a rule sees
//!
//! Each part of `logsource` that a rule states must equal the event's; what a rule leaves out may be anything. So a
//! rule for `product: windows` sees all Windows events, and none whose origin the decoder could not tell.
//! `service: auth` also covers sshd, sudo, su and PAM. Many events arrive as free text with a source nobody has heard
//! of, and what they tell is the same wherever it is told: a rule that reads text or fields of any origin says
//! `category: any`, and sees every event.
//!
//! Parts of a time (`hour`, `week` and so on) are those of UTC.
//!
//! # Placeholders
//!
//! A file called `placeholders.yml` holds no rules but what `%name%` stands for where a rule says `expand`:
//! `placeholders: {admins: [root, adm*]}`. Several such files are taken together.
//!
//! # Conditions that link rules by name
//!
//! A `temporal` correlation may say `a and (b or c) and not d`; `rules` may then be left out. Written out as
//! alternatives without `or`, it is complete with an event of a rule that one of them wants seen, if within the timespan
//! up to that event all that it wants were seen, in any order, and nothing that it negates. `not d` is what the window
//! knows then: `d` was not seen before, though it may come. Where that can't be known, because a window was given up for
//! want of room, it does not hold. What came before a reload that brought the rule is not known to it.
//!
//! # Our member of a rule file
//!
//! `sentinelflow:` holds `category`, `summary` and `advice` (in both, `{field}` stands for the event's value and `{{`
//! for a brace), `silent` for a rule that only correlations count, and `examples`, which are the rule's tests. An
//! example of a correlation is a list of steps: an entry that comes so many `times`, one `every_s` seconds.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use sentinelflow_domain::analysis::{Category, Level};
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::{
    compile::Trust,
    condition::{Condition, Evidence},
    correlation::{Correlation, Over},
    index::Index,
    load::Loaded,
    source::RuleSource,
    view::{FieldNames, View},
};
use crate::event::Event;

pub use self::{bounds::FILE_MAX_BYTES, load::Examples};

mod bounds;
mod compile;
mod condition;
pub(crate) mod correlation;
mod encode;
mod expression;
mod glob;
mod index;
mod load;
mod needle;
pub(crate) mod pattern;
mod placeholders;
mod probe;
mod source;
mod time_part;
mod view;
pub mod why;

/// Rules ready to be asked. Immutable; a reload makes another one.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    sources: Vec<RuleSource>,
    /// The rules that come with the program are one part, as they see events of nearly any source; others are a part for
    /// each source, so that an event does not pay for rules that don't concern it.
    parts: Vec<Part>,
    names: FieldNames,
    correlations: Vec<Correlation>,
    /// By what they count: which correlations, and as which of their members.
    counting: HashMap<Over, Vec<(usize, usize)>>,
    hash: Arc<str>,
}

/// Rules that are looked up together.
#[derive(Debug)]
struct Part {
    /// `None` where each rule has its own.
    source: Option<RuleSource>,
    /// Conditions of which one must hold for its rule to, by rising number of the rule. Each is indexed by itself, so that
    /// of a rule's many expressions only those are tried that the event has a needle for.
    alternatives: Vec<(usize, Condition)>,
    index: Index,
}

/// What a rule says about the events that it finds.
#[derive(Debug, Clone)]
pub struct Rule {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub level: Level,
    pub category: Category,
    /// ATT&CK techniques such as `T1190`.
    pub techniques: Vec<Arc<str>>,
    /// Why this is worth knowing.
    pub description: String,
    pub false_positives: Vec<String>,
    /// One sentence on what happened; `{field}` stands for the event's value.
    pub summary: Arc<str>,
    /// What to do about it; `{field}` stands for the event's value.
    pub advice: Arc<str>,
    pub examples: Examples,
    /// It is there to be counted by correlations and tells nothing by itself.
    pub is_silent: bool,
}

/// A rule that found something.
#[derive(Debug, Clone)]
pub struct RuleMatch<'r> {
    pub rule: &'r Rule,
    /// The rule's place among the rules.
    pub number: usize,
    /// Indices into the event's fields, and the range of the value's text that was meant, if it was a text.
    pub evidence: Vec<Evidence>,
}

/// Why a rule file, or a part of it, is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {what}")]
pub struct RuleFileError {
    pub file: String,
    pub line: usize,
    pub what: String,
}

include!(concat!(env!("OUT_DIR"), "/built_in_rules.rs"));

impl RuleSet {
    /// Returns the rules that come with the program.
    pub fn built_in() -> Self {
        let (rules, errors) = Self::built_in_and(std::iter::empty());
        debug_assert!(errors.is_empty(), "built-in rules have faults: {errors:?}");
        rules
    }

    /// Returns the rules that come with the program and those that the files hold, and what could not be used.
    pub fn built_in_and(files: impl Iterator<Item = (String, String)>) -> (Self, Vec<RuleFileError>) {
        let built_in = BUILT_IN.iter().map(|(file, yaml)| ((*file).to_owned(), (*yaml).to_owned()));
        let built_in = built_in.map(|(file, yaml)| (Trust::BuiltIn, file, yaml));
        Self::load_all(built_in.chain(files.map(|(file, yaml)| (Trust::Foreign, file, yaml))))
    }

    /// Returns the rules that the files hold, and what could not be used. Files are pairs of name and YAML text.
    pub fn load(files: impl Iterator<Item = (String, String)>) -> (Self, Vec<RuleFileError>) {
        Self::load_all(files.map(|(file, yaml)| (Trust::Foreign, file, yaml)))
    }

    fn load_all(files: impl Iterator<Item = (Trust, String, String)>) -> (Self, Vec<RuleFileError>) {
        let mut loaded = Loaded::default();
        // Rules name placeholders, so these come first.
        let (placeholders, rules): (Vec<_>, Vec<_>) =
            files.partition(|(_, file, _)| placeholders::are_in(file));
        let mut used = Vec::new();
        for (_, file, yaml) in placeholders {
            if loaded.add_placeholders(&file, &yaml) {
                used.push((file, yaml));
            }
        }
        for (trust, file, yaml) in rules {
            if loaded.add_file(trust, &file, &yaml) {
                used.push((file, yaml));
            }
        }
        used.sort();
        loaded.finish();
        let Loaded { rules, built_in, conditions, sources, names, correlations, errors, .. } = loaded;
        let mut by_source: BTreeMap<Option<&RuleSource>, Vec<(usize, Condition)>> = BTreeMap::new();
        for (number, condition) in conditions.into_iter().enumerate() {
            let source = (number >= built_in).then(|| &sources[number]);
            let alternatives = condition.alternatives().into_iter().map(|one| (number, one));
            by_source.entry(source).or_default().extend(alternatives);
        }
        let part = |(source, mut alternatives): (Option<&RuleSource>, Vec<(usize, Condition)>)| {
            let index = Index::new(&mut alternatives, names.len());
            Part { source: source.cloned(), alternatives, index }
        };
        let parts = by_source.into_iter().map(part).collect();
        let mut counting: HashMap<Over, Vec<(usize, usize)>> = HashMap::new();
        for (number, correlation) in correlations.iter().enumerate() {
            for (position, member) in correlation.members.iter().enumerate() {
                counting.entry(member.over).or_default().push((number, position));
            }
        }
        let hash = hash_of(&used);
        (Self { rules, sources, parts, names, correlations, counting, hash }, errors)
    }

    /// Returns 16 hex digits that change whenever a rule does.
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    pub fn len(&self) -> usize {
        self.rules.len() + self.correlations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the rules for single events in the order of their files.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Returns the rules that correlate events.
    pub fn correlations(&self) -> impl Iterator<Item = &Rule> {
        self.correlations.iter().map(|correlation| &correlation.rule)
    }

    pub(crate) fn correlation(&self, number: usize) -> &Correlation {
        &self.correlations[number]
    }

    /// Returns the correlations that count what a rule, or another correlation, found.
    pub(crate) fn correlations_over(&self, over: Over) -> &[(usize, usize)] {
        self.counting.get(&over).map_or(&[], Vec::as_slice)
    }

    /// Returns the longest time over which events are correlated, in milliseconds.
    pub(crate) fn longest_timespan_ms(&self) -> i64 {
        self.correlations.iter().map(|correlation| correlation.timespan_ms).max().unwrap_or(0)
    }

    /// Returns the rules that hold for the event, each with what it found.
    pub fn matches<'r>(&'r self, event: &Event<'_>) -> Vec<RuleMatch<'r>> {
        let view = View::new(event, &self.names);
        let mut matches: Vec<RuleMatch<'r>> = Vec::new();
        let concerned =
            |part: &&Part| part.source.as_ref().is_none_or(|source| source.covers(event.log_source));
        for part in self.parts.iter().filter(concerned) {
            let (candidates, found) = part.index.candidates(&view);
            for candidate in candidates {
                let (number, condition) = &part.alternatives[candidate as usize];
                let is_found = matches.last().is_some_and(|last| last.number == *number);
                if is_found || !self.sources[*number].covers(event.log_source) {
                    continue;
                }
                let mut evidence = Vec::new();
                if condition.holds(&view, &found, &mut evidence) {
                    matches.push(RuleMatch { rule: &self.rules[*number], number: *number, evidence });
                }
            }
        }
        matches.sort_by_key(|found| found.number);
        matches
    }
}

fn hash_of(files: &[(String, String)]) -> Arc<str> {
    let mut hasher = Sha256::new();
    for (file, yaml) in files {
        for text in [file, yaml] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
    let mut hash = String::new();
    for byte in hasher.finalize().iter().take(8) {
        write!(hash, "{byte:02x}").expect("a String takes whatever is written");
    }
    hash.into()
}

#[cfg(test)]
mod tests;
