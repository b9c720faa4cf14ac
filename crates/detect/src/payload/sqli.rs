//! SQL that breaks out of its place: libinjection's verdict beside our own reading of token shapes.
//! Quotes and brackets are read as marks, not as strings, so it does not matter in which context a payload was to land.

use std::ops::Range;

use crate::{
    decode::Context,
    payload::{Hit, Kind, Sign, Suspect, marks::Marks},
};

const fn sign(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Sql, value, prose }
}

const fn nosql(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::NoSql, value, prose }
}

const fn ldap(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Ldap, value, prose }
}

/// Names that an application never takes from a visitor.
pub(super) const SIGNS: &[Sign] = &[
    sign("select", 0, 0),
    sign("union", 0, 0),
    sign("order by", 0, 0),
    sign("group by", 0, 0),
    sign("having", 0, 0),
    sign("waitfor", 0, 0),
    sign("drop table", 78, 0),
    sign("drop database", 80, 0),
    sign("drop function", 76, 0),
    sign("alter table", 74, 0),
    sign("create table", 72, 0),
    sign("insert into", 74, 0),
    sign("delete from", 74, 0),
    sign("load data", 70, 0),
    sign("load xml", 74, 0),
    sign("infile", 66, 0),
    sign("varchar(", 72, 0),
    sign("rlike", 0, 0),
    sign("xp_cmdshell", 88, 60),
    sign("sp_executesql", 78, 0),
    sign("sp_oacreate", 84, 50),
    sign("xp_dirtree", 84, 50),
    sign("xp_regread", 82, 50),
    sign("information_schema", 80, 0),
    sign("sysobjects", 76, 0),
    sign("syscolumns", 76, 0),
    sign("sqlite_master", 78, 0),
    sign("pg_catalog", 72, 0),
    sign("pg_sleep", 84, 0),
    sign("pg_read_file", 82, 0),
    sign("mysql.user", 78, 0),
    sign("all_tables", 70, 0),
    sign("utl_inaddr", 84, 50),
    sign("utl_http", 80, 40),
    sign("dbms_pipe", 84, 40),
    sign("dbms_lock", 78, 0),
    sign("ctxsys.drithsx", 86, 60),
    sign("extractvalue(", 82, 30),
    sign("updatexml(", 82, 30),
    sign("xmltype(", 74, 0),
    sign("load_file(", 82, 40),
    sign("into outfile", 82, 40),
    sign("into dumpfile", 84, 50),
    sign("benchmark(", 80, 0),
    sign("randomblob(", 80, 0),
    sign("group_concat(", 74, 0),
    sign("concat_ws(", 72, 0),
    sign("unhex(", 72, 0),
    sign("@@version", 78, 30),
    sign("rdb$", 78, 0),
    sign("sysibm.", 76, 0),
    sign("msysaccessobjects", 80, 40),
    sign("procedure analyse", 82, 40),
    nosql("[$ne]", 82, 60),
    nosql("[$gt]", 78, 50),
    nosql("[$lt]", 74, 50),
    nosql("[$regex]", 80, 60),
    nosql("[$where]", 84, 60),
    nosql("[$nin]", 78, 50),
    nosql("[$exists]", 76, 50),
    nosql("\"$ne\":", 78, 0),
    nosql("\"$gt\":", 72, 0),
    nosql("\"$where\":", 80, 0),
    nosql("\"$regex\":", 70, 0),
    nosql("'$where':", 80, 0),
    nosql("this.password", 72, 0),
    nosql("db.collection", 60, 0),
    ldap("*)(uid=", 84, 70),
    ldap(")((|", 82, 70),
    ldap("*)((", 78, 60),
    ldap("*)(cn=", 84, 70),
    ldap("*)(&", 80, 60),
    ldap("*)(|(", 82, 70),
    ldap(")(|(", 74, 50),
    ldap("*)(objectclass=", 84, 70),
    ldap("*))%00", 84, 70),
    ldap("*)(userpassword=", 84, 70),
    ldap("or count(/", 82, 60),
    ldap("and count(/", 82, 60),
    ldap("string-length(name(", 78, 40),
    ldap("or '1'='1' or ''='", 84, 70),
];

