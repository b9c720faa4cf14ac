//! Workbooks: what a sheet's cells stand for. Nothing is unpacked before its size has been checked.

use std::{
    cell::{Cell as Count, RefCell},
    io::BufReader,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetType, Xls, Xlsx};
use sentinelflow_domain::scan::ScanProgress;

use super::{
    Cell, Record, Source, Visit,
    cell::days_since_1970,
    held::Held,
    watched::{Watch, Watched},
};
use crate::{Limits, ScanError};

mod biff;
mod bounds;
mod markup;

/// A sheet of an XLSX file; its cells are streamed each time they are asked for.
pub(crate) struct XlsxSheet<'p> {
    book: RefCell<Xlsx<BufReader<Watched<'p>>>>,
    watch: Watch<'p>,
    sheet: String,
    columns: usize,
    row_bytes: usize,
    text_bytes: u64,
    faulty: Count<usize>,
    unread: Vec<String>,
}

/// A sheet of an XLS file, which can only be read as a whole.
pub(crate) struct XlsSheet {
    cells: calamine::Range<Data>,
    sheet: String,
    row_bytes: usize,
    faulty: usize,
    unread: Vec<String>,
}

impl<'p> XlsxSheet<'p> {
    pub(crate) fn open(
        file: &Path,
        sheet: Option<&str>,
        limits: &Limits,
        progress: &'p dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let watch = Watch::new(progress);
        watch.explain(Self::search(file, sheet, limits, &watch))
    }

    /// Returns the sheet asked for, or else the first with rows.
    fn search(
        file: &Path,
        sheet: Option<&str>,
        limits: &Limits,
        watch: &Watch<'p>,
    ) -> Result<Self, ScanError> {
        bounds::check_xlsx(file, limits, watch)?;
        let text_bytes = (file.metadata()?.len() * MOST_TEXT_PER_BYTE).max(UNSUSPICIOUS_TEXT_BYTES);
        let reader = watch.open(file)?;
        let book = guarded(|| Xlsx::new(reader).map_err(|error| damaged(&error)))?;
        let mut opened = Self {
            book: RefCell::new(book),
            watch: watch.clone(),
            sheet: String::new(),
            columns: limits.columns,
            row_bytes: limits.record_bytes,
            text_bytes,
            faulty: Count::new(0),
            unread: Vec::new(),
        };
        let sheets = worksheets(opened.book.get_mut().sheets_metadata());
        let mut with_rows = Vec::new();
        for candidate in candidates(&sheets, sheet)? {
            opened.sheet.clone_from(candidate);
            match opened.has_rows() {
                Ok(true) => with_rows.push(candidate.clone()),
                Err(error) if with_rows.is_empty() || watch.look().is_err() => return Err(error),
                // What is wrong with a sheet that is not read does not matter.
                Ok(false) | Err(_) => {}
            }
        }
        let mut with_rows = with_rows.into_iter();
        if let Some(first) = with_rows.next() {
            opened.sheet = first;
            opened.unread = with_rows.collect();
            opened.faulty.set(0);
            return Ok(opened);
        }
        Err(no_rows(sheet))
    }
}

impl XlsSheet {
    pub(crate) fn open(
        file: &Path,
        sheet: Option<&str>,
        limits: &Limits,
        progress: &dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let watch = Watch::new(progress);
        let reader = biff::checked_xls(file)?;
        watch.look()?;
        let mut book = guarded(|| Xls::new(reader).map_err(|error| damaged(&error)))?;
        let sheets = worksheets(book.sheets_metadata());
        let mut found: Option<Self> = None;
        for candidate in candidates(&sheets, sheet)? {
            watch.look()?;
            let cells = guarded(|| book.worksheet_range(candidate).map_err(|error| damaged(&error)));
            match (&mut found, cells) {
                (None, Err(error)) => return Err(error),
                // What is wrong with a sheet that is not read does not matter.
                (Some(_), Err(_)) => {}
                (_, Ok(cells)) if cells.is_empty() => {}
                (Some(found), Ok(_)) => found.unread.push(candidate.clone()),
                (None, Ok(cells)) => found = Some(Self::of(cells, candidate, limits)?),
            }
        }
        found.ok_or_else(|| no_rows(sheet))
    }

    fn of(cells: calamine::Range<Data>, sheet: &str, limits: &Limits) -> Result<Self, ScanError> {
        if cells.width() > limits.columns {
            let what = format!("sheet “{sheet}” has {} columns", cells.width());
            return Err(ScanError::too_large(what, limits.columns as u64));
        }
        let faulty = cells.used_cells().filter(|(_, _, cell)| matches!(cell, Data::Error(_))).count();
        let (sheet, row_bytes) = (sheet.to_owned(), limits.record_bytes);
        Ok(Self { cells, sheet, row_bytes, faulty, unread: Vec::new() })
    }
}

