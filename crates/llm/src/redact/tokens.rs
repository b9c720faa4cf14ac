//! Tokens that are known by their shape, as their issuers document them; and long random words near a telling name.

use std::ops::Range;

use crate::redact::{
    Finds, Kind,
    names::{Demand, Meaning},
    written::{begins_word, run, run_before},
};

/// How a kind of token looks.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) prefix: &'static str,
    alphabet: Alphabet,
    /// How many characters come after the prefix at least.
    least: usize,
    kind: Kind,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Alphabet {
    Upper,
    Hex,
    Alnum,
    /// Also `_` and `-`.
    Word,
    /// Also dots.
    Dotted,
    /// Also what base64 and percent signs add.
    Base64,
    /// Also what divides the parts of a path.
    Path,
    /// What the hashes of passwords are written with.
    Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It begins a word.
    Word,
    /// It may stand in anything; its case does not matter.
    Anywhere,
    /// After it, or before it, comes a secret without a prefix.
    AwsKey,
    Jwt,
    /// A number and a colon come before it.
    Telegram,
    /// Three characters and a digit come before it.
    Entra,
}

const fn token(prefix: &'static str, alphabet: Alphabet, least: usize) -> Shape {
    Shape { prefix, alphabet, least, kind: Kind::Token, place: Place::Word }
}

const fn api_key(prefix: &'static str, alphabet: Alphabet, least: usize) -> Shape {
    Shape { prefix, alphabet, least, kind: Kind::ApiKey, place: Place::Word }
}

const fn private_key(prefix: &'static str) -> Shape {
    Shape { prefix, alphabet: Alphabet::Base64, least: 24, kind: Kind::PrivateKey, place: Place::Word }
}

const fn webhook(prefix: &'static str) -> Shape {
    Shape { prefix, alphabet: Alphabet::Path, least: 20, kind: Kind::Token, place: Place::Anywhere }
}

const fn hash(prefix: &'static str) -> Shape {
    Shape { prefix, alphabet: Alphabet::Hash, least: 20, kind: Kind::Hash, place: Place::Anywhere }
}

