//! A file as columns: numbers, times and words, each cell read once. Knows the formats, not the statistics.

use std::{collections::HashSet, ops::ControlFlow, path::Path};

use sentinelflow_domain::scan::{ScanOptions, ScanProgress};
use serde_json::{Map, Value};

use crate::{Limits, ScanError};
use cell::Meaning;
pub(crate) use cell::{Cell, decode};
pub(crate) use words::{MISSING, Words};

mod cell;
mod column;
mod content;
mod csv;
mod held;
mod json_lines;
mod packed;
mod parquet;
mod spreadsheet;
mod watched;
mod words;

pub(crate) use column::{Column, Form, Values};

/// One record of a source, and how much of the source lies behind it (0 to 1).
pub(crate) struct Record<'a> {
    pub(crate) cells: &'a [Cell<'a>],
    pub(crate) read: f64,
}

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

/// What was read from a file.
pub(crate) struct Table<'p> {
    source: Box<dyn Source + 'p>,
    has_header: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: usize,
    pub(crate) notes: Vec<String>,
}

/// Records looked at before the columns' forms are guessed.
const SAMPLED_RECORDS: usize = 1_000;
const SAMPLED_BYTES: usize = 32 << 20;
const CHECK_EVERY: usize = 4_096;
/// A text may have megabytes, and a report may show it in two places for each of thousands of rows.
const MOST_SHOWN_CHARACTERS: usize = 1_024;

impl<'p> Table<'p> {
    pub(crate) fn read(
        file: &Path,
        name: &str,
        options: &ScanOptions,
        limits: &Limits,
        progress: &'p dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let source = content::open(file, name, options, limits, progress)?;
        let sample = Sample::take(source.as_ref(), limits)?;
        let has_header = sample.has_header();
        let names = sample.names(has_header);
        if let Some(column) = options.ignore.iter().find(|ignored| !names.contains(ignored)) {
            return Err(ScanError::NoSuchColumn { column: column.clone() });
        }
        let forms = sample.forms(has_header);
        drop(sample);
        let mut pass = Pass::run(source.as_ref(), has_header, &names, &forms, limits, progress)?;
        let fitting: Vec<Form> = pass.columns.iter().map(Column::fitting_form).collect();
        if fitting != forms {
            // The first records misled about a column; now that all were seen, a second reading is right.
            drop(pass);
            pass = Pass::run(source.as_ref(), has_header, &names, &fitting, limits, progress)?;
        }
        pass.into_table(source, has_header)
    }

    /// Returns the cells of some rows (counted from 0, rising) by column name, read from the file again.
    pub(crate) fn records(&self, rows: &[usize]) -> Result<Vec<Map<String, Value>>, ScanError> {
        let mut wanted = rows.iter().copied().peekable();
        let mut records = Vec::with_capacity(rows.len());
        let mut row = 0;
        let mut skip_header = self.has_header;
        self.source.visit(&mut |record| {
            if std::mem::take(&mut skip_header) {
                return Ok(ControlFlow::Continue(()));
            }
            if wanted.peek() == Some(&row) {
                wanted.next();
                let cells = record.cells.iter().copied().chain(std::iter::repeat(Cell::Missing));
                records.push(
                    self.columns.iter().map(|column| column.name.clone()).zip(cells.map(as_json)).collect(),
                );
            }
            row += 1;
            Ok(if wanted.peek().is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(records)
    }
}

/// Returns a cell as JSON: numbers as numbers, times as RFC 3339, words as they stand up to a length that people read.
pub(crate) fn as_json(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Missing => Value::Null,
        Cell::Number(number) => number_as_json(number),
        Cell::Time(seconds) => Value::String(as_rfc3339(seconds)),
        Cell::Text(text) => match cell.meaning() {
            Meaning::Number(number) => number_as_json(number),
            _ if text.is_empty() => Value::Null,
            _ => Value::String(shown(&decode(text))),
        },
    }
}

/// Returns a text as it is shown: what is longer than people read is cut, and ends in “…”.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN_CHARACTERS) {
        Some((end, _)) => text.get(..end).into_iter().chain(["…"]).collect(),
        None => text.to_owned(),
    }
}

