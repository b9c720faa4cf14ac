//! Web requests: access lines (common, combined), request lines inside other texts, and what senders put into metadata.

use std::borrow::Cow;

use crate::{
    decode::{Context, Decoded, Input},
    event::{Event, Origin, Value},
    payload::decode::Plus,
};

const METHODS: [&str; 22] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "DEBUG",
    "TRACK",
    "PURGE",
    "MERGE",
];

/// A query has no more parameters than this; the rest is judged as one value.
const MAX_PARAMETERS: usize = 64;

/// A request line and what stands around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub before: &'a str,
    pub method: &'a str,
    pub target: &'a str,
    pub version: Option<&'a str>,
    pub after: &'a str,
}

/// Whether a word is a method of HTTP.
pub(crate) fn is_method(word: &str) -> bool {
    let may_be = word.len() >= 3 && word.bytes().take(3).all(|b| b.is_ascii_uppercase());
    may_be && METHODS.contains(&word)
}

/// Finds the first request line in a text.
pub(crate) fn request(text: &str) -> Option<Request<'_>> {
    let (start, method) = method(text)?;
    let before = text.get(..start)?;
    let rest = text.get(start + method.len() + 1..)?;
    let (target, version, after) = if let Some((target, version, after)) = versioned(rest) {
        (target, Some(version), after)
    } else {
        let (target, after) = unversioned(rest, before)?;
        (target, None, after)
    };
    let is_target = target.starts_with('/') || target.contains("://") || version.is_some();
    is_target.then_some(Request { before, method, target, version, after })
}

/// Finds a method at the start of a word: where, and which.
fn method(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let starts_word =
            at == 0 || matches!(bytes[at - 1], b' ' | b'"' | b'\'' | b'(' | b'[' | b'=' | b'\t');
        if starts_word && bytes[at].is_ascii_uppercase() {
            let len = bytes[at..].iter().take(10).take_while(|b| b.is_ascii_uppercase()).count();
            if bytes.get(at + len) == Some(&b' ')
                && let Some(method) = METHODS.iter().find(|method| method.as_bytes() == &bytes[at..at + len])
            {
                return Some((at, method));
            }
            at += len;
        }
        at += 1;
    }
    None
}

/// Reads `target HTTP/1.1…`: the target may hold spaces and quotes that a client did not encode.
fn versioned(rest: &str) -> Option<(&str, &str, &str)> {
    for at in memchr::memchr_iter(b' ', rest.as_bytes()) {
        let version = rest.get(at + 1..)?;
        if version.starts_with("HTTP/") && version.as_bytes().get(5).is_some_and(u8::is_ascii_digit) {
            let len = version.bytes().take(8).take_while(|b| !b" \"'\\,)".contains(b)).count();
            return Some((rest.get(..at)?, version.get(..len)?, version.get(len..)?));
        }
    }
    None
}

/// Reads a target up to ` 404 `, to the quote that the request began with, or to the next space.
fn unversioned<'a>(rest: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    if !rest.starts_with('/') && !rest.starts_with("http") {
        return None;
    }
    if before.ends_with('"')
        && let Some(end) = rest.find('"')
    {
        return rest.split_at_checked(end);
    }
    let is_status = |at: usize| {
        let status = rest.as_bytes().get(at + 1..at + 4);
        let follows = rest.as_bytes().get(at + 4);
        status.is_some_and(|s| (b'1'..=b'5').contains(&s[0]) && s.iter().all(u8::is_ascii_digit))
            && follows.is_none_or(|b| matches!(b, b' ' | b'"' | b','))
    };
    let mut spaces = rest.bytes().enumerate().filter(|(_, b)| *b == b' ').map(|(at, _)| at);
    let end = spaces.clone().find(|at| is_status(*at)).or_else(|| spaces.next()).unwrap_or(rest.len());
    rest.split_at_checked(end)
}

/// Pushes the fields and inputs of a request found in the message.
pub(crate) fn decode_request<'a>(request: &Request<'a>, decoded: &mut Decoded<'a>) {
    decoded.event.log_source.category.get_or_insert("webserver");
    let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
    decoded.event.push("cs-method", text(request.method), Origin::Message);
    if let Some(version) = request.version {
        decoded.event.push("cs-version", text(version), Origin::Message);
    }
    decode_target(Cow::Borrowed(request.target), Origin::Message, decoded);
    around(request, decoded);
    client(request.before, &mut decoded.event);
    client(request.after, &mut decoded.event);
}

/// Reads what an access line says around the request: client, user, status, size, referrer, user agent.
fn around<'a>(request: &Request<'a>, decoded: &mut Decoded<'a>) {
    let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
    let after = request.after.trim_start_matches('"').trim_start();
    let (status, rest) = after.split_once(' ').unwrap_or((after, ""));
    if status.len() == 3
        && let Ok(number) = status.parse::<u16>()
    {
        decoded.event.push("sc-status", Value::Number(f64::from(number)), Origin::Message);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some(Ok(size)) = rest.get(..digits).map(str::parse::<f64>) {
            decoded.event.push("sc-bytes", Value::Number(size), Origin::Message);
        }
    }
    let Some((left, _)) = request.before.split_once('[') else { return };
    let mut words = left.split_ascii_whitespace();
    let address = words.by_ref().find(|word| word.parse::<std::net::IpAddr>().is_ok());
    if let Some(address) = address {
        decoded.event.push("c-ip", text(address), Origin::Message);
        if let Some(user) = words.nth(1).filter(|user| *user != "-") {
            decoded.event.push("cs-username", text(user), Origin::Message);
        }
    }
    let mut quoted = request.after.split('"').skip(2).step_by(2);
    for name in ["cs-referer", "cs-user-agent"] {
        if let Some(value) = quoted.next().filter(|value| !value.is_empty() && *value != "-") {
            let field = decoded.event.fields.len();
            decoded.event.push(name, text(value), Origin::Message);
            decoded.inputs.push(Input { field, context: Context::Header, name: Cow::Borrowed(name) });
        }
    }
}

