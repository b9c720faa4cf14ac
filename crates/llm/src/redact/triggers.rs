//! What makes it worth looking closer: words and marks, found in one pass over the text whatever their case.

use std::{ops::Range, sync::LazyLock};

use crate::redact::{
    Kind,
    clients::{CLIENTS, Client},
    encoded::{self, Encoding},
    keys::Form,
    names::{Demand, Meaning},
    spotter::Spotter,
    statements::Statement,
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

const NAMES: [&str; 50] = [
    "pass",
    "pswd",
    "paswd",
    "pwd",
    "pword",
    "kennwort",
    "wachtwoord",
    "contrase",
    "senha",
    "haslo",
    "heslo",
    "geslo",
    "parola",
    "salasana",
    "losenord",
    "adgangskode",
    "jelszo",
    "sifre",
    "lozinka",
    "slaptazodis",
    "clave",
    "secret",
    "token",
    "key",
    "auth",
    "bearer",
    "cookie",
    "sess",
    "sid",
    "credential",
    "creds",
    "pin",
    "otp",
    "cvv",
    "cvc",
    "code",
    "sig",
    "signature",
    "jwt",
    "saml",
    "assertion",
    "ticket",
    "psk",
    "mnemonic",
    "phrase",
    "verifier",
    "community",
    "csrf",
    "xsrf",
    "securestring",
];

/// What may come after a name that ends with `pw`; two letters occur in too many words.
const PW_ENDS: &str = "=:\"'%\\]>_- ";

const FOREIGN_NAMES: [&str; 24] = [
    "contraseña",
    "hasło",
    "lösenord",
    "jelszó",
    "şifre",
    "slaptažodis",
    "парол",
    "пароль",
    "密码",
    "密碼",
    "口令",
    "暗証番号",
    "パスワード",
    "비밀번호",
    "암호",
    "mật khẩu",
    "κωδικός",
    "κωδικό",
    "סיסמה",
    "סיסמא",
    "كلمة المرور",
    "كلمة السر",
    "รหัสผ่าน",
    "पासवर्ड",
];

const SCHEMES: [&str; 7] = ["bearer", "basic ", "basic%20", "basic+", "ntlm ", "negotiate ", "auth plain "];

const URLS: [&str; 4] = ["://", "%3a%2f%2f", ":\\/\\/", "%253a%252f%252f"];

const AT: [&str; 7] = ["%40", "%2540", "&#64;", "&#x40;", "&commat;", "\\u0040", "＠"];

const PEM: [&str; 4] = ["private key", "private%20key", "private+key", "private%2520key"];

const JWK: [&str; 4] = ["\"d\":\"", "\"d\": \"", "\\\"d\\\":\\\"", "\"k\":\""];

struct Triggers {
    spotter: Spotter,
    /// What each of its words tells.
    told: Box<[Trigger]>,
}

static TRIGGERS: LazyLock<Triggers> = LazyLock::new(|| {
    let (words, told): (Vec<String>, Vec<Trigger>) = words().into_iter().unzip();
    Triggers { spotter: Spotter::new(words.iter().map(String::as_str)), told: told.into() }
});

/// Calls `found` with each trigger and its place, about in the order of these.
pub(super) fn each(bytes: &[u8], mut found: impl FnMut(Trigger, Range<usize>)) {
    let Triggers { spotter, told } = &*TRIGGERS;
    spotter.spot(bytes, |number, place| found(told[number], place));
}

/// Returns what a name in letters beyond ASCII says.
pub(super) fn foreign_meaning(name: &str) -> Option<Meaning> {
    let name = name.to_lowercase();
    let is_known = FOREIGN_NAMES.iter().any(|word| name.contains(word));
    is_known.then_some(Meaning { kind: Kind::Password, demand: Demand::Anything })
}

fn words() -> Vec<(String, Trigger)> {
    let all = |words: &[&str], trigger: Trigger| -> Vec<(String, Trigger)> {
        words.iter().map(|word| ((*word).to_owned(), trigger)).collect()
    };
    let mut words = all(&NAMES, Trigger::Name);
    words.extend(PW_ENDS.chars().map(|end| (format!("pw{end}"), Trigger::Name)));
    let foreign = FOREIGN_NAMES.iter().flat_map(|word| spellings(word));
    words.extend(foreign.map(|word| (word, Trigger::ForeignName)));
    words.extend(all(&SCHEMES, Trigger::Scheme));
    words.extend(SHAPES.iter().flat_map(|shape| {
        shape.beginnings().into_iter().map(move |beginning| (beginning, Trigger::Token(shape)))
    }));
    words.extend(all(&URLS, Trigger::Url));
    words.extend(all(&AT, Trigger::At));
    words.extend(all(&PEM, Trigger::PrivateKey(Form::Pem)));
    words.extend(all(&["private-lines:"], Trigger::PrivateKey(Form::Putty)));
    words.extend(all(&JWK, Trigger::PrivateKey(Form::Jwk)));
    words.extend(CLIENTS.iter().flat_map(|client| all(client.names, Trigger::Client(client))));
    words.extend(all(&["identified by"], Trigger::Statement(Statement::Identified)));
    words.extend(all(&["set password"], Trigger::Statement(Statement::SetPassword)));
    words.extend(all(&["login attempt ["], Trigger::Statement(Statement::LoginAttempt)));
    words.extend(all(&["insert into"], Trigger::Statement(Statement::Insert)));
    words.extend(all(&["\"auth\" \""], Trigger::Statement(Statement::Auth)));
    words.extend(all(&[" is your "], Trigger::Statement(Statement::IsYour)));
    words.extend(encoded::needles().into_iter().map(|(word, encoding)| (word, Trigger::Encoded(encoding))));
    words
}

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
    let written = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
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
