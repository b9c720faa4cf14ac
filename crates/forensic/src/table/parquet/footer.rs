//! Reads what a Parquet file says of itself at its end, once it is known that believing it takes little memory.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use super::{
    damaged, guarded,
    thrift::{Event, Fault, Walk},
};
use crate::{Limits, ScanError};

const TAIL_BYTES: u64 = 8;
/// About 10,000 row groups of 20 columns; in memory it takes up to 25 times as much.
const MOST_FOOTER_BYTES: u64 = 16 << 20;
const MOST_CHUNKS: u64 = 400_000;
const DEEPEST_GROUP: usize = 64;
/// Each column repeats the names of the groups that it lies in.
const MOST_NAME_BYTES: u64 = 32 << 20;

pub(super) fn read(mut file: &File, limits: &Limits) -> Result<ParquetMetaData, ScanError> {
    let footer = bytes(&mut file)?;
    let mut claims = Claims::default();
    match Walk::over(&footer, &mut |event| claims.add(event)) {
        Ok(_) => {}
        Err(Fault::Short) => return Err(damaged(&"its metadata ends too early")),
        Err(Fault::Odd(what)) => return Err(damaged(&what)),
    }
    claims.check(limits)?;
    let options = ParquetMetaDataOptions::new()
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let metadata = guarded(|| ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options)))?;
    check_rows(&metadata, limits)?;
    Ok(metadata)
}

fn bytes(file: &mut &File) -> Result<Vec<u8>, ScanError> {
    let size = file.seek(SeekFrom::End(0))?;
    let cut_off = || damaged(&"it was cut off: its end is not that of a Parquet file");
    let room = size.checked_sub(TAIL_BYTES + 4).ok_or_else(cut_off)?;
    file.seek(SeekFrom::Start(size - TAIL_BYTES))?;
    let mut tail = [0; TAIL_BYTES as usize];
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    match &magic {
        b"PAR1" => {}
        b"PARE" => return Err(encrypted()),
        _ => return Err(cut_off()),
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > room {
        return Err(damaged(&"its metadata is longer than the file"));
    }
    if length > MOST_FOOTER_BYTES {
        let what = format!("the metadata of the Parquet file has {length} bytes");
        return Err(ScanError::too_large(what, MOST_FOOTER_BYTES));
    }
    file.seek(SeekFrom::Start(size - TAIL_BYTES - length))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    Ok(footer)
}

fn encrypted() -> ScanError {
    ScanError::not_a_table("the Parquet file is encrypted")
}

fn check_rows(metadata: &ParquetMetaData, limits: &Limits) -> Result<(), ScanError> {
    let mut rows = 0_u64;
    for group in metadata.row_groups() {
        let claimed =
            u64::try_from(group.num_rows()).map_err(|_| damaged(&"a row group has less than no rows"))?;
        rows = rows.saturating_add(claimed);
    }
    if rows > limits.rows {
        return Err(ScanError::too_large(format!("the Parquet file has {rows} rows"), limits.rows));
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
        return Err(damaged(&"its row groups have another number of rows than the file"));
    }
    Ok(())
}

const SCHEMA: u64 = 2;
const SCHEMA_NAME: u64 = 0x0204;
const SCHEMA_CHILDREN: u64 = 0x0205;
const CHUNKS: u64 = 0x0401;
const ENCRYPTION: u64 = 8;
const CHUNK_ENCRYPTION: u64 = 0x04_01_08;

/// What the metadata would have a reader take memory for.
#[derive(Default)]
struct Claims {
    elements: Vec<Element>,
    chunks: u64,
    is_encrypted: bool,
}

/// A group or a column of the schema, each followed by its children.
#[derive(Default)]
struct Element {
    children: i64,
    name_bytes: u64,
}

impl Claims {
    fn add(&mut self, event: Event) -> Result<(), &'static str> {
        match event {
            Event::Struct(SCHEMA) => self.elements.push(Element::default()),
            Event::Struct(ENCRYPTION | CHUNK_ENCRYPTION) => self.is_encrypted = true,
            Event::Integer(SCHEMA_CHILDREN, children) => self.last().children = children,
            Event::Bytes(SCHEMA_NAME, length) => self.last().name_bytes = length,
            Event::List(_, length) if length > MOST_CHUNKS => {
                return Err("a list in its metadata is too long");
            }
            Event::List(CHUNKS, length) => {
                self.chunks += length;
                if self.chunks > MOST_CHUNKS {
                    return Err("its columns are cut into too many pieces");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn last(&mut self) -> &mut Element {
        self.elements.last_mut().expect("an element's fields come after its beginning")
    }

    /// Goes through the tree of the schema as a reader would, which calls itself for each group.
    fn check(&self, limits: &Limits) -> Result<(), ScanError> {
        if self.is_encrypted {
            return Err(encrypted());
        }
        let mut open: Vec<(i64, u64)> = Vec::new();
        let (mut columns, mut name_bytes) = (0, 0_u64);
        let elements = i64::try_from(self.elements.len()).unwrap_or(i64::MAX);
        for element in &self.elements {
            let path_bytes = open.last().map_or(0, |(_, bytes)| *bytes) + element.name_bytes + 1;
            if let Some((left, _)) = open.last_mut() {
                *left -= 1;
            }
            if !(0..elements).contains(&element.children) {
                return Err(damaged(&"a group of its schema has more members than there are"));
            }
            if element.children == 0 {
                columns += 1;
                name_bytes += path_bytes;
            }
            open.push((element.children, path_bytes));
            while open.last().is_some_and(|(left, _)| *left == 0) {
                open.pop();
            }
            if open.len() > DEEPEST_GROUP {
                return Err(damaged(&"its schema is nested too deeply"));
            }
        }
        if columns > limits.columns {
            let what = format!("the Parquet file has {columns} columns");
            return Err(ScanError::too_large(what, limits.columns as u64));
        }
        if name_bytes > MOST_NAME_BYTES {
            let what = format!("the names of the Parquet file's columns have {name_bytes} bytes");
            return Err(ScanError::too_large(what, MOST_NAME_BYTES));
        }
        Ok(())
    }
}
