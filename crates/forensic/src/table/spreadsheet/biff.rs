//! Looks at the records of an XLS workbook (BIFF) and at what they would expand to, before anything is expanded.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{Cursor, Read, Write as _},
    path::Path,
};

use super::{MOST_SHEETS, too_many_sheets};
use crate::ScanError;

/// An XLS file is read into one block of memory for each sheet, from corner to corner.
const MOST_XLS_BYTES: u64 = 256 << 20;
const MOST_XLS_CELLS: u64 = 20_000_000;
/// Room for this many cells is harmless, however few are used.
const UNSUSPICIOUS_CELLS: u64 = 2_000_000;
/// How many times the cells that there are a sheet may span beyond that.
const MOST_SPREAD: u64 = 64;
/// Every cell gets a copy of its text. Copies of this many characters are harmless, and beyond it so many for each
/// byte of the workbook.
const UNSUSPICIOUS_CHARACTERS: u64 = 32 << 20;
const MOST_CHARACTERS_PER_BYTE: u64 = 100;
/// Excel continues a record each 8,224 bytes, so this is more than a workbook of the largest size has.
const MOST_CONTINUATIONS: usize = 40_000;

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000A;
const BOUNDSHEET: u16 = 0x0085;
const CONTINUE: u16 = 0x003C;
const SHARED_STRINGS: u16 = 0x00FC;
const SHARED_STRING: u16 = 0x00FD;
/// The kind of a substream that lists the sheets and is none.
const GLOBALS: u64 = 0x0005;

/// Returns a container that holds nothing but the workbook of an XLS file.
///
/// Workbooks whose sheets reach further than fits into memory are refused: a sheet with two cells in opposite corners
/// is a file of a few bytes and an allocation of a hundred gigabytes. What was checked is packed anew, since two
/// readers can find different streams in one container.
pub(super) fn checked_xls(file: &Path) -> Result<Cursor<Vec<u8>>, ScanError> {
    let size = file.metadata()?.len();
    if size > MOST_XLS_BYTES {
        return Err(ScanError::too_large(format!("the XLS file has {size} bytes"), MOST_XLS_BYTES));
    }
    let unreadable = |error: std::io::Error| damaged(&error.to_string());
    let mut compound = cfb::CompoundFile::open(File::open(file)?).map_err(unreadable)?;
    if compound.is_stream("/EncryptedPackage") {
        return Err(ScanError::not_a_table("the workbook is protected by a password"));
    }
    let Some(name) = ["/Workbook", "/Book"].into_iter().find(|name| compound.is_stream(name)) else {
        return Err(ScanError::not_a_table("it is an Office file without an XLS workbook in it"));
    };
    let mut stream = Vec::new();
    let opened = compound.open_stream(name).map_err(unreadable)?;
    if opened.len() > size {
        return Err(damaged("its stream is longer than the file"));
    }
    opened.take(MOST_XLS_BYTES).read_to_end(&mut stream).map_err(unreadable)?;
    check_spans(&stream)?;
    repacked(&stream).map_err(unreadable)
}

fn repacked(workbook: &[u8]) -> std::io::Result<Cursor<Vec<u8>>> {
    let mut compound = cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new()))?;
    compound.create_stream("/Workbook")?.write_all(workbook)?;
    compound.flush()?;
    let mut packed = compound.into_inner();
    packed.set_position(0);
    Ok(packed)
}

/// Refuses workbooks whose sheets span too many cells, or begin where no sheet begins.
///
/// The reader jumps to where the list of sheets points. Every sheet therefore has to begin at a substream of its own
/// that was seen here, or cells could be hidden inside another record.
fn check_spans(stream: &[u8]) -> Result<(), ScanError> {
    let Walk { listed, substreams } = walk(stream)?;
    let mut taken = HashSet::new();
    let (mut spanned, mut reached, mut held, mut characters) = (0_u64, 0_u64, 0_u64, 0_u64);
    for (number, place) in listed.into_iter().enumerate() {
        let sheet = number + 1;
        let Some(substream) = substreams.get(&place) else {
            return Err(damaged(&format!(
                "sheet {sheet} is said to begin at byte {place}, where none begins"
            )));
        };
        if !taken.insert(place) {
            return Err(damaged(&format!("sheet {sheet} begins at byte {place}, as another does")));
        }
        spanned = spanned.saturating_add(substream.declared.with(&substream.reached).area());
        reached = reached.saturating_add(substream.reached.area());
        held += substream.cells;
        characters += substream.characters;
    }
    if spanned > MOST_XLS_CELLS {
        return Err(ScanError::too_large(format!("the sheets span {spanned} cells"), MOST_XLS_CELLS));
    }
    let most = held.saturating_mul(MOST_SPREAD).max(UNSUSPICIOUS_CELLS);
    if reached > most {
        let what = format!("the sheets span {reached} cells and hold {held}");
        return Err(ScanError::too_large(what, most));
    }
    let most = (stream.len() as u64 * MOST_CHARACTERS_PER_BYTE).max(UNSUSPICIOUS_CHARACTERS);
    if characters > most {
        let what = format!("the sheets repeat their texts to {characters} characters");
        return Err(ScanError::too_large(what, most));
    }
    Ok(())
}

