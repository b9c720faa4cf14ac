//! One vocabulary for what senders name in many ways: whatever its format, an event tells the actor's address as
//! `src_ip` and the account as `user`, so that a correlation counts them together. One pass, no copies of borrowed texts.

use std::{borrow::Cow, net::IpAddr, sync::LazyLock};

use crate::event::{Event, Field, Origin, Value};

/// Names under which senders and decoders tell who did it, the surest first.
pub(crate) const ADDRESSES: [&str; 45] = [
    "c-ip",
    "src_ip",
    "client_ip",
    "ip",
    "source_ip",
    "remote_addr",
    "sourceIPAddress",
    "client.ipAddress",
    "rhost",
    "IpAddress",
    "SourceIp",
    "src",
    "srcip",
    "clientip",
    "client-ip",
    "client_addr",
    "client_address",
    "client.ip",
    "client.address",
    "source.ip",
    "source.address",
    "sourceip",
    "source_address",
    "SourceAddress",
    "callerIpAddress",
    "ClientAddress",
    "ip_address",
    "ipAddr",
    "remote_ip",
    "remoteip",
    "remote_address",
    "remoteAddress",
    "remote.ip",
    "peer_ip",
    "peer_addr",
    "peer_address",
    "user_ip",
    "actor_ip",
    "attacker_ip",
    "attacker",
    "sourceIPs",
    "rip",
    "addr",
    "x_forwarded_for",
    "x-forwarded-for",
];

pub(crate) const USERS: [&str; 29] = [
    "user",
    "username",
    "user_id",
    "cs-username",
    "TargetUserName",
    "User",
    "SubjectUserName",
    "user_name",
    "user.name",
    "user.username",
    "user.id",
    "user.email",
    "userid",
    "uname",
    "usr",
    "suser",
    "usrName",
    "login",
    "login_name",
    "account",
    "account_name",
    "acct",
    "principal",
    "userPrincipalName",
    "actor.alternateId",
    "userIdentity.userName",
    "target_user_name",
    "sasl_username",
    "email",
];

const TARGETS: [&str; 14] = [
    "dst_ip",
    "dst",
    "dstip",
    "dest_ip",
    "destip",
    "destination_ip",
    "DestinationIp",
    "destination.ip",
    "destination.address",
    "destination_address",
    "DestAddress",
    "s-ip",
    "lip",
    "target_ip",
];

const SOURCE_PORTS: [&str; 10] = [
    "src_port",
    "spt",
    "srcport",
    "source_port",
    "SourcePort",
    "source.port",
    "client.port",
    "client_port",
    "remote_port",
    "IpPort",
];

const TARGET_PORTS: [&str; 9] = [
    "dst_port",
    "dpt",
    "dstport",
    "dest_port",
    "destination_port",
    "DestinationPort",
    "destination.port",
    "DestPort",
    "s-port",
];

/// What we call it, and how others do.
const WORDS: [(&str, &[&str]); 5] = [
    ("src_ip", &ADDRESSES),
    ("user", &USERS),
    ("dst_ip", &TARGETS),
    ("src_port", &SOURCE_PORTS),
    ("dst_port", &TARGET_PORTS),
];
const SRC_IP: usize = 0;
const USER: usize = 1;

const LONGEST_NAME: usize = 24;

/// A nested name's last part says enough if it is at least so long: `ip` or `user` may be anybody's.
const SHORTEST_LAST_PART: usize = 6;

/// Prose is searched for an address no further than this.
const MAX_PROSE_BYTES: usize = 4096;

/// A name that means one of our words; the lower the rank, the surer.
struct Known {
    name: &'static str,
    word: usize,
    rank: usize,
}

/// All names, by their length.
static BY_LENGTH: LazyLock<[Vec<Known>; LONGEST_NAME + 1]> = LazyLock::new(|| {
    let mut by_length = [const { Vec::new() }; LONGEST_NAME + 1];
    for (word, (_, names)) in WORDS.into_iter().enumerate() {
        for (rank, name) in names.iter().enumerate() {
            by_length[name.len()].push(Known { name, word, rank });
        }
    }
    by_length
});

