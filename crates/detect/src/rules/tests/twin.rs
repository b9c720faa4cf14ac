//! The matcher's naive twin: reads what Sigma says off the YAML, anew for every event. It shares no code with the
//! matcher and none with the parser of rules, so that it can disagree with both.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::LazyLock,
};

use regex::{
    Regex,
    bytes::{Regex as BytesRegex, RegexBuilder},
};
use yaml_serde::Value as Yaml;

use super::generate::TRAPS;
use crate::event::{Event, LogSource, Value};

/// Says whether a rule holds for an event; `placeholders` maps names to lists of values.
pub(super) fn holds(rule: &Yaml, placeholders: &Yaml, event: &Event<'_>) -> bool {
    let asked = Asked { detection: &rule["detection"], placeholders, event };
    let conditions = listed(&rule["detection"]["condition"]);
    sees(&rule["logsource"], event.log_source)
        && conditions.iter().any(|condition| asked.condition(condition.as_str().unwrap()))
}

fn sees(stated: &Yaml, source: LogSource) -> bool {
    if stated["category"] == "any" {
        return true;
    }
    let parts = [("category", source.category), ("product", source.product), ("service", source.service)];
    parts.iter().all(|(name, part)| stated.get(*name).is_none_or(|stated| stated.as_str() == *part))
}

struct Asked<'a> {
    detection: &'a Yaml,
    placeholders: &'a Yaml,
    event: &'a Event<'a>,
}

impl Asked<'_> {
    fn condition(&self, condition: &str) -> bool {
        let spaced = condition.replace('(', " ( ").replace(')', " ) ");
        let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
        let holds = self.either(&mut words);
        assert!(words.is_empty(), "{condition}: {words:?} is left");
        holds
    }

    fn either(&self, words: &mut Vec<&str>) -> bool {
        let mut holds = self.both(words);
        while words.pop_if(|word| *word == "or").is_some() {
            holds |= self.both(words);
        }
        holds
    }

    fn both(&self, words: &mut Vec<&str>) -> bool {
        let mut holds = self.term(words);
        while words.pop_if(|word| *word == "and").is_some() {
            holds &= self.term(words);
        }
        holds
    }

    fn term(&self, words: &mut Vec<&str>) -> bool {
        match words.pop().unwrap() {
            "not" => !self.term(words),
            "(" => {
                let holds = self.either(words);
                assert_eq!(words.pop(), Some(")"));
                holds
            }
            wanted if words.last() == Some(&"of") => {
                words.pop();
                let pattern = words.pop().unwrap();
                let holding: Vec<bool> = self.named(pattern).iter().map(|one| self.selection(one)).collect();
                let count = holding.iter().filter(|holds| **holds).count();
                match wanted {
                    "all" => count == holding.len(),
                    "any" => count > 0,
                    number => count >= number.parse().unwrap(),
                }
            }
            name => self.selection(&self.detection[name]),
        }
    }

    /// "them" are all selections but those that begin with an underscore.
    fn named(&self, pattern: &str) -> Vec<&Yaml> {
        let mapping = self.detection.as_mapping().unwrap();
        let is_meant = |name: &str| match pattern.split_once('*') {
            _ if name == "condition" => false,
            _ if pattern == "them" => !name.starts_with('_'),
            Some((before, after)) => name.starts_with(before) && name.ends_with(after),
            None => name == pattern,
        };
        mapping.iter().filter(|(name, _)| is_meant(name.as_str().unwrap())).map(|(_, one)| one).collect()
    }

    /// A map wants all of its members; a list any; what has no field is a keyword.
    fn selection(&self, selection: &Yaml) -> bool {
        match selection {
            Yaml::Mapping(items) => items.iter().all(|(key, value)| self.item(key.as_str().unwrap(), value)),
            Yaml::Sequence(parts) => parts.iter().any(|part| self.selection(part)),
            keyword => self.item("", keyword),
        }
    }

    fn item(&self, key: &str, value: &Yaml) -> bool {
        let mut words = key.split('|');
        let name = words.next().unwrap();
        let modifiers: Vec<&str> = words.collect();
        let has = |modifier: &str| modifiers.contains(&modifier);
        let mut wanted = listed(value);
        if has("expand") {
            wanted = wanted.iter().flat_map(|value| self.expanded(value)).collect();
        }
        let found: Vec<&Value<'_>> = match name {
            "" => self.event.fields.iter().map(|field| &field.value).collect(),
            name => self.event.values(name).collect(),
        };
        if has("neq") {
            return found.iter().any(|found| !wanted.iter().any(|wanted| fits(found, wanted, &modifiers)));
        }
        let holds = |wanted: &Yaml| match wanted {
            Yaml::Bool(there) if has("exists") => *there != found.is_empty(),
            Yaml::Null => found.is_empty() || found.iter().any(|found| **found == Value::Null),
            Yaml::String(other) if has("fieldref") => {
                let others = || self.event.values(other).filter_map(text_of);
                found.iter().filter_map(|found| text_of(found)).any(|text| {
                    others().any(|other| like(&around(literal(&other), &modifiers), &text, has("cased")))
                })
            }
            _ if name.is_empty() => {
                let modifiers = [&modifiers[..], &["contains"]].concat();
                found.iter().any(|found| fits(found, wanted, &modifiers))
            }
            _ => found.iter().any(|found| fits(found, wanted, &modifiers)),
        };
        if has("all") { wanted.iter().all(holds) } else { wanted.iter().any(holds) }
    }

    fn expanded(&self, value: &Yaml) -> Vec<Yaml> {
        for (name, values) in self.placeholders.as_mapping().unwrap() {
            let mark = format!("%{}%", name.as_str().unwrap());
            match value {
                Yaml::String(text) if *text == mark => return listed(values),
                Yaml::String(text) if text.contains(&mark) => {
                    let replaced = |value: &Yaml| Yaml::String(text.replacen(&mark, &written(value), 1));
                    return listed(values).iter().flat_map(|value| self.expanded(&replaced(value))).collect();
                }
                _ => {}
            }
        }
        vec![value.clone()]
    }
}

