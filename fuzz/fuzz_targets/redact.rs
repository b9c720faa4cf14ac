//! Texts in which secrets are looked for. The text is put before and after lines with a secret in them.
//!
//! Asserts that what is found are whole characters, in order, not overlapping, and the same each time; and that a
//! secret on a line of its own is found whatever stands around it.
#![no_main]

use sentinelflow_llm::fuzzed::secrets;

const SECRET: &str = "Xq7vRt29LmZ4Xq7v";
const LINES: [&str; 4] = [
    "password=SECRET",
    "{\"token\":\"SECRET\"}",
    "Authorization: Bearer SECRET",
    "https://anna:SECRET@git.example.com/",
];

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    without_secrets(&text);
    if !text.contains(SECRET) {
        for line in LINES {
            let line = line.replace("SECRET", SECRET);
            let kept = without_secrets(&format!("{text}\n{line}\n{text}"));
            assert!(!kept.contains(SECRET), "{line} after and before {text:?} leaves {kept:?}");
        }
    }
});

/// Returns what is left of a text.
fn without_secrets(text: &str) -> String {
    let found = secrets(text);
    assert_eq!(found, secrets(text), "found the same each time");
    let mut kept = String::new();
    let mut at = 0;
    for (range, kind) in found {
        assert!(range.start >= at && range.end > range.start, "{kind} at {range:?} after {at}");
        assert!(text.is_char_boundary(range.end), "{kind} at {range:?} ends in a character");
        kept += text.get(at..range.start).expect("it begins with a character");
        kept += "\n";
        at = range.end;
    }
    kept + text.get(at..).expect("checked above")
}
