//! Reads characters as they are meant, however they are written: `"` as `%22`, `\"`, `\u0022` or `&quot;`.

/// How a character is written, and how often that was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    Percent(u8),
    /// So many backslashes stand before it.
    Backslash(u8),
    Entity(u8),
}

impl Writing {
    /// Whether a mark that is written so has its meaning in a text that is written like the other.
    pub(super) fn is_within(self, other: Self) -> bool {
        match (self, other) {
            (Self::Plain, _) => true,
            (Self::Percent(depth), Self::Percent(most))
            | (Self::Backslash(depth), Self::Backslash(most))
            | (Self::Entity(depth), Self::Entity(most)) => depth <= most,
            _ => false,
        }
    }

    /// Returns what a text is written like that holds marks of both.
    pub(super) fn with(self, other: Self) -> Self {
        if other.is_within(self) { self } else { other }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// What is meant; the first byte of a character beyond ASCII.
    pub(super) byte: u8,
    pub(super) writing: Writing,
    /// How many bytes it takes; none at the end of the text.
    pub(super) len: usize,
}

/// Encoding the same text more often is a game.
const DEEPEST: u8 = 4;

impl Mark {
    const END: Self = Self { byte: 0, writing: Writing::Plain, len: 0 };

    fn plain(byte: u8) -> Self {
        Self { byte, writing: Writing::Plain, len: 1 }
    }

    pub(super) fn is_end(self) -> bool {
        self.len == 0
    }

    /// Whether it is a space, a line's end, another control character, or the end of the text.
    pub(super) fn is_blank(self) -> bool {
        self.byte <= b' '
    }

