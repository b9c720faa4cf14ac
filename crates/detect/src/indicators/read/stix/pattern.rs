//! Patterns of STIX → pairs of an object path and a value, of which any one is a match. A pattern that says more, such as
//! `AND` or `WITHIN`, is refused: half of it would match what was not meant.

use crate::indicators::entry::Kind;

/// Longer ones are no list of values.
const MOST_BYTES: usize = 64 * 1024;

/// Returns the alternatives that a pattern lists, or why it can't be used.
pub(super) fn alternatives(pattern: &str) -> Result<Vec<(&str, String)>, String> {
    if pattern.len() > MOST_BYTES {
        return Err("is longer than 64 KiB".to_owned());
    }
    let mut tokens = Tokens { rest: pattern };
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut is_due = true;
    while let Some(token) = tokens.next()? {
        match token {
            Token::Sign('[' | '(') if is_due => depth += 1,
            Token::Sign(']' | ')') if !is_due && depth > 0 => depth -= 1,
            Token::Word("OR") if !is_due => is_due = true,
            Token::Word(path) if is_due && depth > 0 && path.contains(':') => {
                found.extend(tokens.values()?.into_iter().map(|value| (path, value)));
                is_due = false;
            }
            Token::Word(word) => return Err(not_used(word)),
            Token::Sign(sign) => return Err(not_used(sign.encode_utf8(&mut [0; 4]))),
            Token::Text(text) => return Err(not_used(&text)),
        }
    }
    if depth > 0 || is_due { Err("breaks off".to_owned()) } else { Ok(found) }
}

/// Returns what kind of indicator an object path holds, if it is looked for.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    match path {
        "ipv4-addr:value"
        | "ipv6-addr:value"
        | "network-traffic:src_ref.value"
        | "network-traffic:dst_ref.value" => Some(Kind::Address),
        "domain-name:value" => Some(Kind::Domain),
        "url:value" => Some(Kind::Url),
        _ => path.starts_with("file:hashes.").then_some(Kind::Hash),
    }
}

fn not_used(word: &str) -> String {
    let word: String = word.chars().take(40).collect();
    format!("says '{word}', which can't be matched as it is meant")
}

enum Token<'p> {
    Word(&'p str),
    Sign(char),
    Text(String),
}

struct Tokens<'p> {
    rest: &'p str,
}

impl<'p> Tokens<'p> {
    /// Reads what a path is compared with: `= 'a'`, `ISSUBSET 'a'` or `IN ('a', 'b')`.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next()? {
            Some(Token::Sign('=') | Token::Word("ISSUBSET")) => Ok(vec![self.text()?]),
            Some(Token::Word("IN")) => {
                let mut values = Vec::new();
                self.sign('(')?;
                loop {
                    values.push(self.text()?);
                    match self.next()? {
                        Some(Token::Sign(',')) => {}
                        Some(Token::Sign(')')) => return Ok(values),
                        _ => return Err("has a list that breaks off".to_owned()),
                    }
                }
            }
            Some(Token::Word(word)) => Err(not_used(word)),
            Some(Token::Sign(sign)) => Err(not_used(sign.encode_utf8(&mut [0; 4]))),
            Some(Token::Text(_)) | None => Err("compares nothing".to_owned()),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Some(Token::Text(text)) => Ok(text),
            _ => Err("compares with something that is no text in quotes".to_owned()),
        }
    }

    fn sign(&mut self, wanted: char) -> Result<(), String> {
        match self.next()? {
            Some(Token::Sign(sign)) if sign == wanted => Ok(()),
            _ => Err(format!("lacks a '{wanted}'")),
        }
    }

    fn next(&mut self) -> Result<Option<Token<'p>>, String> {
        self.rest = self.rest.trim_start();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        if first == '\'' {
            return self.quoted().map(|text| Some(Token::Text(text)));
        }
        if !is_word(first) {
            self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
            return Ok(Some(Token::Sign(first)));
        }
        // A path may have a part in quotes: `file:hashes.'SHA-256'`.
        let mut end = 0;
        let mut is_quoted = false;
        for (at, c) in self.rest.char_indices() {
            if c == '\'' {
                is_quoted = !is_quoted;
            } else if !is_quoted && !is_word(c) {
                break;
            }
            end = at + c.len_utf8();
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(Token::Word(word)))
    }

    /// Reads a text in quotes, in which `\'` and `\\` stand for a quote and a backslash.
    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                c => text.push(c),
            }
        }
        Err("has a text that breaks off".to_owned())
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '*')
}
