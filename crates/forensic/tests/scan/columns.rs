//! What columns are taken for, and what unusual but honest files come to.

use std::fmt::Write as _;

use sentinelflow_domain::scan::{
    ColumnKind::{self, Code, Constant, Empty, Identifier, IpAddress, Nominal, Numeric, Text, Timestamp},
    Cutoff, ScanOptions, ScanReport,
};
use sentinelflow_forensic::Limits;

use crate::{calm_table, scan_bytes, scan_with, statistical};

fn report(bytes: &[u8]) -> ScanReport {
    scan_bytes(bytes).unwrap().report
}

fn names(report: &ScanReport) -> Vec<&str> {
    report.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn every_kind_of_column_is_recognised() {
    let mut table = "id,bytes,user,when,from,session,note,flag,gap,level\n".to_owned();
    for row in 0..1_200 {
        let (hour, octet) = (row * 7 % 24, row * 13 % 200);
        let user = ["ana", "ben", "cleo"][row % 3];
        let level = ["", "3", "5"][row % 3];
        writeln!(
            table,
            "{},{},{user},2026-01-{:02}T{hour:02}:00:00Z,10.0.0.{octet},s{:x},user {row} asked for page {},1,,{level}",
            row + 1,
            row * row % 977,
            row % 28 + 1,
            row * 7_919_017,
            row * 31 % 1000,
        )
        .unwrap();
    }
    let report = report(table.as_bytes());
    let kinds: Vec<ColumnKind> = report.columns.iter().map(|column| column.kind).collect();
    let expected =
        [Identifier, Numeric, Nominal, Timestamp, IpAddress, Identifier, Text, Constant, Empty, Code];
    assert_eq!(kinds, expected, "{:#?}", report.columns);
    assert!(report.columns.iter().all(|column| !column.reason.is_empty()));
}

#[test]
fn any_delimiter_line_end_and_encoding_give_the_same_answer() {
    let plain = calm_table(60);
    let expected = scan_bytes(plain.as_bytes()).unwrap();
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let quoted = plain.replace("ana", "\"ana\"").replace("ben", "\"ben\"");
    for (what, bytes) in [
        ("tabs", plain.replace(',', "\t").into_bytes()),
        ("semicolons", plain.replace(',', ";").into_bytes()),
        ("bars", plain.replace(',', "|").into_bytes()),
        ("CRLF", plain.replace('\n', "\r\n").into_bytes()),
        ("blank lines at the end", format!("{plain}\n\n\r\n").into_bytes()),
        ("no line end at the end", plain.trim_end().as_bytes().to_vec()),
        ("a byte order mark", format!("\u{feff}{plain}").into_bytes()),
        ("UTF-16", utf16),
        ("quotes", quoted.into_bytes()),
    ] {
        assert_eq!(scan_bytes(&bytes).unwrap(), expected, "{what}");
    }
}

#[test]
fn a_file_without_a_header_loses_no_row() {
    let table = calm_table(40);
    let (_, rows) = table.split_once('\n').unwrap();
    let report = report(rows.as_bytes());
    assert_eq!(report.total_scanned, 40);
    assert_eq!(names(&report), ["column 1", "column 2", "column 3"]);
}

#[test]
fn every_column_has_a_name_of_its_own() {
    let table = calm_table(40).replacen("sent,received,user", "a,a,", 1);
    assert_eq!(names(&report(table.as_bytes())), ["a", "a (2)", "column 3"]);
}

#[test]
fn ragged_rows_are_read_and_noted() {
    let table = format!("{}110.5\n120,240,ana,more\n", calm_table(40));
    let report = report(table.as_bytes());
    assert_eq!(report.total_scanned, 42);
    assert!(
        report.notes.iter().any(|note| note.contains("fewer") && note.contains("row 41")),
        "{:?}",
        report.notes
    );
    assert!(report.notes.iter().any(|note| note.contains("more than 3") && note.contains("row 42")));
}

#[test]
fn numbers_that_are_none_count_as_missing() {
    let table = format!("{}inf,NaN,ana\nn/a,-,ben\n", calm_table(120));
    let report = report(table.as_bytes());
    assert_eq!(report.columns[0].kind, Numeric);
    assert!(
        report.notes.iter().any(|note| note.contains("“sent”") && note.contains("row 121")),
        "{:?}",
        report.notes
    );
}

#[test]
fn a_column_that_turns_out_otherwise_is_read_again() {
    let mut table = "a,b\n".to_owned();
    for row in 0..3_000 {
        let late_word = if row < 1_500 { row.to_string() } else { format!("w{}", row % 5) };
        writeln!(table, "{late_word},{}", row * 17 % 101).unwrap();
    }
    assert_eq!(report(table.as_bytes()).columns[0].kind, Text);
}

#[test]
fn latin_1_and_quoted_line_breaks_arrive_as_they_were_meant() {
    let mut table = calm_table(60).into_bytes();
    table.extend_from_slice(b"9e6,-4,\"caf\xe9\nau lait\"\n");
    let report = report(&table);
    assert_eq!(report.threats[0].row, 61);
    assert_eq!(report.threats[0].record["user"], "café\nau lait");
    assert_eq!(report.threats[0].record["sent"], 9_000_000);
}

#[test]
fn an_odd_cell_is_found_and_explained_in_the_files_units() {
    let mut table = calm_table(300);
    table.push_str("104.2,9800,ben\n");
    let report = report(table.as_bytes());
    let found = &report.threats[0];
    assert_eq!((found.row, found.reasons[0].column.as_str()), (301, "received"));
    assert_eq!(found.reasons[0].value, 9800);
    assert!(found.reasons[0].share > 0.5 && found.reasons[0].share <= 1.0);
    assert!(found.reasons[0].typical.contains(" – 2"), "{}", found.reasons[0].typical);
}

#[test]
fn an_ignored_column_has_no_say() {
    let mut table = calm_table(300);
    table.push_str("104.2,9800,ben\n");
    let options = ScanOptions { ignore: vec!["received".to_owned()], ..statistical() };
    let report = scan_with(table.as_bytes(), &options, &Limits::default()).unwrap().report;
    assert!(!report.columns[1].used);
    assert!(
        report.threats.iter().flat_map(|threat| &threat.reasons).all(|reason| reason.column != "received")
    );
}

#[test]
fn three_thousand_columns_are_taken() {
    let mut table = (0..3_000).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    for row in 0..60_usize {
        table.push('\n');
        let cells = (0..3_000_usize).map(|column| (row * 7 + column * row * 13) % 101);
        table.push_str(&cells.map(|cell| cell.to_string()).collect::<Vec<_>>().join(","));
    }
    assert_eq!(report(table.as_bytes()).columns.len(), 3_000);
}

#[test]
fn a_text_is_shown_up_to_a_length_that_people_read() {
    let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
    for (length, shown) in [(1_024, "é".repeat(1_024)), (1_025, "é".repeat(1_024) + "…")] {
        let mut table = calm_table(60).replace("user", &"ü".repeat(length));
        writeln!(table, "104.2,9800,{}", "é".repeat(length)).unwrap();
        let report = scan_with(table.as_bytes(), &options, &Limits::default()).unwrap().report;
        let name = shown.replace('é', "ü");
        assert_eq!(report.columns[2].name, name);
        let found = report.threats.iter().find(|threat| threat.row == 61).unwrap();
        assert_eq!(found.record[&name], shown);
        let reasons = report.threats.iter().flat_map(|threat| &threat.reasons);
        assert!(reasons.filter_map(|reason| reason.value.as_str()).all(|text| text.chars().count() <= 1_025));
    }
}
