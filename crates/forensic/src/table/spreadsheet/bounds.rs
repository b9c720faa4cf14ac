//! Looks at what a workbook would expand to, before anything is expanded.

use std::{fs::File, io::Read, path::Path};

use zip::ZipArchive;

use crate::{Limits, ScanError};

const MOST_PARTS: usize = 10_000;
/// Parts this small are harmless however well they were packed.
const UNSUSPICIOUS_BYTES: u64 = 16 << 20;
/// What is not a sheet is held in memory as a whole.
const MOST_HELD_BYTES: u64 = 512 << 20;

/// An XLS file is read into one block of memory for each sheet, from corner to corner.
const MOST_XLS_BYTES: u64 = 256 << 20;
const MOST_XLS_CELLS: u64 = 20_000_000;

/// Refuses archives that would grow beyond the limits. The reader of the parts fails as soon as one grows beyond
/// its declared size, so the declared sizes are a bound.
pub(super) fn check_xlsx(file: &Path, limits: &Limits) -> Result<(), ScanError> {
    let damaged =
        |error: &dyn std::error::Error| ScanError::not_a_table(format!("the workbook is damaged: {error}"));
    let mut archive = ZipArchive::new(File::open(file)?).map_err(|error| damaged(&error))?;
    if archive.len() > MOST_PARTS {
        return Err(ScanError::too_large(
            format!("the workbook has {} parts", archive.len()),
            MOST_PARTS as u64,
        ));
    }
    let mut is_workbook = false;
    let (mut total, mut held) = (0_u64, 0_u64);
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
        let name = part.name().map_err(|error| damaged(&error))?.into_owned();
        let (size, packed) = (part.size(), part.compressed_size());
        if size > UNSUSPICIOUS_BYTES && size / packed.max(1) > limits.packing_ratio {
            let what = format!("part {name} of the workbook expands {} times", size / packed.max(1));
            return Err(ScanError::too_large(what, limits.packing_ratio));
        }
        is_workbook |= name.eq_ignore_ascii_case("xl/workbook.xml");
        total = total.saturating_add(size);
        if !name.starts_with("xl/worksheets/") {
            held = held.saturating_add(size);
        }
    }
    if !is_workbook {
        return Err(ScanError::not_a_table("it is a zip archive without an XLSX workbook in it"));
    }
    if total > limits.unpacked_bytes {
        return Err(ScanError::too_large(
            format!("the workbook expands to {total} bytes"),
            limits.unpacked_bytes,
        ));
    }
    if held > MOST_HELD_BYTES {
        let what = format!("what is not a sheet in the workbook expands to {held} bytes");
        return Err(ScanError::too_large(what, MOST_HELD_BYTES));
    }
    Ok(())
}

/// Refuses workbooks whose sheets reach further than fits into memory. A sheet with two cells in opposite corners
/// is a file of a few bytes and an allocation of a hundred gigabytes.
pub(super) fn check_xls(file: &Path) -> Result<(), ScanError> {
    let size = file.metadata()?.len();
    if size > MOST_XLS_BYTES {
        return Err(ScanError::too_large(format!("the XLS file has {size} bytes"), MOST_XLS_BYTES));
    }
    let damaged = |error: std::io::Error| ScanError::not_a_table(format!("the workbook is damaged: {error}"));
    let mut compound = cfb::CompoundFile::open(File::open(file)?).map_err(damaged)?;
    if compound.is_stream("/EncryptedPackage") {
        return Err(ScanError::not_a_table("the workbook is protected by a password"));
    }
    let Some(name) = ["/Workbook", "/Book"].into_iter().find(|name| compound.is_stream(name)) else {
        return Err(ScanError::not_a_table("it is an Office file without an XLS workbook in it"));
    };
    let mut records = Vec::new();
    let stream = compound.open_stream(name).map_err(damaged)?;
    stream.take(MOST_XLS_BYTES).read_to_end(&mut records).map_err(damaged)?;
    let cells = spanned_cells(&records);
    if cells > MOST_XLS_CELLS {
        return Err(ScanError::too_large(format!("the sheets span {cells} cells"), MOST_XLS_CELLS));
    }
    Ok(())
}

/// Returns the sheets times the cells of the widest box that any cell or declaration reaches to.
fn spanned_cells(mut records: &[u8]) -> u64 {
    let (mut sheets, mut rows, mut columns) = (0_u64, 0_u64, 0_u64);
    while let Some((header, rest)) = records.split_at_checked(4) {
        let number = |bytes: &[u8], at: usize| {
            bytes.get(at..at + 2).map_or(0, |pair| u64::from(u16::from_le_bytes([pair[0], pair[1]])))
        };
        let (kind, length) = (number(header, 0), usize::from(u16::from_le_bytes([header[2], header[3]])));
        let Some((record, rest)) = rest.split_at_checked(length) else { break };
        match kind {
            0x0085 => sheets += 1,
            0x0200 => {
                let (first, last) = (number(record, 4) | number(record, 6) << 16, number(record, 10));
                let (wide_rows, narrow_rows) = (first, number(record, 2));
                rows = rows.max(if length >= 14 { wide_rows } else { narrow_rows });
                columns = columns.max(if length >= 14 { last } else { number(record, 6) });
            }
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | 0x00FD | 0x0006 => {
                rows = rows.max(number(record, 0) + 1);
                columns = columns.max(number(record, 2) + 1);
            }
            0x00BD => {
                rows = rows.max(number(record, 0) + 1);
                columns = columns.max(number(record, length.saturating_sub(2)) + 1);
            }
            _ => {}
        }
        records = rest;
    }
    // Several sheets may share one stretch of the file, so every one may have the widest box.
    sheets.max(1).saturating_mul(rows).saturating_mul(columns)
}