/// Returns what a field's name means. Case does not matter.
fn known(name: &str) -> Option<&'static Known> {
    let of_length = BY_LENGTH.get(name.len())?;
    of_length.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

/// Pushes the words of the vocabulary that the event tells under other names, or only in prose.
pub(super) fn complete<'a>(message: &'a str, event: &mut Event<'a>) {
    let mut is_said = [false; WORDS.len()];
    let mut best: [Option<(usize, usize)>; WORDS.len()] = [None; WORDS.len()];
    for (index, field) in event.fields.iter().enumerate() {
        let Some(known) = known(&field.name).or_else(|| known_last_part(&field.name)) else { continue };
        if field.name == WORDS[known.word].0 {
            is_said[known.word] |= is_value(&field.value);
        } else if !is_said[known.word]
            && best[known.word].is_none_or(|(rank, _)| known.rank < rank)
            && meant(known.word, &field.value).is_some()
        {
            best[known.word] = Some((known.rank, index));
        }
    }
    for (word, (name, _)) in WORDS.into_iter().enumerate() {
        let Some((_, index)) = best[word].filter(|_| !is_said[word]) else { continue };
        let Field { value, origin, .. } = &event.fields[index];
        let origin = *origin;
        if let Some(value) = meant(word, value) {
            event.push(name, value, origin);
            is_said[word] = true;
        }
    }
    if !is_said[SRC_IP] || !is_said[USER] {
        prose(message, is_said[SRC_IP], is_said[USER], event);
    }
}

fn known_last_part(name: &str) -> Option<&'static Known> {
    let (_, last) = name.rsplit_once('.')?;
    if last.len() < SHORTEST_LAST_PART { None } else { known(last) }
}

fn is_value(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => !text.is_empty() && text != "-",
        Value::Number(_) => true,
        Value::Bool(_) | Value::Null => false,
    }
}

/// Returns the value that a word may have: an address, a port, or a user's name without what surrounds it.
fn meant<'a>(word: usize, value: &Value<'a>) -> Option<Value<'a>> {
    match (WORDS[word].0, value) {
        ("src_ip" | "dst_ip", Value::Text(text)) => piece(text, address_in(text)?).map(Value::Text),
        ("user", Value::Text(text)) => {
            let name = text.trim_matches(['<', '>', '"', '\'', ' ']);
            let is_name = !name.is_empty() && !matches!(name, "-" | "(null)" | "null" | "unknown");
            piece(text, name).filter(|_| is_name).map(Value::Text)
        }
        ("src_port" | "dst_port", Value::Number(_)) => Some(value.clone()),
        ("src_port" | "dst_port", Value::Text(text)) => {
            text.trim().parse::<u16>().ok().map(|port| Value::Number(f64::from(port)))
        }
        _ => None,
    }
}

/// Returns a piece of a text, borrowed if the text is.
fn piece<'a>(text: &Cow<'a, str>, piece: &str) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => {
            let start = piece.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            text.get(start..start + piece.len()).map(Cow::Borrowed)
        }
        Cow::Owned(_) => Some(Cow::Owned(piece.to_owned())),
    }
}

/// Returns the address in `1.2.3.4`, `1.2.3.4:5678`, `[::1]:443`, `::ffff:1.2.3.4`, or the first of a list.
pub(super) fn address_in(text: &str) -> Option<&str> {
    const LONGEST: usize = 64;
    let first = text.trim_start().split([',', ' ']).next().unwrap_or("");
    if first.len() > LONGEST {
        return None;
    }
    let bare = first.trim_matches(['"', '\'', '<', '>', '(', ')']);
    let bare = match bare.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => bare,
    };
    let is_dotted = |text: &str| text.contains('.');
    let bare = match bare.split_once(':') {
        Some((address, port)) if is_dotted(address) && port.bytes().all(|b| b.is_ascii_digit()) => address,
        _ => bare,
    };
    let bare = match bare.get(..7) {
        Some(mapped) if mapped.eq_ignore_ascii_case("::ffff:") => {
            bare.get(7..).filter(|rest| is_dotted(rest)).unwrap_or(bare)
        }
        _ => bare,
    };
    let bare = bare.split('%').next().unwrap_or("");
    bare.parse::<IpAddr>().is_ok().then_some(bare)
}

