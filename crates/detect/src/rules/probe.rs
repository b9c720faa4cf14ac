//! Where in an event the texts occur that a test can't find anything without: for most tests that look anywhere that is
//! nowhere, and then they need not look.

use std::collections::HashMap;

use super::{condition::Test, needle::rare_texts_anywhere};

/// Stands for texts of which one must occur in whatever a test finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe(u32);

/// Gives tests their probes; tests with the same texts have the same one.
#[derive(Debug, Default)]
pub(super) struct Probes {
    by_texts: HashMap<Vec<String>, Probe>,
    texts: usize,
}

/// Some of an event's values, by their index; values with high indices count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places(u64);

/// What the probes found in an event.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// A bit for each probe that found something.
    bits: Vec<u64>,
    places: Vec<(Probe, Places)>,
}

/// All probes together look for so many texts: with more, the finder's bitmap would tell of too many places in vain.
const TEXTS_MAX: usize = 8_000;

/// So many places are remembered; where there are more, all are looked at.
const PLACES_MAX: usize = 256;

impl Probes {
    /// Returns the probe of a test, `None` if it has to look everywhere.
    pub(super) fn of(&mut self, test: &Test) -> Option<Probe> {
        let texts = rare_texts_anywhere(test)?;
        if let Some(known) = self.by_texts.get(&texts) {
            return Some(*known);
        }
        let probe = Probe(u32::try_from(self.by_texts.len()).ok()?);
        let together = self.texts + texts.len();
        if together > TEXTS_MAX {
            return None;
        }
        self.texts = together;
        self.by_texts.insert(texts, probe);
        Some(probe)
    }

    pub(super) fn len(&self) -> usize {
        self.by_texts.len()
    }

    /// Returns each text with the probe that looks for it.
    pub(super) fn into_texts(self) -> impl Iterator<Item = (String, Probe)> {
        self.by_texts.into_iter().flat_map(|(texts, probe)| texts.into_iter().map(move |text| (text, probe)))
    }
}

impl Places {
    pub(super) const ALL: Self = Self(u64::MAX);
    const NONE: Self = Self(0);

    fn of(index: usize) -> Self {
        Self(1 << index.min(63))
    }

    pub(super) fn contain(self, index: usize) -> bool {
        self.0 & Self::of(index).0 != 0
    }
}

impl Found {
    /// Nothing yet, by so many probes.
    pub(super) fn new(probes: usize) -> Self {
        Self { bits: vec![0; probes.div_ceil(64)], places: Vec::new() }
    }

    /// Whether it makes no difference any more in which value a text occurs.
    pub(super) fn is_full(&self) -> bool {
        self.places.len() >= PLACES_MAX
    }

    /// Adds that a text of the probe occurs in a value.
    pub(super) fn add(&mut self, probe: Probe, value: usize) {
        self.bits[probe.0 as usize / 64] |= 1 << (probe.0 % 64);
        if !self.is_full() {
            self.places.push((probe, Places::of(value)));
        }
    }

    /// Whether a text of the probe occurs anywhere.
    pub(super) fn has(&self, probe: Probe) -> bool {
        self.bits[probe.0 as usize / 64] & 1 << (probe.0 % 64) != 0
    }

    /// Returns the values in which a text of the probe occurs, or more.
    pub(super) fn places(&self, probe: Probe) -> Places {
        if !self.has(probe) {
            return Places::NONE;
        }
        if self.is_full() {
            return Places::ALL;
        }
        let of_it = self.places.iter().filter(|(known, _)| *known == probe);
        of_it.fold(Places::NONE, |all, (_, places)| Places(all.0 | places.0))
    }
}