pub(super) const SHAPES: &[Shape] = {
    use Alphabet::{Alnum, Base64, Dotted, Hex, Upper, Word};
    &[
        // Clouds.
        Shape { prefix: "AKIA", alphabet: Upper, least: 16, kind: Kind::ApiKey, place: Place::AwsKey },
        Shape { prefix: "ASIA", alphabet: Upper, least: 16, kind: Kind::ApiKey, place: Place::AwsKey },
        Shape { prefix: "Q~", alphabet: Dotted, least: 31, kind: Kind::Secret, place: Place::Entra },
        api_key("AIza", Word, 30),
        api_key("AQ.", Word, 30),
        token("ya29.", Dotted, 20),
        token("1//0", Word, 30),
        token("4/0A", Word, 40),
        api_key("GOCSPX-", Word, 20),
        api_key("LTAI", Alnum, 12),
        api_key("AKID", Alnum, 32),
        token("dop_v1_", Hex, 40),
        token("doo_v1_", Hex, 40),
        token("dor_v1_", Hex, 40),
        token("HRKU-", Word, 30),
        token("nfp_", Alnum, 30),
        token("vercel_", Alnum, 20),
        token("pscale_tkn_", Word, 30),
        token("pscale_pw_", Word, 30),
        token("sbp_", Hex, 36),
        api_key("sb_secret_", Word, 20),
        token("fo1_", Word, 40),
        token("rnd_", Alnum, 20),
        token("pul-", Hex, 40),
        token("tskey-", Word, 20),
        token("dapi", Hex, 32),
        token(".atlasv1.", Word, 50),
        token("hvs.", Word, 24),
        token("hvb.", Word, 24),
        token("hvr.", Word, 24),
        token("dp.pt.", Alnum, 30),
        token("dp.st.", Dotted, 30),
        token("ops_eyJ", Base64, 40),
        // Code and packages.
        token("ghp_", Alnum, 30),
        token("gho_", Alnum, 30),
        token("ghu_", Alnum, 30),
        token("ghs_", Dotted, 30),
        token("ghr_", Alnum, 30),
        token("github_pat_", Word, 22),
        token("glpat-", Dotted, 20),
        token("gldt-", Dotted, 20),
        token("glrt-", Dotted, 20),
        token("glcbt-", Dotted, 20),
        token("glptt-", Dotted, 20),
        token("glft-", Dotted, 20),
        token("glsoat-", Dotted, 20),
        token("glimt-", Dotted, 20),
        token("glagent-", Dotted, 20),
        token("ATATT3x", Base64, 24),
        token("ATCTT3x", Base64, 24),
        token("ATBB", Alnum, 24),
        token("ATTA", Alnum, 60),
        token("npm_", Alnum, 30),
        token("pypi-", Word, 40),
        token("rubygems_", Hex, 40),
        token("cio", Alnum, 32),
        api_key("oy2", Alnum, 40),
        token("dckr_pat_", Word, 20),
        token("dckr_oat_", Word, 20),
        token("AKCp", Alnum, 60),
        token("cmVmdGtuO", Base64, 40),
        token("bkua_", Alnum, 36),
        token("CCIPAT_", Word, 30),
        token("sgp_", Word, 36),
        token("sqp_", Hex, 36),
        token("squ_", Hex, 36),
        token("sqa_", Hex, 36),
        // Messages and mail.
        token("xoxb-", Base64, 20),
        token("xoxp-", Base64, 20),
        token("xoxa-", Base64, 20),
        token("xoxr-", Base64, 20),
        token("xoxs-", Base64, 20),
        token("xoxo-", Base64, 20),
        token("xoxc-", Base64, 20),
        token("xoxd-", Base64, 20),
        token("xoxe-", Base64, 20),
        token("xoxe.", Dotted, 20),
        token("xapp-", Base64, 20),
        webhook("hooks.slack.com/"),
        webhook("discord.com/api/webhooks/"),
        webhook("discordapp.com/api/webhooks/"),
        webhook("webhook.office.com/"),
        webhook("outlook.office.com/webhook/"),
        webhook("hooks.zapier.com/hooks/"),
        webhook("api.telegram.org/bot"),
        Shape { prefix: ":AA", alphabet: Word, least: 30, kind: Kind::Token, place: Place::Telegram },
        Shape { prefix: ":APA91b", alphabet: Word, least: 60, kind: Kind::Token, place: Place::Anywhere },
        api_key("SK", Hex, 32),
        api_key("SG.", Dotted, 40),
        api_key("key-", Hex, 32),
        api_key("xkeysib-", Word, 40),
        api_key("xsmtpsib-", Word, 40),
        token("oauth:", Alnum, 30),
        token("EAA", Alnum, 60),
        // Money and shops.
        api_key("sk_live_", Alnum, 16),
        api_key("sk_test_", Alnum, 16),
        api_key("rk_live_", Alnum, 16),
        api_key("rk_test_", Alnum, 16),
        api_key("whsec_", Base64, 20),
        token("shpat_", Hex, 30),
        token("shpss_", Hex, 30),
        token("shpca_", Hex, 30),
        token("shppa_", Hex, 30),
        token("sq0atp-", Word, 20),
        token("sq0csp-", Word, 20),
        api_key("EZAK", Alnum, 50),
        api_key("FLWSECK", Word, 20),
        api_key("shippo_live_", Hex, 36),
        // Models and data.
        api_key("sk-", Word, 20),
        api_key("gsk_", Alnum, 30),
        api_key("xai-", Alnum, 40),
        api_key("pplx-", Alnum, 30),
        api_key("r8_", Alnum, 30),
        api_key("nvapi-", Word, 40),
        api_key("tvly-", Word, 20),
        api_key("csk-", Alnum, 30),
        token("hf_", Alnum, 30),
        token("api_org_", Alnum, 30),
        api_key("lsv2_", Word, 36),
        api_key("pcsk_", Word, 40),
        api_key("phx_", Alnum, 36),
        // What watches and what is written with.
        api_key("sf_", Word, 43),
        token("glsa_", Word, 30),
        token("glc_", Base64, 30),
        token("eyJrIjoi", Base64, 40),
        api_key("NRAK-", Upper, 20),
        api_key("NRII-", Word, 20),
        token("sntrys_", Base64, 40),
        token("sntryu_", Hex, 40),
        api_key("PMAK-", Word, 40),
        token("CFPAT-", Word, 40),
        token("pat-na1-", Word, 30),
        token("pat-eu1-", Word, 30),
        token("sk.eyJ", Dotted, 40),
        token("lin_api_", Alnum, 30),
        token("lin_oauth_", Alnum, 30),
        api_key("secret_", Alnum, 40),
        token("ntn_", Alnum, 40),
        token("figd_", Word, 30),
        api_key("aio_", Alnum, 24),
        // Tokens of no issuer.
        Shape { prefix: "eyJ", alphabet: Word, least: 9, kind: Kind::Jwt, place: Place::Jwt },
        token("v1.local.", Dotted, 30),
        token("v2.local.", Dotted, 30),
        token("v3.local.", Dotted, 30),
        token("v4.local.", Dotted, 30),
        token("v2.public.", Dotted, 30),
        token("v4.public.", Dotted, 30),
        // Private keys without their first line.
        private_key("AGE-SECRET-KEY-1"),
        private_key("b3BlbnNzaC1rZXktdjE"),
        private_key("MIIEpAIBAAKC"),
        private_key("MIIEpQIBAAKC"),
        private_key("MIIEowIBAAKC"),
        private_key("MIIEogIBAAKC"),
        private_key("MIIJKAIBAAKC"),
        private_key("MIIJKQIBAAKC"),
        private_key("MIIJJwIBAAKC"),
        private_key("MIICXAIBAAKB"),
        private_key("MIICXQIBAAKB"),
        private_key("MIICXgIBAAKB"),
        private_key("MIIEvAIBADAN"),
        private_key("MIIEvQIBADAN"),
        private_key("MIIEvgIBADAN"),
        private_key("MIIEvwIBADAN"),
        private_key("MIIJQgIBADAN"),
        private_key("MIIJQwIBADAN"),
        private_key("MIIJRAIBADAN"),
        private_key("MHcCAQEEI"),
        private_key("MIGHAgEAMBMG"),
        private_key("MC4CAQAwBQYDK2Vw"),
        private_key("xprv"),
        // What is kept of passwords.
        hash("$1$"),
        hash("$5$"),
        hash("$6$"),
        hash("$7$"),
        hash("$y$"),
        hash("$gy$"),
        hash("$2a$"),
        hash("$2b$"),
        hash("$2y$"),
        hash("$apr1$"),
        hash("$krb5"),
        hash("$argon2"),
        hash("$scrypt$"),
        hash("$pbkdf2"),
        hash("pbkdf2_sha"),
        hash("pbkdf2:sha"),
        hash("scrypt:32768:"),
        hash("{ssha"),
        hash("{sha}"),
        hash("{smd5}"),
        hash("{crypt}"),
        hash("{pbkdf2"),
        hash("{argon2"),
        hash("aad3b435b51404ee"),
    ]
};

