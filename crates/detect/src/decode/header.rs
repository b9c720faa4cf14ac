//! Strips what a collector writes before a message: syslog (RFC 3164, RFC 5424), ISO time stamps, journald.

/// The parts of a line. `text` is what its program wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header<'a> {
    pub host: Option<&'a str>,
    pub program: Option<&'a str>,
    pub pid: Option<&'a str>,
    pub text: &'a str,
}

/// Splits a line at the end of its header; all of it is text if it has none.
pub(crate) fn split(line: &str) -> Header<'_> {
    // A priority, a time, a host and a program begin with none other.
    let may_begin = |b: &u8| is_host_byte(*b) || matches!(b, b'<' | b'/');
    if !line.as_bytes().first().is_some_and(may_begin) {
        return Header { text: line, ..Header::default() };
    }
    let (had_priority, rest) = without_priority(line);
    if had_priority && let Some(rest) = rest.strip_prefix("1 ") {
        return rfc5424(rest).unwrap_or(Header { text: line, ..Header::default() });
    }
    let (had_time, rest) = without_time(rest);
    if let Some(header) = tagged(rest, had_time || had_priority) {
        return header;
    }
    Header { text: rest, ..Header::default() }
}

/// Strips `<34>`.
fn without_priority(line: &str) -> (bool, &str) {
    let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match priority {
        Some((digits, rest)) if (1..=3).contains(&digits.len()) && is_number(digits) => (true, rest),
        _ => (false, line),
    }
}

/// Strips `Oct  3 10:15:32 `, `2026-01-31T08:00:00.123+01:00 `, `2026-01-31 08:00:00,123 `.
fn without_time(line: &str) -> (bool, &str) {
    let (first, rest) = word(line);
    if is_month(first) {
        let (day, rest) = word(rest);
        let (third, after) = word(rest);
        let (time, rest) = if is_year(third) { word(after) } else { (third, after) };
        if day.len() <= 2 && is_number(day) && is_clock(time) {
            return (true, rest);
        }
    }
    if is_iso_date(first) {
        if first.len() > "2026-01-31T".len() {
            return (true, rest);
        }
        let (time, rest) = word(rest);
        if is_clock(time) {
            return (true, rest);
        }
    }
    (false, line)
}

/// Reads `host program[pid]: text`, `program[pid]: text` and, after a time, `host program: text`.
fn tagged(line: &str, had_time: bool) -> Option<Header<'_>> {
    const LONGEST_TAG: usize = 128;
    let (first, after_first) = word(line);
    if let Some((program, pid)) = tag(first)
        && (had_time || pid.is_some())
    {
        return Some(Header { host: None, program: Some(program), pid, text: after_first });
    }
    let (second, after_second) = word(after_first);
    let is_host = !first.is_empty() && first.len() <= LONGEST_TAG && first.bytes().all(is_host_byte);
    let (program, pid) = tag(second)?;
    if is_host && (had_time || pid.is_some()) {
        return Some(Header { host: Some(first), program: Some(program), pid, text: after_second });
    }
    None
}

/// Reads `program[pid]:`, `program(module)[pid]:` or `program:`.
fn tag(word: &str) -> Option<(&str, Option<&str>)> {
    let tag = word.strip_suffix(':')?;
    let (name, pid) = match tag.strip_suffix(']').and_then(|tag| tag.rsplit_once('[')) {
        Some((name, pid)) if is_number(pid) => (name, Some(pid)),
        _ => (tag, None),
    };
    let is_program = |b: u8| b.is_ascii_alphanumeric() || b"-_./()@*".contains(&b);
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    (starts_well && name.bytes().all(is_program)).then_some((name, pid))
}

/// Reads what follows `<34>1 `: time, host, program, pid, message id, structured data, text.
fn rfc5424(rest: &str) -> Option<Header<'_>> {
    let (_time, rest) = rest.split_once(' ')?;
    let (host, rest) = rest.split_once(' ')?;
    let (program, rest) = rest.split_once(' ')?;
    let (pid, rest) = rest.split_once(' ')?;
    let (_id, rest) = rest.split_once(' ')?;
    let text = match rest.strip_prefix('-') {
        Some(text) => text,
        None => after_structured_data(rest)?,
    };
    Some(Header {
        host: present(host),
        program: present(program),
        pid: present(pid),
        text: text.trim_start_matches([' ', '\u{feff}']),
    })
}

/// A dash stands for what is not known.
fn present(word: &str) -> Option<&str> {
    (word != "-").then_some(word)
}

/// Skips `[id name="value"][…]`, in which `\]` and quoted brackets are text.
fn after_structured_data(rest: &str) -> Option<&str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let mut depth = 0_u32;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'[' if !is_quoted => depth += 1,
            b']' if !is_quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && rest.as_bytes().get(at + 1) != Some(&b'[') {
                    return rest.get(at + 1..);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Returns the first word and what follows the spaces after it.
fn word(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| b == b' ').unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    (first, rest.trim_start_matches(' '))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.contains(&word)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && is_number(word)
}

/// Whether a word is a time of day such as `10:15:32`, `10:15:32,388` or `10:15:32.123Z`.
fn is_clock(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 8
        && bytes
            .iter()
            .take(8)
            .enumerate()
            .all(|(at, b)| if at % 3 == 2 { *b == b':' } else { b.is_ascii_digit() })
}

/// Whether a word starts with a date such as `2026-01-31`.
fn is_iso_date(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_digit_or_dash = |(at, b): (usize, &u8)| {
        if at == 4 || at == 7 { matches!(b, b'-' | b'/') } else { b.is_ascii_digit() }
    };
    bytes.len() >= 10 && bytes.iter().take(10).enumerate().all(is_digit_or_dash)
}

fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.:".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, host: Option<&str>, program: Option<&str>, pid: Option<&str>, text: &str) {
        assert_eq!(split(line), Header { host, program, pid, text }, "{line}");
    }

    #[test]
    fn headers_are_told_from_texts() {
        check("Oct  3 10:15:32 web sshd[42]: Failed", Some("web"), Some("sshd"), Some("42"), "Failed");
        check("<34>Oct 13 10:15:32 web su: ok", Some("web"), Some("su"), None, "ok");
        check("2026-01-31T08:00:00.1+01:00 web cron[1]: x", Some("web"), Some("cron"), Some("1"), "x");
        check(
            "2026-01-31 08:00:00,123 fail2ban.actions: NOTICE",
            None,
            Some("fail2ban.actions"),
            None,
            "NOTICE",
        );
        check(
            "srv sshd[16700]: Connection closed",
            Some("srv"),
            Some("sshd"),
            Some("16700"),
            "Connection closed",
        );
        check("sshd[16700]: Connection closed", None, Some("sshd"), Some("16700"), "Connection closed");
        check(
            "Jul 7 08:06:15 c login(pam_unix)[2]: opened",
            Some("c"),
            Some("login(pam_unix)"),
            Some("2"),
            "opened",
        );
        check(
            r#"<165>1 2026-10-11T22:14:15Z h app 7 ID47 [x a="]"][y] text"#,
            Some("h"),
            Some("app"),
            Some("7"),
            "text",
        );
        check("<34>1 2026-10-11T22:14:15Z h su - - - failed", Some("h"), Some("su"), None, "failed");
    }

    #[test]
    fn a_text_without_header_stays_whole() {
        for line in
            ["", " ", "Error: it failed", "' or 1=1 --", "May the force be with you", "<1>", "<34>1 x"]
        {
            assert_eq!(split(line).program, None, "{line}");
        }
        check("Error: it failed", None, None, None, "Error: it failed");
    }
}