/// What one reading of all records found.
#[derive(Default)]
struct Walk {
    /// Where the sheets are said to begin.
    listed: Vec<u64>,
    /// The substreams that are not part of another, by where they begin.
    substreams: BTreeMap<u64, Substream>,
}

/// How far a sheet says it reaches, how far its cells do, and how many there are.
#[derive(Default)]
struct Substream {
    declared: Corner,
    reached: Corner,
    cells: u64,
    /// Of the texts that cells share.
    characters: u64,
}

#[derive(Default)]
struct Corner {
    rows: u64,
    columns: u64,
}

impl Corner {
    fn with(&self, other: &Self) -> Self {
        Self { rows: self.rows.max(other.rows), columns: self.columns.max(other.columns) }
    }

    fn area(&self) -> u64 {
        self.rows.saturating_mul(self.columns)
    }
}

fn walk(stream: &[u8]) -> Result<Walk, ScanError> {
    let mut found = Walk::default();
    let mut sheet = Substream::default();
    let (mut place, mut begun_at) = (0_usize, 0_u64);
    let (mut depth, mut continuations) = (0_usize, 0_usize);
    let (mut is_globals, mut list_is_open) = (false, true);
    let mut shared = Vec::new();
    while let Some((header, rest)) = stream[place..].split_at_checked(4) {
        let kind = u16::from_le_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let Some(record) = rest.get(..length) else { break };
        continuations = if kind == CONTINUE { continuations + 1 } else { 0 };
        if continuations > MOST_CONTINUATIONS {
            let what = format!("the record before byte {place} goes on in {continuations} others");
            return Err(ScanError::too_large(what, MOST_CONTINUATIONS as u64));
        }
        match kind {
            BOF => {
                if depth == 0 {
                    (sheet, begun_at) = (Substream::default(), place as u64);
                    // Nor is it a sheet where the list is still being read.
                    is_globals = list_is_open || number(record, 2) == GLOBALS;
                }
                depth += 1;
            }
            EOF => {
                // The reader takes the first end for that of the list, whatever it ends.
                list_is_open = false;
                depth = depth.saturating_sub(1);
                if depth == 0 && !is_globals {
                    found.substreams.insert(begun_at, std::mem::take(&mut sheet));
                }
            }
            BOUNDSHEET if list_is_open => {
                found.listed.push(number(record, 0) | number(record, 2) << 16);
                if found.listed.len() > MOST_SHEETS {
                    return Err(too_many_sheets());
                }
            }
            SHARED_STRINGS if list_is_open => shared = string_lengths(&stream[place..]),
            SHARED_STRING if depth == 1 => {
                sheet.reach(kind, record)?;
                let index = number(record, 6) | number(record, 8) << 16;
                let length = usize::try_from(index).ok().and_then(|index| shared.get(index));
                sheet.characters += length.copied().unwrap_or(0);
            }
            // What is embedded in a sheet, such as a chart, is skipped by the reader.
            _ if depth == 1 => sheet.reach(kind, record)?,
            _ => {}
        }
        place += 4 + length;
    }
    if depth > 0 && !is_globals {
        found.substreams.insert(begun_at, sheet);
    }
    Ok(found)
}

