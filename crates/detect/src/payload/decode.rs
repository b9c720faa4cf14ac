//! Undoes the encodings that hide a payload: percent, plus, HTML entities, escapes, overlong UTF-8, base64.
//! Each round is one pass over the text and there are few rounds, so the work is bounded.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Attackers nest encodings to get past filters that decode once or twice.
pub(crate) const MAX_ROUNDS: u8 = 4;

/// Base64 shorter than this is more often a word or a number.
const BASE64_MIN_LEN: usize = 16;

/// Whether `+` stands for a space, as it does in a query or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    Space,
    Literal,
}

/// Returns the text after one round of decoding, after two, …: at most [`MAX_ROUNDS`], none if nothing was encoded.
pub(crate) fn rounds(raw: &str, plus: Plus) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    let mut plus = plus;
    for _ in 0..MAX_ROUNDS {
        let current = forms.last().map_or(raw, String::as_str);
        let Some(next) = unescaped(current, plus).or_else(|| from_base64(current)) else { break };
        plus = Plus::Literal;
        forms.push(next);
    }
    forms
}

/// Undoes one layer of every escape at once; `None` if there was none.
fn unescaped(text: &str, plus: Plus) -> Option<String> {
    let bytes = text.as_bytes();
    let is_mark = |b: &u8| matches!(b, b'%' | b'&' | b'\\') || (*b == b'+' && plus == Plus::Space);
    let first = bytes.iter().position(is_mark)?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut changed = false;
    let mut next = Some(first);
    while let Some(mark) = next {
        out.extend_from_slice(&bytes[at..mark]);
        let rest = &bytes[mark..];
        if let Some((decoded, taken)) = escape(rest, plus) {
            let mut utf8 = [0; 4];
            match decoded {
                Decoded::Byte(byte) => out.push(byte),
                Decoded::Char(c) => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
            }
            changed = true;
            at = mark + taken;
        } else {
            out.push(bytes[mark]);
            at = mark + 1;
        }
        next = bytes[at..].iter().position(is_mark).map(|offset| at + offset);
    }
    out.extend_from_slice(&bytes[at..]);
    changed.then(|| repaired(&out))
}

enum Decoded {
    Byte(u8),
    Char(char),
}

/// Reads the escape that `rest` starts with: what it stands for and how many bytes it takes.
fn escape(rest: &[u8], plus: Plus) -> Option<(Decoded, usize)> {
    match rest {
        [b'+', ..] if plus == Plus::Space => Some((Decoded::Byte(b' '), 1)),
        [b'%' | b'\\', b'u' | b'U', digits @ ..] => {
            wide(digits).map(|(c, taken)| (Decoded::Char(c), taken + 2))
        }
        [b'%', a, b, ..] | [b'\\', b'x' | b'X', a, b, ..] => {
            let byte = hex(*a)? << 4 | hex(*b)?;
            Some((Decoded::Byte(byte), if rest[0] == b'%' { 3 } else { 4 }))
        }
        [b'&', b'#', digits @ ..] => numeric_entity(digits).map(|(c, taken)| (Decoded::Char(c), taken + 2)),
        [b'&', name @ ..] => named_entity(name).map(|(c, taken)| (Decoded::Char(c), taken + 1)),
        _ => None,
    }
}

/// Reads `XXXX` or `{X…}`.
fn wide(digits: &[u8]) -> Option<(char, usize)> {
    let (number, braces) = match digits {
        [b'{', inner @ ..] => {
            let end = inner.iter().take(8).position(|b| *b == b'}')?;
            (&inner[..end], 2)
        }
        _ => (digits.get(..4)?, 0),
    };
    let code = number.iter().try_fold(0_u32, |code, digit| Some(code << 4 | u32::from(hex(*digit)?)))?;
    Some((char::from_u32(code)?, number.len() + braces))
}

/// Reads the digits of `&#60;`, `&#x3c;`, `&#0000060`: browsers take any number of zeros and no semicolon.
fn numeric_entity(digits: &[u8]) -> Option<(char, usize)> {
    const MOST_DIGITS: usize = 12;
    let is_hex = matches!(digits.first(), Some(b'x' | b'X'));
    let prefix = usize::from(is_hex);
    let radix = if is_hex { 16 } else { 10 };
    let mut code = 0_u32;
    let mut len = 0;
    for digit in digits[prefix..].iter().take(MOST_DIGITS) {
        let Some(value) = hex(*digit).map(u32::from).filter(|value| *value < radix) else { break };
        code = code.saturating_mul(radix).saturating_add(value);
        len += 1;
    }
    let c = char::from_u32(code).filter(|_| len > 0)?;
    let semicolon = usize::from(digits.get(prefix + len) == Some(&b';'));
    Some((c, prefix + len + semicolon))
}

