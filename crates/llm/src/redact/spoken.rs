//! Secrets in sentences, where only words lead to them: `the password is x`, `your code is 123456`, `PASS x`.

use std::ops::Range;

use crate::redact::{
    Finds, Kind,
    named::{Name, word_before},
    names::{self, Demand, Meaning},
    ordinary, tokens, values,
    written::{Writing, read, run, run_before, skip_spaces},
};

/// What tells that the secret comes next. In order.
const VERBS: &[&str] = &[
    "=", "are", "as", "be", "est", "into", "is", "ist", "lautet", "to", "was", "ar", "es", "\u{e8}", "\u{e9}",
];

/// Words with letters and digits that are no passwords. In order.
const ALGORITHMS: &[&str] = &[
    "argon2", "base64", "bcrypt2", "ipv4", "ipv6", "md4", "md5", "oauth2", "pbkdf2", "pkcs12", "pkcs8",
    "sha1", "sha2", "sha256", "sha3", "sha512", "ssh2", "tls1.2", "tls1.3", "utf8", "v1", "v2", "v3", "x509",
];

/// Looks at what follows a name that no mark divides from it.
pub(super) fn follow(bytes: &[u8], name: &Name, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let end = name.range.end;
    let at = skip_spaces(bytes, end, Writing::Plain);
    if at == end || read(bytes, at).is_blank() {
        return;
    }
    if read(bytes, at).is_quote() {
        return in_quotes(bytes, at, meaning, finds);
    }
    let word = values::word(bytes, at);
    let text = &bytes[word.clone()];
    if is_verb(text) {
        return after_verb(bytes, word.end, meaning, finds);
    }
    if text == b"for" || text == b"of" {
        after_owner(bytes, word.end, &meaning, finds);
    }
    let is_plain_word = text.iter().all(u8::is_ascii_lowercase);
    if is_plain_word && ordinary::is_of_a_sentence(text) {
        return tokens::nearby(bytes, end, meaning, finds);
    }
    let value = unquoted(bytes, word);
    let text = &bytes[value.clone()];
    let is_typed = matches!(text, [b'0' | b'4'..=b'9']);
    if is_typed {
        return after_type(bytes, value.end, meaning, finds);
    }
    let is_after_user = names_a_user(bytes, name.range.start) && !ordinary::is_of_a_sentence(text);
    let is_lone = is_command(bytes, name) && !ordinary::is_of_a_sentence(text);
    let is_number = (4..=10).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let is_likely = is_marked(text) || is_number || is_after_user || is_lone;
    if !is_likely || ordinary::is_in_its_place(text) || ordinary::is_participle(text) {
        return tokens::nearby(bytes, end, meaning, finds);
    }
    let is_token = text.len() >= 16 && tokens::is_long(text, 16) && tokens::is_random(text);
    let fits = |meaning: &Meaning| match (meaning.demand, meaning.kind) {
        (Demand::Code, _) => is_number && !is_year(text),
        (Demand::Anything | Demand::Phrase, Kind::Password) => !is_number || is_after_user,
        (Demand::Anything, _) => is_token || is_after_user,
        _ => false,
    };
    match meaning().filter(fits) {
        Some(meaning) => finds.add(meaning.kind, value),
        None => tokens::nearby(bytes, end, meaning, finds),
    }
}

fn is_verb(word: &[u8]) -> bool {
    VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb.as_bytes()))
}

/// `password 'x'`, as in SQL; not `key "x" not found`.
fn in_quotes(bytes: &[u8], at: usize, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let value = values::quoted(bytes, at).inner;
    let text = &bytes[value.clone()];
    let first = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_sentence = first.len() < text.len() && ordinary::is_of_a_sentence(first);
    if is_sentence || ordinary::is_in_its_place(text) {
        return;
    }
    if let Some(meaning) = meaning().filter(|meaning| meaning.kind == Kind::Password && is_certain(*meaning))
    {
        finds.add(meaning.kind, value);
    }
}

fn is_certain(meaning: Meaning) -> bool {
    matches!(meaning.demand, Demand::Anything | Demand::Phrase | Demand::Code)
}

fn after_verb(bytes: &[u8], at: usize, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let mut at = skip_spaces(bytes, at, Writing::Plain);
    for skipped in [&b"now "[..], b"set to ", b"changed to ", b"called ", b": "] {
        let is_there =
            bytes.get(at..at + skipped.len()).is_some_and(|word| word.eq_ignore_ascii_case(skipped));
        at += if is_there { skipped.len() } else { 0 };
    }
    let mark = read(bytes, at);
    let is_quoted = mark.is_quote();
    let value =
        if is_quoted { values::quoted(bytes, at).inner } else { unquoted(bytes, values::word(bytes, at)) };
    let text = &bytes[value.clone()];
    if ordinary::is_in_its_place(text) || !is_quoted && ordinary::is_of_a_sentence(text) {
        return;
    }
    let Some(meaning) = meaning().filter(|meaning| is_certain(*meaning)) else { return };
    let ends_line = read(bytes, skip_spaces(bytes, value.end, Writing::Plain)).is_blank()
        || bytes.get(value.end) == Some(&b'.') && read(bytes, value.end + 1).is_blank();
    let is_likely = match (meaning.demand, meaning.kind) {
        _ if is_quoted => true,
        (Demand::Code, _) => text.iter().any(u8::is_ascii_digit) && text.len() >= 4,
        (_, Kind::Password) => {
            is_marked(text) || is_mixed_case(text) || ends_line && !ordinary::is_participle(text)
        }
        _ => is_marked(text) && text.len() >= 8,
    };
    if is_likely {
        finds.add(meaning.kind, value);
    }
}

