//! Which rules are worth a look at an event, and at which of its values: one pass finds the needles.

use std::{collections::BTreeMap, num::NonZero, panic::resume_unwind, thread};

use super::{
    condition::Condition,
    needle::{Needle, needles},
    probe::{Found, Probe, Probes},
    view::{FieldId, View},
};
use crate::finder::Finder;

#[derive(Debug)]
pub(super) struct Index {
    /// Looks in all values together.
    finder: Finder,
    /// By text.
    meant: Vec<Meant>,
    probes: usize,
    by_field: Vec<OfField>,
    /// Rules that may hold without any needle.
    always: Vec<u32>,
    rules: usize,
}

/// What a text is looked for.
#[derive(Debug, Default)]
struct Meant {
    /// Rules that it leads to wherever it stands.
    anywhere: Vec<u32>,
    /// Rules that it leads to in a value of a field.
    of_fields: Vec<(FieldId, Vec<u32>)>,
    probes: Vec<Probe>,
}

#[derive(Debug, Clone, Default)]
struct OfField {
    /// Rules that may hold as soon as the field is there.
    on_presence: Vec<u32>,
    /// Texts too short to be looked for in all values, each with a rule that it leads to.
    tiny: Vec<(String, u32)>,
}

/// Such texts occur in nearly every event.
const TINY_MAX_BYTES: usize = 2;

/// So many texts may stand where no field is that they are looked for in. After that the place makes no difference.
const MISPLACED_MAX: u32 = 1_000;

impl Index {
    /// Gives the conditions their probes and takes their needles; `fields` are as many as rules ask for.
    pub(super) fn new(conditions: &mut [(usize, Condition)], fields: usize) -> Self {
        let mut by_field = vec![OfField::default(); fields];
        let (mut texts, mut always) = (BTreeMap::<String, Meant>::new(), Vec::new());
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
                    Some(field) if text.is_empty() => by_field[field as usize].on_presence.push(rule),
                    Some(field) if text.len() <= TINY_MAX_BYTES => {
                        by_field[field as usize].tiny.push((text, rule));
                    }
                    Some(field) => texts.entry(text).or_default().add(field, rule),
                    None => texts.entry(text).or_default().anywhere.push(rule),
                }
            }
        }
        let count = probes.len();
        for (text, probe) in probes.into_texts() {
            texts.entry(text).or_default().probes.push(probe);
        }
        let finder = Finder::new(texts.keys().map(String::as_str));
        let meant = texts.into_values().collect();
        Self { finder, meant, probes: count, by_field, always, rules: conditions.len() }
    }

    /// Returns every condition that may hold, by rising number, and what the probes of all conditions found.
    pub(super) fn candidates(&self, view: &View<'_>) -> (impl Iterator<Item = u32> + use<>, Found) {
        let mut candidates = Candidates::new(self.rules);
        candidates.add(&self.always);
        for index in 0..view.len() {
            let Some(name) = view.name(index) else { continue };
            let OfField { on_presence, tiny } = &self.by_field[name as usize];
            candidates.add(on_presence);
            for (text, rule) in tiny {
                if view.folded(index).contains(text) {
                    candidates.add(&[*rule]);
                }
            }
        }
        let mut found = Found::new(self.probes);
        let mut misplaced = 0;
        self.finder.find(view.all(), |text, place| {
            let Meant { anywhere, of_fields, probes } = &self.meant[text];
            candidates.add(anywhere);
            for (field, rules) in of_fields {
                if misplaced >= MISPLACED_MAX || view.is_of(*field, &place) {
                    candidates.add(rules);
                } else {
                    misplaced += 1;
                }
            }
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
        (candidates.into_rising(), found)
    }
}

impl Meant {
    fn add(&mut self, field: FieldId, rule: u32) {
        match self.of_fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, rules)) => rules.push(rule),
            None => self.of_fields.push((field, vec![rule])),
        }
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
