//! Moments in UTC with millisecond precision, written as RFC 3339.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Milliseconds since 1970-01-01T00:00:00Z, within the years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A moment's place in the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: i16,
    pub month: i8,
    /// By ISO 8601: the first week of a year is the one with its first Thursday.
    pub week: i8,
    pub day: i8,
    pub hour: i8,
    pub minute: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a time is RFC 3339 with an offset (2026-01-31T08:00:00Z), or seconds or milliseconds since 1970")]
pub struct InvalidTimestamp;

/// Epoch numbers from here on are read as milliseconds; as seconds this would be the year 5138.
const FIRST_EPOCH_MILLIS: f64 = 1e11;

const FIRST_MILLIS: i64 = -62_135_596_800_000;
// What `jiff` can write: it leaves room for offsets of up to 26 hours.
const LAST_MILLIS: i64 = 253_402_207_200_000;

impl Timestamp {
    /// Returns the moment, moved into the years 0001 to 9999 if it lies outside.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(FIRST_MILLIS, LAST_MILLIS))
    }

    /// Reads an epoch number: seconds below 10¹¹ (also before 1970), milliseconds from there on.
    pub fn from_epoch(number: f64) -> Result<Self, InvalidTimestamp> {
        if !number.is_finite() {
            return Err(InvalidTimestamp);
        }
        let millis = if number < FIRST_EPOCH_MILLIS { number * 1000.0 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked on the next line")]
        let millis = millis.round() as i64;
        if (FIRST_MILLIS..=LAST_MILLIS).contains(&millis) { Ok(Self(millis)) } else { Err(InvalidTimestamp) }
    }

    /// Returns milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    pub fn date(self) -> Date {
        let moment = jiff::Timestamp::from_millisecond(self.0).expect("the range was checked");
        let moment = jiff::tz::Offset::UTC.to_datetime(moment);
        Date {
            year: moment.year(),
            month: moment.month(),
            week: moment.date().iso_week_date().week(),
            day: moment.day(),
            hour: moment.hour(),
            minute: moment.minute(),
        }
    }

    /// Returns whole minutes since 1970, rounded down.
    pub fn as_minutes(self) -> i64 {
        self.0.div_euclid(60_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).expect("the range was checked");
        write!(f, "{moment:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(raw: &str) -> Result<Self, InvalidTimestamp> {
        let moment: jiff::Timestamp = raw.parse().map_err(|_| InvalidTimestamp)?;
        let millis = moment.as_millisecond();
        if (FIRST_MILLIS..=LAST_MILLIS).contains(&millis) { Ok(Self(millis)) } else { Err(InvalidTimestamp) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_in_utc_with_milliseconds() {
        let cases = [
            ("2024-01-25T10:00:00Z", "2024-01-25T10:00:00.000Z"),
            ("2024-01-25T12:00:00.1234+02:00", "2024-01-25T10:00:00.123Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ];
        for (raw, written) in cases {
            assert_eq!(raw.parse::<Timestamp>().map(|t| t.to_string()).as_deref(), Ok(written), "{raw}");
        }
    }

    #[test]
    fn epoch_numbers_are_seconds_or_milliseconds() {
        let moment: Timestamp = "2024-01-25T10:00:00.500Z".parse().unwrap();
        for number in [1_706_176_800.5, 1_706_176_800_500.0] {
            assert_eq!(Timestamp::from_epoch(number), Ok(moment), "{number}");
        }
        for number in [f64::NAN, f64::INFINITY, 1e300, -1e11] {
            assert_eq!(Timestamp::from_epoch(number), Err(InvalidTimestamp), "{number}");
        }
    }

    #[test]
    fn a_moment_has_its_place_in_the_calendar() {
        for (raw, year, month, week, day, hour, minute) in [
            ("2024-01-25T23:59:30+01:00", 2024, 1, 4, 25, 22, 59),
            ("2027-01-01T00:00:00Z", 2027, 1, 53, 1, 0, 0),
            ("1969-12-31T23:59:59.999Z", 1969, 12, 1, 31, 23, 59),
        ] {
            let moment: Timestamp = raw.parse().unwrap();
            assert_eq!(moment.date(), Date { year, month, week, day, hour, minute }, "{raw}");
        }
        for millis in [i64::MIN, i64::MAX] {
            Timestamp::from_millis(millis).date();
        }
    }

    #[test]
    fn every_moment_within_bounds_can_be_written() {
        for millis in [i64::MIN, FIRST_MILLIS, 0, LAST_MILLIS, i64::MAX] {
            let written = Timestamp::from_millis(millis).to_string();
            assert_eq!(written.parse(), Ok(Timestamp::from_millis(millis)), "{written}");
        }
    }

    #[test]
    fn a_time_without_offset_is_refused() {
        for raw in ["2024-01-25T10:00:00", "yesterday", "", "10000-01-01T00:00:00Z"] {
            assert_eq!(raw.parse::<Timestamp>(), Err(InvalidTimestamp), "{raw}");
        }
    }
}
