//! Which rules are worth a look at an event: one Aho-Corasick pass over each value finds the needles in it.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::{
    condition::Condition,
    needle::{Needle, needles},
    view::View,
};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By field; empty where no rule has a needle.
    of_field: Vec<Vec<Haystack>>,
    of_any_field: Vec<Haystack>,
    /// Rules that may hold as soon as a field is there, by field.
    on_presence: Vec<Vec<u32>>,
    /// Rules that may hold without any needle.
    always: Vec<u32>,
    rules: usize,
}

/// The needles looked for in one kind of value.
#[derive(Debug)]
struct Haystack {
    automaton: AhoCorasick,
    /// By needle.
    rules: Vec<Vec<u32>>,
}

/// Up to so many bytes of needles a table with a row per state is small, and twice as fast.
const DENSE_MAX_BYTES: usize = 16 * 1024;

/// An automaton takes time with the square of its needles to build, so more of them are spread over several.
const NEEDLES_TOGETHER: usize = 10_000;

impl Index {
    pub(super) fn new<'c>(conditions: impl Iterator<Item = &'c Condition>, fields: usize) -> Self {
        let mut index = Self::default();
        let mut of_field = vec![Vec::new(); fields];
        let mut of_any_field = Vec::new();
        index.on_presence = vec![Vec::new(); fields];
        for (rule, condition) in (0_u32..).zip(conditions) {
            index.rules += 1;
            let Some(needles) = needles(condition) else {
                index.always.push(rule);
                continue;
            };
            for Needle { field, text } in needles {
                match field {
                    Some(field) if text.is_empty() => index.on_presence[field as usize].push(rule),
                    Some(field) => of_field[field as usize].push((text, rule)),
                    None => of_any_field.push((text, rule)),
                }
            }
        }
        index.of_field = of_field.into_iter().map(haystacks).collect();
        index.of_any_field = haystacks(of_any_field);
        index
    }

    /// Returns every rule that may hold, by rising number.
    pub(super) fn candidates(&self, view: &View<'_>) -> impl Iterator<Item = u32> + use<> {
        let mut candidates = Candidates(vec![0; self.rules.div_ceil(64)]);
        candidates.add(&self.always);
        for index in 0..view.len() {
            let name = view.name(index).map(|name| name as usize);
            let on_presence = name.map_or(&[][..], |name| &self.on_presence[name]);
            candidates.add(on_presence);
            for haystack in name.map_or(&[][..], |name| &self.of_field[name]) {
                haystack.add_found(view.folded(index), &mut candidates);
            }
        }
        for haystack in &self.of_any_field {
            haystack.add_found(view.whole(), &mut candidates);
        }
        candidates.into_rising()
    }
}

fn haystacks(mut needles: Vec<(String, u32)>) -> Vec<Haystack> {
    needles.sort();
    needles.dedup();
    let by_text: Vec<&[(String, u32)]> = needles.chunk_by(|(one, _), (other, _)| one == other).collect();
    by_text.chunks(NEEDLES_TOGETHER).map(Haystack::new).collect()
}

impl Haystack {
    /// Takes needles together with the rules that each of them is for.
    fn new(by_text: &[&[(String, u32)]]) -> Self {
        let texts: Vec<&str> = by_text.iter().map(|same| same[0].0.as_str()).collect();
        let rules = by_text.iter().map(|same| same.iter().map(|(_, rule)| *rule).collect()).collect();
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let kind =
            if bytes <= DENSE_MAX_BYTES { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = AhoCorasickBuilder::new()
            .kind(Some(kind))
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(&texts)
            .expect("needles are fewer than four billion bytes");
        Self { automaton, rules }
    }

    fn add_found(&self, text: &str, candidates: &mut Candidates) {
        for found in self.automaton.find_overlapping_iter(text) {
            candidates.add(&self.rules[found.pattern().as_usize()]);
        }
    }
}

/// A set of rules, a bit each.
struct Candidates(Vec<u64>);

impl Candidates {
    fn add(&mut self, rules: &[u32]) {
        for rule in rules {
            self.0[*rule as usize / 64] |= 1 << (rule % 64);
        }
    }

    fn into_rising(self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(self.0).flat_map(|(block, mut bits)| {
            std::iter::from_fn(move || {
                let lowest = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(block * 64 + lowest)
            })
        })
    }
}
