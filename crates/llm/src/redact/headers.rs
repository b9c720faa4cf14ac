//! What is in the headers of HTTP: `Authorization: Basic …`, `Cookie: a=b; c=d`; and `Bearer …` wherever it stands.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, encoded, ordinary, tokens,
    values::{self, Frame},
    written::{Writing, begins_word, read, run, skip_spaces},
};

/// The schemes that one word follows. In no order.
const SCHEMES: [&[u8]; 16] = [
    b"basic",
    b"bearer",
    b"token",
    b"negotiate",
    b"ntlm",
    b"apikey",
    b"api-key",
    b"key",
    b"jwt",
    b"bot",
    b"ssws",
    b"dpop",
    b"kerberos",
    b"sharedkey",
    b"sso-key",
    b"aws",
];

/// The schemes that parameters follow.
const WITH_PARAMETERS: [&[u8]; 9] = [
    b"digest",
    b"aws4-hmac-sha256",
    b"aws4-ecdsa-p256-sha256",
    b"hawk",
    b"oauth",
    b"signature",
    b"mac",
    b"scram-sha-256",
    b"sharedaccesssignature",
];

/// What is looked at before it is known whether a word is a token.
const LOOKED_AT: usize = 1 << 10;

/// Adds what a header proves its sender with; the name of the scheme may be seen.
pub(super) fn authorization(bytes: &[u8], at: usize, frame: &Frame, finds: &mut Finds) {
    // Go shows headers as `map[Authorization:[Bearer x]]`.
    let at = at + run(bytes, at, 2, |byte| byte == b'[');
    let mark = read(bytes, at);
    let is_quoted = mark.is_quote() && frame.enclosing.is_none_or(|open| open.byte != mark.byte);
    let whole = if is_quoted {
        values::quoted(bytes, at).inner
    } else {
        at..values::value(bytes, at, frame).range.end.max(at)
    };
    let scheme = scheme_length(&bytes[whole.clone()], &SCHEMES);
    if let Some(length) = scheme {
        let start = skip_blanks(bytes, whole.start + length);
        let end = if is_quoted || start < whole.end {
            whole.end
        } else {
            values::value(bytes, start, frame).range.end
        };
        return add_unless_ordinary(bytes, start..end.max(start), finds);
    }
    if let Some(length) = scheme_length(&bytes[whole.clone()], &WITH_PARAMETERS) {
        let start = skip_blanks(bytes, whole.start + length);
        let end = if is_quoted { whole.end } else { parameters_end(bytes, start, frame) };
        return add_unless_ordinary(bytes, start..end.max(start), finds);
    }
    let first = &bytes[whole.clone()];
    if ordinary::is_of_a_sentence(first) || ordinary::is_next_member(first) {
        return;
    }
    // A scheme of its own, perhaps.
    let next = skip_spaces(bytes, whole.end, Writing::Plain);
    let second = values::bare_word(bytes, next, frame);
    let end = if !is_quoted && tokens::is_long(&bytes[second.clone()], 16) { second.end } else { whole.end };
    add_unless_ordinary(bytes, whole.start..end, finds);
}

/// Adds the pairs of a `Cookie` or `Set-Cookie` header.
pub(super) fn cookie(bytes: &[u8], at: usize, frame: &Frame, finds: &mut Finds) {
    let value = values::value(bytes, at, frame);
    let end = if value.is_quoted { value.range.end } else { cookies_end(bytes, value.range.end, frame) };
    let text = &bytes[value.range.start..end];
    // Switches write numbers, `cookie=0x0`.
    let is_number = text.len() <= 18 && (text.starts_with(b"0x") || text.iter().all(u8::is_ascii_digit));
    let is_word = !text.contains(&b'=') && (ordinary::is_of_a_sentence(text) || text.len() < 4);
    if !is_number && !is_word && !ordinary::is_in_its_place(text) {
        finds.add(Kind::Cookie, value.range.start..end);
    }
}