/// `password for user anna: x`, `changed the password of anna to x`
fn after_owner(bytes: &[u8], at: usize, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    const MOST_WORDS: usize = 4;
    let mut at = at;
    for _ in 0..MOST_WORDS {
        let start = skip_spaces(bytes, at, Writing::Plain);
        let end = start + run(bytes, start, 64, |byte| byte > b' ');
        let word = &bytes[start..end];
        if word.is_empty() {
            return;
        }
        if !word.ends_with(b":") && !is_verb(word) {
            at = end;
            continue;
        }
        let next = skip_spaces(bytes, end, Writing::Plain);
        let mark = read(bytes, next);
        let is_quoted = mark.is_quote();
        let value = if is_quoted {
            values::quoted(bytes, next).inner
        } else {
            unquoted(bytes, values::word(bytes, next))
        };
        let text = &bytes[value.clone()];
        if (is_quoted || is_marked(text))
            && !ordinary::is_in_its_place(text)
            && let Some(meaning) =
                meaning().filter(|meaning| meaning.kind == Kind::Password && is_certain(*meaning))
        {
            finds.add(meaning.kind, value);
        }
        return;
    }
}

/// Routers write how a password is encrypted before it: `secret 5 $1$…`, `password 7 0822455D0A16`.
fn after_type(bytes: &[u8], at: usize, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let value = unquoted(bytes, values::word(bytes, skip_spaces(bytes, at, Writing::Plain)));
    let text = &bytes[value.clone()];
    let is_likely = text.len() >= 4 && text.iter().any(|byte| !byte.is_ascii_alphabetic());
    if is_likely
        && !ordinary::is_in_its_place(text)
        && let Some(meaning) = meaning().filter(|meaning| is_certain(*meaning))
    {
        finds.add(meaning.kind, value);
    }
}

/// Takes away the marks of the sentence around a word.
fn unquoted(bytes: &[u8], word: Range<usize>) -> Range<usize> {
    let text = &bytes[word.clone()];
    let kept = text.iter().rposition(|byte| !matches!(byte, b',' | b';' | b'.' | b')' | b':' | b']'));
    word.start..word.start + kept.map_or(0, |last| last + 1)
}

/// Whether a word is none of a language, and no address, path, time or member either.
fn is_marked(word: &[u8]) -> bool {
    let letters = word.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let word = word.strip_suffix(b"?").unwrap_or(word);
    let marks = word.iter().filter(|byte| b"!#$%^&*?@+~".contains(byte)).count();
    let is_place = word.iter().any(|byte| matches!(byte, b'/' | b'\\' | b':' | b'=' | b'(' | b'<' | b'['));
    let parts = word.split(|byte| *byte == b'.').count();
    let is_algorithm = word.len() < 8 && names::contains(ALGORITHMS, &word.to_ascii_lowercase());
    letters > 0 && digits + marks > 0 && word.len() >= 5 && !is_place && parts <= 2 && !is_algorithm
}

fn is_mixed_case(word: &[u8]) -> bool {
    let begins_later = word.iter().skip(1).any(u8::is_ascii_uppercase);
    begins_later && word.iter().any(u8::is_ascii_lowercase)
}

fn is_year(word: &[u8]) -> bool {
    word.len() == 4 && (word.starts_with(b"19") || word.starts_with(b"20"))
}

/// Whether `login anna` or `username anna` stands before the name, as in `.netrc` and on routers.
fn names_a_user(bytes: &[u8], at: usize) -> bool {
    const LONGEST: usize = 64;
    if at == 0 || bytes[at - 1] != b' ' {
        return false;
    }
    let user = run_before(bytes, at - 1, LONGEST, |byte| byte > b' ');
    let before = word_before(bytes, at - 1 - user);
    let is_user = user > 0 && !ordinary::is_of_a_sentence(&bytes[at - 1 - user..at - 1]);
    is_user && [&b"login"[..], b"username", b"user"].iter().any(|word| before.eq_ignore_ascii_case(word))
}

/// Whether it is the command `PASS` of FTP, POP3 and IRC, not the verdict of a test.
fn is_command(bytes: &[u8], name: &Name) -> bool {
    const LOOKED_AT: usize = 48;
    if &bytes[name.range.clone()] != b"PASS" {
        return false;
    }
    let before = &bytes[name.range.start.saturating_sub(LOOKED_AT)..name.range.start];
    let tells = |word: &[u8]| before.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    name.before.is_quote() || tells(b"ftp") || tells(b"command") || tells(b"pop3") || tells(b"USER ")
}
