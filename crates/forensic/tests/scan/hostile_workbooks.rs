//! Workbooks meant to do harm, made here byte by byte: each gets an answer that says why, and soon.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
};

use sentinelflow_domain::scan::{Cutoff, ScanOptions, ScanProgress};
use sentinelflow_forensic::{Limits, ScanError};

use crate::{
    scan, scan_bytes, scan_with, statistical,
    workbooks::{calm_sheet, text, workbook, workbook_with},
};

fn refused(bytes: &[u8]) -> String {
    scan_bytes(bytes).expect_err("the workbook should have been refused").to_string()
}

/// Fails unless the answer begins as expected.
fn assert_refused(bytes: &[u8], expected: &str) {
    let sentence = refused(bytes);
    assert!(sentence.contains(expected), "{sentence}");
}

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
}

/// The first record of a part of the stream: BIFF8, and what the part is.
fn begin(kind: u16) -> Vec<u8> {
    record(0x0809, &[&0x0600_u16.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 12]].concat())
}

fn end() -> Vec<u8> {
    record(0x000A, &[])
}

fn number_cell(row: u16, column: u16, value: f64) -> Vec<u8> {
    let place = [row, column, 0].map(u16::to_le_bytes).concat();
    record(0x0203, &[&place[..], &value.to_le_bytes()].concat())
}

fn dimensions(rows: (u32, u32), columns: (u16, u16)) -> Vec<u8> {
    let rows = [rows.0, rows.1].map(u32::to_le_bytes).concat();
    let columns = [columns.0, columns.1, 0].map(u16::to_le_bytes).concat();
    record(0x0200, &[rows, columns].concat())
}

/// The rows of a sheet of two columns.
fn calm_cells(rows: u16) -> Vec<u8> {
    (0..rows)
        .flat_map(|row| {
            let value = f64::from(row * 19 % 31);
            [number_cell(row, 0, value), number_cell(row, 1, value * 2.0 + 1.0)].concat()
        })
        .collect()
}

/// A cell that shows one of the shared strings.
fn shared_cell(row: u16, column: u16, index: u32) -> Vec<u8> {
    record(0x00FD, &[&[row, column, 0].map(u16::to_le_bytes).concat()[..], &index.to_le_bytes()].concat())
}

fn sheet(inside: &[u8]) -> Vec<u8> {
    [&begin(0x0010), inside, &end()].concat()
}

/// Returns a stream that lists its sheets at the places that `point` makes of the true ones.
fn stream(sheets: &[Vec<u8>], point: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
    stream_with(&[], sheets, point)
}

/// Puts other records before the list.
fn stream_with(others: &[u8], sheets: &[Vec<u8>], point: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
    let listed = |places: &[u32]| -> Vec<u8> {
        let entry = |(number, place): (usize, &u32)| {
            let name = format!("S{number:05}");
            record(0x0085, &[&place.to_le_bytes()[..], &[0, 0, 6, 0], name.as_bytes()].concat())
        };
        [&begin(0x0005), others, &places.iter().enumerate().flat_map(entry).collect::<Vec<_>>(), &end()]
            .concat()
    };
    let mut places = Vec::new();
    let mut place = listed(&vec![0; sheets.len()]).len();
    for sheet in sheets {
        places.push(u32::try_from(place).unwrap());
        place += sheet.len();
    }
    point(&mut places);
    [listed(&places), sheets.concat()].concat()
}

/// Packs streams, given by path, into a container.
fn container(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut compound = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (path, bytes) in streams {
        let (storage, _) = path.rsplit_once('/').unwrap();
        if !storage.is_empty() {
            compound.create_storage_all(storage).unwrap();
        }
        compound.create_stream(path).unwrap().write_all(bytes).unwrap();
    }
    compound.flush().unwrap();
    compound.into_inner().into_inner()
}

fn xls(sheets: &[Vec<u8>]) -> Vec<u8> {
    container(&[("/Workbook", &stream(sheets, |_| {}))])
}

fn xls_pointing(sheets: &[Vec<u8>], point: impl FnOnce(&mut Vec<u32>)) -> Vec<u8> {
    container(&[("/Workbook", &stream(sheets, point))])
}

#[test]
fn an_old_workbook_made_here_is_read() {
    let chart = [begin(0x0020), number_cell(60_000, 250, 1.0), end()].concat();
    let inside = [dimensions((0, 24), (0, 2)), calm_cells(24), chart].concat();
    let book = xls(&[sheet(&[]), sheet(&inside)]);
    assert_eq!(scan_bytes(&book).unwrap().report.total_scanned, 24);
}

#[test]
fn a_sheet_that_ends_before_it_begins_is_damaged() {
    for backwards in [dimensions((9, 3), (0, 2)), dimensions((0, 24), (7, 2))] {
        let book = xls(&[sheet(&[backwards, calm_cells(24)].concat())]);
        assert_refused(&book, "the workbook is damaged: a sheet ends before it begins");
    }
}

