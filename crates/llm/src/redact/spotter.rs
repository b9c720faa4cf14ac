//! Spots any of some hundred words in a text, whatever their case, by windows of three bytes. Unlike an automaton's steps,
//! those need not wait for each other; a table that fits the nearest cache tells of nearly every one that no word stands there.

use std::ops::Range;

/// Spots words of at least three bytes.
#[derive(Debug)]
pub(super) struct Spotter {
    /// Whether a window of a word has a hash.
    slots: Box<[bool; 1 << HASH_BITS]>,
    /// The words in the order of their windows' hashes.
    words: Box<[Word]>,
    /// Where the words begin whose hashes begin with the same bits; and the end.
    starts: Box<[u16]>,
}

#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    number: usize,
    hash: u32,
    /// Where in the word its window is.
    offset: usize,
}

/// The slots fill half of the nearest cache.
const HASH_BITS: u32 = 14;
const BUCKET_BITS: u32 = 10;

const WINDOW: usize = 3;

/// So many windows are in the bytes that are read at once.
const AT_ONCE: usize = size_of::<u64>() - WINDOW + 1;

/// What log lines of all kinds are full of: words are better known by their other windows.
const EVERYDAY: &[u8] = b"mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome safari \
    2026-01-10t10:00:00.000z jan 10 10:00:00 web-1 sshd[4242]: failed password for invalid user admin from 203.0.113.7 \
    port 51122 ssh2 accepted publickey pam_unix(sshd:session): session opened closed get /api/v1/items?name=page http/1.1\" 200 \
    \"https://www.example.com/index.html\" {\"time\":\"\",\"level\":\"info\",\"msg\":\"request completed\",\"status\":200,\"duration_ms\"} \
    error warning debug connection context component computer command company config content java.org.apache.hadoop \
    process parent image c:\\windows\\system32\\ microsoft security logon account domain target subject service client \
    server version response resource region true false null type=syscall msg=audit exe=/usr/bin comm=key= auid uid gid pid ";

impl Spotter {
    pub(super) fn new<'t>(words: impl Iterator<Item = &'t str>) -> Self {
        let mut words: Vec<Word> = words.enumerate().map(|(number, word)| Word::new(number, word)).collect();
        words.sort_by_key(|word| word.hash);
        let mut slots = Box::new([false; 1 << HASH_BITS]);
        for word in &words {
            slots[word.hash as usize] = true;
        }
        let begins = |bucket: u32| words.partition_point(|word| bucket_of(word.hash) < bucket as usize);
        let starts =
            (0..=1 << BUCKET_BITS).map(|bucket| u16::try_from(begins(bucket)).expect("some hundred words"));
        Self { slots, starts: starts.collect(), words: words.into() }
    }

    /// Calls `found` with the number and the place of each word that occurs, about in the order of their places.
    pub(super) fn spot(&self, bytes: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        let mut at = 0;
        let mut rest = bytes;
        while rest.len() >= WINDOW {
            let seen = seen(rest);
            let hashes: [u32; AT_ONCE] = std::array::from_fn(|ahead| hash(seen >> (8 * ahead)));
            if hashes.iter().fold(false, |any, hash| any | self.slots[*hash as usize]) {
                for (ahead, hash) in hashes.into_iter().enumerate() {
                    self.words_with(hash, |word| word.compare(bytes, at + ahead, &mut found));
                }
            }
            at += AT_ONCE;
            rest = rest.get(AT_ONCE..).unwrap_or_default();
        }
    }

    fn words_with(&self, hash: u32, mut each: impl FnMut(&Word)) {
        if self.slots[hash as usize] {
            let bucket = bucket_of(hash);
            let words = &self.words[usize::from(self.starts[bucket])..usize::from(self.starts[bucket + 1])];
            words.iter().filter(|word| word.hash == hash).for_each(&mut each);
        }
    }
}

impl Word {
    fn new(number: usize, word: &str) -> Self {
        let text: Box<[u8]> = word.as_bytes().into();
        let windows = text.windows(WINDOW).map(|window| hash(seen(window)));
        let everyday =
            |hash: u32| EVERYDAY.windows(WINDOW).filter(|window| self::hash(seen(window)) == hash).count();
        let rarest = windows.enumerate().min_by_key(|(_, hash)| everyday(*hash));
        let (offset, hash) = rarest.expect("a word has a window");
        Self { text, number, hash, offset }
    }

    /// Calls `found` if the word stands where one of its windows may have been seen.
    fn compare(&self, bytes: &[u8], at: usize, found: &mut impl FnMut(usize, Range<usize>)) {
        let Some(start) = at.checked_sub(self.offset) else { return };
        let place = start..start + self.text.len();
        if bytes.get(place.clone()).is_some_and(|text| text.eq_ignore_ascii_case(&self.text)) {
            found(self.number, place);
        }
    }
}

/// Returns what some bytes begin with, the first byte lowest, with letters in lower case; zeros for what is past the end.
fn seen(bytes: &[u8]) -> u64 {
    const LOWER: u64 = u64::from_le_bytes([b' '; 8]);
    let seen = match bytes.first_chunk() {
        Some(seen) => u64::from_le_bytes(*seen),
        None => bytes.iter().rev().fold(0, |seen, byte| seen << 8 | u64::from(*byte)),
    };
    seen | LOWER
}

fn hash(seen: u64) -> u32 {
    // Knuth's multiplier, 2³² divided by the golden ratio; what it is shifted by, the fourth byte is shifted out by.
    const GOLDEN: u32 = 0x9E37_79B1 << 8;
    let [first, second, third, fourth, ..] = seen.to_le_bytes();
    u32::from_le_bytes([first, second, third, fourth]).wrapping_mul(GOLDEN) >> (u32::BITS - HASH_BITS)
}

fn bucket_of(hash: u32) -> usize {
    (hash >> (HASH_BITS - BUCKET_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_spotted_as_a_plain_search_finds_them(
            words in prop::collection::vec("[abAB:%]{3,6}", 1..20),
            text in "[abABx:%é]{0,60}",
        ) {
            let mut expected = Vec::new();
            for (number, word) in words.iter().enumerate() {
                let is_there = |window: &[u8]| window.eq_ignore_ascii_case(word.as_bytes());
                let places = text.as_bytes().windows(word.len()).enumerate().filter(|(_, window)| is_there(window));
                expected.extend(places.map(|(at, _)| (number, at..at + word.len())));
            }
            let mut found = Vec::new();
            let spotter = Spotter::new(words.iter().map(String::as_str));
            spotter.spot(text.as_bytes(), |number, place| found.push((number, place)));
            found.sort_by_key(|(number, place)| (*number, place.start));
            prop_assert_eq!(found, expected);
        }
    }
}
