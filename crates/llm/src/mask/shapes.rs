//! Values that are known by their shape: addresses, times, ids, numbers, hosts, browsers.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
    sync::LazyLock,
};

use foldhash::fast::RandomState;

use super::{
    HIDDEN,
    context::{Slot, class_of_user, is_between},
};
use crate::hidden::is_hidden;

/// What begins at a letter or a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub end: usize,
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A word that stays.
    Plain,
    /// A value of which only its class is told.
    Class(&'static str),
    /// A value that may come again, such as an address.
    Numbered { kind: &'static str, class: &'static str },
    /// A word whose digits differ.
    DigitsWithin,
}

/// The longest name of a user that is taken for one.
const USER_MAX_BYTES: usize = 64;
/// The longest parameter that is taken for a plain word.
const WORD_MAX_BYTES: usize = 40;

/// Reads what begins at `at`, which is a letter or a digit.
pub(super) fn token(text: &str, at: usize, slot: Slot) -> Token {
    let bytes = text.as_bytes();
    let end = run(bytes, at, |byte| byte.is_ascii_alphanumeric());
    let word = text.get(at..end).unwrap_or_default();
    let next = bytes.get(end).copied().unwrap_or(b' ');
    if slot.is_user()
        && let Some((end, class)) = user(text, at, slot)
    {
        return Token { end, shape: Shape::Numbered { kind: "user", class } };
    }
    if slot == Slot::Host
        && let Some(end) = named_host(bytes, at)
    {
        return Token { end, shape: Shape::Numbered { kind: "host", class: "" } };
    }
    if slot == Slot::Word
        && let Some(token) = parameter(bytes, at)
    {
        return token;
    }
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    if !has_digit {
        return wordy(text, at, end, next);
    }
    if let Some((end, class)) = ip4(text, at) {
        return Token { end, shape: Shape::Numbered { kind: "ip", class } };
    }
    if let Some(end) = date_or_time(bytes, at) {
        return end;
    }
    if next == b'-'
        && let Some(end) = uuid(bytes, at)
    {
        return Token { end, shape: Shape::Class("‹uuid›") };
    }
    if next == b':'
        && let Some((end, class)) = ip6(text, at)
    {
        return Token { end, shape: Shape::Numbered { kind: "ip", class } };
    }
    if let Some(end) = host(text, at, end, next) {
        return Token { end, shape: Shape::Numbered { kind: "host", class: "" } };
    }
    Token { end, shape: with_digits(word, slot, bytes, at, next) }
}

fn wordy(text: &str, at: usize, end: usize, next: u8) -> Token {
    let bytes = text.as_bytes();
    let word = text.get(at..end).unwrap_or_default();
    if word == "Mozilla"
        && let Some(end) = browser(text, at)
    {
        return Token { end, shape: Shape::Class("‹browser›") };
    }
    if word.len() == 3
        && let Some(end) = named_date(bytes, at)
    {
        return Token { end, shape: Shape::Class("‹date›") };
    }
    if matches!(next, b'-')
        && let Some(end) = uuid(bytes, at)
    {
        return Token { end, shape: Shape::Class("‹uuid›") };
    }
    if next == b':'
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Some((end, class)) = ip6(text, at)
    {
        return Token { end, shape: Shape::Numbered { kind: "ip", class } };
    }
    if let Some(end) = host(text, at, end, next) {
        return Token { end, shape: Shape::Numbered { kind: "host", class: "" } };
    }
    Token { end, shape: Shape::Plain }
}

/// The end of the run of bytes that are `such`.
fn run(bytes: &[u8], at: usize, such: impl Fn(u8) -> bool) -> usize {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .position(|byte| !such(*byte))
        .map_or(bytes.len(), |length| at + length)
}

