//! When rows happened: what happens within an hour happened once, so that the rows of an intrusion do not make each
//! other look usual. In a table without times every row is an episode of its own.

use crate::table::{Sample, Values};

pub(crate) struct Episodes {
    /// For each row of the sample its episode.
    pub(crate) of: Vec<u32>,
    /// The rows by rising episode.
    pub(crate) order: Vec<u32>,
}

const EPISODE_SECONDS: f64 = 3_600.0;

impl Episodes {
    /// Goes by the first column of times that most rows have.
    pub(crate) fn of(sample: &Sample) -> Self {
        let rows = sample.rows.len();
        let times = sample.columns.iter().find_map(|column| match &column.values {
            Values::Times(times) if column.missing() * 2 < rows => Some(times),
            _ => None,
        });
        let of: Vec<u32> = match times {
            None => (0..).take(rows).collect(),
            Some(times) => {
                let first = times.iter().copied().filter(|time| !time.is_nan()).fold(f64::INFINITY, f64::min);
                #[expect(clippy::cast_sign_loss, reason = "no time lies before the first")]
                let episode = |time: &f64| ((time - first) / EPISODE_SECONDS) as u32;
                times.iter().map(episode).collect()
            }
        };
        let mut order: Vec<u32> = (0..).take(rows).collect();
        order.sort_by_key(|row| of[*row as usize]);
        Self { of, order }
    }
}
