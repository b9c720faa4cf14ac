//! Packed files, JSON and Parquet that are broken or meant to do harm: each gets an answer that says why.

use std::{fmt::Write as _, io::Write as _};

use parquet::data_type::{ByteArray, ByteArrayType};
use proptest::prelude::*;
use sentinelflow_forensic::{Limits, ScanError};

use crate::{
    calm_table,
    formats::{calm_json, calm_parquet, gzip, parquet, properties, write_column, zstd},
    scan_bytes, scan_with, statistical,
};

fn refused(bytes: &[u8]) -> String {
    scan_bytes(bytes).expect_err("the file should have been refused").to_string()
}

fn assert_refused(bytes: &[u8], expected: &str) {
    let sentence = refused(bytes);
    assert!(sentence.contains(expected), "“{sentence}” does not say “{expected}”");
}

#[test]
fn a_packed_file_that_was_cut_off_is_no_shorter_table() {
    let table = calm_table(20_000);
    for (packing, packed) in [("gzip", gzip(table.as_bytes())), ("zstd", zstd(table.as_bytes()))] {
        for length in [20, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
            assert_refused(&packed[..length], &format!("the {packing} file was cut off"));
        }
    }
}

#[test]
fn damage_in_a_packed_file_is_told() {
    let table = calm_table(20_000);
    for packed in [gzip(table.as_bytes()), zstd(table.as_bytes())] {
        for place in [packed.len() / 3, packed.len() / 2, packed.len() - 6] {
            let mut damaged = packed.clone();
            damaged[place] ^= 0x55;
            assert!(scan_bytes(&damaged).is_err(), "a checksum tells what was changed at {place}");
        }
        let mut followed = packed;
        followed.extend_from_slice(b"and more");
        assert!(scan_bytes(&followed).is_err());
    }
}

#[test]
fn a_bomb_is_not_expanded() {
    let row = b"0,0,0\n".repeat(100_000);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut frames = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..400 {
        packer.write_all(&row).unwrap();
        frames.write_all(&row).unwrap();
    }
    assert_refused(&packer.finish().unwrap(), "expands more than 200 times");
    assert_refused(&frames.finish().unwrap(), "expands more than 200 times");
    let small = Limits { bytes: 10_000, ..Limits::default() };
    let refusal = scan_with(&gzip(calm_table(5_000).as_bytes()), &statistical(), &small);
    assert!(matches!(refusal, Err(ScanError::TooLarge { .. })), "{refusal:?}");
}

#[test]
fn packed_files_hold_text() {
    let table = calm_table(50);
    assert_refused(&gzip(&gzip(table.as_bytes())), "another packed file");
    assert_refused(&zstd(&gzip(table.as_bytes())), "another packed file");
    assert_refused(&gzip(&calm_parquet(50, 1, properties().build())), "Parquet; please unpack");
    assert_refused(&gzip(b"%PDF-1.7"), "PDF");
    assert_refused(&gzip(b""), "empty");
    assert_refused(&zstd(b"a,b\n1,\0\0\0\n"), "binary");
}