#[test]
fn a_sheet_begins_where_one_was_seen() {
    // A sheet with two cells in opposite corners, inside a record that says nothing.
    let hidden = sheet(&[number_cell(0, 0, 1.0), number_cell(65_535, 65_535, 1.0)].concat());
    let cover = sheet(&[calm_cells(24), record(0x7777, &hidden)].concat());
    let inside = calm_cells(24).len() + begin(0x0010).len() + 4;
    let mut place = 0;
    let book = xls_pointing(std::slice::from_ref(&cover), |places| {
        places[0] += u32::try_from(inside).unwrap();
        place = places[0];
    });
    let expected = format!("damaged: sheet 1 is said to begin at byte {place}, where none begins");
    assert_refused(&book, &expected);
    // Nor is a chart inside a sheet a sheet, nor the list of the sheets, nor what lies beyond the end.
    let chart = sheet(&[&begin(0x0020)[..], &calm_cells(24), &end()].concat());
    let within = u32::try_from(begin(0x0010).len()).unwrap();
    for wrong in [0, 1, u32::MAX] {
        let book = xls_pointing(std::slice::from_ref(&chart), |places| {
            places[0] = if wrong == 1 { places[0] + within } else { wrong };
        });
        assert_refused(&book, "where none begins");
    }
}

#[test]
fn two_sheets_do_not_begin_at_one_place() {
    let mut place = 0;
    let book = xls_pointing(&[sheet(&calm_cells(24)), sheet(&calm_cells(30))], |places| {
        places[1] = places[0];
        place = places[0];
    });
    assert_refused(&book, &format!("damaged: sheet 2 begins at byte {place}, as another does"));
}

#[test]
fn a_few_cells_far_apart_are_not_given_the_room_between() {
    let far = sheet(&[calm_cells(24), number_cell(29_999, 199, 1.0)].concat());
    assert_refused(&xls(&[far]), "the sheets span 6000000 cells and hold 49; at most 2000000 are taken");
    let farther = sheet(&[calm_cells(24), number_cell(65_535, 65_535, 1.0)].concat());
    assert_refused(&xls(&[farther]), "the sheets span 4294967296 cells; at most 20000000 are taken");
}

#[test]
fn the_workbook_that_was_looked_at_is_the_one_that_is_read() {
    let calm = stream(&[sheet(&calm_cells(24))], |_| {});
    let far = stream(&[sheet(&[calm_cells(30), number_cell(65_535, 65_535, 1.0)].concat())], |_| {});
    for other in ["/Book", "/A/Workbook", "/Z/Workbook", "/A/Book"] {
        for streams in [[("/Workbook", &calm[..]), (other, &far)], [(other, &far), ("/Workbook", &calm)]] {
            let report = scan_bytes(&container(&streams)).unwrap().report;
            assert_eq!(report.total_scanned, 24, "{other}");
        }
    }
}

#[test]
fn records_that_miscount_what_they_hold_are_damaged() {
    let merged_ranges = record(0x00E5, &[0xFF, 0xFF, 0, 0, 1, 0]);
    let numbers_from_column_9_to_2 = record(0x00BD, &[&[0, 0, 9, 0][..], &[0; 12], &[2, 0]].concat());
    let text = record(0x0204, &[0, 0]);
    let beyond_the_end = [0x03, 0x02, 0xFF, 0xFF, 0, 0];
    for miscounted in [&merged_ranges[..], &numbers_from_column_9_to_2, &text, &beyond_the_end] {
        let book = xls(&[sheet(&[&calm_cells(24), miscounted].concat())]);
        assert_refused(&book, "the workbook is damaged");
    }
    // A list of strings that claims four billion and holds none takes no room for them.
    let strings = record(0x00FC, &[0xFF; 8]);
    let claimed = stream_with(&strings, &[sheet(&calm_cells(24))], |_| {});
    let report = scan_bytes(&container(&[("/Workbook", &claimed)])).unwrap().report;
    assert_eq!(report.total_scanned, 24);
}

