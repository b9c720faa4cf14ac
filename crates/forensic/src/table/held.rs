//! A cell of a row that is still being gathered; its text lies in a buffer beside it.

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
    pub(crate) fn cell<'a>(&self, text: &'a [u8]) -> Cell<'a> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Number(number) => Cell::Number(*number),
            Self::Time(seconds) => Cell::Time(*seconds),
            Self::Text(range) => Cell::Text(&text[range.clone()]),
        }
    }
}