/// Reads a user's name; returns its end and its class.
pub(super) fn user(text: &str, at: usize, slot: Slot) -> Option<(usize, &'static str)> {
    let bytes = bounded(text.as_bytes(), at, USER_MAX_BYTES + 1);
    // A folder's name holds no domain.
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    let is_folder = before.is_some_and(|byte| b"/\\".contains(byte));
    let may_stand = |byte: u8| match byte {
        b'\\' => !is_folder,
        _ => byte.is_ascii_alphanumeric() || b"._@$-".contains(&byte) || byte >= 0x80,
    };
    let end = run(bytes, at, may_stand);
    // A full stop ends a sentence.
    let end = if end > at + 1 && bytes.get(end - 1) == Some(&b'.') { end - 1 } else { end };
    let name = text.get(at..end)?;
    let is_closed = text.as_bytes().get(end).is_none_or(|byte| b" \t\n\r,.;:\"'`)]>|(/&\\".contains(byte));
    if !is_closed || name.len() > USER_MAX_BYTES || !name.chars().all(is_of_name) {
        return None;
    }
    if ip4(text, at).is_some_and(|(ip_end, _)| ip_end == end) {
        return None;
    }
    let between = text.as_bytes().get(..at)?.iter().rev().take_while(|byte| is_between(**byte));
    let is_told_apart = at == 0 || between.into_iter().any(|byte| !matches!(byte, b' ' | b'\t'));
    if slot == Slot::UserBehindASign && !is_told_apart {
        return None;
    }
    let may_be_of_story = slot != Slot::SureUser && !is_told_apart;
    class_of_user(name, may_be_of_story).map(|class| (end, class))
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || "._@\\$-".contains(char)
}

/// Reads the name of a host by its place.
fn named_host(bytes: &[u8], at: usize) -> Option<usize> {
    const LONGEST: usize = 253;
    let bytes = bounded(bytes, at, LONGEST + 1);
    let end = run(bytes, at, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_name = bytes.get(at..end)?.iter().any(u8::is_ascii_alphabetic) && end - at <= LONGEST;
    let is_value = at == 0 || bytes.get(at - 1).is_some_and(|byte| b"=:\"'\t".contains(byte));
    (is_name && is_value).then_some(end)
}

/// The text up to so many bytes behind `at`: what is read must not grow with the text, or reading it takes the square.
fn bounded(bytes: &[u8], at: usize, most: usize) -> &[u8] {
    bytes.get(..bytes.len().min(at.saturating_add(most))).unwrap_or_default()
}

fn parameter(bytes: &[u8], at: usize) -> Option<Token> {
    let end = run(bytes, at, |byte| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte));
    let is_closed = bytes.get(end).is_none_or(|byte| b"& \"#\n\r\t".contains(byte));
    let word = bytes.get(at..end)?;
    let is_word = is_closed && word.len() <= WORD_MAX_BYTES && word.iter().any(u8::is_ascii_alphabetic);
    is_word.then_some(Token { end, shape: Shape::Class("‹word›") })
}

/// Reads an IPv4 address; returns its end and its class.
pub(super) fn ip4(text: &str, at: usize) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut octets = [0; 4];
    let mut end = at;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            if !is_at(bytes, end, b'.') {
                return None;
            }
            end += 1;
        }
        let start = end;
        let mut number = 0_u16;
        while let Some(digit) = bytes.get(end).filter(|byte| byte.is_ascii_digit() && end < start + 3) {
            number = number * 10 + u16::from(digit - b'0');
            end += 1;
        }
        let has_leading_zero = end > start + 1 && is_at(bytes, start, b'0');
        if end == start || has_leading_zero {
            return None;
        }
        *octet = u8::try_from(number).ok()?;
    }
    // A further digit or part makes it a version or something else.
    let goes_on = bytes.get(end).is_some_and(u8::is_ascii_digit)
        || (is_at(bytes, end, b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
    (!goes_on).then(|| (end, class_of_ip4(Ipv4Addr::from(octets))))
}

fn class_of_ip4(address: Ipv4Addr) -> &'static str {
    match address {
        _ if address.is_loopback() => "loopback",
        _ if address.is_private() => "private",
        _ if address.is_multicast() || address.is_broadcast() => "multicast",
        _ if address.is_unspecified() || address.is_link_local() => "special",
        _ => "public",
    }
}

