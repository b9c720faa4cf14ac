//! Writes a text so that it may leave: secrets, and whatever differs from event to event, become placeholders that tell
//! only their class. What a placeholder stands for stays here.

mod context;
mod placeholders;
mod shapes;

use std::ops::Range;

use memchr::memmem::Finder;

pub(crate) use self::{context::OfMember, placeholders::Placeholders};
use self::{
    context::Slot,
    shapes::{Shape, Token},
};
use crate::redact::{Kind, Secret, secrets};

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
    /// Secrets that were found before.
    known: Vec<(Box<str>, Kind)>,
    placeholders: Placeholders,
}

impl Masker {
    pub(crate) fn new(words: Words) -> Self {
        Self { words, known: Vec::new(), placeholders: Placeholders::default() }
    }

    pub(crate) fn into_placeholders(self) -> Placeholders {
        self.placeholders
    }

    /// Writes a text as it may leave.
    pub(crate) fn text(&mut self, text: &str, out: &mut String) {
        self.write(text, Start::OfText, out);
    }

    /// Writes the name of a member as it may leave, and returns what the name tells of its value.
    pub(crate) fn name(&mut self, name: &str, out: &mut String) -> OfMember {
        let of_member = context::of_member(name);
        if of_member.is_plain {
            out.push_str(name);
        } else {
            self.text(name, out);
        }
        of_member
    }

    /// Writes the value of a member as it may leave.
    pub(crate) fn value(&mut self, name: &str, of_member: OfMember, value: &str, out: &mut String) {
        match of_member.announced.kind_of(name, value) {
            Some(kind) => self.secret(kind, value, out),
            None => self.write(value, Start::OfMember(of_member.slot), out),
        }
    }

    /// Whether a secret that was found in these texts stands in them again where nothing announces it. Where texts are
    /// written with escapes it can't be ruled out.
    pub(crate) fn may_have_missed_some(&self, texts: &[&str]) -> bool {
        let mut secrets = self.placeholders.repeatable_secrets().peekable();
        secrets.peek().is_some() && texts.iter().any(|text| text.contains('\\'))
            || secrets.any(|secret| {
                let finder = Finder::new(secret.value);
                let count = |text: &&str| finder.find_iter(text.as_bytes()).count();
                texts.iter().map(count).sum::<usize>() != secret.times
            })
    }

    /// Returns a masker that knows the secrets of this one wherever they stand.
    pub(crate) fn knowing_its_secrets(self) -> Self {
        let secrets = self.placeholders.repeatable_secrets();
        let known = secrets.map(|secret| (secret.value.into(), secret.kind)).collect();
        Self { words: self.words, known, placeholders: Placeholders::default() }
    }

    fn write(&mut self, text: &str, mut start: Start, out: &mut String) {
        let mut done = 0;
        let mut found = if may_hold_secrets(text) { secrets(text) } else { Vec::new() };
        if !self.known.is_empty() {
            self.add_known(text, &mut found);
        }
        for secret in found {
            self.pass(text, done..secret.range.start, start, out);
            done = secret.range.end;
            self.secret(secret.kind, text.get(secret.range).unwrap_or_default(), out);
            start = Start::Within;
        }
        self.pass(text, done..text.len(), start, out);
    }

    /// Adds the places of known secrets that nothing announces.
    fn add_known(&self, text: &str, found: &mut Vec<Secret>) {
        for (known, kind) in &self.known {
            let mut at = 0;
            while let Some(place) = text.get(at..).and_then(|rest| rest.find(&**known)) {
                let range = at + place..at + place + known.len();
                let mut others = found.iter().map(|other| &other.range);
                let other = others.find(|other| other.start < range.end && range.start < other.end);
                at = other.map_or(range.end, |other| other.end);
                if other.is_none() {
                    found.push(Secret { range, kind: *kind });
                }
            }
        }
        found.sort_by_key(|secret| secret.range.start);
    }

    fn secret(&mut self, kind: Kind, value: &str, out: &mut String) {
        let secret = Some(kind).filter(|kind| *kind != Kind::Email);
        self.placeholders.write(kind.name(), value, "", secret, out);
    }

    /// Masks a piece of a text in which there are no secrets.
    fn pass(&mut self, text: &str, range: Range<usize>, start: Start, out: &mut String) {
        let Some(text) = text.get(..range.end) else { return };
        let (at, copied, slot) = (range.start, range.start, Slot::None);
        let words = self.words;
        let mut pass = Pass { words, masker: self, out, text, at, copied, slot, in_query: false, user: None };
        match start {
            Start::OfText if range.start == 0 => pass.header(),
            Start::OfText | Start::Within => {}
            Start::OfMember(Slot::Word) => {
                // A parameter of several words was typed freely.
                let is_one_word = !text.contains([' ', '"', '\n', '\t']);
                pass.slot = if is_one_word && pass.words == Words::Masked { Slot::Word } else { Slot::None };
            }
            Start::OfMember(slot) => pass.slot = slot,
        }
        pass.run();
    }
}

/// Whether a text is long enough for a token or a card, or has a sign by which a secret is announced. Most values of
/// metadata do neither.
fn may_hold_secrets(text: &str) -> bool {
    const SHORTEST: usize = 13;
    text.len() >= SHORTEST
        || text.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"._-/".contains(&byte))
}

