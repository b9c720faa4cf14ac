//! What a name says about its value: `DB_PASSWORD`, `userPass`, `x-api-key`, and what `passwordPolicy` does not.

use std::{array, sync::LazyLock};

use crate::redact::Kind;

/// What a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: Kind,
    pub(super) demand: Demand,
}

/// What a value must be like to be a secret under such a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Anything,
    /// Anything; words may follow.
    Phrase,
    /// A few digits, perhaps with letters.
    Code,
    /// Not a small number.
    Session,
    /// The name says little: letters and digits, as long as a token.
    Long,
    /// The name says next to nothing.
    VeryLong,
    /// As long as a token, in a query.
    InQuery,
    Authorization,
    Cookie,
}

impl Demand {
    /// Whether most values are no secrets.
    pub(super) fn is_picky(self) -> bool {
        matches!(self, Self::Code | Self::Long | Self::VeryLong | Self::InQuery)
    }
}

/// A word by which a name is known.
struct Stem {
    word: &'static str,
    fit: Fit,
    kind: Kind,
    demand: Demand,
}

/// What may come before a stem.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Letters, as in `mysqlpassword`.
    Glued,
    /// Only whole words.
    Whole,
}

const fn stem(word: &'static str, fit: Fit, kind: Kind, demand: Demand) -> Stem {
    Stem { word, fit, kind, demand }
}

