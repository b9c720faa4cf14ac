//! A cell that is kept while its row is gathered, judged or told of; its text lies in a buffer beside it.

use std::ops::Range;

use super::Cell;

#[derive(Debug, Clone)]
pub(crate) enum Held {
    Missing,
    Number(f64),
    Time(f64),
    Text(Range<usize>),
}

impl Held {
    /// Keeps a cell, with its text at the end of the buffer.
    pub(crate) fn keep(cell: Cell<'_>, text: &mut Vec<u8>) -> Self {
        match cell {
            Cell::Missing => Self::Missing,
            Cell::Number(number) => Self::Number(number),
            Cell::Time(seconds) => Self::Time(seconds),
            Cell::Text(bytes) => {
                let from = text.len();
                text.extend_from_slice(bytes);
                Self::Text(from..text.len())
            }
        }
    }

    pub(crate) fn cell<'a>(&self, text: &'a [u8]) -> Cell<'a> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Number(number) => Cell::Number(*number),
            Self::Time(seconds) => Cell::Time(*seconds),
            Self::Text(range) => Cell::Text(&text[range.clone()]),
        }
    }
}
