//! Windows events as the XML that the event log itself writes: `<Event><System>…<EventData><Data Name='x'>…`.

use std::borrow::Cow;

use crate::{
    decode::attributes::origin_of,
    event::{Event, LogSource, Value},
};

/// An event with more elements than this keeps the rest as text.
const MAX_FIELDS: usize = 256;

/// Attributes that hold what rules ask for: element, attribute, name of the field.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("Provider", "Name", "Provider_Name"),
    ("Provider", "EventSourceName", "EventSourceName"),
    ("TimeCreated", "SystemTime", "SystemTime"),
    ("Execution", "ProcessID", "ExecutionProcessID"),
    ("Security", "UserID", "UserID"),
    ("EventID", "Qualifiers", "Qualifiers"),
];

/// Pushes the elements and the named data of an event; false if the text is none.
pub(super) fn decode<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let text = text.trim_start();
    let is_event = |text: &str| {
        text.strip_prefix("<Event").is_some_and(|rest| rest.starts_with([' ', '>', '\r', '\n', '\t']))
    };
    let text = match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    };
    if !is_event(text) {
        return false;
    }
    event.log_source = LogSource { category: None, product: Some("windows"), service: None };
    let first = event.fields.len();
    let mut open: Option<&'a str> = None;
    let mut rest = text;
    while let Some((before, tag, after)) = next_tag(rest) {
        if tag == "/Event" || event.fields.len() - first >= MAX_FIELDS {
            break;
        }
        if tag.starts_with('/') {
            // Only an innermost element has a text of its own.
            if let Some(name) = open.take() {
                push(name, before.trim(), event);
            }
        } else {
            open = element(tag, event);
        }
        rest = after;
    }
    true
}

/// Returns what stands before the next tag, the tag, and what follows.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('<')?;
    let inner = text.get(start + 1..)?;
    let mut quote = None;
    let end = inner.bytes().position(|byte| match (byte, quote) {
        (b'>', None) => true,
        (b'"' | b'\'', None) => {
            quote = Some(byte);
            false
        }
        (_, Some(open)) if byte == open => {
            quote = None;
            false
        }
        _ => false,
    })?;
    Some((text.get(..start)?, inner.get(..end)?, inner.get(end + 1..)?))
}

/// Pushes the attributes of an opening tag; returns the name under which its text is a field.
fn element<'a>(tag: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    let is_closed = tag.ends_with('/');
    let tag = tag.trim_end_matches('/');
    let (name, attributes) = tag.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((tag, ""));
    let mut called = name;
    let mut rest = attributes;
    while let Some((attribute, value, after)) = next_attribute(rest) {
        if name == "Data" && attribute == "Name" {
            called = value;
        }
        let known = ATTRIBUTES.iter().find(|(element, known, _)| *element == name && *known == attribute);
        if let Some((.., field)) = known {
            push(field, value, event);
        }
        rest = after;
    }
    (!is_closed && !called.is_empty()).then_some(called)
}

/// Reads `name='value'`.
fn next_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, after) = rest.get(1..)?.split_once(quote)?;
    Some((name.trim(), value, after))
}

fn push<'a>(name: &'a str, text: &'a str, event: &mut Event<'a>) {
    let value = unescaped(text);
    let origin = origin_of(&value);
    event.push(name, Value::Text(value), origin);
}

/// Undoes the entities of XML.
fn unescaped(text: &str) -> Cow<'_, str> {
    const LONGEST_ENTITY: usize = 10;
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(LONGEST_ENTITY).position(|b| b == b';');
        let entity = end.and_then(|end| Some((character(after.get(..end)?)?, after.get(end + 1..)?)));
        rest = if let Some((c, following)) = entity {
            out.push(c);
            following
        } else {
            out.push('&');
            after
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = entity.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => code.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGON: &str = r#"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{0}'/><EventID Qualifiers=''>4625</EventID><Level>0</Level><Channel>Security</Channel><Computer>dc-01.example</Computer><Security/></System><EventData><Data Name='TargetUserName'>anna</Data><Data Name="IpAddress">203.0.113.9</Data><Data Name='CommandLine'>cmd /c &quot;a&#x26;b&quot; &lt;x&gt; &odd;</Data><Data Name='Empty'/><Data>nameless</Data></EventData></Event>"#;

    #[test]
    fn elements_and_named_data_become_fields() {
        for text in [LOGON.to_owned(), format!("<?xml version='1.0'?>\n{LOGON}")] {
            let mut event = Event::default();
            assert!(decode(&text, &mut event));
            let expected = [
                ("Provider_Name", "Microsoft-Windows-Security-Auditing"),
                ("EventID", "4625"),
                ("Channel", "Security"),
                ("Computer", "dc-01.example"),
                ("TargetUserName", "anna"),
                ("IpAddress", "203.0.113.9"),
                ("CommandLine", "cmd /c \"a&b\" <x> &odd;"),
                ("Data", "nameless"),
            ];
            for (name, value) in expected {
                assert_eq!(event.text(name), Some(value), "{name}");
            }
            assert_eq!((event.text("Empty"), event.log_source.product), (None, Some("windows")));
        }
    }

    #[test]
    fn an_event_that_broke_off_gives_what_it_holds() {
        for end in 0..LOGON.len() {
            let mut event = Event::default();
            let is_event = decode(LOGON.get(..end).unwrap(), &mut event);
            assert_eq!(is_event, end > 6, "{end}");
        }
        for text in ["<Eventful>", "<script>", "Event", "<?xml ?><x>"] {
            assert!(!decode(text, &mut Event::default()), "{text}");
        }
    }
}