impl Substream {
    fn reach(&mut self, kind: u16, record: &[u8]) -> Result<(), ScanError> {
        let (rows, columns) = match kind {
            0x0200 => {
                let wide = |at| number(record, at) | number(record, at + 2) << 16;
                // BIFF8 writes rows in four bytes, earlier versions in two.
                let (first_row, last_row, from_column) = match record.len() {
                    14 | 16 => (wide(0), wide(4), 8),
                    10 => (number(record, 0), number(record, 2), 4),
                    _ => return Err(damaged("a sheet's size is written oddly")),
                };
                let (first_column, last_column) =
                    (number(record, from_column), number(record, from_column + 2));
                if first_row > last_row || first_column > last_column {
                    return Err(damaged("a sheet ends before it begins"));
                }
                self.declared = self.declared.with(&Corner { rows: last_row, columns: last_column });
                return Ok(());
            }
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | 0x00FD | 0x0006 => {
                self.cells += 1;
                (number(record, 0) + 1, number(record, 2) + 1)
            }
            0x00BD => {
                self.cells += record.len() as u64 / 6;
                (number(record, 0) + 1, number(record, record.len().saturating_sub(2)) + 1)
            }
            _ => return Ok(()),
        };
        self.reached = self.reached.with(&Corner { rows, columns });
        Ok(())
    }
}

/// Returns how many characters each of the shared strings has, as far as they can be read. They begin in the record
/// that the stream begins with, and go on wherever it is continued.
fn string_lengths(stream: &[u8]) -> Vec<u64> {
    let mut lengths = Vec::new();
    let mut pieces = Pieces { current: &[], following: stream };
    // Two counts come first; nobody believes them.
    if pieces.next_record().is_none() || pieces.take(8).is_none() {
        return lengths;
    }
    while !pieces.current.is_empty() || pieces.next_continuation().is_some() {
        let length = if pieces.current.is_empty() { Some(0) } else { pieces.string() };
        match length {
            Some(length) => lengths.push(length),
            None => break,
        }
    }
    lengths
}

/// One record and those that continue it.
struct Pieces<'s> {
    current: &'s [u8],
    following: &'s [u8],
}

impl<'s> Pieces<'s> {
    fn next_record(&mut self) -> Option<()> {
        let (header, rest) = self.following.split_at_checked(4)?;
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        (self.current, self.following) = rest.split_at_checked(length)?;
        Some(())
    }

    fn next_continuation(&mut self) -> Option<()> {
        // The reader takes no empty one at the very end for a continuation.
        let goes_on = self.following.len() > 4 && number(self.following, 0) == u64::from(CONTINUE);
        if goes_on { self.next_record() } else { None }
    }

    fn take(&mut self, length: usize) -> Option<&'s [u8]> {
        let (taken, rest) = self.current.split_at_checked(length)?;
        self.current = rest;
        Some(taken)
    }

    /// Passes over a string with its formats, and returns how many characters it has.
    fn string(&mut self) -> Option<u64> {
        let head = self.take(3)?;
        let (length, flags) = (number(head, 0), head[2]);
        let formats = if flags & 8 == 0 { 0 } else { number(self.take(2)?, 0) * 4 };
        let extension = match flags & 4 {
            0 => 0,
            _ => self.take(4).map(|size| number(size, 0) | number(size, 2) << 16)?,
        };
        let mut left = usize::try_from(length).ok()?;
        let mut is_wide = flags & 1 != 0;
        while left > 0 {
            let width = if is_wide { 2 } else { 1 };
            let here = left.min(self.current.len() / width);
            self.take(here * width)?;
            left -= here;
            if left > 0 {
                // A continued text says anew how wide its characters are.
                self.next_continuation()?;
                is_wide = self.take(1)?[0] & 1 != 0;
            }
        }
        self.skip(usize::try_from(formats).ok()?)?;
        self.skip(usize::try_from(extension).ok()?)?;
        Some(length)
    }

    fn skip(&mut self, mut length: usize) -> Option<()> {
        while length > 0 {
            if self.current.is_empty() {
                self.next_continuation()?;
            }
            let here = length.min(self.current.len());
            self.take(here)?;
            length -= here;
        }
        Some(())
    }
}

/// Returns two bytes of a record; what it is too short for is read as zero.
fn number(record: &[u8], at: usize) -> u64 {
    record.get(at..at + 2).map_or(0, |pair| u64::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn damaged(what: &str) -> ScanError {
    ScanError::not_a_table(format!("the workbook is damaged: {what}"))
}
