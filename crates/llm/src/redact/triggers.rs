//! What makes it worth looking closer: words and marks, found in one pass over the text whatever their case.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::redact::{
    Kind,
    clients::{CLIENTS, Client},
    encoded::{self, Encoding},
    keys::Form,
    names::{Demand, Meaning},
    spoken::Statement,
    tokens::{SHAPES, Shape},
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Trigger {
    /// A word that occurs in names of secrets.
    Name,
    /// A word for a password in letters beyond ASCII.
    ForeignName,
    /// A scheme of HTTP's authentication.
    Scheme,
    Token(&'static Shape),
    /// What comes before the host of a URL.
    Url,
    /// An `@` that is not written as one.
    At,
    PrivateKey(Form),
    Client(&'static Client),
    Statement(Statement),
    Encoded(Encoding),
}

const NAMES: [&str; 46] = [
    "pass", "pswd", "paswd", "pwd", "pw", "pword", "kennwort", "wachtwoord", "contrase", "senha", "haslo", "heslo",
    "geslo", "parola", "salasana", "losenord", "adgangskode", "jelszo", "sifre", "lozinka", "slaptazodis", "clave",
    "secret", "token", "key", "auth", "bearer", "cookie", "sess", "sid", "credential", "creds", "pin", "otp", "cvv",
    "cvc", "code", "sig", "signature", "jwt", "saml", "assertion", "ticket", "psk", "mnemonic", "phrase",
];

const MORE_NAMES: [&str; 5] = ["verifier", "community", "csrf", "xsrf", "securestring"];

const FOREIGN_NAMES: [&str; 23] = [
    "contraseña", "hasło", "lösenord", "jelszó", "şifre", "slaptažodis", "парол", "密码", "密碼", "口令", "暗証番号",
    "パスワード", "비밀번호", "암호", "mật khẩu", "κωδικός", "κωδικό", "סיסמה", "סיסמא", "كلمة المرور", "كلمة السر", "รหัสผ่าน",
    "पासवर्ड",
];

const SCHEMES: [&str; 6] = ["bearer", "basic ", "basic%20", "basic+", "ntlm ", "negotiate "];

const URLS: [&str; 4] = ["://", "%3a%2f%2f", ":\\/\\/", "%253a%252f%252f"];

const AT: [&str; 7] = ["%40", "%2540", "&#64;", "&#x40;", "&commat;", "\\u0040", "＠"];

const PEM: [&str; 4] = ["private key", "private%20key", "private+key", "private%2520key"];

const JWK: [&str; 4] = ["\"d\":\"", "\"d\": \"", "\\\"d\\\":\\\"", "\"k\":\""];

struct Triggers {
    automaton: AhoCorasick,
    /// What each of its patterns tells.
    told: Vec<Trigger>,
}

static TRIGGERS: LazyLock<Triggers> = LazyLock::new(|| {
    let (patterns, told): (Vec<String>, Vec<Trigger>) = patterns().into_iter().unzip();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(patterns)
        .expect("a few hundred words fit");
    Triggers { automaton, told }
});

/// Calls `found` with each trigger and its place, in the order of their ends.
pub(super) fn each(bytes: &[u8], mut found: impl FnMut(Trigger, Range<usize>)) {
    let Triggers { automaton, told } = &*TRIGGERS;
    for hit in automaton.find_overlapping_iter(bytes) {
        found(told[hit.pattern().as_usize()], hit.range());
    }
}

/// Returns what a name in letters beyond ASCII says.
pub(super) fn foreign_meaning(name: &str) -> Option<Meaning> {
    let name = name.to_lowercase();
    let is_known = FOREIGN_NAMES.iter().any(|word| name.contains(word));
    is_known.then_some(Meaning { kind: Kind::Password, demand: Demand::Anything })
}

fn patterns() -> Vec<(String, Trigger)> {
    let all = |words: &[&str], trigger: Trigger| -> Vec<(String, Trigger)> {
        words.iter().map(|word| ((*word).to_owned(), trigger)).collect()
    };
    let mut patterns = all(&NAMES, Trigger::Name);
    patterns.extend(all(&MORE_NAMES, Trigger::Name));
    let foreign = FOREIGN_NAMES.iter().flat_map(|word| spellings(word));
    patterns.extend(foreign.map(|word| (word, Trigger::ForeignName)));
    patterns.extend(all(&SCHEMES, Trigger::Scheme));
    patterns.extend(SHAPES.iter().flat_map(|shape| {
        // Two letters occur in too many words.
        let ends: &[&str] = if shape.prefix == "SK" { &HEX_DIGITS } else { &[""] };
        ends.iter().map(move |end| (format!("{}{end}", shape.prefix), Trigger::Token(shape)))
    }));
    patterns.extend(all(&URLS, Trigger::Url));
    patterns.extend(all(&AT, Trigger::At));
    patterns.extend(all(&PEM, Trigger::PrivateKey(Form::Pem)));
    patterns.extend(all(&["private-lines:"], Trigger::PrivateKey(Form::Putty)));
    patterns.extend(all(&JWK, Trigger::PrivateKey(Form::Jwk)));
    patterns.extend(CLIENTS.iter().flat_map(|client| all(client.names, Trigger::Client(client))));
    patterns.extend(all(&["identified by"], Trigger::Statement(Statement::Identified)));
    patterns.extend(all(&["set password"], Trigger::Statement(Statement::SetPassword)));
    patterns.extend(all(&["login attempt ["], Trigger::Statement(Statement::LoginAttempt)));
    patterns.extend(encoded::needles().into_iter().map(|(word, encoding)| (word, Trigger::Encoded(encoding))));
    patterns
}

const HEX_DIGITS: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// Returns a word in lower, upper and title case, each as it stands, in percent signs and in JSON's escapes.
fn spellings(word: &str) -> Vec<String> {
    let mut chars = word.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let mut cases = vec![word.to_owned(), word.to_uppercase(), first + chars.as_str()];
    cases.sort();
    cases.dedup();
    cases.iter().flat_map(|case| [case.clone(), in_percent_signs(case), in_escapes(case)]).collect()
}

fn in_percent_signs(word: &str) -> String {
    let written = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    word.bytes().map(written).collect()
}

fn in_escapes(word: &str) -> String {
    let mut units = [0; 2];
    let mut written = String::new();
    for c in word.chars() {
        if c.is_ascii() {
            written.push(c);
        } else {
            written.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    written
}
