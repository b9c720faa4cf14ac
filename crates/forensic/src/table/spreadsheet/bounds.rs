//! Looks at what a workbook would expand to, before anything is expanded.

use std::{
    fs::File,
    io::{Cursor, Read, Write as _},
    path::Path,
};

use memchr::memmem;
use zip::ZipArchive;

use crate::{Limits, ScanError};

const MOST_PARTS: usize = 10_000;
/// The list of shared strings begins within this much, or it is no such list.
const STRINGS_HEAD_BYTES: u64 = 64 << 10;
/// Room for this many strings is harmless, so writers that miscount a little are forgiven.
const UNSUSPICIOUS_STRINGS: u64 = 1_000_000;
/// Bytes of `<si/>`, rounded down.
const FEWEST_STRING_BYTES: u64 = 4;
/// Parts this small are harmless however well they were packed.
const UNSUSPICIOUS_BYTES: u64 = 16 << 20;
/// What is not a sheet is held in memory as a whole.
/// They take about ten times their size there.
const MOST_HELD_BYTES: u64 = 64 << 20;

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
        drop(part);
        if name.to_ascii_lowercase().ends_with("sharedstrings.xml") {
            let mut head = Vec::new();
            let part = archive.by_index(index).map_err(|error| damaged(&error))?;
            part.take(STRINGS_HEAD_BYTES).read_to_end(&mut head).map_err(|error| damaged(&error))?;
            check_strings(&head, size)?;
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

/// Refuses a list of strings that claims more than its part has room for: the room is taken before they are read.
///
/// Only `uniqueCount` is believed by the reader; `count` is rightly larger where strings repeat.
fn check_strings(head: &[u8], size: u64) -> Result<(), ScanError> {
    let damaged = || ScanError::not_a_table("the workbook is damaged: its shared strings begin oddly");
    let mut tag = root_tag(head).ok_or_else(damaged)?;
    while let Some(place) = memmem::find(tag, b"uniqueCount") {
        tag = &tag[place + b"uniqueCount".len()..];
        let Some(value) = tag.trim_ascii_start().strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        let value = match value.split_first() {
            Some((quote @ (b'"' | b'\''), rest)) => rest.split(|byte| byte == quote).next().unwrap_or(rest),
            _ => return Err(damaged()),
        };
        let count: Option<u64> = str::from_utf8(value).ok().and_then(|digits| digits.trim().parse().ok());
        let most = (size / FEWEST_STRING_BYTES).max(UNSUSPICIOUS_STRINGS);
        match count {
            None => return Err(damaged()),
            Some(count) if count > most => {
                return Err(ScanError::too_large(
                    format!("the workbook claims {count} shared strings"),
                    most,
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Returns the inside of the tag `sst` that a list of strings begins with; nothing but remarks may come before it.
fn root_tag(head: &[u8]) -> Option<&[u8]> {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    loop {
        rest = rest.trim_ascii_start();
        let (inside, end): (_, &[u8]) = if let Some(inside) = rest.strip_prefix(b"<!--") {
            // Parsers disagree on where such a remark ends.
            if inside.starts_with(b">") || inside.starts_with(b"->") {
                return None;
            }
            (inside, b"-->")
        } else if let Some(inside) = rest.strip_prefix(b"<?") {
            (inside, b"?>")
        } else {
            break;
        };
        rest = &inside[memmem::find(inside, end)? + end.len()..];
    }
    let tag = rest.strip_prefix(b"<")?;
    let mut quote = None;
    let end = tag.iter().position(|byte| {
        match (quote, *byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        quote.is_none() && *byte == b'>'
    })?;
    let tag = &tag[..end];
    let name = tag.split(|byte| byte.is_ascii_whitespace() || *byte == b'/').next()?;
    let local = name.rsplit(|byte| *byte == b':').next()?;
    (local == b"sst").then_some(tag)
}

/// Returns a container that holds nothing but the workbook of an XLS file.
///
/// Workbooks whose sheets reach further than fits into memory are refused: a sheet with two cells in opposite corners
/// is a file of a few bytes and an allocation of a hundred gigabytes. What was checked is packed anew, since two
/// readers can find different streams in one container.
pub(super) fn checked_xls(file: &Path) -> Result<Cursor<Vec<u8>>, ScanError> {
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
    if stream.len() > size {
        return Err(ScanError::not_a_table("the workbook is damaged: its stream is longer than the file"));
    }
    stream.take(MOST_XLS_BYTES).read_to_end(&mut records).map_err(damaged)?;
    let cells = spanned_cells(&records)?;
    if cells > MOST_XLS_CELLS {
        return Err(ScanError::too_large(format!("the sheets span {cells} cells"), MOST_XLS_CELLS));
    }
    repacked(&records).map_err(damaged)
}

fn repacked(workbook: &[u8]) -> std::io::Result<Cursor<Vec<u8>>> {
    let mut compound = cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new()))?;
    compound.create_stream("/Workbook")?.write_all(workbook)?;
    compound.flush()?;
    let mut packed = compound.into_inner();
    packed.set_position(0);
    Ok(packed)
}

/// Returns the sheets times the cells of the widest box that any cell or declaration reaches to.
fn spanned_cells(mut records: &[u8]) -> Result<u64, ScanError> {
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
                let wide = |at| number(record, at) | number(record, at + 2) << 16;
                // BIFF8 writes rows in four bytes, earlier versions in two.
                let (first_row, last_row, from_column) = match length {
                    14 | 16 => (wide(0), wide(4), 8),
                    10 => (number(record, 0), number(record, 2), 4),
                    _ => {
                        return Err(ScanError::not_a_table(
                            "the workbook is damaged: a sheet's size is written oddly",
                        ));
                    }
                };
                let (first_column, last_column) =
                    (number(record, from_column), number(record, from_column + 2));
                if first_row > last_row || first_column > last_column {
                    return Err(ScanError::not_a_table(
                        "the workbook is damaged: a sheet ends before it begins",
                    ));
                }
                rows = rows.max(last_row);
                columns = columns.max(last_column);
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
    Ok(sheets.max(1).saturating_mul(rows).saturating_mul(columns))
}