/// Searches prose for an address that a word such as `from` points to, and, where it tells of a failed login, a user.
fn prose<'a>(message: &'a str, has_address: bool, has_user: bool, event: &mut Event<'a>) {
    let text = message.get(..message.floor_char_boundary(MAX_PROSE_BYTES)).unwrap_or("");
    let bytes = text.as_bytes();
    let mut address = None;
    let mut by = None;
    let mut user = None;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let starts_word = at == 0 || !is_word_byte(bytes[at - 1]);
        if !starts_word || !(byte.is_ascii_alphanumeric() || byte == b':') {
            at += 1;
            continue;
        }
        if !has_user && user.is_none() && matches!(byte, b'f' | b'u' | b'U') {
            user = named_user(text, at);
        }
        let mut run = 0;
        if !has_address && address.is_none() && (byte.is_ascii_hexdigit() || byte == b':') {
            let is_digit = |b: &&u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':');
            run = bytes[at..].iter().take_while(is_digit).count();
            match literal(text, at, run) {
                Some((found, true)) => by = by.or(Some(found)),
                Some((found, false)) => address = Some(found),
                None => {}
            }
        }
        if (has_address || address.is_some()) && (has_user || user.is_some()) {
            break;
        }
        at += run.max(1);
    }
    if let Some(address) = address.or(by) {
        event.push("src_ip", Value::Text(Cow::Borrowed(address)), Origin::Message);
    }
    if let Some(user) = user.filter(|_| tells_of_failure(text)) {
        event.push("user", Value::Text(Cow::Borrowed(user)), Origin::Message);
    }
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':') || b >= 0x80
}

/// Returns the address that stands at a place if a word before it says that somebody came from there, and whether
/// that word was only `by`.
fn literal(text: &str, at: usize, run: usize) -> Option<(&str, bool)> {
    const SHORTEST: usize = 3;
    const LONGEST: usize = 52;
    if !(SHORTEST..=LONGEST).contains(&run) {
        return None;
    }
    let candidate = text.get(at..at + run)?;
    let is_likely =
        candidate.bytes().filter(|b| *b == b'.').count() >= 3 || candidate.matches(':').nth(1).is_some();
    let address = if is_likely { address_in(candidate.trim_end_matches(['.', ':']))? } else { return None };
    pointer(text.get(..at)?).map(|is_by| (address, is_by))
}

/// Whether a text ends with a word that points to the actor's address; `Some(true)` if it is only `by`.
fn pointer(before: &str) -> Option<bool> {
    const POINTERS: [&str; 12] = [
        "from",
        "client",
        "rhost",
        "src",
        "source",
        "attacker",
        "remote",
        "viewer",
        "peer",
        "rip",
        "remote_addr",
        "clientip",
    ];
    const FILLERS: [&str; 6] = ["ip", "address", "addr", "network", "host", "for"];
    const MAX_WORDS: usize = 4;
    let mut left = before.get(before.floor_char_boundary(before.len().saturating_sub(160))..)?;
    let mut is_bracketed = left.ends_with(['[', '(']);
    // MySQL writes an account as 'anna'@'1.2.3.4'.
    if left.ends_with("'@'") {
        return Some(false);
    }
    for _ in 0..MAX_WORDS {
        left = left.trim_end_matches(|c: char| " \t'\"[(<{:=/".contains(c));
        let start = left.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
        let word = left.get(start.map_or(0, |at| left.ceil_char_boundary(at + 1))..)?;
        let is_one_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is_one_of(&POINTERS) {
            return Some(false);
        }
        if word.eq_ignore_ascii_case("by") {
            return Some(true);
        }
        if word.eq_ignore_ascii_case("failed") {
            // `failed for '1.2.3.4'`
            return before.trim_end_matches(['\'', '"', ' ']).ends_with(" for").then_some(false);
        }
        // A host's name stands before its address: `from mail.example [1.2.3.4]`.
        if word.is_empty() || !(is_one_of(&FILLERS) || is_bracketed) {
            return None;
        }
        is_bracketed = false;
        left = left.get(..left.len() - word.len())?;
    }
    None
}

