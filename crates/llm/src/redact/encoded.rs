//! Words for secrets within base64 and hex: what hides them would be undone by any reader. The whole is masked.

use std::ops::Range;

use crate::redact::{
    Finds, collect,
    written::{hex, run, run_before},
};

/// Whether a text is as it came, or was decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Outer,
    Decoded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// So many characters after the start of a group of four.
    Base64 {
        phase: usize,
    },
    Hex,
}

/// Longer texts are looked at so far.
const LONGEST: usize = 8 << 10;

/// Words that announce what is secret in a command or a configuration.
const WORDS: [&str; 9] =
    ["PRIVATE KEY", "password", "Password", "PASSWORD", "passwd", "secret", "token", "-pass", "pwd="];

/// Returns what the words look like, wherever in a text they stand.
pub(super) fn needles() -> Vec<(String, Encoding)> {
    let wide = |word: &str| word.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<u8>>();
    let texts = WORDS.iter().flat_map(|word| [word.as_bytes().to_vec(), wide(word)]);
    texts
        .flat_map(|text| {
            let base64 = (0..3).map({
                let text = text.clone();
                move |offset| base64_needle(&text, offset)
            });
            base64.chain([(hex_of(&text), Encoding::Hex)]).collect::<Vec<_>>()
        })
        .collect()
}

/// Looks at a word within an encoded text.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, encoding: Encoding, depth: Depth, finds: &mut Finds) {
    if depth == Depth::Decoded || hit.start < finds.decoded_until {
        return;
    }
    let is_of_text = match encoding {
        Encoding::Base64 { .. } => is_of_base64,
        Encoding::Hex => |byte: u8| byte.is_ascii_hexdigit(),
    };
    let start = hit.start - run_before(bytes, hit.start, LONGEST, is_of_text);
    let end = hit.end + run(bytes, hit.end, LONGEST, is_of_text);
    finds.decoded_until = end;
    let decoded = match encoding {
        Encoding::Base64 { phase } => {
            let aligned = start + (hit.start - start + 4 - phase % 4) % 4;
            from_base64(&bytes[aligned..end])
        }
        Encoding::Hex => from_hex(&bytes[start + (hit.start - start) % 2..end]),
    };
    let Some(decoded) = decoded else { return };
    let mut inner = Finds::default();
    collect(readable(&decoded).as_bytes(), &mut inner, Depth::Decoded);
    if let Some(first) = inner.found.first() {
        finds.add(first.kind, start..end);
    }
}

/// Decodes base64 in either alphabet, with or without padding.
pub(super) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &text[..text.len() - padding];
    let mut plain = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.chunks(4) {
        let bits = group.iter().try_fold(0_u32, |bits, byte| Some(bits << 6 | u32::from(sextet(*byte)?)))?;
        let bits = bits << (6 * (4 - group.len()));
        plain.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
    }
    Some(plain)
}

fn is_of_base64(byte: u8) -> bool {
    byte == b'=' || sextet(byte).is_some()
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    text.chunks_exact(2).map(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?)).collect()
}

/// Makes text of bytes: without the zeros of a wide text, and with spaces where a list is divided by zeros.
fn readable(bytes: &[u8]) -> String {
    let odd_zeros = bytes.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    let is_wide = odd_zeros * 4 > bytes.len();
    let kept = bytes.iter().filter(|byte| !is_wide || **byte != 0);
    let plain: Vec<u8> = kept.map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&plain).into_owned()
}

/// Returns the characters that a word becomes after so many other bytes, without those that these have a part in.
fn base64_needle(text: &[u8], offset: usize) -> (String, Encoding) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(text.iter().copied()).collect();
    let first = (offset * 8).div_ceil(6);
    let whole = padded.len() * 8 / 6;
    let sextet_at = |at: usize| {
        (at * 6..at * 6 + 6)
            .fold(0, |value, bit| value << 1 | usize::from(padded[bit / 8] >> (7 - bit % 8) & 1))
    };
    let needle = (first..whole).map(|at| char::from(ALPHABET[sextet_at(at)])).collect();
    (needle, Encoding::Base64 { phase: first })
}

fn hex_of(text: &[u8]) -> String {
    let digits = text.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_three_forms_in_base64() {
        let needles: Vec<String> = (0..3).map(|offset| base64_needle(b"password", offset).0).collect();
        assert_eq!(needles, ["cGFzc3dvcm", "Bhc3N3b3Jk", "wYXNzd29yZ"]);
    }

    #[test]
    fn base64_is_decoded_in_either_alphabet() {
        assert_eq!(from_base64(b"aGk="), Some(b"hi".to_vec()));
        assert_eq!(from_base64(b"aGkh"), Some(b"hi!".to_vec()));
        assert_eq!(from_base64(b"-_-_"), from_base64(b"+/+/"));
        assert_eq!(from_base64(b"a b"), None);
    }
}
