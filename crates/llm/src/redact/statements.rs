//! Secrets whose place in a statement tells what they are: in SQL, in commands of protocols, in what honeypots write.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::redact::{
    Finds, Kind,
    names::{self, Demand},
    ordinary, values,
    written::{Writing, read, run, run_before, skip_spaces},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    /// SQL's `IDENTIFIED BY 'x'`
    Identified,
    /// SQL's `SET PASSWORD FOR anna = 'x'`
    SetPassword,
    /// SQL's `INSERT INTO users (name, password) VALUES ('anna', 'x')`
    Insert,
    /// What Redis shows of its command: `"AUTH" "x"`
    Auth,
    /// A honeypot's `login attempt [root/x]`
    LoginAttempt,
    /// `123456 is your verification code`
    IsYour,
}

/// Looks at what follows the words that a statement begins with.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, statement: Statement, finds: &mut Finds) {
    let at = hit.end;
    match statement {
        Statement::Identified => add(bytes, quoted_on_line(bytes, at, 64), finds),
        Statement::SetPassword => {
            let line = at..values::line_end(bytes, at).min(at + 256);
            if let Some(equals) = memchr(b'=', &bytes[line]) {
                add(bytes, quoted_on_line(bytes, at + equals, 32), finds);
            }
        }
        Statement::Insert => insert(bytes, at, finds),
        Statement::Auth => {
            let first = values::quoted(bytes, at - 1);
            let second = skip_spaces(bytes, first.end, Writing::Plain);
            let has_user = read(bytes, second).is_quote();
            add(bytes, Some(if has_user { values::quoted(bytes, second).inner } else { first.inner }), finds);
        }
        Statement::LoginAttempt => login_attempt(bytes, at, finds),
        Statement::IsYour => is_your(bytes, hit, finds),
    }
}

fn add(bytes: &[u8], value: Option<Range<usize>>, finds: &mut Finds) {
    if let Some(value) = value.filter(|value| !ordinary::is_in_its_place(&bytes[value.clone()])) {
        finds.add(Kind::Password, value);
    }
}

/// Returns the text in the first quotes on a line, not far away.
fn quoted_on_line(bytes: &[u8], at: usize, most: usize) -> Option<Range<usize>> {
    let before = run(bytes, at, most, |byte| byte.is_ascii_alphabetic() || b" _(=".contains(&byte));
    let mark = read(bytes, at + before);
    mark.is_quote().then(|| values::quoted(bytes, at + before).inner)
}

/// Adds the values that stand where the columns of secrets do.
fn insert(bytes: &[u8], at: usize, finds: &mut Finds) {
    const LONGEST: usize = 1 << 10;
    const COLUMNS: usize = 64;
    let table = run(bytes, at, 128, |byte| !matches!(byte, b'(' | b';' | b'\n'));
    let open = at + table + 1;
    let list = &bytes[open.min(bytes.len())..bytes.len().min(open + LONGEST)];
    let Some(close) = memchr(b')', list).filter(|_| bytes.get(open - 1) == Some(&b'(')) else { return };
    let is_secret = |name: &[u8]| {
        let meaning = names::meaning(name.trim_ascii().trim_ascii_start(), &[])?;
        matches!(meaning.demand, Demand::Anything | Demand::Phrase).then_some(meaning.kind)
    };
    let kinds: Vec<Option<Kind>> =
        list[..close].split(|byte| *byte == b',').take(COLUMNS).map(is_secret).collect();
    if kinds.iter().all(Option::is_none) {
        return;
    }
    let mut at = open + close;
    let mut rows = 0;
    loop {
        // Before the first row stands ` VALUES `, between the others a comma.
        let is_between = |byte: u8| if rows == 0 { byte.is_ascii_alphabetic() } else { byte == b',' };
        at += run(bytes, at, 32, |byte| is_between(byte) || b") \n\r\t".contains(&byte));
        if bytes.get(at) != Some(&b'(') {
            return;
        }
        rows += 1;
        at += 1;
        for kind in &kinds {
            at = skip_spaces(bytes, at, Writing::Plain);
            let value = sql_value(bytes, at);
            if let Some(kind) = kind.filter(|_| !ordinary::is_in_its_place(&bytes[value.inner.clone()])) {
                finds.add(kind, value.inner);
            }
            at = value.end + run(bytes, value.end, LONGEST, |byte| !matches!(byte, b',' | b')'));
            if bytes.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
    }
}

fn sql_value(bytes: &[u8], at: usize) -> values::Quoted {
    let prefix = run(bytes, at, 1, |byte| matches!(byte, b'N' | b'E'));
    if read(bytes, at + prefix).is_quote() {
        return values::quoted(bytes, at + prefix);
    }
    // A call, as `MD5('x')`, is masked with what it is called with.
    let name = run(bytes, at, 64, |byte| !matches!(byte, b',' | b')' | b'(' | b'\n'));
    let end = match bytes.get(at + name) {
        Some(b'(') => {
            let inner = at + name + 1;
            let quoted = read(bytes, inner).is_quote().then(|| values::quoted(bytes, inner).end);
            quoted.unwrap_or(inner)
        }
        _ => at + name,
    };
    values::Quoted { inner: at..end, end }
}

fn login_attempt(bytes: &[u8], at: usize, finds: &mut Finds) {
    const LONGEST: usize = 256;
    let end = values::line_end(bytes, at).min(at + LONGEST);
    let line = &bytes[at..end];
    let (Some(slash), Some(close)) = (memchr(b'/', line), memmem::find(line, b"]")) else { return };
    if slash < close {
        let value = values::value(bytes, at + slash + 1, &values::Frame::PLAIN);
        let end = if value.is_quoted { value.range.end } else { at + close };
        add(bytes, Some(value.range.start..end), finds);
    }
}

fn is_your(bytes: &[u8], hit: Range<usize>, finds: &mut Finds) {
    const LONGEST: usize = 48;
    let line = &bytes[hit.end..values::line_end(bytes, hit.end).min(hit.end + LONGEST)];
    let tells = |word: &[u8]| line.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    let digits =
        run_before(bytes, hit.start, 12, |byte| byte.is_ascii_digit() || matches!(byte, b'-' | b' '));
    let number = bytes[hit.start - digits..hit.start].trim_ascii();
    let is_code = (4..=10).contains(&number.len())
        && [&b"code"[..], b"otp", b"pin", b"password"].iter().any(|word| tells(word));
    if is_code {
        finds.add(Kind::Pin, hit.start - number.len()..hit.start);
    }
}
