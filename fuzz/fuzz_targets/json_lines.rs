//! Uploads of JSON objects: a line each, in an array, or laid out in any way. What is read line by line must be the
//! same in an array, which another reader reads.
#![no_main]

use sentinelflow_fuzz::{assert_scan_keeps_its_promises, assert_scanned_alike};
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert_scan_keeps_its_promises(bytes);
    let lines: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    let is_object = |line: &&[u8]| matches!(serde_json::from_slice(line), Ok(Value::Object(_)));
    if !lines.is_empty() && lines.iter().all(is_object) {
        assert_scanned_alike(&lines.join(&b'\n'), &[b"[", lines.join(&b',').as_slice(), b"]"].concat());
    }
});