impl Shape {
    /// Returns what such tokens begin with: more than two letters, which occur in too many words.
    pub(super) fn beginnings(&self) -> Vec<String> {
        match (self.prefix, self.place) {
            (prefix, Place::Entra) => (0..10).map(|digit| format!("{digit}{prefix}")).collect(),
            ("SK", _) => "0123456789abcdef".chars().map(|digit| format!("SK{digit}")).collect(),
            (prefix, _) => vec![prefix.to_owned()],
        }
    }
}

/// What is looked at before it is known whether a word is a token.
const LOOKED_AT: usize = 128;

/// Looks closer where a prefix stands.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, shape: &Shape, finds: &mut Finds) {
    let prefix = hit.start + usize::from(shape.place == Place::Entra);
    let tail = prefix + shape.prefix.len();
    let is_anywhere = shape.place == Place::Anywhere;
    let is_prefix = is_anywhere || bytes.get(prefix..tail) == Some(shape.prefix.as_bytes());
    if !is_prefix || run(bytes, tail, shape.least, |byte| shape.alphabet.has(byte)) < shape.least {
        return;
    }
    let start = match shape.place {
        Place::Word | Place::AwsKey | Place::Jwt => {
            Some(hit.start).filter(|start| begins_word(bytes, *start))
        }
        Place::Anywhere if shape.kind == Kind::Token => Some(tail),
        Place::Anywhere => Some(hit.start),
        Place::Telegram => start_of_telegram(bytes, prefix),
        Place::Entra => start_of_entra(bytes, prefix),
    };
    let Some(start) = start else { return };
    let looked_at = run(bytes, tail, LOOKED_AT, |byte| shape.alphabet.has(byte));
    let text = &bytes[tail..tail + looked_at];
    if shape.place == Place::Jwt {
        return jwt(bytes, start, finds);
    }
    let is_random = matches!(shape.kind, Kind::Hash | Kind::PrivateKey)
        || shape.place == Place::AwsKey
        || matches!(shape.alphabet, Alphabet::Hex | Alphabet::Path)
        || is_random(text);
    if is_random {
        let end =
            tail + looked_at + run(bytes, tail + looked_at, usize::MAX, |byte| shape.alphabet.has(byte));
        finds.add(shape.kind, start..without_end_of_sentence(bytes, start, end));
        if shape.place == Place::AwsKey {
            aws_secrets(bytes, start..end, finds);
        }
    }
}

