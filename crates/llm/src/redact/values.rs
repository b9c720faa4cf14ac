//! Where a value ends: at its closing quote or bracket, or where the next member or the sentence goes on.

use std::ops::Range;

use memchr::{memchr2, memchr3, memmem};

use crate::redact::written::{Mark, Writing, read, run, skip_spaces};

/// What surrounds a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// How the marks that end it may be written.
    pub(super) writing: Writing,
    /// The quote that was opened before the name ends the value too.
    pub(super) enclosing: Option<Mark>,
    /// What divides members here for certain: `&` in a query, `;` in a connection string.
    pub(super) divider: Option<u8>,
    /// Whether it is a member of something, not part of a sentence: brackets may span lines.
    pub(super) is_member: bool,
    /// How much of a value without quotes is read.
    pub(super) most: usize,
}

impl Frame {
    pub(super) const PLAIN: Self =
        Self { writing: Writing::Plain, enclosing: None, divider: None, is_member: false, most: usize::MAX };

    /// Whether a quote closes the one before the name.
    fn is_closed_by(&self, mark: Mark) -> bool {
        self.enclosing.is_some_and(|open| mark.byte == open.byte && mark.writing.is_within(open.writing))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Without quotes and brackets.
    pub(super) range: Range<usize>,
    pub(super) is_quoted: bool,
}

/// Returns the value that begins there.
pub(super) fn value(bytes: &[u8], at: usize, frame: &Frame) -> Value {
    let at = skip_annotations(bytes, at);
    let mark = read(bytes, at);
    if frame.is_closed_by(mark) && ends_word(bytes, at + mark.len) {
        return Value { range: at..at, is_quoted: false };
    }
    if mark.is_quote() && (mark.writing.is_within(frame.writing) || !opens_later(bytes, at, mark)) {
        return Value { range: quoted(bytes, at).inner, is_quoted: true };
    }
    let opens_bracket = mark.writing == Writing::Plain && matches!(mark.byte, b'{' | b'[');
    if let Some(range) = opens_bracket.then(|| bracketed(bytes, at, frame)).flatten() {
        return Value { range, is_quoted: true };
    }
    Value { range: bare(bytes, at, frame), is_quoted: false }
}

/// A backslashed or encoded quote within plain text opens a value only if something comes after it.
fn opens_later(bytes: &[u8], at: usize, mark: Mark) -> bool {
    read(bytes, at + mark.len).is_blank()
}

/// Skips what tells of a value's type: `b'…'`, `string(7) "…"`, `(string) (len=7) "…"`.
fn skip_annotations(bytes: &[u8], at: usize) -> usize {
    const LONGEST: usize = 24;
    let start = at;
    let mut at = at;
    for _ in 0..2 {
        let word = run(bytes, at, LONGEST, |byte| byte.is_ascii_lowercase());
        let in_parentheses = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'*' | b'.');
        let has_parentheses = bytes.get(at + word) == Some(&b'(');
        let inner = run(bytes, at + word + 1, LONGEST, in_parentheses);
        if !has_parentheses || bytes.get(at + word + 1 + inner) != Some(&b')') {
            break;
        }
        at = skip_spaces(bytes, at + word + inner + 2, Writing::Plain);
    }
    let is_prefix =
        matches!(bytes.get(at), Some(b'b' | b'B' | b'u' | b'U' | b'r' | b'f' | b'N' | b'@' | b'$' | b'L'));
    let at = at + usize::from(is_prefix);
    if read(bytes, at).is_quote() { at } else { start }
}

/// A text in quotes.
pub(super) struct Quoted {
    pub(super) inner: Range<usize>,
    /// Past the closing quote, if there is one.
    pub(super) end: usize,
}

