//! Values that are no secrets: nothing, placeholders, what already was masked, and words that tell what happened.

use crate::redact::names::contains;

/// Words in place of a value. In order.
const IN_ITS_PLACE: &[&str] = &[
    "blank",
    "chauthtok",
    "disabled",
    "empty",
    "enabled",
    "false",
    "filtered",
    "hidden",
    "masked",
    "missing",
    "n/a",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "obfuscated",
    "off",
    "omitted",
    "on",
    "provided",
    "redacted",
    "removed",
    "required",
    "sanitized",
    "scrubbed",
    "set",
    "true",
    "undefined",
    "unset",
    "yes",
];

/// Words with which a sentence goes on after the name of a secret. In order.
const OF_SENTENCES: &[&str] = &[
    "a",
    "about",
    "accept",
    "accepted",
    "access",
    "account",
    "active",
    "after",
    "again",
    "age",
    "all",
    "already",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "attempt",
    "attempts",
    "auth",
    "authenticate",
    "authentication",
    "authorization",
    "bad",
    "based",
    "be",
    "because",
    "been",
    "before",
    "being",
    "but",
    "by",
    "can",
    "can't",
    "cannot",
    "change",
    "changed",
    "changes",
    "check",
    "checked",
    "checking",
    "complexity",
    "configuration",
    "contains",
    "correct",
    "could",
    "couldn't",
    "created",
    "creation",
    "database",
    "deleted",
    "denied",
    "did",
    "didn't",
    "do",
    "does",
    "doesn't",
    "don't",
    "during",
    "entered",
    "entry",
    "error",
    "exceeded",
    "exceeds",
    "exchange",
    "exists",
    "expired",
    "expires",
    "expiring",
    "expiry",
    "fail",
    "failed",
    "fails",
    "failure",
    "field",
    "file",
    "for",
    "found",
    "from",
    "generated",
    "generation",
    "given",
    "good",
    "grant",
    "granted",
    "has",
    "have",
    "if",
    "in",
    "incorrect",
    "input",
    "into",
    "invalid",
    "is",
    "isn't",
    "it",
    "key",
    "last",
    "length",
    "less",
    "lifetime",
    "locked",
    "login",
    "manager",
    "match",
    "matched",
    "matches",
    "may",
    "method",
    "mismatch",
    "missing",
    "mode",
    "must",
    "needs",
    "new",
    "no",
    "not",
    "of",
    "ok",
    "old",
    "on",
    "only",
    "or",
    "parameter",
    "parse",
    "permission",
    "please",
    "policy",
    "prompt",
    "protected",
    "provided",
    "reason",
    "received",
    "refresh",
    "rejected",
    "request",
    "requested",
    "required",
    "requires",
    "reset",
    "resetting",
    "response",
    "retry",
    "returned",
    "revoked",
    "rotated",
    "rotation",
    "sent",
    "server",
    "service",
    "session",
    "set",
    "should",
    "shouldn't",
    "specified",
    "status",
    "stored",
    "strength",
    "string",
    "success",
    "successful",
    "successfully",
    "supplied",
    "that",
    "the",
    "their",
    "there",
    "this",
    "timed",
    "timeout",
    "to",
    "token",
    "too",
    "try",
    "type",
    "unable",
    "unauthorized",
    "unexpected",
    "unknown",
    "unrecognized",
    "unsupported",
    "update",
    "updated",
    "updating",
    "use",
    "used",
    "user",
    "username",
    "using",
    "valid",
    "validated",
    "validation",
    "value",
    "verification",
    "verified",
    "verify",
    "via",
    "was",
    "wasn't",
    "were",
    "when",
    "while",
    "will",
    "with",
    "without",
    "won't",
    "wrong",
    "you",
    "your",
];

/// Names that begin the next member, not a value that holds an equals sign. In order.
const NEXT_NAMES: &[&str] = &[
    "account",
    "addr",
    "address",
    "client",
    "client_ip",
    "code",
    "error",
    "euid",
    "event",
    "from",
    "host",
    "hostname",
    "id",
    "ip",
    "level",
    "logname",
    "method",
    "msg",
    "name",
    "path",
    "port",
    "reason",
    "request_id",
    "rhost",
    "role",
    "ruser",
    "service",
    "source",
    "src",
    "srcip",
    "state",
    "status",
    "tty",
    "type",
    "uid",
    "url",
    "user",
    "user_id",
    "userid",
    "username",
];

/// The longest word of the lists and more.
const WORD_MAX: usize = 24;

/// Whether a value is none, or stands for one that is not told.
pub(super) fn is_in_its_place(value: &[u8]) -> bool {
    let is_one_mark = value.len() < 2 || is_mask(value);
    is_one_mark || in_lower_case(value, |word| contains(IN_ITS_PLACE, word)) || is_placeholder(value)
}

/// Whether a word goes on with a sentence.
pub(super) fn is_of_a_sentence(word: &[u8]) -> bool {
    let word = word.trim_ascii_end();
    let word = word.strip_suffix(b".").or_else(|| word.strip_suffix(b":")).unwrap_or(word);
    in_lower_case(word, |word| contains(OF_SENTENCES, word))
}