fn listed(value: &Yaml) -> Vec<Yaml> {
    value.as_sequence().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn text_of(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null => None,
    }
}

/// Writes a value of a rule as a text of the event would be written.
fn written(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) => number
            .as_i64()
            .map_or_else(|| (number.as_f64().unwrap() + 0.0).to_string(), |number| number.to_string()),
        other => panic!("{other:?} is not generated"),
    }
}

#[expect(clippy::float_cmp, reason = "equal is what the rule asks for")]
fn fits(found: &Value<'_>, wanted: &Yaml, modifiers: &[&str]) -> bool {
    let has = |modifier: &str| modifiers.contains(&modifier);
    let Some(text) = text_of(found) else { return false };
    let compared = |number: f64| {
        let bound: f64 = written(wanted).parse().unwrap();
        (has("gt") && number > bound)
            || (has("gte") && number >= bound)
            || (has("lt") && number < bound)
            || (has("lte") && number <= bound)
            || (!["gt", "gte", "lt", "lte"].iter().any(|one| has(one)) && number == bound)
    };
    if let Some(part) = ["year", "month", "day", "hour", "minute", "week"].iter().position(|part| has(part)) {
        return calendar(found).is_some_and(|parts| compared(parts[part]));
    }
    if ["gt", "gte", "lt", "lte"].iter().any(|one| has(one)) {
        return text.trim().parse::<f64>().is_ok_and(|number| number.is_finite() && compared(number));
    }
    if has("re") {
        return expression(&written(wanted), modifiers).is_match(text.as_bytes());
    }
    if has("cidr") {
        return text.trim().parse().is_ok_and(|address| is_inside(address, &written(wanted)));
    }
    let is_shaped =
        ["contains", "startswith", "endswith", "base64", "base64offset"].iter().any(|one| has(one));
    if let (Yaml::Number(wanted), Value::Number(found), false) = (wanted, found, is_shaped) {
        return wanted.as_f64() == Some(*found);
    }
    let symbols = match wanted {
        Yaml::String(wanted) => symbols(wanted),
        other => literal(&written(other)),
    };
    let symbols = if has("windash") { with_dashes(&symbols) } else { symbols };
    encoded(&symbols, modifiers)
        .into_iter()
        .any(|symbols| like(&around(symbols, modifiers), &text, has("cased")))
}

/// A character of a pattern: itself, `?`, `*`, or any dash.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Symbol {
    Char(char),
    One,
    Many,
    Dash,
}

fn literal(text: &str) -> Vec<Symbol> {
    text.chars().map(Symbol::Char).collect()
}

/// A backslash takes the meaning of `*`, `?` and of another backslash; before anything else it is itself.
fn symbols(text: &str) -> Vec<Symbol> {
    let mut chars: Vec<char> = text.chars().rev().collect();
    let mut symbols = Vec::new();
    while let Some(first) = chars.pop() {
        symbols.push(match first {
            '\\' => Symbol::Char(chars.pop_if(|next| "*?\\".contains(*next)).unwrap_or('\\')),
            '*' => Symbol::Many,
            '?' => Symbol::One,
            other => Symbol::Char(other),
        });
    }
    symbols
}

/// A dash before a word and after none may be any dash.
fn with_dashes(symbols: &[Symbol]) -> Vec<Symbol> {
    let is_word = |at: Option<usize>| {
        let symbol = at.and_then(|at| symbols.get(at));
        matches!(symbol, Some(Symbol::Char(c)) if c.is_alphanumeric() || *c == '_')
    };
    let exchanged = symbols.iter().enumerate().map(|(at, symbol)| match symbol {
        Symbol::Char('-' | '/' | '–' | '—' | '―') if !is_word(at.checked_sub(1)) && is_word(Some(at + 1)) => {
            Symbol::Dash
        }
        other => *other,
    });
    exchanged.collect()
}

