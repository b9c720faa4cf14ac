//! Finds what must not leave: secrets, and what tells who somebody is. One pass over the text looks for words and marks
//! that announce something; only there do hand-written readers look closer. What is put in their place is decided elsewhere.

mod addresses;
mod clients;
mod encoded;
mod headers;
mod keys;
mod named;
mod names;
mod numbers;
mod ordinary;
mod spoken;
mod spotter;
mod statements;
mod tokens;
mod triggers;
mod urls;
mod values;
mod written;

#[cfg(test)]
pub(crate) mod corpus;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, ops::Range};

use crate::redact::{
    clients::Client,
    names::{Demand, Meaning},
    triggers::Trigger,
};

/// A piece of a text that must not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Password,
    /// A personal or one-time number.
    Pin,
    Secret,
    Token,
    ApiKey,
    PrivateKey,
    /// Only the part of a connection string or URL that opens the door.
    ConnectionString,
    Cookie,
    Session,
    Jwt,
    /// What is kept of a password can be tried out.
    Hash,
    Card,
    Iban,
    Email,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 14] = [
        Self::Password,
        Self::Pin,
        Self::Secret,
        Self::Token,
        Self::ApiKey,
        Self::PrivateKey,
        Self::ConnectionString,
        Self::Cookie,
        Self::Session,
        Self::Jwt,
        Self::Hash,
        Self::Card,
        Self::Iban,
        Self::Email,
    ];

    /// Returns what a placeholder says, as in `<password-1>`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Pin => "pin",
            Self::Secret => "secret",
            Self::Token => "token",
            Self::ApiKey => "api-key",
            Self::PrivateKey => "private-key",
            Self::ConnectionString => "credentials",
            Self::Cookie => "cookie",
            Self::Session => "session",
            Self::Jwt => "jwt",
            Self::Hash => "hash",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Email => "email",
        }
    }
}

/// Returns the secrets of a text, in order, not overlapping.
pub(crate) fn secrets(text: &str) -> Vec<Secret> {
    let mut finds = Finds::default();
    collect(text.as_bytes(), &mut finds, encoded::Depth::Outer);
    finds.settled(text)
}

/// What the name of a member tells of its value: nothing, that it is a secret, or that it is one if it looks like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced(Option<Meaning>);

impl Announced {
    pub(crate) fn by(name: &str) -> Self {
        Self(names::meaning(name.as_bytes(), &[]).or_else(|| triggers::foreign_meaning(name)))
    }

    /// Returns what kind of secret a value of the member is, if it is one.
    pub(crate) fn kind_of(self, name: &str, value: &str) -> Option<Kind> {
        let meaning = self.0?;
        let is_secret = match meaning.demand {
            Demand::Long | Demand::VeryLong | Demand::InQuery => {
                named::is_secret_member(name.as_bytes(), meaning, value.as_bytes())
            }
            _ => !value.is_empty(),
        };
        is_secret.then_some(meaning.kind)
    }
}

fn collect(bytes: &[u8], finds: &mut Finds, depth: encoded::Depth) {
    triggers::each(bytes, |trigger, hit| match trigger {
        Trigger::Name => named::look(bytes, hit, finds),
        Trigger::ForeignName => named::look_foreign(bytes, hit, finds),
        _ if finds.covers(hit.start) => {}
        Trigger::Scheme => headers::look(bytes, hit, finds),
        Trigger::Token(shape) => tokens::look(bytes, hit, shape, finds),
        Trigger::Url => urls::look(bytes, hit, finds),
        Trigger::At => addresses::look(bytes, hit, finds),
        Trigger::PrivateKey(form) => keys::look(bytes, hit, form, finds),
        Trigger::Client(client) => clients::look(bytes, hit, client, finds),
        Trigger::Statement(statement) => statements::look(bytes, hit, statement, finds),
        Trigger::Encoded(encoding) => encoded::look(bytes, hit, encoding, depth, finds),
    });
    finds.sort();
    for at in memchr::memchr_iter(b'@', bytes) {
        if !finds.hold(at) {
            addresses::look(bytes, at..at + 1, finds);
        }
    }
    numbers::each(bytes, finds);
}

/// What has been found so far, in the order of finding.
#[derive(Default)]
struct Finds {
    found: Vec<Secret>,
    /// How many of those are in the order of their places.
    sorted: usize,
    /// Where an `@` begins the host of a URL.
    hosts: Vec<usize>,
    /// Several words of a name may announce the same value.
    last_name_end: usize,
    /// How far encoded text has been decoded.
    decoded_until: usize,
    /// How far a word goes that has a beginning of a token in it, but no dot after it.
    no_jwt_until: usize,
    /// How far the arguments of each program have been read.
    commands_until: Vec<(&'static Client, usize)>,
}

/// How many of the latest finds may hold the place that is looked at: a reader adds few at once.
const LATEST: usize = 8;

impl Finds {
    fn add(&mut self, kind: Kind, range: Range<usize>) {
        if !range.is_empty() {
            self.found.push(Secret { range, kind });
        }
    }

    /// Whether a place lies in what was found lately. Readers that go on from there would go over the same text again.
    fn covers(&self, at: usize) -> bool {
        self.cover_end(at).is_some()
    }

    /// Returns where that ends which was found lately and holds a place.
    fn cover_end(&self, at: usize) -> Option<usize> {
        let latest = self.found.iter().rev().take(LATEST);
        latest.filter(|secret| secret.range.contains(&at)).map(|secret| secret.range.end).max()
    }

    fn sort(&mut self) {
        self.found.sort_by_key(|secret| (secret.range.start, Reverse(secret.range.end)));
        self.sorted = self.found.len();
        self.hosts.sort_unstable();
    }

    /// Whether a place lies in what had been found when that was sorted.
    fn hold(&self, at: usize) -> bool {
        let sorted = &self.found[..self.sorted];
        let before = sorted.partition_point(|secret| secret.range.start <= at);
        sorted[..before].iter().rev().take(LATEST).any(|secret| secret.range.contains(&at))
    }

    fn is_host(&self, at: usize) -> bool {
        self.hosts.last() == Some(&at) || self.hosts.binary_search(&at).is_ok()
    }

    /// Whether no name that ends there has been looked at.
    fn is_new_name(&mut self, end: usize) -> bool {
        let is_new = end != self.last_name_end;
        self.last_name_end = end;
        is_new
    }

    /// Whether a program does not stand among arguments of itself that have been read.
    fn is_new_command(&self, at: usize, client: &'static Client) -> bool {
        !self.commands_until.iter().any(|(known, until)| std::ptr::eq(*known, client) && at < *until)
    }

    fn read_command(&mut self, client: &'static Client, until: usize) {
        self.commands_until.retain(|(known, _)| !std::ptr::eq(*known, client));
        self.commands_until.push((client, until));
    }

    fn settled(mut self, text: &str) -> Vec<Secret> {
        self.sort();
        let mut settled: Vec<Secret> = Vec::with_capacity(self.found.len());
        for Secret { range, kind } in self.found {
            let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
            match settled.last_mut() {
                Some(last) if range.start < last.range.end => last.range.end = last.range.end.max(range.end),
                _ => settled.push(Secret { range, kind }),
            }
        }
        settled
    }
}
