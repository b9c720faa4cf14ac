//! Values that a name gives away: `password=x`, `"apiKey": "x"`, `--token x`, `<secret>x</secret>`, `пароль: x`.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, headers,
    names::{self, Demand, Meaning, NAME_MAX},
    ordinary, spoken, tokens,
    values::{self, Frame, Value},
    written::{Mark, Writing, colour_length, read, read_before, run, run_before, skip_spaces},
};

/// A name as it stands in a text.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) range: Range<usize>,
    /// Where the dashes begin that make it an option.
    dashes: Range<usize>,
    pub(super) before: Mark,
}

/// How a value follows a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// `name=value`, `"name": "value"`
    Assigned,
    /// `name: value`, which also occurs in sentences.
    Told,
    /// `<name>value</name>`
    Element,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    /// Where the value begins.
    at: usize,
    writing: Writing,
    manner: Manner,
    /// Whether the name stands in quotes of its own.
    is_quoted: bool,
}

/// Looks at a word that occurs in names of secrets.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    let hit = hit.start..hit.end - usize::from(!bytes[hit.end - 1].is_ascii_alphanumeric());
    let end = name_end(bytes, &hit);
    if end - hit.start > NAME_MAX || !finds.is_new_name(end) {
        return;
    }
    let Some(name) = name(bytes, hit.start, end) else { return };
    let meaning = || meaning(bytes, &name);
    match link(bytes, &name) {
        Some(link) => linked(bytes, &name, link, meaning, finds),
        None => unlinked(bytes, &name, meaning, finds),
    }
}

/// Looks at a word for a password in another script than the Latin one.
pub(super) fn look_foreign(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    /// The verbs that come without a blank.
    const IS: [&str; 4] = ["是", "为", "為", "は"];
    const LONGEST_ENDING: usize = 8;
    let is_cyrillic = |byte: u8| (0x80..=0xBF).contains(&byte) || matches!(byte, 0xD0 | 0xD1);
    let begins_cyrillic = matches!(bytes[hit.start], 0xD0 | 0xD1);
    let ending = if begins_cyrillic { run(bytes, hit.end, LONGEST_ENDING, is_cyrillic) } else { 0 };
    let end = hit.end + ending;
    let dashes = hit.start - run_before(bytes, hit.start, 2, |byte| byte == b'-')..hit.start;
    let name = Name { before: read_before(bytes, dashes.start), range: hit.start..end, dashes };
    let meaning = Meaning { kind: Kind::Password, demand: Demand::Anything };
    let rest = bytes.get(end..).unwrap_or_default();
    let verb = IS.iter().find(|verb| rest.starts_with(verb.as_bytes()));
    let after_colon = |at: usize| if read(bytes, at).byte == b':' { at + read(bytes, at).len } else { at };
    let spoken = |verb: &&str| Link {
        at: skip_spaces(bytes, after_colon(end + verb.len()), Writing::Plain),
        writing: Writing::Plain,
        manner: Manner::Told,
        is_quoted: false,
    };
    match link(bytes, &name).or_else(|| verb.map(spoken)) {
        Some(link) => linked(bytes, &name, link, || Some(meaning), finds),
        None => unlinked(bytes, &name, || Some(meaning), finds),
    }
}

/// Looks for a value that no mark divides from its name.
fn unlinked(bytes: &[u8], name: &Name, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let end = name.range.end;
    if !name.dashes.is_empty() && option(bytes, name, &meaning, finds) {
        return;
    }
    if bytes.get(end) == Some(&b'/') {
        let is_telling = || meaning().is_some_and(|meaning| meaning.demand != Demand::Cookie);
        tokens::in_path(bytes, end, is_telling, finds);
    } else if !finds.covers(end + SPOKEN_WITHIN) {
        spoken::follow(bytes, name, meaning, finds);
    }
}

/// Where a value lies that only words lead to, it may go on from what was found with the name.
const SPOKEN_WITHIN: usize = 24;

