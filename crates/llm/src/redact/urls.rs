//! Credentials before the host of a URL: `scheme://user:x@host`, also where the text is encoded.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, ordinary, tokens,
    written::{Mark, read, run},
};

/// Longer user names and passwords are no credentials of a URL.
const LONGEST: usize = 1 << 10;

/// How far beyond a slash an `@` is looked for when what seems to be a port is none.
const LONGEST_AFTER_SLASH: usize = 128;

/// Looks at what follows a `://`.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    let host =
        run(bytes, hit.end, LONGEST, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    if matches!(
        bytes.get(hit.end + host),
        None | Some(b'/' | b'"' | b' ' | b'\'' | b')' | b',' | b'>' | b'?')
    ) {
        return;
    }
    let slashes = read(bytes, hit.start);
    let authority = Authority::read(bytes, hit.end, slashes);
    let Some(host) = authority.host else { return };
    finds.hosts.push(host);
    let Some(colon) = authority.colon.filter(|colon| colon.end <= host) else {
        let user = &bytes[hit.end..host];
        if tokens::is_long(user, 16) && tokens::is_random(user) {
            finds.add(Kind::Token, hit.end..host);
        }
        return;
    };
    let password = &bytes[colon.end..host];
    if password.len() == 1 || !ordinary::is_in_its_place(password) {
        finds.add(Kind::ConnectionString, colon.end..host);
    }
}

#[derive(Default)]
struct Authority {
    /// What divides the user's name from the password.
    colon: Option<Range<usize>>,
    /// Where the `@` stands.
    host: Option<usize>,
}

impl Authority {
    fn read(bytes: &[u8], start: usize, like: Mark) -> Self {
        let mut authority = Self::default();
        let mut at = start;
        let mut most = start + LONGEST;
        let mut is_beyond = false;
        while at < most {
            let mark = read(bytes, at);
            let has_meaning = mark.writing.is_within(like.writing);
            let is_raw_end = mark.is_blank() || mark.is_quote() || matches!(mark.byte, b'<' | b'>');
            match mark.byte {
                _ if mark.is_end() || is_raw_end && has_meaning => break,
                b'/' | b'?' | b'#' if has_meaning && !is_beyond => {
                    if authority.host.is_some() || authority.has_port(bytes, at, mark.byte) {
                        break;
                    }
                    is_beyond = true;
                    most = at + LONGEST_AFTER_SLASH;
                }
                b':' if has_meaning && authority.colon.is_none() => {
                    authority.colon = Some(at..at + mark.len);
                }
                b'@' if has_meaning => authority.host = Some(at),
                _ => {}
            }
            at += mark.len;
        }
        authority
    }

    /// Whether what comes before a slash is a host, perhaps with a port: not half a password.
    fn has_port(&self, bytes: &[u8], end: usize, mark: u8) -> bool {
        let Some(colon) = &self.colon else { return true };
        let port = &bytes[colon.end.min(end)..end];
        let is_number = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
        let is_of_ipv6 = bytes[..colon.start].iter().rev().take(64).any(|byte| *byte == b'[');
        (is_number && (mark == b'/' || !is_followed_by_host(bytes, end))) || is_of_ipv6
    }
}

/// Whether an `@` comes before anything that divides a path or query.
fn is_followed_by_host(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let end = rest.iter().take(LONGEST_AFTER_SLASH).find(|byte| b"@/=&? \"'".contains(byte));
    end == Some(&b'@')
}
