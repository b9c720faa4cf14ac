//! Splits a text into lines, of which one is held at a time.

use std::io::Read;

use memchr::memchr;

use super::{BYTE_ORDER_MARK, Stream, fault};
use crate::ScanError;

const BLOCK_BYTES: usize = 256 << 10;

pub(super) struct Lines<'t, 'p> {
    stream: Stream<'t, 'p>,
    block: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    most_bytes: usize,
    /// Of the line at hand, counted from 1.
    pub(super) number: u64,
}

impl<'t, 'p> Lines<'t, 'p> {
    pub(super) fn new(stream: Stream<'t, 'p>, most_bytes: usize) -> Result<Self, ScanError> {
        let block = vec![0; BLOCK_BYTES];
        let mut lines = Self { stream, block, start: 0, end: 0, ended: false, most_bytes, number: 0 };
        while lines.end < BYTE_ORDER_MARK.len() && !lines.ended {
            lines.refill()?;
        }
        if lines.block[..lines.end].starts_with(BYTE_ORDER_MARK) {
            lines.start = BYTE_ORDER_MARK.len();
        }
        Ok(lines)
    }

    pub(super) fn share(&self) -> f64 {
        self.stream.share()
    }

    /// Moves on to the next line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ScanError> {
        loop {
            let Some(length) = self.find_end()? else { return Ok(None) };
            let start = self.start;
            self.start = (start + length + 1).min(self.end);
            self.number += 1;
            if !self.block[start..start + length].trim_ascii().is_empty() {
                return Ok(Some(&self.block[start..start + length]));
            }
        }
    }

    /// Returns the length of the line that begins at `start`, or nothing where the text has ended.
    fn find_end(&mut self) -> Result<Option<usize>, ScanError> {
        let mut searched = 0;
        loop {
            let unread = &self.block[self.start..self.end];
            if let Some(at) = memchr(b'\n', &unread[searched..]) {
                return Ok(Some(searched + at));
            }
            if self.ended {
                return Ok((!unread.is_empty()).then_some(unread.len()));
            }
            searched = unread.len();
            self.refill()?;
        }
    }

    fn refill(&mut self) -> Result<(), ScanError> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end >= self.most_bytes {
            let what = format!("line {} is longer than {} bytes", self.number + 1, self.most_bytes);
            return Err(ScanError::too_large(what, self.most_bytes as u64));
        }
        if self.end == self.block.len() {
            self.block.resize(self.block.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.block[self.end..]).map_err(fault)?;
        self.ended = read == 0;
        self.end += read;
        Ok(())
    }
}
