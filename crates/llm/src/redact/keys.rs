//! Private keys: PEM blocks, whole, escaped or cut off; the files of `PuTTY`; JSON Web Keys.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, ordinary,
    written::{read, run, run_before, skip_spaces},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `PRIVATE KEY` between the dashes of a first or last line.
    Pem,
    /// `Private-Lines: 14`
    Putty,
    /// `"d":"`
    Jwk,
}

pub(super) fn look(bytes: &[u8], hit: Range<usize>, form: Form, finds: &mut Finds) {
    match form {
        Form::Pem => pem(bytes, hit, finds),
        Form::Putty => {
            let number = skip_spaces(bytes, hit.end, crate::redact::written::Writing::Plain);
            let start = number + run(bytes, number, 4, |byte| byte.is_ascii_digit());
            add(bytes, start..body_end(bytes, start), finds);
        }
        Form::Jwk => {
            const SHORTEST: usize = 32;
            let is_of_number = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if run(bytes, hit.end, SHORTEST, is_of_number) == SHORTEST {
                add(bytes, hit.end..hit.end + run(bytes, hit.end, usize::MAX, is_of_number), finds);
            }
        }
    }
}

fn pem(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    const BEFORE: usize = 48;
    let after_words =
        hit.end + run(bytes, hit.end, 12, |byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'+'));
    let dashes = run(bytes, after_words, 8, |byte| byte == b'-');
    if dashes < 2 {
        return;
    }
    let before = &bytes[hit.start.saturating_sub(BEFORE)..hit.start];
    let last = |word: &[u8]| before.windows(word.len()).rposition(|window| window.eq_ignore_ascii_case(word));
    match (last(b"begin"), last(b"end")) {
        (Some(begin), end) if end.is_none_or(|end| end < begin) => {
            let start = after_words + dashes;
            add(bytes, start..body_end(bytes, start), finds);
        }
        (_, Some(end)) => {
            // Only the last lines are there.
            let line = hit.start - before.len() + end;
            let line = line - run_before(bytes, line, 8, |byte| byte == b'-');
            let start = line - run_before(bytes, line, line, |byte| is_of_body(byte) && byte != b'-');
            add(bytes, start..line, finds);
        }
        _ => {}
    }
}

/// Returns the end of lines in base64, however their ends are written, and of the headers before them.
fn body_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        end += run(bytes, end, usize::MAX, |byte| is_of_body(byte) && byte != b'-');
        let is_one_dash = bytes.get(end) == Some(&b'-') && bytes.get(end + 1) != Some(&b'-');
        if !is_one_dash {
            return end;
        }
        end += 1;
    }
}

fn is_of_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=\\%:,-_.".contains(&byte)
}

/// Adds what is left without the marks around it.
fn add(bytes: &[u8], range: Range<usize>, finds: &mut Finds) {
    let Range { mut start, mut end } = range;
    while start < end {
        let mark = read(bytes, start);
        if !mark.is_blank() || mark.len == 0 {
            break;
        }
        start += mark.len;
    }
    end -= bytes.get(start..end).map_or(0, |body| body.len() - body.trim_ascii_end().len());
    if start < end && !ordinary::is_in_its_place(&bytes[start..end]) {
        finds.add(Kind::PrivateKey, start..end);
    }
}
