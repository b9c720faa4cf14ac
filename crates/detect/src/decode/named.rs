//! What the name server BIND says: questions it was asked, and what it refused.

use std::net::IpAddr;

use crate::event::{Event, LogSource};

/// Pushes the fields of a line such as `client 1.2.3.4#53000 (a.example): query: a.example IN A`; false if it is none.
pub(super) fn decode<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    // Few lines hold a hash sign, and it is found faster.
    if !text.contains('#') {
        return false;
    }
    let Some((_, rest)) = text.split_once("client ") else { return false };
    // Newer versions tell an object before the address.
    let rest = match rest.strip_prefix("@0x").and_then(|rest| rest.split_once(' ')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    let Some((address, rest)) = rest.split_once('#') else { return false };
    if address.parse::<IpAddr>().is_err() {
        return false;
    }
    let port_end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let Some((port, rest)) = rest.split_at_checked(port_end) else { return false };
    event.log_source = LogSource { category: Some("dns"), product: None, service: Some("named") };
    event.push_piece("src_ip", address);
    event.push_number("src_port", port);
    if let Some((_, question)) = rest.split_once("query: ") {
        let mut words = question.split_ascii_whitespace();
        event.push_piece("query", words.next().unwrap_or(""));
        // The class comes first; it is nearly always IN.
        event.push_piece("record_type", words.nth(1).unwrap_or(""));
        event.conclude("action", "query");
    } else {
        quoted_question(rest, event);
    }
    if rest.contains(" denied") || rest.contains(" refused") {
        event.conclude("action", "denied");
    }
    true
}

/// Reads `'a.example/A/IN'` or `'a.example/IN'`.
fn quoted_question<'a>(text: &'a str, event: &mut Event<'a>) {
    let Some(quoted) = text.split('\'').nth(1) else { return };
    let mut parts = quoted.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(record_type), Some(name)) => {
            event.push_piece("query", name);
            event.push_piece("record_type", record_type);
        }
        (_, Some(name), None) => event.push_piece("query", name),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, query: &str, record_type: Option<&str>, action: &str) {
        let mut event = Event::default();
        assert!(decode(line, &mut event), "{line}");
        assert_eq!(event.text("src_ip"), Some("203.0.113.9"), "{line}");
        assert_eq!((event.text("query"), event.text("record_type")), (Some(query), record_type), "{line}");
        assert_eq!(event.text("action"), Some(action), "{line}");
        assert_eq!(event.log_source.category, Some("dns"));
    }

    #[test]
    fn questions_and_refusals_are_told() {
        check(
            "client @0x7f2a4c0 203.0.113.9#53000 (a.example): query: a.example IN TXT +E(0)K (192.0.2.8)",
            "a.example",
            Some("TXT"),
            "query",
        );
        check(
            "client 203.0.113.9#53000: query (cache) 'a.example/NS/IN' denied",
            "a.example",
            Some("NS"),
            "denied",
        );
        check(
            "05-Jan-2026 10:00:00.000 client 203.0.113.9#53000 (a.example): zone transfer 'a.example/AXFR/IN' denied",
            "a.example",
            Some("AXFR"),
            "denied",
        );
        check("client 203.0.113.9#53000: update 'a.example/IN' denied", "a.example", None, "denied");
        for line in ["client #1", "our client called in sick #3", "client 203.0.113.9 left"] {
            assert!(!decode(line, &mut Event::default()), "{line}");
        }
    }
}