/// In the order of their first letters.
const STEMS: &[Stem] = {
    use Demand::{Anything, Authorization, Code, Cookie, InQuery, Long, Phrase, Session, VeryLong};
    use Fit::{Glued, Whole};
    &[
        stem("accesscode", Glued, Kind::Pin, Code),
        stem("accesskey", Glued, Kind::ApiKey, Anything),
        stem("accountkey", Glued, Kind::ApiKey, Anything),
        stem("activationkey", Glued, Kind::ApiKey, Anything),
        stem("adgangskode", Glued, Kind::Password, Anything),
        stem("adminkey", Glued, Kind::ApiKey, Anything),
        stem("aeskey", Glued, Kind::ApiKey, Anything),
        stem("apikey", Glued, Kind::ApiKey, Anything),
        stem("appkey", Glued, Kind::ApiKey, Anything),
        stem("applicationkey", Glued, Kind::ApiKey, Anything),
        stem("aspsessionid", Whole, Kind::Session, Session),
        stem("assertion", Glued, Kind::Token, Long),
        stem("auth", Whole, Kind::Token, Long),
        stem("authcode", Glued, Kind::Token, Long),
        stem("authenticationkey", Glued, Kind::ApiKey, Anything),
        stem("authkey", Glued, Kind::ApiKey, Anything),
        stem("authorisation", Glued, Kind::Token, Authorization),
        stem("authorization", Glued, Kind::Token, Authorization),
        stem("authorizationcode", Glued, Kind::Token, Long),
        stem("backupcode", Glued, Kind::Secret, Anything),
        stem("basicauth", Glued, Kind::Password, Anything),
        stem("bearer", Whole, Kind::Token, Authorization),
        stem("cipherkey", Glued, Kind::ApiKey, Anything),
        stem("clave", Whole, Kind::Password, Anything),
        stem("code", Whole, Kind::Token, InQuery),
        stem("codeverifier", Glued, Kind::Token, Anything),
        stem("communitystring", Glued, Kind::Password, Anything),
        stem("confirmationcode", Glued, Kind::Pin, Code),
        stem("consumerkey", Glued, Kind::ApiKey, Anything),
        stem("contrasena", Glued, Kind::Password, Anything),
        stem("contrasenya", Glued, Kind::Password, Anything),
        stem("cookie", Glued, Kind::Cookie, Cookie),
        stem("credential", Glued, Kind::ConnectionString, Anything),
        stem("credentials", Glued, Kind::ConnectionString, Anything),
        stem("creds", Whole, Kind::ConnectionString, Anything),
        stem("csrf", Whole, Kind::Token, Long),
        stem("cvc", Whole, Kind::Pin, Code),
        stem("cvv", Whole, Kind::Pin, Code),
        stem("decryptionkey", Glued, Kind::ApiKey, Anything),
        stem("deploykey", Glued, Kind::ApiKey, Anything),
        stem("encryptionkey", Glued, Kind::ApiKey, Anything),
        stem("functionkey", Glued, Kind::ApiKey, Anything),
        stem("geslo", Whole, Kind::Password, Anything),
        stem("haslo", Whole, Kind::Password, Anything),
        stem("heslo", Whole, Kind::Password, Anything),
        stem("hmackey", Glued, Kind::ApiKey, Anything),
        stem("hotp", Whole, Kind::Pin, Code),
        stem("jelszo", Whole, Kind::Password, Anything),
        stem("jsessionid", Glued, Kind::Session, Session),
        stem("jwt", Whole, Kind::Token, Anything),
        stem("kennwort", Glued, Kind::Password, Anything),
        stem("key", Whole, Kind::ApiKey, VeryLong),
        stem("licencekey", Glued, Kind::ApiKey, Anything),
        stem("licensekey", Glued, Kind::ApiKey, Anything),
        stem("logincode", Glued, Kind::Pin, Code),
        stem("losenord", Glued, Kind::Password, Anything),
        stem("lozinka", Whole, Kind::Password, Anything),
        stem("masterkey", Glued, Kind::ApiKey, Anything),
        stem("mfacode", Glued, Kind::Pin, Code),
        stem("mnemonic", Whole, Kind::Secret, Phrase),
        stem("motdepasse", Glued, Kind::Password, Anything),
        stem("onetimecode", Glued, Kind::Pin, Code),
        stem("otp", Whole, Kind::Pin, Code),
        stem("otpcode", Glued, Kind::Pin, Code),
        stem("parola", Whole, Kind::Password, Anything),
        stem("pass", Glued, Kind::Password, Anything),
        stem("passcode", Glued, Kind::Password, Anything),
        stem("passe", Whole, Kind::Password, Anything),
        stem("passkey", Glued, Kind::Password, Anything),
        stem("passord", Glued, Kind::Password, Anything),
        stem("passphrase", Glued, Kind::Password, Phrase),
        stem("passwd", Glued, Kind::Password, Anything),
        stem("password", Glued, Kind::Password, Anything),
        stem("passwort", Glued, Kind::Password, Anything),
        stem("passwrd", Glued, Kind::Password, Anything),
        stem("paswd", Glued, Kind::Password, Anything),
        stem("phpsessid", Glued, Kind::Session, Session),
        stem("pin", Whole, Kind::Pin, Code),
        stem("pincode", Glued, Kind::Pin, Code),
        stem("presharedkey", Glued, Kind::ApiKey, Anything),
        stem("privatekey", Glued, Kind::PrivateKey, Anything),
        stem("privkey", Glued, Kind::PrivateKey, Anything),
        stem("psk", Whole, Kind::Password, Anything),
        stem("pswd", Glued, Kind::Password, Anything),
        stem("pw", Glued, Kind::Password, Anything),
        stem("pwd", Glued, Kind::Password, Anything),
        stem("pword", Glued, Kind::Password, Anything),
        stem("recoverycode", Glued, Kind::Secret, Anything),
        stem("recoverykey", Glued, Kind::Secret, Anything),
        stem("recoveryphrase", Glued, Kind::Secret, Phrase),
        stem("salasana", Whole, Kind::Password, Anything),
        stem("samlart", Glued, Kind::Token, Long),
        stem("samlrequest", Glued, Kind::Token, Long),
        stem("samlresponse", Glued, Kind::Token, Long),
        stem("secret", Glued, Kind::Secret, Anything),
        stem("secretid", Glued, Kind::Secret, Anything),
        stem("secretkey", Glued, Kind::Secret, Anything),
        stem("securestring", Glued, Kind::Password, Anything),
        stem("securitycode", Glued, Kind::Pin, Code),
        stem("seedphrase", Glued, Kind::Secret, Phrase),
        stem("senha", Whole, Kind::Password, Anything),
        stem("serverkey", Glued, Kind::ApiKey, Long),
        stem("servicekey", Glued, Kind::ApiKey, Long),
        stem("sess", Whole, Kind::Session, Long),
        stem("sessid", Glued, Kind::Session, Session),
        stem("session", Whole, Kind::Session, Long),
        stem("sessionid", Glued, Kind::Session, Session),
        stem("sessionkey", Glued, Kind::ApiKey, Anything),
        stem("sharedaccesskey", Glued, Kind::ApiKey, Anything),
        stem("sharedkey", Glued, Kind::ApiKey, Anything),
        stem("sid", Whole, Kind::Session, Long),
        stem("sifre", Whole, Kind::Password, Anything),
        stem("sig", Whole, Kind::Token, Long),
        stem("signature", Whole, Kind::Token, Long),
        stem("signingkey", Glued, Kind::ApiKey, Anything),
        stem("slaptazodis", Whole, Kind::Password, Anything),
        stem("smscode", Glued, Kind::Pin, Code),
        stem("snmpcommunity", Glued, Kind::Password, Anything),
        stem("sshkey", Glued, Kind::PrivateKey, Long),
        stem("storagekey", Glued, Kind::ApiKey, Long),
        stem("subscriptionkey", Glued, Kind::ApiKey, Anything),
        stem("ticket", Whole, Kind::Token, Long),
        stem("token", Glued, Kind::Token, Anything),
        stem("totp", Whole, Kind::Pin, Code),
        stem("verificationcode", Glued, Kind::Pin, Code),
        stem("wachtwoord", Glued, Kind::Password, Anything),
        stem("webhookkey", Glued, Kind::ApiKey, Anything),
        stem("wepkey", Glued, Kind::Password, Anything),
        stem("wpapsk", Glued, Kind::Password, Anything),
        stem("writekey", Glued, Kind::ApiKey, Anything),
        stem("xsrf", Whole, Kind::Token, Long),
    ]
};

