//! An entry as typed fields with a log source: what `decode` makes and `rules` match on.

use std::borrow::Cow;

/// A decoded entry. A field name may occur several times; a rule's condition on it holds if any value fits.
#[derive(Debug, Clone, Default)]
pub struct Event<'a> {
    pub log_source: LogSource,
    pub fields: Vec<Field<'a>>,
}

/// Sigma's `logsource`: unknown parts are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LogSource {
    pub category: Option<&'static str>,
    pub product: Option<&'static str>,
    pub service: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// Sigma's name where there is one (`c-uri`, `sc-status`, `CommandLine`, `eventName`), else the sender's,
    /// nested names joined by dots.
    pub name: Cow<'a, str>,
    pub value: Value<'a>,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Bool(bool),
    Null,
}

/// Where a value stands in the entry, so that evidence can quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The message, or a piece of it as it was written.
    Message,
    /// A metadata member as it was written.
    Metadata,
    /// Made from another value by so many rounds of decoding.
    Decoded { rounds: u8 },
    /// What the decoder concluded, such as `action`, or put together: it stands nowhere in the entry as it is.
    Decoder,
}

impl<'a> Event<'a> {
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>, origin: Origin) {
        self.fields.push(Field { name: name.into(), value, origin });
    }

    /// Pushes a piece of the message, unless it is empty.
    pub(crate) fn push_piece(&mut self, name: &'static str, piece: &'a str) {
        if !piece.is_empty() {
            self.push(name, Value::Text(Cow::Borrowed(piece)), Origin::Message);
        }
    }

    /// Pushes a port or another count that the message writes in digits, if it does.
    pub(crate) fn push_number(&mut self, name: &'static str, digits: &str) {
        if let Ok(number) = digits.parse::<u32>() {
            self.push(name, Value::Number(f64::from(number)), Origin::Message);
        }
    }

    /// Pushes a word of ours for what the entry tells.
    pub(crate) fn conclude(&mut self, name: &'static str, word: &'static str) {
        self.push(name, Value::Text(Cow::Borrowed(word)), Origin::Decoder);
    }

    /// Returns the values of a field as they occur.
    pub fn values<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Value<'a>> + 'e {
        self.fields.iter().filter(move |field| field.name == name).map(|field| &field.value)
    }

    /// Returns the first text of a field.
    pub fn text<'e>(&'e self, name: &'e str) -> Option<&'e str> {
        self.values(name).find_map(|value| match value {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        })
    }
}
