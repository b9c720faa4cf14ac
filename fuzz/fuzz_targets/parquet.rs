//! Uploaded Parquet files: bytes as they are, or what comes before the last eight, which are made here: they say where
//! the metadata begins, and few mutations would keep that right. The first two bytes then say how long it is.
#![no_main]

use sentinelflow_fuzz::assert_scan_keeps_its_promises;

const MAGIC: &[u8] = b"PAR1";

libfuzzer_sys::fuzz_target!(init: sentinelflow_fuzz::let_guarded_panics_pass(), |bytes: &[u8]| {
    match bytes {
        [low, high, rest @ ..] if !bytes.starts_with(MAGIC) => {
            let length = u32::from(u16::from_le_bytes([*low, *high])).to_le_bytes();
            assert_scan_keeps_its_promises(&[MAGIC, rest, &length, MAGIC].concat());
        }
        _ => assert_scan_keeps_its_promises(bytes),
    }
});
