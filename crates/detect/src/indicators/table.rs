//! A sorted table that is looked up in a step or two: the first bits of a key say where its neighbours stand.

/// A key whose first bits spread over the table.
pub(super) trait Key: Ord + Copy {
    /// Returns the first 32 bits.
    fn head(&self) -> u32;
}

impl Key for u32 {
    fn head(&self) -> u32 {
        *self
    }
}

/// Bytes are ordered as the numbers that they write.
impl<const N: usize> Key for [u8; N] {
    fn head(&self) -> u32 {
        self.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }
}

/// Entries by rising key. Immutable.
#[derive(Debug)]
pub(super) struct Sorted<K, V> {
    entries: Box<[(K, V)]>,
    /// Where the entries of each head begin; one more than there are heads.
    starts: Box<[u32]>,
    /// How many bits of a head tell nothing about the place.
    shift: u32,
}

/// So many entries share a place, as a power of two, if their keys are spread evenly.
const PER_PLACE_LOG2: u32 = 1;
const MOST_PLACES_LOG2: u32 = 24;

impl<K: Key, V> Sorted<K, V> {
    /// Takes entries by rising key; fewer than 2³².
    pub(super) fn new(entries: Vec<(K, V)>) -> Self {
        debug_assert!(entries.is_sorted_by_key(|(key, _)| *key));
        let bits = entries.len().checked_ilog2().unwrap_or(0);
        let bits = bits.saturating_sub(PER_PLACE_LOG2).clamp(1, MOST_PLACES_LOG2);
        let shift = u32::BITS - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (at, (key, _)) in (0..).zip(&entries) {
            let place = (key.head() >> shift) as usize;
            while starts.len() <= place {
                starts.push(at);
            }
        }
        let end = u32::try_from(entries.len()).expect("the number of entries is limited");
        starts.resize((1 << bits) + 1, end);
        Self { entries: entries.into(), starts: starts.into(), shift }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.starts)
    }

    /// Returns the entries from the first that is not below the key, as far as they share its place.
    pub(super) fn at_least(&self, key: &K) -> &[(K, V)] {
        let (start, end) = self.place(key);
        let neighbours = &self.entries[start..end];
        &neighbours[neighbours.partition_point(|(other, _)| other < key)..]
    }

    /// Returns the value under exactly this key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.at_least(key).first().filter(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// Returns the last entry whose key is not above this one.
    pub(super) fn floor(&self, key: &K) -> Option<&(K, V)> {
        let (start, end) = self.place(key);
        let below = start + self.entries[start..end].partition_point(|(other, _)| other <= key);
        self.entries.get(below.checked_sub(1)?)
    }

    fn place(&self, key: &K) -> (usize, usize) {
        let place = (key.head() >> self.shift) as usize;
        (self.starts[place] as usize, self.starts[place + 1] as usize)
    }
}