/// Words of which, or of those signs that are worth nothing, a shape in prose has one, unless it is written with `||` or
/// `&&`: see `strongest_shape`.
pub(super) const WORDS: [&str; 33] = [
    "alter",
    "and",
    "begin",
    "benchmark",
    "call",
    "copy",
    "create",
    "declare",
    "delay",
    "delete",
    "div",
    "drop",
    "except",
    "exec",
    "execute",
    "grant",
    "handler",
    "insert",
    "intersect",
    "merge",
    "minus",
    "mod",
    "or",
    "pg_sleep",
    "rename",
    "replace",
    "set",
    "shutdown",
    "sleep",
    "truncate",
    "update",
    "where",
    "xor",
];

/// The bytes without which there is no SQL to break out with.
const SQL_MARKS: Marks = Marks::QUOTES
    .or(Marks::EQUALS)
    .or(Marks::ROUND)
    .or(Marks::SEMICOLON)
    .or(Marks::HASH)
    .or(Marks::STAR)
    .or(Marks::PIPE)
    .or(Marks::LESS)
    .or(Marks::GREATER)
    .or(Marks::AMPERSAND);

/// What libinjection alone is worth: it also sees SQL in odd but innocent punctuation, the more so between words.
fn libinjection_alone(text: &str) -> u8 {
    if quotes_stand_around_words(text) {
        return 24;
    }
    let is_word = |word: &&str| word.len() >= 2 && word.bytes().all(|b| b.is_ascii_alphabetic());
    match text.split([' ', '+']).filter(is_word).count() {
        0 | 1 => 54,
        2 => 48,
        3 => 42,
        _ => 36,
    }
}

/// Says whether every double quote belongs to a pair around one word, as people write who search for exactly that word.
/// Quotes that break out of a string stand alone, or touch what is not theirs.
fn quotes_stand_around_words(text: &str) -> bool {
    let mut parts = text.split('"');
    let Some(mut before) = parts.next() else { return false };
    let (ends, starts) = ([' ', '+', '=', '&', '/', ':'], [' ', '+', '&', '.', ',', '?']);
    let mut pairs = 0;
    while let Some(word) = parts.next() {
        let Some(after) = parts.next() else { return false };
        let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
        let stands_free =
            (before.is_empty() || before.ends_with(ends)) && (after.is_empty() || after.starts_with(starts));
        if !is_word || !stands_free {
            return false;
        }
        before = after;
        pairs += 1;
    }
    let compares = text.replace("=\"", "").contains('=');
    pairs > 0 && !compares && !text.contains(['\'', '`', ';', '#', '*', '|', '(', '-', '<', '>'])
}

pub(super) fn detect(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    if !suspect.marks.any(SQL_MARKS) && !suspect.is_hinted(Kind::Sql) {
        return;
    }
    if suspect.is_prose() && !may_be_shaped_in_prose(suspect) {
        return;
    }
    let tokens = Tokens::of(suspect.text);
    let shape = strongest_shape(&tokens, suspect);
    // A clear shape needs no second witness, which costs more than all else here.
    if let Some((points @ CLEAR.., range)) = shape {
        hits.push(hit((points + 4).min(94), range));
        return;
    }
    // A weaker shape that is made of such quotes is none.
    let has_quote =
        |range: &Range<usize>| suspect.text.get(range.clone()).is_some_and(|part| part.contains('"'));
    let shape = shape.filter(|(_, range)| !(has_quote(range) && quotes_stand_around_words(suspect.text)));
    let is_quoted = tokens.quotes > 0;
    let is_asked = !suspect.is_prose()
        && (is_quoted || suspect.context != Context::Path)
        && (is_quoted || tokens.have_keywords());
    match (shape, is_asked && libinjection(suspect.text)) {
        (Some((points, range)), true) => hits.push(hit(points + 6, range)),
        (Some((points, range)), false) => hits.push(hit(points, range)),
        (None, true) => hits.push(hit(libinjection_alone(suspect.text), 0..suspect.text.len())),
        (None, false) => {}
    }
}

/// Whether prose holds what every shape has that counts there. A comment may stand before a word without a space.
fn may_be_shaped_in_prose(suspect: &Suspect<'_>) -> bool {
    let holds = |mark: Marks, operator: &str| suspect.marks.any(mark) && suspect.text.contains(operator);
    suspect.has_sql_word
        || suspect.is_hinted(Kind::Sql)
        || holds(Marks::PIPE, "||")
        || holds(Marks::AMPERSAND, "&&")
        || holds(Marks::STAR, "/*")
}

/// A shape worth so much is beyond doubt.
const CLEAR: u8 = 84;

