//! What stands before a value tells what the value is: a user, a host, a code, a parameter.

use std::{cell::RefCell, collections::HashMap, sync::LazyLock};

use foldhash::fast::RandomState;

use crate::redact::Announced;

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    None,
    /// A user's name, if it looks like one and not like a word of what happened.
    User,
    /// A user's name, if it looks like one.
    SureUser,
    /// The same, if more than a space is between.
    UserBehindASign,
    /// A host's name.
    Host,
    /// A number that names a kind: a status, an exit code. It stays.
    Code,
    /// A number of a port.
    Port,
    /// `password for`, `publickey for`: a word that makes the following `for` announce a user.
    Credential,
    /// `invalid user`: a word that makes the following `user` announce one surely.
    Adjective,
    /// A parameter that is one plain word, which may be any.
    Word,
}

impl Slot {
    pub(super) fn is_user(self) -> bool {
        matches!(self, Self::User | Self::SureUser | Self::UserBehindASign)
    }
}

/// What a word announces.
const ANNOUNCED: [(Slot, &[&str]); 7] = [
    (Slot::User, &["user", "username", "usr", "logname", "ruser", "account"]),
    (
        Slot::UserBehindASign,
        &[
            "login",
            "acct",
            "userid",
            "euser",
            "suser",
            "duser",
            "owner",
            "principal",
            "actor",
            "member",
            "customer",
            "subjectusername",
            "targetusername",
            "accountname",
            "useridentity",
            "sudo",
            "caller",
            "uname",
        ],
    ),
    (
        Slot::Host,
        &[
            "host",
            "hostname",
            "computer",
            "workstation",
            "machine",
            "fqdn",
            "computername",
            "workstationname",
        ],
    ),
    (
        Slot::Code,
        &[
            "status",
            "substatus",
            "code",
            "exit",
            "errno",
            "rc",
            "ret",
            "signal",
            "event",
            "eventid",
            "level",
            "lvl",
            "severity",
            "priority",
            "pri",
            "type",
            "method",
            "sqlstate",
            "opcode",
            "proto",
            "protocol",
            "dpt",
            "dport",
            "statuscode",
            "logontype",
            "chmod",
            "mode",
            "mask",
            "result",
            "encryption",
            "failure",
            "etype",
        ],
    ),
    (Slot::Port, &["port"]),
    (
        Slot::Credential,
        &[
            "password",
            "publickey",
            "interactive",
            "pam",
            "certificate",
            "none",
            "passwd",
            "gssapi",
            "authentication",
        ],
    ),
    (Slot::Adjective, &["invalid", "illegal", "unknown", "authenticating", "nonexistent"]),
];

/// The longest of those words, in bytes.
const LONGEST_WORD: usize = 15;

/// Words that stand behind `user` and are no names.
const NO_NAMES: [&str; 50] = [
    "is",
    "not",
    "unknown",
    "agent",
    "authentication",
    "and",
    "or",
    "has",
    "name",
    "was",
    "from",
    "in",
    "to",
    "with",
    "by",
    "on",
    "id",
    "does",
    "input",
    "session",
    "password",
    "login",
    "logged",
    "account",
    "interface",
    "space",
    "mode",
    "limit",
    "the",
    "a",
    "for",
    "of",
    "at",
    "data",
    "profile",
    "request",
    "error",
    "failed",
    "group",
    "user",
    "invalid",
    "illegal",
    "lockout",
    "policy",
    "domain",
    "null",
    "none",
    "true",
    "false",
    "type",
];

/// How a word that goes on telling what happened may end: `user created`, `login successful`.
const OF_STORIES: [&str; 9] = ["ed", "ing", "ion", "ful", "ly", "able", "ment", "ance", "ence"];

/// Names that rule a system.
const PRIVILEGED: [&str; 16] = [
    "root",
    "admin",
    "administrator",
    "system",
    "sa",
    "postgres",
    "oracle",
    "mysql",
    "sysadmin",
    "superuser",
    "nt authority\\system",
    "sysdba",
    "toor",
    "wheel",
    "domain admins",
    "localsystem",
];

/// Parameters whose word is what somebody looks for. Of any other parameter the word may decide what happens.
const LOOKED_FOR: [&str; 34] = [
    "q", "s", "search", "keyword", "keywords", "kw", "term", "title", "name", "tag", "tags", "city",
    "country", "color", "colour", "size", "sort", "category", "cat", "brand", "product", "sku", "slug",
    "locale", "ref", "id", "gclid", "fbclid", "source", "medium", "campaign", "content", "currency",
    "author",
];

/// Members that hold the parameters of a request.
const HOLDERS: [&str; 7] = ["params", "parameters", "args", "arguments", "form", "query", "utm"];

