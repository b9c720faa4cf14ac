//! One entry a line. `#` and `;` begin comments; a file of hosts (`0.0.0.0 name`) lists its names.

use super::Reading;

pub(super) fn read(text: &str, reading: &mut Reading<'_>) {
    let mut of_all = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix(['#', ';']) {
            heading(comment, number, reading, &mut of_all);
            continue;
        }
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let (entry, comment) = split_comment(line);
        reading.describe(comment.or(of_all).unwrap_or_default());
        for name in names(entry) {
            reading.add(number, name, None);
        }
    }
}

/// Reads `# description: …` and `# confidence: …`, which are said of all entries below.
fn heading<'t>(comment: &'t str, number: usize, reading: &mut Reading<'_>, of_all: &mut Option<&'t str>) {
    let Some((name, value)) = comment.split_once(':') else { return };
    match name.trim().to_ascii_lowercase().as_str() {
        "description" => *of_all = Some(value),
        "confidence" => reading.trust(number, value),
        _ => {}
    }
}

/// Returns the entry and the comment that stands behind it, after a space.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let is_start = |at: &usize| {
        let before = line.get(..*at).and_then(|before| before.chars().next_back());
        before.is_some_and(char::is_whitespace)
    };
    let start = line.match_indices(['#', ';']).map(|(at, _)| at).find(is_start);
    let split = start.and_then(|at| Some((line.get(..at)?.trim_end(), line.get(at + 1..))));
    split.unwrap_or((line, None))
}

/// Returns the names of a line of a hosts file, else the whole entry.
fn names(entry: &str) -> impl Iterator<Item = &str> {
    let mut words = entry.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_hosts = matches!(first, "0.0.0.0" | "127.0.0.1" | "::" | "::1") && first.len() < entry.len();
    let whole = (!is_hosts).then_some(entry);
    whole.into_iter().chain(words.filter(move |_| is_hosts))
}
