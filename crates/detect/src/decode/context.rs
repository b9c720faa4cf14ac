//! Whether a text is a raw value, as a sensor passes on what somebody typed, or something a program or a person wrote.

use std::sync::LazyLock;

use crate::decode::{Context, names::Names};

/// So many plain words in a row make a sentence.
const WORDS_IN_A_ROW: u32 = 4;

/// Fewer do at its start: payloads begin with a value or a mark.
const WORDS_AT_THE_START: u32 = 3;

/// So many of them, if they are half of a text, make prose.
const WORDS_IN_ALL: u32 = 5;

/// A raw value is judged by its beginning.
const MOST_WORDS: usize = 64;

/// Words that logs put in front of what they say.
const LEVELS: [&str; 16] = [
    "INFO",
    "WARN",
    "WARNING",
    "ERROR",
    "DEBUG",
    "NOTICE",
    "FATAL",
    "TRACE",
    "CRITICAL",
    "ALERT",
    "LOG",
    "STATEMENT",
    "DETAIL",
    "HINT",
    "SEVERE",
    "EMERG",
];

/// Returns [`Context::Value`] for a message that looks like one value, [`Context::Prose`] for anything else.
pub(crate) fn of_message(message: &str) -> Context {
    if starts_like_a_log(message) || reads_like_a_sentence(message) { Context::Prose } else { Context::Value }
}

/// The same for what somebody typed, who can write in front of it what logs do.
pub(crate) fn of_typed(text: &str) -> Context {
    if reads_like_a_sentence(text) { Context::Prose } else { Context::Value }
}

/// Whether a text starts with a time, a level, or a label such as `ERROR:`, `[error]`, `query:`.
fn starts_like_a_log(text: &str) -> bool {
    const FIRST_WORDS: usize = 8;
    let trimmed = text.trim_start();
    let is_dated = trimmed.bytes().take(8).filter(u8::is_ascii_digit).count() >= 6
        && trimmed.bytes().take(32).any(|b| b == b' ');
    let mut words = trimmed.split_ascii_whitespace();
    let first = words.next().unwrap_or("");
    let label = first.strip_suffix(':').or_else(|| first.strip_prefix('[')?.strip_suffix(']'));
    let is_labelled = label.is_some_and(|label| {
        label.len() >= 2 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    });
    let has_level = trimmed.split_ascii_whitespace().take(FIRST_WORDS).any(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
        word.starts_with(|c: char| c.is_ascii_uppercase()) && LEVELS.contains(&word)
    });
    (is_dated && words.next().is_some()) || is_labelled || has_level
}

/// Whether plain words follow each other as they do in a language, and not as in SQL or markup.
fn reads_like_a_sentence(text: &str) -> bool {
    let (mut run, mut plain, mut words) = (0, 0, 0);
    for word in text.split_ascii_whitespace().take(MOST_WORDS) {
        let bare = word.trim_matches(|c: char| "()[]\"'.,:;!?".contains(c));
        let is_plain = bare.len() >= 2 && bare.bytes().all(|b| b.is_ascii_alphabetic() || b"'-".contains(&b));
        words += 1;
        let is_counted = is_plain && !is_code(bare);
        plain += u32::from(is_counted);
        run = if is_plain { run + u32::from(is_counted) } else { 0 };
        let begins_with_words = plain == words;
        if run >= WORDS_IN_A_ROW || (begins_with_words && plain >= WORDS_AT_THE_START) {
            return true;
        }
    }
    plain >= WORDS_IN_ALL && 2 * plain >= words
}

/// Whether a word belongs to SQL or to a shell as much as to a language.
fn is_code(word: &str) -> bool {
    const WORDS: [&str; 34] = [
        "select", "from", "where", "and", "or", "union", "all", "order", "by", "group", "having", "insert",
        "into", "values", "update", "set", "delete", "drop", "table", "null", "like", "is", "not", "in",
        "as", "limit", "waitfor", "delay", "between", "exec", "declare", "case", "when", "then",
    ];
    static NAMES: LazyLock<Names<()>> = LazyLock::new(|| Names::new(WORDS.iter().map(|word| (*word, ()))));
    NAMES.get(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_programs_and_people_write() {
        let values = [
            "1' or 1=1 --",
            "-1 union all select null,null from users where 1=1",
            "<script>alert(1)</script>",
            "../../etc/passwd",
            "; cat /etc/passwd",
            "admin'--",
            "1; waitfor delay '0:0:5' --",
            "  238 | cat /etc/passwd",
            "12 info ; cat /etc/passwd",
            "12 or 1=1",
        ];
        for text in values {
            assert_eq!(of_message(text), Context::Value, "{text}");
            assert_eq!(of_typed(text), Context::Value, "{text}");
        }
        let prose = [
            "LOG:  duration: 842 ms  statement: SELECT a FROM b",
            "ERROR: syntax error at or near \"'\"",
            "081109 205315 29 INFO dfs.DataNode: Receiving block",
            "2015-10-18 18:04:52,552 INFO [main] x",
            "[error] file not found",
            "Fix the parser so that it reads <script> tags",
            "query: SELECT 1",
            "Fix XSS: escape <script>alert(1)</script> in titles (#42)",
            "Traceback (most recent call last): cursor.execute(\"SELECT a FROM b WHERE c=1 OR d=2\")",
            "push to refs/heads/main: commit 743a531e \"make :port optional for \"AUTH command used\"\"",
        ];
        for text in prose {
            assert_eq!(of_message(text), Context::Prose, "{text}");
        }
    }

    #[test]
    fn nobody_hides_what_was_typed_behind_the_beginning_of_a_log_line() {
        for before in ["ERROR: ", "[error] ", "2026-01-31 08:00:00 INFO ", "12 info "] {
            assert_eq!(of_typed(&format!("{before}1' or '1'='1")), Context::Value, "{before}");
        }
    }
}