/// Whole numbers are written without a fraction.
fn number_as_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Value::from(number)
}

pub(crate) fn as_rfc3339(seconds: f64) -> String {
    // The last hours of the year 9999 cannot be written in every zone, so the calendar ends a day earlier.
    const LAST_MILLIS: f64 = 253_402_200_000_000.0;
    let millis = (seconds * 1_000.0).round().min(LAST_MILLIS) as i64;
    sentinelflow_domain::time::Timestamp::from_millis(millis).to_string()
}

/// The first records of a source, copied.
struct Sample {
    records: Vec<Vec<(Meaning, String)>>,
    given_names: Option<Vec<String>>,
}

impl Sample {
    fn take(source: &dyn Source, limits: &Limits) -> Result<Self, ScanError> {
        let mut records = Vec::new();
        let (mut cells, mut bytes) = (0, 0);
        source.visit(&mut |record| {
            if record.cells.len() > limits.columns {
                let what = format!("record {} has {} columns", records.len() + 1, record.cells.len());
                return Err(ScanError::too_large(what, limits.columns as u64));
            }
            cells += record.cells.len();
            let sampled: Vec<_> =
                record.cells.iter().map(|cell| (cell.meaning(), sampled_text(*cell))).collect();
            bytes += sampled.iter().map(|(_, text)| text.len()).sum::<usize>();
            records.push(sampled);
            let is_enough = records.len() > SAMPLED_RECORDS
                || cells > SAMPLED_RECORDS * 1_000
                || (records.len() > 1 && bytes > SAMPLED_BYTES);
            Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if records.is_empty() {
            return Err(ScanError::not_a_table("it is empty"));
        }
        Ok(Self { records, given_names: source.names() })
    }

    fn width(&self) -> usize {
        self.given_names.as_ref().map_or(self.records[0].len(), Vec::len)
    }

    fn column(&self, column: usize) -> impl Iterator<Item = &(Meaning, String)> {
        self.records[1..].iter().filter_map(move |record| record.get(column))
    }

    /// A first record of words over numbers is a header, and one of numbers over numbers is not. Where all is
    /// words it is a header unless one of its words comes again in the same column.
    fn has_header(&self) -> bool {
        if self.given_names.is_some() {
            return false;
        }
        let mut votes = 0_i64;
        let mut comes_again = false;
        for (column, (first, text)) in self.records[0].iter().enumerate() {
            let below = self.column(column).filter(|(meaning, _)| *meaning != Meaning::Missing);
            let (mut values, mut words) = (0, 0);
            for (meaning, word) in below {
                if *meaning == Meaning::Word {
                    words += 1;
                    comes_again |= *first == Meaning::Word && word == text;
                } else {
                    values += 1;
                }
            }
            match first {
                Meaning::Word if values > words => votes += 1,
                Meaning::Missing | Meaning::Word => {}
                _ if values >= words => votes -= 1,
                _ => {}
            }
        }
        if votes == 0 { !comes_again } else { votes > 0 }
    }

    /// Every column gets a name of its own.
    fn names(&self, has_header: bool) -> Vec<String> {
        let mut taken = HashSet::new();
        (0..self.width())
            .map(|column| {
                let given = match &self.given_names {
                    Some(names) => names[column].trim(),
                    None if has_header => self.records[0][column].1.trim(),
                    None => "",
                };
                let base = if given.is_empty() { format!("column {}", column + 1) } else { shown(given) };
                let mut name = base.clone();
                let mut copy = 2;
                while !taken.insert(name.clone()) {
                    name = format!("{base} ({copy})");
                    copy += 1;
                }
                name
            })
            .collect()
    }

    fn forms(&self, has_header: bool) -> Vec<Form> {
        let first_as_data = usize::from(!has_header);
        (0..self.width())
            .map(|column| {
                let first = self.records[0].get(column).into_iter().take(first_as_data);
                let mut counts = column::Counts::default();
                first.chain(self.column(column)).for_each(|(meaning, _)| counts.add(*meaning));
                counts.form()
            })
            .collect()
    }
}

fn sampled_text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(seconds) => as_rfc3339(seconds),
        Cell::Text(text) => decode(text).into_owned(),
    }
}

