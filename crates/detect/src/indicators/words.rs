//! A text → what stands in it as a whole word: addresses, domains, hashes and URLs. One pass; the work is linear.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{
    domain,
    entry::{Hash, Kind, unmapped},
    url,
};

/// Something that may be listed, in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidate {
    Address(IpAddr),
    Domain(String),
    Hash(Hash),
    Url(String),
}

impl Candidate {
    /// Returns what a text that is nothing else is.
    pub(super) fn of(text: &str) -> Option<Self> {
        if text.contains("://") {
            return url::canonical(text).map(Self::Url);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(unmapped(address)));
        }
        Hash::read(text).map(Self::Hash).or_else(|| domain::canonical(text).map(Self::Domain))
    }
}

/// Which kinds are worth looking for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted([bool; Kind::ALL.len()]);

impl Wanted {
    pub(super) fn those(is_wanted: impl Fn(Kind) -> bool) -> Self {
        Self(Kind::ALL.map(is_wanted))
    }

    fn has(self, kind: Kind) -> bool {
        self.0[kind as usize]
    }
}

/// What a byte is to a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Apart,
    /// A letter, a digit, `-`, `_`.
    Part,
    Dot,
    Colon,
    /// A character beyond ASCII begins or goes on.
    Wide,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Wide; 256];
    let mut b = 0_u8;
    while b < 0x80 {
        classes[b as usize] = match b {
            b'.' => Class::Dot,
            b':' => Class::Colon,
            b'-' | b'_' => Class::Part,
            _ if b.is_ascii_alphanumeric() => Class::Part,
            _ => Class::Apart,
        };
        b += 1;
    }
    classes
};

/// All URLs of a text together may be so long: each of many in one another would be read to the end.
const MOST_URL_BYTES: usize = 512 * 1024;

/// So much that may close a sentence around a URL is left away, a character at a time.
const MOST_CLOSING: usize = 4;

const SHORTEST_HASH: usize = 32;

/// Calls back with each candidate and where it stands.
pub(super) fn candidates(text: &str, wanted: Wanted, mut found: impl FnMut(Candidate, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut url_room = MOST_URL_BYTES;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (mut dots, mut colons) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            at += match CLASSES[usize::from(*byte)] {
                Class::Apart => break,
                Class::Part => 1,
                Class::Dot => {
                    dots += 1;
                    1
                }
                Class::Colon => {
                    colons += 1;
                    1
                }
                Class::Wide => match text.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(c) if c.is_alphanumeric() => c.len_utf8(),
                    _ => break,
                },
            };
        }
        if at == start {
            at = text.ceil_char_boundary(at + 1);
            continue;
        }
        if dots > 0 || colons > 1 || at - start >= SHORTEST_HASH {
            word(text, start..at, colons, wanted, &mut found);
        }
        let is_url =
            wanted.has(Kind::Url) && colons > 0 && bytes[at - 1] == b':' && bytes[at..].starts_with(b"//");
        if is_url && let Some(range) = longest_url(text, start..at, &mut url_room) {
            closings(text, range, &mut found);
        }
    }
}

/// Looks at one word.
fn word(
    text: &str,
    range: Range<usize>,
    colons: usize,
    wanted: Wanted,
    found: &mut impl FnMut(Candidate, Range<usize>),
) {
    if wanted.has(Kind::Address)
        && colons > 1
        && let Some((address, range)) = v6(text, range.clone())
    {
        return found(Candidate::Address(unmapped(IpAddr::V6(address))), range);
    }
    for part in pieces(text, range, |b| b == b':') {
        if wanted.has(Kind::Hash) && part.len() >= SHORTEST_HASH {
            for piece in pieces(text, part.clone(), |b| !b.is_ascii_alphanumeric() && b < 0x80) {
                if let Some(hash) = Hash::read(cut(text, &piece)) {
                    found(Candidate::Hash(hash), piece);
                }
            }
        }
        name(text, part, wanted, found);
    }
}

