//! Delimited text: finds the delimiter, splits records, and never holds more than one record.

use std::ops::Range;

use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter, memchr2};

use super::{Cell, Record, Source, Visit, packed::TextFile};
use crate::{Limits, ScanError};
use encoding::{Encoding, Input};

mod encoding;
mod split;

/// A file of delimited text whose first bytes have been looked at.
pub(crate) struct DelimitedText<'p> {
    text: TextFile<'p>,
    encoding: Encoding,
    /// Bytes before the first record.
    preamble: usize,
    line_end: u8,
    delimiter: u8,
    record_bytes: usize,
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const SNIFFED_BYTES: usize = 64 << 10;
const SNIFFED_RECORDS: usize = 50;
const BLOCK_BYTES: usize = 256 << 10;

impl<'p> DelimitedText<'p> {
    /// Takes the file for delimited text if its first bytes allow it.
    pub(crate) fn open(text: TextFile<'p>, limits: &Limits) -> Result<Self, ScanError> {
        let encoding = Encoding::of(&text.head(SNIFFED_BYTES)?);
        let preamble = if let Encoding::Bytes { mark } = encoding { mark } else { 0 };
        let record_bytes = limits.record_bytes;
        let mut opened = Self { text, encoding, preamble, line_end: b'\n', delimiter: b',', record_bytes };
        let mut records = opened.records(b',')?;
        // A packed file comes in pieces of any size.
        while records.end < SNIFFED_BYTES.min(record_bytes) && !records.ended {
            records.refill()?;
        }
        let head = &records.block[records.start..records.end];
        if looks_binary(head) {
            return Err(ScanError::not_a_table("it holds binary data, not text"));
        }
        let line_end = line_end(head);
        let named = named_delimiter(head);
        opened.line_end = line_end;
        if let Some((delimiter, length)) = named {
            opened.preamble += length;
            opened.delimiter = delimiter;
        } else {
            opened.delimiter = opened.find_delimiter()?;
        }
        Ok(opened)
    }

    fn find_delimiter(&self) -> Result<u8, ScanError> {
        let mut best = (0.0, b',');
        for delimiter in DELIMITERS {
            let mut records = self.records(delimiter)?;
            let mut widths = Vec::new();
            // A fault in a record is reported when the table is read; here it only ends the look ahead.
            while widths.len() < SNIFFED_RECORDS && matches!(records.next(), Ok(true)) {
                widths.push(records.fields.len());
            }
            let first = widths.first().copied().unwrap_or(0);
            let agreeing = widths.iter().filter(|width| **width == first).count();
            // Agreement decides; among delimiters that agree alike, the one that makes more columns.
            let worth = agreeing as f64 / widths.len().max(1) as f64 + first.min(1_000) as f64 * 1e-6;
            if first > 1 && worth > best.0 {
                best = (worth, delimiter);
            }
        }
        Ok(best.1)
    }

    fn records(&self, delimiter: u8) -> Result<Records<'_, 'p>, ScanError> {
        let mut records = Records {
            input: Input::new(self.text.open()?, self.encoding),
            line_end: self.line_end,
            delimiter,
            quoted: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            ended: false,
            record_bytes: self.record_bytes,
            number: 0,
            fields: Vec::new(),
            unquoted: Vec::new(),
            is_unquoted: false,
            ends: Vec::new(),
        };
        while records.end < self.preamble && !records.ended {
            records.refill()?;
        }
        records.start = self.preamble.min(records.end);
        Ok(records)
    }
}

