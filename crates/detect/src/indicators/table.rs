//! A sorted table that is looked up in few steps: the bits in which keys differ say where their neighbours stand.

/// A key with bits that can be looked at.
pub(super) trait Key: Ord + Copy {
    /// Returns the first 128 bits.
    fn bits(&self) -> u128;
}

impl Key for u32 {
    fn bits(&self) -> u128 {
        u128::from(*self) << 96
    }
}

/// Bytes are ordered as the numbers that they write.
impl<const N: usize> Key for [u8; N] {
    fn bits(&self) -> u128 {
        self.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
    }
}

/// Entries by rising key. Immutable.
#[derive(Debug)]
pub(super) struct Sorted<K, V> {
    entries: Box<[(K, V)]>,
    /// Where the entries of each place begin; one more than there are places.
    starts: Box<[u32]>,
    /// Every so many-th key, for places where many crowd.
    samples: Box<[K]>,
    /// How many bits all keys share before those that tell the place, and how many follow.
    shared: u32,
    rest: u32,
}

/// So many entries share a place, as a power of two, if their keys are spread evenly.
const PER_PLACE_LOG2: u32 = 1;
const MOST_PLACES_LOG2: u32 = 24;
const SAMPLED: usize = 32;

impl<K: Key, V> Sorted<K, V> {
    /// Takes entries by rising key; fewer than 2³².
    pub(super) fn new(entries: Vec<(K, V)>) -> Self {
        debug_assert!(entries.is_sorted_by_key(|(key, _)| *key));
        let bits = entries.len().checked_ilog2().unwrap_or(0);
        let bits = bits.saturating_sub(PER_PLACE_LOG2).clamp(1, MOST_PLACES_LOG2);
        let ends = entries.first().zip(entries.last());
        let shared = ends.map_or(0, |((first, _), (last, _))| (first.bits() ^ last.bits()).leading_zeros());
        let samples = entries.iter().step_by(SAMPLED).map(|(key, _)| *key).collect();
        let mut sorted = Self {
            entries: entries.into(),
            starts: Box::default(),
            samples,
            shared: shared.min(u128::BITS - 1),
            rest: u128::BITS - bits,
        };
        sorted.starts = sorted.starts_of_places(1 << bits);
        sorted
    }

    fn starts_of_places(&self, places: usize) -> Box<[u32]> {
        let mut starts = Vec::with_capacity(places + 1);
        for (at, (key, _)) in (0..).zip(&self.entries) {
            while starts.len() <= self.place(key) {
                starts.push(at);
            }
        }
        let end = u32::try_from(self.entries.len()).expect("the number of entries is limited");
        starts.resize(places + 1, end);
        starts.into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.starts) + size_of_val(&*self.samples)
    }

    /// Returns the entries from the first that is not below the key.
    pub(super) fn at_least(&self, key: &K) -> &[(K, V)] {
        &self.entries[self.count(key, |other| other < key)..]
    }

    /// Returns the value under exactly this key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.at_least(key).first().filter(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// Returns the last entry whose key is not above this one.
    pub(super) fn floor(&self, key: &K) -> Option<&(K, V)> {
        self.entries.get(self.count(key, |other| other <= key).checked_sub(1)?)
    }

    /// Returns how many keys are below this one, or not above it, as `is_below` says.
    fn count(&self, key: &K, is_below: impl Fn(&K) -> bool) -> usize {
        let (Some((first, _)), Some((last, _))) = (self.entries.first(), self.entries.last()) else {
            return 0;
        };
        // Only between them are the shared bits the key's as well.
        if key < first {
            return 0;
        }
        if key > last {
            return self.entries.len();
        }
        let place = self.place(key);
        let (mut start, mut end) = (self.starts[place] as usize, self.starts[place + 1] as usize);
        if end - start > 2 * SAMPLED {
            let crowd = start.div_ceil(SAMPLED)..end.div_ceil(SAMPLED);
            let below = crowd.start + self.samples[crowd].partition_point(&is_below);
            start = start.max(below.saturating_sub(1) * SAMPLED);
            end = end.min(below * SAMPLED);
        }
        start + self.entries[start..end].partition_point(|(other, _)| is_below(other))
    }

    fn place(&self, key: &K) -> usize {
        // There are at most 2²⁴ places.
        usize::try_from((key.bits() << self.shared) >> self.rest).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: Key + std::fmt::Debug>(mut keys: Vec<K>, asked: &[K]) -> Result<(), TestCaseError> {
        keys.sort_unstable();
        let sorted = Sorted::new(keys.iter().copied().zip(0..).collect());
        for key in asked.iter().chain(&keys) {
            prop_assert_eq!(sorted.get(key).is_some(), keys.contains(key));
            let floor = keys.iter().rposition(|other| other <= key);
            prop_assert_eq!(sorted.floor(key).map(|(_, at)| *at), floor, "{:?}", key);
            let rest = keys.iter().filter(|other| *other >= key).count();
            prop_assert_eq!(sorted.at_least(key).len(), rest, "{:?}", key);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_table_agrees_with_its_naive_twin_however_keys_crowd(
            crowds in prop::collection::vec((0_u32..4, prop::collection::vec(0_u32..600, 0..300)), 0..4),
            asked in prop::collection::vec(any::<u32>(), 20),
        ) {
            let keys: Vec<u32> =
                crowds.iter().flat_map(|(top, keys)| keys.iter().map(move |key| (top << 30) + key)).collect();
            let near: Vec<u32> = keys.iter().map(|key| key.wrapping_add(1)).chain(asked).collect();
            check(keys.clone(), &near)?;
            let wide = |key: &u32| (u128::from(*key) + (0x2001_0db8 << 96)).to_be_bytes();
            check(keys.iter().map(wide).collect(), &near.iter().map(wide).collect::<Vec<_>>())?;
        }
    }
}
