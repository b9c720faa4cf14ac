//! Looks for up to thousands of texts at once. Each is known by one window of four bytes; a bitmap that fits the nearest
//! cache tells of nearly every place that no such window stands there. Unlike an automaton's, its steps need not wait for
//! each other.

use std::{
    collections::HashMap,
    ops::{Range, RangeInclusive},
};

/// Finds all occurrences of texts; the empty one occurs nowhere.
#[derive(Debug)]
pub(crate) struct Finder {
    texts: Vec<Box<[u8]>>,
    wide: Windows,
    /// For texts shorter than four bytes: their first two.
    narrow: Windows,
    /// Those of one byte.
    single: Vec<(u8, usize)>,
}

/// Which windows the texts are known by.
#[derive(Debug)]
struct Windows {
    /// A bit for each hash that a window has; one in twenty is set at most, until there are thousands.
    bits: Box<[u64]>,
    /// How many bits of a product are not part of the hash.
    shift: u32,
    /// By window: texts, and where in them it stands.
    texts: HashMap<u32, Vec<(u32, usize)>, foldhash::fast::RandomState>,
}

const WIDE: usize = 4;
const NARROW: usize = 2;

/// A bitmap has 2⁹ to 2²⁰ bits: as few as will do, because the nearest cache is small.
const HASH_BITS: RangeInclusive<u32> = 9..=20;

impl Finder {
    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let texts: Vec<Box<[u8]>> = texts.map(|text| text.as_bytes().into()).collect();
        let mut shared: HashMap<u32, usize, foldhash::fast::RandomState> = HashMap::default();
        for window in texts.iter().flat_map(|text| text.array_windows()) {
            *shared.entry(wide_key(*window)).or_default() += 1;
        }
        let mut single = Vec::new();
        let long = texts.iter().filter(|text| text.len() >= WIDE).count();
        let (mut wide, mut narrow) = (Windows::new(long), Windows::new(texts.len() - long));
        for (number, text) in (0_u32..).zip(&texts) {
            let windows = text.array_windows().copied().map(wide_key).enumerate();
            // What few texts share, few log lines hold.
            match windows.min_by_key(|(_, key)| shared[key]) {
                Some((at, key)) => wide.add(key, number, at),
                None => match **text {
                    [] => {}
                    [byte] => single.push((byte, number as usize)),
                    [one, two, ..] => narrow.add(narrow_key([one, two]), number, 0),
                },
            }
        }
        Self { texts, wide, narrow, single }
    }

    /// Calls `found` with the number and the place of each text that occurs, in no particular order.
    pub(crate) fn find(&self, text: &str, mut found: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        for (byte, number) in &self.single {
            let places = bytes.iter().enumerate().filter(|(_, other)| *other == byte);
            places.for_each(|(at, _)| found(*number, at..at + 1));
        }
        if !self.narrow.texts.is_empty() {
            for (at, key) in bytes.array_windows().copied().map(narrow_key).enumerate() {
                if self.narrow.may_hold(key) {
                    self.look(&self.narrow, key, bytes, at, &mut found);
                }
            }
        }
        if !self.wide.texts.is_empty() {
            for (at, key) in bytes.array_windows().copied().map(wide_key).enumerate() {
                if self.wide.may_hold(key) {
                    self.look(&self.wide, key, bytes, at, &mut found);
                }
            }
        }
    }

    #[inline(never)]
    fn look(
        &self,
        windows: &Windows,
        key: u32,
        bytes: &[u8],
        at: usize,
        found: &mut impl FnMut(usize, Range<usize>),
    ) {
        for (number, offset) in windows.texts.get(&key).map_or(&[][..], Vec::as_slice) {
            let text = &*self.texts[*number as usize];
            if let Some(start) = at.checked_sub(*offset)
                && bytes.get(start..start + text.len()) == Some(text)
            {
                found(*number as usize, start..start + text.len());
            }
        }
    }
}

impl Windows {
    /// Returns none, with room for so many.
    fn new(count: usize) -> Self {
        const BITS_EACH: usize = 20;
        let bits =
            (count * BITS_EACH).next_power_of_two().ilog2().clamp(*HASH_BITS.start(), *HASH_BITS.end());
        let words = 1 << (bits - u64::BITS.ilog2());
        Self { bits: vec![0; words].into(), shift: u32::BITS - bits, texts: HashMap::default() }
    }

    fn add(&mut self, key: u32, text: u32, offset: usize) {
        let bit = self.hash(key);
        self.bits[bit / 64] |= 1 << (bit % 64);
        self.texts.entry(key).or_default().push((text, offset));
    }

    fn may_hold(&self, key: u32) -> bool {
        let bit = self.hash(key);
        self.bits[bit / 64] & 1 << (bit % 64) != 0
    }

    /// Returns the high bits of a product (Knuth's multiplicative hashing).
    fn hash(&self, key: u32) -> usize {
        const GOLDEN: u32 = 0x9E37_79B1;
        (key.wrapping_mul(GOLDEN) >> self.shift) as usize
    }
}

fn wide_key(window: [u8; WIDE]) -> u32 {
    u32::from_le_bytes(window)
}

fn narrow_key(window: [u8; NARROW]) -> u32 {
    u16::from_le_bytes(window).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(texts: &[String], text: &str) {
        let mut found = BTreeSet::new();
        Finder::new(texts.iter().map(String::as_str)).find(text, |number, place| {
            assert!(found.insert((number, place.start, place.end)), "{number} is found twice at {place:?}");
        });
        let mut there = BTreeSet::new();
        for (number, one) in texts.iter().enumerate() {
            for start in 0..text.len() {
                if text.as_bytes()[start..].starts_with(one.as_bytes()) {
                    there.insert((number, start, start + one.len()));
                }
            }
        }
        assert_eq!(found, there, "{texts:?} in {text:?}");
    }

    #[test]
    fn what_overlaps_is_found_too() {
        let texts = ["aa", "aab", "aaaa", "baaab", "xyz", "ß§"].map(str::to_owned);
        check(&texts, "baaaab aaß§aa xyzxyz");
        check(&texts, "");
        check(&[], "aaaa");
    }

    proptest! {
        #[test]
        fn it_finds_what_a_search_for_each_text_finds(
            texts in proptest::collection::vec("[abß]{1,7}", 0..12), text in "[abß ]{0,60}",
        ) {
            check(&texts, &text);
        }
    }
}