/// Asks libinjection about the beginning and the end of a text; its cost grows fast with hostile length.
fn libinjection(text: &str) -> bool {
    const MOST: usize = 1024;
    let bytes = text.as_bytes();
    let is_injection = |part: &[u8]| libinjectionrs::detect_sqli(part).is_injection();
    if bytes.len() <= 2 * MOST {
        return is_injection(bytes);
    }
    is_injection(&bytes[..MOST]) || is_injection(&bytes[bytes.len() - MOST..])
}

fn hit(points: u8, range: Range<usize>) -> Hit {
    Hit { kind: Kind::Sql, points, range }
}

/// What a token means to SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Number,
    /// A word that is no keyword: a column, a function, a person's name.
    Name,
    Function,
    Variable,
    Union,
    Select,
    AllOrDistinct,
    Logic,
    Not,
    Comparison,
    Order,
    By,
    From,
    Clause,
    /// What starts a statement that changes or runs something.
    Verb,
    Delay,
    Operator,
    Comma,
    Semicolon,
    Comment,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    meaning: Meaning,
    start: usize,
    end: usize,
    /// What stood between the token before and this one.
    after_quote: bool,
    after_open: bool,
    after_close: bool,
}

struct Tokens {
    list: Vec<Token>,
    ends_with_quote: bool,
    quotes: usize,
}

impl Tokens {
    /// A payload is short; what follows so many tokens changes nothing.
    const MOST: usize = 400;

    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut tokens = Self { list: Vec::with_capacity(32), ends_with_quote: false, quotes: 0 };
        let mut at = 0;
        let (mut after_quote, mut after_open, mut after_close) = (false, false, false);
        while at < bytes.len() && tokens.list.len() < Self::MOST {
            let rest = &bytes[at..];
            let (meaning, len) = match rest {
                [b'\'' | b'"' | b'`', ..] => {
                    after_quote = true;
                    tokens.quotes += 1;
                    at += 1;
                    continue;
                }
                [b'(' | b'[' | b'{', ..] => {
                    after_open = true;
                    at += 1;
                    continue;
                }
                [b')' | b']' | b'}', ..] => {
                    after_close = true;
                    at += 1;
                    continue;
                }
                [b'/', b'*', inner @ ..] => (Meaning::Comment, comment_len(inner)),
                [b'-', b'-', ..] | [b'#', ..] => (Meaning::Comment, line_len(rest)),
                [b';', ..] => (Meaning::Semicolon, 1),
                [b',', ..] => (Meaning::Comma, 1),
                [b'<', b'=', b'>', ..] => (Meaning::Comparison, 3),
                [b'<', b'>' | b'=', ..] | [b'>' | b'!' | b':' | b'=', b'=', ..] | [b'!', b'<' | b'>', ..] => {
                    (Meaning::Comparison, 2)
                }
                [b'=' | b'<' | b'>', ..] => (Meaning::Comparison, 1),
                [b'|', b'|', ..] | [b'&', b'&', ..] => (Meaning::Logic, 2),
                [b'@', ..] => (Meaning::Variable, 1 + name_len(rest.get(1..).unwrap_or(&[]))),
                [b'0'..=b'9', ..] => (Meaning::Number, number_len(rest)),
                [b, ..] if b.is_ascii_alphabetic() || *b == b'_' || !b.is_ascii() => {
                    let len = name_len(rest);
                    (word(&rest[..len], bytes.get(at + len) == Some(&b'(')), len)
                }
                [b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~' | b'!', ..] => {
                    (Meaning::Operator, 1)
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            let is_hidden_space =
                meaning == Meaning::Comment && rest.starts_with(b"/*") && at + len < bytes.len();
            if !is_hidden_space {
                let token = Token { meaning, start: at, end: at + len, after_quote, after_open, after_close };
                tokens.list.push(token);
                (after_quote, after_open, after_close) = (false, false, false);
            }
            at += len;
        }
        tokens.ends_with_quote = after_quote;
        tokens
    }
}

impl Tokens {
    /// Whether anything but values and punctuation occurs.
    fn have_keywords(&self) -> bool {
        let is_keyword = |token: &Token| {
            !matches!(
                token.meaning,
                Meaning::Number
                    | Meaning::Name
                    | Meaning::Variable
                    | Meaning::Comparison
                    | Meaning::Operator
                    | Meaning::Comma
                    | Meaning::Semicolon
            )
        };
        self.list.iter().any(is_keyword)
    }
}

/// `MySQL` runs what stands in `/*! … */`, so that only hides its opening.
fn comment_len(inner: &[u8]) -> usize {
    if let [b'!', rest @ ..] = inner {
        return 3 + rest.iter().take_while(|b| b.is_ascii_digit()).count();
    }
    let end = inner.windows(2).position(|pair| pair == b"*/");
    end.map_or(inner.len() + 2, |end| end + 4)
}

fn line_len(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

fn name_len(rest: &[u8]) -> usize {
    rest.iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b'@') || !b.is_ascii())
        .count()
}

