//! A column of words: each different word once, and a code for every row.

use std::collections::HashMap;

use super::{Cell, as_rfc3339, decode};

/// The code of a row without a word.
pub(crate) const MISSING: u32 = u32::MAX;

/// Beyond either of these a column is an identifier or free text that no dictionary can hold.
const MOST_WORDS: usize = 1 << 21;
const MOST_BYTES: usize = 128 << 20;

#[derive(Default)]
pub(crate) struct Words {
    codes: Vec<u32>,
    known: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    bytes: usize,
    is_overfull: bool,
}

impl Words {
    pub(crate) fn push(&mut self, cell: Cell<'_>) {
        if self.is_overfull {
            return;
        }
        let code = match cell {
            Cell::Missing => MISSING,
            Cell::Text(text) => self.code(text.trim_ascii()),
            Cell::Number(number) => self.code(number.to_string().as_bytes()),
            Cell::Time(seconds) => self.code(as_rfc3339(seconds).as_bytes()),
        };
        self.codes.push(code);
        if self.known.len() > MOST_WORDS || self.bytes > MOST_BYTES {
            *self = Self { is_overfull: true, ..Self::default() };
        }
    }

    fn code(&mut self, word: &[u8]) -> u32 {
        if let Some(code) = self.known.get(word) {
            return *code;
        }
        let code = u32::try_from(self.known.len()).expect("there are at most MOST_WORDS");
        self.bytes += word.len();
        self.known.insert(word.into(), code);
        code
    }

    /// Whether there were more different words than are kept; then none is.
    pub(crate) fn is_overfull(&self) -> bool {
        self.is_overfull
    }

    pub(crate) fn distinct(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Returns the words in the order of their codes.
    pub(crate) fn dictionary(&self) -> Vec<String> {
        let mut dictionary = vec![String::new(); self.known.len()];
        for (word, code) in &self.known {
            dictionary[*code as usize] = decode(word).into_owned();
        }
        dictionary
    }
}