/// Whether a value is the next member: what it seems to belong to is empty.
pub(super) fn is_next_member(value: &[u8]) -> bool {
    let Some(divider) = value.iter().position(|byte| matches!(byte, b'=' | b':')) else { return false };
    in_lower_case(&value[..divider], |word| contains(NEXT_NAMES, word))
}

/// Whether a word tells what happened or how something is, by its end.
pub(super) fn is_participle(word: &[u8]) -> bool {
    let is_word = word.iter().all(u8::is_ascii_lowercase);
    is_word && ["ed", "ing", "able", "ible", "ive", "less"].iter().any(|end| word.ends_with(end.as_bytes()))
}

fn in_lower_case(word: &[u8], is_known: impl Fn(&[u8]) -> bool) -> bool {
    let mut lower = [0; WORD_MAX];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    is_known(lower)
}

/// Whether it is drawn over: `****`, `xxxxx`, `•••`, `[***]`.
fn is_mask(value: &[u8]) -> bool {
    let inner = bracketed(value).unwrap_or(value);
    let Some(first) = inner.first() else { return true };
    let is_drawn = match first {
        b'*' | b'.' | b'-' | b'_' | b'#' | b'?' | b'=' | b'~' | b'+' => {
            inner.iter().all(|byte| byte == first)
        }
        b'x' | b'X' => inner.len() > 2 && inner.iter().all(|byte| byte == first),
        b'%' => inner.chunks(3).all(|chunk| chunk.eq_ignore_ascii_case(b"%2a")),
        0xE2 => inner.chunks(3).all(|chunk| matches!(chunk, [0xE2, 0x80, 0xA2] | [0xE2, 0x97, 0x8F])),
        _ => false,
    };
    is_drawn || inner.starts_with(b"***") && inner.ends_with(b"***")
}

/// Whether it says what would stand there: `<password-1>`, `[FILTERED]`, `${PASSWORD}`, `{{ token }}`, `%s`, `$1`.
fn is_placeholder(value: &[u8]) -> bool {
    match value {
        [b'$', b'(', inner @ .., b')']
        | [b'$' | b'%' | b'#', b'{', inner @ .., b'}']
        | [b'{', b'{' | b'%', inner @ .., b'}', b'}']
        | [b'%', b'(', inner @ .., b')', b's']
        | [b'%', inner @ .., b'%'] => inner.iter().all(|byte| is_of_a_name(*byte) || *byte == b' '),
        [b'%', verb] => verb.is_ascii_alphabetic(),
        [b'$', number @ ..] if number.iter().all(u8::is_ascii_digit) => true,
        [b'$', name @ ..] => {
            let is_variable = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
            name.iter().all(is_variable) && name.contains(&b'_')
        }
        _ => bracketed(value).is_some_and(is_of_words),
    }
}

fn bracketed(value: &[u8]) -> Option<&[u8]> {
    match value {
        // The last are the quotation marks `‹` and `›`.
        [b'<', inner @ .., b'>']
        | [b'[', inner @ .., b']']
        | [b'(', inner @ .., b')']
        | [b'{', inner @ .., b'}']
        | [0xE2, 0x80, 0xB9, inner @ .., 0xE2, 0x80, 0xBA] => Some(inner),
        _ => None,
    }
}

/// Whether it consists of words in one case, perhaps with a number at the end.
fn is_of_words(inner: &[u8]) -> bool {
    let number = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (words, number) = inner.split_at(inner.len() - number);
    let words = if number.is_empty() { words } else { words.strip_suffix(b"-").unwrap_or_default() };
    let is_between = |byte: &u8| matches!(byte, b' ' | b'-' | b'_' | b'.');
    let in_one_case = |is_case: fn(&u8) -> bool| words.iter().all(|byte| is_case(byte) || is_between(byte));
    let is_short = words.len() <= 40;
    let is_titled = words.first().is_some_and(u8::is_ascii_uppercase)
        && words.iter().skip(1).all(|byte| byte.is_ascii_lowercase() || *byte == b' ');
    is_short
        && (in_one_case(u8::is_ascii_lowercase) || in_one_case(u8::is_ascii_uppercase) || is_titled)
        && words.iter().any(u8::is_ascii_alphabetic)
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_order() {
        for words in [IN_ITS_PLACE, OF_SENTENCES, NEXT_NAMES] {
            assert!(words.is_sorted(), "{:?}", words.windows(2).find(|pair| pair[0] > pair[1]));
            assert!(words.iter().all(|word| word.len() <= WORD_MAX));
        }
    }

    #[test]
    fn what_stands_for_a_value_is_no_secret() {
        let values = "*** ******** xxxxxx [***] •••• %2A%2A%2A <password-1> <api-key-12> [REDACTED] [Filtered] \
            (hidden) ${DB_PASSWORD} $DB_PASSWORD {{password}} %(password)s %s $1 YES null None false - ";
        for value in values.split_whitespace() {
            assert!(is_in_its_place(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "x1", "<Ab3>", "$Ecret", "yes1", "[a1b2]", "xX", "P%40ss", "{SSHA}abc"] {
            assert!(!is_in_its_place(value.as_bytes()), "{value}");
        }
    }
}
