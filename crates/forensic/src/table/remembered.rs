//! A source whose reading is dear, such as a workbook: what was read once is kept, up to a bound, and shown from there.

use std::cell::{Cell as Switch, RefCell};

use super::{Cell, Record, Source, Visit};
use crate::ScanError;

pub(crate) struct Remembered<S> {
    source: S,
    kept: RefCell<Kept>,
    /// Whether everything that the source shows is kept.
    is_whole: Switch<bool>,
}

/// Records one after the other, in fewer bytes than their cells take in memory.
#[derive(Default)]
struct Kept {
    records: usize,
    /// Whole records each: one long buffer would take twice its size while it grows.
    chunks: Vec<Vec<u8>>,
    size_bytes: usize,
}

/// A larger table is read again instead.
const MOST_BYTES: usize = 64 << 20;
/// A chunk that has so much takes no further record.
const CHUNK_BYTES: usize = 1 << 20;

impl<S: Source> Remembered<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, kept: RefCell::default(), is_whole: Switch::new(false) }
    }

    fn read(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let mut kept = Kept::default();
        let (mut fits, mut is_finished) = (true, true);
        self.source.visit(&mut |record| {
            if fits {
                kept.keep(record.cells);
                fits = kept.size_bytes <= MOST_BYTES;
                if !fits {
                    kept = Kept::default();
                }
            }
            let flow = visit(record)?;
            is_finished &= flow.is_continue();
            Ok(flow)
        })?;
        self.is_whole.set(fits && is_finished);
        if self.is_whole.get() {
            *self.kept.borrow_mut() = kept;
        }
        Ok(())
    }
}

impl<S: Source> Source for Remembered<S> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        if self.is_whole.get() { self.kept.borrow().visit(visit) } else { self.read(visit) }
    }

    fn names(&self) -> Option<Vec<String>> {
        self.source.names()
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }
}

impl Kept {
    fn keep(&mut self, cells: &[Cell<'_>]) {
        self.records += 1;
        let has_room = self.chunks.last().is_some_and(|chunk| chunk.len() < CHUNK_BYTES);
        let chunk = if has_room { self.chunks.pop().unwrap_or_default() } else { Vec::new() };
        let before = chunk.len();
        let chunk = postcard::to_extend(cells, chunk).expect("cells have nothing that cannot be written");
        self.size_bytes += chunk.len() - before;
        self.chunks.push(chunk);
    }

    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let mut shown: u32 = 0;
        for chunk in &self.chunks {
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let (cells, after): (Vec<Cell<'_>>, _) =
                    postcard::take_from_bytes(rest).expect("what was written by the same program is read");
                shown += 1;
                let read = f64::from(shown) / self.records as f64;
                if visit(Record { cells: &cells, read })?.is_break() {
                    return Ok(());
                }
                rest = after;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    /// Shows its records and counts how often it was asked for them.
    struct Counted<'a> {
        records: &'a [Vec<Cell<'a>>],
        readings: Switch<usize>,
    }

    impl Source for Counted<'_> {
        fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
            self.readings.set(self.readings.get() + 1);
            for cells in self.records {
                if visit(Record { cells, read: 0.5 })?.is_break() {
                    break;
                }
            }
            Ok(())
        }
    }

    fn shown(source: &impl Source, most: usize) -> Vec<String> {
        let mut shown = Vec::new();
        let visited = source.visit(&mut |record| {
            shown.push(format!("{:?}", record.cells));
            Ok(if shown.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        visited.unwrap();
        shown
    }

    #[test]
    fn what_was_read_to_its_end_is_not_read_again() {
        // Longer than a chunk.
        let long = vec![b'x'; CHUNK_BYTES / 2 + 1];
        let records = [
            vec![Cell::Text(&long)],
            vec![Cell::Text(&long)],
            vec![Cell::Text(b"at"), Cell::Text(b"")],
            vec![Cell::Time(-0.5), Cell::Number(f64::NAN), Cell::Missing],
            vec![],
            vec![Cell::Text(b"\xff\0"), Cell::Number(1e300)],
        ];
        let remembered = Remembered::new(Counted { records: &records, readings: Switch::new(0) });
        let expected: Vec<String> = records.iter().map(|cells| format!("{cells:?}")).collect();
        assert_eq!(shown(&remembered, 2), expected[..2]);
        for _ in 0..3 {
            assert_eq!(shown(&remembered, 9), expected);
        }
        assert_eq!(shown(&remembered, 2), expected[..2]);
        assert_eq!(remembered.source.readings.get(), 2);
    }

    #[test]
    fn a_table_beyond_the_bound_is_read_again() {
        let text = vec![b'x'; 1 << 20];
        let records = vec![vec![Cell::Text(&text)]; 70];
        let remembered = Remembered::new(Counted { records: &records, readings: Switch::new(0) });
        for readings in 1..3 {
            assert_eq!(shown(&remembered, 99).len(), 70);
            assert_eq!(remembered.source.readings.get(), readings);
        }
    }
}