/// Returns the text in quotes, the first of which stands there.
pub(super) fn quoted(bytes: &[u8], at: usize) -> Quoted {
    let open = read(bytes, at);
    let start = at + open.len;
    if open.writing != Writing::Plain || open.len > 1 {
        let end = closing_mark(bytes, start, open);
        let mark = read(bytes, end);
        return Quoted { inner: start..end, end: end + if mark.byte == open.byte { mark.len } else { 0 } };
    }
    let repeated = run(bytes, at, 3, |byte| byte == open.byte);
    let start = at + repeated;
    let is_empty = repeated == 2 && !begins_text(bytes.get(start).copied());
    let end = match repeated {
        _ if is_empty => return Quoted { inner: start - 1..start - 1, end: start },
        1 => closing(bytes, start, open.byte),
        // Quotes are doubled within quotes.
        _ => closing_repeated(bytes, start, open.byte, repeated),
    };
    let is_closed = bytes.get(end) == Some(&open.byte);
    Quoted { inner: start..end, end: if is_closed { end + repeated } else { end } }
}

fn begins_text(next: Option<u8>) -> bool {
    next.is_some_and(|byte| byte > b' ' && !b",;:)]}>&|/".contains(&byte))
}

/// Returns where a plain quote is closed: not by an escaped or doubled one, and at the latest at the line's end.
fn closing(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while let Some(offset) = bytes.get(at..).and_then(|rest| memchr3(quote, b'\\', b'\n', rest)) {
        let place = at + offset;
        at = match bytes[place] {
            b'\n' => return place,
            b'\\' => {
                let backslashes = run(bytes, place, usize::MAX, |byte| byte == b'\\');
                let escapes_quote = backslashes % 2 == 1 && bytes.get(place + backslashes) == Some(&quote);
                place + backslashes + usize::from(escapes_quote)
            }
            _ if place > from && bytes.get(place + 1) == Some(&quote) => place + 2,
            _ => return place,
        };
    }
    bytes.len()
}

fn closing_repeated(bytes: &[u8], from: usize, quote: u8, repeated: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let line = memchr::memchr(b'\n', rest).filter(|_| repeated == 2).unwrap_or(rest.len());
    from + memmem::find(&rest[..line], &[quote; 3][..repeated]).unwrap_or(line)
}

/// Returns where a quote is closed that is not written plainly.
fn closing_mark(bytes: &[u8], from: usize, open: Mark) -> usize {
    let mut at = from;
    loop {
        let mark = read(bytes, at);
        let is_raw_end = mark.is_end() || mark.byte == b'\n' && mark.writing == Writing::Plain;
        if is_raw_end || mark.byte == open.byte && closes(mark.writing, open.writing) {
            return at;
        }
        at += mark.len;
    }
}

fn closes(writing: Writing, open: Writing) -> bool {
    match (writing, open) {
        (Writing::Backslash(count), Writing::Backslash(open)) => closes_backslashed(count, open),
        _ => writing.is_within(open),
    }
}

/// Whether a quote after so many backslashes ends what one after so many others began. Each layer of quoting turns a
/// backslash into two, and a quote into a backslash and a quote.
fn closes_backslashed(mut count: u8, mut open: u8) -> bool {
    while open > 0 && count % 2 == 1 {
        (count, open) = (count / 2, open / 2);
    }
    count.is_multiple_of(2)
}

/// Returns what is between brackets, the first of which stands there, whatever is nested in them.
fn bracketed(bytes: &[u8], at: usize, frame: &Frame) -> Option<Range<usize>> {
    /// Words in a sentence are not followed by long objects.
    const LONGEST_IN_A_SENTENCE: usize = 256;
    let most = if frame.is_member { bytes.len() } else { bytes.len().min(at + LONGEST_IN_A_SENTENCE) };
    let mut open = 0_usize;
    let mut place = at;
    while place < most {
        let mark = read(bytes, place);
        match mark.byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' if open == 1 => return Some(at + 1..place),
            b'}' | b']' => open -= 1,
            _ if mark.is_quote() => {
                place = quoted(bytes, place).end;
                continue;
            }
            _ => {}
        }
        place += mark.len;
    }
    frame.is_member.then_some(at + 1..bytes.len())
}

