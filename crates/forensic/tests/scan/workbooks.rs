//! Workbooks, made here part by part.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
};

use sentinelflow_domain::scan::{
    ColumnKind::{self, Nominal, Numeric, Timestamp},
    Cutoff, ScanOptions,
};
use sentinelflow_forensic::{Limits, ScanError};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{scan_bytes, scan_with, statistical};

const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>"#;

/// Packs sheets, given by name and rows of XML cells, into a workbook.
pub(crate) fn workbook(sheets: &[(&str, String)]) -> Vec<u8> {
    workbook_with(sheets, &[])
}

/// Packs sheets and other parts, given by name and text, into a workbook; another part may replace one of its own.
pub(crate) fn workbook_with(sheets: &[(&str, String)], others: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, text: &str| {
        let text = others.iter().find(|(other, _)| *other == name).map_or(text, |(_, other)| other);
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let mut listed = String::new();
    let mut related = String::new();
    for (number, (name, _)) in sheets.iter().enumerate() {
        write!(listed, r#"<sheet name="{name}" sheetId="{0}" r:id="rId{0}"/>"#, number + 1).unwrap();
        write!(
            related,
            r#"<Relationship Id="rId{0}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{0}.xml"/>"#,
            number + 1
        )
        .unwrap();
    }
    part(
        "_rels/.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    );
    part(
        "xl/workbook.xml",
        &format!(
            r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{listed}</sheets></workbook>"#
        ),
    );
    part(
        "xl/_rels/workbook.xml.rels",
        &format!(
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{related}</Relationships>"#
        ),
    );
    part("xl/styles.xml", STYLES);
    for (number, (_, rows)) in sheets.iter().enumerate() {
        part(
            &format!("xl/worksheets/sheet{}.xml", number + 1),
            &format!(
                r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#
            ),
        );
    }
    let own = ["_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml"];
    let is_own = |name: &str| own.contains(&name) || name.starts_with("xl/worksheets/sheet");
    for (name, text) in others.iter().filter(|(name, _)| !is_own(name)) {
        part(name, text);
    }
    zip.finish().unwrap().into_inner()
}

pub(crate) fn text(text: &str) -> String {
    format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#)
}

/// When, how many bytes, twice as many by formula, whether it worked, and a cell that is sometimes an error.
pub(crate) fn calm_sheet(rows: u32) -> String {
    let header: String = ["when", "bytes", "double", "worked", "share"].map(text).concat();
    let mut sheet = format!("<row>{header}</row>");
    for row in 0..rows {
        let bytes = 500 + row * 7919 % 97;
        let share = if row == 3 {
            r#"<c t="e"><v>#N/A</v></c>"#.to_owned()
        } else {
            format!("<c><v>0.{}</v></c>", row % 90 + 10)
        };
        write!(
            sheet,
            r#"<row><c s="1"><v>{}</v></c><c><v>{bytes}</v></c><c><f>B{}*2</f><v>{}</v></c><c t="b"><v>{}</v></c>{share}</row>"#,
            46_023.0 + f64::from(row) * 0.37,
            row + 2,
            bytes * 2,
            u32::from(row % 4 > 0),
        )
        .unwrap();
    }
    sheet
}

pub(crate) fn calm_workbook() -> Vec<u8> {
    workbook(&[("Empty", String::new()), ("Flows", calm_sheet(60))])
}

#[test]
fn dates_formulas_booleans_and_errors_are_read() {
    let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
    let report = scan_with(&calm_workbook(), &options, &Limits::default()).unwrap().report;
    let kinds: Vec<ColumnKind> = report.columns.iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Timestamp, Numeric, Numeric, Nominal, Numeric]);
    assert!(report.notes[0].contains("#N/A"), "{:?}", report.notes);
    let first = report.threats.iter().find(|threat| threat.row == 1).unwrap();
    assert_eq!(first.record["when"], "2026-01-01T00:00:00.000Z");
    assert_eq!(first.record["double"], 1_000);
}

#[test]
fn a_sheet_can_be_chosen_and_an_empty_one_is_passed_over() {
    let book = workbook(&[("Empty", String::new()), ("First", calm_sheet(20)), ("Second", calm_sheet(30))]);
    assert_eq!(scan_bytes(&book).unwrap().report.total_scanned, 20);
    let choose = |sheet: &str| {
        let options = ScanOptions { sheet: Some(sheet.to_owned()), ..statistical() };
        scan_with(&book, &options, &Limits::default())
    };
    assert_eq!(choose("Second").unwrap().report.total_scanned, 30);
    assert!(matches!(choose("Empty"), Err(ScanError::NotATable { .. })));
    let Err(ScanError::NoSuchSheet { sheets, .. }) = choose("Third") else {
        panic!("there is no such sheet")
    };
    assert_eq!(sheets, ["Empty", "First", "Second"]);
}

/// Made with xlwt: 24 rows of a time, a number and a word.
const XLS: &[u8] = include_bytes!("data/flows.xls");

#[test]
fn the_old_format_is_read_too() {
    let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
    let report = scan_with(XLS, &options, &Limits::default()).unwrap().report;
    let kinds: Vec<ColumnKind> = report.columns.iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Timestamp, Numeric, Nominal]);
    let second = report.threats.iter().find(|threat| threat.row == 2).unwrap();
    assert_eq!(second.record["when"], "2026-01-01T01:00:00.000Z");
    assert_eq!(second.record["user"], "ben");
}