/// Returns what a word announces; `name` and `id` go on where a user was announced.
pub(super) fn after_word(word: &str, before: Slot) -> Slot {
    if !(2..=LONGEST_WORD).contains(&word.len()) {
        return Slot::None;
    }
    let is = |known: &str| known.eq_ignore_ascii_case(word);
    if before == Slot::Credential && is("for") {
        return Slot::SureUser;
    }
    if (before.is_user() || matches!(before, Slot::Host | Slot::Code)) && (is("name") || is("id")) {
        return before;
    }
    match announced_by(word) {
        Slot::User if before == Slot::Adjective => Slot::SureUser,
        slot => slot,
    }
}

fn announced_by(word: &str) -> Slot {
    static KNOWN: LazyLock<HashMap<&'static [u8], Slot, RandomState>> = LazyLock::new(|| {
        let each =
            |(slot, words): &'static (Slot, &[&str])| words.iter().map(|word| (word.as_bytes(), *slot));
        ANNOUNCED.iter().flat_map(each).collect()
    });
    let mut lower = [0; LONGEST_WORD];
    let Some(lower) = lower.get_mut(..word.len()) else { return Slot::None };
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    KNOWN.get(&*lower).copied().unwrap_or(Slot::None)
}

/// What the name of a member tells of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfMember {
    pub(super) announced: Announced,
    pub(super) slot: Slot,
    /// Whether the name may leave as it is.
    pub(super) is_plain: bool,
}

/// Returns what a member's name tells; names come again and again, so it is remembered for a few thousand of them.
pub(super) fn of_member(name: &str) -> OfMember {
    const MOST_KNOWN: usize = 4096;
    const LONGEST: usize = 64;
    thread_local! {
        static KNOWN: RefCell<HashMap<Box<str>, OfMember, RandomState>> = RefCell::default();
    }
    if name.len() > LONGEST {
        return read_member(name);
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.get(name) {
            return *known;
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        let read = read_member(name);
        known.insert(name.into(), read);
        read
    })
}

fn read_member(name: &str) -> OfMember {
    let is_plain =
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"._-".contains(&byte));
    OfMember { announced: Announced::by(name), slot: slot_of_member(name), is_plain }
}

fn slot_of_member(name: &str) -> Slot {
    let words = words_of(name);
    let (Some(last), before) = (words.last(), words.iter().rev().nth(1)) else { return Slot::None };
    let announced = |word: &str| match after_word(word, Slot::None) {
        Slot::User | Slot::UserBehindASign => Slot::SureUser,
        slot @ (Slot::Host | Slot::Code | Slot::Port) => slot,
        _ => Slot::None,
    };
    if matches!(last.as_str(), "name" | "id")
        && let Some(before) = before
    {
        // Such as `user.name`, `event_id`, `hostName`.
        return announced(before);
    }
    let is_parameter = words.iter().rev().skip(1).any(|word| HOLDERS.contains(&word.as_str()));
    match announced(last) {
        Slot::None if is_parameter && LOOKED_FOR.contains(&last.as_str()) => Slot::Word,
        slot => slot,
    }
}

/// The words of a name such as `http.response.statusCode`, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in name.chars() {
        let begins_word = !char.is_alphanumeric() || (char.is_uppercase() && was_lower);
        if begins_word && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| char.is_alphanumeric()) {
            word.extend(char.to_lowercase());
        }
        was_lower = char.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns what stands behind the `=` of a query: its name stands before it.
pub(super) fn parameter(bytes: &[u8], equals: usize) -> Slot {
    let before = bytes.get(..equals).unwrap_or_default();
    let word = before.iter().rev().take(32).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = before.get(equals - word..).unwrap_or_default();
    let begins = before.len().checked_sub(word + 1).and_then(|at| before.get(at));
    let is_whole = matches!(begins, Some(b'?' | b'&'));
    let is_campaign = before.get(..equals - word).is_some_and(|before| before.ends_with(b"utm_"));
    let is_looked_for = LOOKED_FOR.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if (is_whole || is_campaign) && is_looked_for { Slot::Word } else { Slot::None }
}

/// Whether a byte may stand between a name and its value.
pub(super) fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'=' | b':' | b'"' | b'\'' | b'`' | b'(' | b'[' | b'_' | b'-')
}

/// Returns the class of a user's name, `None` if it is none.
pub(super) fn class_of_user(name: &str, may_be_of_story: bool) -> Option<&'static str> {
    let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_of_story = || OF_STORIES.iter().any(|end| name.len() > end.len() && name.ends_with(end));
    let has_letter = name.chars().any(char::is_alphanumeric);
    if !has_letter || is(&NO_NAMES) || (may_be_of_story && is_of_story()) {
        None
    } else if is(&PRIVILEGED) {
        Some("privileged")
    } else if name.ends_with('$') {
        Some("machine")
    } else {
        Some("")
    }
}