/// Whether a word is as long as a token and has letters and digits.
pub(super) fn is_long(word: &[u8], least: usize) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~+/=%:|".contains(byte);
    let is_date = matches!(word, [b'1' | b'2', _, _, _, b'-' | b'/', ..]);
    let is_other = word.starts_with(b"S-1-") || word.starts_with(b"0x") || is_path(word) || is_date;
    let has = |is_it: fn(&u8) -> bool| word.iter().any(is_it);
    word.len() >= least
        && word.iter().all(is_of_token)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !is_other
}

/// Whether a word is as long as a token and has letters of both cases and digits.
pub(super) fn is_mixed(word: &[u8], least: usize) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(byte);
    word.len() >= least && word.iter().all(is_of_token) && has_both_cases_and_digits(word) && !is_path(word)
}

/// Whether it begins with a slash, and consists of words: base64 has more capitals and digits.
fn is_path(word: &[u8]) -> bool {
    let dense = word.iter().filter(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()).count();
    word.starts_with(b"/") && dense * 3 < word.len()
}

/// Whether a word is no name that somebody chose.
pub(super) fn is_random(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let has = |is_it: fn(&u8) -> bool| word.iter().any(is_it);
    let is_hex = word.len() >= 32 && word.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_unbroken = digits >= 3 && word.iter().all(u8::is_ascii_alphanumeric);
    let has_cases = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    digits > 0 && (is_hex || is_unbroken || has_cases || digits * 6 > word.len())
}

/// Looks at the parts of a path that follow a telling one: `/reset-password/MTIz…`.
pub(super) fn in_path(bytes: &[u8], at: usize, is_telling: impl Fn() -> bool, finds: &mut Finds) {
    const PARTS: usize = 3;
    let is_of_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'=');
    let mut at = at;
    for _ in 0..PARTS {
        if bytes.get(at) != Some(&b'/') {
            return;
        }
        let part = at + 1..at + 1 + run(bytes, at + 1, usize::MAX, is_of_part);
        let text = &bytes[part.clone()];
        if text.len() >= 20 && is_random(text) && !finds.covers(part.start) {
            if is_telling() {
                finds.add(Kind::Token, part);
            }
            return;
        }
        at = part.end;
    }
}

/// How far a token may stand from the word that tells of it.
const NEAR: usize = 64;
const NEAR_LEAST: usize = 32;

