//! Looks for up to thousands of texts at once. A text is gone through in steps of a few bytes; what is looked for is
//! known by windows of its bytes. Two tables that fit the nearest cache tell of nearly every step that no such window
//! stands there. Unlike an automaton's, the steps need not wait for each other.

use std::{
    collections::HashMap,
    ops::{Range, RangeInclusive},
};

use memchr::{memchr_iter, memmem};

/// Finds all occurrences of texts; the empty one occurs nowhere.
#[derive(Debug)]
pub(crate) struct Finder {
    texts: Vec<Box<[u8]>>,
    /// Texts of seven bytes and more are known by four windows in a row, so that one is met at a step wherever they stand.
    long: Windows<4>,
    /// A bit for each hash that a long text's window has.
    bits: Box<[u64]>,
    /// How many bits of a product are not part of such a hash.
    bits_shift: u32,
    /// Those of three to six bytes are known by one window, and looked for at every byte.
    short: Windows<3>,
    /// Whether a short text's window has a hash.
    slots: Box<[bool; 1 << SLOTS_LOG2]>,
    tiny: Vec<Tiny>,
}

/// A text of one or two bytes.
#[derive(Debug)]
struct Tiny {
    number: usize,
    finder: memmem::Finder<'static>,
}

/// A text is gone through in steps of so many bytes.
const STEP: usize = 4;

/// So many bytes are seen at each.
const SEEN: usize = size_of::<u64>();

/// Short texts are a few hundred.
const SLOTS_LOG2: u32 = 14;
const SLOTS_SHIFT: u32 = u32::BITS - SLOTS_LOG2;

/// The bitmap has so many bits for each window, and 2⁶ to 2²⁰ together: as few as will do, because the nearest cache is
/// small.
const BITS_EACH: usize = 8;
const BITS_LOG2: RangeInclusive<u32> = 6..=20;

/// What log lines of all kinds are full of.
const EVERYDAY: &str = "\",\"user\":\"username\",\"name\":\"hostname\",\"type\":\"event_id\",\"eventname\",\"event\":{\"message\":\"\
    \"source\":\"ip_address\",\"ip\":\"process\",\"image\":\"c:\\windows\\system32\\program files\\commandline parent \
    microsoft-windows security logon account domain target subject object service session client server status \
    provider version request response resource region true false null info error warning failed accept password \
    https://www.example.com/index.html mozilla/5.0 (x11; linux x86_64) applewebkit chrome safari like gecko \
    2026-01-10t10:00:00.000z +0000 127.0.0.1 192.168 from for the port ssh2 sshd[ get / http/1.1\" 200 \"-\" ";

/// So many other texts count as much as an everyday one.
const EVERYDAY_WEIGHT: usize = 100;

impl Finder {
    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let texts: Vec<Box<[u8]>> = texts.map(|text| text.as_bytes().into()).collect();
        let long = Windows::of_texts(&texts, 7..=usize::MAX, STEP);
        let bits_log2 = (long.known.len() * BITS_EACH).next_power_of_two().ilog2();
        let bits_shift = u32::BITS - bits_log2.clamp(*BITS_LOG2.start(), *BITS_LOG2.end());
        let mut bits = vec![0; 1 << (u32::BITS - bits_shift - u64::BITS.ilog2())];
        for known in &long.known {
            let bit = hash(known.window, bits_shift);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        let short = Windows::of_texts(&texts, 3..=6, 1);
        let mut slots = Box::new([false; 1 << SLOTS_LOG2]);
        for known in &short.known {
            slots[hash(known.window, SLOTS_SHIFT)] = true;
        }
        let tiny = texts.iter().enumerate().filter(|(_, text)| (1..=2).contains(&text.len()));
        let tiny = tiny.map(|(number, text)| Tiny { number, finder: memmem::Finder::new(text).into_owned() });
        Self { tiny: tiny.collect(), long, bits: bits.into(), bits_shift, short, slots, texts }
    }

    /// Calls `found` with the number and the place of each text that occurs, in no particular order.
    pub(crate) fn find(&self, text: &str, mut found: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        for tiny in &self.tiny {
            tiny.find(bytes, |place| found(tiny.number, place));
        }
        let mut compare = |known: &Known, at: usize| {
            let text = &*self.texts[known.text as usize];
            if let Some(start) = at.checked_sub(known.offset)
                && bytes.get(start..start + text.len()) == Some(text)
            {
                found(known.text as usize, start..start + text.len());
            }
        };
        let mut look = |seen: u64, at: usize| {
            let bit = Windows::<4>::hash(seen, self.bits_shift);
            if self.bits[bit / 64] & 1 << (bit % 64) != 0 {
                self.long.known(seen).for_each(|known| compare(known, at));
            }
            let is_short = |ahead: usize| self.slots[Windows::<3>::hash(seen >> (8 * ahead), SLOTS_SHIFT)];
            if is_short(0) | is_short(1) | is_short(2) | is_short(3) {
                for ahead in (0..STEP).filter(|ahead| is_short(*ahead)) {
                    self.short.known(seen >> (8 * ahead)).for_each(|known| compare(known, at + ahead));
                }
            }
        };
        let mut at = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            look(seen(rest), at);
            at += STEP;
            rest = rest.get(STEP..).unwrap_or_default();
        }
    }
}