fn number_len(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'.').count()
}

fn word(word: &[u8], is_called: bool) -> Meaning {
    const LONGEST: usize = 32;
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return Meaning::Name };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"union" | b"intersect" | b"except" | b"minus" => Meaning::Union,
        b"select" => Meaning::Select,
        b"all" | b"distinct" | b"distinctrow" => Meaning::AllOrDistinct,
        b"or" | b"and" | b"xor" | b"having" | b"where" | b"div" | b"mod" => Meaning::Logic,
        b"not" => Meaning::Not,
        b"like" | b"rlike" | b"regexp" | b"between" | b"is" | b"in" | b"ilike" | b"glob" | b"sounds" => {
            Meaning::Comparison
        }
        b"order" | b"group" => Meaning::Order,
        b"by" => Meaning::By,
        b"from" => Meaning::From,
        b"limit" | b"procedure" | b"into" | b"as" => Meaning::Clause,
        b"insert" | b"update" | b"delete" | b"drop" | b"truncate" | b"alter" | b"create" | b"exec"
        | b"execute" | b"declare" | b"shutdown" | b"grant" | b"call" | b"begin" | b"merge" | b"replace"
        | b"set" | b"rename" | b"handler" | b"copy" => Meaning::Verb,
        b"waitfor" => Meaning::Delay,
        b"sleep" | b"pg_sleep" | b"benchmark" | b"delay" if is_called => Meaning::Delay,
        b"null" | b"true" | b"false" => Meaning::Number,
        b"elt" | b"if" | b"ifnull" | b"case" | b"cast" | b"convert" | b"char" | b"chr" | b"ascii"
        | b"ord" | b"substr" | b"substring" | b"mid" | b"concat" | b"hex" | b"length" | b"count" | b"exp"
        | b"row" | b"floor" | b"rand" | b"md5" | b"version" | b"user" | b"database" | b"schema"
        | b"current_user" | b"make_set" | b"exists" | b"json_keys" | b"upper" | b"lower" | b"iif"
        | b"coalesce" | b"nullif" | b"decode" | b"db_name" | b"quote" | b"sha1" | b"conv"
            if is_called =>
        {
            Meaning::Function
        }
        _ => Meaning::Name,
    }
}

/// In a longer value, quoted words joined by `or` are somebody's search.
const SHORT_VALUE: usize = 48;