/// Looks at what may be an address of IPv4 or a domain.
fn name(text: &str, part: Range<usize>, wanted: Wanted, found: &mut impl FnMut(Candidate, Range<usize>)) {
    let part = trimmed(text, part);
    let name = cut(text, &part);
    if !name.contains('.') {
        return;
    }
    if !name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-')) {
        if wanted.has(Kind::Domain)
            && name.len() <= 4 * domain::LONGEST
            && let Some(domain) = domain::canonical(name)
        {
            found(Candidate::Domain(domain), part);
        }
        return;
    }
    if !wanted.has(Kind::Address) {
        return;
    }
    for piece in pieces(text, part, |b| b == b'-') {
        let piece = trimmed(text, piece);
        if let Ok(address) = cut(text, &piece).parse::<Ipv4Addr>() {
            found(Candidate::Address(IpAddr::V4(address)), piece);
        }
    }
}

/// Returns an address of IPv6: all of the word, or what is left of it without a name before and a sign behind.
fn v6(text: &str, range: Range<usize>) -> Option<(Ipv6Addr, Range<usize>)> {
    const LONGEST: usize = 45;
    let word = cut(text, &range);
    let is_address = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let start = match word.bytes().rposition(|b| !is_address(b)) {
        None => 0,
        // The name goes up to its own colon.
        Some(last) => last + 1 + word.get(last + 1..)?.find(':')? + 1,
    };
    let address = word.get(start..).filter(|address| address.len() <= LONGEST)?;
    let start = range.start + start;
    let shorter = address.trim_end_matches('.').strip_suffix(':').unwrap_or(address.trim_end_matches('.'));
    [address, shorter]
        .into_iter()
        .find_map(|address| Some((address.parse().ok()?, start..start + address.len())))
}

/// Returns the pieces of a range between bytes of ASCII that divide it.
fn pieces(
    text: &str,
    range: Range<usize>,
    divides: impl Fn(u8) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    let (mut start, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        while start < end && divides(text.as_bytes()[start]) {
            start += 1;
        }
        if start >= end {
            return None;
        }
        let length = text.as_bytes()[start..end].iter().take_while(|b| !divides(**b)).count();
        let piece = start..start + length;
        start += length;
        Some(piece)
    })
}

fn cut<'t>(text: &'t str, range: &Range<usize>) -> &'t str {
    text.get(range.clone()).unwrap_or_default()
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let closes = |c: char| matches!(c, '.' | '-' | '_');
    let word = cut(text, &range);
    let start = range.start + (word.len() - word.trim_start_matches(closes).len());
    start..(start + word.trim_matches(closes).len())
}

/// Returns the URL whose scheme ends a word, as far as it may go.
fn longest_url(text: &str, word: Range<usize>, room: &mut usize) -> Option<Range<usize>> {
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let before = text.get(word.start..word.end - 1)?;
    let start = word.start + before.bytes().rposition(|b| !is_scheme(b)).map_or(0, |at| at + 1);
    let rest = text.get(start..)?.as_bytes();
    let quote = start.checked_sub(1).map(|at| text.as_bytes()[at]).filter(|b| *b == b'\'');
    let ends = |b: u8| {
        b <= b' '
            || matches!(b, b'"' | b'<' | b'>' | b'`' | b'\\' | b'^' | b'{' | b'|' | b'}' | 0x7f)
            || Some(b) == quote
    };
    let longest = url::LONGEST.min(*room);
    let length = rest.iter().take(longest + 1).take_while(|b| !ends(**b)).count();
    *room = room.saturating_sub(length);
    let range = start..start + length;
    (length <= longest && text.get(range.clone()).is_some()).then_some(range)
}

/// Calls back with a URL, and with what is left of it without what may close the sentence around it.
fn closings(text: &str, range: Range<usize>, found: &mut impl FnMut(Candidate, Range<usize>)) {
    let mut end = range.end;
    let mut last = None;
    for _ in 0..=MOST_CLOSING {
        let url = cut(text, &(range.start..end));
        let canonical = url::canonical(url);
        if let Some(url) = canonical.filter(|url| last.as_ref() != Some(url)) {
            found(Candidate::Url(url.clone()), range.start..end);
            last = Some(url);
        }
        let closes = |c: char| c.is_ascii_punctuation() && !matches!(c, '/' | '=' | '&' | '%' | '-' | '+');
        match url.strip_suffix(closes) {
            Some(shorter) => end = range.start + shorter.len(),
            None => return,
        }
    }
}
