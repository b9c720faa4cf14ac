//! Writes a text so that it may leave: secrets, and whatever differs from event to event, become placeholders that tell
//! only their class. What a placeholder stands for stays here.

mod context;
mod shapes;

use std::fmt::Write as _;

use crate::redact::{Kind, is_secret_name, secrets};

/// Stand around every placeholder; where they stand in a text they are replaced, so that nobody can write one.
const OPEN: char = '‹';
const CLOSE: char = '›';

/// So many values of a text get a number of their own; those beyond keep only their class.
const MOST_NUMBERED: usize = 64;

/// A value that stayed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placeholder {
    /// As it stands in the text, such as `‹ip-1:public›`.
    pub written: Box<str>,
    pub value: Box<str>,
    /// Not to be put back into words that people read.
    pub is_secret: bool,
}

/// Whether a parameter that is one plain word may be any word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    Kept,
    Masked,
}

/// Masks the parts of one record; equal values get equal placeholders in all of them.
#[derive(Debug)]
pub(crate) struct Masker {
    words: Words,
    placeholders: Vec<Placeholder>,
}

impl Masker {
    pub(crate) fn new(words: Words) -> Self {
        Self { words, placeholders: Vec::new() }
    }

    pub(crate) fn into_placeholders(self) -> Vec<Placeholder> {
        self.placeholders
    }

    /// Returns a text as it may leave.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut masked = Masked::with_capacity(text.len());
        self.write(text, Start::OfText, &mut masked);
        masked.out
    }

    /// Returns the value of a member of that name as it may leave.
    pub(crate) fn member(&mut self, name: &str, value: &str) -> String {
        let mut masked = Masked::with_capacity(value.len());
        if let Some(kind) = is_secret_name(name).filter(|_| !value.is_empty()) {
            self.secret(kind, value, &mut masked);
            return masked.out;
        }
        self.write(value, Start::OfMember(name), &mut masked);
        masked.out
    }

    fn write(&mut self, text: &str, start: Start<'_>, masked: &mut Masked) {
        let mut done = 0;
        let mut start = start;
        for secret in secrets(text) {
            self.pass(text, done..secret.range.start, start, masked);
            self.secret(secret.kind, text.get(secret.range.clone()).unwrap_or_default(), masked);
            done = secret.range.end;
            start = Start::Within;
        }
        self.pass(text, done..text.len(), start, masked);
    }

    fn secret(&mut self, kind: Kind, value: &str, masked: &mut Masked) {
        let is_secret = kind != Kind::Email;
        self.placeholder(kind.name(), value, "", is_secret, masked);
    }

    /// Writes the placeholder of a value, the same one each time.
    fn placeholder(&mut self, kind: &str, value: &str, class: &str, is_secret: bool, masked: &mut Masked) {
        let of_kind = |known: &&Placeholder| {
            known
                .written
                .trim_start_matches(OPEN)
                .strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with('-'))
        };
        let known = self.placeholders.iter().filter(of_kind).find(|known| *known.value == *value);
        if let Some(known) = known {
            masked.out.push_str(&known.written);
            return;
        }
        let from = masked.out.len();
        let colon = if class.is_empty() { "" } else { ":" };
        if self.placeholders.len() >= MOST_NUMBERED {
            write!(masked.out, "{OPEN}{kind}{colon}{class}{CLOSE}").expect("writing to a string can't fail");
            return;
        }
        let number = self.placeholders.iter().filter(of_kind).count() + 1;
        write!(masked.out, "{OPEN}{kind}-{number}{colon}{class}{CLOSE}")
            .expect("writing to a string can't fail");
        let written = masked.out.get(from..).unwrap_or_default().into();
        self.placeholders.push(Placeholder { written, value: value.into(), is_secret });
    }

    /// Masks a piece of a text in which there are no secrets.
    fn pass(&mut self, text: &str, range: std::ops::Range<usize>, start: Start<'_>, masked: &mut Masked) {
        let mut at = range.start;
        let Some(piece) = text.get(..range.end) else { return };
        let bytes = piece.as_bytes();
        let mut copied = at;
        let mut slot = Slot::None;
        match start {
            Start::OfText => {
                if let Some(host) = shapes::syslog_host(piece) {
                    masked.out.push_str(DATE_AND_TIME);
                    self.placeholder("host", &piece[host.clone()], "", false, masked);
                    (at, copied) = (host.end, host.end);
                }
            }
            Start::OfMember(name) => {
                let is_one_word = !piece.contains([' ', '"', '\n', '\t']);
                slot = Slot::after_member(name, if is_one_word { self.words } else { Words::Kept });
            }
            Start::Within => {}
        }
        let mut in_query = false;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                    let token = shapes::token(piece, at, slot, copied == at && at == range.start);
                    match token.shape {
                        shapes::Shape::Plain => {
                            slot = Slot::after_word(piece.get(at..token.end).unwrap_or_default(), slot);
                        }
                        shapes::Shape::Class(class) => {
                            copied = masked.replace(piece, copied, at..token.end, class);
                            slot = Slot::None;
                        }
                        shapes::Shape::Numbered { kind, class } => {
                            masked.copy(piece, copied, at);
                            let value = piece.get(at..token.end).unwrap_or_default();
                            self.placeholder(kind, value, class, false, masked);
                            copied = token.end;
                            slot = Slot::None;
                        }
                        shapes::Shape::DigitsWithin => {
                            masked.copy(piece, copied, at);
                            masked.without_digits(piece.get(at..token.end).unwrap_or_default());
                            copied = token.end;
                            slot = Slot::None;
                        }
                    }
                    at = token.end;
                }
                b':' if bytes.get(at + 1) == Some(&b':') && shapes::ip6(piece, at).is_some() => {
                    let (end, class) = shapes::ip6(piece, at).unwrap_or((at + 1, ""));
                    masked.copy(piece, copied, at);
                    self.placeholder("ip", piece.get(at..end).unwrap_or_default(), class, false, masked);
                    (at, copied, slot) = (end, end, Slot::None);
                }
                b'?' | b'&' => {
                    in_query = true;
                    slot = Slot::None;
                    at += 1;
                }
                b'=' => {
                    if in_query && self.words == Words::Masked && slot != Slot::User {
                        slot = context::parameter(bytes, at);
                    }
                    at += 1;
                }
                0x80.. => {
                    let char = piece.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
                    if let Some(harmless) = shapes::harmless(char) {
                        copied = masked.replace(piece, copied, at..at + char.len_utf8(), harmless);
                    }
                    slot = Slot::None;
                    at += char.len_utf8();
                }
                0..0x20 if !matches!(byte, b'\n' | b'\t' | b'\r') => {
                    copied = masked.replace(piece, copied, at..at + 1, HIDDEN);
                    at += 1;
                }
                _ => {
                    if !context::is_between(byte) {
                        slot = Slot::None;
                    }
                    if matches!(byte, b' ' | b'"' | b'\n' | b'\t') {
                        in_query = false;
                    }
                    at += 1;
                }
            }
        }
        masked.copy(piece, copied, range.end);
    }
}

