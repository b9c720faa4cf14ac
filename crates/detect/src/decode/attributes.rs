//! What the attributes of CEF and LEEF events mean: each is kept under its own key, and those with a common meaning
//! also get the name that rules ask for.

use std::borrow::Cow;

use crate::{
    decode::{Context, Decoded, Input, web},
    event::{Event, LogSource, Origin, Value},
};

/// An event with more attributes than this keeps the rest in the value of the last.
const MAX_PAIRS: usize = 128;

const LONGEST_KEY: usize = 64;

/// Splits `key=value key=value`. A value may hold spaces: it ends before the next key.
pub(super) fn split(text: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::with_capacity(24);
    let mut current: Option<(&str, usize)> = None;
    let mut word_start = 0;
    let mut word_has_equals = false;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match byte {
            b'\\' => is_escaped = true,
            b' ' | b'\t' => (word_start, word_has_equals) = (at + 1, false),
            b'=' if !word_has_equals => {
                word_has_equals = true;
                let Some(key) = text.get(word_start..at).filter(|word| is_key(word)) else { continue };
                if pairs.len() + 1 == MAX_PAIRS {
                    break;
                }
                if let Some((key, from)) = current {
                    pairs.push((key, text.get(from..word_start).unwrap_or("").trim()));
                }
                current = Some((key, at + 1));
            }
            _ => {}
        }
    }
    if let Some((key, from)) = current {
        pairs.push((key, text.get(from..).unwrap_or("").trim()));
    }
    pairs
}

/// Splits `key=value` pairs that a delimiter parts.
pub(super) fn split_at(text: &str, delimiter: char) -> Vec<(&str, &str)> {
    let parts = text.splitn(MAX_PAIRS, delimiter).filter_map(|part| part.split_once('='));
    parts.map(|(key, value)| (key.trim(), value.trim())).filter(|(key, _)| is_key(key)).collect()
}

fn is_key(word: &str) -> bool {
    (1..=LONGEST_KEY).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b))
}

/// Undoes `\=`, `\|`, `\\`, `\n` and `\r`; any other backslash stays.
pub(super) fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('\\', Some(meant @ ('=' | '|' | '\\'))) => *meant,
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            _ => {
                text.push(c);
                continue;
            }
        };
        chars.next();
        text.push(meant);
    }
    Cow::Owned(text)
}

/// Says where a text stands that is borrowed from the message, or made from a piece of it.
#[expect(clippy::ptr_arg, reason = "it is asked whether the text is borrowed")]
pub(super) fn origin_of(text: &Cow<'_, str>) -> Origin {
    match text {
        Cow::Borrowed(_) => Origin::Message,
        Cow::Owned(_) => Origin::Decoded { rounds: 1 },
    }
}

/// The name that rules ask for.
enum Meaning {
    Text(&'static str),
    Port(&'static str),
    Header(&'static str),
    Target,
    /// A user, the surest first; the event has one.
    User(u8),
}

fn meaning(key: &str) -> Option<Meaning> {
    Some(match key {
        "src" | "c6a2" | "sourceAddress" => Meaning::Text("src_ip"),
        "dst" | "c6a3" | "destinationAddress" => Meaning::Text("dst_ip"),
        "spt" | "srcPort" => Meaning::Port("src_port"),
        "dpt" | "dstPort" => Meaning::Port("dst_port"),
        "suser" | "usrName" => Meaning::User(0),
        "duser" | "accountName" => Meaning::User(1),
        "act" => Meaning::Text("action"),
        "proto" => Meaning::Text("protocol"),
        "requestMethod" | "method" => Meaning::Text("cs-method"),
        "request" | "url" => Meaning::Target,
        "requestClientApplication" | "userAgent" => Meaning::Header("cs-user-agent"),
        "requestContext" | "referrer" => Meaning::Header("cs-referer"),
        "requestCookies" => Meaning::Header("cs-cookie"),
        "dhost" => Meaning::Text("cs-host"),
        _ => return None,
    })
}

/// Pushes attributes under their own keys and under the names that rules ask for.
pub(super) fn push<'a>(pairs: Vec<(&'a str, &'a str)>, decoded: &mut Decoded<'a>) {
    let mut user: Option<(u8, Cow<'a, str>)> = None;
    for (key, raw) in pairs {
        let value = unescaped(raw);
        let origin = origin_of(&value);
        let field = decoded.event.fields.len();
        decoded.event.push(key, Value::Text(value.clone()), origin);
        if value.is_empty() || value == "-" {
            continue;
        }
        match meaning(key) {
            Some(Meaning::Text(name)) => decoded.event.push(name, Value::Text(value), origin),
            Some(Meaning::Port(name)) => decoded.event.push_number(name, raw),
            Some(Meaning::Header(name)) => {
                decoded.inputs.push(Input { field, context: Context::Header, name: Cow::Borrowed(name) });
                decoded.event.push(name, Value::Text(value), origin);
            }
            Some(Meaning::Target) => web::decode_target(value, origin, decoded),
            Some(Meaning::User(rank)) => {
                if key == "duser" {
                    decoded.event.push("target_user", Value::Text(value.clone()), origin);
                }
                if user.as_ref().is_none_or(|(known, _)| rank < *known) {
                    user = Some((rank, value));
                }
            }
            None => {}
        }
    }
    if let Some((_, user)) = user {
        let origin = origin_of(&user);
        decoded.event.push("user", Value::Text(user), origin);
    }
}

/// Returns Sigma's words for a device, by its vendor, its product and what its event tells.
pub(super) fn log_source(vendor: &str, product: &str, event: &Event<'_>) -> LogSource {
    const DEVICES: [(&str, &str, &str); 9] = [
        ("fortigate", "firewall", "fortigate"),
        ("pan-os", "firewall", "paloalto"),
        ("vpn-1", "firewall", "checkpoint"),
        ("check point", "firewall", "checkpoint"),
        ("asa", "firewall", "cisco"),
        ("cisco", "firewall", "cisco"),
        ("zscaler", "proxy", "zscaler"),
        ("blue coat", "proxy", "bluecoat"),
        ("proxysg", "proxy", "bluecoat"),
    ];
    let is_named = |name: &str, text: &str| text.to_ascii_lowercase().contains(name);
    let device = DEVICES.iter().find(|(name, ..)| is_named(name, product) || is_named(name, vendor));
    if let Some((_, category, product)) = device {
        return LogSource { category: Some(category), product: Some(product), service: None };
    }
    let has = |name: &str| event.values(name).next().is_some();
    let category = if has("c-uri") {
        Some("webserver")
    } else if has("src_ip") && has("dst_ip") && has("dst_port") {
        Some("firewall")
    } else {
        None
    };
    LogSource { category, ..LogSource::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_before_the_next_key() {
        let pairs = split(r"msg=a b c src=1.2.3.4 note=x\=y = z 1=2 end=");
        assert_eq!(pairs, [("msg", "a b c"), ("src", "1.2.3.4"), ("note", r"x\=y = z 1=2"), ("end", "")]);
        assert_eq!(unescaped(r"x\=y\\z\q\n"), "x=y\\z\\q\n");
        assert_eq!(split_at("a=1\tb=2=3\tjunk", '\t'), [("a", "1"), ("b", "2=3")]);
    }

    #[test]
    fn many_attributes_are_bounded() {
        assert_eq!(split(&"a=1 ".repeat(10_000)).len(), MAX_PAIRS);
        assert_eq!(split_at(&"a=1\t".repeat(10_000), '\t').len(), MAX_PAIRS);
    }
}
