//! Paths that leave their folder, files nobody outside may name, wrappers and addresses that make a server fetch.

use crate::{
    decode::Context,
    payload::{Hit, Kind, Sign, Suspect, marks::Marks},
};

const fn file(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Traversal, value, prose }
}

const fn wrapper(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Inclusion, value, prose }
}

const fn fetch(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Ssrf, value, prose }
}

/// How a URL of a server's own files begins.
const LOCAL_FILE: &str = "file:/";

pub(super) const SIGNS: &[Sign] = &[
    file("etc/passwd", 84, 0),
    file("etc/shadow", 88, 0),
    file("etc/group", 72, 0),
    file("etc/hosts", 70, 0),
    file("etc/issue", 70, 0),
    file("proc/self/", 84, 0),
    file("win.ini", 82, 0),
    file("boot.ini", 82, 0),
    file("system32", 76, 0),
    file("winnt", 74, 0),
    file("web-inf", 80, 0),
    file("meta-inf", 60, 0),
    file("web.config", 72, 0),
    file("wp-config.php", 76, 0),
    file(".htpasswd", 80, 0),
    file(".htaccess", 64, 0),
    file(".git/config", 76, 0),
    file(".ssh/", 80, 0),
    file("id_rsa", 76, 0),
    file(".aws/credentials", 84, 0),
    file(".bash_history", 78, 0),
    file("global.asa", 76, 0),
    file("inetpub", 72, 0),
    file("/var/log/", 56, 0),
    file("httpd.conf", 68, 0),
    file("php.ini", 68, 0),
    file("/./././", 66, 0),
    file("/.//./", 66, 0),
    file("0x2e0x2e", 80, 0),
    file("0x2e", 0, 0),
    wrapper("php://", 84, 40),
    wrapper("phar://", 84, 50),
    wrapper("zip://", 70, 0),
    wrapper("expect://", 86, 60),
    wrapper(LOCAL_FILE, 0, 0),
    wrapper("data://", 76, 0),
    wrapper("data:;base64", 76, 40),
    wrapper("glob://", 76, 0),
    wrapper("convert.base64-encode", 84, 60),
    wrapper("jar:http", 74, 0),
    wrapper("netdoc:", 74, 0),
    fetch("169.254.169.254", 84, 0),
    fetch("metadata.google.internal", 84, 0),
    fetch("gopher://", 84, 0),
    fetch("dict://", 78, 0),
    fetch("http://127.0.0.1", 72, 0),
    fetch("http://localhost", 70, 0),
    fetch("http://[::", 76, 0),
    fetch("http://0x7f", 80, 50),
    fetch("http://2130706433", 84, 70),
];

pub(super) fn detect(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    // A step takes two dots, however they are written.
    if suspect.lower.contains("..") || suspect.lower.contains("0x2e") {
        climbs(suspect, hits);
    }
    if suspect.is_hinted(Kind::Inclusion) && !suspect.is_prose() {
        local_file(suspect, hits);
    }
    if suspect.context == Context::Parameter {
        remote_file(suspect, hits);
        nul_byte(suspect, hits);
    }
    if suspect.context >= Context::Path {
        repetition(suspect, hits);
    }
}

/// Counts steps out of a folder, however they are written: `../`, `..\`, `..;/`, `....//`, `..0x2f`.
fn climbs(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    let bytes = suspect.text.as_bytes();
    let (mut steps, mut first, mut end) = (0_u32, None, 0);
    let mut at = 0;
    while at < bytes.len() {
        let dots = run_of_dots(&bytes[at..]);
        if dots.count < 2 {
            at += dots.len.max(1);
            continue;
        }
        let starts_segment = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let slash = slash(&bytes[at + dots.len..]);
        let is_after_slash = at > 0 && matches!(bytes[at - 1], b'/' | b'\\');
        if dots.count >= 4 && is_after_slash && suspect.context == Context::Parameter {
            hits.push(Hit { kind: Kind::Traversal, points: 66, range: at - 1..at + dots.len });
        }
        // An ellipsis ends a word; a step is followed or preceded by a slash of some kind.
        if slash > 0 && (starts_segment || dots.count == 2) {
            steps += 1;
            first.get_or_insert(at);
            end = at + dots.len + slash;
        }
        at += dots.len + slash;
    }
    let Some(first) = first else { return };
    let is_file_named = suspect.is_hinted(Kind::Traversal);
    let points = match (suspect.is_prose(), steps, is_file_named) {
        (true, 3.., true) => 74,
        (true, 4.., false) => 56,
        (true, ..) => return,
        (false, 2.., true) => 90,
        (false, 0 | 1, true) => 86,
        (false, 3.., false) => 84,
        (false, 2, false) => 78,
        (false, _, false) if suspect.context == Context::Path => 60,
        (false, _, false) => 62,
    };
    let end = suspect.text.ceil_char_boundary(end.min(suspect.text.len()));
    hits.push(Hit { kind: Kind::Traversal, points, range: first..end });
}