#[test]
fn an_old_text_that_many_cells_share_does_not_grow_with_them() {
    // Three strings: the second with formats, the third with wide characters and in three records.
    let formatted = [&[2, 0, 0x08, 1, 0][..], b"ab", &[0; 4]].concat();
    let long = [[0xFF, 0xFF, 1].to_vec(), b"y\0".repeat(1_000)].concat();
    let strings = [
        record(0x00FC, &[&[0; 8][..], &[1, 0, 0], b"c", &formatted, &long].concat()),
        record(0x003C, &[&[1][..], &b"z\0".repeat(30_000)].concat()),
        record(0x003C, &[&[0][..], &b"z".repeat(34_535)].concat()),
    ]
    .concat();
    let with = |index: u32| {
        let cells = |row: u16| [number_cell(row, 0, f64::from(row % 7)), shared_cell(row, 1, index)].concat();
        let sheet = sheet(&(0..2_000).flat_map(cells).collect::<Vec<_>>());
        container(&[("/Workbook", &stream_with(&strings, &[sheet], |_| {}))])
    };
    assert_refused(
        &with(2),
        "the sheets repeat their texts to 131070000 characters; at most 33554432 are taken",
    );
    for (index, text) in [(0, "c"), (1, "ab")] {
        let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
        let report = scan_with(&with(index), &options, &Limits::default()).unwrap().report;
        assert_eq!(report.threats[0].record["column 2"], text);
    }
}

#[test]
fn a_record_does_not_go_on_for_ever() {
    let strings = [record(0x00FC, &[0; 8]), record(0x003C, &[0]).repeat(50_000)].concat();
    let book = xls(&[sheet(&[strings, calm_cells(24)].concat())]);
    assert_refused(&book, "others; at most 40000 are taken");
}

#[test]
fn more_sheets_than_people_make_are_not_read() {
    let many = vec![sheet(&[]); 1_001];
    assert_refused(&xls(&many), "the workbook has more than 1000 sheets; at most 1000 are taken");
    let many: Vec<(&str, String)> = vec![("S", String::new()); 1_001];
    assert_refused(&workbook(&many), "the workbook has more than 1000 sheets; at most 1000 are taken");
}

fn book_with(part: &str, text: &str) -> Vec<u8> {
    workbook_with(&[("Flows", calm_sheet(20))], &[(part, text)])
}

#[test]
fn lists_that_take_far_more_room_than_their_text_are_not_read() {
    let many = |item: &str, count: usize| item.repeat(count);
    let strings = format!("<sst>{}</sst>", many("<si/>", 2_500_000));
    let prefixed = format!("<x:sst>{}</x:sst>", many("<x:si/><si/>", 1_200_000));
    let styles = format!("<styleSheet><cellXfs>{}</cellXfs></styleSheet>", many("<xf/>", 400_000));
    let fonts = format!("<styleSheet><fonts>{}</fonts></styleSheet>", many("<font/>", 1_200_000));
    // Each of the styles would get its own copy of a long name.
    let name = "x".repeat(100_000);
    let named = format!(
        r#"<styleSheet><fonts><font><name val="{name}"/></font></fonts><cellXfs>{}</cellXfs></styleSheet>"#,
        many(r#"<xf fontId="0"/>"#, 2_000)
    );
    let names = format!("<workbook>{}</workbook>", many(r#"<definedName name="a"/>"#, 700_000));
    for (part, text) in [
        ("xl/sharedStrings.xml", strings),
        ("xl/sharedStrings.xml", prefixed),
        ("xl/styles.xml", styles),
        ("xl/styles.xml", fonts),
        ("xl/styles.xml", named),
        ("xl/workbook.xml", names),
    ] {
        let book = book_with(part, &text);
        assert!(book.len() < 100_000, "{part}");
        let sentence = refused(&book);
        assert!(sentence.starts_with("the strings, styles and names of the workbook take"), "{sentence}");
        assert!(sentence.ends_with("bytes of memory; at most 167772160 are taken"), "{sentence}");
    }
}

#[test]
fn a_list_as_long_as_people_need_is_read() {
    let mut strings = String::new();
    for number in 0..200_000 {
        write!(strings, "<si><t>user {number}</t></si>").unwrap();
    }
    let book = book_with("xl/sharedStrings.xml", &format!("<sst>{strings}</sst>"));
    assert_eq!(scan_bytes(&book).unwrap().report.total_scanned, 20);
}

#[test]
fn relationships_cannot_hide_what_is_read() {
    let target = "x".repeat(70_000);
    let long = format!(
        r#"<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="{target}"/></Relationships>"#
    );
    assert_refused(
        &book_with("xl/_rels/workbook.xml.rels", &long),
        "a relationship in xl/_rels/workbook.xml.rels has 70051 bytes; at most 65536 are taken",
    );
    for target in ["/xl/Worksheets/sheet1.xml", "xl/work&#115;heets/sheet1.xml"] {
        let root = format!(
            r#"<Relationships><Relationship Id="rId1" Type="x/relationships/officeDocument" Target="{target}"/></Relationships>"#
        );
        let book = book_with("_rels/.rels", &root);
        assert_refused(&book, "the workbook is damaged: what is named as the workbook is a sheet");
    }
}

#[test]
fn a_text_that_many_cells_share_does_not_grow_with_them() {
    let shared = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(1 << 20));
    let cell = r#"<c t="s"><v>0</v></c>"#;
    let row = format!("<row>{}</row>", cell.repeat(40));
    let with = |rows: &str| {
        let sheet = format!("<row>{}</row>{rows}", text("when"));
        workbook_with(&[("Flows", sheet)], &[("xl/sharedStrings.xml", &shared)])
    };
    assert_refused(
        &with(&row),
        "row 2 of sheet “Flows” is longer than 16777216 bytes; at most 16777216 are taken",
    );
    let sentence = refused(&with(&format!("<row>{}</row>", cell.repeat(15)).repeat(20)));
    let expected = "the cells of sheet “Flows” repeat their texts too often: 141557764 bytes up to row 10; \
                    at most 134217728 are taken";
    assert_eq!(sentence, expected);
    // A row each is read, and since all are the same there is nothing to learn.
    assert!(matches!(
        scan_bytes(&with(&format!("<row>{cell}</row>").repeat(100))),
        Err(ScanError::NothingToLearn { .. })
    ));
}

#[test]
fn a_text_without_end_is_not_gathered() {
    let limits = Limits { packing_ratio: 5_000, ..Limits::default() };
    let endless = "x".repeat(17 << 20);
    let in_pieces = "x<!-- -->".repeat(2 << 20);
    for inside in [&endless, &in_pieces] {
        let book = workbook(&[("Flows", calm_sheet(20) + &text(inside))]);
        let sentence = scan_with(&book, &statistical(), &limits).unwrap_err().to_string();
        let expected = "part xl/worksheets/sheet1.xml of the workbook holds a text of more than 16777216 bytes; \
                        at most 16777216 are taken";
        assert_eq!(sentence, expected);
    }
}

#[test]
fn a_large_picture_is_passed_over() {
    let limits = Limits { packing_ratio: 5_000, ..Limits::default() };
    let book = book_with("xl/media/image1.bmp", &"\0".repeat(17 << 20));
    assert_eq!(scan_with(&book, &statistical(), &limits).unwrap().report.total_scanned, 20);
}

#[test]
fn a_bomb_of_strings_is_not_lit() {
    let bomb = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(40 << 20));
    let book = book_with("xl/sharedStrings.xml", &bomb);
    assert!(book.len() < 100_000);
    let sentence = refused(&book);
    assert!(sentence.starts_with("part xl/sharedStrings.xml of the workbook expands"), "{sentence}");
    assert!(sentence.ends_with("times; at most 200 are taken"), "{sentence}");
}

#[test]
fn a_sheet_is_not_given_the_room_it_claims() {
    for claimed in ["A1:XFD1048576", "A1", "C7:D9"] {
        let sheet = format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="{claimed}"/><sheetData>{}</sheetData></worksheet>"#,
            calm_sheet(20)
        );
        let book = book_with("xl/worksheets/sheet1.xml", &sheet);
        assert_eq!(scan_bytes(&book).unwrap().report.total_scanned, 20, "{claimed}");
    }
}