impl Source for DelimitedText<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let mut records = self.records(self.delimiter)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        while records.next()? {
            std::mem::swap(&mut ranges, &mut records.fields);
            let bytes = records.bytes();
            let cells: Vec<Cell<'_>> = ranges.iter().map(|range| Cell::Text(&bytes[range.clone()])).collect();
            if visit(Record { cells: &cells, read: records.input.share() })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Old Macs ended lines with a carriage return alone. One at the very end may have the rest of its line end behind it.
fn line_end(head: &[u8]) -> u8 {
    let before_last = head.split_last().map_or(head, |(_, before)| before);
    if memchr(b'\n', head).is_none() && memchr(b'\r', before_last).is_some() { b'\r' } else { b'\n' }
}

/// A control character that no text has, or a zero byte.
fn looks_binary(head: &[u8]) -> bool {
    head.iter().any(|byte| matches!(byte, 0..=6 | 14..=26))
}

/// Returns the delimiter that a first line names as Excel does (`sep=;`), and the length of that line.
fn named_delimiter(head: &[u8]) -> Option<(u8, usize)> {
    let end = head.iter().take(16).position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let line = &head[..end];
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (name, value) = line.split_at_checked(4)?;
    let [delimiter] = *value else { return None };
    if !name.eq_ignore_ascii_case(b"sep=") || !delimiter.is_ascii() || delimiter == b'"' {
        return None;
    }
    let line_end = if head[end..].starts_with(b"\r\n") { 2 } else { 1 };
    Some((delimiter, end + line_end))
}

/// Splits a stream into records. Lines without a quotation mark take the short way.
struct Records<'t, 'p> {
    input: Input<'t, 'p>,
    line_end: u8,
    delimiter: u8,
    quoted: csv_core::Reader,
    block: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    record_bytes: usize,
    number: u64,
    fields: Vec<Range<usize>>,
    unquoted: Vec<u8>,
    is_unquoted: bool,
    ends: Vec<usize>,
}

impl Records<'_, '_> {
    /// Moves on to the next record that is not blank; false at the end.
    fn next(&mut self) -> Result<bool, ScanError> {
        let mut searched = 0;
        loop {
            let unread = &self.block[self.start..self.end];
            match memchr2(self.line_end, b'"', &unread[searched..]) {
                Some(at) if unread[searched + at] == self.line_end => {
                    let line = searched + at;
                    searched = 0;
                    self.split_line(line);
                    self.start += line + 1;
                    if !self.fields.is_empty() {
                        self.number += 1;
                        return Ok(true);
                    }
                }
                Some(_) => return self.next_quoted(),
                None if self.ended => {
                    let line = unread.len();
                    self.split_line(line);
                    self.start += line;
                    self.number += 1;
                    return Ok(!self.fields.is_empty());
                }
                None => {
                    searched = unread.len();
                    self.refill()?;
                }
            }
        }
    }

    /// The bytes that `fields` points into.
    fn bytes(&self) -> &[u8] {
        if self.is_unquoted { &self.unquoted } else { &self.block }
    }

    fn split_line(&mut self, length: usize) {
        self.is_unquoted = false;
        self.fields.clear();
        let mut line = &self.block[self.start..self.start + length];
        if let [rest @ .., b'\r'] = line {
            line = rest;
        }
        if line.is_empty() {
            return;
        }
        split::split(line, self.delimiter, self.start, &mut self.fields);
    }

    fn next_quoted(&mut self) -> Result<bool, ScanError> {
        self.is_unquoted = true;
        loop {
            self.quoted.reset();
            let input = &self.block[self.start..self.end];
            self.unquoted.resize(input.len() + 1, 0);
            self.ends.resize(input.len() + 2, 0);
            let (result, mut read, written, ends) =
                self.quoted.read_record(input, &mut self.unquoted, &mut self.ends);
            let whole = match result {
                ReadRecordResult::Record => true,
                ReadRecordResult::InputEmpty if self.ended => {
                    let (_, _, _, last) =
                        self.quoted.read_record(&[], &mut self.unquoted[written..], &mut self.ends[ends..]);
                    read = input.len();
                    self.refuse_open_quote(input)?;
                    let ends = ends + last;
                    self.take_fields(ends);
                    self.start += read;
                    self.number += 1;
                    return Ok(true);
                }
                _ => false,
            };
            if whole {
                self.take_fields(ends);
                self.start += read;
                self.number += 1;
                return Ok(true);
            }
            self.refill()?;
        }
    }

    /// A mark that opens and never closes would hide all following rows in one cell.
    fn refuse_open_quote(&self, rest: &[u8]) -> Result<(), ScanError> {
        let is_open = memchr_iter(b'"', rest).count() % 2 == 1;
        if is_open && rest.trim_ascii_end().contains(&b'\n') {
            let line = self.number + 1;
            return Err(ScanError::not_a_table(format!(
                "a quotation mark opens in record {line} and never closes"
            )));
        }
        Ok(())
    }

    fn take_fields(&mut self, count: usize) {
        self.fields.clear();
        let mut from = 0;
        for end in &self.ends[..count] {
            self.fields.push(from..*end);
            from = *end;
        }
    }

    fn refill(&mut self) -> Result<(), ScanError> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end >= self.record_bytes {
            let record = self.number + 1;
            return Err(ScanError::too_large(
                format!("record {record} is longer than {} bytes", self.record_bytes),
                self.record_bytes as u64,
            ));
        }
        // A decoder writes no part of a character, which may take four bytes.
        if self.end + 4 > self.block.len() {
            self.block.resize(self.block.len() * 2, 0);
        }
        let read = self.input.read(&mut self.block[self.end..])?;
        self.ended = read == 0;
        self.end += read;
        Ok(())
    }
}