/// Returns what some bytes begin with, the first byte lowest, and zeros for what is past the end.
fn seen(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or_else(|| seen_at_the_end(bytes), |seen| u64::from_le_bytes(*seen))
}

#[cold]
fn seen_at_the_end(bytes: &[u8]) -> u64 {
    bytes.iter().take(SEEN).rev().fold(0, |seen, byte| seen << 8 | u64::from(*byte))
}

impl Tiny {
    fn find(&self, bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
        let length = self.finder.needle().len();
        if let [byte] = self.finder.needle() {
            return memchr_iter(*byte, bytes).for_each(|at| found(at..at + length));
        }
        let mut from = 0;
        while let Some(at) = bytes.get(from..).and_then(|rest| self.finder.find(rest)) {
            found(from + at..from + at + length);
            from += at + 1;
        }
    }
}

/// The windows, of so many bytes, by which texts are known.
#[derive(Debug)]
struct Windows<const WIDTH: usize> {
    /// Grouped by their hash.
    known: Box<[Known]>,
    /// Where each group begins; and the end.
    starts: Box<[u32]>,
    /// How many bits of a product are not part of such a hash.
    shift: u32,
}

#[derive(Debug)]
struct Known {
    window: u32,
    text: u32,
    /// Where in the text the window stands.
    offset: usize,
    /// Up to two bytes of the text that follow the window, and which bits are theirs.
    more: u16,
    more_mask: u16,
}

impl<const WIDTH: usize> Windows<WIDTH> {
    /// Returns so many windows in a row of every text that is so long: those that will stand in few log lines, because
    /// everyday words have none of them and few other texts do.
    fn of_texts(texts: &[Box<[u8]>], lengths: RangeInclusive<usize>, in_a_row: usize) -> Self {
        let texts = || (0_u32..).zip(texts).filter(|(_, text)| lengths.contains(&text.len()));
        let windows = |text: &[u8]| -> Vec<u32> {
            let places = 0..=text.len() - WIDTH;
            places.map(|at| Self::of_seen(seen(&text[at..]))).collect()
        };
        let mut shared: HashMap<u32, usize, foldhash::fast::RandomState> = HashMap::default();
        for window in texts().flat_map(|(_, text)| windows(text)) {
            *shared.entry(window).or_default() += 1;
        }
        for window in windows(EVERYDAY.as_bytes()) {
            shared.entry(window).and_modify(|times| *times += EVERYDAY_WEIGHT);
        }
        let mut known = Vec::new();
        for (text, bytes) in texts() {
            let windows = windows(bytes);
            let rows = (0..).zip(windows.windows(in_a_row));
            let (offset, row) = rows
                .min_by_key(|(_, row)| row.iter().map(|window| shared[window]).sum::<usize>())
                .expect("such texts have as many windows");
            for (offset, window) in (offset..).zip(row) {
                let more = Self::after_window(seen(&bytes[offset..]));
                let more_mask = Self::after_window(seen(&vec![u8::MAX; bytes.len() - offset]));
                known.push(Known { window: *window, text, offset, more, more_mask });
            }
        }
        let shift = u32::BITS - known.len().next_power_of_two().ilog2().max(1);
        known.sort_by_key(|known| hash(known.window, shift));
        let starts = (0..=1 << (u32::BITS - shift)).map(|group| {
            let start = known.partition_point(|known| hash(known.window, shift) < group);
            u32::try_from(start).expect("texts are fewer")
        });
        Self { starts: starts.collect(), shift, known: known.into() }
    }

    /// Returns the first bytes of what is seen, and below them zeros.
    #[expect(clippy::cast_possible_truncation, reason = "a window is what is seen first")]
    fn of_seen(seen: u64) -> u32 {
        (seen as u32) << (u32::BITS as usize - 8 * WIDTH)
    }

    /// Returns the hash of the window that is seen first.
    #[expect(clippy::cast_possible_truncation, reason = "a window is what is seen first")]
    fn hash(seen: u64, shift: u32) -> usize {
        ((seen as u32).wrapping_mul(GOLDEN << (u32::BITS as usize - 8 * WIDTH)) >> shift) as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "two bytes will do")]
    fn after_window(seen: u64) -> u16 {
        (seen >> (8 * WIDTH)) as u16
    }

    /// Returns the windows that are seen first, if what follows them in their text is what follows here.
    fn known(&self, seen: u64) -> impl Iterator<Item = &Known> {
        let (window, more) = (Self::of_seen(seen), Self::after_window(seen));
        let group = Self::hash(seen, self.shift);
        let group = self.starts[group] as usize..self.starts[group + 1] as usize;
        let known = self.known[group].iter();
        known.filter(move |known| known.window == window && (known.more ^ more) & known.more_mask == 0)
    }
}

/// Hashes are the high bits of a product (Knuth's multiplicative hashing).
const GOLDEN: u32 = 0x9E37_79B1;

fn hash(window: u32, shift: u32) -> usize {
    (window.wrapping_mul(GOLDEN) >> shift) as usize
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
            texts in proptest::collection::vec("[abß]{1,9}", 0..12), text in "[abß ]{0,60}",
        ) {
            check(&texts, &text);
        }
    }
}
