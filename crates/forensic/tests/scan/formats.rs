//! The same table in every format gives the same report, and what a format brings of its own arrives as it was meant.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parquet::{
    basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::{
        properties::{WriterProperties, WriterVersion},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use sentinelflow_domain::scan::{ColumnKind, Cutoff, ScanOptions, ScanProgress, ScanReport};
use sentinelflow_forensic::{Limits, ScanError};

use crate::{calm_table, scan, scan_bytes, scan_with, statistical, workbooks::workbook};

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

pub(crate) fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

pub(crate) fn properties() -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder()
}

pub(crate) type Fill<'f> = &'f mut dyn FnMut(&mut SerializedRowGroupWriter<'_, Vec<u8>>);

/// Writes row groups of a schema; each is filled column by column.
pub(crate) fn parquet(schema: &str, properties: WriterProperties, groups: &mut [Fill<'_>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for fill in groups {
        let mut group = writer.next_row_group().unwrap();
        fill(&mut group);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

macro_rules! write_column {
    ($group:expr, $kind:ty, $values:expr, $levels:expr) => {{
        let mut column = $group.next_column().unwrap().unwrap();
        column.typed::<$kind>().write_batch($values, $levels, None).unwrap();
        column.close().unwrap();
    }};
}
pub(crate) use write_column;

const CALM_SCHEMA: &str =
    "message m { required double sent; optional double received; required binary user (UTF8); }";

pub(crate) fn calm_parquet(rows: usize, groups: usize, properties: WriterProperties) -> Vec<u8> {
    let table = calm_table(rows);
    let lines: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let number = |line: &[&str], column: usize| line[column].parse::<f64>().unwrap();
    let mut fills: Vec<_> = lines
        .chunks(rows.div_ceil(groups))
        .map(|lines| {
            move |group: &mut SerializedRowGroupWriter<'_, Vec<u8>>| {
                let sent: Vec<f64> = lines.iter().map(|line| number(line, 0)).collect();
                let received: Vec<f64> = lines.iter().map(|line| number(line, 1)).collect();
                let users: Vec<ByteArray> = lines.iter().map(|line| ByteArray::from(line[2])).collect();
                write_column!(group, DoubleType, &sent, None);
                write_column!(group, DoubleType, &received, Some(&vec![1; lines.len()]));
                write_column!(group, ByteArrayType, &users, None);
            }
        })
        .collect();
    let mut fills: Vec<Fill<'_>> = fills.iter_mut().map(|fill| fill as _).collect();
    parquet(CALM_SCHEMA, properties, &mut fills)
}

pub(crate) fn calm_json(rows: usize) -> String {
    let mut text = String::new();
    for line in calm_table(rows).lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        // What stands for a number need not be the shortest text for it.
        writeln!(text, r#"{{"sent": {}, "received": {}, "user": "{}"}}"#, cells[0], cells[1], cells[2])
            .unwrap();
    }
    text
}

fn report(bytes: &[u8]) -> ScanReport {
    scan_bytes(bytes).unwrap().report
}

fn names(report: &ScanReport) -> Vec<&str> {
    report.columns.iter().map(|column| column.name.as_str()).collect()
}

/// The report with every row in it.
fn whole_report(bytes: &[u8]) -> ScanReport {
    let options = ScanOptions { cutoff: Cutoff::Score(0.0), ..statistical() };
    scan_with(bytes, &options, &Limits::default()).unwrap().report
}

#[test]
fn every_format_gives_the_same_answer() {
    let table = calm_table(300);
    let expected = scan_bytes(table.as_bytes()).unwrap();
    let (first, second) = table.as_bytes().split_at(table.len() / 2);
    let json = calm_json(300);
    let array = format!("[{}]", json.trim_end().replace('\n', ",\n"));
    let plain = || properties().build();
    for (what, bytes) in [
        ("gzip", gzip(table.as_bytes())),
        ("gzip in two members", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd(table.as_bytes())),
        ("zstd in two frames", [zstd(first), zstd(second)].concat()),
        (
            "zstd after a frame to skip",
            [&b"\x50\x2a\x4d\x18\x04\0\0\0abcd"[..], &zstd(table.as_bytes())].concat(),
        ),
        ("JSON lines", json.clone().into_bytes()),
        (
            "JSON lines with a mark, blank lines and CRLF",
            format!("\u{feff}\n{}", json.replace('\n', "\r\n\n")).into_bytes(),
        ),
        ("JSON lines in gzip", gzip(json.as_bytes())),
        ("JSON lines in zstd", zstd(json.as_bytes())),
        ("a JSON array", array.clone().into_bytes()),
        ("JSON laid out", json.replace(", ", ",\n  ").into_bytes()),
        ("JSON without line ends", json.replace('\n', " ").into_bytes()),
        ("a JSON array with a mark in gzip", gzip(format!("\u{feff} {array}").as_bytes())),
        ("Parquet", calm_parquet(300, 1, plain())),
        ("Parquet in seven row groups", calm_parquet(300, 7, plain())),
        (
            "Parquet of the second version",
            calm_parquet(300, 2, properties().set_writer_version(WriterVersion::PARQUET_2_0).build()),
        ),
        (
            "Parquet without dictionaries",
            calm_parquet(300, 2, properties().set_dictionary_enabled(false).build()),
        ),
        (
            "Parquet with lengths first",
            calm_parquet(
                300,
                2,
                properties()
                    .set_dictionary_enabled(false)
                    .set_column_encoding("user".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .build(),
            ),
        ),
        (
            "Parquet with its bytes apart",
            calm_parquet(
                300,
                2,
                properties()
                    .set_dictionary_enabled(false)
                    .set_column_encoding("sent".into(), Encoding::BYTE_STREAM_SPLIT)
                    .build(),
            ),
        ),
        (
            "Parquet in small pages",
            calm_parquet(
                300,
                2,
                properties().set_data_page_row_count_limit(7).set_write_batch_size(7).build(),
            ),
        ),
        (
            "Parquet in snappy",
            calm_parquet(300, 2, properties().set_compression(Compression::SNAPPY).build()),
        ),
        (
            "Parquet in gzip",
            calm_parquet(
                300,
                2,
                properties().set_compression(Compression::GZIP(GzipLevel::default())).build(),
            ),
        ),
        (
            "Parquet in zstd",
            calm_parquet(
                300,
                2,
                properties().set_compression(Compression::ZSTD(ZstdLevel::default())).build(),
            ),
        ),
        (
            "Parquet in brotli",
            calm_parquet(
                300,
                2,
                properties().set_compression(Compression::BROTLI(BrotliLevel::default())).build(),
            ),
        ),
        ("Parquet in lz4", calm_parquet(300, 2, properties().set_compression(Compression::LZ4_RAW).build())),
        (
            "Parquet in Hadoop's lz4",
            calm_parquet(300, 2, properties().set_compression(Compression::LZ4).build()),
        ),
        (
            "Parquet of the second version in gzip",
            calm_parquet(
                300,
                2,
                properties()
                    .set_writer_version(WriterVersion::PARQUET_2_0)
                    .set_compression(Compression::GZIP(GzipLevel::default()))
                    .build(),
            ),
        ),
    ] {
        assert_eq!(scan_bytes(&bytes).unwrap_or_else(|error| panic!("{what}: {error}")), expected, "{what}");
    }
}

#[test]
fn the_dialect_of_delimited_text_is_found() {
    let plain = calm_table(60);
    let expected = scan_bytes(plain.as_bytes()).unwrap();
    let wide = |to_bytes: fn(u16) -> [u8; 2]| plain.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
    let quoted = plain.trim_end().replace(',', "\";\"").replace('\n', "\"\n\"");
    for (what, bytes) in [
        ("UTF-16 LE without a mark", wide(u16::to_le_bytes)),
        ("UTF-16 BE without a mark", wide(u16::to_be_bytes)),
        ("old Mac line ends", plain.replace('\n', "\r").into_bytes()),
        ("a named delimiter", format!("sep=;\r\n{}", plain.replace(',', ";")).into_bytes()),
        ("an unusual named delimiter", format!("\"sep=^\"\n{}", plain.replace(',', "^")).into_bytes()),
        (
            "a named delimiter after a mark",
            format!("\u{feff}sep=|\n{}", plain.replace(',', "|")).into_bytes(),
        ),
        ("all quoted", format!("\"{quoted}\"").into_bytes()),
        ("old Mac line ends and quotes", plain.replace('\n', "\r").replace("ana", "\"ana\"").into_bytes()),
    ] {
        assert_eq!(scan_bytes(&bytes).unwrap_or_else(|error| panic!("{what}: {error}")), expected, "{what}");
    }
}

#[test]
fn one_column_is_a_table() {
    let mut table = "bytes\n".to_owned();
    (0..200).for_each(|row| writeln!(table, "{}", row * 7919 % 97).unwrap());
    table.push_str("90000\n");
    let report = report(table.as_bytes());
    assert_eq!(names(&report), ["bytes"]);
    assert_eq!(report.threats[0].row, 201);
}

#[test]
fn lines_of_a_log_that_begin_with_a_bracket_are_no_json() {
    let mut table = String::new();
    (0..60).for_each(|row| writeln!(table, "[{row}],{},ok", row * 7 % 11).unwrap());
    assert_eq!(report(table.as_bytes()).columns.len(), 3);
}

#[test]
fn members_of_json_become_columns() {
    let mut text = String::new();
    for row in 0..80 {
        let late = if row == 70 { r#", "late": {"deep": {"er": "x"}}"# } else { "" };
        writeln!(
            text,
            r#"{{"n": {}, "who": {{"name": "u{}", "admin": {}}}, "tags": ["a", {}, null, {{"k": [1.5]}}], "none": null, "n": {}{late}}}"#,
            row,
            row % 3,
            row % 2 == 0,
            row % 4,
            row * 17 % 101,
        )
        .unwrap();
    }
    let report = whole_report(text.as_bytes());
    assert_eq!(names(&report), ["n", "who.name", "who.admin", "tags", "none", "late.deep.er"]);
    assert_eq!(report.columns[4].kind, ColumnKind::Empty);
    let row = report.threats.iter().find(|threat| threat.row == 71).unwrap();
    let record = serde_json::json!({
        "n": 70 * 17 % 101, "who.name": "u1", "who.admin": "true", "tags": "a, 2, null, {k: [1.5]}",
        "none": null, "late.deep.er": "x",
    });
    assert_eq!(serde_json::Value::Object(row.record.clone()), record);
}

const TYPED_SCHEMA: &str = "message m {
    required int32 day (DATE); required int64 milli (TIMESTAMP(MILLIS, true)); required int64 nano (TIMESTAMP(NANOS, false));
    required int64 price (DECIMAL(10, 2)); required int32 port (INTEGER(16, false));
    required group source { optional binary ip (UTF8); optional group place { optional int32 zone; } }
    optional group tags (LIST) { repeated group list { optional int32 element; } }
}";

#[test]
fn types_of_parquet_arrive_as_they_were_meant() {
    let rows = 60_usize;
    let numbers =
        |by: i64, modulus: i64| (0..rows as i64).map(|row| row * by % modulus).collect::<Vec<i64>>();
    let small =
        |by: i64, modulus: i64| -> Vec<i32> { numbers(by, modulus).iter().map(|n| *n as i32).collect() };
    let bytes = parquet(
        TYPED_SCHEMA,
        properties().build(),
        &mut [&mut |group| {
            let millis: Vec<i64> =
                numbers(7, 53).iter().map(|hour| 1_767_225_600_000 + hour * 3_600_000 + 250).collect();
            let nanos: Vec<i64> = millis.iter().map(|milli| milli * 1_000_000).collect();
            write_column!(
                group,
                Int32Type,
                &small(1, 40).iter().map(|day| 20_454 + day).collect::<Vec<_>>(),
                None
            );
            write_column!(group, Int64Type, &millis, None);
            write_column!(group, Int64Type, &nanos, None);
            write_column!(group, Int64Type, &numbers(12_345, 9_999), None);
            write_column!(group, Int32Type, &small(7, 13).iter().map(|n| n - 1).collect::<Vec<_>>(), None);
            let levels: Vec<i16> = (0..rows).map(|row| i16::from(row % 5 > 0)).collect();
            let present: Vec<ByteArray> = (0..rows)
                .filter(|row| row % 5 > 0)
                .map(|row| ByteArray::from(format!("10.0.0.{}", row % 9).as_str()))
                .collect();
            write_column!(group, ByteArrayType, &present, Some(&levels));
            let levels: Vec<i16> = (0..rows).map(|row| (row % 3) as i16).collect();
            let present: Vec<i32> = (0..rows).filter(|row| row % 3 == 2).map(|row| row as i32 % 7).collect();
            write_column!(group, Int32Type, &present, Some(&levels));
            let mut tags = group.next_column().unwrap().unwrap();
            tags.typed::<Int32Type>().write_batch(&[], Some(&vec![0; rows]), Some(&vec![0; rows])).unwrap();
            tags.close().unwrap();
        }],
    );
    let report = whole_report(&bytes);
    assert_eq!(
        names(&report),
        ["day", "milli", "nano", "price", "port", "source.ip", "source.place.zone", "tags"]
    );
    assert!(
        report.notes.iter().any(|note| note.contains("lists") && note.contains("“tags”")),
        "{:?}",
        report.notes
    );
    let row = &report.threats.iter().find(|threat| threat.row == 2).unwrap().record;
    assert_eq!(row["day"], "2026-01-02T00:00:00.000Z");
    assert_eq!(row["milli"], "2026-01-01T07:00:00.250Z");
    assert_eq!(row["nano"], "2026-01-01T07:00:00.250Z");
    assert_eq!(row["price"], 23.46);
    assert_eq!((&row["port"], &row["source.ip"]), (&serde_json::json!(6), &serde_json::json!("10.0.0.1")));
    assert_eq!(
        (&row["source.place.zone"], &row["tags"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    let first = &report.threats.iter().find(|threat| threat.row == 1).unwrap().record;
    assert_eq!(first["port"], u32::MAX, "what has no sign has none here");
}

#[test]
fn sheets_that_were_not_read_are_named() {
    let rows = |odd: usize| {
        (1..40_usize).fold(String::new(), |mut rows, row| {
            write!(rows, "<row r=\"{row}\"><c r=\"A{row}\"><v>{}</v></c></row>", row * odd % 17).unwrap();
            rows
        })
    };
    let book = workbook(&[
        ("Empty", String::new()),
        ("May", rows(3)),
        ("June", rows(5)),
        ("Also empty", String::new()),
    ]);
    let notes = report(&book).notes;
    assert!(
        notes.iter().any(|note| note.contains("another sheet with rows: “June”; choose one")),
        "{notes:?}"
    );
    let june = ScanOptions { sheet: Some("June".to_owned()), ..statistical() };
    let notes = scan_with(&book, &june, &Limits::default()).unwrap().report.notes;
    assert!(notes.iter().all(|note| !note.contains("sheet")), "{notes:?}");
}

/// Hangs up when it has been asked some times whether it still waits.
struct Impatient(AtomicUsize);

impl ScanProgress for Impatient {
    fn advance(&self, _: &'static str, _: f64) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn whoever_hangs_up_stops_the_reading() {
    let (csv, json) = (calm_table(3_000), calm_json(3_000));
    let array = format!("[{}]", json.trim_end().replace('\n', ","));
    for bytes in [
        csv.clone().into_bytes(),
        gzip(csv.as_bytes()),
        zstd(csv.as_bytes()),
        gzip(json.as_bytes()),
        json.into_bytes(),
        array.into_bytes(),
        calm_parquet(3_000, 3, properties().build()),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        for patience in 0..4 {
            let progress = Impatient(patience.into());
            let refusal = scan(file.path(), "upload", &statistical(), &Limits::default(), &progress);
            assert!(matches!(refusal, Err(ScanError::Cancelled)), "{patience}: {refusal:?}");
        }
    }
}

#[test]
fn a_packed_file_in_many_pieces_is_looked_at_as_a_whole() {
    let table = format!("sep=;\n{}", calm_table(60).replace(',', ";"));
    let pieces: Vec<u8> = table.as_bytes().chunks(3).flat_map(gzip).collect();
    assert_eq!(scan_bytes(&pieces).unwrap(), scan_bytes(calm_table(60).as_bytes()).unwrap());
}
