//! Files that are no tables, hardly tables, or meant to do harm: each gets an answer that says why.

use std::fmt::Write as _;

use proptest::prelude::*;
use sentinelflow_domain::scan::ScanOptions;
use sentinelflow_forensic::{Limits, ScanError};

use crate::{calm_table, scan_bytes, scan_with, statistical};

fn refused(bytes: &[u8]) -> String {
    scan_bytes(bytes).expect_err("the file should have been refused").to_string()
}

#[test]
fn what_is_no_table_is_named() {
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"\x1f\x8b\x08\0\0\0", "gzip file was cut off"),
        (b"PAR1\x15\x04", "Parquet file is damaged: it was cut off"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd file was cut off"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\x7fELF\x02\x01", "ELF"),
        (b"{\"a\": 1}\n{\"a\": 2\n", "JSON"),
        (b"<html><body>", "HTML"),
        (b"a,b\n1,\0\0\0\n", "binary"),
        (b"PK\x03\x04 not really", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 not really", "damaged"),
    ] {
        let sentence = refused(bytes);
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn too_few_rows_are_counted() {
    for (bytes, rows) in
        [("a,b,c\n", "0 data rows"), ("a,b\n1,2\n", "1 data rows"), ("a,b\n1,2\n2,1\n", "2 data")]
    {
        let sentence = refused(bytes.as_bytes());
        assert!(sentence.contains(rows), "{sentence}");
    }
}

#[test]
fn a_table_where_nothing_varies_teaches_nothing() {
    for row in ["1,x,2026-01-01\n", ",,\n"] {
        let table = format!("a,b,c\n{}", row.repeat(50));
        assert!(matches!(scan_bytes(table.as_bytes()), Err(ScanError::NothingToLearn { .. })), "{row}");
    }
}

#[test]
fn a_quote_that_never_closes_is_named_by_its_record() {
    let table = format!("{}1,\"2,ana\n{}", calm_table(20), "3,4,ben\n".repeat(20));
    let sentence = refused(table.as_bytes());
    assert!(sentence.contains("record 22"), "{sentence}");
}

#[test]
fn rows_of_all_widths_are_no_table() {
    let mut prose = "one, two, three, four\n".to_owned();
    for line in 0..40 {
        writeln!(prose, "{}", "word, ".repeat(line % 7 + 5)).unwrap();
    }
    let sentence = refused(prose.as_bytes());
    assert!(sentence.contains("columns"), "{sentence}");
}

#[test]
fn every_limit_holds() {
    let table = calm_table(50);
    let generous = Limits::default();
    for limits in [
        Limits { bytes: 100, ..generous.clone() },
        Limits { rows: 20, ..generous.clone() },
        Limits { columns: 2, ..generous.clone() },
        Limits { cells: 30, ..generous.clone() },
    ] {
        let refusal = scan_with(table.as_bytes(), &statistical(), &limits);
        assert!(matches!(refusal, Err(ScanError::TooLarge { .. })), "{limits:?}");
    }
    let endless_record = format!("a,b\n1,\"{}", "x\n".repeat(600_000));
    let limits = Limits { record_bytes: 1 << 19, ..generous };
    let refusal = scan_with(endless_record.as_bytes(), &statistical(), &limits);
    assert!(matches!(refusal, Err(ScanError::TooLarge { .. })));
}

#[test]
fn what_is_asked_for_must_be_there() {
    let table = calm_table(50);
    let sheet = ScanOptions { sheet: Some("March".to_owned()), ..statistical() };
    let refusal = scan_with(table.as_bytes(), &sheet, &Limits::default());
    assert!(matches!(refusal, Err(ScanError::NoSuchSheet { .. })));
    let column = ScanOptions { ignore: vec!["bytes".to_owned()], ..statistical() };
    let refusal = scan_with(table.as_bytes(), &column, &Limits::default());
    assert!(matches!(refusal, Err(ScanError::NoSuchColumn { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        drop(scan_bytes(&bytes));
    }

    #[test]
    fn no_text_makes_it_panic(text in "([-0-9a-c,;\"\n .:TeE+]|NaN|inf|\r\n|é){0,600}") {
        drop(scan_bytes(text.as_bytes()));
    }

    #[test]
    fn no_damage_makes_it_panic(place in 0.0..1.0_f64, byte in any::<u8>()) {
        let mut workbook = crate::workbooks::calm_workbook();
        let place = (place * (workbook.len() - 1) as f64) as usize;
        workbook[place] = byte;
        drop(scan_bytes(&workbook));
        drop(scan_bytes(&workbook[..place]));
    }
}
