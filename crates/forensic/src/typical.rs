//! What is ordinary, in words that people read at a glance.

use std::collections::BTreeMap;

use crate::table::{as_rfc3339, decode};

const MOST_WORDS: usize = 3;
pub(crate) const MOST_CHARACTERS: usize = 60;

pub(crate) fn interval_of_numbers(range: Option<(f64, f64)>) -> String {
    let Some((least, most)) = range else { return "no value".to_owned() };
    interval(&short(least), &short(most))
}

/// Returns the days from the first to the last.
pub(crate) fn interval_of_times(range: Option<(f64, f64)>) -> String {
    let Some((first, last)) = range else { return "no value".to_owned() };
    let day = |seconds: f64| as_rfc3339(seconds).chars().take_while(|c| *c != 'T').collect::<String>();
    interval(&day(first), &day(last))
}

/// Returns the hours of the day between which times lie.
pub(crate) fn interval_of_hours(times: impl Iterator<Item = f64>) -> String {
    let minutes: Vec<i64> = times
        .filter(|seconds| !seconds.is_nan())
        .map(|seconds| (seconds.rem_euclid(86_400.0) / 60.0) as i64)
        .collect();
    let (Some(first), Some(last)) = (minutes.iter().min(), minutes.iter().max()) else {
        return "no value".to_owned();
    };
    let clock = |minute: &i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{} UTC", interval(&clock(first), &clock(last)))
}

/// Returns the commonest words; codes beyond the words stand for no value.
pub(crate) fn usual_words<Word: AsRef<[u8]>>(codes: impl Iterator<Item = u32>, words: &[Word]) -> String {
    let mut counts = BTreeMap::<u32, usize>::new();
    for code in codes {
        *counts.entry(code).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    let word = |code: u32| words.get(code as usize).map(AsRef::as_ref);
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| word(a.0).cmp(&word(b.0))));
    let shown = |(code, _)| match word(code) {
        Some(word) => decode(word).chars().take(MOST_CHARACTERS).collect(),
        None => "no value".to_owned(),
    };
    counts.into_iter().take(MOST_WORDS).map(shown).collect::<Vec<String>>().join(", ")
}

fn interval(least: &str, most: &str) -> String {
    if least == most { least.to_owned() } else { format!("{least} – {most}") }
}

/// Returns a number with three digits that count.
pub(crate) fn short(number: f64) -> String {
    let rounded: f64 = format!("{number:.2e}").parse().expect("a number that was just written");
    let size = rounded.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) { format!("{rounded:e}") } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in
            [(0.0, "0"), (119.999_99, "120"), (88_123.0, "88100"), (9.1e9, "9.1e9"), (0.000_012, "1.2e-5")]
        {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn usual_words_begin_with_the_commonest() {
        let words = ["GET", "POST", "PUT", "PATCH"];
        assert_eq!(usual_words([1, 0, 0, 2, 3, 0, 1, 9].into_iter(), &words), "GET, POST, no value");
    }
}
