//! Cells as people and JSON see them: numbers as numbers, times as RFC 3339, long texts cut.

use serde_json::Value;

use super::{Cell, cell::Meaning, decode};

/// A text may have megabytes, and a report may show it in two places for each of thousands of rows.
const MOST_SHOWN_CHARACTERS: usize = 1_024;

/// Returns a cell as JSON: numbers as numbers, times as RFC 3339, words as they stand up to a length that people read.
pub(crate) fn as_json(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Missing => Value::Null,
        Cell::Number(number) => number_as_json(number),
        Cell::Time(seconds) => Value::String(as_rfc3339(seconds)),
        Cell::Text(text) => match cell.meaning() {
            Meaning::Number(number) => number_as_json(number),
            _ if text.is_empty() => Value::Null,
            _ => Value::String(shown(&decode(text))),
        },
    }
}

/// Returns a text as it is shown: what is longer than people read is cut, and ends in “…”.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN_CHARACTERS) {
        Some((end, _)) => text.get(..end).into_iter().chain(["…"]).collect(),
        None => text.to_owned(),
    }
}

/// Whole numbers are written without a fraction.
fn number_as_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Value::from(number)
}

pub(crate) fn as_rfc3339(seconds: f64) -> String {
    // The last hours of the year 9999 cannot be written in every zone, so the calendar ends a day earlier.
    const LAST_MILLIS: f64 = 253_402_200_000_000.0;
    let millis = (seconds * 1_000.0).round().min(LAST_MILLIS) as i64;
    sentinelflow_domain::time::Timestamp::from_millis(millis).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_a_file_may_hold_can_be_written() {
        assert_eq!(as_rfc3339(0.25), "1970-01-01T00:00:00.250Z");
        for seconds in [253_402_300_799.0, 1e300, -1e300, f64::NAN] {
            assert!(as_rfc3339(seconds).ends_with('Z'));
        }
    }
}