/// Where a piece begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    OfText,
    /// Of a member's value, of which the name tells something.
    OfMember(Slot),
    Within,
}

/// What stands before a syslog header's host.
const DATE_AND_TIME: &str = "‹date› ‹time› ";
const HIDDEN: &str = "‹hidden›";

/// One pass over a piece, from left to right.
struct Pass<'p> {
    words: Words,
    masker: &'p mut Masker,
    out: &'p mut String,
    text: &'p str,
    at: usize,
    /// So far the text was written.
    copied: usize,
    /// What is expected next.
    slot: Slot,
    /// Behind a `?`, until a space or a quote.
    in_query: bool,
    /// Where a user's name stands that only its place tells.
    user: Option<Range<usize>>,
}

impl Pass<'_> {
    /// Looks for what only its place tells.
    fn header(&mut self) {
        if let Some(host) = shapes::syslog_host(self.text) {
            self.out.push_str(DATE_AND_TIME);
            (self.at, self.copied) = (host.start, host.start);
            self.numbered(host.end, "host", "");
        } else {
            self.user = shapes::access_log_user(self.text);
        }
    }

    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if self.user.as_ref().is_some_and(|user| user.start == self.at) {
                self.user_by_place();
                continue;
            }
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => self.token(),
                0x80.. => self.beyond_ascii(),
                b'\n' | b'\t' | b'\r' | b' '..=b'~' => self.sign(byte),
                _ => self.class(self.at + 1, HIDDEN),
            }
        }
        self.copy_to(bytes.len());
    }

    fn user_by_place(&mut self) {
        if let Some(user) = self.user.take() {
            let class = context::class_of_user(self.text.get(user.clone()).unwrap_or_default(), false);
            self.numbered(user.end, "user", class.unwrap_or_default());
        }
    }

    fn token(&mut self) {
        let Token { end, shape } = shapes::token(self.text, self.at, self.slot);
        match shape {
            Shape::Plain => self.word(end),
            Shape::Class(class) => self.class(end, class),
            Shape::Numbered { kind, class } => self.numbered(end, kind, class),
            Shape::DigitsWithin => self.without_digits(end),
        }
    }

    fn word(&mut self, end: usize) {
        let bytes = self.text.as_bytes();
        let word = self.text.get(self.at..end).unwrap_or_default();
        let is_slash =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| b"/\\".contains(byte));
        let is_folder_of_users = matches!(word, "home" | "Users" | "users")
            && is_slash(self.at.checked_sub(1))
            && is_slash(Some(end));
        self.slot = if is_folder_of_users { Slot::SureUser } else { context::after_word(word, self.slot) };
        self.at = end + usize::from(is_folder_of_users);
    }

    fn sign(&mut self, byte: u8) {
        match byte {
            b':' => {
                if let Some((end, class)) = shapes::ip6(self.text, self.at) {
                    self.numbered(end, "ip", class);
                    return;
                }
            }
            b'?' | b'&' => {
                self.in_query = true;
                self.slot = Slot::None;
            }
            b'=' if self.in_query && self.words == Words::Masked && !self.slot.is_user() => {
                self.slot = context::parameter(self.text.as_bytes(), self.at);
            }
            _ => {
                if !context::is_between(byte) {
                    self.slot = Slot::None;
                }
                if matches!(byte, b' ' | b'"' | b'\n' | b'\t') {
                    self.in_query = false;
                }
            }
        }
        self.at += 1;
    }

    fn beyond_ascii(&mut self) {
        let char = self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
        if self.slot.is_user()
            && let Some((end, class)) = shapes::user(self.text, self.at, self.slot)
        {
            return self.numbered(end, "user", class);
        }
        let end = self.at + char.len_utf8();
        if let Some(harmless) = shapes::harmless(char) {
            self.class(end, harmless);
        } else {
            (self.at, self.slot) = (end, Slot::None);
        }
    }

    /// Writes what stands before and then a class for what reaches to `end`.
    fn class(&mut self, end: usize, class: &str) {
        self.copy_to(self.at);
        self.out.push_str(class);
        self.go_on_at(end);
    }

    /// As `class`, with a number for the value.
    fn numbered(&mut self, end: usize, kind: &'static str, class: &'static str) {
        self.copy_to(self.at);
        let value = self.text.get(self.at..end).unwrap_or_default();
        self.masker.placeholders.write(kind, value, class, None, self.out);
        self.go_on_at(end);
    }

    /// As `class`, with one sign for each run of digits in the word.
    fn without_digits(&mut self, end: usize) {
        self.copy_to(self.at);
        let mut was_digit = false;
        for char in self.text.get(self.at..end).unwrap_or_default().chars() {
            if !char.is_ascii_digit() {
                self.out.push(char);
            } else if !was_digit {
                self.out.push_str("‹#›");
            }
            was_digit = char.is_ascii_digit();
        }
        self.go_on_at(end);
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn go_on_at(&mut self, end: usize) {
        (self.at, self.copied, self.slot) = (end, end, Slot::None);
    }
}

#[cfg(test)]
mod tests;
