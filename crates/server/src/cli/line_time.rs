//! When a line of a log file was written, as far as the line tells.

use jiff::{
    civil::DateTime,
    fmt::strtime::{self, BrokenDownTime},
    tz::Offset,
};
use sentinelflow_domain::time::Timestamp;

/// So many bytes at the beginning of a line are searched for a time.
const SEARCHED_BYTES: usize = 200;

/// Returns the time that a line begins with, or that stands in its brackets: RFC 3339, ISO 8601 without an offset (read
/// as UTC), syslog's `Nov 24 10:00:00` (of this year, or the last one if it would be in the future), web logs'
/// `[24/Nov/2026:10:00:00 +0000]`.
pub fn of(line: &str, now: Timestamp) -> Option<Timestamp> {
    let head = line.get(..line.floor_char_boundary(SEARCHED_BYTES)).unwrap_or(line);
    let text = match head.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((priority, rest)) if priority.len() <= 3 => rest.strip_prefix("1 ").unwrap_or(rest),
        _ => head,
    };
    iso(text).or_else(|| syslog(text, now)).or_else(|| web(head))
}

fn iso(text: &str) -> Option<Timestamp> {
    let mut words = text.split(' ');
    let first = words.next()?;
    if !first.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(moment) = first.parse() {
        return Some(moment);
    }
    let date_and_time =
        if first.contains('T') { first.to_owned() } else { format!("{first}T{}", words.next()?) };
    let moment: DateTime = date_and_time.replace(',', ".").replace('/', "-").parse().ok()?;
    utc(moment)
}

fn syslog(text: &str, now: Timestamp) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let (month, day, time) = (words.next()?, words.next()?, words.next()?);
    let in_year = |year: i16| {
        let moment = strtime::parse("%Y %b %d %H:%M:%S", format!("{year} {month} {day} {time}")).ok()?;
        utc(moment.to_datetime().ok()?)
    };
    let year = Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(now.as_millis()).ok()?).year();
    // A day of grace, for clocks and time zones.
    let is_past = |moment: &Timestamp| moment.as_millis() <= now.as_millis() + 86_400_000;
    in_year(year).filter(is_past).or_else(|| in_year(year - 1))
}

fn web(head: &str) -> Option<Timestamp> {
    let (_, rest) = head.split_once('[')?;
    let (inside, _) = rest.split_once(']')?;
    let moment = BrokenDownTime::parse("%d/%b/%Y:%H:%M:%S %z", inside).ok()?;
    Some(timestamp(moment.to_timestamp().ok()?))
}

fn utc(moment: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(moment).ok().map(timestamp)
}

fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_times_are_read_and_nothing_else() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (line, told) in [
            ("2026-11-24T11:00:00.5+01:00 web sshd[1]: x", Some("2026-11-24T10:00:00.5Z")),
            ("2026-11-24 10:00:00,123 INFO x", Some("2026-11-24T10:00:00.123Z")),
            ("<34>Nov 24 10:00:00 web su: x", Some("2026-11-24T10:00:00Z")),
            ("Dec  3 10:00:00 web su: x", Some("2025-12-03T10:00:00Z")),
            ("<34>1 2026-11-24T10:00:00Z h app - - - x", Some("2026-11-24T10:00:00Z")),
            (
                "192.0.2.1 - - [24/Nov/2026:10:00:00 +0100] \"GET / HTTP/1.1\" 200 5",
                Some("2026-11-24T09:00:00Z"),
            ),
            ("it happened on Nov 24 10:00:00", None),
            ("[not/a/time] x", None),
            ("99 bottles", None),
            ("", None),
        ] {
            assert_eq!(of(line, now), told.map(|told| told.parse().unwrap()), "{line}");
        }
    }
}
