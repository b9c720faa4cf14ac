//! Sigma's parts of a time: the hour of a timestamp, say. Always in UTC, so that one moment has one answer.

use rsigma_parser::Modifier;
use sentinelflow_domain::time::Timestamp;

use crate::event::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimePart {
    pub(super) fn named(modifier: Modifier) -> Option<Self> {
        match modifier {
            Modifier::Minute => Some(Self::Minute),
            Modifier::Hour => Some(Self::Hour),
            Modifier::Day => Some(Self::Day),
            Modifier::Week => Some(Self::Week),
            Modifier::Month => Some(Self::Month),
            Modifier::Year => Some(Self::Year),
            _ => None,
        }
    }

    /// Returns the part of the time that a value tells; `None` if it tells none.
    pub(super) fn of(self, value: &Value<'_>) -> Option<f64> {
        let date = moment(value)?.date();
        Some(match self {
            Self::Minute => date.minute.into(),
            Self::Hour => date.hour.into(),
            Self::Day => date.day.into(),
            Self::Week => date.week.into(),
            Self::Month => date.month.into(),
            Self::Year => date.year.into(),
        })
    }
}

/// Reads RFC 3339, and epoch seconds or milliseconds. A time without an offset is taken for UTC.
fn moment(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Timestamp::from_epoch(*number).ok(),
        Value::Text(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse() {
                return Timestamp::from_epoch(number).ok();
            }
            text.parse().or_else(|_| format!("{text}Z").parse()).ok()
        }
        Value::Bool(_) | Value::Null => None,
    }
}
