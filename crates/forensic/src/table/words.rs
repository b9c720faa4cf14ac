//! A column of words: each different word once, and a code for every sampled row.

use std::{borrow::Cow, collections::HashMap};

use super::{Cell, as_rfc3339};

/// The code of a row without a word.
pub(crate) const MISSING: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct Words {
    codes: Vec<u32>,
    known: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Words {
    pub(crate) fn push(&mut self, cell: Cell<'_>, word_bytes: usize) {
        let code = word_of(cell, word_bytes).map_or(MISSING, |word| self.code(&word));
        self.codes.push(code);
    }

    fn code(&mut self, word: &[u8]) -> u32 {
        if let Some(code) = self.known.get(word) {
            return *code;
        }
        let code = u32::try_from(self.known.len()).expect("a sample is smaller");
        self.bytes += word.len();
        self.known.insert(word.into(), code);
        code
    }

    pub(crate) fn retain(&mut self, kept: &[bool]) {
        let mut words = vec![None; self.known.len()];
        let (codes, known) = (std::mem::take(&mut self.codes), std::mem::take(&mut self.known));
        for (word, code) in known {
            words[code as usize] = Some(word);
        }
        self.bytes = 0;
        let mut new_codes = vec![MISSING; words.len()];
        for (code, _) in codes.into_iter().zip(kept).filter(|(_, kept)| **kept) {
            if code == MISSING {
                self.codes.push(MISSING);
                continue;
            }
            if let Some(word) = words[code as usize].take() {
                new_codes[code as usize] = self.code(&word);
            }
            self.codes.push(new_codes[code as usize]);
        }
    }

    /// Bytes that the different words take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn distinct(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Returns the words in the order of their codes.
    pub(crate) fn dictionary(&self) -> Vec<&[u8]> {
        let mut dictionary: Vec<&[u8]> = vec![&[]; self.known.len()];
        for (word, code) in &self.known {
            dictionary[*code as usize] = word;
        }
        dictionary
    }
}

/// Returns the word that a cell holds, at most so many bytes of it, or `None` where it is missing.
pub(crate) fn word_of(cell: Cell<'_>, word_bytes: usize) -> Option<Cow<'_, [u8]>> {
    match cell {
        Cell::Missing => None,
        Cell::Text(text) => Some(Cow::Borrowed(cut(text.trim_ascii(), word_bytes))),
        Cell::Number(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        Cell::Time(seconds) => Some(Cow::Owned(as_rfc3339(seconds).into_bytes())),
    }
}

/// Returns the beginning of a word, cut between two characters where it is UTF-8.
fn cut(word: &[u8], bytes: usize) -> &[u8] {
    if word.len() <= bytes {
        return word;
    }
    let is_continuation = |byte: u8| byte & 0xC0 == 0x80;
    let end = (bytes.saturating_sub(3)..=bytes).rev().find(|end| !is_continuation(word[*end]));
    &word[..end.unwrap_or(bytes)]
}
