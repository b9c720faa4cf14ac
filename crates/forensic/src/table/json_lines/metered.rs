//! A text that is read byte by byte, and that ends with a fault where one row takes too much of it.

use std::{
    cell::Cell as Shared,
    io::{self, BufRead, BufReader, Read},
};

use super::{BYTE_ORDER_MARK, Stream, fault};
use crate::ScanError;

/// What whoever takes the rows knows of the reading.
pub(super) struct Meter {
    pub(super) since_row: Shared<usize>,
    pub(super) share: Shared<f64>,
}

pub(super) struct Metered<'m, 't, 'p> {
    input: BufReader<Stream<'t, 'p>>,
    most_bytes: usize,
    meter: &'m Meter,
}

const BLOCK_BYTES: usize = 64 << 10;

impl<'m, 't, 'p> Metered<'m, 't, 'p> {
    pub(super) fn new(
        stream: Stream<'t, 'p>,
        most_bytes: usize,
        meter: &'m Meter,
    ) -> Result<Self, ScanError> {
        let mut input = BufReader::with_capacity(BLOCK_BYTES, stream);
        if input.fill_buf().map_err(fault)?.starts_with(BYTE_ORDER_MARK) {
            input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { input, most_bytes, meter })
    }
}

impl Read for Metered<'_, '_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.buffer().is_empty() {
            self.meter.share.set(self.input.get_ref().share());
        }
        let read = self.input.read(into)?;
        let since_row = self.meter.since_row.get() + read;
        self.meter.since_row.set(since_row);
        if since_row > self.most_bytes {
            let what = format!("one of the JSON objects is longer than {} bytes", self.most_bytes);
            return Err(io::Error::other(ScanError::too_large(what, self.most_bytes as u64)));
        }
        Ok(read)
    }
}
