//! Markup and script that a page would run: tags, event handlers, script URIs, breakouts from attributes and strings.

use std::ops::Range;

use crate::payload::{Hit, Kind, Sign, Suspect, marks::Marks};

const fn sign(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Script, value, prose }
}

pub(super) const SIGNS: &[Sign] = &[
    sign("</script>", 82, 50),
    sign("document.cookie", 80, 46),
    sign("document.location", 76, 40),
    sign("document.write(", 74, 36),
    sign("document.domain", 70, 30),
    sign("window.location", 66, 0),
    sign("string.fromcharcode", 80, 40),
    sign("alert(", 70, 24),
    sign("prompt(", 60, 0),
    sign("confirm(", 60, 0),
    sign("javascript:", 80, 30),
    sign("vbscript:", 80, 40),
    sign("livescript:", 80, 50),
    sign("data:text/html", 82, 50),
    sign("innerhtml", 60, 0),
    sign("srcdoc=", 80, 50),
    sign("expression(", 72, 0),
    sign("-moz-binding", 80, 50),
    sign("@import", 60, 0),
    sign("onerror", 0, 0),
    sign("onload", 0, 0),
    sign("<script", 0, 0),
];

/// Tags that run or fetch something by themselves.
const ACTIVE_TAGS: [&str; 26] = [
    "script", "iframe", "object", "embed", "svg", "img", "image", "meta", "link", "style", "base", "applet",
    "frame", "frameset", "layer", "ilayer", "bgsound", "xml", "isindex", "math", "video", "audio", "source",
    "marquee", "details", "body",
];

/// Tags that belong to a document, not to what a visitor types.
const DOCUMENT_TAGS: [&str; 22] = [
    "html",
    "head",
    "title",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "option",
    "table",
    "td",
    "div",
    "a",
    "noscript",
    "template",
    "keygen",
    "dialog",
    "blink",
    "br",
    "comment",
    "plaintext",
    "xss",
];

pub(super) fn detect(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    let looks_like_markup = suspect.marks.any(Marks::LESS);
    let may_hold_handler =
        suspect.marks.any(Marks::EQUALS) && suspect.marks.any(Marks::QUOTES.or(Marks::ROUND));
    if looks_like_markup {
        tags(suspect, hits);
    } else if may_hold_handler
        && !suspect.is_prose()
        && let Some(range) = handler(suspect.text)
    {
        hits.push(hit(80, range));
    }
    if suspect.marks.any(Marks::COLON)
        && suspect.marks.any(Marks::CONTROL.or(Marks::LINE_BREAK))
        && !suspect.is_prose()
    {
        split_scheme(suspect.text, hits);
    }
    let could_be_script = looks_like_markup || suspect.is_hinted(Kind::Script) || may_hold_handler;
    if could_be_script && !suspect.is_prose() && libinjection(suspect.text) {
        hits.push(hit(72, 0..suspect.text.len()));
    }
}

/// Asks libinjection about the beginning of a text; our own scan reads all of it.
fn libinjection(text: &str) -> bool {
    const MOST: usize = 2048;
    let start = text.as_bytes().get(..MOST).unwrap_or(text.as_bytes());
    libinjectionrs::detect_xss(start).is_injection()
}

fn hit(points: u8, range: Range<usize>) -> Hit {
    Hit { kind: Kind::Script, points, range }
}

/// Judges each tag by its name and by what it carries.
fn tags(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const MOST_TAGS: usize = 64;
    const LONGEST_TAG: usize = 2048;
    let text = suspect.text;
    for start in text.bytes().enumerate().filter(|(_, b)| *b == b'<').map(|(at, _)| at).take(MOST_TAGS) {
        let Some(rest) = text.get(start + 1..) else { continue };
        let body_end =
            rest.bytes().take(LONGEST_TAG).position(|b| b == b'<').unwrap_or(rest.len().min(LONGEST_TAG));
        let body = rest.get(..rest.floor_char_boundary(body_end)).unwrap_or(rest);
        let name = tag_name(body);
        if name.is_empty() {
            continue;
        }
        let range = start..(start + 1 + body.len()).min(start + 120);
        let range = range.start..text.floor_char_boundary(range.end);
        let has_handler = handler(body).is_some();
        let is_closed = body.contains('>') || body.contains('/') || body.contains('=');
        let is_known = ACTIVE_TAGS.contains(&name.as_str()) || DOCUMENT_TAGS.contains(&name.as_str());
        let points = match (has_handler, name.as_str()) {
            (true, _) if suspect.is_prose() && !is_known => None,
            (true, _) => Some(if suspect.is_prose() { 72 } else { 88 }),
            (false, "script") if suspect.is_prose() => None,
            (false, "script") => Some(88),
            (false, _) if suspect.is_prose() => None,
            (false, name) if ACTIVE_TAGS.contains(&name) => Some(80),
            // Markup where text belongs, but nothing in it that runs: a link in a comment, a pasted table.
            (false, name) if DOCUMENT_TAGS.contains(&name) && is_closed => Some(34),
            (false, name) if name.len() >= 2 && is_closed && body.contains('>') && body.contains('=') => {
                Some(34)
            }
            _ => None,
        };
        if let Some(points) = points {
            hits.push(hit(points, range));
        }
    }
}

/// Returns a tag's name in lower case, without the bytes that a browser skips.
fn tag_name(body: &str) -> String {
    let is_skipped = |c: char| c.is_control() || c == '/' || c == '!' || c == '?' || c == '%' || c == '\\';
    let mut name = String::new();
    for c in body.trim_start_matches(is_skipped).chars().take(24) {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if c != '\0' && c != '\u{b}' {
            break;
        }
    }
    name
}

/// Finds `on… =`, as an attribute: after a space, a quote or a slash.
fn handler(text: &str) -> Option<Range<usize>> {
    const NAME_LENS: Range<usize> = 3..24;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 3 < bytes.len() {
        let is_on = bytes[at].eq_ignore_ascii_case(&b'o') && bytes[at + 1].eq_ignore_ascii_case(&b'n');
        let is_attribute = at == 0
            || bytes[at - 1].is_ascii_whitespace()
            || matches!(bytes[at - 1], b'"' | b'\'' | b'/' | b'`' | b'.' | 0..=31 | 0x80..);
        if is_on && is_attribute {
            let name =
                bytes[at + 2..].iter().take(NAME_LENS.end).take_while(|b| b.is_ascii_alphabetic()).count();
            let after = &bytes[at + 2 + name..];
            let gap =
                after.iter().take(16).take_while(|b| b.is_ascii_whitespace() || b.is_ascii_control()).count();
            if NAME_LENS.contains(&name) && after.get(gap) == Some(&b'=') {
                let end = text.floor_char_boundary((at + 80).min(text.len()));
                return Some(at..end);
            }
            at += 2 + name;
        } else {
            at += 1;
        }
    }
    None
}

/// Finds `java\nscript:`, which browsers read without the break.
fn split_scheme(text: &str, hits: &mut Vec<Hit>) {
    const LONGEST: usize = 4096;
    let squeezed: String = text
        .chars()
        .take(LONGEST)
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if ["javascript:", "vbscript:"].iter().any(|scheme| squeezed.contains(scheme)) {
        hits.push(hit(84, 0..text.len()));
    }
}