/// Reads an IPv6 address; returns its end and its class.
pub(super) fn ip6(text: &str, at: usize) -> Option<(usize, &'static str)> {
    const LONGEST: usize = 45;
    let bytes = text.as_bytes();
    let limit = bytes.len().min(at + LONGEST);
    let end = run(bytes.get(..limit)?, at, |byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
    let piece = text.get(at..end)?.trim_end_matches(['.', ':']);
    let piece = if text.get(at..end)?.starts_with("::") && piece.is_empty() { "::" } else { piece };
    if piece.bytes().filter(|byte| *byte == b':').count() < 2 {
        return None;
    }
    let address: Ipv6Addr = piece.parse().ok()?;
    let class = match address {
        _ if address.to_ipv4_mapped().is_some() => address.to_ipv4_mapped().map_or("", class_of_ip4),
        _ if address.is_loopback() => "loopback",
        _ if address.is_unique_local() => "private",
        _ if address.is_multicast() => "multicast",
        _ if address.is_unspecified() || address.is_unicast_link_local() => "special",
        _ => "public",
    };
    Some((at + piece.len(), class))
}

fn digits(bytes: &[u8], at: usize, count: usize) -> bool {
    bytes.get(at..at + count).is_some_and(|piece| piece.iter().all(u8::is_ascii_digit))
}

fn is_at(bytes: &[u8], at: usize, byte: u8) -> bool {
    bytes.get(at) == Some(&byte)
}

/// Reads `2026-01-31`, `31/Jan/2026` or `08:00:00.123 +0100`.
fn date_or_time(bytes: &[u8], at: usize) -> Option<Token> {
    let date = |end| Some(Token { end, shape: Shape::Class("‹date›") });
    if digits(bytes, at, 4) && is_separator(bytes, at + 4) && digits(bytes, at + 5, 2) {
        let is_full = is_separator(bytes, at + 7) && digits(bytes, at + 8, 2);
        if is_full && !bytes.get(at + 10).is_some_and(u8::is_ascii_digit) {
            let has_time = is_at(bytes, at + 10, b'T') && digits(bytes, at + 11, 2);
            return date(at + 10 + usize::from(has_time));
        }
    }
    // The day has one digit or two.
    let day = run(bytes, at, |byte| byte.is_ascii_digit());
    if day <= at + 2 && is_at(bytes, day, b'/') && is_month(bytes, day + 1) && is_at(bytes, day + 4, b'/') {
        return date(run(bytes, day + 5, |byte| byte.is_ascii_digit()));
    }
    let is_time = digits(bytes, at, 2) && is_at(bytes, at + 2, b':') && digits(bytes, at + 3, 2);
    if !is_time || !is_at(bytes, at + 5, b':') || !digits(bytes, at + 6, 2) {
        return None;
    }
    let mut end = at + 8;
    if bytes.get(end).is_some_and(|byte| b".,".contains(byte)) && digits(bytes, end + 1, 1) {
        end = run(bytes, end + 1, |byte| byte.is_ascii_digit());
    }
    // A further pair makes it a hardware address.
    if is_at(bytes, end, b':') && digits(bytes, end + 1, 1) {
        return None;
    }
    if is_at(bytes, end, b'Z') {
        end += 1;
    } else {
        let sign = end + usize::from(is_at(bytes, end, b' '));
        if (is_at(bytes, sign, b'+') || is_at(bytes, sign, b'-')) && digits(bytes, sign + 1, 2) {
            end = run(bytes, sign + 1, |byte| byte.is_ascii_digit() || byte == b':');
        }
    }
    Some(Token { end, shape: Shape::Class("‹time›") })
}

fn is_separator(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| b"-/".contains(byte))
}

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

fn is_month(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 3).is_some_and(|name| MONTHS.contains(&name))
}

/// Reads `Jan 31`, `Sat Jan 31` and `Sat, 31 Jan`.
fn named_date(bytes: &[u8], at: usize) -> Option<usize> {
    let is_weekday = WEEKDAYS.contains(&bytes.get(at..at + 3)?);
    let month = if is_weekday { run(bytes, at + 3, |byte| byte == b' ' || byte == b',') } else { at };
    if is_weekday && month - at > 5 {
        return None;
    }
    if is_month(bytes, month) {
        let day = run(bytes, month + 3, |byte| byte == b' ' || byte == b'-');
        let end = run(bytes, day, |byte| byte.is_ascii_digit());
        let is_day = (1..=2).contains(&(end - day)) && (1..=2).contains(&(day - month - 3));
        return is_day.then_some(end);
    }
    is_weekday.then(|| run(bytes, month, |byte| byte.is_ascii_digit())).filter(|end| *end > month)
}

