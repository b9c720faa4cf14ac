//! Records that outlive the reader: many rows side by side while they are judged, single ones as long as they are told of.

use super::{Cell, held::Held};

/// Rows of one width.
#[derive(Debug, Default)]
pub(crate) struct Records {
    text: Vec<u8>,
    cells: Vec<Held>,
    width: usize,
    /// The file's row of each, counted from 0.
    pub(crate) rows: Vec<u64>,
}

/// One row by itself.
#[derive(Debug, Clone)]
pub(crate) struct KeptRecord {
    text: Box<[u8]>,
    cells: Box<[Held]>,
}

impl Records {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Keeps a row; cells beyond the width are left out.
    pub(crate) fn push(&mut self, row: u64, cells: &[Cell<'_>]) {
        self.rows.push(row);
        for cell in &cells[..self.width] {
            self.cells.push(Held::keep(*cell, &mut self.text));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<Held>()
    }

    pub(crate) fn cell(&self, place: usize, column: usize) -> Cell<'_> {
        self.cells[place * self.width + column].cell(&self.text)
    }

    pub(crate) fn record(&self, place: usize) -> KeptRecord {
        let mut text = Vec::new();
        let cells = (0..self.width).map(|column| Held::keep(self.cell(place, column), &mut text)).collect();
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
        self.cells[column].cell(&self.text)
    }

    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }
}
