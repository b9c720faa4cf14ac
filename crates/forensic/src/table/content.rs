//! Decides by content what kind of file this is.

use std::{fs::File, io::Read, path::Path};

use sentinelflow_domain::scan::{ScanOptions, ScanProgress};

use super::{
    Source,
    csv::DelimitedText,
    json_lines::JsonLines,
    packed::{Packing, TextFile},
    parquet::ParquetFile,
    remembered::Remembered,
    spreadsheet::{XlsSheet, XlsxSheet},
};
use crate::{Limits, ScanError};

const SUPPORTED: &str = "delimited text (CSV, TSV) and JSON lines, as they stand or packed with gzip or zstd, \
                         Parquet, and spreadsheets (XLSX, XLS) are supported";

/// What other files begin with.
const OTHERS: [(&[u8], &str); 12] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x7fELF", "ELF"),
    (b"MZ", "Windows program"),
    (b"SQLite format 3\0", "SQLite"),
    (b"{\\rtf", "RTF"),
    (b"ElfFile\0", "Windows event log"),
];

/// Formats whose readers go to and fro in the file, so that they cannot be read while they are unpacked.
const WHOLE_FILES: [(&[u8], &str); 3] =
    [(b"PK\x03\x04", "XLSX"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS"), (b"PAR1", "Parquet")];

const HEAD_BYTES: usize = 64;

/// Opens the file as what its content says it is.
pub(crate) fn open<'p>(
    file: &Path,
    name: &str,
    options: &ScanOptions,
    limits: &Limits,
    progress: &'p dyn ScanProgress,
) -> Result<Box<dyn Source + 'p>, ScanError> {
    let mut head = Vec::new();
    let opened = File::open(file)?;
    let size = opened.metadata()?.len();
    opened.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if size > limits.bytes {
        return Err(ScanError::too_large(format!("the file has {size} bytes"), limits.bytes));
    }
    let sheet = options.sheet.as_deref();
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Box::new(Remembered::new(XlsxSheet::open(file, sheet, limits, progress)?)));
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Ok(Box::new(XlsSheet::open(file, sheet, limits, progress)?));
    }
    let packing = Packing::of(&head);
    let text = TextFile::new(file, packing, limits, progress)?;
    if packing != Packing::None {
        head = text.head(HEAD_BYTES)?;
        refuse_in_packed(&head, name)?;
    }
    refuse_others(&head, name)?;
    if let Some(sheet) = sheet {
        return Err(ScanError::NoSuchSheet { sheet: sheet.to_owned(), sheets: Vec::new() });
    }
    if head.starts_with(b"PAR1") || head.starts_with(b"PARE") {
        return Ok(Box::new(ParquetFile::open(file, limits, progress)?));
    }
    if looks_like_json(&head) {
        return Ok(Box::new(JsonLines::open(text, limits)?));
    }
    Ok(Box::new(DelimitedText::open(text, limits)?))
}

/// Whether it begins with an object, or with an array of them. Lines of a log may begin with a bracket too.
fn looks_like_json(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some((first, rest)) = head.split_first() else { return false };
    match (first, rest.trim_ascii_start().first()) {
        (b'{', second) => second.is_none_or(|second| matches!(second, b'"' | b'}')),
        (b'[', second) => second.is_none_or(|second| matches!(second, b'{' | b']')),
        _ => false,
    }
}

fn refuse_in_packed(head: &[u8], name: &str) -> Result<(), ScanError> {
    let packing = (Packing::of(head) != Packing::None).then_some("another packed file");
    let whole = WHOLE_FILES.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, format)| *format);
    match packing.or(whole) {
        Some(format) => Err(ScanError::not_a_table(format!(
            "“{name}” is packed, and holds {format}; please unpack it first"
        ))),
        None => Ok(()),
    }
}

fn refuse_others(head: &[u8], name: &str) -> Result<(), ScanError> {
    if head.is_empty() {
        return Err(ScanError::not_a_table("it is empty"));
    }
    for (magic, format) in OTHERS {
        // Two letters are no proof where a table may begin with them.
        if head.starts_with(magic)
            && (magic.len() > 2 || head.contains(&0) || magic[0] > 127 || magic[0] < 32)
        {
            return Err(unsupported(format, name));
        }
    }
    match head.trim_ascii_start().first() {
        Some(b'<') => Err(unsupported("XML or HTML", name)),
        _ => Ok(()),
    }
}

fn unsupported(format: &str, name: &str) -> ScanError {
    ScanError::not_a_table(format!("“{name}” looks like {format}; {SUPPORTED}"))
}