#[test]
fn a_window_of_gigabytes_is_refused() {
    // A frame whose header asks for a window of 2³¹ bytes.
    assert_refused(b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", "zstd");
}

#[test]
fn a_line_that_is_no_json_is_named() {
    let json = calm_json(30);
    for (line, expected) in [
        ("{\"sent\": 1", "line 31 is not as JSON should be"),
        ("{\"sent\": 1,}", "line 31"),
        ("[1, 2]", "line 31"),
        ("{\"sent\": 1} {\"sent\": 2}", "line 31"),
        ("17", "line 31"),
        ("{\"sent\": 1e999}", "line 31"),
    ] {
        assert_refused(format!("{json}{line}\n{json}").as_bytes(), expected);
    }
    let mut bytes = json.clone().into_bytes();
    bytes.extend_from_slice(b"{\"user\": \"caf\xe9\"}\n");
    assert_refused(&bytes, "line 31");
    assert_refused(format!("[{}, 17]", json.trim_end().replace('\n', ",\n")).as_bytes(), "line 30");
    assert_refused(format!("[{}", json.trim_end().replace('\n', ",\n")).as_bytes(), "line 30");
    assert_refused(b"[]", "no JSON objects");
    assert_refused(b"{}\n{}\n", "no members");
}

#[test]
fn deep_json_is_refused() {
    for nested in [
        "{\"a\":".repeat(100_000),
        format!("{{\"a\":{}", "[".repeat(100_000)),
        format!("[{{\"a\":{}", "[".repeat(9_000)),
    ] {
        assert_refused(nested.as_bytes(), "JSON");
    }
    let fine = format!("{}{}{}\n", "{\"a\":".repeat(60), 1, "}".repeat(60));
    assert_refused(fine.repeat(3).as_bytes(), "3 data rows");
}

#[test]
fn json_has_the_limits_of_any_table() {
    let mut wide = calm_json(20);
    let members: Vec<String> = (0..21_000).map(|place| format!("\"m{place}\": {place}")).collect();
    writeln!(wide, "{{{}}}", members.join(",")).unwrap();
    assert_refused(wide.as_bytes(), "row 21 brings the members to more than 20000");
    let long = format!("{}{{\"user\": \"{}\"}}\n", calm_json(20), "x".repeat(17 << 20));
    assert_refused(long.as_bytes(), "line 21 is longer than 16777216 bytes");
    let long = format!("[{{\"user\": \"{}\"}}]", "x".repeat(17 << 20));
    assert_refused(long.as_bytes(), "longer than 16777216 bytes");
}

#[test]
fn rows_of_ten_megabytes_and_twenty_thousand_columns_are_taken() {
    let mut json = calm_json(40);
    writeln!(json, "{{\"sent\": 1, \"user\": \"{}\"}}", "x".repeat(10 << 20)).unwrap();
    let report = scan_bytes(json.as_bytes()).unwrap().report;
    assert_eq!((report.total_scanned, report.columns.len()), (41, 3));

    let limits = Limits { cells: 1_000_000, ..Limits::default() };
    let mut csv = (0..20_000).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let mut json = String::new();
    for row in 0..14_usize {
        let cells: Vec<usize> = (0..20_000_usize).map(|column| (row * 7 + column * row * 13) % 101).collect();
        csv.push('\n');
        csv.push_str(&cells.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
        let members = cells.iter().enumerate().map(|(column, cell)| format!("\"c{column}\":{cell}"));
        writeln!(json, "{{{}}}", members.collect::<Vec<_>>().join(",")).unwrap();
    }
    let from_csv = scan_with(csv.as_bytes(), &statistical(), &limits).unwrap();
    let from_json = scan_with(json.as_bytes(), &statistical(), &limits).unwrap();
    assert_eq!(from_csv.report.columns.len(), 20_000);
    assert_eq!(from_csv, from_json);
}

#[test]
fn few_rows_and_equal_rows_are_told_in_every_format() {
    for (rows, expected) in [(1, "1 data rows"), (2, "2 data rows")] {
        assert_refused(calm_json(rows).as_bytes(), expected);
        assert_refused(&calm_parquet(rows, 1, properties().build()), expected);
        assert_refused(&gzip(calm_table(rows).as_bytes()), expected);
    }
    let equal = "{\"a\": 1, \"b\": null, \"c\": \"x\"}\n".repeat(50);
    assert!(matches!(scan_bytes(equal.as_bytes()), Err(ScanError::NothingToLearn { .. })));
}

#[test]
fn members_of_several_types_are_one_column() {
    let mut json = String::new();
    for row in 0..90 {
        let value =
            [format!("\"w{}\"", row % 4), (row * 31 % 17).to_string(), "true".to_owned()][row % 3].clone();
        writeln!(json, "{{\"mixed\": {value}, \"n\": {}}}", row * 13 % 29).unwrap();
    }
    let report = scan_bytes(json.as_bytes()).unwrap().report;
    assert_eq!((report.total_scanned, report.columns.len()), (90, 2));
}

#[test]
fn a_parquet_file_that_was_cut_off_is_refused_wherever_it_was_cut() {
    let whole = calm_parquet(400, 3, properties().build());
    for length in (4..whole.len()).step_by(7).chain(whole.len() - 12..whole.len()) {
        let sentence = refused(&whole[..length]);
        assert!(sentence.contains("Parquet") && sentence.contains("cut off"), "{length}: {sentence}");
    }
    // The end is whole, and the middle is missing.
    let mut hollow = whole[..60].to_vec();
    hollow.extend_from_slice(&whole[whole.len() - 1_200..]);
    assert_refused(&hollow, "Parquet");
}

#[test]
fn parquet_says_what_it_cannot_be_read_for() {
    let mut whole = calm_parquet(40, 1, properties().build());
    let length = whole.len();
    whole[length - 4..].copy_from_slice(b"PARE");
    assert_refused(&whole, "encrypted");
    let encoding = parquet::basic::Encoding::DELTA_BYTE_ARRAY;
    let prefixes =
        properties().set_dictionary_enabled(false).set_column_encoding("user".into(), encoding).build();
    assert_refused(&calm_parquet(40, 1, prefixes), "DELTA_BYTE_ARRAY, which is not read, in column “user”");
    let none = parquet("message m { required int32 a; }", properties().build(), &mut []);
    assert_refused(&none, "no rows");
    let none = parquet("message m { }", properties().build(), &mut []);
    assert_refused(&none, "no columns");
    let limits = Limits { rows: 30, ..Limits::default() };
    let refusal = scan_with(&calm_parquet(40, 1, properties().build()), &statistical(), &limits);
    assert!(matches!(refusal, Err(ScanError::TooLarge { .. })), "{refusal:?}");
    let limits = Limits { columns: 2, ..Limits::default() };
    let refusal = scan_with(&calm_parquet(40, 1, properties().build()), &statistical(), &limits);
    assert!(matches!(refusal, Err(ScanError::TooLarge { .. })), "{refusal:?}");
}

#[test]
fn a_text_that_a_dictionary_repeats_counts_each_time() {
    let text = ByteArray::from("x".repeat(1 << 20).as_str());
    let schema = format!(
        "message m {{ {} }}",
        (0..40).fold(String::new(), |mut columns, place| {
            write!(columns, "required binary c{place} (UTF8); ").unwrap();
            columns
        })
    );
    let bytes = parquet(
        &schema,
        properties().build(),
        &mut [&mut |group| {
            (0..40).for_each(|_| write_column!(group, ByteArrayType, &vec![text.clone(); 30], None));
        }],
    );
    let refusal = scan_bytes(&bytes);
    assert!(matches!(refusal, Err(ScanError::TooLarge { .. })), "{refusal:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_makes_parquet_panic(
        places in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4),
        second_version: bool,
        is_footer: bool,
    ) {
        let version = if second_version {
            parquet::file::properties::WriterVersion::PARQUET_2_0
        } else {
            parquet::file::properties::WriterVersion::PARQUET_1_0
        };
        let compression = parquet::basic::Compression::SNAPPY;
        let mut bytes = calm_parquet(60, 2, properties().set_writer_version(version).set_compression(compression).build());
        let from = if is_footer { bytes.len() - 700 } else { 0 };
        for (place, byte) in places {
            let place = from + (place * (bytes.len() - 1 - from) as f64) as usize;
            bytes[place] = byte;
        }
        drop(scan_bytes(&bytes));
    }

    #[test]
    fn no_damage_makes_json_or_packed_text_panic(place in 0.0..1.0_f64, byte in any::<u8>()) {
        for mut bytes in [calm_json(30).into_bytes(), gzip(calm_table(30).as_bytes()), zstd(calm_table(30).as_bytes())] {
            let place = (place * (bytes.len() - 1) as f64) as usize;
            bytes[place] = byte;
            drop(scan_bytes(&bytes));
            drop(scan_bytes(&bytes[..place]));
        }
    }
}

/// A file of nothing but metadata.
fn only_footer(footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [b"PAR1", footer, &length, b"PAR1"].concat()
}

#[test]
fn claims_of_parquet_metadata_are_not_believed() {
    const ROOT: &[u8] = b"\x15\x02\x19";
    // A schema of 100,000 groups, each in the one before it.
    let nested = b"\x48\x01g\x15\x02\x00".repeat(100_000);
    assert_refused(
        &only_footer(&[ROOT, b"\xfc\xa0\x8d\x06", &nested, b"\x00"].concat()),
        "nested too deeply",
    );
    // A group of two thousand million members.
    let huge = b"\x1c\x48\x01g\x15\xfe\xff\xff\xff\x0f\x00\x00";
    assert_refused(&only_footer(&[ROOT, &huge[..]].concat()), "more members than there are");
    // As many elements, of which none is there.
    assert_refused(&only_footer(&[ROOT, b"\xfc\xff\xff\xff\xff\x07\x00"].concat()), "too long");
    // A text that is longer than the file.
    assert_refused(&only_footer(&[ROOT, b"\x1c\x48\xff\xff\xff\xff\x0f\x00\x00"].concat()), "ends too early");
}

#[test]
fn claims_of_parquet_pages_are_not_believed() {
    const LARGEST: &[u8] = b"\xfe\xff\xff\xff\x0f";
    let numbers = calm_parquet(2_000, 1, properties().build());
    let gzipped = calm_parquet(
        2_000,
        1,
        properties()
            .set_compression(parquet::basic::Compression::GZIP(parquet::basic::GzipLevel::default()))
            .build(),
    );
    let texts = parquet(
        "message m { required binary a (UTF8); }",
        properties().build(),
        &mut [&mut |group| {
            write_column!(group, ByteArrayType, &vec![ByteArray::from("a rather long text"); 20], None);
        }],
    );
    let zeros = gzip(&vec![0; 4 << 20]);
    let packed_size = u32::try_from(zeros.len() * 2).unwrap();
    let packed_size =
        [(packed_size & 0x7F) as u8 | 0x80, (packed_size >> 7) as u8 | 0x80, (packed_size >> 14) as u8];
    let values = b"\x2c\x15\x28\x15\x00\x15\x06\x15\x06\x00\x00";
    for (file, page, expected) in [
        // Two gigabytes of values.
        (
            &numbers,
            [b"\x15\x00\x15", LARGEST, b"\x15\x02", values].concat(),
            "a page of the Parquet file has 2147483647",
        ),
        // A dictionary with as many of them, in one byte.
        (
            &numbers,
            [b"\x15\x04\x15\x02\x15\x02\x4c\x15", LARGEST, b"\x15\x00\x00\x00\x07"].concat(),
            "more values than it has room",
        ),
        // A hundred bytes that expand to four million.
        (
            &gzipped,
            [b"\x15\x00\x15\xc8\x01\x15", &packed_size[..], values, &zeros].concat(),
            "more than it claims",
        ),
        // Two thousand million texts in a page of twenty.
        (
            &texts,
            [
                b"\x15\x00\x15\x12\x15\x12\x2c\x15\x28\x15\x0c\x15\x06\x15\x06\x00\x00\x80\x01\x04",
                LARGEST,
                b"\x00",
            ]
            .concat(),
            "more texts than it has values",
        ),
    ] {
        let mut bytes = file.clone();
        bytes[4..4 + page.len()].copy_from_slice(&page);
        assert_refused(&bytes, expected);
    }
}