impl Source for XlsxSheet<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        self.watch.explain(self.visit_rows(visit))
    }

    fn notes(&self) -> Vec<String> {
        notes(self.faulty.get(), &self.unread)
    }
}

impl XlsxSheet<'_> {
    fn has_rows(&self) -> Result<bool, ScanError> {
        let mut has_rows = false;
        self.visit(&mut |_| {
            has_rows = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(has_rows)
    }

    fn visit_rows(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        self.faulty.set(0);
        let mut book = self.book.borrow_mut();
        let mut cells =
            guarded(|| book.worksheet_cells_reader(&self.sheet).map_err(|error| damaged(&error)))?;
        let rows = f64::from(cells.dimensions().end.0) + 1.0;
        let mut row = Row::default();
        let mut width = 0;
        let mut text_bytes = 0;
        while let Some(cell) = guarded(|| cells.next_cell().map_err(|error| damaged(&error)))? {
            let (number, column) = cell.get_position();
            if column as usize >= self.columns {
                let what = format!("row {} of sheet “{}” has more columns", number + 1, self.sheet);
                return Err(ScanError::too_large(what, self.columns as u64));
            }
            if number < row.number {
                return Err(ScanError::not_a_table(format!(
                    "row {} of sheet “{}” comes after row {}",
                    number + 1,
                    self.sheet,
                    row.number + 1
                )));
            }
            if number > row.number {
                text_bytes += row.text.len() as u64;
                if text_bytes > self.text_bytes {
                    let what = format!("the cells of sheet “{}” repeat their texts too often", self.sheet);
                    return Err(ScanError::too_large(
                        format!("{what}: {text_bytes} bytes up to row {}", row.number + 1),
                        self.text_bytes,
                    ));
                }
                let read = (f64::from(row.number) / rows).min(1.0);
                if row.show(&mut width, read, visit)?.is_break() {
                    return Ok(());
                }
                row.number = number;
            }
            if matches!(cell.get_value(), DataRef::Error(_)) {
                self.faulty.set(self.faulty.get() + 1);
            }
            row.set(column as usize, cell.get_value());
            row.check_length(&self.sheet, self.row_bytes)?;
        }
        row.show(&mut width, 1.0, visit).map(drop)
    }
}

impl Source for XlsSheet {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let mut row = Row::default();
        let mut width = 0;
        let height = self.cells.height().max(1) as f64;
        for (number, cells) in self.cells.rows().enumerate() {
            row.number = u32::try_from(number).unwrap_or(u32::MAX);
            for (column, cell) in cells.iter().enumerate() {
                row.set(column, &borrowed(cell));
                row.check_length(&self.sheet, self.row_bytes)?;
            }
            if row.show(&mut width, number as f64 / height, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        notes(self.faulty, &self.unread)
    }
}

/// The cells of one row, gathered until the next begins.
#[derive(Default)]
struct Row {
    number: u32,
    cells: Vec<Held>,
    text: Vec<u8>,
}

impl Row {
    fn set(&mut self, column: usize, value: &DataRef<'_>) {
        let held = match value {
            DataRef::Empty | DataRef::Error(_) => return,
            #[expect(clippy::cast_precision_loss, reason = "integers beyond 2⁵³ are read as their nearest")]
            DataRef::Int(number) => Held::Number(*number as f64),
            DataRef::Float(number) => Held::Number(*number),
            DataRef::DateTime(moment) if moment.is_duration() => Held::Number(moment.as_f64()),
            DataRef::DateTime(moment) => Held::Time(seconds(moment)),
            DataRef::Bool(true) => self.hold("TRUE"),
            DataRef::Bool(false) => self.hold("FALSE"),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                self.hold(text)
            }
            DataRef::SharedString(text) => self.hold(text),
        };
        if self.cells.len() <= column {
            self.cells.resize(column + 1, Held::Missing);
        }
        self.cells[column] = held;
    }

    fn hold(&mut self, text: &str) -> Held {
        let from = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Held::Text(from..self.text.len())
    }

    /// Many cells may share one long text, so a row can be far longer than its file.
    fn check_length(&self, sheet: &str, most: usize) -> Result<(), ScanError> {
        if self.text.len() <= most {
            return Ok(());
        }
        let what = format!("row {} of sheet “{sheet}” is longer than {most} bytes", self.number + 1);
        Err(ScanError::too_large(what, most as u64))
    }

    /// Shows the row unless it is blank, filled up to the width of the first, and empties it.
    fn show(
        &mut self,
        width: &mut usize,
        read: f64,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, ScanError> {
        if self.cells.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if *width == 0 {
            *width = self.cells.len();
        }
        let mut cells: Vec<Cell<'_>> = self.cells.iter().map(|held| held.cell(&self.text)).collect();
        cells.resize(cells.len().max(*width), Cell::Missing);
        let flow = visit(Record { cells: &cells, read })?;
        self.cells.clear();
        self.text.clear();
        Ok(flow)
    }
}

fn borrowed(cell: &Data) -> DataRef<'_> {
    match cell {
        Data::Empty => DataRef::Empty,
        Data::Int(number) => DataRef::Int(*number),
        Data::Float(number) => DataRef::Float(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => DataRef::SharedString(text),
        Data::Bool(truth) => DataRef::Bool(*truth),
        Data::DateTime(moment) => DataRef::DateTime(*moment),
        Data::Error(error) => DataRef::Error(error.clone()),
    }
}

/// Seconds since 1970; a workbook's times have no zone and are taken as UTC.
fn seconds(moment: &ExcelDateTime) -> f64 {
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    let days = days_since_1970(i64::from(year), i64::from(month), i64::from(day));
    let clock = (u32::from(hour) * 60 + u32::from(minute)) * 60 + u32::from(second);
    days as f64 * 86_400.0 + f64::from(clock) + f64::from(milli) / 1_000.0
}

fn worksheets(sheets: &[calamine::Sheet]) -> Vec<String> {
    sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).map(|sheet| sheet.name.clone()).collect()
}

/// Many cells may share one text, so what a sheet shows can be far longer than its file. This much is harmless; a
/// sheet packs 50 times, and a cell that points at a text rarely shows ten times what it takes to point there.
const UNSUSPICIOUS_TEXT_BYTES: u64 = 128 << 20;
const MOST_TEXT_PER_BYTE: u64 = 500;

/// A workbook with more is none that people made.
const MOST_SHEETS: usize = 1_000;
/// How many sheets are read in search of the first with rows: an empty one may take megabytes to say so.
const SEARCHED_SHEETS: usize = 16;

/// Sheets' names are shown; Excel's have 31 characters.
const LONGEST_NAME: usize = 255;

fn too_many_sheets() -> ScanError {
    ScanError::too_large(format!("the workbook has more than {MOST_SHEETS} sheets"), MOST_SHEETS as u64)
}

fn candidates<'s>(sheets: &'s [String], asked: Option<&str>) -> Result<Vec<&'s String>, ScanError> {
    if sheets.len() > MOST_SHEETS {
        return Err(too_many_sheets());
    }
    for (number, sheet) in sheets.iter().enumerate() {
        let length = sheet.chars().count();
        if length > LONGEST_NAME {
            let what = format!("the name of sheet {} has {length} characters", number + 1);
            return Err(ScanError::too_large(what, LONGEST_NAME as u64));
        }
    }
    let Some(asked) = asked else { return Ok(sheets.iter().take(SEARCHED_SHEETS).collect()) };
    match sheets.iter().find(|sheet| *sheet == asked) {
        Some(sheet) => Ok(vec![sheet]),
        None => Err(ScanError::NoSuchSheet { sheet: asked.to_owned(), sheets: sheets.to_vec() }),
    }
}