/// Returns a value without quotes. It ends with the word, or earlier where another member begins.
fn bare(bytes: &[u8], from: usize, frame: &Frame) -> Range<usize> {
    let mut at = from;
    let mut previous = 0;
    let mut open = 0_usize;
    loop {
        let mark = read(bytes, at);
        let next = at + mark.len;
        let has_meaning = mark.writing.is_within(frame.writing);
        let ends = match mark.byte {
            _ if mark.is_end() || at - from >= frame.most => true,
            0..=b' ' if mark.writing == Writing::Plain => true,
            b' ' | b'\t' | b'\n' | b'\r' if has_meaning => true,
            0..=b' ' if matches!(mark.writing, Writing::Backslash(_)) => {
                begins_member(bytes, next) || ends_word(bytes, next)
            }
            b'"' | b'\'' | b'`' if frame.is_closed_by(mark) => true,
            b'"' | b'\'' | b'`' if has_meaning && matches!(previous, b'=' | b':' | b'(' | b'[' | b'{') => {
                at = quoted(bytes, at).end;
                previous = mark.byte;
                continue;
            }
            b'&' if frame.divider == Some(b'&') => has_meaning,
            b'&' | b';' | b',' | b'|' if has_meaning => {
                frame.divider == Some(mark.byte) || begins_member(bytes, next)
            }
            b'<' if bytes.get(next) == Some(&b'/') => true,
            b'(' | b'[' | b'{' | b'<' => {
                open += 1;
                false
            }
            b')' | b']' | b'}' | b'>' if open > 0 => {
                open -= 1;
                false
            }
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' => ends_word(bytes, next),
            _ => false,
        };
        if ends {
            break;
        }
        previous = mark.byte;
        at = next;
    }
    from..trimmed(bytes, from, at)
}

/// Takes away what belongs to the sentence, not to its last word.
fn trimmed(bytes: &[u8], from: usize, end: usize) -> usize {
    let value = &bytes[from..end];
    let kept = value.iter().rposition(|byte| !matches!(byte, b',' | b';')).map_or(0, |last| last + 1);
    let is_sentence = value[..kept].ends_with(b".") && read(bytes, end).is_blank();
    from + kept - usize::from(is_sentence)
}

/// Whether nothing more of a word comes: a blank, or a mark that closes or divides.
pub(super) fn ends_word(bytes: &[u8], at: usize) -> bool {
    let mark = read(bytes, at);
    mark.is_blank()
        || mark.is_quote()
        || matches!(mark.byte, b',' | b';' | b':' | b')' | b']' | b'}' | b'>' | b'&' | b'|')
        || bytes.get(at..at + 2) == Some(b"/>")
}

/// Whether a name comes, and an equals sign or colon after it.
pub(super) fn begins_member(bytes: &[u8], at: usize) -> bool {
    const LONGEST: usize = 40;
    let at = skip_spaces(bytes, at, Writing::Plain);
    let mark = read(bytes, at);
    let at = if mark.is_quote() { at + mark.len } else { at };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@[]%".contains(&byte);
    let begins =
        bytes.get(at).is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | b'@'));
    let end = at + run(bytes, at, LONGEST, is_of_name);
    let mark = read(bytes, end);
    let end = if mark.is_quote() { end + mark.len } else { end };
    begins && matches!(read(bytes, end).byte, b'=' | b':')
}