/// Returns whom `user anna`, `user=anna`, `user 'anna'` or `for anna from` name at a place.
fn named_user(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    let is_user = rest.get(..4)?.eq_ignore_ascii_case("user");
    if is_user {
        let rest = rest.get(4..)?;
        let rest = rest.strip_prefix("name").unwrap_or(rest);
        let opened = rest.trim_start_matches([' ', '=', ':']);
        return (opened.len() < rest.len()).then(|| value_at(opened)).flatten();
    }
    let name = value_at(rest.strip_prefix("for ")?)?;
    let end = name.as_ptr().addr() - rest.as_ptr().addr() + name.len();
    let follows = rest.get(end..)?.trim_start_matches(['\'', '"', ',', '>']);
    (follows.starts_with(" from ") && !name.eq_ignore_ascii_case("user")).then_some(name)
}

/// Reads `anna`, `'anna b'`, `"anna"`, `[anna]` or `<anna>`.
fn value_at(text: &str) -> Option<&str> {
    const LONGEST: usize = 128;
    /// What follows `user` in a sentence that names nobody.
    const NO_NAMES: [&str; 14] = [
        "not",
        "unknown",
        "was",
        "is",
        "or",
        "and",
        "name",
        "from",
        "does",
        "has",
        "tried",
        "login",
        "agent",
        "authentication",
    ];
    let close = match text.chars().next()? {
        quote @ ('"' | '\'' | '`') => Some(quote),
        '[' => Some(']'),
        '<' => Some('>'),
        '(' => return None,
        _ => None,
    };
    let text = text.get(..text.floor_char_boundary(LONGEST))?;
    let value = match close {
        Some(close) => text.get(1..)?.split(close).next()?,
        None => text.split([' ', ',', ';', ':', ')', ']', '\'', '"', '\t', '\n', '(']).next()?,
    };
    let is_name = !value.is_empty() && !NO_NAMES.iter().any(|word| word.eq_ignore_ascii_case(value));
    is_name.then_some(value)
}