/// Words that belong to a name, one blank after it, where its value comes next.
const SECOND_WORDS: [&[u8]; 4] = [b" id", b" hash", b" value", b" string"];

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Returns where the name ends that a word occurs in.
fn name_end(bytes: &[u8], hit: &Range<usize>) -> usize {
    let run_end = hit.end + run(bytes, hit.end, NAME_MAX, is_of_name);
    // Two dashes begin an option.
    let option = bytes[hit.end..run_end].windows(2).position(|pair| pair == b"--");
    let mut end = option.map_or(run_end, |at| hit.end + at);
    if bytes.get(end) == Some(&b'.') {
        // `password.value`, but no sentence's end.
        end += match run(bytes, end + 1, NAME_MAX, is_of_name) {
            0 => 0,
            more => 1 + more,
        };
    }
    let trailing = run_before(bytes, end, end - hit.end, |byte| matches!(byte, b'-' | b'_'));
    let end = end - trailing;
    let second = SECOND_WORDS.iter().find(|word| {
        let is_there = bytes.get(end..end + word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word));
        is_there
            && matches!(bytes.get(skip_spaces(bytes, end + word.len(), Writing::Plain)), Some(b'=' | b':'))
    });
    end + second.map_or(0, |word| word.len())
}

/// Returns the name that a word occurs in, without what came before it in another writing.
fn name(bytes: &[u8], word: usize, end: usize) -> Option<Name> {
    let most = NAME_MAX.checked_sub(end - word)?;
    let is_of_path = |byte: u8| is_of_name(byte) || byte == b'.';
    let mut start = word - run_before(bytes, word, most, is_of_path);
    let escaped = match bytes.get(start.saturating_sub(1)) {
        Some(b'%') if start > 0 => 2,
        Some(b'\\') if start > 0 => match bytes.get(start) {
            Some(b'n' | b'r' | b't' | b'b' | b'f') => 1,
            Some(b'u') if run(bytes, start + 1, 4, |byte| byte.is_ascii_hexdigit()) == 4 => 5,
            Some(b'x') if run(bytes, start + 1, 2, |byte| byte.is_ascii_hexdigit()) == 2 => 3,
            _ => 0,
        },
        _ => 0,
    };
    let coloured = if start > 0 && bytes[start - 1] == b'[' { colour_length(bytes, start - 1) } else { 1 };
    start = (start + escaped + coloured.saturating_sub(1)).min(word);
    let option = bytes[start..word].windows(2).rposition(|pair| pair == b"--");
    start += option.unwrap_or(0);
    let dashes = run(bytes, start, word - start, |byte| matches!(byte, b'-' | b'.' | b'_'));
    let is_option = dashes > 0 && bytes[start] == b'-';
    let first = start + dashes;
    let dashes = if is_option { start..first } else { first..first };
    Some(Name { before: before_name(bytes, dashes.start), range: first..end, dashes })
}

/// Returns the character before a name, and before the prefix of its namespace in XML.
fn before_name(bytes: &[u8], start: usize) -> Mark {
    let before = read_before(bytes, start);
    if before.byte != b':' {
        return before;
    }
    let prefix = run_before(bytes, start - 1, NAME_MAX, is_of_name);
    let begins = read_before(bytes, start - 1 - prefix);
    if prefix > 0 && begins.byte == b'<' { begins } else { before }
}

fn meaning(bytes: &[u8], name: &Name) -> Option<Meaning> {
    let is_placeholder = name.before.byte == b'<'
        && bytes.get(name.range.end) == Some(&b'>')
        && bytes.get(name.range.end - 1).is_some_and(u8::is_ascii_digit);
    if is_placeholder {
        return None;
    }
    names::meaning(&bytes[name.range.clone()], word_before(bytes, name.range.start))
}

/// Returns the word one blank before a place.
pub(super) fn word_before(bytes: &[u8], at: usize) -> &[u8] {
    const LONGEST: usize = 16;
    if at == 0 || bytes.get(at - 1) != Some(&b' ') {
        return &[];
    }
    let length = run_before(bytes, at - 1, LONGEST, |byte| byte.is_ascii_alphabetic());
    &bytes[at - 1 - length..at - 1]
}

