//! One vocabulary for what senders name in many ways: whatever its format, an event tells the actor's address as
//! `src_ip` and the account as `user`, so that a correlation counts them together. One pass, no copies of borrowed texts.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};

use crate::{
    decode::names::Names,
    event::{Event, Origin, Value},
};

/// Names under which senders and decoders tell who did it, the surest first.
pub(crate) const ADDRESSES: [&str; 45] = [
    "src_ip",
    "c-ip",
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
    "cs-username",
    "TargetUserName",
    "User",
    "SubjectUserName",
    "user_name",
    "user.name",
    "user.username",
    "user.email",
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
    "user_id",
    "user.id",
    "userid",
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
static WORDS: [(&str, &[&str]); 5] = [
    ("src_ip", &ADDRESSES),
    ("user", &USERS),
    ("dst_ip", &TARGETS),
    ("src_port", &SOURCE_PORTS),
    ("dst_port", &TARGET_PORTS),
];
const SRC_IP: usize = 0;
const USER: usize = 1;

/// A nested name's last part says enough if it is at least so long: `ip` or `user` may be anybody's.
const SHORTEST_LAST_PART: usize = 6;

/// Prose is searched for an address no further than this.
const MAX_PROSE_BYTES: usize = 4096;

/// What a name means: one of our words. The lower the rank, the surer.
#[derive(Clone, Copy)]
struct Known {
    word: usize,
    rank: usize,
}

static NAMES: LazyLock<Names<Known>> = LazyLock::new(|| {
    let names_of = |word, names: &'static [&str]| {
        names.iter().enumerate().map(move |(rank, name)| (*name, Known { word, rank }))
    };
    Names::new(WORDS.iter().enumerate().flat_map(|(word, (_, names))| names_of(word, names)))
});

/// Pushes the words of the vocabulary that the event tells under other names, or only in prose.
pub(super) fn complete<'a>(message: &'a str, event: &mut Event<'a>) {
    let mut is_said = [false; WORDS.len()];
    let mut best: [Option<(usize, Value<'a>, Origin)>; WORDS.len()] = Default::default();
    let names = &*NAMES;
    for field in &event.fields {
        let known = names.get_whole_or_last_part(&field.name, SHORTEST_LAST_PART);
        let Some(Known { word, rank }) = known else { continue };
        if field.name == WORDS[word].0 {
            is_said[word] |= is_value(&field.value);
        } else if !is_said[word]
            && best[word].as_ref().is_none_or(|(best_rank, ..)| rank < *best_rank)
            && let Some(value) = meant(word, &field.value)
        {
            best[word] = Some((rank, value, field.origin));
        }
    }
    for (word, best) in best.into_iter().enumerate() {
        let Some((_, value, origin)) = best.filter(|_| !is_said[word]) else { continue };
        event.push(WORDS[word].0, value, origin);
        is_said[word] = true;
    }
    if !is_said[SRC_IP] || !is_said[USER] {
        prose(message, is_said[SRC_IP], is_said[USER], event);
    }
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
    // What most senders write.
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some(text);
    }
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
    let bare = match bare.get(..7) {
        Some(mapped) if mapped.eq_ignore_ascii_case("::ffff:") => {
            bare.get(7..).filter(|rest| is_dotted(rest)).unwrap_or(bare)
        }
        _ => bare,
    };
    let bare = match bare.split_once(':') {
        Some((address, port)) if is_dotted(address) && port.bytes().all(|b| b.is_ascii_digit()) => address,
        _ => bare,
    };
    let bare = bare.split('%').next().unwrap_or("");
    bare.parse::<IpAddr>().is_ok().then_some(bare)
}

/// How an address stands in prose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A word such as `from` points to it.
    PointedTo,
    /// Only `by` does, which may also be the server's.
    By,
    Bare,
}

