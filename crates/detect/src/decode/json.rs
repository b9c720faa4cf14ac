//! JSON text → fields, nested names joined by dots, arrays repeating their name. No tree is built; duplicate names
//! are all kept, so that none can hide behind another. What is rare, such as fractions, is left to
//! `serde_json`.

use std::borrow::Cow;

use crate::event::{Event, Origin, Value};

/// The most members that become fields; a message may have as many again.
const MAX_FIELDS: usize = 512;

/// Deeper values are not looked into. Metadata is checked to be shallower.
const MAX_DEPTH: u8 = 40;

/// Whether all of a text became fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flattened {
    Whole,
    /// There were too many members, or the text broke off; some are fields.
    InPart,
}

/// Pushes the members of a JSON object as fields.
pub(crate) fn flatten<'a>(json: &'a str, origin: Origin, event: &mut Event<'a>) -> Flattened {
    let mut reader = Reader { json, at: 0, event, origin, room: MAX_FIELDS };
    let is_read = reader.value(None, 0).is_some() && reader.mark().is_none();
    if is_read && reader.room > 0 { Flattened::Whole } else { Flattened::InPart }
}

/// Reads a text from its start. What returns `None` met something that is not JSON, or the end.
struct Reader<'e, 'a> {
    json: &'a str,
    at: usize,
    event: &'e mut Event<'a>,
    origin: Origin,
    /// So many more fields may be pushed.
    room: usize,
}

impl<'a> Reader<'_, 'a> {
    /// Reads a value and pushes what is in it; only the outermost has no name.
    fn value(&mut self, name: Option<Cow<'a, str>>, depth: u8) -> Option<()> {
        let mut origin = self.origin;
        let value = match self.mark()? {
            b'{' => return self.object(name.as_deref(), deeper(depth)?),
            b'[' => return self.array(name.as_ref(), deeper(depth)?),
            b'"' => {
                let text = self.text()?;
                if matches!(text, Cow::Owned(_)) {
                    // Its escapes are undone, so the entry does not hold it as it is.
                    origin = Origin::Decoded { rounds: 1 };
                }
                Value::Text(text)
            }
            b'n' => self.word("null", Value::Null)?,
            b't' => self.word("true", Value::Bool(true))?,
            b'f' => self.word("false", Value::Bool(false))?,
            _ => Value::Number(self.number()?),
        };
        if let Some(name) = name
            && self.room > 0
        {
            self.room -= 1;
            self.event.push(name, value, origin);
        }
        Some(())
    }

    fn object(&mut self, outer: Option<&str>, depth: u8) -> Option<()> {
        self.at += 1;
        let mut mark = self.mark()?;
        while mark != b'}' {
            if mark != b'"' {
                return None;
            }
            let name = self.text()?;
            if self.mark()? != b':' {
                return None;
            }
            self.at += 1;
            // Names of what is not pushed any more need not be joined.
            let outer = outer.filter(|_| self.room > 0);
            self.value(Some(joined(outer, name)), depth)?;
            mark = self.next_mark(b'}')?;
        }
        self.at += 1;
        Some(())
    }

    fn array(&mut self, name: Option<&Cow<'a, str>>, depth: u8) -> Option<()> {
        self.at += 1;
        let mut mark = self.mark()?;
        while mark != b']' {
            self.value(name.filter(|_| self.room > 0).cloned(), depth)?;
            mark = self.next_mark(b']')?;
        }
        self.at += 1;
        Some(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        let is_there = self.json.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(value)
    }

    /// Reads a text in quotes without copying it, unless it has escapes.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.json.as_bytes();
        let start = self.at + 1;
        let end = plain_end(bytes, start);
        if *bytes.get(end)? != b'"' {
            return self.escaped_text(start, end).map(Cow::Owned);
        }
        self.at = end + 1;
        self.json.get(start..end).map(Cow::Borrowed)
    }

    /// Reads a text from its start to its quote; its first escape is known.
    fn escaped_text(&mut self, start: usize, first_escape: usize) -> Option<String> {
        let bytes = self.json.as_bytes();
        let mut end = first_escape;
        while *bytes.get(end)? == b'\\' {
            // What is escaped may be a quote.
            end = plain_end(bytes, end + 2);
        }
        if bytes[end] != b'"' {
            return None;
        }
        self.at = end + 1;
        unescaped(self.json.get(start..end)?)
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.json.get(self.at..)?;
        let number = rest.get(..number_len(rest.as_bytes())?)?;
        self.at += number.len();
        match number.parse::<u32>() {
            Ok(short) => Some(f64::from(short)),
            Err(_) => serde_json::from_str(number).ok(),
        }
    }

    /// Skips white space and returns the byte behind it, which is still to be read.
    fn mark(&mut self) -> Option<u8> {
        loop {
            match *self.json.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                mark => return Some(mark),
            }
        }
    }

    /// Returns what follows a member: the end of what it is in, or, behind a comma, the start of the next.
    fn next_mark(&mut self, end: u8) -> Option<u8> {
        match self.mark()? {
            b',' => {
                self.at += 1;
                self.mark().filter(|mark| *mark != end)
            }
            mark => (mark == end).then_some(mark),
        }
    }
}

fn deeper(depth: u8) -> Option<u8> {
    (depth < MAX_DEPTH).then_some(depth + 1)
}