/// Returns how a value follows a name, if one does.
fn link(bytes: &[u8], name: &Name) -> Option<Link> {
    let mut at = name.range.end;
    let mut writing = Writing::Plain;
    let mut is_quoted = false;
    for _ in 0..4 {
        let mark = read(bytes, at);
        let is_index = mark.byte == b'[';
        if !mark.is_quote() && mark.byte != b']' && !is_index {
            break;
        }
        is_quoted |= mark.is_quote();
        writing = writing.with(mark.writing);
        at += mark.len;
        at += if is_index {
            run(bytes, at, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
        } else {
            0
        };
    }
    let after_name = at;
    at = skip_spaces(bytes, at, Writing::Percent(u8::MAX));
    let mark = read(bytes, at);
    let is_of_path = name.before.byte == b'/' && !is_windows_option(bytes, name);
    match mark.byte {
        b':' if is_of_path || is_process(&bytes[name.range.end..after_name]) => None,
        b'=' | b':' => {
            divided(bytes, at, mark, Link { at: after_name, writing, manner: Manner::Told, is_quoted })
        }
        b'-' if bytes.get(at + 1) == Some(&b'>') => {
            let at = skip_spaces(bytes, at + 2, writing);
            Some(Link { at, writing, manner: Manner::Told, is_quoted })
        }
        b'>' if name.before.byte == b'<' || is_quoted => {
            let writing = writing.with(mark.writing);
            Some(Link { at: at + mark.len, writing, manner: Manner::Element, is_quoted })
        }
        _ if name.before.byte == b'<' && at > after_name => in_element(bytes, at),
        _ if is_quoted => beside(bytes, name, at, writing),
        b'(' if read(bytes, at + 1).is_quote() && is_call_that_sets(bytes, name) => {
            Some(Link { at: at + 1, writing, manner: Manner::Assigned, is_quoted })
        }
        _ => None,
    }
}

/// Whether it is the number that syslog has after a program's name: `passwd[812]`.
fn is_process(index: &[u8]) -> bool {
    matches!(index, [b'[', number @ .., b']'] if number.iter().all(u8::is_ascii_digit))
}

/// Whether the slash before a name makes it an option: `/password:x`, not `/etc/passwd:1`.
fn is_windows_option(bytes: &[u8], name: &Name) -> bool {
    let slash = name.range.start - 1;
    slash == 0 || !is_of_name(bytes[slash - 1])
}

/// Reads the `=`, `:`, `:=`, `=>`, `::` that stands there, and the space around it.
fn divided(bytes: &[u8], at: usize, mark: Mark, name: Link) -> Option<Link> {
    let is_scheme = mark.byte == b':' && bytes.get(at + 1..at + 3) == Some(b"//");
    if is_scheme {
        return None;
    }
    let writing = name.writing.with(mark.writing);
    let mut end = at + mark.len;
    for _ in 0..2 {
        let more = read(bytes, end);
        if !matches!(more.byte, b'=' | b':' | b'>') || !more.writing.is_within(writing) {
            break;
        }
        end += more.len;
    }
    let value = skip_spaces(bytes, end, writing);
    let is_tight = value == end || mark.byte == b'=' && at > name.at;
    let manner = if is_tight || name.is_quoted { Manner::Assigned } else { Manner::Told };
    let value = block(bytes, value).unwrap_or(value);
    Some(Link { at: value, writing, manner, is_quoted: name.is_quoted })
}

/// Returns where the text begins that YAML announces with `|` or `>-` at the end of the line.
fn block(bytes: &[u8], at: usize) -> Option<usize> {
    let announces = matches!(bytes.get(at), Some(b'|' | b'>'));
    let end = at + 1 + run(bytes, at + 1, 2, |byte| matches!(byte, b'-' | b'+' | b'0'..=b'9'));
    let next_line = values::next_line(bytes, end)?;
    announces.then(|| skip_spaces(bytes, next_line, Writing::Plain))
}

/// Returns the text of an element with attributes, the first of which stands there.
fn in_element(bytes: &[u8], at: usize) -> Option<Link> {
    const LONGEST: usize = 256;
    let attributes = run(bytes, at, LONGEST, |byte| !matches!(byte, b'<' | b'>'));
    let end = at + attributes;
    let is_open = bytes.get(end) == Some(&b'>') && bytes.get(end - 1) != Some(&b'/');
    let link = Link { at: end + 1, writing: Writing::Plain, manner: Manner::Element, is_quoted: false };
    is_open.then_some(link)
}

/// Reads `"password", "value": "x"`, `"password" value="x"`, `("password", "x")`, and the parts of a form.
fn beside(bytes: &[u8], name: &Name, at: usize, writing: Writing) -> Option<Link> {
    const NAMES: [&[u8]; 3] = [b"value", b"val", b"content"];
    if let Some(line) = values::next_line(bytes, at).and_then(|line| values::next_line(bytes, line)) {
        return Some(Link { at: line, writing, manner: Manner::Assigned, is_quoted: true });
    }
    let is_comma = read(bytes, at).byte == b',';
    let next = skip_spaces(bytes, at + usize::from(is_comma), writing);
    let mark = read(bytes, next);
    let word = if mark.is_quote() { next + mark.len } else { next };
    let length = run(bytes, word, 8, |byte| byte.is_ascii_alphabetic());
    if NAMES.iter().any(|name| bytes[word..word + length].eq_ignore_ascii_case(name)) {
        let range = word..word + length;
        let value = Name { range, dashes: word..word, before: read_before(bytes, word) };
        let link = link(bytes, &value).filter(|link| link.manner != Manner::Element)?;
        return Some(Link { is_quoted: true, ..link });
    }
    let opens_pair = || {
        let quote = name.range.start - name.before.len.min(name.range.start);
        matches!(read_before(bytes, quote).byte, b'(' | b'[')
    };
    let is_pair = is_comma && mark.is_quote() && name.before.is_quote() && opens_pair();
    is_pair.then_some(Link {
        at: next,
        writing: writing.with(mark.writing),
        manner: Manner::Assigned,
        is_quoted: true,
    })
}

/// Whether `setPassword("x")` or SQL's `PASSWORD('x')` is called, not `getSecret("name")`.
fn is_call_that_sets(bytes: &[u8], name: &Name) -> bool {
    let name = &bytes[name.range.clone()];
    let begins = |word: &[u8]| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    begins(b"set") || begins(b"with") || name.eq_ignore_ascii_case(b"password") || begins(b"old_password")
}

/// What is looked at of a value before it is known whether it is a secret.
const LOOKED_AT: usize = 512;

/// What is longer is masked, whatever it looks like.
const LONGEST_MEMBER: usize = 4 << 10;

fn linked(bytes: &[u8], name: &Name, link: Link, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) {
    let known_end = finds.cover_end(link.at);
    if known_end.is_some_and(|end| values::ends_word(bytes, end) || finds.covers(end)) {
        return;
    }
    let Some(meaning) = meaning() else { return };
    let frame = Frame {
        writing: link.writing,
        enclosing: Some(name.before).filter(|before| before.is_quote() && !link.is_quoted),
        divider: divider(bytes, name),
        is_member: link.manner == Manner::Assigned && !meaning.demand.is_picky(),
        most: if meaning.demand.is_picky() { LOOKED_AT } else { usize::MAX },
    };
    if let Some(end) = known_end {
        // What was known by its shape may be only a part of the value.
        if !meaning.demand.is_picky() {
            finds.add(meaning.kind, values::bare_word(bytes, end, &frame));
        }
        return;
    }
    match meaning.demand {
        Demand::Authorization => return headers::authorization(bytes, link.at, &frame, finds),
        Demand::Cookie => return headers::cookie(bytes, link.at, &frame, finds),
        _ => {}
    }
    let link = after_type(bytes, link).unwrap_or(link);
    let value = match link.manner {
        Manner::Element => values::element(bytes, link.at, link.writing),
        _ => Some(values::value(bytes, link.at, &frame)),
    };
    let Some(mut value) = value else { return };
    if !is_secret(bytes, name, link, meaning, &frame, &value) {
        return;
    }
    if !value.is_quoted && value.range.len() >= frame.most {
        value = values::value(bytes, link.at, &Frame { most: usize::MAX, ..frame });
    }
    let goes_on =
        meaning.demand == Demand::Phrase || meaning.kind == Kind::Password && begins_line(bytes, name);
    let is_spaced = link.at > name.range.end + 1;
    if goes_on && is_spaced && !value.is_quoted {
        value.range.end = values::words_from(bytes, value.range.end, frame.enclosing);
    }
    finds.add(meaning.kind, value.range);
}

/// Returns the link to the value in `password: str = 'x'`.
fn after_type(bytes: &[u8], link: Link) -> Option<Link> {
    let is_of_type = |byte: u8| byte.is_ascii_alphabetic() || b"&<>*[]?|._'".contains(&byte);
    let end = link.at + run(bytes, link.at, 32, is_of_type);
    let equals = skip_spaces(bytes, end, Writing::Plain);
    let at = skip_spaces(bytes, equals + 1, Writing::Plain);
    let is_typed =
        link.manner == Manner::Told && end > link.at && equals > end && bytes.get(equals) == Some(&b'=');
    (is_typed && read(bytes, at).is_quote()).then_some(Link { at, manner: Manner::Assigned, ..link })
}

fn divider(bytes: &[u8], name: &Name) -> Option<u8> {
    match name.before.byte {
        b'?' | b'&' => Some(b'&'),
        b';' => Some(b';'),
        b' ' if name.range.start > 1 && bytes[name.range.start - 2] == b';' => Some(b';'),
        _ => None,
    }
}

/// Whether nothing but spaces comes before the name on its line.
fn begins_line(bytes: &[u8], name: &Name) -> bool {
    let blanks = run_before(bytes, name.range.start, NAME_MAX, |byte| matches!(byte, b' ' | b'\t'));
    let start = name.range.start - blanks;
    start == 0 || matches!(bytes[start - 1], b'\n' | b'\r')
}

fn is_secret(bytes: &[u8], name: &Name, link: Link, meaning: Meaning, frame: &Frame, found: &Value) -> bool {
    let value = &bytes[found.range.clone()];
    if ordinary::is_in_its_place(value) {
        return false;
    }
    let is_in_sentence = link.manner == Manner::Told && !found.is_quoted;
    let begins_phrase = meaning.demand == Demand::Phrase && !values::ends_line(bytes, found.range.end);
    let is_next_member = value.len() <= LONGEST_MEMBER && ordinary::is_next_member(value);
    let goes_on = is_in_sentence && (ordinary::is_of_a_sentence(value) && !begins_phrase || is_next_member);
    if goes_on || is_in_sentence && meaning.kind == Kind::Token && is_of_a_parser(bytes, name) {
        return false;
    }
    let name = &bytes[name.range.clone()];
    // `PASS: TestLogin` is a verdict.
    let is_verdict = name == b"PASS" && is_in_sentence;
    is_like_one(value, meaning.demand, frame.divider) && suits(name, meaning.kind, value) && !is_verdict
}

/// Whether the value of a member is a secret whose name alone does not make it one.
pub(super) fn is_secret_member(name: &[u8], meaning: Meaning, value: &[u8]) -> bool {
    !ordinary::is_in_its_place(value)
        && is_like_one(value, meaning.demand, None)
        && suits(name, meaning.kind, value)
}

/// Whether a value looks as its name demands.
fn is_like_one(value: &[u8], demand: Demand, divider: Option<u8>) -> bool {
    match demand {
        Demand::Anything | Demand::Phrase | Demand::Authorization | Demand::Cookie => true,
        Demand::Code => (3..=12).contains(&value.len()) && value.iter().any(u8::is_ascii_digit),
        Demand::Session => !(is_number(value) && value.len() < 8 || is_short_hex(value)),
        Demand::Long => tokens::is_long(value, 16) || headers::is_basic(value),
        Demand::VeryLong if divider == Some(b'&') => tokens::is_long(value, 20),
        Demand::VeryLong => tokens::is_mixed(value, 32),
        Demand::InQuery => divider == Some(b'&') && tokens::is_long(value, 16),
    }
}

/// Whether a value is not what such names also stand before.
fn suits(name: &[u8], kind: Kind, value: &[u8]) -> bool {
    match kind {
        Kind::Token => value.len() >= 4 && !(is_number(value) && ends_with(name, b"s")),
        Kind::Password if ends_with(name, b"pwd") => !is_working_directory(name, value),
        Kind::Password if ends_with(name, b"pass") => !(is_number(value) && value.len() < 4),
        _ => true,
    }
}

fn is_number(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_digit)
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    name.len().checked_sub(end.len()).is_some_and(|at| name[at..].eq_ignore_ascii_case(end))
}

