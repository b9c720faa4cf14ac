use std::{fmt::Write as _, time::Instant};

use proptest::prelude::*;

use super::{corpus::corpus, *};

/// The most that a log entry may hold.
const LONGEST: usize = 64 << 10;

/// Puts a placeholder in the place of each secret.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut at = 0;
    for (number, Secret { range, kind }) in secrets(text).into_iter().enumerate() {
        masked += text.get(at..range.start).unwrap();
        write!(masked, "<{}-{}>", kind.name(), number + 1).unwrap();
        at = range.end;
    }
    masked + text.get(at..).unwrap()
}

#[track_caller]
fn check_sound(text: &str) {
    let mut end = 0;
    for Secret { range, .. } in secrets(text) {
        assert!(
            range.start >= end && range.start < range.end,
            "in order, not empty, not overlapping: {text}"
        );
        assert!(text.get(range.clone()).is_some(), "whole characters within the text: {text}");
        end = range.end;
    }
}

#[test]
fn the_corpus_is_large() {
    let (with, without): (Vec<_>, Vec<_>) = corpus().into_iter().partition(|case| !case.secrets.is_empty());
    assert!(with.len() >= 200 && without.len() >= 100, "{} with, {} without", with.len(), without.len());
}

#[test]
fn every_secret_of_the_corpus_is_found() {
    let leaks = |case: &corpus::Case| {
        let masked = masked(&case.text);
        case.secrets
            .iter()
            .any(|secret| masked.contains(secret))
            .then(|| format!("{}\n  {masked}", case.text))
    };
    let leaks: Vec<String> = corpus().iter().filter_map(leaks).collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn what_surrounds_a_secret_is_kept() {
    let losses = |case: &corpus::Case| {
        let masked = masked(&case.text);
        let is_lost = case.keeps.iter().any(|kept| !masked.contains(kept));
        is_lost.then(|| format!("{}\n  {masked}", case.text))
    };
    let losses: Vec<String> = corpus().iter().filter_map(losses).collect();
    assert!(losses.is_empty(), "{} losses:\n{}", losses.len(), losses.join("\n"));
}

#[test]
fn nothing_is_found_where_no_secret_is() {
    let cases = corpus().into_iter().filter(|case| case.secrets.is_empty());
    let alarms: Vec<String> = cases
        .map(|case| (masked(&case.text), case.text))
        .filter(|(masked, text)| masked != text)
        .map(|pair| pair.0)
        .collect();
    assert!(alarms.is_empty(), "{} false alarms:\n{}", alarms.len(), alarms.join("\n"));
}

#[test]
fn masking_again_changes_nothing() {
    let changes = |case: &corpus::Case| {
        let once = masked(&case.text);
        let twice = masked(&once);
        (once != twice).then(|| format!("{once}\n  {twice}"))
    };
    let changes: Vec<String> = corpus().iter().filter_map(changes).collect();
    assert!(changes.is_empty(), "{} changes:\n{}", changes.len(), changes.join("\n"));
}

#[test]
fn every_kind_has_its_placeholder() {
    let mut names = Kind::ALL.map(Kind::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
    for name in names {
        let text = format!("password=<{name}-1> token: <{name}-12> https://a:<{name}-3>@b/ <{name}-4>");
        assert_eq!(secrets(&text), []);
    }
}

#[test]
fn a_members_name_tells_what_its_value_is() {
    let kind = |name: &str, value: &str| Announced::by(name).kind_of(name, value);
    for (name, expected) in [
        ("password", Kind::Password),
        ("X-Api-Key", Kind::ApiKey),
        ("пароль", Kind::Password),
        ("Cookie", Kind::Cookie),
        ("api key", Kind::ApiKey),
    ] {
        assert_eq!(kind(name, "horse"), Some(expected), "{name}");
        assert_eq!(kind(name, ""), None, "{name}");
    }
    for name in ["user", "key", "code", "session", "password_policy", "token_type", ""] {
        assert_eq!(kind(name, "horse"), None, "{name}");
    }
    assert_eq!(kind(&"password".repeat(1000), "horse"), None);
    assert_eq!(kind("session", "kT9xQ2mZ7vR4pL8sW3nB6yD1"), Some(Kind::Session));
    assert_eq!(kind("session", "****************"), None);
    assert_eq!(kind("auth", "\"kT9xQ2mZ7vR4\" pL8sW3nB6yD1"), None);
}

#[test]
fn hostile_texts_take_linear_time() {
    const WITHIN_MS: u128 = 4_000;
    const PIECES: &str = "password= @ a: 1 eyJ a \" \\ { [ < % %25 %40 & &amp; - = : :// key token secret pass \
        password=\" password=' password=` password={ password=( password=[ \"password\":{ \"password\":\" \
        password\\\":\\\" password&quot;:&quot; password%3D password%22%3A%22 password='\\\" password=\"\" =\"\"password \
        <password> \"password\"> \"name\":\"password\", <password/a password/ --password password_ -password \
        a@b.c a:b@c.de user:x@1.2.3.4 ://a: ://a:b/ ://a:b# %3a%2f%2fa%3a user%3Ax%40 eyJa. eyJ. eyJa.b. sk- sk-a1B \
        bearer= authorization= authorization:digest cookie= cookie:a=b; key= pin= session= PWD=/ code= [key:: -eyJ key={ key=\" password\u{a0} cGFzc3dvcmQ 70617373776f7264 $6$ {ssha \
        :AA 8Q~ AKIAAAAAAAAAAAAAAAAA \"d\":\" private-lines: -----BEGINPRIVATEKEY----- 4111 DE89 A1 пароль пароль: 密码";
    const PHRASES: [&str; 26] = [
        "insert into x (a,password) values ('a','b')",
        "password for ",
        " ",
        "4111 ",
        "4111 1111 ",
        "DE89 ",
        "1 ",
        "password ",
        "password: ",
        "password is ",
        "token: { ",
        "key ",
        "bearer ",
        "basic ",
        "authorization: ",
        "mysql ",
        "mysql -p ",
        "mysql redis-cli -p ",
        "curl -u ",
        "net user ",
        "| chpasswd ",
        "passphrase: a ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "login attempt [",
        "set password ",
    ];
    for piece in PIECES.split_whitespace().chain(PHRASES) {
        let text = piece.repeat(LONGEST / piece.len());
        let start = Instant::now();
        check_sound(&text);
        assert!(start.elapsed().as_millis() < WITHIN_MS, "{piece} takes {:?}", start.elapsed());
    }
}

/// What a name may be like, and how its value follows.
fn naming() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "password",
        "Password",
        "DB_PASSWORD",
        "userPassword",
        "user-password",
        "passwd",
        "pwd",
        "secret",
        "client_secret",
        "apiKey",
        "api_key",
        "X-Api-Key",
        "access_token",
        "refreshToken",
        "auth_token",
        "token",
        "private_key",
        "passphrase",
        "passwort",
        "contraseña",
        "пароль",
        "密码",
        "パスワード",
    ];
    const MANNERS: &[&str] = &[
        "NAME=VALUE",
        "NAME = VALUE",
        "NAME: VALUE",
        "NAME:VALUE",
        "NAME=\"VALUE\"",
        "NAME='VALUE'",
        "\"NAME\":\"VALUE\"",
        "\"NAME\": \"VALUE\"",
        "'NAME': 'VALUE'",
        "\\\"NAME\\\":\\\"VALUE\\\"",
        "%22NAME%22%3A%22VALUE%22",
        "?NAME=VALUE&x=1",
        "&NAME=VALUE",
        "NAME%3DVALUE%26x%3D1",
        "<NAME>VALUE</NAME>",
        "&lt;NAME&gt;VALUE&lt;/NAME&gt;",
        "\"NAME\"=>\"VALUE\"",
        "[NAME] => VALUE",
        "{NAME: VALUE, x: 1}",
        "(NAME=VALUE)",
        "NAME: VALUE,",
        "(\"NAME\", \"VALUE\")",
        "\"name\":\"NAME\",\"value\":\"VALUE\"",
        "<add key=\"NAME\" value=\"VALUE\"/>",
        "--NAME VALUE",
        "--NAME=VALUE",
        "--NAME 'VALUE'",
        "NAME := VALUE",
        "NAME[]=VALUE",
        "x[NAME]=VALUE",
        "NAME is \"VALUE\"",
        "\u{1b}[1mNAME\u{1b}[0m=VALUE",
        "NAME=VALUE\\nx=1",
        "NAME=\"VALUE",
        "\"NAME\" : VALUE }",
        "NAME=VALUE|x",
        "NAME=VALUE;x=1",
    ];
    (prop::sample::select(NAMES), prop::sample::select(MANNERS))
        .prop_map(|(name, manner)| manner.replace("NAME", name))
}

/// Pieces of what stands in logs, and what has a meaning to some reader.
fn surroundings() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "user=anna ",
        "failed ",
        "\"",
        "'",
        "{\"a\":1,",
        "}",
        "10.0.0.1 ",
        "GET /a?b=1 ",
        "2026-01-10T10:00:00Z ",
        "\\",
        "é",
        "密",
        "%20",
        "&",
        "\n",
        "[x] ",
        "a@b.example ",
        "<a>",
        "password ",
        "token: ",
        "key ",
        "= ",
        ": ",
        "%22",
        "-----BEGIN PRIVATE KEY-----",
        "https://a:",
        "eyJ",
        "4111 ",
        "Authorization: ",
        "mysql -p",
        "\\\"",
        "&quot;",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat())
}