    pub(super) fn is_quote(self) -> bool {
        matches!(self.byte, b'"' | b'\'' | b'`')
    }
}

/// Returns the character that begins at a place.
pub(super) fn read(bytes: &[u8], at: usize) -> Mark {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(first) = rest.first() else { return Mark::END };
    let written = match first {
        b'%' => percent(rest),
        b'\\' => Some(backslash(rest)),
        b'&' => entity(rest),
        0x80.. => Some(wide(rest)),
        _ => None,
    };
    written.unwrap_or(Mark::plain(*first))
}

/// Returns the character that ends at a place.
pub(super) fn read_before(bytes: &[u8], end: usize) -> Mark {
    let before = bytes.get(..end).unwrap_or_default();
    let Some(last) = before.last() else { return Mark::END };
    // A run of backslashes is as long as it is; of the others, the longest form is `&amp;amp;amp;quot;`.
    let longest = match last {
        b'"' | b'\'' | b'`' => 1 + run_before(bytes, end - 1, 16, |byte| byte == b'\\'),
        0x80.. => 2 + run_before(bytes, end - 1, 2, |byte| byte & 0xC0 == 0x80),
        b';' | b'n' | b'r' | b't' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'/' => 18,
        _ => 1,
    };
    let begins = |start: &usize| matches!(before[*start], b'%' | b'\\' | b'&' | 0xC0..);
    let ending_there = |start: usize| Some(read(before, start)).filter(|mark| start + mark.len == end);
    (end.saturating_sub(longest)..end).filter(begins).find_map(ending_there).unwrap_or(Mark::plain(*last))
}

/// Returns the first place from there on that holds no blank of such a writing, and no line's end.
pub(super) fn skip_spaces(bytes: &[u8], mut at: usize, writing: Writing) -> usize {
    /// Wider gaps are columns.
    const WIDEST: usize = 40;
    for _ in 0..WIDEST {
        let mark = read(bytes, at);
        at += match mark.byte {
            b' ' | b'\t' if mark.writing.is_within(writing) => mark.len,
            ESCAPE => match colour_length(bytes, at + mark.len) {
                0 => break,
                length => mark.len + length,
            },
            _ => break,
        }
    }
    at
}

/// What terminals are told colours with: it, and `[31m`.
pub(super) const ESCAPE: u8 = 0x1B;

/// Returns how long the rest is of what tells a terminal a colour.
pub(super) fn colour_length(bytes: &[u8], at: usize) -> usize {
    let numbers = run(bytes, at + 1, 16, |byte| byte.is_ascii_digit() || byte == b';');
    let is_colour = bytes.get(at) == Some(&b'[') && bytes.get(at + 1 + numbers) == Some(&b'm');
    if is_colour { numbers + 2 } else { 0 }
}

/// Returns how many bytes from there on are like that, but not more than `most`.
pub(super) fn run(bytes: &[u8], at: usize, most: usize, is_like: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take(most).take_while(|byte| is_like(**byte)).count()
}

/// Returns how many bytes before a place are like that, but not more than `most`.
pub(super) fn run_before(bytes: &[u8], end: usize, most: usize, is_like: impl Fn(u8) -> bool) -> usize {
    let before = bytes.get(..end).unwrap_or_default();
    before.iter().rev().take(most).take_while(|byte| is_like(**byte)).count()
}

/// Whether a word begins there: no letter or digit comes before, other than that of an escape.
pub(super) fn begins_word(bytes: &[u8], at: usize) -> bool {
    let is_joined = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    !is_joined || read_before(bytes, at).writing != Writing::Plain
}

fn percent(rest: &[u8]) -> Option<Mark> {
    if let Some([b'u' | b'U', digits @ ..]) = rest.get(1..6) {
        let byte = ascii(digits)?;
        return Some(Mark { byte, writing: Writing::Percent(1), len: 6 });
    }
    let (mut at, mut depth) = (1, 1);
    while depth < DEEPEST
        && rest.get(at..at + 2) == Some(b"25")
        && ascii_or_more(rest.get(at + 2..)).is_some()
    {
        at += 2;
        depth += 1;
    }
    let byte = ascii_or_more(rest.get(at..))?;
    Some(Mark { byte, writing: Writing::Percent(depth), len: at + 2 })
}

fn backslash(rest: &[u8]) -> Mark {
    let count = rest.iter().take_while(|byte| **byte == b'\\').count();
    let depth = u8::try_from(count).unwrap_or(u8::MAX);
    let (byte, taken) = match rest.get(count..).unwrap_or_default() {
        [quote @ (b'"' | b'\'' | b'`' | b'/'), ..] => (Some(*quote), 1),
        [b'n' | b'r', ..] => (Some(b'\n'), 1),
        [b't', ..] => (Some(b'\t'), 1),
        [b'u', digits @ ..] => (digits.get(..4).and_then(ascii), 5),
        [b'x', digits @ ..] => (digits.get(..2).and_then(ascii), 3),
        _ => (None, 0),
    };
    match byte {
        Some(byte) => Mark { byte, writing: Writing::Backslash(depth), len: count + taken },
        None => Mark { len: count, ..Mark::plain(b'\\') },
    }
}

fn entity(rest: &[u8]) -> Option<Mark> {
    const NAMES: [(&[u8], u8); 9] = [
        (b"quot;", b'"'),
        (b"apos;", b'\''),
        (b"lt;", b'<'),
        (b"gt;", b'>'),
        (b"equals;", b'='),
        (b"colon;", b':'),
        (b"commat;", b'@'),
        (b"nbsp;", b' '),
        (b"amp;", b'&'),
    ];
    let (mut at, mut depth) = (1, 1);
    loop {
        let name = rest.get(at..)?;
        if let [b'#', digits @ ..] = name {
            let (byte, taken) = numeric(digits)?;
            return Some(Mark { byte, writing: Writing::Entity(depth), len: at + 1 + taken });
        }
        let known = NAMES.iter().find(|(known, _)| name.starts_with(known));
        match known {
            Some((b"amp;", _)) if depth < DEEPEST => (at, depth) = (at + 4, depth + 1),
            Some((known, byte)) => {
                return Some(Mark { byte: *byte, writing: Writing::Entity(depth), len: at + known.len() });
            }
            // What follows the last `&amp;` is no entity: it is the ampersand itself.
            None if depth > 1 => {
                return Some(Mark { byte: b'&', writing: Writing::Entity(depth - 1), len: at });
            }
            None => return None,
        }
    }
}

/// Reads the `34;` or `x22;` of an entity.
fn numeric(digits: &[u8]) -> Option<(u8, usize)> {
    let end = digits.iter().take(8).position(|byte| *byte == b';')?;
    let digits = str::from_utf8(&digits[..end]).ok()?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some((code.ok().filter(u8::is_ascii)?, end + 1))
}

/// Reads typographic marks as the plain ones, and of others the first byte.
fn wide(rest: &[u8]) -> Mark {
    let (byte, len) = match rest {
        [0xC2, 0xA0, ..] => (b' ', 2),
        [0xE3, 0x80, 0x80, ..] => (b' ', 3),
        [0xC2, 0xAB | 0xBB, ..] => (b'"', 2),
        [0xE2, 0x80, 0x9C..=0x9F, ..] | [0xE3, 0x80, 0x8C..=0x8F, ..] => (b'"', 3),
        [0xE2, 0x80, 0x98..=0x9B, ..] => (b'\'', 3),
        [0xEF, 0xBC, 0x9A, ..] => (b':', 3),
        [0xEF, 0xBC, 0x9D, ..] => (b'=', 3),
        [first @ 0xF0..=0xFF, ..] => (*first, 4),
        [first @ 0xE0..=0xEF, ..] => (*first, 3),
        [first @ 0xC0..=0xDF, ..] => (*first, 2),
        [first, ..] => (*first, 1),
        [] => (0, 0),
    };
    Mark { byte, writing: Writing::Plain, len: len.min(rest.len()) }
}

fn ascii(digits: &[u8]) -> Option<u8> {
    let code = digits.iter().try_fold(0_u32, |code, digit| Some(code << 4 | u32::from(hex(*digit)?)))?;
    u8::try_from(code).ok().filter(u8::is_ascii)
}

fn ascii_or_more(digits: Option<&[u8]>) -> Option<u8> {
    match digits? {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, byte: u8, writing: Writing, len: usize) {
        assert_eq!(read(text.as_bytes(), 0), Mark { byte, writing, len }, "{text}");
        if len == text.len() && len > 0 {
            assert_eq!(
                read_before(text.as_bytes(), len),
                Mark { byte, writing, len },
                "before the end of {text}"
            );
        }
    }

    #[test]
    fn a_quote_is_read_however_it_is_written() {
        check("\"", b'"', Writing::Plain, 1);
        check("%22", b'"', Writing::Percent(1), 3);
        check("%2522", b'"', Writing::Percent(2), 5);
        check("%u0022", b'"', Writing::Percent(1), 6);
        check(r#"\""#, b'"', Writing::Backslash(1), 2);
        check(r#"\\\""#, b'"', Writing::Backslash(3), 4);
        check(r"\u0022", b'"', Writing::Backslash(1), 6);
        check(r"\x22", b'"', Writing::Backslash(1), 4);
        check("&quot;", b'"', Writing::Entity(1), 6);
        check("&amp;quot;", b'"', Writing::Entity(2), 10);
        check("&#34;", b'"', Writing::Entity(1), 5);
        check("&#x22;", b'"', Writing::Entity(1), 6);
    }

    #[test]
    fn what_is_no_escape_is_taken_as_it_stands() {
        check("%", b'%', Writing::Plain, 1);
        check("%2", b'%', Writing::Plain, 1);
        check("%25", b'%', Writing::Percent(1), 3);
        check("&b=1", b'&', Writing::Plain, 1);
        check("&amp;", b'&', Writing::Entity(1), 5);
        check("&amp;b", b'&', Writing::Entity(1), 5);
        check(r"\\d", b'\\', Writing::Plain, 2);
        check("", 0, Writing::Plain, 0);
        check("ß", 0xC3, Writing::Plain, 2);
        check("：", b':', Writing::Plain, 3);
    }
}