/// The outermost names are borrowed from the text, deeper ones are joined.
fn joined<'a>(outer: Option<&str>, name: Cow<'a, str>) -> Cow<'a, str> {
    let Some(outer) = outer else { return name };
    let mut joined = String::with_capacity(outer.len() + 1 + name.len());
    joined.push_str(outer);
    joined.push('.');
    joined.push_str(&name);
    Cow::Owned(joined)
}

/// Undoes the escapes of a text.
fn unescaped(text: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        unescaped.push_str(rest.get(..at)?);
        unescaped.push(match rest.as_bytes().get(at + 1)? {
            mark @ (b'"' | b'\\' | b'/') => char::from(*mark),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return serde_json::from_str(&format!("\"{text}\"")).ok(),
            _ => return None,
        });
        rest = rest.get(at + 2..)?;
    }
    unescaped.push_str(rest);
    Some(unescaped)
}

/// Returns where a quote, a backslash or a control character follows. Looks at eight bytes a step.
fn plain_end(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST_BITS: u64 = ONES << 7;
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        // Sets the highest bit of the first byte that is less than the limit, and of none before it.
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
        // With one bit turned, a quote is a space, and control characters are still below it.
        let quotes_and_controls = below(word ^ (ONES * u64::from(b' ' ^ b'"')), b' ' + 1);
        let ends = (quotes_and_controls | below(word ^ (ONES * u64::from(b'\\')), 1)) & HIGHEST_BITS;
        if ends != 0 {
            return bytes.len() - rest.len() + ends.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let is_plain = |b: &&u8| **b >= b' ' && !matches!(b, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(is_plain).count()
}

/// Returns the length of the number at the start of a text, if one is there.
fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits_at = |at: usize| bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count();
    let some_digits_at = |at: usize| Some(digits_at(at)).filter(|count| *count > 0);
    let start = usize::from(bytes.first() == Some(&b'-'));
    let digits = some_digits_at(start)?;
    if digits > 1 && bytes[start] == b'0' {
        return None;
    }
    let mut len = start + digits;
    if bytes.get(len) == Some(&b'.') {
        len += 1 + some_digits_at(len + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(len) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        len += 1 + sign + some_digits_at(len + 1 + sign)?;
    }
    Some(len)
}

#[cfg(test)]
mod twin;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_become_fields_under_dotted_names_and_none_hides_another() {
        let json = r#"{"ip":"1.1.1.1","ip":"2.2.2.2","a":{"b":[1,{"c":null}],"d":true},"e\u0041":"x\n"}"#;
        let mut event = Event::default();
        assert_eq!(flatten(json, Origin::Metadata, &mut event), Flattened::Whole);
        let fields: Vec<_> = event.fields.iter().map(|field| (field.name.as_ref(), &field.value)).collect();
        let text = |text: &'static str| Value::Text(text.into());
        let expected = [
            ("ip", text("1.1.1.1")),
            ("ip", text("2.2.2.2")),
            ("a.b", Value::Number(1.0)),
            ("a.b.c", Value::Null),
            ("a.d", Value::Bool(true)),
            ("eA", text("x\n")),
        ];
        assert_eq!(fields, expected.iter().map(|(name, value)| (*name, value)).collect::<Vec<_>>());
    }

    #[test]
    fn too_many_members_and_broken_text_are_told() {
        let many = format!("{{{}\"last\":1}}", "\"a\":1,".repeat(2 * MAX_FIELDS));
        for json in [&many, "{\"a\":1", "{\"a\":1} trailing"] {
            let mut event = Event::default();
            assert_eq!(flatten(json, Origin::Message, &mut event), Flattened::InPart, "{json:.40}");
            assert!(event.fields.len() <= MAX_FIELDS);
        }
    }

    /// JSON as senders write it.
    fn json() -> impl Strategy<Value = String> {
        let text = r#""([a-e. é]{0,9}|\\[nt"\\/]|\\u00e9){0,4}""#;
        let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?";
        let leaf = prop_oneof!["null|true|false", text, number];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let member = (text, inner.clone()).prop_map(|(name, value)| format!("{name} : {value}"));
            let joined = |parts: Vec<String>| parts.join(" ,\n");
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(move |items| format!("[{}]", joined(items))),
                prop::collection::vec(member, 0..4)
                    .prop_map(move |members| format!("{{{}}}", joined(members))),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_as_serde_json_does(
            value in json(),
            depth in 0..=usize::from(MAX_DEPTH) + 1,
            noise in r#"([{}\[\],:"] ?|\\\PC|\\[nu"x]|00d[8c]|-?[0-9]{1,2}|[.eE+-]|1e400|null|true|fals|[\x00-\x20é]|[a-f]{1,9}){0,9}"#,
            at in any::<prop::sample::Index>(),
        ) {
            let (before, after) = value.split_at(value.floor_char_boundary(at.index(value.len() + 1)));
            for text in [
                format!("{}{value}{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
                format!("{{\"a\":{noise}}}"),
                format!("{before}{noise}{after}"),
                format!("{{\"a\":{before}}}{after}"),
            ] {
                let (mut event, mut expected) = (Event::default(), Event::default());
                let flattened = flatten(&text, Origin::Message, &mut event);
                prop_assert_eq!(flattened, twin::flatten(&text, Origin::Message, &mut expected), "{}", &text);
                prop_assert_eq!(format!("{:?}", event.fields), format!("{:?}", expected.fields), "{}", &text);
            }
        }
    }
}
