//! Which rules are worth a look at an event, and at which of its values: one pass finds the needles.

use std::{collections::BTreeMap, num::NonZero, panic::resume_unwind, thread};

use super::{
    condition::Condition,
    needle::{Needle, needles},
    probe::{Found, Probe, Probes},
    view::View,
};
use crate::finder::Finder;

#[derive(Debug)]
pub(super) struct Index {
    /// By field; `None` where no rule has a needle.
    of_field: Vec<Option<OfField>>,
    anywhere: Anywhere,
    /// Rules that may hold as soon as a field is there, by field.
    on_presence: Vec<Vec<u32>>,
    /// Rules that may hold without any needle.
    always: Vec<u32>,
    rules: usize,
}

/// The texts looked for in all values together.
#[derive(Debug)]
struct Anywhere {
    finder: Finder,
    /// By text: the conditions that it leads to, and the probes it is for.
    meant: Vec<(Vec<u32>, Vec<Probe>)>,
    probes: usize,
}

/// The needles looked for in the values of one field.
#[derive(Debug)]
struct OfField {
    finder: Finder,
    /// By needle.
    rules: Vec<Vec<u32>>,
}

impl Index {
    /// Gives the conditions their probes and takes their needles; `fields` are as many as rules ask for.
    pub(super) fn new(conditions: &mut [(usize, Condition)], fields: usize) -> Self {
        let mut of_field = vec![Vec::new(); fields];
        let mut on_presence = vec![Vec::new(); fields];
        let (mut leading, mut always) = (Vec::new(), Vec::new());
        let mut probes = Probes::default();
        let found = needles_of_all(conditions);
        for (rule, ((_, condition), needles)) in (0_u32..).zip(conditions.iter_mut().zip(found)) {
            condition.probe(&mut probes);
            let Some(needles) = needles else {
                always.push(rule);
                continue;
            };
            for Needle { field, text } in needles {
                match field {
                    Some(field) if text.is_empty() => on_presence[field as usize].push(rule),
                    Some(field) => of_field[field as usize].push((text, rule)),
                    None => leading.push((text, rule)),
                }
            }
        }
        let of_field = of_field.into_iter().map(OfField::new).collect();
        let rules = conditions.len();
        Self { of_field, anywhere: Anywhere::new(leading, probes), on_presence, always, rules }
    }

    /// Returns every condition that may hold, by rising number, and what the probes of all conditions found.
    pub(super) fn candidates(&self, view: &View<'_>) -> (impl Iterator<Item = u32> + use<>, Found) {
        let mut candidates = Candidates::new(self.rules);
        candidates.add(&self.always);
        for index in 0..view.len() {
            let name = view.name(index).map(|name| name as usize);
            let on_presence = name.map_or(&[][..], |name| &self.on_presence[name]);
            candidates.add(on_presence);
            if let Some(of_field) = name.and_then(|name| self.of_field[name].as_ref()) {
                of_field.look(view.folded(index), &mut candidates);
            }
        }
        let found = self.anywhere.look(view, &mut candidates);
        (candidates.into_rising(), found)
    }
}

/// Returns the needles of each condition. All cores share the work: to find those of the expressions was a quarter of a
/// start.
fn needles_of_all(conditions: &[(usize, Condition)]) -> Vec<Option<Vec<Needle>>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = conditions.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let of_share = |share: &[(usize, Condition)]| -> Vec<_> {
            share.iter().map(|(_, condition)| needles(condition)).collect()
        };
        let threads: Vec<_> =
            conditions.chunks(share).map(|share| scope.spawn(move || of_share(share))).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    })
}

/// Returns each text once, with the rules that it is for.
fn by_text(mut needles: Vec<(String, u32)>) -> Vec<(String, Vec<u32>)> {
    needles.sort();
    needles.dedup();
    let same = needles.chunk_by(|(one, _), (other, _)| one == other);
    same.map(|same| (same[0].0.clone(), same.iter().map(|(_, rule)| *rule).collect())).collect()
}

impl Anywhere {
    fn new(leading: Vec<(String, u32)>, probes: Probes) -> Self {
        let count = probes.len();
        let mut meant: BTreeMap<String, (Vec<u32>, Vec<Probe>)> = BTreeMap::new();
        for (text, probe) in probes.into_texts() {
            meant.entry(text).or_default().1.push(probe);
        }
        for (text, rules) in by_text(leading) {
            meant.entry(text).or_default().0 = rules;
        }
        let finder = Finder::new(meant.keys().map(String::as_str));
        Self { finder, meant: meant.into_values().collect(), probes: count }
    }

    fn look(&self, view: &View<'_>, candidates: &mut Candidates) -> Found {
        let mut found = Found::new(self.probes);
        self.finder.find(view.whole(), |text, place| {
            let (rules, probes) = &self.meant[text];
            candidates.add(rules);
            if probes.is_empty() {
                return;
            }
            // What spans two values is in neither. To look for the value takes longer the more there are.
            let value = if found.is_full() { Some(0) } else { view.value_around(&place) };
            if let Some(value) = value {
                for probe in probes {
                    found.add(*probe, value);
                }
            }
        });
        found
    }
}

impl OfField {
    fn new(needles: Vec<(String, u32)>) -> Option<Self> {
        let (texts, rules): (Vec<_>, Vec<_>) = by_text(needles).into_iter().unzip();
        (!texts.is_empty()).then(|| Self { finder: Finder::new(texts.iter().map(String::as_str)), rules })
    }

    fn look(&self, text: &str, candidates: &mut Candidates) {
        self.finder.find(text, |needle, _| candidates.add(&self.rules[needle]));
    }
}

/// A set of conditions, a bit each.
struct Candidates(Vec<u64>);

impl Candidates {
    fn new(conditions: usize) -> Self {
        Self(vec![0; conditions.div_ceil(64)])
    }

    fn add(&mut self, conditions: &[u32]) {
        for condition in conditions {
            self.0[*condition as usize / 64] |= 1 << (condition % 64);
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
