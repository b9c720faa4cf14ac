//! Records that outlive the reader: many rows side by side while they are judged, single ones as long as they are told of.

use std::ops::Range;

use super::Cell;

/// Rows of one width.
#[derive(Debug, Default)]
pub(crate) struct Records {
    text: Vec<u8>,
    cells: Vec<KeptCell>,
    width: usize,
    /// The file's row of each, counted from 0.
    pub(crate) rows: Vec<u64>,
}

/// One row by itself.
#[derive(Debug, Clone)]
pub(crate) struct KeptRecord {
    text: Box<[u8]>,
    cells: Box<[KeptCell]>,
}

#[derive(Debug, Clone)]
enum KeptCell {
    Missing,
    Number(f64),
    Time(f64),
    Text(Range<usize>),
}

impl Records {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Keeps a row; cells beyond the width are left out.
    pub(crate) fn push(&mut self, row: u64, cells: &[Cell<'_>]) {
        self.rows.push(row);
        for cell in &cells[..self.width] {
            let kept = keep(*cell, &mut self.text);
            self.cells.push(kept);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<KeptCell>()
    }

    pub(crate) fn cell(&self, place: usize, column: usize) -> Cell<'_> {
        show(&self.cells[place * self.width + column], &self.text)
    }

    pub(crate) fn record(&self, place: usize) -> KeptRecord {
        let mut text = Vec::new();
        let cells = (0..self.width).map(|column| keep(self.cell(place, column), &mut text)).collect();
        KeptRecord { text: text.into(), cells }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
        self.rows.clear();
    }
}

impl KeptRecord {
    pub(crate) fn cell(&self, column: usize) -> Cell<'_> {
        show(&self.cells[column], &self.text)
    }

    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }
}

fn keep(cell: Cell<'_>, text: &mut Vec<u8>) -> KeptCell {
    match cell {
        Cell::Missing => KeptCell::Missing,
        Cell::Number(number) => KeptCell::Number(number),
        Cell::Time(seconds) => KeptCell::Time(seconds),
        Cell::Text(bytes) => {
            let from = text.len();
            text.extend_from_slice(bytes);
            KeptCell::Text(from..text.len())
        }
    }
}

fn show<'t>(kept: &KeptCell, text: &'t [u8]) -> Cell<'t> {
    match kept {
        KeptCell::Missing => Cell::Missing,
        KeptCell::Number(number) => Cell::Number(*number),
        KeptCell::Time(seconds) => Cell::Time(*seconds),
        KeptCell::Text(range) => Cell::Text(&text[range.clone()]),
    }
}
