//! Parquet files: read row group by row group, a few rows of every column at a time. What the file claims of itself is
//! checked before any of it is believed; `footer.rs` and `pages.rs` say how.

use std::{
    fs::File,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use parquet::{errors::ParquetError, file::metadata::ParquetMetaData};
use sentinelflow_domain::scan::ScanProgress;

use super::{Cell, Record, Source, Visit, watched::Watch};
use crate::{Limits, ScanError};
use column::ColumnCells;
use pages::Budget;
use schema::{Leaf, leaves};

mod chunk;
mod column;
mod footer;
mod pages;
mod schema;
mod thrift;

pub(crate) struct ParquetFile<'p> {
    file: Arc<File>,
    metadata: ParquetMetaData,
    leaves: Vec<Leaf>,
    record_bytes: usize,
    text_bytes: u64,
    watch: Watch<'p>,
}

/// Rows read of every column at a time, unless they are large.
const MOST_ROWS: usize = 4_096;
/// Cells read at a time, and bytes that they should take.
const MOST_CELLS: usize = 1 << 20;
const BATCH_BYTES: usize = 8 << 20;

impl<'p> ParquetFile<'p> {
    pub(crate) fn open(
        path: &Path,
        limits: &Limits,
        progress: &'p dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let file = File::open(path)?;
        let metadata = footer::read(&file, limits)?;
        let leaves = leaves(metadata.file_metadata().schema_descr());
        if leaves.is_empty() {
            return Err(ScanError::not_a_table("the Parquet file has no columns"));
        }
        if metadata.file_metadata().num_rows() == 0 {
            return Err(ScanError::not_a_table("the Parquet file has no rows"));
        }
        Ok(Self {
            file: Arc::new(file),
            metadata,
            leaves,
            record_bytes: limits.record_bytes,
            text_bytes: limits.bytes,
            watch: Watch::new(progress),
        })
    }

    /// Shows the rows of one row group; `done` rows of the file come before them, and `texts` bytes of text.
    fn visit_group(
        &self,
        group: usize,
        done: &mut u64,
        texts: &mut u64,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let metadata = self.metadata.row_group(group);
        let rows =
            usize::try_from(metadata.num_rows()).map_err(|_| damaged(&"a row group has too many rows"))?;
        let budget = Arc::new(Budget::new(self.leaves.len()));
        let mut columns = Vec::with_capacity(self.leaves.len());
        for (place, leaf) in self.leaves.iter().enumerate() {
            columns.push(match leaf.column {
                Some(column) => {
                    let pages = pages::open(&self.file, metadata.column(column), rows, &budget, place)?;
                    Some(ColumnCells::new(metadata.column(column).column_descr_ptr(), pages))
                }
                None => None,
            });
        }
        let bytes_a_row = usize::try_from(metadata.total_byte_size()).unwrap_or(usize::MAX) / rows.max(1);
        let batch = (BATCH_BYTES / bytes_a_row.max(1)).min(MOST_CELLS / columns.len()).clamp(1, MOST_ROWS);
        let all = self.metadata.file_metadata().num_rows().max(1) as f64;
        let mut left = rows;
        while left > 0 {
            self.watch.look()?;
            budget.begin_batch();
            let now = left.min(batch);
            for (column, leaf) in columns.iter_mut().zip(&self.leaves) {
                let Some(column) = column else { continue };
                let read = guarded(|| column.read(now)).map_err(|error| placed(error, &leaf.name, *done))?;
                if read < now {
                    let row = *done + read as u64 + 1;
                    return Err(damaged(&format!("column “{}” ends before row {row}", leaf.name)));
                }
            }
            for row in 0..now {
                let cells: Vec<Cell<'_>> = columns
                    .iter()
                    .map(|column| column.as_ref().map_or(Cell::Missing, |c| c.cell(row)))
                    .collect();
                *done += 1;
                *texts += self.check_texts(&cells, *done, *texts)?;
                if visit(Record { cells: &cells, read: *done as f64 / all })?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            left -= now;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Many cells may share one long text of a dictionary, so a row, or all of them, can be far longer than the file.
    fn check_texts(&self, cells: &[Cell<'_>], row: u64, before: u64) -> Result<u64, ScanError> {
        let texts = cells.iter().map(|cell| if let Cell::Text(text) = cell { text.len() } else { 0 });
        let bytes = texts.sum::<usize>();
        if bytes > self.record_bytes {
            let what = format!("row {row} is longer than {} bytes", self.record_bytes);
            return Err(ScanError::too_large(what, self.record_bytes as u64));
        }
        if before + bytes as u64 > self.text_bytes {
            let what = format!("the texts up to row {row} take more than {} bytes", self.text_bytes);
            return Err(ScanError::too_large(what, self.text_bytes));
        }
        Ok(bytes as u64)
    }
}

impl Source for ParquetFile<'_> {
    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let (mut done, mut texts) = (0, 0);
        for group in 0..self.metadata.num_row_groups() {
            if self.visit_group(group, &mut done, &mut texts, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.leaves.iter().map(|leaf| leaf.name.clone()).collect())
    }

    fn notes(&self) -> Vec<String> {
        schema::unread_note(&self.leaves).into_iter().collect()
    }
}

fn damaged(what: &dyn std::fmt::Display) -> ScanError {
    ScanError::not_a_table(format!("the Parquet file is damaged: {what}"))
}

/// Says where it was that a file could not be read.
fn placed(error: ScanError, column: &str, rows: u64) -> ScanError {
    match error {
        ScanError::NotATable { reason } => ScanError::not_a_table(format!(
            "{reason}, in column “{}” somewhere after row {rows}",
            super::shown::shown(column)
        )),
        other => other,
    }
}

fn refused(error: ParquetError) -> ScanError {
    // What our own checks found is carried through the foreign code.
    if let ParquetError::External(cause) = error {
        return match cause.downcast::<ScanError>() {
            Ok(refusal) => *refusal,
            Err(cause) => damaged(&cause),
        };
    }
    if let ParquetError::NYI(what) = error {
        return ScanError::not_a_table(format!("the Parquet file has what is not read: {what}"));
    }
    let sentence = error.to_string();
    damaged(&sentence.split_once(": ").map_or(sentence.as_str(), |(_, what)| what))
}

/// Runs foreign parsing code: a crafted file that makes it panic is a bad file, not the end of the server.
fn guarded<T>(parse: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ScanError> {
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(parsed) => parsed.map_err(refused),
        Err(_) => Err(damaged(&"it cannot be decoded")),
    }
}