/// Returns the most telling shape: what it is worth and where it stands.
fn strongest_shape(tokens: &Tokens, suspect: &Suspect<'_>) -> Option<(u8, Range<usize>)> {
    let list = &tokens.list;
    let first = list.first()?;
    // A log line that holds a whole statement is an application at work; its keywords prove nothing.
    let statement = list.iter().position(|token| matches!(token.meaning, Meaning::Select | Meaning::Verb));
    let mut best: Option<(u8, Range<usize>)> = None;
    let mut see = |points: u8, range: Range<usize>| {
        if points > best.as_ref().map_or(0, |(points, _)| *points) {
            best = Some((points, range));
        }
    };
    let is_statement_first =
        matches!(first.meaning, Meaning::Select | Meaning::Verb) && !first.after_quote && !first.after_open;
    for (at, token) in list.iter().enumerate() {
        let next = |offset: usize| list.get(at + offset);
        let is_quoted = |offset: usize| next(offset).is_some_and(|token| token.after_quote);
        let is_a =
            |offset: usize, meaning: Meaning| next(offset).is_some_and(|token| token.meaning == meaning);
        let is_in_statement = statement.is_some_and(|statement| statement < at);
        let till = |offset: usize| token.start..list.get(at + offset).map_or(token.end, |token| token.end);
        match token.meaning {
            Meaning::Union => {
                let skip = usize::from(is_a(1, Meaning::AllOrDistinct));
                if is_a(1 + skip, Meaning::Select) && !(suspect.is_prose() && is_in_statement) {
                    // Without a list of columns it is a question about SQL.
                    see(if next(2 + skip).is_some() { 86 } else { 58 }, till(2 + skip));
                } else if at > 0 && skip == 1 && !suspect.is_prose() {
                    see(62, till(1));
                }
            }
            Meaning::Logic if !(suspect.is_prose() && is_in_statement) => {
                if let Some((points, len)) = condition(list, at, tokens.ends_with_quote) {
                    // A sentence may say that this and that is so; only numbers and quotes are telling there.
                    let worth = if suspect.is_prose() && points < CLEAR { 0 } else { points };
                    see(if suspect.is_prose() { worth.saturating_sub(20) } else { worth }, till(len));
                } else if at > 0 && token.after_quote && is_quoted(1) && suspect.text.len() <= SHORT_VALUE {
                    // In double quotes this is how people search.
                    see(if suspect.marks.any(Marks::SINGLE_QUOTE) { 70 } else { 38 }, till(1));
                }
            }
            Meaning::Semicolon if !suspect.is_prose() || token.after_quote => {
                if is_a(1, Meaning::Select) || is_a(1, Meaning::Delay) {
                    see(84, till(2));
                } else if is_a(1, Meaning::Verb) && begins_statement(list, at + 1, suspect.text) {
                    see(80, till(2));
                }
            }
            Meaning::Delay if !suspect.is_prose() || token.after_quote => {
                see(if at > 0 { 86 } else { 76 }, till(1));
            }
            Meaning::Select if !suspect.is_prose() => {
                let is_opened = token.after_open || token.after_quote;
                if at > 0 && is_opened {
                    see(82, till(2));
                } else if at > 0 && list[at..].iter().any(|token| token.meaning == Meaning::From) {
                    see(76, till(3));
                } else if is_statement_first
                    && list[1..]
                        .iter()
                        .any(|token| matches!(token.meaning, Meaning::From | Meaning::Function))
                {
                    see(70, till(3));
                }
            }
            Meaning::Order if !suspect.is_prose() && at > 0 && is_a(1, Meaning::By) => {
                let has_broken_out = token.after_quote || token.after_close;
                let has_tail = list.last().is_some_and(|last| last.meaning == Meaning::Comment);
                if is_a(2, Meaning::Number) && (has_broken_out || has_tail) {
                    see(80, till(2));
                } else if is_a(2, Meaning::Number) && list[at - 1].meaning == Meaning::Number {
                    see(74, till(2));
                }
            }
            Meaning::Comparison
                if at > 0
                    && !suspect.is_prose()
                    && token.after_quote
                    && is_quoted(1)
                    && list[at - 1].meaning != Meaning::Comparison =>
            {
                see(72, till(1));
            }
            Meaning::Comment if at > 0 && !suspect.is_prose() => {
                let before = &list[at - 1];
                let touches = suspect.text.get(before.end..token.start).unwrap_or("");
                let is_cut = token.after_quote && touches.trim_matches(['\'', '"', '`', ')', ' ']).is_empty();
                let comment = suspect.text.get(token.start..token.end).unwrap_or("");
                let hides_nothing = !comment.bytes().any(|b| b.is_ascii_alphanumeric());
                if is_cut && before.meaning != Meaning::Comment {
                    see(if hides_nothing { 74 } else { 38 }, before.start..token.end);
                }
            }
            Meaning::Function
                if !suspect.is_prose()
                    && at > 0
                    && (list[at - 1].after_quote
                        || token.after_quote
                        || list[at - 1].meaning == Meaning::Comparison) =>
            {
                see(72, till(2));
            }
            _ => {}
        }
    }
    if !suspect.is_prose()
        && let Some(points) = only_operators(tokens, suspect.text)
    {
        see(points, 0..suspect.text.len());
    }
    best
}