/// Returns where the host stands in a line that begins with a syslog header (RFC 3164 §4.1.2): `Jan 31 08:00:00 host `.
pub(super) fn syslog_host(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if !is_month(bytes, 0) {
        return None;
    }
    let time = named_date(bytes, 0)? + 1;
    let token = date_or_time(bytes, time)?;
    if token.end != time + 8 || !is_at(bytes, token.end, b' ') {
        return None;
    }
    let start = token.end + 1;
    let end = run(bytes, start, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_host = end > start && end - start <= 253 && is_at(bytes, end, b' ');
    is_host.then_some(start..end)
}

/// Returns where the user stands in a line of an access log, whose third field that is: `host - user [31/Jan/2026…`.
pub(super) fn access_log_user(text: &str) -> Option<Range<usize>> {
    const FURTHEST: usize = 400;
    let bytes = text.as_bytes();
    let head = bytes.get(..bytes.len().min(FURTHEST))?;
    let bracket = memchr::memchr(b'[', head)?;
    let is_date = digits(bytes, bracket + 1, 1) && bytes.get(bracket + 1..bracket + 4)?.contains(&b'/');
    let fields = head.get(..bracket.checked_sub(1)?)?;
    let mut spaces = memchr::memchr_iter(b' ', fields);
    let (_, second, more) = (spaces.next()?, spaces.next()?, spaces.next());
    let user = second + 1..fields.len();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._@\\$-".contains(byte);
    let is_user = is_date
        && head.get(bracket - 1) == Some(&b' ')
        && more.is_none()
        && (1..=USER_MAX_BYTES).contains(&user.len())
        && fields.get(user.clone())?.iter().all(is_plain)
        && fields.get(user.clone()) != Some(b"-".as_slice());
    is_user.then_some(user)
}

fn uuid(bytes: &[u8], at: usize) -> Option<usize> {
    let candidate = bytes.get(at..at + 36)?;
    let is_uuid = candidate.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && !bytes.get(at + 36).is_some_and(u8::is_ascii_alphanumeric)).then_some(at + 36)
}

/// Endings of host names that are no endings of file names.
const ENDINGS: [&str; 44] = [
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "io",
    "co",
    "uk",
    "de",
    "fr",
    "nl",
    "ru",
    "cn",
    "jp",
    "br",
    "it",
    "es",
    "se",
    "no",
    "fi",
    "dk",
    "ch",
    "at",
    "be",
    "cz",
    "eu",
    "us",
    "ca",
    "au",
    "local",
    "lan",
    "internal",
    "corp",
    "home",
    "arpa",
    "test",
    "example",
    "invalid",
    "localhost",
    "dev",
];

/// Reads a host's name with at least two parts.
fn host(text: &str, at: usize, end: usize, next: u8) -> Option<usize> {
    if next != b'.' && next != b'-' {
        return None;
    }
    let bytes = text.as_bytes();
    if !bytes.get(end + 1)?.is_ascii_alphanumeric() {
        return None;
    }
    let limit = bytes.len().min(at + 254);
    let end = run(bytes.get(..limit)?, at, |byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let name = text.get(at..end)?.trim_end_matches(['.', '-']);
    let (_, ending) = name.rsplit_once('.')?;
    let is_host = ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending));
    (is_host && end < at + 254).then_some(at + name.len())
}

/// The words of which browsers make their names.
const OF_BROWSERS: [&str; 46] = [
    "Mozilla",
    "Windows",
    "NT",
    "Win",
    "x",
    "rv",
    "Gecko",
    "Firefox",
    "Macintosh",
    "Intel",
    "Mac",
    "OS",
    "X",
    "AppleWebKit",
    "KHTML",
    "like",
    "Chrome",
    "Safari",
    "Version",
    "Mobile",
    "iPhone",
    "CPU",
    "iPad",
    "Android",
    "Linux",
    "Edg",
    "EdgA",
    "EdgiOS",
    "OPR",
    "SamsungBrowser",
    "CriOS",
    "FxiOS",
    "U",
    "wv",
    "Build",
    "Pixel",
    "SM",
    "CrOS",
    "Ubuntu",
    "WOW",
    "Trident",
    "MSIE",
    "compatible",
    "Touch",
    "K",
    "E",
];

