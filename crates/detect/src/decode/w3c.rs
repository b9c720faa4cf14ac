//! Lines in the W3C extended format as IIS writes them. Which field stands where is told in another line, so it is
//! recognised by the order of IIS: `… s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) …`.

use std::{borrow::Cow, net::IpAddr};

use crate::{
    decode::{Context, Decoded, Input, web},
    event::{LogSource, Origin, Value},
    payload::decode::Plus,
};

/// Date, time, site, computer and the server's address may come before the method.
const MOST_BEFORE: usize = 5;

/// Pushes the fields of a line; false if it is none.
pub(super) fn decode<'a>(text: &'a str, decoded: &mut Decoded<'a>) -> bool {
    let mut words = text.split_ascii_whitespace();
    let mut before = [""; MOST_BEFORE];
    let mut method = None;
    for (index, word) in words.by_ref().take(MOST_BEFORE + 1).enumerate() {
        if web::is_method(word) {
            method = Some(word);
            break;
        }
        if let Some(place) = before.get_mut(index) {
            *place = word;
        }
    }
    let Some(method) = method else { return false };
    let (Some(stem), Some(query), Some(port), Some(user), Some(client)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let is_line = stem.starts_with('/') && port.parse::<u16>().is_ok() && is_address(client);
    if !is_line {
        return false;
    }
    decoded.event.log_source = LogSource { category: Some("webserver"), product: None, service: Some("iis") };
    decoded.event.push_piece("cs-method", method);
    let server = before.into_iter().rev().find(|word| is_address(word));
    decoded.event.push_piece("s-ip", server.unwrap_or(""));
    decoded.event.push_number("s-port", port);
    decoded.event.push_piece("cs-username", present(user));
    decoded.event.push_piece("c-ip", client);
    target(stem, present(query), decoded);
    rest(words, decoded);
    true
}

fn is_address(word: &str) -> bool {
    word.parse::<IpAddr>().is_ok()
}

/// A dash stands for what is not known.
fn present(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

/// Pushes the path and the parameters, and the target as the client wrote it.
fn target<'a>(stem: &'a str, query: &'a str, decoded: &mut Decoded<'a>) {
    if query.is_empty() {
        decoded.event.push_piece("c-uri", stem);
    } else {
        decoded.event.push("c-uri", Value::Text(format!("{stem}?{query}").into()), Origin::Decoder);
        decoded.event.push_piece("cs-uri-query", query);
    }
    let name = Cow::Borrowed("path");
    decoded.push_input("cs-uri-stem", stem.into(), Origin::Message, Context::Path, name, Plus::Literal);
    if !query.is_empty() {
        web::decode_parameters(query.into(), Origin::Message, decoded);
    }
}

/// Reads `cs(User-Agent) cs(Referer) sc-status …`: a version, a cookie and a host may stand between.
fn rest<'a>(words: impl Iterator<Item = &'a str>, decoded: &mut Decoded<'a>) {
    const MOST_BETWEEN: usize = 6;
    let mut agent = None;
    for word in words.take(MOST_BETWEEN) {
        if word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()) {
            decoded.event.push_number("sc-status", word);
            return;
        }
        if word.starts_with("HTTP/") {
            decoded.event.push_piece("cs-version", word);
        } else if agent.is_none() {
            agent = Some(word);
            push_header("cs-user-agent", present(word), decoded);
        } else if word.starts_with("http") {
            push_header("cs-referer", word, decoded);
        }
    }
}

/// Pushes a header, and again with the spaces that IIS writes as plus signs.
fn push_header<'a>(name: &'static str, word: &'a str, decoded: &mut Decoded<'a>) {
    if word.is_empty() {
        return;
    }
    let mut input = |field| decoded.inputs.push(Input { field, context: Context::Header, name: name.into() });
    input(decoded.event.fields.len());
    if word.contains('+') {
        input(decoded.event.fields.len() + 1);
    }
    decoded.event.push_piece(name, word);
    if word.contains('+') {
        let text = Value::Text(word.replace('+', " ").into());
        decoded.event.push(name, text, Origin::Decoded { rounds: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 4] = [
        "2026-01-02 03:04:05 192.0.2.8 GET /find.aspx id=1%27+or+1=1--&p=2 443 anna 203.0.113.9 Mozilla/5.0+(X11) https://a.example/ 500 0 0 15",
        "192.0.2.8 GET /find.aspx id=1%27+or+1=1--&p=2 443 anna 203.0.113.9 Mozilla/5.0+(X11) 500 0 0",
        "2026-01-02 03:04:05 W3SVC1 WEB01 192.0.2.8 GET /find.aspx id=1%27+or+1=1--&p=2 80 anna 203.0.113.9 HTTP/1.1 Mozilla/5.0+(X11) - https://a.example/ www.example 500 0 0 1 2 3",
        "2026-01-02 03:04:05 2001:db8::8 GET /find.aspx id=1%27+or+1=1--&p=2 443 anna 203.0.113.9 Mozilla/5.0+(X11) - 500 0 64 15",
    ];

    #[test]
    fn the_orders_of_iis_are_known() {
        for line in LINES {
            let mut decoded = Decoded::default();
            assert!(decode(line, &mut decoded), "{line}");
            let event = &decoded.event;
            let expected = [
                ("cs-method", "GET"),
                ("cs-uri-stem", "/find.aspx"),
                ("cs-uri-query", "id=1%27+or+1=1--&p=2"),
                ("c-uri", "/find.aspx?id=1%27+or+1=1--&p=2"),
                ("cs-username", "anna"),
                ("c-ip", "203.0.113.9"),
                ("cs-user-agent", "Mozilla/5.0+(X11)"),
            ];
            for (name, value) in expected {
                assert_eq!(event.text(name), Some(value), "{name} of {line}");
            }
            assert_eq!(event.values("sc-status").next(), Some(&Value::Number(500.0)), "{line}");
            let payloads: Vec<_> = event.values("payload").collect();
            assert!(payloads.contains(&&Value::Text("1' or 1=1--".into())), "{payloads:?}");
        }
    }

    #[test]
    fn other_lines_are_left_alone() {
        for line in [
            "",
            "GET /x HTTP/1.1",
            "203.0.113.9 - - [x] \"GET / HTTP/1.1\" 200 5",
            "GET /a - 443 - nobody x 200",
            "please GET the book by noon from me",
        ] {
            assert!(!decode(line, &mut Decoded::default()), "{line}");
        }
    }
}