fn no_rows(asked: Option<&str>) -> ScanError {
    ScanError::not_a_table(match asked {
        Some(sheet) => format!("sheet “{sheet}” is empty"),
        None => format!("none of its first {SEARCHED_SHEETS} sheets has rows"),
    })
}

/// So many names are told in a note.
const MOST_NAMED: usize = 5;

fn notes(faulty: usize, unread: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if faulty > 0 {
        notes.push(format!("{faulty} cells hold an error such as #N/A and count as missing"));
    }
    if !unread.is_empty() {
        let named: Vec<String> = unread.iter().take(MOST_NAMED).map(|name| format!("“{name}”")).collect();
        let rest = unread.len() - named.len();
        let and_more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let sheets = if unread.len() == 1 { "another sheet" } else { "other sheets" };
        notes.push(format!(
            "the workbook has {sheets} with rows: {}{and_more}; choose one with the option `sheet`",
            named.join(", ")
        ));
    }
    notes
}

fn damaged(error: &dyn std::error::Error) -> ScanError {
    ScanError::not_a_table(format!("the workbook is damaged: {error}"))
}

/// Runs foreign parsing code: a crafted workbook that makes it panic is a bad file, not the end of the server.
fn guarded<T>(parse: impl FnOnce() -> Result<T, ScanError>) -> Result<T, ScanError> {
    catch_unwind(AssertUnwindSafe(parse))
        .unwrap_or_else(|_| Err(ScanError::not_a_table("the workbook is damaged beyond what can be read")))
}