/// Whether a parser tells of a word it did not understand.
fn is_of_a_parser(bytes: &[u8], name: &Name) -> bool {
    const UNEXPECTED: [&[u8]; 5] = [b"expected", b"illegal", b"unexpected", b"unknown", b"unrecognized"];
    let before = word_before(bytes, name.range.start);
    UNEXPECTED.iter().any(|word| before.eq_ignore_ascii_case(word))
}

/// Whether it is what shells and sudo call `PWD`.
fn is_working_directory(name: &[u8], value: &[u8]) -> bool {
    const TOP: [&[u8]; 12] = [
        b"/home", b"/root", b"/var", b"/usr", b"/opt", b"/tmp", b"/etc", b"/srv", b"/mnt", b"/app",
        b"/Users", b"/data",
    ];
    let is_of_shell = matches!(name, b"PWD" | b"OLDPWD");
    let is_absolute = value.starts_with(b"/")
        || matches!(value, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    value.len() <= LONGEST_MEMBER
        && (is_of_shell && is_absolute || TOP.iter().any(|top| value.starts_with(top)))
}

/// Whether it is a number that a system counts, as `0x3e7`.
fn is_short_hex(value: &[u8]) -> bool {
    value.len() <= 18 && value.starts_with(b"0x")
}

/// Adds the value after an option, if there is one: `--password x`, `"--token", "x"`, `a2="--secret" a3="x"`.
fn option(bytes: &[u8], name: &Name, meaning: impl Fn() -> Option<Meaning>, finds: &mut Finds) -> bool {
    let quote = Some(read(bytes, name.range.end)).filter(|mark| mark.is_quote());
    let after = name.range.end + quote.map_or(0, |mark| mark.len);
    let is_divided = read(bytes, after).is_blank() || quote.is_some() && read(bytes, after).byte == b',';
    if !is_divided || read(bytes, after).byte == b'\n' {
        return false;
    }
    let Some(meaning) = meaning() else { return false };
    let comma = usize::from(read(bytes, after).byte == b',');
    let at = skip_spaces(bytes, after + comma, Writing::Plain);
    let at = if quote.is_some() { values::skip_audit_name(bytes, at) } else { at };
    let enclosing = Some(name.before).filter(|mark| mark.is_quote() && quote.is_none());
    let frame =
        Frame { enclosing, writing: quote.map_or(Writing::Plain, |mark| mark.writing), ..Frame::PLAIN };
    let value = values::value(bytes, at, &frame);
    let text = &bytes[value.range.clone()];
    let is_other_option =
        matches!(text, [b'-', second, ..] if second.is_ascii_alphabetic() || *second == b'-');
    let is_shell = matches!(text.first(), Some(b'|' | b'>' | b'&' | b';'));
    let is_told = match meaning.demand {
        Demand::Long | Demand::VeryLong | Demand::InQuery => tokens::is_long(text, 16),
        _ => !ordinary::is_of_a_sentence(text),
    };
    let is_secret = is_told && !is_other_option && !is_shell && !ordinary::is_in_its_place(text);
    if is_secret && !finds.covers(value.range.start) {
        finds.add(meaning.kind, value.range);
    }
    is_secret
}
