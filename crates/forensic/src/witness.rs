//! Whoever looks at every row while a file is scanned: to write the scores down, or to read the texts.

use std::{borrow::Cow, io};

use sentinelflow_domain::scan::ColumnProfile;

use crate::table::{Meaning, Records, decode};

/// Sees every row once, in the order of the file.
pub trait Witness {
    /// Hears what the columns are taken for, before the first row.
    fn begin(&mut self, _columns: &[ColumnProfile]) {}

    /// Sees some thousands of rows.
    fn see(&mut self, rows: &SeenRows<'_>) -> io::Result<()>;
}

/// Rows with their scores.
pub struct SeenRows<'r> {
    pub(crate) records: &'r Records,
    pub(crate) scores: &'r [f64],
}

impl SeenRows<'_> {
    /// Returns the scores of the rows, 0 to 1.
    pub fn scores(&self) -> &[f64] {
        self.scores
    }

    /// Returns a row's number in the file, counted from 1.
    pub fn number(&self, place: usize) -> u64 {
        self.records.rows[place] + 1
    }

    /// Returns the text of a cell as it stands in the file; `None` where it is missing or no text.
    pub fn text(&self, place: usize, column: usize) -> Option<Cow<'_, str>> {
        let cell = self.records.cell(place, column);
        match cell {
            crate::table::Cell::Text(text) if cell.meaning() != Meaning::Missing => Some(decode(text)),
            _ => None,
        }
    }
}

/// Looks at nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWitness;

impl Witness for NoWitness {
    fn see(&mut self, _: &SeenRows<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Remembers every row's score.
#[derive(Debug, Clone, Default)]
pub struct Scores(pub Vec<f64>);

impl Witness for Scores {
    fn see(&mut self, rows: &SeenRows<'_>) -> io::Result<()> {
        self.0.extend_from_slice(rows.scores());
        Ok(())
    }
}
