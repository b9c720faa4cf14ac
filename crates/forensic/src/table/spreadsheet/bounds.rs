//! Looks at what an XLSX workbook would expand to, before anything is expanded.

use std::{io::Read, path::Path};

use memchr::memmem;
use zip::ZipArchive;

use super::{MOST_SHEETS, Watch, markup, too_many_sheets};
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
/// What is not a sheet is held in memory as a whole, and read into lists that may take more.
const MOST_HELD_BYTES: u64 = 64 << 20;
const MOST_LISTED_BYTES: u64 = 160 << 20;
/// Excel's longest target of a link has 2,079 characters.
const LONGEST_RELATIONSHIP: usize = 64 << 10;

/// Refuses archives that would grow beyond the limits. The reader of the parts fails as soon as one grows beyond
/// its declared size, so the declared sizes are a bound.
pub(super) fn check_xlsx(file: &Path, limits: &Limits, watch: &Watch<'_>) -> Result<(), ScanError> {
    let damaged =
        |error: &dyn std::error::Error| ScanError::not_a_table(format!("the workbook is damaged: {error}"));
    let mut archive = ZipArchive::new(watch.open(file)?).map_err(|error| damaged(&error))?;
    if archive.len() > MOST_PARTS {
        return Err(ScanError::too_large(
            format!("the workbook has {} parts", archive.len()),
            MOST_PARTS as u64,
        ));
    }
    let mut is_workbook = false;
    let (mut total, mut held) = (0_u64, 0_u64);
    let mut weighed = Vec::new();
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
        if !is_sheet(&name) {
            held = held.saturating_add(size);
        }
        if !is_sheet(&name) || size > UNSUSPICIOUS_BYTES {
            weighed.push((index, name.clone()));
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
    let mut listed = 0_u64;
    for (index, name) in weighed {
        watch.look()?;
        // Whoever needs a part that cannot be read will say so.
        let Ok(part) = archive.by_index(index) else { continue };
        let suffix = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        // Pictures may have megabytes without a tag.
        let is_markup = is_sheet(&name) || suffix == "xml" || suffix == "rels";
        let most_text = if is_markup { limits.record_bytes as u64 } else { MOST_HELD_BYTES };
        let weight = markup::weigh(part, &name, most_text)?;
        watch.look()?;
        if is_sheet(&name) {
            continue;
        }
        if weight.sheets > MOST_SHEETS {
            return Err(too_many_sheets());
        }
        if suffix == "rels" {
            check_relationships(&name, &weight)?;
        }
        listed = listed.saturating_add(weight.held);
        if listed > MOST_LISTED_BYTES {
            let what = format!("the strings, styles and names of the workbook take {listed} bytes of memory");
            return Err(ScanError::too_large(what, MOST_LISTED_BYTES));
        }
    }
    Ok(())
}

/// Sheets are read cell by cell; whatever lies elsewhere counts as held.
fn is_sheet(name: &str) -> bool {
    name.starts_with("xl/worksheets/")
}

/// Refuses relationships that could hide a list from the bounds: each sheet gets a copy of its target, and what the
/// package calls its workbook must not be one of the parts taken for sheets.
fn check_relationships(name: &str, weight: &markup::Weight) -> Result<(), ScanError> {
    if weight.longest_tag > LONGEST_RELATIONSHIP {
        let what = format!("a relationship in {name} has {} bytes", weight.longest_tag);
        return Err(ScanError::too_large(what, LONGEST_RELATIONSHIP as u64));
    }
    let is_root = name.replace('\\', "/").eq_ignore_ascii_case("_rels/.rels");
    if is_root && weight.names_a_sheet {
        return Err(ScanError::not_a_table(
            "the workbook is damaged: what is named as the workbook is a sheet",
        ));
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