/// Words that end like a stem, and say the opposite or something else. In order.
const OTHER_WORDS: &[&str] = &[
    "bypass",
    "compass",
    "encompass",
    "monkeypass",
    "multipass",
    "nopass",
    "nopasswd",
    "nopassword",
    "notoken",
    "outpass",
    "overpass",
    "surpass",
    "trespass",
    "underpass",
];

/// What may be glued to a stem. In order.
const GLUED_AFTER: &[&str] = &[
    "b64",
    "base64",
    "confirm",
    "confirmation",
    "enc",
    "encrypted",
    "field",
    "hash",
    "hashed",
    "header",
    "hex",
    "new",
    "old",
    "param",
    "plain",
    "plaintext",
    "s",
    "salt",
    "str",
    "string",
    "text",
    "val",
    "value",
    "word",
];

/// Words after a stem that tell of something about the secret. In order.
const ABOUT_IT: &[&str] = &[
    "age",
    "agent",
    "alg",
    "algorithm",
    "allowed",
    "at",
    "attempt",
    "attempts",
    "audience",
    "auth",
    "authentication",
    "backend",
    "bucket",
    "budget",
    "bytes",
    "cache",
    "change",
    "changed",
    "changes",
    "class",
    "complexity",
    "config",
    "cost",
    "count",
    "counter",
    "created",
    "date",
    "days",
    "denied",
    "dir",
    "directory",
    "disabled",
    "duration",
    "elevation",
    "empty",
    "enabled",
    "encoding",
    "endpoint",
    "env",
    "error",
    "errors",
    "exchange",
    "exists",
    "exp",
    "expiration",
    "expire",
    "expired",
    "expires",
    "expiring",
    "expiry",
    "failed",
    "failure",
    "failures",
    "file",
    "filename",
    "fingerprint",
    "format",
    "generator",
    "grant",
    "group",
    "guid",
    "handler",
    "hint",
    "history",
    "hits",
    "host",
    "hours",
    "id",
    "ids",
    "idx",
    "index",
    "invalid",
    "issued",
    "issuer",
    "jar",
    "kind",
    "label",
    "last",
    "len",
    "length",
    "less",
    "level",
    "lifetime",
    "limit",
    "limits",
    "link",
    "location",
    "login",
    "manager",
    "match",
    "max",
    "maximum",
    "method",
    "min",
    "minimum",
    "minutes",
    "missing",
    "mode",
    "modified",
    "module",
    "name",
    "names",
    "needed",
    "offset",
    "owner",
    "page",
    "path",
    "plugin",
    "policies",
    "policy",
    "port",
    "pos",
    "position",
    "present",
    "privilege",
    "privileges",
    "prompt",
    "protected",
    "provider",
    "rate",
    "reference",
    "request",
    "required",
    "reset",
    "response",
    "retries",
    "ring",
    "role",
    "rotated",
    "rotation",
    "rule",
    "rules",
    "scheme",
    "scope",
    "scopes",
    "score",
    "sec",
    "seconds",
    "service",
    "set",
    "size",
    "source",
    "state",
    "status",
    "stdin",
    "store",
    "strength",
    "success",
    "time",
    "timeout",
    "total",
    "ttl",
    "type",
    "types",
    "updated",
    "uri",
    "url",
    "usage",
    "used",
    "user",
    "username",
    "valid",
    "validation",
    "validator",
    "validity",
    "version",
];

