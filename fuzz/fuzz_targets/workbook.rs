//! Uploaded workbooks: bytes as they are, or the text of parts that are packed here, since no mutation gets past a
//! checksum. A line `== NAME` begins a part.
#![no_main]

use std::io::{Cursor, Write as _};

use sentinelflow_fuzz::assert_scan_keeps_its_promises;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const PART: &str = "== ";
/// What a workbook cannot do without, unless the input says otherwise.
const FRAME: [(&str, &str); 3] = [
    (
        "_rels/.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    ),
    (
        "xl/workbook.xml",
        r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Flows" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
    ),
];

libfuzzer_sys::fuzz_target!(init: sentinelflow_fuzz::let_guarded_panics_pass(), |bytes: &[u8]| {
    match str::from_utf8(bytes) {
        Ok(text) if text.starts_with(PART) => assert_scan_keeps_its_promises(&packed(text)),
        _ => assert_scan_keeps_its_promises(bytes),
    }
});

fn packed(text: &str) -> Vec<u8> {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(PART), parts.last_mut()) {
            (Some(name), _) => parts.push((name, String::new())),
            (None, Some((_, content))) => content.push_str(line),
            (None, None) => {}
        }
    }
    for (name, content) in FRAME {
        if !parts.iter().any(|(given, _)| *given == name) {
            parts.push((name, content.to_owned()));
        }
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in parts {
        // A name that is given twice is refused; the first part keeps it.
        if archive.start_file(name, options).is_ok() {
            archive.write_all(content.as_bytes()).expect("memory takes what is written");
        }
    }
    archive.finish().expect("memory takes what is written").into_inner()
}