/// Whether a text says that something about a login went wrong.
fn tells_of_failure(text: &str) -> bool {
    const WORDS: [&str; 13] = [
        "fail",
        "denied",
        "invalid",
        "incorrect",
        "wrong",
        "mismatch",
        "reject",
        "refused",
        "not found",
        "unknown",
        "unsuccessful",
        "not allowed",
        "exceeded",
    ];
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed<'a>(message: &'a str, fields: &[(&'static str, &'a str)]) -> Event<'a> {
        let mut event = Event::default();
        for (name, value) in fields {
            event.push(*name, Value::Text((*value).into()), Origin::Metadata);
        }
        complete(message, &mut event);
        event
    }

    #[test]
    fn other_names_for_the_address_and_the_user_are_known() {
        let addresses = [
            ("c-ip", "203.0.113.9"),
            ("ClientIP", "203.0.113.9:40100"),
            ("IpAddress", "::ffff:203.0.113.9"),
            ("x_forwarded_for", "203.0.113.9, 10.0.0.1"),
            ("SRC", "203.0.113.9"),
            ("httpRequest.remoteIp", "203.0.113.9"),
            ("client.ip", " 203.0.113.9 "),
        ];
        for (name, value) in addresses {
            let event = completed("", &[(name, value)]);
            assert_eq!(event.text("src_ip"), Some("203.0.113.9"), "{name}");
            assert!(matches!(event.fields[1].value, Value::Text(Cow::Borrowed(_))), "{name}");
        }
        for (name, value) in
            [("ip", "localhost"), ("ip", ""), ("server.ip", "192.0.2.1"), ("dst", "192.0.2.1")]
        {
            assert_eq!(completed("", &[(name, value)]).text("src_ip"), None, "{name}");
        }
        for name in ["username", "TargetUserName", "Acct", "userIdentity.userName", "actor.alternateId"] {
            assert_eq!(completed("", &[(name, "<anna>")]).text("user"), Some("anna"), "{name}");
        }
    }

    #[test]
    fn the_surest_name_wins_and_what_is_said_stays() {
        let event =
            completed("", &[("x_forwarded_for", "192.0.2.1"), ("client_ip", "192.0.2.2"), ("ip", "-")]);
        assert_eq!(event.text("src_ip"), Some("192.0.2.2"));
        let event = completed("from 192.0.2.4", &[("src_ip", "192.0.2.3"), ("client_ip", "192.0.2.2")]);
        assert_eq!(event.values("src_ip").count(), 1);
        let event = completed("", &[("DPT", "443"), ("SourcePort", "x"), ("DestinationIp", "192.0.2.1")]);
        assert_eq!(event.values("dst_port").next(), Some(&Value::Number(443.0)));
        assert_eq!((event.values("src_port").count(), event.text("dst_ip")), (0, Some("192.0.2.1")));
    }

    #[test]
    fn addresses_are_freed_from_what_surrounds_them() {
        for (text, address) in [
            ("[2001:db8::9]:443", "2001:db8::9"),
            ("2001:db8::9", "2001:db8::9"),
            ("fe80::1%eth0", "fe80::1"),
            ("::FFFF:203.0.113.9", "203.0.113.9"),
            ("(203.0.113.9)", "203.0.113.9"),
            ("'203.0.113.9'", "203.0.113.9"),
        ] {
            assert_eq!(address_in(text), Some(address), "{text}");
        }
        for text in ["", "1.2.3", "1.2.3.4.5", "999.1.1.1", "web-01", "12:30:59", ":", "[", "1.2.3.4:x"] {
            assert_eq!(address_in(text), None, "{text}");
        }
    }

    #[test]
    fn prose_tells_from_where_and_who() {
        for (text, address, user) in [
            ("Login failed for user anna from 203.0.113.9.", Some("203.0.113.9"), Some("anna")),
            ("Authentication failed for 'anna' from 203.0.113.9:40100", Some("203.0.113.9"), Some("anna")),
            ("Access denied for user 'root'@'203.0.113.9' (x)", Some("203.0.113.9"), Some("root")),
            ("Login failed for user 'anna b'. [CLIENT: 203.0.113.9]", Some("203.0.113.9"), Some("anna b")),
            ("wrong password, user=anna rhost=203.0.113.9", Some("203.0.113.9"), Some("anna")),
            ("failed login from a.example [203.0.113.9]", Some("203.0.113.9"), None),
            ("relay attempt from IP address 2001:db8::9, denied", Some("2001:db8::9"), None),
            ("Authentication failed for user [anna] by 203.0.113.9", Some("203.0.113.9"), Some("anna")),
            ("Source Network Address:\t203.0.113.9", Some("203.0.113.9"), None),
            ("accepted by 192.0.2.1 from 203.0.113.9", Some("203.0.113.9"), None),
            ("Registration from '<sip:1@a.example>' failed for '203.0.113.9' - x", Some("203.0.113.9"), None),
            ("upgraded to version 1.2.3.4 for user anna", None, None),
            ("listening on 192.0.2.1:443", None, None),
            ("user not found", None, None),
            ("user agent from 1.2.3 denied", None, None),
            ("made from 12:30:59 on", None, None),
        ] {
            let event = completed(text, &[]);
            assert_eq!((event.text("src_ip"), event.text("user")), (address, user), "{text}");
        }
    }
}
