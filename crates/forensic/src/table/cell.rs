//! One cell: what a piece of text stands for.

use encoding_rs::WINDOWS_1252;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// A cell as a reader hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cell<'a> {
    Missing,
    Number(f64),
    /// Seconds since 1970 in UTC.
    Time(f64),
    Text(#[serde(serialize_with = "in_one_piece")] &'a [u8]),
}

/// By default bytes would be written one by one.
fn in_one_piece<S: Serializer>(bytes: &&[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

/// What a cell stands for once its text has been looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Meaning {
    Missing,
    /// Infinity in any spelling; it has no place on a scale, so it counts as missing.
    Infinite,
    Number(f64),
    Time(f64),
    Word,
}

const MISSING: [&[u8]; 9] = [b"na", b"n/a", b"#n/a", b"nan", b"null", b"none", b"nil", b"-", b"?"];

impl Cell<'_> {
    pub(crate) fn meaning(&self) -> Meaning {
        match *self {
            Self::Missing => Meaning::Missing,
            Self::Number(number) => number_or_not(number),
            Self::Time(seconds) => Meaning::Time(seconds),
            Self::Text(text) => text_meaning(text.trim_ascii()),
        }
    }
}

fn text_meaning(text: &[u8]) -> Meaning {
    let Some(first) = text.first() else { return Meaning::Missing };
    let starts_like_a_number = first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.');
    if starts_like_a_number && let Ok(number) = fast_float2::parse::<f64, _>(text) {
        return number_or_not(number);
    }
    if text.len() <= 4 && MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Meaning::Missing;
    }
    if first.is_ascii_digit()
        && let Some(seconds) = parse_time(text)
    {
        return Meaning::Time(seconds);
    }
    if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
        return Meaning::Infinite;
    }
    Meaning::Word
}

fn number_or_not(number: f64) -> Meaning {
    if number.is_nan() {
        Meaning::Missing
    } else if number.is_infinite() {
        Meaning::Infinite
    } else {
        Meaning::Number(number)
    }
}

/// Returns the text of a cell: UTF-8, or else Windows-1252, which takes every byte.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(text).0,
    }
}

/// Reads `2026-01-31`, `2026-01-31T08:00:00.123Z`, `2026/01/31 08:00+02:00` as seconds since 1970; a time
/// without an offset is taken as UTC.
fn parse_time(text: &[u8]) -> Option<f64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let separator = take_one_of(&mut rest, b"-/")?;
    let month = digits(&mut rest, 2)?;
    take_one_of(&mut rest, &[separator])?;
    let day = digits(&mut rest, 2)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let midnight = days_since_1970(year, month, day) as f64 * 86_400.0;
    if rest.is_empty() {
        return Some(midnight);
    }
    take_one_of(&mut rest, b"Tt ")?;
    let hour = digits(&mut rest, 2)?;
    take_one_of(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    let mut seconds = 0.0;
    if take_one_of(&mut rest, b":").is_some() {
        seconds = digits(&mut rest, 2)? as f64 + fraction(&mut rest)?;
    }
    if hour > 24 || minute > 59 || seconds >= 61.0 {
        return None;
    }
    let local = midnight + (hour * 3_600 + minute * 60) as f64 + seconds;
    Some(local - offset_seconds(rest.trim_ascii_start())?)
}

fn fraction(rest: &mut &[u8]) -> Option<f64> {
    if take_one_of(rest, b".,").is_none() {
        return Some(0.0);
    }
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > 9 {
        return None;
    }
    let value = digits(rest, length)?;
    Some(value as f64 / 10_f64.powi(i32::try_from(length).expect("at most nine")))
}

fn offset_seconds(mut rest: &[u8]) -> Option<f64> {
    if rest.is_empty() || matches!(rest, b"Z" | b"z" | b"UTC") {
        return Some(0.0);
    }
    let sign = if take_one_of(&mut rest, b"+-")? == b'+' { 1.0 } else { -1.0 };
    let hours = digits(&mut rest, 2)?;
    take_one_of(&mut rest, b":");
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2)? };
    (rest.is_empty() && hours < 24 && minutes < 60).then(|| sign * (hours * 3_600 + minutes * 60) as f64)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn take_one_of(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    allowed.contains(&first).then(|| {
        *rest = tail;
        first
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts from March, so that the leap day comes last and each month starts at a fixed day of the year.
pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_what_a_reader_of_logs_would_say() {
        for (text, meaning) in [
            ("12", Meaning::Number(12.0)),
            (" -1.5e3 ", Meaning::Number(-1500.0)),
            ("", Meaning::Missing),
            ("-", Meaning::Missing),
            ("NaN", Meaning::Missing),
            ("n/a", Meaning::Missing),
            ("inf", Meaning::Infinite),
            ("-inf", Meaning::Infinite),
            ("1e999", Meaning::Infinite),
            ("1,234", Meaning::Word),
            ("0x1f", Meaning::Word),
            ("10.0.0.1", Meaning::Word),
            ("root", Meaning::Word),
            ("1970-01-02", Meaning::Time(86_400.0)),
            ("2000-02-29T00:00:00Z", Meaning::Time(951_782_400.0)),
            ("2026-01-31 08:00:00.250+02:00", Meaning::Time(1_769_839_200.25)),
            ("2026-02-30", Meaning::Word),
        ] {
            assert_eq!(Cell::Text(text.as_bytes()).meaning(), meaning, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_read_as_windows_1252() {
        assert_eq!(decode(b"caf\xe9 \x80"), "café €");
    }
}
