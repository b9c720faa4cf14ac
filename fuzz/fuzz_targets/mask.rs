//! Texts on their way to a language model.
//!
//! Asserts that a secret that was found does not stand in what leaves, that nobody can write a placeholder or a mark of
//! ours, and that a text is masked the same twice.
#![no_main]

use sentinelflow_llm::fuzzed::masked;

/// A shorter one may stand elsewhere by chance.
const LEAST_SECRET_BYTES: usize = 8;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    let (written, secrets) = masked(&text);
    assert_eq!((&written, &secrets), (&masked(&text).0, &masked(&text).1), "masked the same twice");
    assert_eq!(written.matches('‹').count(), written.matches('›').count(), "{written}");
    assert!(!written.chars().any(|char| ('\u{e000}'..='\u{f8ff}').contains(&char)), "{written}");
    // Behind every opening sign stands a placeholder, whose name may be the very word that was a secret.
    let kept: Vec<&str> = written.split('‹').filter_map(|piece| piece.rsplit('›').next()).collect();
    for secret in secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET_BYTES) {
        assert!(!kept.iter().any(|piece| piece.contains(&**secret)), "{secret} in {written}");
    }
});