/// Reads the name of an entity that stands for a character with a meaning in markup or scripts.
fn named_entity(name: &[u8]) -> Option<(char, usize)> {
    const NAMES: [(&[u8], char); 26] = [
        (b"lt;", '<'),
        (b"gt;", '>'),
        (b"quot;", '"'),
        (b"apos;", '\''),
        (b"amp;", '&'),
        (b"colon;", ':'),
        (b"semi;", ';'),
        (b"lpar;", '('),
        (b"rpar;", ')'),
        (b"sol;", '/'),
        (b"bsol;", '\\'),
        (b"tab;", '\t'),
        (b"newline;", '\n'),
        (b"nbsp;", ' '),
        (b"equals;", '='),
        (b"comma;", ','),
        (b"period;", '.'),
        (b"grave;", '`'),
        (b"lcub;", '{'),
        (b"rcub;", '}'),
        (b"lsqb;", '['),
        (b"rsqb;", ']'),
        (b"num;", '#'),
        (b"dollar;", '$'),
        (b"lt", '<'),
        (b"gt", '>'),
    ];
    let starts =
        |entity: &[u8]| name.get(..entity.len()).is_some_and(|start| start.eq_ignore_ascii_case(entity));
    NAMES.iter().find(|(entity, _)| starts(entity)).map(|(entity, c)| (*c, entity.len()))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Makes text of bytes: overlong sequences become the ASCII they hide, stray bytes the Latin-1 letters they may be.
fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let (valid, stray) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, None),
            Err(error) => {
                let (valid, stray) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(valid).expect("checked by valid_up_to"), Some(stray))
            }
        };
        text.push_str(valid);
        let Some(stray) = stray else { return text };
        let (c, taken) = overlong(stray).unwrap_or((char::from(stray[0]), 1));
        text.push(c);
        rest = &stray[taken..];
    }
}

/// Reads ASCII that is written with more bytes than it needs, as in `%c0%af` for a slash.
fn overlong(bytes: &[u8]) -> Option<(char, usize)> {
    let low = |byte: u8| (byte & 0xC0 == 0x80).then_some(byte & 0x3F);
    let (high, last, taken) = match *bytes {
        [lead @ (0xC0 | 0xC1), last, ..] => (lead & 1, last, 2),
        [0xE0, middle @ (0x80 | 0x81), last, ..] => (middle & 1, last, 3),
        [0xF0, 0x80, middle @ (0x80 | 0x81), last, ..] => (middle & 1, last, 4),
        _ => return None,
    };
    Some((char::from(high << 6 | low(last)?), taken))
}

/// Decodes a text that is plainly base64: nothing else, and printable with marks in it when decoded.
fn from_base64(text: &str) -> Option<String> {
    let body = text.trim().trim_end_matches('=');
    let is_plausible = body.len() >= BASE64_MIN_LEN && body.len() % 4 != 1;
    let is_alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if !is_plausible || !body.bytes().all(is_alphabet) {
        return None;
    }
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(body).ok()?).ok()?;
    let is_printable = decoded.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    let has_marks = decoded.bytes().any(|b| b"<>'\"();|&$/{}".contains(&b));
    (is_printable && has_marks).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fully(raw: &str) -> String {
        rounds(raw, Plus::Space).pop().unwrap_or_else(|| raw.to_owned())
    }

    #[test]
    fn hidden_text_comes_to_light() {
        let cases = [
            ("plain", "plain"),
            ("a+b%20c", "a b c"),
            ("%2527%2520or", "' or"),
            ("%%32%65%%32%65/", "../"),
            ("%u003cscript\\u003e", "<script>"),
            ("\\x3cb\\x3E\\u{3c}", "<b><"),
            ("&lt;svg&#x2F;onload&#0000061", "<svg/onload="),
            ("javascript&colon;alert&lpar;1&rpar;", "javascript:alert(1)"),
            ("..%c0%af..%c1%9c%e0%80%af", "../..\\/"),
            ("%E4t", "ät"),
            ("PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "<script>alert(1)</script>"),
            ("100% sure & more\\", "100% sure & more\\"),
            ("1D0AA0A700000004/9GUH7NYWTMDHBAA", "1D0AA0A700000004/9GUH7NYWTMDHBAA"),
        ];
        for (raw, decoded) in cases {
            assert_eq!(fully(raw), decoded, "{raw}");
        }
    }

    #[test]
    fn a_plus_is_a_space_once_and_only_where_it_is_one() {
        assert_eq!(fully("1%2B1+2"), "1+1 2");
        assert!(rounds("1+1", Plus::Literal).is_empty());
    }

    proptest! {
        #[test]
        fn decoding_is_bounded_and_never_panics(raw in "\\PC*", mixed in "[%&#x;\\\\u0-9a-f+{}<]{0,200}") {
            for text in [&raw, &mixed] {
                let forms = rounds(text, Plus::Space);
                prop_assert!(forms.len() <= usize::from(MAX_ROUNDS));
                prop_assert!(forms.iter().all(|form| form.chars().count() <= text.len()));
            }
        }
    }
}