/// One reading of the whole source.
struct Pass {
    columns: Vec<Column>,
    rows: usize,
    short: Raggedness,
    long: Raggedness,
}

#[derive(Default)]
struct Raggedness {
    rows: usize,
    first: usize,
}

impl Raggedness {
    fn add(&mut self, row: usize) {
        if self.rows == 0 {
            self.first = row;
        }
        self.rows += 1;
    }
}

impl Pass {
    fn run(
        source: &dyn Source,
        has_header: bool,
        names: &[String],
        forms: &[Form],
        limits: &Limits,
        progress: &dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let columns = names.iter().zip(forms).map(|(name, form)| Column::new(name.clone(), *form)).collect();
        let mut pass = Self { columns, rows: 0, short: Raggedness::default(), long: Raggedness::default() };
        let mut skip_header = has_header;
        let most_rows = limits.rows.min(limits.cells / names.len().max(1) as u64);
        source.visit(&mut |record| {
            if std::mem::take(&mut skip_header) {
                return Ok(ControlFlow::Continue(()));
            }
            if pass.rows as u64 >= most_rows {
                let what = format!("the table has more than {most_rows} rows of {} columns", names.len());
                return Err(ScanError::too_large(what, most_rows));
            }
            if pass.rows.is_multiple_of(CHECK_EVERY) {
                progress.advance("reading", record.read);
                if progress.is_cancelled() {
                    return Err(ScanError::Cancelled);
                }
            }
            pass.add(record.cells);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(pass)
    }

    fn add(&mut self, cells: &[Cell<'_>]) {
        let row = self.rows;
        let width = self.columns.len();
        if cells.len() < width {
            self.short.add(row);
        } else if cells[width..].iter().any(|cell| cell.meaning() != Meaning::Missing) {
            self.long.add(row);
        }
        let missing = &Cell::Missing;
        for (column, cell) in self.columns.iter_mut().zip(cells.iter().chain(std::iter::repeat(missing))) {
            column.push(*cell, row);
        }
        self.rows += 1;
    }

    fn into_table<'p>(self, source: Box<dyn Source + 'p>, has_header: bool) -> Result<Table<'p>, ScanError> {
        let ragged = self.short.rows + self.long.rows;
        let width = self.columns.len();
        if ragged * 2 > self.rows {
            let first = self.short.first.min(self.long.first) + 1;
            return Err(ScanError::not_a_table(format!(
                "{ragged} of its {} rows do not have {width} columns, beginning with row {first}",
                self.rows
            )));
        }
        let mut notes = source.notes();
        if self.short.rows > 0 {
            notes.push(format!(
                "{} rows have fewer than {width} cells, the first is row {}; the rest of them was taken as empty",
                self.short.rows,
                self.short.first + 1
            ));
        }
        if self.long.rows > 0 {
            notes.push(format!(
                "{} rows have more than {width} cells, the first is row {}; what is beyond was not looked at",
                self.long.rows,
                self.long.first + 1
            ));
        }
        notes.extend(self.columns.iter().filter_map(Column::note));
        Ok(Table { source, has_header, columns: self.columns, rows: self.rows, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_a_file_may_hold_can_be_written() {
        assert_eq!(as_rfc3339(0.25), "1970-01-01T00:00:00.250Z");
        for seconds in [253_402_300_799.0, 1e300, -1e300, f64::NAN] {
            assert!(as_rfc3339(seconds).ends_with('Z'));
        }
    }
}