#[test]
fn cells_in_far_corners_are_not_given_the_room_between() {
    // The number in the third row, moved to the last cell there can be.
    let mut far = XLS.to_vec();
    let record = [0x7E, 0x02, 10, 0, 2, 0, 1, 0];
    let place =
        far.windows(record.len()).position(|bytes| bytes == record).expect("the third row has a number");
    far[place + 4..place + 8].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(scan_bytes(&far), Err(ScanError::TooLarge { .. })));
}

#[test]
fn a_truncated_workbook_is_damaged() {
    let book = calm_workbook();
    for length in [book.len() / 3, book.len() - 30] {
        assert!(matches!(scan_bytes(&book[..length]), Err(ScanError::NotATable { .. })));
    }
}

#[test]
fn a_bomb_is_not_lit() {
    let bomb = workbook(&[("Bomb", " ".repeat(40 << 20))]);
    assert!(bomb.len() < 1 << 20);
    let strict = Limits { packing_ratio: 200, ..Limits::default() };
    assert!(matches!(scan_with(&bomb, &statistical(), &strict), Err(ScanError::TooLarge { .. })));
    let small = Limits { unpacked_bytes: 10 << 20, ..Limits::default() };
    assert!(matches!(scan_with(&bomb, &statistical(), &small), Err(ScanError::TooLarge { .. })));
}

#[test]
fn a_bomb_that_lies_about_its_size_goes_out() {
    let bomb = workbook(&[("Bomb", " ".repeat(40 << 20))]);
    let declared = u32::try_from((40 << 20) + workbook_frame()).unwrap().to_le_bytes();
    let mut lying = bomb.clone();
    let mut lies = 0;
    for place in 0..lying.len() - 4 {
        if lying[place..place + 4] == declared {
            lying[place..place + 4].copy_from_slice(&1_000_u32.to_le_bytes());
            lies += 1;
        }
    }
    assert!(lies > 0, "the size is written somewhere");
    assert!(matches!(scan_bytes(&lying), Err(ScanError::NotATable { .. })));
}

/// Bytes of a sheet around its rows.
fn workbook_frame() -> usize {
    r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData></sheetData></worksheet>"#.len()
}

#[test]
fn a_list_of_strings_cannot_claim_more_than_it_holds() {
    let with = |strings: &str| {
        scan_bytes(&workbook_with(&[("Flows", calm_sheet(20))], &[("xl/sharedStrings.xml", strings)]))
    };
    for attributes in [r#"uniqueCount="3""#, r#"count="10000000000" uniqueCount='3'"#, ""] {
        with(&format!("<?xml version=\"1.0\"?><!-- ours --><sst {attributes}><si/></sst>")).unwrap();
    }
    for count in ["10000000000000", "1152921504606846975", "2000000"] {
        let claimed = with(&format!(r#"<!-- <sst> --><x:sst a=">" uniqueCount = "{count}"></x:sst>"#));
        assert!(matches!(claimed, Err(ScanError::TooLarge { .. })), "{claimed:?}");
    }
    for odd in [
        r#"<sst uniqueCount="99999999999999999999999"/>"#,
        r#"<!--><sst uniqueCount="1"/>--><sst uniqueCount="10000000000000"/>"#,
        r#"<other/><sst uniqueCount="10000000000000"/>"#,
        r#"<sst uniqueCount="1""#,
    ] {
        assert!(matches!(with(odd), Err(ScanError::NotATable { .. })), "{odd}");
    }
}