use context::Slot;

/// What stands before a syslog header's host.
const DATE_AND_TIME: &str = "‹date› ‹time› ";
const HIDDEN: &str = "‹hidden›";

/// Where a piece begins.
#[derive(Debug, Clone, Copy)]
enum Start<'n> {
    OfText,
    OfMember(&'n str),
    Within,
}

/// What has been written.
#[derive(Debug)]
struct Masked {
    out: String,
}

impl Masked {
    fn with_capacity(length: usize) -> Self {
        Self { out: String::with_capacity(length + 64) }
    }

    fn copy(&mut self, text: &str, from: usize, to: usize) {
        self.out.push_str(text.get(from..to).unwrap_or_default());
    }

    /// Writes what was not copied yet and then `class` for the range; returns where copying goes on.
    fn replace(&mut self, text: &str, copied: usize, range: std::ops::Range<usize>, class: &str) -> usize {
        self.copy(text, copied, range.start);
        self.out.push_str(class);
        range.end
    }

    /// Writes a word with one sign for each run of digits.
    fn without_digits(&mut self, word: &str) {
        let mut was_digit = false;
        for char in word.chars() {
            if !char.is_ascii_digit() {
                self.out.push(char);
            } else if !was_digit {
                self.out.push_str("‹#›");
            }
            was_digit = char.is_ascii_digit();
        }
    }
}

/// Puts values back into a model's words, but for secrets and for what is no plain word.
pub(crate) fn restored(words: &str, placeholders: &[Placeholder]) -> Option<String> {
    if !words.contains(OPEN) {
        return None;
    }
    let mut restored = words.to_owned();
    let is_plain = |placeholder: &&Placeholder| placeholder.value.bytes().all(|byte| byte.is_ascii_graphic());
    for placeholder in placeholders.iter().filter(|placeholder| !placeholder.is_secret).filter(is_plain) {
        if restored.contains(&*placeholder.written) {
            restored = restored.replace(&*placeholder.written, &placeholder.value);
        }
    }
    Some(restored)
}

#[cfg(test)]
mod tests;