/// Reads a browser's name for itself, to the quote that ends it or to the end of the text.
fn browser(text: &str, at: usize) -> Option<usize> {
    const LONGEST: usize = 300;
    static KNOWN: LazyLock<HashSet<&'static str, RandomState>> =
        LazyLock::new(|| OF_BROWSERS.into_iter().collect());
    let known = &*KNOWN;
    let rest = text.get(at..)?;
    if !rest.starts_with("Mozilla/5.0 (") {
        return None;
    }
    let bytes = bounded(text.as_bytes(), at, LONGEST + 1);
    let end = run(bytes, at, |byte| byte.is_ascii_alphanumeric() || b" ;:._,/()+-".contains(&byte));
    let is_closed = text.as_bytes().get(end).is_none_or(|byte| *byte == b'"');
    if !is_closed || end - at > LONGEST {
        return None;
    }
    let words = text.get(at..end)?.split(|char: char| !char.is_ascii_alphabetic());
    let is_browser = words.filter(|word| !word.is_empty()).all(|word| known.contains(word));
    is_browser.then_some(end)
}

/// The shape of a run of letters and digits with a digit in it.
fn with_digits(word: &str, slot: Slot, bytes: &[u8], at: usize, next: u8) -> Shape {
    let length = word.len();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    if letters == 0 {
        return number(length, slot, bytes, at, next);
    }
    let digits_of_hex = word.strip_prefix("0x").filter(|digits| !digits.is_empty());
    if let Some(digits) = digits_of_hex.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return match digits.len() {
            1..=8 if slot == Slot::Code => Shape::Plain,
            1..=16 => Shape::Class("‹hex›"),
            // So long a number may be a text.
            _ => Shape::Plain,
        };
    }
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && (6..=128).contains(&length) {
        return Shape::Class("‹hex›");
    }
    if length > LONGEST_ID {
        return Shape::Plain;
    }
    let changes =
        word.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit());
    if length >= 6 && changes.count() >= 3 || length >= 20 {
        return Shape::Class("‹id›");
    }
    Shape::DigitsWithin
}

/// A longer word may be an encoded text. So long is a SHA-256 in base64.
const LONGEST_ID: usize = 44;

/// Ports above the known ones that tools of attackers are known for.
const NOTED_PORTS: [&[u8]; 6] = [b"1337", b"4444", b"4445", b"5555", b"6667", b"31337"];

fn number(length: usize, slot: Slot, bytes: &[u8], at: usize, next: u8) -> Shape {
    let number = bytes.get(at..at + length).unwrap_or_default();
    // What a web server answered stands behind the quoted request.
    let is_answer =
        length == 3 && next == b' ' && at >= 2 && bytes.get(at - 2..at) == Some(b"\" ".as_slice());
    let is_known_port = slot == Slot::Port && (length <= 3 || NOTED_PORTS.contains(&number));
    let is_yes_or_no = matches!(number, b"0" | b"1");
    if is_answer || is_yes_or_no || is_known_port || (slot == Slot::Code && length <= 6) {
        return Shape::Plain;
    }
    Shape::Class(match length {
        1 => "‹num1›",
        2 => "‹num2›",
        3 => "‹num3›",
        4..=6 => "‹num6›",
        7..=9 => "‹num9›",
        _ => "‹num›",
    })
}

/// What stands for a character that only hides something, or that could pass for a sign of ours.
pub(super) fn harmless(char: char) -> Option<&'static str> {
    match char {
        '‹' => Some("<"),
        '›' => Some(">"),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => Some("?"),
        _ if is_hidden(char) => Some(HIDDEN),
        // Spaces are marked, so each is to be the same one.
        _ if char.is_whitespace() => Some(" "),
        _ => None,
    }
}
