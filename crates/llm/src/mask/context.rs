//! What stands before a value tells what the value is: a user, a code, a parameter.

use super::Words;

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    None,
    /// A user's name, if it looks like one.
    User,
    /// The same, if more than a space is between.
    UserBehindASign,
    /// A number that names a kind: a status, an exit code. It stays.
    Code,
    /// `password for`, `publickey for`: a word that makes the following `for` announce a user.
    Credential,
    /// A parameter that is one plain word.
    Word,
}

/// Words behind which a user's name stands, be it behind a mere space.
const USER: [&str; 7] = ["user", "username", "usr", "logname", "ruser", "account", "sudo"];

/// Words behind which a user's name stands if a sign such as `=` or `:` is between.
const USER_BEHIND_A_SIGN: [&str; 15] = [
    "login",
    "acct",
    "userid",
    "user_id",
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
    "useridentity",
];

/// Words behind which a number names a kind.
const CODE: [&str; 24] = [
    "status",
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
];

const CREDENTIAL: [&str; 8] =
    ["password", "publickey", "interactive", "pam", "certificate", "none", "passwd", "gssapi"];

/// Words that stand behind `user` and are no names.
const NO_NAMES: [&str; 44] = [
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
    "requested",
    "error",
    "failed",
    "creation",
    "group",
    "user",
    "invalid",
    "illegal",
];

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

/// Parameters whose word decides what happens.
const DECIDING: [&str; 43] = [
    "cmd", "command", "exec", "execute", "run", "shell", "code", "eval", "query", "sql", "action", "do",
    "op", "func", "function", "method", "module", "page", "file", "filename", "path", "dir", "folder", "url",
    "uri", "link", "redirect", "next", "return", "dest", "host", "callback", "template", "include",
    "require", "src", "lang", "role", "admin", "debug", "type", "mode", "view",
];

impl Slot {
    pub(super) fn is_user(self) -> bool {
        matches!(self, Self::User | Self::UserBehindASign)
    }

    /// Returns what is expected behind a word.
    pub(super) fn after_word(word: &str, before: Self) -> Self {
        let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
        match word.as_bytes().first().map(u8::to_ascii_lowercase) {
            _ if word.len() > 15 => Self::None,
            Some(b'f') if before == Self::Credential && word.eq_ignore_ascii_case("for") => Self::User,
            Some(b'i') if before == Self::User && word.eq_ignore_ascii_case("invalid") => Self::Credential,
            Some(
                b'u' | b'l' | b'r' | b'a' | b's' | b'd' | b'o' | b'p' | b'm' | b'c' | b'e' | b't' | b'b'
                | b'i' | b'n' | b'g',
            ) => {
                if is(&USER) {
                    Self::User
                } else if is(&USER_BEHIND_A_SIGN) {
                    Self::UserBehindASign
                } else if is(&CODE) {
                    Self::Code
                } else if is(&CREDENTIAL) {
                    Self::Credential
                } else {
                    Self::None
                }
            }
            _ => Self::None,
        }
    }

    /// Returns what a member's value is by the member's name.
    pub(super) fn after_member(name: &str, words: Words) -> Self {
        let own_name = name.rsplit('.').next().unwrap_or(name);
        let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(own_name));
        if is(&USER) || is(&USER_BEHIND_A_SIGN) {
            Self::User
        } else if is(&CODE) {
            Self::Code
        } else if words == Words::Masked && is_parameter(name) && !is(&DECIDING) {
            Self::Word
        } else {
            Self::None
        }
    }
}

/// Whether a member holds a request's parameter.
fn is_parameter(name: &str) -> bool {
    const HOLDERS: [&str; 6] = ["params", "parameters", "args", "arguments", "form", "query_params"];
    let is_holder = |part: &str| HOLDERS.iter().any(|holder| holder.eq_ignore_ascii_case(part));
    name.contains('.') && name.split('.').any(is_holder)
}

/// Returns what stands behind the `=` of a query: its name stands before it.
pub(super) fn parameter(bytes: &[u8], equals: usize) -> Slot {
    let before = bytes.get(..equals).unwrap_or_default();
    let from =
        before.iter().rposition(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').map_or(0, |at| at + 1);
    let name = before.get(from..).unwrap_or_default();
    let is_deciding = DECIDING.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if name.is_empty() || name.len() > 32 || is_deciding { Slot::None } else { Slot::Word }
}

/// Whether a byte may stand between a name and its value.
pub(super) fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'=' | b':' | b'"' | b'\'' | b'`' | b'(' | b'[' | b'_' | b'-')
}

/// How a word that goes on telling what happened may end: `user created`, `login successful`.
const OF_STORIES: [&str; 9] = ["ed", "ing", "ion", "ful", "ly", "able", "ment", "ance", "ence"];

/// Returns the class of a user's name, `None` if it is none. Behind no more than a space it may be a word of the story.
pub(super) fn class_of_user(name: &str, is_told_apart: bool) -> Option<&'static str> {
    let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_of_story = || OF_STORIES.iter().any(|end| name.len() > end.len() && name.ends_with(end));
    let is_none = is(&NO_NAMES) || !name.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if is_none || (!is_told_apart && is_of_story()) {
        None
    } else if is(&PRIVILEGED) {
        Some("privileged")
    } else if name.ends_with('$') {
        Some("machine")
    } else {
        Some("")
    }
}
