//! `key=value` pairs, as auditd, iptables, UFW and many applications write them.

use crate::event::{Event, LogSource, Origin, Value};

/// A line with more pairs than this keeps the rest as text.
const MAX_PAIRS: usize = 96;

/// With fewer pairs a line is prose that happens to hold an equals sign.
const MIN_PAIRS: usize = 2;

/// Pushes each pair as a field; returns how many there were.
pub(crate) fn decode<'a>(text: &'a str, event: &mut Event<'a>) -> usize {
    let first = event.fields.len();
    let mut rest = text;
    for _ in 0..MAX_PAIRS {
        let Some((name, value, following)) = next_pair(rest) else { break };
        event.push(name, Value::Text(value.into()), Origin::Message);
        rest = following;
    }
    let pairs = event.fields.len() - first;
    if pairs < MIN_PAIRS {
        event.fields.truncate(first);
        return 0;
    }
    let names = |name: &str| event.fields[first..].iter().any(|field| field.name == name);
    if text.starts_with("type=") && names("msg") {
        event.log_source = LogSource { category: None, product: Some("linux"), service: Some("auditd") };
    } else if names("SRC") && names("DST") && names("PROTO") {
        event.log_source =
            LogSource { category: Some("firewall"), product: Some("linux"), service: Some("iptables") };
    }
    pairs
}

/// Returns the next name, its value without quotes, and what follows.
fn next_pair(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let equals = from + text.get(from..)?.find('=')?;
        let before = text.get(..equals)?;
        let start = before.rfind(|c: char| !is_name_char(c)).map_or(0, |at| at + 1);
        let start = text.ceil_char_boundary(start);
        let name = text.get(start..equals)?;
        let after = text.get(equals + 1..)?;
        if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            from = equals + 1;
            continue;
        }
        let (value, rest) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = after.get(1..)?;
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => after.split_once([' ', '\t']).unwrap_or((after, "")),
        };
        let value = value.trim_end_matches([',', ';']);
        // Mail servers write `user=<anna>`.
        let inner = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
        return Some((name, inner.unwrap_or(value), rest));
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_fields() {
        let line = r#"type=EXECVE msg=audit(1:2): argc=2 a0="cat file" a1='x' empty= end"#;
        let mut event = Event::default();
        assert_eq!(decode(line, &mut event), 6);
        assert_eq!(
            (event.text("a0"), event.text("a1"), event.text("empty")),
            (Some("cat file"), Some("x"), Some(""))
        );
        assert_eq!(event.log_source.service, Some("auditd"));
        let mut event = Event::default();
        decode("x: user=<anna>, from=<>", &mut event);
        assert_eq!((event.text("user"), event.text("from")), (Some("anna"), Some("")));
        assert_eq!(decode("the sum a=b is prose", &mut Event::default()), 0);
    }

    #[test]
    fn hostile_lines_take_linear_time() {
        for line in ["=".repeat(65_536), "a=".repeat(32_768), "a".repeat(65_536)] {
            assert!(decode(&line, &mut Event::default()) <= MAX_PAIRS);
        }
    }
}