/// A run of dots, each written as `.` or `0x2e`.
struct Dots {
    count: u32,
    len: usize,
}

fn run_of_dots(bytes: &[u8]) -> Dots {
    let mut dots = Dots { count: 0, len: 0 };
    loop {
        let taken = match &bytes[dots.len..] {
            [b'.', ..] => 1,
            [b'0', b'x' | b'X', b'2', b'e' | b'E', ..] => 4,
            _ => return dots,
        };
        dots.count += 1;
        dots.len += taken;
    }
}

/// Returns the length of a slash in any spelling, 0 if there is none.
fn slash(bytes: &[u8]) -> usize {
    match bytes {
        [b';' | b'\0' | b' ', b'/' | b'\\', ..] => 2,
        [b'/' | b'\\', ..] => 1,
        [b'0', b'x' | b'X', b'2', b'f' | b'F', ..] | [b'0', b'x' | b'X', b'5', b'c' | b'C', ..] => 4,
        [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..] => 3,
        _ => 0,
    }
}

/// Finds a URL of the server's own files. Programs that list their settings write `config load:file:/etc/x`: behind other
/// words and a colon it counts only if what stands before the colon is a scheme that leads to another.
fn local_file(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const LEADING: [&str; 4] = ["url:", "jar:", "war:", "zip:"];
    let is_url = |at: &usize| {
        let before = suspect.lower.get(..*at).unwrap_or("");
        let is_setting = before.ends_with(':')
            && before.contains(' ')
            && !LEADING.iter().any(|scheme| before.ends_with(scheme));
        !is_setting && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(at) = suspect.lower.match_indices(LOCAL_FILE).map(|(at, _)| at).find(is_url) {
        hits.push(Hit { kind: Kind::Inclusion, points: 78, range: at..at + LOCAL_FILE.len() });
    }
}

/// Finds a URL where a parameter should name a file of the application's own.
fn remote_file(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const SCHEMES: [&str; 5] = ["http://", "https://", "ftp://", "ftps://", "\\\\"];
    const FILE_NAMES: [&str; 13] = [
        "file", "path", "page", "include", "inc", "template", "tpl", "dir", "module", "skin", "root",
        "config", "lang",
    ];
    let value = suspect.text.trim_start_matches(['\'', '"', ' ']);
    let starts =
        |scheme: &&str| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !SCHEMES.iter().any(starts) {
        return;
    }
    // A question mark at the end turns what the application appends into a query.
    let cuts_suffix = value.trim_end_matches(['\'', '"', '\0']).ends_with('?');
    // By its words: "dir" is no part of "redirect_uri", but "file" is of "filename".
    let name = suspect.name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let begins = |word: &str, known: &str| word == known || known.len() > 3 && word.starts_with(known);
    let names_a_file = words.any(|word| FILE_NAMES.iter().any(|known| begins(word, known)));
    let points = match (cuts_suffix, names_a_file) {
        (true, true) => 80,
        (true, false) => 72,
        (false, true) => 62,
        (false, false) => return,
    };
    hits.push(Hit { kind: Kind::Inclusion, points, range: 0..suspect.text.len() });
}

/// A NUL ends a string in C, and with it the suffix that an application adds.
fn nul_byte(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    if suspect.marks.any(Marks::CONTROL)
        && let Some(at) = suspect.text.find('\0')
    {
        hits.push(Hit { kind: Kind::Traversal, points: 62, range: at..at + 1 });
    }
}

/// Finds one character repeated beyond what any field needs.
fn repetition(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const LONG: usize = 256;
    let bytes = suspect.text.as_bytes();
    if bytes.len() < LONG {
        return;
    }
    let mut start = 0;
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() >= LONG && run[0].is_ascii() {
            hits.push(Hit { kind: Kind::Oversized, points: 66, range: start..start + 64 });
            return;
        }
        start += run.len();
    }
}