fn ordinary_words() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z]{1,9}|[0-9]{1,5}|[A-Z][a-z]{2,7}|user=[a-z]{3,6}|\\[[a-z]{3}\\]", 0..8)
        .prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_under_any_name_is_found(
        before in ordinary_words(),
        naming in naming(),
        value in "[A-Za-z0-9]{3}[A-Za-z0-9!#$*+._~^-]{4,20}[A-Za-z]{1,2}[0-9]",
        after in ordinary_words(),
    ) {
        let text = format!("{before} {} {after}", naming.replace("VALUE", &value));
        let masked = masked(&text);
        prop_assert!(!masked.contains(&value), "{} leaks: {}", text, masked);
        check_sound(&text);
    }

    #[test]
    fn a_quoted_secret_may_hold_anything_but_its_quote(
        before in ordinary_words(),
        value in "[a-z0-9]{2}[ -~&&[^\"\\\\]]{4,30}[a-z]{2}[0-9]",
        after in ordinary_words(),
    ) {
        for manner in ["password=\"VALUE\"", "{\"password\": \"VALUE\", \"x\": 1}", "secret: \"VALUE\""] {
            let text = format!("{before} {} {after}", manner.replace("VALUE", &value));
            let masked = masked(&text);
            prop_assert!(!masked.contains(&value), "{} leaks: {}", text, masked);
        }
    }

    #[test]
    fn ranges_are_sound_whatever_the_text(text in "\\PC{0,200}|[ -~\\n]{0,200}", pieces in surroundings()) {
        check_sound(&text);
        check_sound(&pieces);
        check_sound(&format!("{pieces}{text}{pieces}"));
    }

    #[test]
    fn what_was_masked_holds_no_secret_any_more(before in surroundings(), naming in naming(), after in surroundings()) {
        let text = format!("{before}{}{after}", naming.replace("VALUE", "Xq7vRt29LmZ4"));
        let once = masked(&text);
        let found = secrets(&once);
        let pieces: String = found.into_iter().map(|secret| once.get(secret.range).unwrap()).collect();
        prop_assert!(!pieces.contains("Xq7v"), "{} leaves {}", text, once);
    }
}
