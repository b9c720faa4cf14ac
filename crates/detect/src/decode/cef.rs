//! Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value …`, also behind a syslog header.

use std::borrow::Cow;

use crate::{
    decode::{Decoded, attributes, header::Header},
    event::{Event, Origin, Value},
};

const HEADER: [&str; 6] =
    ["deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity"];

/// Pushes the fields of a CEF event; false if the text is none.
pub(super) fn decode<'a>(header: &Header<'a>, decoded: &mut Decoded<'a>) -> bool {
    let Some((before, rest)) = header.text.split_once('|') else { return false };
    let Some(host) = host_before("CEF", before, header) else { return false };
    let Some((parts, extension)) = header_parts(rest) else { return false };
    decoded.event.push_piece("host", host);
    for (name, part) in HEADER.into_iter().zip(parts) {
        push_unescaped(name, part, &mut decoded.event);
    }
    let [vendor, product, _, class, ..] = parts;
    attributes::push(attributes::split(extension), decoded);
    windows(product, class, &mut decoded.event);
    decoded.event.log_source = attributes::log_source(vendor, product, &decoded.event);
    true
}

/// Returns the host that stands before `CEF:0`, "" if there is none; `None` if it is not that.
pub(super) fn host_before<'a>(format: &str, before: &'a str, header: &Header<'a>) -> Option<&'a str> {
    let left = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if left.len() == before.len() {
        return None;
    }
    // With a space after the colon, the format looks like a program's name.
    if left.is_empty() && header.program == Some(format) {
        return Some("");
    }
    let host = left.trim_end().strip_suffix(':')?.strip_suffix(format)?;
    if !host.is_empty() && !host.ends_with(' ') {
        return None;
    }
    let host = host.trim();
    Some(if host.contains(' ') { "" } else { host })
}

/// Splits `vendor|…|severity|extension`, in which `\|` is no border.
fn header_parts(text: &str) -> Option<([&str; 6], &str)> {
    let mut parts = [""; 6];
    let mut rest = text;
    for (index, part) in parts.iter_mut().enumerate() {
        let end = border(rest);
        *part = rest.get(..end.unwrap_or(rest.len()))?;
        match end {
            Some(end) => rest = rest.get(end + 1..)?,
            // An event may end with its severity.
            None if index == 5 => rest = "",
            None => return None,
        }
    }
    Some((parts, rest))
}

/// Returns where the next `|` stands that is not escaped.
fn border(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_border = byte == b'|' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_border
    })
}

fn push_unescaped<'a>(name: &'static str, part: &'a str, event: &mut Event<'a>) {
    let value = attributes::unescaped(part);
    let origin = attributes::origin_of(&value);
    event.push(name, Value::Text(value), origin);
}

/// Windows events arrive with their provider and number as a class: `Microsoft-Windows-Security-Auditing:4625`.
fn windows<'a>(product: &str, class: &'a str, event: &mut Event<'a>) {
    if product != "Microsoft Windows" {
        return;
    }
    if let Some((provider, id)) = class.rsplit_once(':')
        && id.parse::<u16>().is_ok()
    {
        event.push("Provider_Name", Value::Text(Cow::Borrowed(provider)), Origin::Message);
        event.push_number("EventID", id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode::header, event::LogSource};

    fn decoded(line: &str) -> Decoded<'_> {
        let mut decoded = Decoded::default();
        assert!(decode(&header::split(line), &mut decoded), "{line}");
        decoded
    }

    #[test]
    fn attributes_get_the_names_that_rules_ask_for() {
        let line = r"<134>Jan  2 03:04:05 gw01 CEF:0|Acme|Shield \| WAF|1.2|941100|XSS in a\=b|8|src=203.0.113.9 spt=40100 dst=192.0.2.8 dpt=443 suser=anna request=https://shop.example/find?q\=%3Cscript%3E&p\=2 requestMethod=GET act=blocked msg=a value with spaces cs1Label=Rule cs1=941";
        let decoded = decoded(line);
        let expected = [
            ("host", "gw01"),
            ("deviceProduct", "Shield | WAF"),
            ("name", "XSS in a=b"),
            ("src", "203.0.113.9"),
            ("src_ip", "203.0.113.9"),
            ("dst_ip", "192.0.2.8"),
            ("user", "anna"),
            ("action", "blocked"),
            ("cs-method", "GET"),
            ("c-uri", "https://shop.example/find?q=%3Cscript%3E&p=2"),
            ("msg", "a value with spaces"),
            ("cs1", "941"),
        ];
        for (name, value) in expected {
            assert_eq!(decoded.event.text(name), Some(value), "{name}");
        }
        assert_eq!(decoded.event.values("src_port").next(), Some(&Value::Number(40100.0)));
        let forms: Vec<_> = decoded.event.values("payload").collect();
        assert!(forms.contains(&&Value::Text("<script>".into())), "{forms:?}");
        let source = LogSource { category: Some("webserver"), product: None, service: None };
        assert_eq!(decoded.event.log_source, source);
    }

    #[test]
    fn it_is_known_behind_every_header() {
        for line in [
            "CEF:0|a|b|c|d|e|5|src=192.0.2.1",
            "CEF: 0|a|b|c|d|e|5|src=192.0.2.1",
            "Jan  2 03:04:05 gw CEF: 1|a|b|c|d|e|5|src=192.0.2.1",
            "<13>1 2026-01-02T03:04:05Z gw app - - - CEF:0|a|b|c|d|e|5|src=192.0.2.1",
            "2026-01-02T03:04:05Z gw CEF:0|a|b|c|d|e|5|src=192.0.2.1",
        ] {
            assert_eq!(decoded(line).event.text("src_ip"), Some("192.0.2.1"), "{line}");
        }
        assert_eq!(decoded("CEF:0|a|b|c|d|e|5").event.text("severity"), Some("5"));
        for line in ["CEF:0|a|b", "xCEF:0|a|b|c|d|e|5|", "CEF:|a|b|c|d|e|5|", "a | b", "0|a|b|c|d|e|5|"] {
            assert!(!decode(&header::split(line), &mut Decoded::default()), "{line}");
        }
    }

    #[test]
    fn devices_and_windows_are_told_apart() {
        let line = "CEF:0|Fortinet|Fortigate|v7|13|traffic|3|src=192.0.2.1 dst=192.0.2.2 dpt=53";
        assert_eq!(decoded(line).event.log_source.product, Some("fortigate"));
        let line = "CEF:0|Microsoft|Microsoft Windows||Microsoft-Windows-Security-Auditing:4625|An account failed to log on.|5|duser=anna src=192.0.2.1";
        let event = decoded(line).event;
        assert_eq!(event.values("EventID").next(), Some(&Value::Number(4625.0)));
        assert_eq!((event.text("user"), event.text("target_user")), (Some("anna"), Some("anna")));
    }
}
