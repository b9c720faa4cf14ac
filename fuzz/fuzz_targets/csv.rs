//! Any upload that is no workbook: delimited text in any encoding, or something that is no table at all.
#![no_main]

use sentinelflow_fuzz::assert_scan_keeps_its_promises;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| assert_scan_keeps_its_promises(bytes));
