//! What a language model's provider sends back: the status as the first two bytes, then the body.
//!
//! Asserts that only verdicts on what was asked about are used, at most one for each, that their words are short and
//! harmless to show, and that none repeats the canary.
#![no_main]

use sentinelflow_fuzz::assert_harmless;
use sentinelflow_llm::fuzzed::{CANARY, RECORDS, answer};

const MOST_WORDS_CHARS: usize = 600 + 1;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((status, body)) = input.split_at_checked(2) else { return };
    // Most inputs are to be answers.
    let status = if status[0] < 128 { 200 } else { 100 + u16::from(status[1]) * 2 };
    let used = answer(status, body);
    assert!(used.len() <= RECORDS.len() * 2, "at most one verdict for each record and provider");
    for verdict in used {
        assert!(RECORDS.contains(&&*verdict.asked.record));
        let words = [Some(&verdict.summary), verdict.prevention_measures.as_ref()];
        for words in words.into_iter().flatten() {
            assert!((1..=MOST_WORDS_CHARS).contains(&words.chars().count()), "{words}");
            assert!(!words.contains(CANARY), "{words}");
            assert_harmless("a model's words", words);
        }
    }
});
