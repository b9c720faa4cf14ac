//! Which rules are worth a look at an event, and at which of its values: one pass finds the needles.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::{finder::Finder, needle::Needle, view::View};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By field; empty where no rule has a needle.
    of_field: Vec<Vec<Haystack>>,
    of_any_field: Needles,
    /// Rules that may hold as soon as a field is there, by field.
    on_presence: Vec<Vec<u32>>,
    /// Rules that may hold without any needle.
    always: Vec<u32>,
    rules: usize,
}

/// The needles looked for in all values together.
#[derive(Debug, Default)]
struct Needles {
    finder: Finder,
    /// By needle.
    rules: Vec<Vec<u32>>,
}

/// The needles looked for in one kind of value.
#[derive(Debug)]
struct Haystack {
    automaton: AhoCorasick,
    /// By needle.
    rules: Vec<Vec<u32>>,
}

/// A condition that may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) condition: u32,
    /// Where the needles of its leading part occur, if those may be in any field.
    pub(super) places: Places,
}

/// Some of an event's values, by their index; values with high indices count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places(u64);

impl Places {
    const ALL: Self = Self(u64::MAX);
    const NONE: Self = Self(0);

    fn of(index: usize) -> Self {
        Self(1 << index.min(63))
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contain(self, index: usize) -> bool {
        self.0 & Self::of(index).0 != 0
    }
}

/// Up to so many bytes of needles a table with a row per state is small, and twice as fast.
const DENSE_MAX_BYTES: usize = 16 * 1024;

/// An automaton takes time with the square of its needles to build, so more of them are spread over several.
const NEEDLES_TOGETHER: usize = 10_000;

impl Index {
    /// Takes the needles of conditions, `None` for one that may hold without any, and how many fields rules ask for.
    pub(super) fn new(needles: Vec<Option<Vec<Needle>>>, fields: usize) -> Self {
        let mut index = Self::default();
        let mut of_field = vec![Vec::new(); fields];
        let mut of_any_field = Vec::new();
        index.on_presence = vec![Vec::new(); fields];
        for (rule, needles) in (0_u32..).zip(needles) {
            index.rules += 1;
            let Some(needles) = needles else {
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
        index.of_any_field = Needles::new(of_any_field);
        index
    }

    /// Returns every condition that may hold, by rising number.
    pub(super) fn candidates(&self, view: &View<'_>) -> impl Iterator<Item = Candidate> + use<> {
        let mut candidates = Candidates::new(self.rules);
        candidates.add(&self.always);
        for index in 0..view.len() {
            let name = view.name(index).map(|name| name as usize);
            let on_presence = name.map_or(&[][..], |name| &self.on_presence[name]);
            candidates.add(on_presence);
            for haystack in name.map_or(&[][..], |name| &self.of_field[name]) {
                haystack.add_found(view.folded(index), &mut candidates);
            }
        }
        self.of_any_field.add_found(view, &mut candidates);
        candidates.into_rising()
    }
}

fn haystacks(needles: Vec<(String, u32)>) -> Vec<Haystack> {
    by_text(needles).chunks(NEEDLES_TOGETHER).map(Haystack::new).collect()
}

/// Returns each text once, with the rules that it is for.
fn by_text(mut needles: Vec<(String, u32)>) -> Vec<(String, Vec<u32>)> {
    needles.sort();
    needles.dedup();
    let same = needles.chunk_by(|(one, _), (other, _)| one == other);
    same.map(|same| (same[0].0.clone(), same.iter().map(|(_, rule)| *rule).collect())).collect()
}

impl Needles {
    fn new(needles: Vec<(String, u32)>) -> Self {
        let (texts, rules): (Vec<_>, Vec<_>) = by_text(needles).into_iter().unzip();
        Self { finder: Finder::new(texts.iter().map(String::as_str)), rules }
    }

    fn add_found(&self, view: &View<'_>, candidates: &mut Candidates) {
        self.finder.find(view.whole(), |needle, place| candidates.add_at(&self.rules[needle], &place, view));
    }
}

impl Haystack {
    fn new(by_text: &[(String, Vec<u32>)]) -> Self {
        let texts: Vec<&str> = by_text.iter().map(|(text, _)| text.as_str()).collect();
        let rules = by_text.iter().map(|(_, rules)| rules.clone()).collect();
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

/// A set of conditions, a bit each, and where their needles are.
struct Candidates {
    bits: Vec<u64>,
    places: Vec<Candidate>,
}

/// So many places are remembered; where there are more, all are looked at.
const PLACES_MAX: usize = 256;

impl Candidates {
    fn new(conditions: usize) -> Self {
        Self { bits: vec![0; conditions.div_ceil(64)], places: Vec::new() }
    }

    fn add(&mut self, conditions: &[u32]) {
        for condition in conditions {
            self.bits[*condition as usize / 64] |= 1 << (condition % 64);
        }
    }

    /// Adds conditions for a needle that was found in what is looked through as a whole.
    fn add_at(&mut self, conditions: &[u32], place: &Range<usize>, view: &View<'_>) {
        if self.places.len() >= PLACES_MAX {
            self.add(conditions);
            return;
        }
        let holds = |index: &usize| {
            let span = view.span(*index);
            span.start <= place.start && place.end <= span.end
        };
        // What spans two values is in neither.
        if let Some(index) = view.whole_values().find(holds) {
            self.add(conditions);
            let places = Places::of(index);
            self.places
                .extend(conditions.iter().map(|condition| Candidate { condition: *condition, places }));
        }
    }

    fn into_rising(self) -> impl Iterator<Item = Candidate> {
        let Self { bits, places } = self;
        let rising = (0_u32..).zip(bits).flat_map(|(block, mut bits)| {
            std::iter::from_fn(move || {
                let lowest = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(block * 64 + lowest)
            })
        });
        rising.map(move |condition| {
            let of_it = places.iter().filter(|known| known.condition == condition);
            let found = of_it.fold(Places::NONE, |all, known| all.or(known.places));
            let is_known = found != Places::NONE && places.len() < PLACES_MAX;
            Candidate { condition, places: if is_known { found } else { Places::ALL } }
        })
    }
}
