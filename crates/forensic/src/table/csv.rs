//! Delimited text: finds the delimiter, splits records, and never holds more than one record.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use csv_core::ReadRecordResult;
use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};
use memchr::{memchr_iter, memchr2};

use super::{Cell, Record, Source, Visit};
use crate::{Limits, ScanError};

/// A file of delimited text whose first bytes have been looked at.
pub(crate) struct DelimitedText {
    path: PathBuf,
    size: u64,
    encoding: Encoding,
    delimiter: u8,
    record_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Encoding {
    /// UTF-8 or Windows-1252: they share the bytes that shape a table, and cells are decoded one by one.
    Bytes {
        mark: u64,
    },
    Utf16(&'static encoding_rs::Encoding),
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const SNIFFED_BYTES: usize = 64 << 10;
const SNIFFED_RECORDS: usize = 50;
const BLOCK_BYTES: usize = 256 << 10;

impl DelimitedText {
    /// Takes the file for delimited text if its first bytes allow it.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, ScanError> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(SNIFFED_BYTES as u64).read_to_end(&mut head)?;
        let encoding = match head.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => Encoding::Bytes { mark: 3 },
            [0xFF, 0xFE, ..] => Encoding::Utf16(UTF_16LE),
            [0xFE, 0xFF, ..] => Encoding::Utf16(UTF_16BE),
            _ => Encoding::Bytes { mark: 0 },
        };
        if matches!(encoding, Encoding::Bytes { .. }) && looks_binary(&head) {
            return Err(ScanError::not_a_table("it holds binary data, not text"));
        }
        let mut text = Self {
            path: path.to_owned(),
            size,
            encoding,
            delimiter: b',',
            record_bytes: limits.record_bytes,
        };
        text.delimiter = text.find_delimiter()?;
        Ok(text)
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

    fn records(&self, delimiter: u8) -> Result<Records, ScanError> {
        let mut file = File::open(&self.path)?;
        let input = match self.encoding {
            Encoding::Bytes { mark } => {
                file.seek(SeekFrom::Start(mark))?;
                Input::Bytes(file)
            }
            Encoding::Utf16(encoding) => Input::Utf16 {
                file,
                decoder: encoding.new_decoder_with_bom_removal(),
                raw: Vec::new(),
                ended: false,
                finished: false,
            },
        };
        Ok(Records {
            input,
            delimiter,
            quoted: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            ended: false,
            bytes_read: 0,
            record_bytes: self.record_bytes,
            number: 0,
            fields: Vec::new(),
            unquoted: Vec::new(),
            is_unquoted: false,
            ends: Vec::new(),
        })
    }
}

impl Source for DelimitedText {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let mut records = self.records(self.delimiter)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        // UTF-16 takes about two bytes for each byte read here.
        let size = if matches!(self.encoding, Encoding::Utf16(_)) { self.size / 2 } else { self.size };
        while records.next()? {
            std::mem::swap(&mut ranges, &mut records.fields);
            let bytes = records.bytes();
            let cells: Vec<Cell<'_>> = ranges.iter().map(|range| Cell::Text(&bytes[range.clone()])).collect();
            let read = records.bytes_read as f64 / size.max(1) as f64;
            if visit(Record { cells: &cells, read: read.min(1.0) })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A control character that no text has, or a zero byte.
fn looks_binary(head: &[u8]) -> bool {
    head.iter().any(|byte| matches!(byte, 0..=6 | 14..=26))
}

enum Input {
    Bytes(File),
    Utf16 { file: File, decoder: Decoder, raw: Vec<u8>, ended: bool, finished: bool },
}

impl Input {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ScanError> {
        match self {
            Self::Bytes(file) => Ok(file.read(into)?),
            // A decoder must not be asked again once it has taken the end of the text.
            Self::Utf16 { finished: true, .. } => Ok(0),
            Self::Utf16 { file, decoder, raw, ended, finished } => loop {
                if raw.is_empty() && !*ended {
                    Read::by_ref(file).take(SNIFFED_BYTES as u64).read_to_end(raw)?;
                    *ended = raw.is_empty();
                }
                let (result, taken, written, _) = decoder.decode_to_utf8(raw, into, *ended);
                raw.drain(..taken);
                *finished = *ended && result == CoderResult::InputEmpty;
                if written > 0 || *finished {
                    return Ok(written);
                }
            },
        }
    }
}

/// Splits a stream into records. Lines without a quotation mark take the short way.
struct Records {
    input: Input,
    delimiter: u8,
    quoted: csv_core::Reader,
    block: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    bytes_read: u64,
    record_bytes: usize,
    number: u64,
    fields: Vec<Range<usize>>,
    unquoted: Vec<u8>,
    is_unquoted: bool,
    ends: Vec<usize>,
}

impl Records {
    /// Moves on to the next record that is not blank; false at the end.
    fn next(&mut self) -> Result<bool, ScanError> {
        let mut searched = 0;
        loop {
            let unread = &self.block[self.start..self.end];
            match memchr2(b'\n', b'"', &unread[searched..]) {
                Some(at) if unread[searched + at] == b'\n' => {
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
        let mut from = self.start;
        for (at, byte) in line.iter().enumerate() {
            if *byte == self.delimiter {
                self.fields.push(from..self.start + at);
                from = self.start + at + 1;
            }
        }
        self.fields.push(from..self.start + line.len());
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
        self.bytes_read += read as u64;
        Ok(())
    }
}