/// Searches prose for an address that a word such as `from` points to, and, where it tells of a failed login, for a
/// user, and for an address that is the only one.
fn prose<'a>(message: &'a str, has_address: bool, has_user: bool, event: &mut Event<'a>) {
    let text = message.get(..message.floor_char_boundary(MAX_PROSE_BYTES)).unwrap_or("");
    let bytes = text.as_bytes();
    let (mut address, mut by, mut bare, mut user) = (None, None, None, None);
    let mut are_many = false;
    let seeks_user = !has_user && ["user", "User", "USER", "for "].iter().any(|word| text.contains(word));
    let mut at = 0;
    let is_word = |at: usize| bytes.get(at).is_some_and(|b| IS_WORD_BYTE[usize::from(*b)]);
    while at < bytes.len() {
        if !is_word(at) {
            at += 1;
            continue;
        }
        let seeks_address = !has_address && address.is_none();
        let seeks_user = seeks_user && user.is_none();
        if !seeks_address && !seeks_user {
            break;
        }
        if seeks_user && matches!(bytes[at], b'f' | b'u' | b'U') {
            user = named_user(text, at);
        }
        if seeks_address && (bytes[at].is_ascii_hexdigit() || bytes[at] == b':') {
            match literal(text, at) {
                Some((found, Standing::PointedTo)) => address = Some(found),
                Some((found, Standing::By)) => by = by.or(Some(found)),
                Some((found, Standing::Bare)) => {
                    are_many |= bare.is_some_and(|known| known != found);
                    bare = Some(found);
                }
                None => {}
            }
        }
        while is_word(at) {
            at += 1;
        }
    }
    let address = address.or(by);
    let only = bare.filter(|_| address.is_none() && !are_many);
    if let Some(address) = address {
        event.push("src_ip", Value::Text(Cow::Borrowed(address)), Origin::Message);
    }
    if (user.is_some() || only.is_some()) && tells_of_failed_login(text) {
        for (name, value) in [("src_ip", only), ("user", user)] {
            event.push_piece(name, value.unwrap_or(""));
        }
    }
}

/// Letters, digits, and what stands inside names and addresses.
static IS_WORD_BYTE: [bool; 256] = {
    let mut is_word_byte = [false; 256];
    let mut b: u8 = 255;
    while b > 0 {
        is_word_byte[b as usize] =
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':') || b >= 0x80;
        b -= 1;
    }
    is_word_byte
};

/// Returns the address that stands at a place, and how.
fn literal(text: &str, at: usize) -> Option<(&str, Standing)> {
    const SHORTEST: usize = 3;
    const LONGEST: usize = 52;
    let is_digit = |b: &&u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':');
    let run = text.as_bytes().get(at..)?.iter().take(LONGEST + 1).take_while(is_digit).count();
    if !(SHORTEST..=LONGEST).contains(&run) {
        return None;
    }
    let candidate = text.get(at..at + run)?;
    let is_likely =
        candidate.bytes().filter(|b| *b == b'.').count() >= 3 || candidate.matches(':').nth(1).is_some();
    let address = if is_likely { address_in(candidate.trim_end_matches(['.', ':']))? } else { return None };
    Some((address, standing(text.get(..at)?).unwrap_or(Standing::Bare)))
}

/// Returns how an address stands after a text; `None` if no word points to it.
fn standing(before: &str) -> Option<Standing> {
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
        return Some(Standing::PointedTo);
    }
    for _ in 0..MAX_WORDS {
        left = left.trim_end_matches(|c: char| " \t'\"[(<{:=/".contains(c));
        let start = left.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
        let word = left.get(start.map_or(0, |at| left.ceil_char_boundary(at + 1))..)?;
        let is_one_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is_one_of(&POINTERS) {
            return Some(Standing::PointedTo);
        }
        if word.eq_ignore_ascii_case("by") {
            return Some(Standing::By);
        }
        if word.eq_ignore_ascii_case("failed") {
            // `failed for '1.2.3.4'`
            return before
                .trim_end_matches(['\'', '"', ' '])
                .ends_with(" for")
                .then_some(Standing::PointedTo);
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
    let value = value.trim_end_matches('.');
    let is_name = !value.is_empty() && !NO_NAMES.iter().any(|word| word.eq_ignore_ascii_case(value));
    is_name.then_some(value)
}

/// Whether a text says that a login went wrong.
fn tells_of_failed_login(text: &str) -> bool {
    const FAILURES: [&str; 14] = [
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
        "attempt",
    ];
    const LOGINS: [&str; 6] = ["login", "logon", "log in", "auth", "password", "user"];
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&FAILURES) && has(&LOGINS)
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
            ("Failed login attempt. 203.0.113.9", Some("203.0.113.9"), None),
            ("login attempt for nobody from ::ffff:203.0.113.9:40100", Some("203.0.113.9"), Some("nobody")),
            ("authentication failed for user anna - 203.0.113.9", Some("203.0.113.9"), Some("anna")),
            ("authentication failed: 203.0.113.9:4 192.0.2.8:5", None, None),
            ("no route to 192.0.2.8", None, None),
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
