//! JSON objects as rows: one a line, in one array, or one after another however they are laid out. Nothing is held
//! but the row at hand; `row.rs` says what a member becomes.

use std::{
    cell::{Cell as Shared, RefCell},
    ops::ControlFlow,
};

use serde::de::DeserializeSeed;

use super::{
    Record, Source, Visit,
    packed::{TextFile, TextStream, fault},
};
use crate::{Limits, ScanError};
use lines::Lines;
use metered::{Meter, Metered};
use row::{Columns, Row};

mod lines;
mod metered;
mod row;
#[cfg(test)]
mod tests;

/// A file of JSON objects whose members' names have all been seen.
pub(crate) struct JsonLines<'p> {
    text: TextFile<'p>,
    layout: Layout,
    record_bytes: usize,
    columns: RefCell<Columns>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Each object has a line of its own: read as a slice, which is several times faster.
    Lines,
    /// Objects one after another, or in an array.
    Stream,
}

/// What is done with each row; `Break` ends the reading.
type Take<'v> = dyn FnMut(&Row, &Columns, f64) -> Result<ControlFlow<()>, ScanError> + 'v;

impl<'p> JsonLines<'p> {
    /// Reads the file once, to learn which members there are.
    pub(crate) fn open(text: TextFile<'p>, limits: &Limits) -> Result<Self, ScanError> {
        let mut opened = Self {
            text,
            layout: Layout::Lines,
            record_bytes: limits.record_bytes,
            columns: RefCell::new(Columns::up_to(limits.columns, limits.record_bytes)),
        };
        let mut lines = Lines::new(opened.text.open()?, limits.record_bytes)?;
        let is_by_line = matches!(lines.next(), Ok(Some(line)) if is_object(line));
        opened.layout = if is_by_line { Layout::Lines } else { Layout::Stream };
        drop(lines);
        let mut rows = 0_u64;
        opened.each(&mut |_, _, _| {
            rows += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        let has_columns = !opened.columns.get_mut().is_empty();
        match rows {
            0 => Err(ScanError::not_a_table("it has no JSON objects")),
            _ if !has_columns => Err(ScanError::not_a_table("its JSON objects have no members")),
            _ => Ok(opened),
        }
    }

    fn each(&self, take: &mut Take<'_>) -> Result<(), ScanError> {
        match self.layout {
            Layout::Lines => self.each_line(take),
            Layout::Stream => self.each_in_stream(take),
        }
    }

    fn each_line(&self, take: &mut Take<'_>) -> Result<(), ScanError> {
        let mut lines = Lines::new(self.text.open()?, self.record_bytes)?;
        let mut columns = self.columns.borrow_mut();
        let mut row = Row::default();
        while let Some(line) = lines.next()? {
            row.clear();
            let mut reader = serde_json::Deserializer::from_slice(line);
            let read = row.filler(&mut columns).deserialize(&mut reader).and_then(|()| reader.end());
            if let Err(error) = read {
                return Err(row.fault.take().unwrap_or_else(|| malformed(&error, lines.number)));
            }
            if take(&row, &columns, lines.share())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn each_in_stream(&self, take: &mut Take<'_>) -> Result<(), ScanError> {
        let meter = Meter { since_row: Shared::new(0), share: Shared::new(0.0) };
        let input = Metered::new(self.text.open()?, self.record_bytes, &meter)?;
        let mut reader = serde_json::Deserializer::from_reader(input);
        let mut columns = self.columns.borrow_mut();
        let mut row = Row::default();
        let mut stopped = None;
        let mut taken = |row: &Row, columns: &Columns| {
            meter.since_row.set(0);
            match take(row, columns, meter.share.get()) {
                Ok(ControlFlow::Continue(())) => true,
                Ok(ControlFlow::Break(())) => {
                    stopped = Some(Ok(()));
                    false
                }
                Err(error) => {
                    stopped = Some(Err(error));
                    false
                }
            }
        };
        let read = loop {
            match reader.end() {
                Ok(()) => break Ok(()),
                Err(error) if error.is_io() => break Err(error),
                // Something is left: the next object or array.
                Err(_) => {}
            }
            if let Err(error) = row.stream(&mut columns, &mut taken).deserialize(&mut reader) {
                break Err(error);
            }
        };
        match (stopped, row.fault, read) {
            (Some(stopped), _, _) => stopped,
            (None, Some(fault), _) => Err(fault),
            (None, None, Ok(())) => Ok(()),
            (None, None, Err(error)) if error.is_io() => Err(fault(error.into())),
            (None, None, Err(error)) => Err(malformed(&error, error.line() as u64)),
        }
    }
}

impl Source for JsonLines<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        self.each(&mut |row, columns, read| {
            let cells = row.cells(columns);
            visit(Record { cells: &cells, read })
        })
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.columns.borrow().names().to_vec())
    }
}

fn is_object(line: &[u8]) -> bool {
    let is_begun = line.trim_ascii_start().starts_with(b"{");
    is_begun && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// The text of a fault names line and column of what was parsed, which may be one line of many.
fn malformed(error: &serde_json::Error, line: u64) -> ScanError {
    let sentence = error.to_string();
    let what = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(what, _)| what);
    ScanError::not_a_table(format!(
        "line {line} is not as JSON should be: {what}, at column {}",
        error.column()
    ))
}

/// UTF-8 may begin with a byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

type Stream<'t, 'p> = TextStream<'t, 'p>;