/// Adds a long random word that stands not far after a telling name.
pub(super) fn nearby(bytes: &[u8], at: usize, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let Some(word) = long_word_near(bytes, at) else { return };
    let is_part = word.start > 0 && matches!(bytes[word.start - 1], b'/' | b'\\' | b'.' | b':' | b'$' | b'@');
    if is_part || !is_mixed(&bytes[word.clone()], NEAR_LEAST) || finds.covers(word.start) {
        return;
    }
    let is_telling = |meaning: &Meaning| matches!(meaning.demand, Demand::Anything | Demand::Authorization);
    if let Some(meaning) = meaning().filter(is_telling) {
        finds.add(meaning.kind, word);
    }
}

/// A word of 32 bytes covers one of every 32 places.
fn long_word_near(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
    (1..=NEAR / NEAR_LEAST + 1).find_map(|probe| {
        let place = at + probe * NEAR_LEAST;
        let after = run(bytes, place, usize::MAX, is_of_word);
        let before = if after > 0 { run_before(bytes, place, place - at, is_of_word) } else { 0 };
        let padding = run(bytes, place + after, 2, |byte| byte == b'=');
        (after + before >= NEAR_LEAST).then_some(place - before..place + after + padding)
    })
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~'),
            Self::Base64 => byte.is_ascii_alphanumeric() || b"_-+/=%.".contains(&byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"_-/@:".contains(&byte),
            Self::Hash => byte.is_ascii_alphanumeric() || b"./$+=,:_-{}*".contains(&byte),
        }
    }
}

fn has_both_cases_and_digits(word: &[u8]) -> bool {
    let has = |is_it: fn(&u8) -> bool| word.iter().any(is_it);
    has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)
}

fn without_end_of_sentence(bytes: &[u8], start: usize, end: usize) -> usize {
    let marks = run_before(bytes, end, end - start, |byte| matches!(byte, b'.' | b',' | b':'));
    end - marks
}

/// A header that is an object, a dot, and more: signed, encrypted or neither.
fn jwt(bytes: &[u8], start: usize, finds: &mut Finds) {
    const LEAST_AFTER_DOT: usize = 8;

    let is_of_part = |byte| Alphabet::Word.has(byte);
    if start < finds.no_jwt_until {
        return;
    }
    let header = start + run(bytes, start, usize::MAX, is_of_part);
    let after = run(bytes, header, usize::MAX, |byte| is_of_part(byte) || byte == b'.');
    finds.no_jwt_until = header;
    if bytes.get(header) == Some(&b'.') && after > LEAST_AFTER_DOT {
        finds.add(Kind::Jwt, start..without_end_of_sentence(bytes, start, header + after));
    }
}

fn start_of_telegram(bytes: &[u8], colon: usize) -> Option<usize> {
    let digits = run_before(bytes, colon, 11, |byte| byte.is_ascii_digit());
    (8..=10).contains(&digits).then_some(colon - digits)
}

fn start_of_entra(bytes: &[u8], prefix: usize) -> Option<usize> {
    let start = prefix.checked_sub(4)?;
    let is_there = bytes[start..prefix - 1].iter().all(|byte| Alphabet::Dotted.has(*byte));
    (is_there && bytes[prefix - 1].is_ascii_digit()).then_some(start)
}

/// Adds words of 40 characters near an access key's id: nothing else tells them.
fn aws_secrets(bytes: &[u8], id: Range<usize>, finds: &mut Finds) {
    const NEAR: usize = 200;
    const LENGTH: usize = 40;
    let is_of_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut at = id.start.saturating_sub(NEAR);
    let end = bytes.len().min(id.end + NEAR);
    while at < end {
        let length = run(bytes, at, LOOKED_AT, is_of_secret);
        let word = at..at + length;
        if length == LENGTH && has_both_cases_and_digits(&bytes[word.clone()]) && !finds.covers(at) {
            finds.add(Kind::Secret, word);
        }
        at += length.max(1);
    }
}