/// Whether a verb goes on as it does in SQL, so that `; set the table` is none.
fn begins_statement(list: &[Token], at: usize, text: &str) -> bool {
    const OBJECTS: [&str; 12] = [
        "table",
        "database",
        "view",
        "function",
        "procedure",
        "proc",
        "user",
        "login",
        "index",
        "schema",
        "trigger",
        "role",
    ];
    let is = |offset: usize, words: &[&str]| {
        let word = list.get(at + offset).and_then(|token| text.get(token.start..token.end)).unwrap_or("");
        words.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    let is_variable = list.get(at + 1).is_some_and(|token| token.meaning == Meaning::Variable);
    let is_last =
        list.get(at + 1).is_none_or(|token| matches!(token.meaning, Meaning::Comment | Meaning::Semicolon));
    let name = list.get(at + 1).and_then(|token| text.get(token.start..token.end)).unwrap_or("");
    if is(0, &["drop", "alter", "create", "truncate", "rename"]) {
        is(1, &OBJECTS)
    } else if is(0, &["update"]) {
        (2..6).any(|offset| is(offset, &["set"]))
    } else if is(0, &["insert", "replace", "merge"]) {
        is(1, &["into"])
    } else if is(0, &["delete"]) {
        is(1, &["from"])
    } else if is(0, &["shutdown"]) {
        is_last || is(1, &["with"])
    } else if is(0, &["load"]) {
        is(1, &["data", "xml"])
    } else if is(0, &["begin", "copy", "handler", "grant"]) {
        list.len() > at + 3
            && name.len() > 1
            && list[at + 2..]
                .iter()
                .any(|token| token.meaning == Meaning::Semicolon || token.meaning == Meaning::From)
    } else {
        is_variable || name.contains(['_', '.'])
    }
}

/// Reads `or 1=1`, `and 'a' like 'a'`, `or sleep(…)`, `or true --`: what it is worth and how many tokens it spans.
fn condition(list: &[Token], at: usize, ends_with_quote: bool) -> Option<(u8, usize)> {
    let logic = list[at];
    let mut operand = at + 1;
    while list.get(operand).is_some_and(|token| matches!(token.meaning, Meaning::Not | Meaning::Operator)) {
        operand += 1;
    }
    let left = list.get(operand)?;
    let has_broken_out = logic.after_quote || left.after_quote || logic.after_close;
    let follows_value = at > 0;
    let comparison =
        list[operand + 1..].iter().take(8).position(|token| token.meaning == Meaning::Comparison);
    let Some(comparison) = comparison.map(|offset| operand + 1 + offset) else {
        let after = list.get(operand + 1);
        let is_commented = after.is_some_and(|token| token.meaning == Meaning::Comment);
        // `16" or 18"` is a length; without a comment, what follows must be nothing at all.
        let is_cut = is_commented || (after.is_none() && !ends_with_quote);
        let is_literal = matches!(left.meaning, Meaning::Number | Meaning::Function);
        return (is_literal && is_cut && has_broken_out && follows_value).then_some((74, operand - at));
    };
    let right = list.get(comparison + 1);
    let span = comparison + 1 - at;
    let is_direct = comparison == operand + 1;
    let is_number = |token: &Token| token.meaning == Meaning::Number;
    let points = match right {
        Some(right) if is_direct && is_number(left) && is_number(right) => 86,
        Some(right) if is_direct && (left.after_quote || right.after_quote) && follows_value => 84,
        Some(_) if matches!(left.meaning, Meaning::Function) => 84,
        Some(right) if is_number(left) || right.meaning == Meaning::Function || right.after_open => 80,
        Some(right) if is_number(right) && has_broken_out => 76,
        Some(right) if is_number(right) && follows_value => 58,
        Some(_) if has_broken_out => 62,
        None if list[comparison].after_quote || has_broken_out => 72,
        _ => return None,
    };
    Some((points, span))
}

/// Reads values such as `'='` and `'-'`, in which quotes embrace nothing but an operator.
fn only_operators(tokens: &Tokens, text: &str) -> Option<u8> {
    let operators = |token: &Token| {
        matches!(token.meaning, Meaning::Comparison | Meaning::Logic | Meaning::Operator | Meaning::Not)
    };
    let is_quoted = tokens.quotes >= 2 && tokens.ends_with_quote && tokens.list.first()?.after_quote;
    (is_quoted && text.len() <= 24 && tokens.list.iter().all(operators)).then_some(64)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::{decode::Input, payload::Detectors};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn prose_that_is_passed_over_has_no_shape(
            parts in prop::collection::vec(
                select(&[
                    "or", "AND", "xor", "union", "Intersect", "all", "select", "drop", "table", "where", "mod",
                    "sleep(", "waitfor", "benchmark(", "delay(", "like", "null", "1", "9", "x", "user", "=", "<", "||",
                    "&&", ";", "'", "\"", "(", ")", "--", "#", "/*", "/*!50000", "*/", " ", " ", ".", "@", "_", "é",
                ][..]),
                1..14,
            ),
        ) {
            let text = parts.concat();
            let lower = text.to_ascii_lowercase();
            let input = Input { field: 0, context: Context::Prose, name: "message".into() };
            let suspect = Detectors::new().first_pass(&text, &lower, &input, &mut Vec::new());
            let is_passed_over = !may_be_shaped_in_prose(&suspect);
            let shape = strongest_shape(&Tokens::of(&text), &suspect);
            prop_assert!(!(is_passed_over && shape.is_some()), "{text:?}: {shape:?}");
        }
    }
}