/// Returns the word that begins there, up to the next blank or quote.
pub(super) fn word(bytes: &[u8], at: usize) -> Range<usize> {
    const LONGEST: usize = 1 << 10;
    let is_of_word = |byte: u8| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`');
    at..at + run(bytes, at, LONGEST, is_of_word)
}

/// Whether nothing but spaces comes before the line's end.
pub(super) fn ends_line(bytes: &[u8], at: usize) -> bool {
    let mark = read(bytes, skip_spaces(bytes, at, Writing::Plain));
    mark.is_end() || matches!(mark.byte, b'\n' | b'\r')
}

/// Returns the end of the line that a place is in.
pub(super) fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at.min(bytes.len()) + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
}

/// Returns where the next line begins, if this one ends there.
pub(super) fn next_line(bytes: &[u8], at: usize) -> Option<usize> {
    let mark = read(bytes, at);
    if mark.byte != b'\n' && mark.byte != b'\r' {
        return None;
    }
    let next = at + mark.len;
    let is_pair = matches!(bytes.get(at..next), Some(b"\r" | b"\\r" | b"%0D" | b"%0d"));
    let second = read(bytes, next);
    Some(if is_pair && second.byte == b'\n' { next + second.len } else { next })
}

/// Returns the text of an element, up to its closing tag; elements and CDATA in it are gone into.
pub(super) fn element(bytes: &[u8], at: usize, writing: Writing) -> Option<Value> {
    const CDATA: &[u8] = b"<![CDATA[";
    const DEEPEST: usize = 3;
    const LONGEST: usize = 2 << 10;
    let mut start = at;
    for _ in 0..DEEPEST {
        start += run(bytes, start, LONGEST, |byte| byte.is_ascii_whitespace());
        if bytes.get(start..).is_some_and(|rest| rest.starts_with(CDATA)) {
            let start = start + CDATA.len();
            let length = memmem::find(&bytes[start..], b"]]>").unwrap_or(bytes.len() - start);
            return Some(Value { range: start..start + length, is_quoted: true });
        }
        let mark = read(bytes, start);
        let is_tag = mark.byte == b'<' && mark.writing.is_within(writing);
        if !is_tag || read(bytes, start + mark.len).byte == b'/' {
            break;
        }
        start += memchr::memchr(b'>', &bytes[start..])? + 1;
    }
    let mut end = start;
    loop {
        let mark = read(bytes, end);
        if mark.is_end() || end - start > LONGEST {
            return None;
        }
        if mark.byte == b'<' && mark.writing.is_within(writing) {
            let is_closing = read(bytes, end + mark.len).byte == b'/';
            let kept = bytes[start..end].trim_ascii_end().len();
            return is_closing.then_some(Value { range: start..start + kept, is_quoted: true });
        }
        end += mark.len;
    }
}

/// Returns the end of the words that go on from there, up to the line's end or to where something else begins.
pub(super) fn words_from(bytes: &[u8], from: usize, enclosing: Option<Mark>) -> usize {
    let end = line_end(bytes, from);
    let mut at = from;
    loop {
        let start = skip_spaces(bytes, at, Writing::Plain);
        let word = start..start + run(bytes, start, end - start, |byte| byte > b' ');
        let text = &bytes[word.clone()];
        let ends_before = matches!(bytes[from..at].last(), Some(b',' | b';')) || start == at;
        let is_other =
            text.is_empty() || text.iter().any(|byte| matches!(byte, b'=' | b':' | b'(' | b'"' | b'<'));
        let is_closed = enclosing.is_some_and(|mark| text.contains(&mark.byte));
        if ends_before || is_other || is_closed {
            return at;
        }
        at = word.end;
    }
}

/// Skips the `a3=` before an argument as the kernel's audit writes it.
pub(super) fn skip_audit_name(bytes: &[u8], at: usize) -> usize {
    let digits = run(bytes, at + 1, 3, |byte| byte.is_ascii_digit());
    let is_name = bytes.get(at) == Some(&b'a') && digits > 0 && bytes.get(at + 1 + digits) == Some(&b'=');
    if is_name { at + digits + 2 } else { at }
}

/// Returns a word without quotes that ends as any value does.
pub(super) fn bare_word(bytes: &[u8], at: usize, frame: &Frame) -> Range<usize> {
    bare(bytes, at, frame)
}

/// Takes away the quotes around a word.
pub(super) fn unwrapped(bytes: &[u8], word: Range<usize>) -> Range<usize> {
    match &bytes[word.clone()] {
        [b'"', .., b'"'] | [b'\'', .., b'\''] => word.start + 1..word.end - 1,
        _ => word,
    }
}
