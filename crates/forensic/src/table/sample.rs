//! Rows that stand for all others: every row of a small table, a random part of a large one, within a fixed memory.

use super::{Cell, Column, Form, Table};
use crate::{ScanError, random::mix};

/// Sampled columns, and which rows of the file they are from.
pub(crate) struct Sample {
    pub(crate) columns: Vec<Column>,
    pub(crate) forms: Vec<Form>,
    /// Rows of the file, counted from 0, rising.
    pub(crate) rows: Vec<u64>,
    /// A row is in the sample as long as its key is at most this.
    bound: u64,
    word_bytes: usize,
    held_back: Option<HeldBack>,
}

/// Rows that are not learned from, so that they can show what a model makes of rows it does not know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldBack;

impl HeldBack {
    /// One row in so many.
    const EVERY: u64 = 5;

    pub(crate) fn holds(row: u64) -> bool {
        mix(row ^ 0x0E1D_BAC4).is_multiple_of(Self::EVERY)
    }

    /// Returns of how many rows so many are held back.
    pub(crate) fn rows_for(held_back: usize) -> u64 {
        (0..).filter(|row| Self::holds(*row)).nth(held_back - 1).map_or(u64::MAX, |row| row + 1)
    }
}

/// A sample beyond any of these is halved.
const MOST_ROWS: usize = 160_000;
const MOST_CELLS: usize = 24_000_000;
const MOST_WORD_BYTES: usize = 96 << 20;
/// Below this a sample is not halved, whatever it takes.
const FEWEST_ROWS: usize = 64;
const ROWS_BETWEEN_LOOKS: usize = 256;

/// Words longer than this are told apart by their beginnings; in wide tables it is less.
const LONGEST_WORD_BYTES: usize = 4_096;
const SHORTEST_WORD_BYTES: usize = 64;
const ROW_WORD_BYTES: usize = 256 << 10;

/// Returns how many bytes of a word count in a table of so many columns.
pub(crate) fn word_bytes(columns: usize) -> usize {
    (ROW_WORD_BYTES / columns.max(1)).clamp(SHORTEST_WORD_BYTES, LONGEST_WORD_BYTES)
}

impl Sample {
    /// Reads the whole table once and returns its sample; twice, if the first records misled about a column.
    pub(crate) fn take(table: &Table<'_>, held_back: Option<HeldBack>) -> Result<Self, ScanError> {
        let sample = Self::pass(table, &table.forms, held_back)?;
        let fitting: Vec<Form> = sample.columns.iter().map(Column::fitting_form).collect();
        if fitting == table.forms {
            return Ok(sample);
        }
        drop(sample);
        Self::pass(table, &fitting, held_back)
    }

    /// Whether every row is in the sample.
    pub(crate) fn is_whole(&self) -> bool {
        self.bound == u64::MAX
    }

    fn pass(table: &Table<'_>, forms: &[Form], held_back: Option<HeldBack>) -> Result<Self, ScanError> {
        let mut sample = Self {
            columns: forms.iter().map(|form| Column::new(*form)).collect(),
            forms: forms.to_vec(),
            rows: Vec::new(),
            bound: u64::MAX,
            word_bytes: word_bytes(forms.len()),
            held_back,
        };
        table.visit("reading", &mut |row, cells| {
            sample.offer(row, cells);
            Ok(())
        })?;
        Ok(sample)
    }

    fn offer(&mut self, row: u64, cells: &[Cell<'_>]) {
        if key(row) > self.bound || (self.held_back.is_some() && HeldBack::holds(row)) {
            return;
        }
        self.rows.push(row);
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(*cell, row, self.word_bytes);
        }
        while self.is_too_large() {
            self.halve();
        }
    }

    fn is_too_large(&self) -> bool {
        let rows = self.rows.len();
        let is_looked_at = rows.is_multiple_of(ROWS_BETWEEN_LOOKS);
        rows > MOST_ROWS
            || (rows > FEWEST_ROWS && rows * self.columns.len() > MOST_CELLS)
            || (is_looked_at && self.columns.iter().map(Column::word_bytes).sum::<usize>() > MOST_WORD_BYTES)
    }

    fn halve(&mut self) {
        self.bound >>= 1;
        let kept: Vec<bool> = self.rows.iter().map(|row| key(*row) <= self.bound).collect();
        let mut marks = kept.iter();
        self.rows.retain(|_| *marks.next().expect("each row is marked"));
        for column in &mut self.columns {
            column.retain(&kept);
        }
    }
}

/// A row's place in a fixed random order: by it and not by luck rows are in a sample.
fn key(row: u64) -> u64 {
    mix(row.wrapping_add(0x5A3B_1E00))
}
