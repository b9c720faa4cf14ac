//! E-mail addresses, and the passwords in `user:x@host`: both are known by their `@`.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, ordinary,
    written::{Writing, read, run, run_before},
};

/// 64 characters, each of which may be encoded.
const LOCAL_MAX: usize = 192;
const DOMAIN_MAX: usize = 253;

/// What systemd calls its units, and what files are called, is no top-level domain.
const NO_DOMAINS: [&[u8]; 30] = [
    b"service",
    b"socket",
    b"target",
    b"timer",
    b"slice",
    b"scope",
    b"mount",
    b"device",
    b"path",
    b"swap",
    b"automount",
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"webp",
    b"avif",
    b"ico",
    b"js",
    b"mjs",
    b"cjs",
    b"css",
    b"map",
    b"json",
    b"html",
    b"tsx",
    b"jsx",
    b"vue",
    b"tgz",
];

/// What addresses are announced by, which is no user.
const SCHEMES: [&[u8]; 12] = [
    b"mailto", b"sip", b"sips", b"xmpp", b"acct", b"email", b"mail", b"to", b"from", b"cc", b"rfc822",
    b"smtp",
];

/// Looks around an `@`, however it is written.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    if finds.is_host(hit.start) {
        return;
    }
    let host = Host::read(bytes, hit.end);
    if host.is_some_and(|host| host.may_take_passwords)
        && let Some(password) = password_before(bytes, hit.start)
    {
        finds.add(Kind::ConnectionString, password);
        return;
    }
    let Some(host) = host.filter(|host| host.is_domain) else { return };
    let start = local_start(bytes, hit.start);
    let local = &bytes[start..hit.start];
    let is_of_url = read_slashes(bytes, start);
    let is_of_git = local == b"git" && bytes.get(host.end) == Some(&b':');
    if !local.is_empty() && !is_of_url && !is_of_git {
        finds.add(Kind::Email, start..host.end);
    }
}

/// What follows an `@`.
#[derive(Debug, Clone, Copy)]
struct Host {
    end: usize,
    /// Whether mail could be sent there.
    is_domain: bool,
    /// Whether it is an address, a local name, or has a port: what programs log into.
    may_take_passwords: bool,
}

impl Host {
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        if bytes.get(start) == Some(&b'[') {
            let inner = run(bytes, start + 1, 48, |byte| {
                byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'I' | b'P' | b'v')
            });
            let end = start + 1 + inner + 1;
            let is_address = inner > 3 && bytes.get(end - 1) == Some(&b']');
            return is_address.then_some(Self { end, is_domain: true, may_take_passwords: true });
        }
        let length = run(bytes, start, DOMAIN_MAX, is_of_domain);
        let text = &bytes[start..start + length];
        let trailing = text.iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
        let text = &text[..length - trailing];
        if text.is_empty() || text[0] == b'.' {
            return None;
        }
        let end = start + text.len();
        let is_ip = is_ipv4(text);
        let has_port = bytes.get(end) == Some(&b':') && {
            let digits = run(bytes, end + 1, 6, |byte| byte.is_ascii_digit());
            let next = bytes.get(end + 1 + digits);
            (1..=5).contains(&digits) && !next.is_some_and(u8::is_ascii_alphanumeric)
        };
        let has_letters = text.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
        let is_domain = is_domain(text);
        Some(Self {
            end,
            is_domain,
            may_take_passwords: is_ip || has_letters && (has_port || is_domain || text == b"localhost"),
        })
    }
}

fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
}

fn is_ipv4(text: &[u8]) -> bool {
    let is_part = |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    text.split(|byte| *byte == b'.').count() == 4 && text.split(|byte| *byte == b'.').all(is_part)
}

/// Whether a name has a top-level domain, and is no version or file.
fn is_domain(text: &[u8]) -> bool {
    let mut labels = text.rsplit(|byte| *byte == b'.');
    let (Some(top), Some(second)) = (labels.next(), labels.next()) else { return false };
    let is_number = |label: &[u8]| label.iter().all(u8::is_ascii_digit);
    let is_version = labels.next().is_some_and(|third| is_number(third) && is_number(second));
    let is_density = text.starts_with(b"2x.") || text.starts_with(b"3x.");
    let is_top =
        top.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80) || top.starts_with(b"xn--");
    let is_other = NO_DOMAINS.iter().any(|other| top.eq_ignore_ascii_case(other));
    is_top && top.len() >= 2 && !second.is_empty() && !is_version && !is_density && !is_other
}

/// Returns where the part before the `@` begins.
fn local_start(bytes: &[u8], at: usize) -> usize {
    if at > 0 && bytes[at - 1] == b'"' {
        let inner = run_before(bytes, at - 1, LOCAL_MAX, |byte| byte >= b' ' && byte != b'"');
        let open = (at - 1 - inner).checked_sub(1).filter(|open| inner > 0 && bytes[*open] == b'"');
        return open.unwrap_or(at);
    }
    let is_of_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+~-'".contains(&byte) || byte >= 0x80;
    let mut start = at - run_before(bytes, at, LOCAL_MAX, is_of_local);
    let mut place = start;
    while place < at {
        let mark = read(bytes, place);
        let is_of_address =
            mark.byte.is_ascii_alphanumeric() || b"._+~-%".contains(&mark.byte) || mark.byte >= 0x80;
        place += mark.len.max(1);
        let is_typographic = mark.writing == Writing::Plain && mark.len > 1 && mark.byte < 0x80;
        let is_between =
            mark.writing == Writing::Plain && mark.byte == b'\'' && place > start + 1 && place < at;
        if is_typographic || !is_of_address && !is_between {
            start = place;
        }
    }
    start += run(bytes, start, at.saturating_sub(start), |byte| matches!(byte, b'.' | b'\'' | b'-'));
    if start > 0 && bytes[start - 1] == b'\\' && at > start + 1 {
        // What follows the backslash of an escape is no part of the name.
        start += match bytes[start] {
            b'n' | b'r' | b't' => 1,
            b'u' => 5.min(at - start - 1),
            _ => 0,
        };
    }
    start.min(at)
}

fn read_slashes(bytes: &[u8], start: usize) -> bool {
    start > 1 && bytes[start - 1] == b'/' && bytes[start - 2] == b'/'
}

/// Returns the password of `user:x`, if that stands before the `@`.
fn password_before(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    const LONGEST: usize = 128;
    let is_of_both = |byte: u8| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
    let start = at - run_before(bytes, at, LONGEST, is_of_both);
    let text = &bytes[start..at];
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (user, password) = (&text[..colon], &text[colon + 1..]);
    let is_of_user = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'\\');
    let user_length = user.iter().rev().take_while(is_of_user).count();
    let user = &user[colon - user_length..];
    let is_user = user.iter().any(u8::is_ascii_alphabetic)
        && !SCHEMES.iter().any(|scheme| user.eq_ignore_ascii_case(scheme));
    let is_host = password.starts_with(b"//") || password.contains(&b'@') && password.starts_with(b"/");
    let is_prose = ordinary::is_in_its_place(password) || is_domain(password);
    (is_user && !is_host && !is_prose && !password.is_empty()).then_some(start + colon + 1..at)
}