fn around(mut symbols: Vec<Symbol>, modifiers: &[&str]) -> Vec<Symbol> {
    if modifiers.contains(&"contains") || modifiers.contains(&"endswith") {
        symbols.insert(0, Symbol::Many);
    }
    if modifiers.contains(&"contains") || modifiers.contains(&"startswith") {
        symbols.push(Symbol::Many);
    }
    symbols
}

fn like(pattern: &[Symbol], text: &str, is_cased: bool) -> bool {
    let text: Vec<char> = text.chars().collect();
    like_rest(pattern, &text, is_cased)
}

fn like_rest(pattern: &[Symbol], text: &[char], is_cased: bool) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        ([Symbol::Many], _) => true,
        ([Symbol::Many, later @ ..], _) => {
            (0..=text.len()).any(|skipped| like_rest(later, &text[skipped..], is_cased))
        }
        ([first, later @ ..], [character, rest @ ..]) => {
            let fits = match first {
                Symbol::Char(wanted) if is_cased => wanted == character,
                Symbol::Char(wanted) => is_same(*wanted, *character),
                Symbol::Dash => "-/–—―".contains(*character),
                _ => true,
            };
            fits && like_rest(later, rest, is_cased)
        }
        _ => false,
    }
}

/// Unicode's simple case folding, as regular expressions know it.
fn is_same(one: char, other: char) -> bool {
    static SAME: LazyLock<HashSet<(char, char)>> = LazyLock::new(|| {
        let mut same = HashSet::new();
        for one in TRAPS.chars() {
            let expression = Regex::new(&format!("(?i)^{one}$")).unwrap();
            let others = TRAPS.chars().filter(|other| expression.is_match(&other.to_string()));
            same.extend(others.map(|other| (one, other)));
        }
        same
    });
    one == other || one.eq_ignore_ascii_case(&other) || SAME.contains(&(one, other))
}

fn encoded(symbols: &[Symbol], modifiers: &[&str]) -> Vec<Vec<Symbol>> {
    let plain = || -> Vec<u8> {
        let chars = symbols.iter().map(|symbol| match symbol {
            Symbol::Char(character) => *character,
            other => panic!("{other:?} is not encoded"),
        });
        chars.collect::<String>().into_bytes()
    };
    let encodings: Vec<&str> = modifiers
        .iter()
        .copied()
        .filter(|modifier| {
            ["base64", "base64offset", "wide", "utf16le", "utf16be", "utf16"].contains(modifier)
        })
        .collect();
    if encodings.is_empty() {
        return vec![symbols.to_vec()];
    }
    let mut forms = vec![plain()];
    for encoding in encodings {
        forms = forms
            .iter()
            .flat_map(|form| match encoding {
                "base64" => vec![base64(form)],
                "base64offset" => (0..3).map(|offset| base64_within(form, offset)).collect(),
                _ => vec![sixteen(form, encoding)],
            })
            .collect();
    }
    forms.into_iter().map(|form| literal(&String::from_utf8(form).unwrap())).collect()
}

