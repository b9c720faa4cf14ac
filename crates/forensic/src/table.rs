//! A file as records: opened by content, read as often as asked, never held whole. Knows the formats, not the statistics.

use std::{ops::ControlFlow, path::Path};

use sentinelflow_domain::scan::{ScanOptions, ScanProgress};

use crate::{Limits, ScanError};
pub(crate) use cell::{Cell, Meaning, decode};
pub(crate) use column::{Column, Form, Tally, Values};
use head::Head;
pub(crate) use records::{KeptRecord, Records};
pub(crate) use sample::{HeldBack, Sample, word_bytes as sample_word_bytes};
pub(crate) use shown::{as_json, as_rfc3339};
pub(crate) use words::{MISSING, Words, word_of};

mod cell;
mod column;
mod content;
mod csv;
mod head;
mod held;
mod json_lines;
mod packed;
mod parquet;
mod records;
mod remembered;
mod sample;
mod shown;
mod spreadsheet;
mod watched;
mod words;

/// One record of a source, and how much of the source lies behind it (0 to 1).
pub(crate) struct Record<'a> {
    pub(crate) cells: &'a [Cell<'a>],
    pub(crate) read: f64,
}

/// Sees a row, counted from 0, and its cells.
pub(crate) type See<'s> = dyn FnMut(u64, &[Cell<'_>]) -> Result<(), ScanError> + 's;

pub(crate) type Visit<'v> = dyn FnMut(Record<'_>) -> Result<ControlFlow<()>, ScanError> + 'v;

/// A file that shows its records from first to last, as often as asked, a header included.
pub(crate) trait Source {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError>;

    /// The columns' names where the format itself has them; then no record is a header.
    fn names(&self) -> Option<Vec<String>> {
        None
    }

    /// What the reader had to put up with, in sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A file that was opened, and what its first records tell.
pub(crate) struct Table<'p> {
    source: Box<dyn Source + 'p>,
    has_header: bool,
    limits: Limits,
    progress: &'p dyn ScanProgress,
    pub(crate) names: Vec<String>,
    /// What the columns seem to hold.
    pub(crate) forms: Vec<Form>,
}

/// What one reading of all rows came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) rows: u64,
    short: Raggedness,
    long: Raggedness,
}

#[derive(Debug, Default)]
struct Raggedness {
    rows: u64,
    first: u64,
}

const CHECK_EVERY: u64 = 4_096;

impl<'p> Table<'p> {
    pub(crate) fn open(
        file: &Path,
        name: &str,
        options: &ScanOptions,
        limits: &Limits,
        progress: &'p dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let source = content::open(file, name, options, limits, progress)?;
        let head = Head::take(source.as_ref(), limits)?;
        let has_header = head.has_header();
        let names = head.names(has_header);
        if let Some(column) = options.ignore.iter().find(|ignored| !names.contains(ignored)) {
            return Err(ScanError::NoSuchColumn { column: column.clone() });
        }
        let forms = head.forms(has_header);
        Ok(Self { source, has_header, limits: limits.clone(), progress, names, forms })
    }

    /// Shows every row, counted from 0, with at least as many cells as there are columns.
    pub(crate) fn visit(&self, phase: &'static str, see: &mut See<'_>) -> Result<Reading, ScanError> {
        let width = self.names.len();
        let most_rows = self.limits.rows.min(self.limits.cells / width.max(1) as u64);
        let mut reading = Reading::default();
        let mut skip_header = self.has_header;
        self.source.visit(&mut |record| {
            if std::mem::take(&mut skip_header) {
                return Ok(ControlFlow::Continue(()));
            }
            let row = reading.rows;
            if row >= most_rows {
                let what = format!("the table has more than {most_rows} rows of {width} columns");
                return Err(ScanError::too_large(what, most_rows));
            }
            if row.is_multiple_of(CHECK_EVERY) {
                self.progress.advance(phase, record.read);
                if self.progress.is_cancelled() {
                    return Err(ScanError::Cancelled);
                }
            }
            reading.count(record.cells, width);
            if record.cells.len() < width {
                let filled = record.cells.iter().copied().chain(std::iter::repeat(Cell::Missing));
                see(row, &filled.take(width).collect::<Vec<_>>())?;
            } else {
                see(row, record.cells)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        reading.refuse_other_shapes(width)?;
        Ok(reading)
    }

    /// What the reader had to put up with, in sentences.
    pub(crate) fn notes(&self, reading: &Reading) -> Vec<String> {
        let mut notes = self.source.notes();
        notes.extend(reading.notes(self.names.len()));
        notes
    }

    pub(crate) fn progress(&self) -> &'p dyn ScanProgress {
        self.progress
    }
}

impl Reading {
    fn count(&mut self, cells: &[Cell<'_>], width: usize) {
        if cells.len() < width {
            self.short.count(self.rows);
        } else if cells[width..].iter().any(|cell| cell.meaning() != Meaning::Missing) {
            self.long.count(self.rows);
        }
        self.rows += 1;
    }

    fn refuse_other_shapes(&self, width: usize) -> Result<(), ScanError> {
        let ragged = self.short.rows + self.long.rows;
        if ragged * 2 <= self.rows {
            return Ok(());
        }
        let first = match (&self.short, &self.long) {
            (Raggedness { rows: 0, .. }, long) => long.first,
            (short, Raggedness { rows: 0, .. }) => short.first,
            (short, long) => short.first.min(long.first),
        };
        Err(ScanError::not_a_table(format!(
            "{ragged} of its {} rows do not have {width} columns, beginning with row {}",
            self.rows,
            first + 1
        )))
    }

    fn notes(&self, width: usize) -> Vec<String> {
        let ragged = [
            (&self.short, "fewer", "the rest of them was taken as empty"),
            (&self.long, "more", "what is beyond was not looked at"),
        ];
        let ragged = ragged.into_iter().filter(|(ragged, ..)| ragged.rows > 0);
        ragged
            .map(|(Raggedness { rows, first }, how, then)| {
                format!("{rows} rows have {how} than {width} cells, the first is row {}; {then}", first + 1)
            })
            .collect()
    }
}

impl Raggedness {
    fn count(&mut self, row: u64) {
        if self.rows == 0 {
            self.first = row;
        }
        self.rows += 1;
    }
}
