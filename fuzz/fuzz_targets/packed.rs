//! Packed uploads: bytes as they are, or a text that is packed here, since no mutation gets past a checksum.
#![no_main]

use std::io::Write as _;

use sentinelflow_fuzz::{assert_scan_keeps_its_promises, assert_scanned_alike};

libfuzzer_sys::fuzz_target!(init: sentinelflow_fuzz::let_guarded_panics_pass(), |bytes: &[u8]| {
    match bytes {
        [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
            assert_scan_keeps_its_promises(bytes);
        }
        // Readers of these go to and fro in the file, which a packed one does not allow.
        [b'P', b'K', ..] | [b'P', b'A', b'R', ..] | [0xD0, 0xCF, ..] => {}
        text => {
            let (first, second) = text.split_at(text.len() / 2);
            assert_scanned_alike(text, &[gzip(first), gzip(second)].concat());
            assert_scanned_alike(text, &zstd(text));
        }
    }
});

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text).expect("memory takes what is written");
    packer.finish().expect("memory takes what is written")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).expect("memory takes what is written")
}
