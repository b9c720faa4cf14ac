//! When rows happened: what happens within an hour happened once, and so does what happens within a shift of eight
//! hours, so that the rows of an intrusion do not make each other look usual. In a table without times every row is an
//! episode of its own.

use serde::{Deserialize, Serialize};

use crate::table::{Sample, Values};

pub(crate) struct Episodes {
    /// For each row of the sample.
    of: Vec<Episode>,
    /// The rows by rising episode.
    order: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Episode {
    hour: u32,
    shift: u32,
}

/// In how many hours and in how many shifts something was seen. What somebody does once in many hours is told by the
/// one; what somebody did all day, but on one day only, by the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) hours: u32,
    pub(crate) shifts: u32,
}

/// Counts the times of something that is met in the order of episodes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counting {
    pub(crate) times: Times,
    last: Option<Episode>,
}

const HOUR_SECONDS: f64 = 3_600.0;
const HOURS_OF_A_SHIFT: u32 = 8;

impl Episodes {
    /// Goes by the first column of times that most rows have.
    pub(crate) fn of(sample: &Sample) -> Self {
        let rows = sample.rows.len();
        let times = sample.columns.iter().find_map(|column| match &column.values {
            Values::Times(times) if column.missing() * 2 < rows => Some(times),
            _ => None,
        });
        let of: Vec<Episode> = match times {
            None => (0..).take(rows).map(|row| Episode { hour: row, shift: row }).collect(),
            Some(times) => {
                let first = times.iter().copied().filter(|time| !time.is_nan()).fold(f64::INFINITY, f64::min);
                #[expect(clippy::cast_sign_loss, reason = "no time lies before the first")]
                let hour = |time: &f64| ((time - first) / HOUR_SECONDS) as u32;
                let episode = |hour| Episode { hour, shift: hour / HOURS_OF_A_SHIFT };
                times.iter().map(hour).map(episode).collect()
            }
        };
        let mut order: Vec<u32> = (0..).take(rows).collect();
        order.sort_by_key(|row| of[*row as usize].hour);
        Self { of, order }
    }

    /// Returns the rows by rising episode, each with its own.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Episode)> {
        self.order.iter().map(|row| (*row as usize, self.of[*row as usize]))
    }
}

impl Counting {
    pub(crate) fn see(&mut self, episode: Episode) {
        self.times.hours += u32::from(self.last.is_none_or(|last| last.hour != episode.hour));
        self.times.shifts += u32::from(self.last.is_none_or(|last| last.shift != episode.shift));
        self.last = Some(episode);
    }
}

impl Times {
    /// Returns what is left without the one time that a row itself stands for.
    pub(crate) fn without_own(self) -> Self {
        Self { hours: self.hours.saturating_sub(1), shifts: self.shifts.saturating_sub(1) }
    }
}
