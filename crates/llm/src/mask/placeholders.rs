//! The values that stayed here, and what stands in their places.

use std::ops::Range;

use crate::redact::Kind;

/// Stand around every placeholder; where they stand in a text they are replaced, so that nobody can write one.
const OPEN: char = '‹';
const CLOSE: char = '›';

/// So many values of a record get a number of their own; those beyond keep only their class.
const MOST_NUMBERED: usize = 64;

/// The values of a record that stayed here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placeholders {
    list: Vec<Placeholder>,
    /// The values, one behind the other.
    values: String,
}

/// What stands for a value, such as `‹ip-1:public›`.
#[derive(Debug, Clone)]
struct Placeholder {
    name: &'static str,
    /// At most `MOST_NUMBERED`; the first is 1.
    number: u8,
    class: &'static str,
    /// Where the value stands among the values.
    value: Range<usize>,
    /// What kind of secret it is, if it is one: those are not put back into words that people read.
    secret: Option<Kind>,
    /// How often it was written.
    times: usize,
}

/// A secret that may stand elsewhere, too.
pub(super) struct Repeatable<'p> {
    pub(super) value: &'p str,
    pub(super) kind: Kind,
    /// How often it was written.
    pub(super) times: usize,
}

impl Placeholders {
    /// Writes the placeholder of a value, the same one each time.
    pub(super) fn write(
        &mut self,
        name: &'static str,
        value: &str,
        class: &'static str,
        secret: Option<Kind>,
        out: &mut String,
    ) {
        let Some(at) = self.find(name, value).or_else(|| self.add(name, value, class, secret)) else {
            return write_placeholder(name, None, class, out);
        };
        if let Some(Placeholder { name, number, class, times, .. }) = self.list.get_mut(at) {
            *times += 1;
            write_placeholder(name, Some(*number), class, out);
        }
    }

    fn find(&self, name: &'static str, value: &str) -> Option<usize> {
        let is_it = |placeholder: &Placeholder| placeholder.name == name && self.value(placeholder) == value;
        self.list.iter().position(is_it)
    }

    /// Returns `None` if there are too many.
    fn add(
        &mut self,
        name: &'static str,
        value: &str,
        class: &'static str,
        secret: Option<Kind>,
    ) -> Option<usize> {
        let at = self.list.len();
        if at >= MOST_NUMBERED {
            return None;
        }
        let number = 1 + self.list.iter().filter(|placeholder| placeholder.name == name).count();
        let number = u8::try_from(number).expect("they are few");
        let start = self.values.len();
        self.values.push_str(value);
        let value = start..self.values.len();
        self.list.push(Placeholder { name, number, class, value, secret, times: 0 });
        Some(at)
    }

    fn value(&self, placeholder: &Placeholder) -> &str {
        self.values.get(placeholder.value.clone()).unwrap_or_default()
    }

    /// Returns the secrets that are so long that, where one stands elsewhere, it is the secret again and no word by chance.
    pub(super) fn repeatable_secrets(&self) -> impl Iterator<Item = Repeatable<'_>> {
        const SHORTEST: usize = 6;
        let secrets = self.list.iter().filter_map(|placeholder| {
            let (value, times) = (self.value(placeholder), placeholder.times);
            placeholder.secret.map(|kind| Repeatable { value, kind, times })
        });
        secrets.filter(|secret| secret.value.len() >= SHORTEST)
    }

    /// Returns the secrets themselves.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.list.iter().filter(|placeholder| placeholder.secret.is_some());
        secrets.map(|placeholder| self.value(placeholder))
    }

    /// Puts values back into a model's words, but for secrets and for what is no plain word; `None` if there is no
    /// placeholder in the words.
    pub(crate) fn restored(&self, words: &str) -> Option<String> {
        if !words.contains(OPEN) {
            return None;
        }
        let mut restored = words.to_owned();
        for placeholder in self.list.iter().filter(|placeholder| placeholder.secret.is_none()) {
            let value = self.value(placeholder);
            let mut written = String::new();
            write_placeholder(placeholder.name, Some(placeholder.number), placeholder.class, &mut written);
            if value.bytes().all(|byte| byte.is_ascii_graphic()) && restored.contains(&written) {
                restored = restored.replace(&written, value);
            }
        }
        Some(restored)
    }
}

fn write_placeholder(name: &str, number: Option<u8>, class: &str, out: &mut String) {
    out.push(OPEN);
    out.push_str(name);
    if let Some(number) = number {
        out.push('-');
        if number >= 10 {
            out.push(char::from(b'0' + number / 10));
        }
        out.push(char::from(b'0' + number % 10));
    }
    if !class.is_empty() {
        out.push(':');
        out.push_str(class);
    }
    out.push(CLOSE);
}