/// Words before a stem that take its meaning away.
const NOT_IT: &[&str] = &["document", "forgot", "max", "min", "no", "num", "public", "total", "without"];

/// Longer names are no names.
pub(super) const NAME_MAX: usize = 96;

/// A name without what divides its words.
struct Flat {
    bytes: [u8; NAME_MAX],
    len: usize,
    /// A bit for each byte that begins a word.
    starts: u128,
}

/// Returns what a name says about its value. Before it there may be a word that belongs to it, as in `api key`.
pub(super) fn meaning(name: &[u8], before: &[u8]) -> Option<Meaning> {
    let alone = Flat::of(&[name])?.meaning();
    let is_certain = alone.is_some_and(|meaning| meaning.demand == Demand::Anything);
    if is_certain || before.is_empty() {
        return alone;
    }
    Flat::of(&[before, name]).and_then(|both| both.meaning()).or(alone)
}

impl Flat {
    fn of(parts: &[&[u8]]) -> Option<Self> {
        let mut flat = Self { bytes: [0; NAME_MAX], len: 0, starts: 0 };
        for part in parts {
            let mut previous = b'_';
            for (at, byte) in part.iter().copied().enumerate() {
                if byte.is_ascii_alphanumeric() {
                    let begins = begins_word(previous, byte, part.get(at + 1).copied());
                    flat.push(byte.to_ascii_lowercase(), begins)?;
                }
                previous = byte;
            }
        }
        Some(flat)
    }

    fn push(&mut self, byte: u8, begins_word: bool) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte;
        self.starts |= u128::from(begins_word) << self.len;
        self.len += 1;
        Some(())
    }

    /// The stem that ends last decides, of these the longest: in `password_reset_token` it is the token.
    fn meaning(&self) -> Option<Meaning> {
        let mut last: Option<(usize, &Stem)> = None;
        for at in 0..self.len {
            for stem in self.stems_at(at) {
                let end = at + stem.word.len();
                if last.is_none_or(|(other, _)| end > other) {
                    last = Some((end, stem));
                }
            }
        }
        let (end, stem) = last?;
        let meaning = Meaning { kind: stem.kind, demand: stem.demand };
        let keeps_meaning = self.keeps_meaning_before(end - stem.word.len());
        (keeps_meaning && self.keeps_meaning_after(end, stem)).then_some(meaning)
    }

    fn stems_at(&self, at: usize) -> impl Iterator<Item = &'static Stem> {
        let rest = &self.bytes[at..self.len];
        let begins_word = self.begins_word(at);
        stems_like(rest)
            .iter()
            .filter(|stem| rest.starts_with(stem.word.as_bytes()))
            .filter(move |stem| stem.fit == Fit::Glued || begins_word)
            .filter(move |stem| self.may_end(at + stem.word.len(), stem))
    }

    fn begins_word(&self, at: usize) -> bool {
        at >= self.len || self.starts >> at & 1 == 1
    }

    fn word_from(&self, at: usize) -> &[u8] {
        let end = (at + 1..self.len).find(|end| self.begins_word(*end)).unwrap_or(self.len);
        &self.bytes[at..end]
    }

    fn word_until(&self, end: usize) -> &[u8] {
        let start = (0..end).rev().find(|start| self.begins_word(*start)).unwrap_or(0);
        &self.bytes[start..end]
    }

    /// Whether a stem may end there: with its word, or before what is often glued to it.
    fn may_end(&self, end: usize, stem: &Stem) -> bool {
        if self.begins_word(end) {
            return true;
        }
        let glued = self.word_from(end);
        // Nothing else begins like these.
        let is_telling = stem.word.len() >= 8 || matches!(stem.word, "apikey" | "passwd");
        is_telling || contains(GLUED_AFTER, glued) && stem.word != "pw"
    }

    fn keeps_meaning_before(&self, at: usize) -> bool {
        let end_of_word = (at + 1..self.len).find(|end| self.begins_word(*end)).unwrap_or(self.len);
        if contains(OTHER_WORDS, self.word_until(end_of_word)) {
            return false;
        }
        !(self.begins_word(at) && at > 0 && contains(NOT_IT, self.word_until(at)))
    }

    fn keeps_meaning_after(&self, end: usize, stem: &Stem) -> bool {
        let mut at = end;
        while at < self.len {
            let word = self.word_from(at);
            let names_the_session = stem.kind == Kind::Session && word == b"id";
            if contains(ABOUT_IT, word) && !names_the_session {
                return false;
            }
            at += word.len();
        }
        true
    }
}

