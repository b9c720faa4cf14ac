//! Decides by content what kind of file this is.

use std::{fs::File, io::Read, path::Path};

use sentinelflow_domain::scan::{ScanOptions, ScanProgress};

use super::{
    Source,
    csv::DelimitedText,
    spreadsheet::{XlsSheet, XlsxSheet},
};
use crate::{Limits, ScanError};

const SUPPORTED: &str = "delimited text (CSV, TSV) and spreadsheets (XLSX, XLS) are supported";

/// What other files begin with.
const OTHERS: [(&[u8], &str); 15] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"PAR1", "Parquet"),
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
    opened.take(64).read_to_end(&mut head)?;
    if size > limits.bytes {
        return Err(ScanError::too_large(format!("the file has {size} bytes"), limits.bytes));
    }
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
    let sheet = options.sheet.as_deref();
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Box::new(XlsxSheet::open(file, sheet, limits, progress)?));
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Ok(Box::new(XlsSheet::open(file, sheet, limits, progress)?));
    }
    match head.trim_ascii_start().first() {
        Some(b'{' | b'[') => return Err(unsupported("JSON", name)),
        Some(b'<') => return Err(unsupported("XML or HTML", name)),
        _ => {}
    }
    if let Some(sheet) = sheet {
        return Err(ScanError::NoSuchSheet { sheet: sheet.to_owned(), sheets: Vec::new() });
    }
    Ok(Box::new(DelimitedText::open(file, limits)?))
}

fn unsupported(format: &str, name: &str) -> ScanError {
    ScanError::not_a_table(format!("“{name}” looks like {format}; {SUPPORTED}"))
}