/// Reads whom a server's error line speaks of: `[client 1.2.3.4:5678]`, `client: 1.2.3.4,`, `client=1.2.3.4`.
/// False if it speaks of nobody.
pub(crate) fn client<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    // Most texts hold none of the marks, which one search tells.
    if !text.contains("client") {
        return false;
    }
    let Some((_, rest)) = ["[client ", "client: ", "client="].iter().find_map(|mark| text.split_once(mark))
    else {
        return false;
    };
    let address = rest.split([' ', ',', ']']).next().unwrap_or("");
    let is_socket = address.parse::<std::net::SocketAddr>().is_ok();
    let address =
        if is_socket { address.rsplit_once(':').map_or(address, |(address, _)| address) } else { address };
    let is_address = address.parse::<std::net::IpAddr>().is_ok();
    if is_address {
        event.push("c-ip", Value::Text(Cow::Borrowed(address)), Origin::Message);
    }
    is_address
}

/// Pushes the fields of a request target and its parameters as inputs.
pub(crate) fn decode_target<'a>(target: Cow<'a, str>, origin: Origin, decoded: &mut Decoded<'a>) {
    // A target inside a parameter (`?page=/x.php?id=1`) stays a part of it.
    let (stem, query) = cut(target.clone(), '?');
    decoded.event.push("c-uri", Value::Text(target), origin);
    decoded.push_input("cs-uri-stem", stem.clone(), origin, Context::Path, "path".into(), Plus::Literal);
    if let Some(query) = query {
        decoded.event.push("cs-uri-query", Value::Text(query.clone()), origin);
        decode_parameters(query, origin, decoded);
    }
}

/// Splits `name=value&…` and pushes each value as an input; a name that carries marks is one too.
pub(crate) fn decode_parameters<'a>(query: Cow<'a, str>, origin: Origin, decoded: &mut Decoded<'a>) {
    let mut rest = Some(query);
    for _ in 0..MAX_PARAMETERS {
        let Some(current) = rest.take() else { return };
        let (part, following) = cut(current, '&');
        rest = following;
        match cut(part, '=') {
            (name, Some(value)) => {
                if has_marks(&name) {
                    decoded.push_input(
                        "payload",
                        name.clone(),
                        origin,
                        Context::Parameter,
                        "a name".into(),
                        Plus::Space,
                    );
                }
                decoded.push_input("payload", value, origin, Context::Parameter, name, Plus::Space);
            }
            (value, None) => {
                decoded.push_input("payload", value, origin, Context::Parameter, "query".into(), Plus::Space);
            }
        }
    }
    if let Some(remainder) = rest {
        decoded.push_input("payload", remainder, origin, Context::Parameter, "query".into(), Plus::Space);
    }
}

/// Whether a parameter's name holds more than a name does.
fn has_marks(name: &str) -> bool {
    name.bytes().any(|b| !b.is_ascii_alphanumeric() && !b"_-.".contains(&b))
}

/// Splits a text at the first `mark`, borrowing where it is borrowed.
fn cut(text: Cow<'_, str>, mark: char) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    match text {
        Cow::Borrowed(text) => match text.split_once(mark) {
            Some((left, right)) => (Cow::Borrowed(left), Some(Cow::Borrowed(right))),
            None => (Cow::Borrowed(text), None),
        },
        Cow::Owned(text) => match text.split_once(mark) {
            Some((left, right)) => (Cow::Owned(left.to_owned()), Some(Cow::Owned(right.to_owned()))),
            None => (Cow::Owned(text), None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, target: &str, version: Option<&str>) {
        let request = request(text).unwrap_or_else(|| panic!("no request in {text}"));
        assert_eq!((request.target, request.version), (target, version), "{text}");
    }

    #[test]
    fn request_lines_are_found_wherever_they_stand() {
        check(r#"1.2.3.4 - - [x] "GET /a?b=1 HTTP/1.1" 200 1 "-" "curl""#, "/a?b=1", Some("HTTP/1.1"));
        check(
            r#"1.2.3.4 - - [x] "GET /a?b="><script> HTTP/1.1" 200 1"#,
            r#"/a?b="><script>"#,
            Some("HTTP/1.1"),
        );
        check("GET /x?id=1 union select 2-- 403 client=1.2.3.4", "/x?id=1 union select 2--", None);
        check("GET /../etc/passwd 404 client=1.2.3.4", "/../etc/passwd", None);
        check("Invalid URI in request GET /a/../b HTTP/1.1", "/a/../b", Some("HTTP/1.1"));
        check(r#"request: "POST /cgi-bin/php4 HTTP/1.1", host: "x""#, "/cgi-bin/php4", Some("HTTP/1.1"));
        check("upstream: POST http://x/y done", "http://x/y", None);
    }

    #[test]
    fn texts_without_a_request_have_none() {
        for text in
            ["", "GET", "GET ", "please GET a life", "TARGET /x", "the POST was late", "PUT it /there"]
        {
            assert_eq!(request(text), None, "{text}");
        }
    }
}