#[test]
fn half_a_workbook_is_damaged() {
    let book = workbook(&[("Flows", calm_sheet(60))]);
    for length in [100, book.len() / 2, book.len() - 1] {
        assert_refused(&book[..length], "this is not a table that can be read: the workbook is damaged");
    }
}

#[test]
fn sheets_have_names_that_can_be_shown() {
    let book = workbook(&[(&"x".repeat(300), calm_sheet(20))]);
    assert_refused(&book, "the name of sheet 1 has 300 characters; at most 255 are taken");
}

/// Stops after so many looks, and counts them.
struct Impatient {
    looks: AtomicUsize,
    patience: usize,
}

impl ScanProgress for Impatient {
    fn advance(&self, _: &'static str, _: f64) {}

    fn is_cancelled(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed) >= self.patience
    }
}

#[test]
fn a_scan_stops_while_it_looks_for_a_sheet_with_rows() {
    // Half a million rows without a cell, and no row to stop at.
    let mut rows = String::new();
    for row in 0..500_000 {
        write!(rows, r#"<row ht="{}"/>"#, row % 10_007 * 97).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), workbook(&[("Empty", rows)])).unwrap();
    let scan_for = |patience| {
        let progress = Impatient { looks: AtomicUsize::new(0), patience };
        let outcome = scan(file.path(), "upload", &statistical(), &Limits::default(), &progress);
        (outcome.unwrap_err(), progress.looks.into_inner())
    };
    let (error, looks) = scan_for(usize::MAX);
    assert!(error.to_string().contains("has rows"), "{error}");
    assert!(looks > 100, "only {looks} looks");
    for patience in [0, 1, looks / 2, looks - 1] {
        let (error, looked) = scan_for(patience);
        assert!(matches!(error, ScanError::Cancelled), "{error}");
        assert_eq!(looked, patience + 1, "it went on");
    }
}