/// Looks at the name of a scheme, wherever it stands.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    if !begins_word(bytes, hit.start) {
        return;
    }
    let scheme = bytes[hit.clone()].trim_ascii_end();
    let start = skip_blanks(bytes, hit.end);
    let token = start..start + run(bytes, start, LOOKED_AT, is_of_token);
    let text = &bytes[token.clone()];
    let is_secret = if scheme.eq_ignore_ascii_case(b"bearer") {
        start > hit.end && text.len() >= 16 && text.iter().any(u8::is_ascii_digit)
    } else if scheme.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"basic")) {
        is_basic(text)
    } else if scheme.eq_ignore_ascii_case(b"auth plain") {
        text.len() >= 8
    } else {
        text.len() >= 16 && tokens::is_random(text)
    };
    if is_secret {
        finds.add(Kind::Token, start..token.end + run(bytes, token.end, usize::MAX, is_of_token));
    }
}

/// Whether it is a user's name, a colon and a password in base64.
pub(super) fn is_basic(text: &[u8]) -> bool {
    let plain = encoded::from_base64(text).filter(|plain| plain.len() >= 3 && plain.contains(&b':'));
    plain.is_some_and(|plain| str::from_utf8(&plain).is_ok_and(|text| !text.contains(char::is_control)))
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Returns how long the scheme is that a value begins with.
fn scheme_length(value: &[u8], schemes: &[&[u8]]) -> Option<usize> {
    let begins = |scheme: &&&[u8]| {
        let is_same = value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        is_same && matches!(value.get(scheme.len()), None | Some(b' ' | b'+' | b'%' | b'=' | b':' | b'\\'))
    };
    schemes.iter().find(begins).map(|scheme| scheme.len())
}

/// Skips what divides a scheme from what follows: blanks, also as queries write them.
fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let at = skip_spaces(bytes, at, Writing::Percent(u8::MAX));
    let at = at + run(bytes, at, 1, |byte| matches!(byte, b'+' | b'=' | b':'));
    skip_spaces(bytes, at, Writing::Percent(u8::MAX))
}

/// Returns the end of `name="value", name=value, …`.
fn parameters_end(bytes: &[u8], start: usize, frame: &Frame) -> usize {
    let mut end = start;
    loop {
        let at = skip_spaces(bytes, end, Writing::Plain);
        let name =
            run(bytes, at, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if name == 0 || bytes.get(at + name) != Some(&b'=') {
            return end;
        }
        let value = at + name + 1;
        let mark = read(bytes, value);
        end = if mark.is_quote() {
            values::quoted(bytes, value).end
        } else {
            let is_of_value = |byte: u8| byte > b' ' && !matches!(byte, b',' | b'"' | b'\'' | b'\\');
            value + run(bytes, value, usize::MAX, is_of_value)
        };
        let is_enclosed = frame.enclosing.is_some_and(|open| read(bytes, end).byte == open.byte);
        let dividers = run(bytes, end, 1, |byte| matches!(byte, b',' | b'&' | b';'));
        let goes_on = dividers > 0 && read(bytes, end + 1).byte > b' ' || bytes.get(end + 1) == Some(&b' ');
        if is_enclosed || dividers == 0 || !goes_on {
            return end;
        }
        end += dividers;
    }
}

/// Returns the end of `; name=value` and of what else goes on so.
fn cookies_end(bytes: &[u8], first_end: usize, frame: &Frame) -> usize {
    let mut end = first_end;
    loop {
        let divider = read(bytes, end);
        let at = skip_spaces(bytes, end + divider.len, frame.writing);
        let is_of_cookie = |byte: u8| byte > b' ' && !matches!(byte, b';' | b',' | b'"' | b'\'' | b'\\');
        let length = run(bytes, at, usize::MAX, is_of_cookie);
        if divider.byte != b';' || length == 0 {
            return end;
        }
        end = at + length;
    }
}

fn add_unless_ordinary(bytes: &[u8], range: Range<usize>, finds: &mut Finds) {
    if !ordinary::is_in_its_place(&bytes[range.clone()]) {
        finds.add(Kind::Token, range);
    }
}