/// Returns the stems that begin with the same two letters.
fn stems_like(word: &[u8]) -> &'static [Stem] {
    const LETTERS: usize = 26;
    /// How many stems begin with less than each pair of letters.
    static BEFORE: LazyLock<[u8; LETTERS * LETTERS + 1]> = LazyLock::new(|| {
        array::from_fn(|pair| {
            let before =
                STEMS.iter().filter(|stem| pair_of(stem.word.as_bytes()).is_some_and(|of| of < pair));
            u8::try_from(before.count()).expect("some hundred stems")
        })
    });
    fn pair_of(word: &[u8]) -> Option<usize> {
        let place =
            |letter: u8| Some(usize::from(letter.checked_sub(b'a')?)).filter(|place| *place < LETTERS);
        match word {
            [first, second, ..] => Some(place(*first)? * LETTERS + place(*second)?),
            _ => None,
        }
    }
    let Some(pair) = pair_of(word) else { return &[] };
    &STEMS[usize::from(BEFORE[pair])..usize::from(BEFORE[pair + 1])]
}

fn begins_word(previous: u8, byte: u8, next: Option<u8>) -> bool {
    let is_camel = previous.is_ascii_lowercase() && byte.is_ascii_uppercase();
    let ends_capitals = previous.is_ascii_uppercase()
        && byte.is_ascii_uppercase()
        && next.is_some_and(|next| next.is_ascii_lowercase());
    let is_number = previous.is_ascii_digit() != byte.is_ascii_digit();
    !previous.is_ascii_alphanumeric() || is_camel || ends_capitals || is_number
}

/// Whether a word is among those, which are in order.
pub(super) fn contains(words: &[&str], word: &[u8]) -> bool {
    words.binary_search_by(|known| known.as_bytes().cmp(word)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_order() {
        for words in [OTHER_WORDS, GLUED_AFTER, ABOUT_IT, NOT_IT] {
            assert!(words.is_sorted(), "{:?}", words.windows(2).find(|pair| pair[0] > pair[1]));
        }
        assert!(STEMS.is_sorted_by_key(|stem| stem.word));
    }

    #[test]
    fn a_name_of_a_secret_is_known_in_any_spelling() {
        let names = "password Password PASSWORD userPassword user_password user-password DB_PASSWORD dbpassword \
            MYSQL_ROOT_PASSWORD spring.datasource.password passwordConfirm password2 password_hash newPassword \
            passwd userPasswd pwd Pwd unicodePwd pass dbPass db_pass DBPASS smtp_pass secret clientSecret \
            client_secret CLIENT-SECRET secretKey SecretAccessKey secret_key_base apiKey api_key api-key apikey \
            X-Api-Key x-api-key APIKEY accessToken access_token refresh_token authToken x-auth-token token \
            id_token csrfToken password_reset_token Authorization Proxy-Authorization Cookie Set-Cookie PHPSESSID \
            JSESSIONID sessionId session_id private_key privateKey credentials pin PIN otp totp_code cvv2 \
            passphrase passwort Kennwort contrasena senha haslo motDePasse mot_de_passe AccountKey SharedAccessKey \
            wpa_passphrase psk bindpw olcRootPW storepass";
        for name in names.split_whitespace() {
            assert!(meaning(name.as_bytes(), b"").is_some(), "{name}");
        }
        assert!(meaning(b"key", b"api").is_some_and(|meaning| meaning.demand == Demand::Anything));
    }

    #[test]
    fn a_name_that_tells_about_a_secret_is_not_its_name() {
        let names = "passwordPolicy password_policy password-length passwordExpired passwordLastSet PasswordAge \
            secretary secretName secret_arn_version tokenizer tokenType token_type tokenId expires_token_at bypass \
            compass passenger passive pinned mapping spinning keyboard turnkey keyId publickey no_password NOPASSWD \
            author authority cookies_enabled session_timeout sidebar inside password_file passwordless max_tokens \
            barcode decode signal design optional";
        for name in names.split_whitespace() {
            let certain = meaning(name.as_bytes(), b"").filter(|meaning| meaning.demand == Demand::Anything);
            assert_eq!(certain, None, "{name}");
        }
    }
}
