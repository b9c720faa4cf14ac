//! The pages of one column of a row group. Foreign code takes room for what a page claims to hold, so each claim is
//! checked first: against the bytes that are there, and against what all columns together may hold.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parquet::{
    basic::{Encoding, Type},
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::{metadata::ColumnChunkMetaData, properties::ReaderProperties, reader::SerializedPageReader},
    schema::types::ColumnDescriptor,
};

use super::{chunk::Chunk, guarded};
use crate::ScanError;

/// The pages and dictionaries that all columns hold at a time.
const MOST_HELD_BYTES: u64 = 384 << 20;
/// A value of a dictionary as the decoder keeps it.
const HELD_VALUE_BYTES: u64 = 32;

/// Opens a column's pages.
pub(super) fn open(
    file: &Arc<File>,
    chunk: &ColumnChunkMetaData,
    rows: usize,
    budget: &Arc<Budget>,
    place: usize,
) -> std::result::Result<Box<dyn PageReader>, ScanError> {
    // Else a page of lz4 that is not framed as it should be is tried in another framing, which has no bound.
    let properties = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
    let reader = Arc::new(Chunk::new(file, chunk.compression())?);
    let pages = guarded(|| {
        SerializedPageReader::new_with_properties(reader, chunk, rows, None, Arc::new(properties))
    })?;
    let (descriptor, budget) = (chunk.column_descr_ptr(), Arc::clone(budget));
    Ok(Box::new(Checked { pages, descriptor, budget, place, dictionary: 0 }))
}

/// What the columns of a row group hold, in bytes.
pub(super) struct Budget {
    held: AtomicU64,
    /// Of each column, its dictionary and the page that it is in.
    lasting: Vec<AtomicU64>,
}

impl Budget {
    pub(super) fn new(columns: usize) -> Self {
        Self { held: AtomicU64::new(0), lasting: (0..columns).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Forgets the pages that only the rows before this held.
    pub(super) fn begin_batch(&self) {
        let lasting = self.lasting.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum();
        self.held.store(lasting, Ordering::Relaxed);
    }

    fn hold(&self, place: usize, bytes: u64, lasting: u64) -> Result<()> {
        self.lasting[place].store(lasting, Ordering::Relaxed);
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > MOST_HELD_BYTES {
            let what = format!("the pages of the Parquet file that are needed at a time take {held} bytes");
            return Err(refusal(ScanError::too_large(what, MOST_HELD_BYTES)));
        }
        Ok(())
    }
}

pub(super) fn refusal(error: ScanError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

pub(super) fn odd(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// Pages whose claims have been checked.
struct Checked {
    pages: SerializedPageReader<Chunk>,
    descriptor: Arc<ColumnDescriptor>,
    budget: Arc<Budget>,
    place: usize,
    dictionary: u64,
}

impl Checked {
    fn check(&mut self, page: &Page) -> Result<()> {
        let bytes = page.buffer().len() as u64;
        if let Page::DictionaryPage { num_values, .. } = page {
            let values = u64::from(*num_values);
            if values > bytes / self.fewest_bytes() {
                return Err(odd("a dictionary claims more values than it has room for"));
            }
            self.dictionary = bytes + values * HELD_VALUE_BYTES;
            return self.budget.hold(self.place, self.dictionary, self.dictionary);
        }
        self.check_lengths(page)?;
        self.budget.hold(self.place, bytes, self.dictionary + bytes)
    }

    /// Bytes that one value takes at least.
    fn fewest_bytes(&self) -> u64 {
        match self.descriptor.physical_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(self.descriptor.type_length()).unwrap_or(1).max(1),
        }
    }

    /// The lengths of texts may come first, as a list that claims its own length.
    fn check_lengths(&self, page: &Page) -> Result<()> {
        match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {}
            // A value repeats the beginning of the one before it, so that a small page may come to any size.
            Encoding::DELTA_BYTE_ARRAY => {
                return Err(refusal(ScanError::not_a_table(
                    "the Parquet file has the encoding DELTA_BYTE_ARRAY, which is not read",
                )));
            }
            _ => return Ok(()),
        }
        if self.descriptor.physical_type() != Type::BYTE_ARRAY {
            return Err(odd("a column has an encoding that its type does not have"));
        }
        let levels = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
            }
            Page::DataPage { def_level_encoding, .. } if self.descriptor.max_def_level() > 0 => {
                let length = page.buffer().first_chunk::<4>().map(|length| u32::from_le_bytes(*length));
                match (def_level_encoding, length) {
                    (Encoding::RLE, Some(length)) => 4 + u64::from(length),
                    _ => return Err(odd("a page has levels that are not read")),
                }
            }
            _ => 0,
        };
        let lengths = page.buffer().get(usize::try_from(levels)?..).unwrap_or_default();
        if claimed_lengths(lengths).is_none_or(|claimed| claimed > u64::from(page.num_values())) {
            return Err(odd("a page claims more texts than it has values"));
        }
        Ok(())
    }
}

/// Returns the third number: after the size of a block and the number of its parts, that of all values.
fn claimed_lengths(bytes: &[u8]) -> Option<u64> {
    let mut numbers = [0_u64; 3];
    let mut bytes = bytes.iter();
    for number in &mut numbers {
        for shift in (0..63).step_by(7) {
            let byte = *bytes.next()?;
            *number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            if shift == 56 {
                return None;
            }
        }
    }
    Some(numbers[2])
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(odd("pages are read one after another"))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(odd("pages are read one after another"))
    }
}