fn sixteen(form: &[u8], encoding: &str) -> Vec<u8> {
    let units: Vec<u16> = std::str::from_utf8(form).unwrap().encode_utf16().collect();
    let [high, low] =
        [|unit: u16| u8::try_from(unit >> 8).unwrap(), |unit: u16| u8::try_from(unit & 255).unwrap()];
    match encoding {
        "utf16be" => units.iter().flat_map(|unit| [high(*unit), low(*unit)]).collect(),
        "utf16" => {
            [0xFF, 0xFE].into_iter().chain(units.iter().flat_map(|unit| [low(*unit), high(*unit)])).collect()
        }
        _ => units.iter().flat_map(|unit| [low(*unit), high(*unit)]).collect(),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn bits(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

fn digits(bits: &[bool]) -> Vec<u8> {
    bits.chunks(6)
        .map(|six| DIGITS[six.iter().fold(0, |number, bit| number * 2 + usize::from(*bit))])
        .collect()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut bits = bits(bytes);
    while !bits.len().is_multiple_of(6) {
        bits.push(false);
    }
    let mut digits = digits(&bits);
    while !digits.len().is_multiple_of(4) {
        digits.push(b'=');
    }
    digits
}

/// The digits that depend on these bytes alone where `offset` others stand before them.
fn base64_within(bytes: &[u8], offset: usize) -> Vec<u8> {
    let all = bits(&[&vec![0; offset], bytes].concat());
    let first = (offset * 8).div_ceil(6) * 6;
    let end = all.len() / 6 * 6;
    digits(all.get(first..end).unwrap_or_default())
}

/// Building an expression takes longer than anything else here. Those in plain ASCII work on bytes.
fn expression(pattern: &str, modifiers: &[&str]) -> BytesRegex {
    thread_local!(static BUILT: RefCell<HashMap<String, BytesRegex>> = RefCell::default());
    let has = |modifier: &str| modifiers.contains(&modifier);
    let key = format!("{}{}{}{pattern}", has("i"), has("m"), has("s"));
    let build = || {
        let mut builder = RegexBuilder::new(pattern);
        builder.unicode(!pattern.is_ascii()).case_insensitive(has("i")).multi_line(has("m"));
        builder.dot_matches_new_line(has("s")).build().unwrap()
    };
    BUILT.with_borrow_mut(|built| built.entry(key).or_insert_with(build).clone())
}

/// Compares the leading bits. An IPv4 address that is written as IPv6 is both.
fn is_inside(address: IpAddr, network: &str) -> bool {
    let (network, length) = network.split_once('/').unwrap_or((network, "128"));
    let length: usize = length.parse().unwrap();
    match (address, network.parse().unwrap()) {
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            let as_v4 = address.to_ipv4_mapped();
            as_v4.is_some_and(|address| is_inside(address.into(), &format!("{network}/{length}")))
        }
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            begin_alike(&address.octets(), &network.octets(), length)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            begin_alike(&address.octets(), &network.octets(), length)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

fn begin_alike(one: &[u8], other: &[u8], length: usize) -> bool {
    bits(one).iter().zip(bits(other)).take(length).all(|(one, other)| *one == other)
}

/// Returns year, month, day, hour, minute and ISO week in UTC, by counting days.
fn calendar(value: &Value<'_>) -> Option<[f64; 6]> {
    let text = text_of(value).filter(|_| !matches!(value, Value::Bool(_)))?;
    let seconds = match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => (if number < 1e11 { number } else { number / 1000.0 }).floor(),
        _ => seconds_told(text.trim())?,
    };
    // Years have four digits.
    if !(-62_135_596_800.0..253_402_207_200.0).contains(&seconds) {
        return None;
    }
    let mut days = (seconds / 86_400.0).floor();
    let of_day = seconds - days * 86_400.0;
    // 1970 began on a Thursday; a week belongs to the year of its Thursday.
    let thursday = days - days.rem_euclid(7.0) + if days.rem_euclid(7.0) >= 4.0 { 7.0 } else { 0.0 };
    let (_, nth_thursday) = year_of(thursday);
    let (year, of_year) = year_of(days);
    days = of_year;
    let mut month = 1.0;
    for length in months(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1.0;
    }
    let hour = (of_day / 3_600.0).floor();
    let minute = (of_day / 60.0).floor() % 60.0;
    Some([year, month, days + 1.0, hour, minute, (nth_thursday / 7.0).floor() + 1.0])
}

fn months(year: f64) -> [f64; 12] {
    let is_leap = year % 4.0 == 0.0 && (year % 100.0 != 0.0 || year % 400.0 == 0.0);
    let february = if is_leap { 29.0 } else { 28.0 };
    [31.0, february, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0]
}

/// Returns the year and the number of the day within it, from 0.
fn year_of(mut days: f64) -> (f64, f64) {
    let mut year = 1970.0;
    while days < 0.0 {
        year -= 1.0;
        days += months(year).iter().sum::<f64>();
    }
    while days >= months(year).iter().sum() {
        days -= months(year).iter().sum::<f64>();
        year += 1.0;
    }
    (year, days)
}

/// Reads `2026-02-03T04:05:06`, with `Z`, `+02:00` or nothing after it.
fn seconds_told(text: &str) -> Option<f64> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:Z|([+-])(\d\d):(\d\d))?$").unwrap()
    });
    let parts = TIME.captures(text)?;
    let number = |at: usize| parts.get(at).map_or(0.0, |part| part.as_str().parse::<f64>().unwrap());
    let years = (0..).map(|after| 1970.0 + f64::from(after)).take_while(|year| *year < number(1));
    let days: f64 = years.map(|year| months(year).iter().sum::<f64>()).sum::<f64>()
        + (1..=12)
            .zip(months(number(1)))
            .filter(|(month, _)| f64::from(*month) < number(2))
            .map(|(_, days)| days)
            .sum::<f64>()
        + number(3)
        - 1.0;
    let sign = if parts.get(7).is_some_and(|sign| sign.as_str() == "-") { -1.0 } else { 1.0 };
    let offset = sign * (number(8) * 3_600.0 + number(9) * 60.0);
    Some(days * 86_400.0 + number(4) * 3_600.0 + number(5) * 60.0 + number(6) - offset)
}
