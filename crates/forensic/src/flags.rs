//! Which rows are flagged: their count, where they lie, and the strangest of them, whatever the size of the file.

use std::{cmp::Ordering, collections::BinaryHeap};

use sentinelflow_domain::scan::{Cutoff, Places, ScoreHistogram};

use crate::table::KeptRecord;

/// Hears of every row once, in the order of the file.
pub(crate) struct Flags {
    cutoff: Cutoff,
    limit: usize,
    rows: u64,
    flagged: u64,
    kept: BinaryHeap<Weakest<KeptRecord>>,
    /// The rows that are flagged so far, where only their number is known.
    top: BinaryHeap<Weakest<()>>,
    scores: ScoreHistogram,
    places: Places,
}

/// What the rows came to.
pub(crate) struct Flagged {
    pub(crate) rows: u64,
    pub(crate) count: u64,
    pub(crate) threshold: f64,
    /// By falling score, then by row.
    pub(crate) kept: Vec<FlaggedRow>,
    pub(crate) scores: ScoreHistogram,
    pub(crate) places: Places,
}

pub(crate) struct FlaggedRow {
    /// Counted from 0.
    pub(crate) row: u64,
    pub(crate) score: f64,
    pub(crate) record: KeptRecord,
}

/// A row in a heap whose head is the one to give up first: the lowest score, of equals the last in the file.
struct Weakest<Kept> {
    score: f64,
    row: u64,
    kept: Kept,
}

const MOST_SLICES: usize = 128;

impl Flags {
    pub(crate) fn new(cutoff: Cutoff, limit: usize) -> Self {
        Self {
            cutoff,
            limit,
            rows: 0,
            flagged: 0,
            kept: BinaryHeap::new(),
            top: BinaryHeap::new(),
            scores: ScoreHistogram::default(),
            places: Places { rows_per_slice: 1, flagged: Vec::new() },
        }
    }

    pub(crate) fn see(&mut self, row: u64, score: f64, record: impl FnOnce() -> KeptRecord) {
        self.rows += 1;
        self.scores.count(score);
        self.make_room(row);
        match self.cutoff {
            Cutoff::Top(most) => {
                if !push(&mut self.top, usize::try_from(most).unwrap_or(usize::MAX), score, row, || ()) {
                    return;
                }
            }
            Cutoff::FalseAlarms(_) | Cutoff::Score(_) => {
                if score < threshold(self.cutoff) {
                    return;
                }
                self.flagged += 1;
                self.mark(row);
            }
        }
        push(&mut self.kept, self.limit, score, row, record);
    }

    /// Twice as many rows share a slice when the slices run out.
    fn make_room(&mut self, row: u64) {
        while row / self.places.rows_per_slice >= MOST_SLICES as u64 {
            self.places.rows_per_slice *= 2;
            let halves = self.places.flagged.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.places.flagged = halves;
        }
    }

    fn mark(&mut self, row: u64) {
        let slice = usize::try_from(row / self.places.rows_per_slice).expect("there is room for the row");
        if self.places.flagged.len() <= slice {
            self.places.flagged.resize(slice + 1, 0);
        }
        self.places.flagged[slice] += 1;
    }

    pub(crate) fn finish(mut self) -> Flagged {
        let top = std::mem::take(&mut self.top);
        let threshold = match self.cutoff {
            Cutoff::Top(_) => top.peek().map_or(1.0, |weakest| weakest.score),
            cutoff => threshold(cutoff),
        };
        self.flagged += top.len() as u64;
        for flagged in top {
            self.mark(flagged.row);
        }
        let slices = self.rows.div_ceil(self.places.rows_per_slice);
        self.places.flagged.resize(usize::try_from(slices).expect("slices are few"), 0);
        let kept = self.kept.into_sorted_vec().into_iter();
        Flagged {
            rows: self.rows,
            count: self.flagged,
            threshold,
            kept: kept.map(|Weakest { score, row, kept }| FlaggedRow { row, score, record: kept }).collect(),
            scores: self.scores,
            places: self.places,
        }
    }
}

/// Returns the lowest score that is flagged, for a cut-off that says so beforehand.
fn threshold(cutoff: Cutoff) -> f64 {
    match cutoff {
        Cutoff::FalseAlarms(share) => 1.0 - share,
        Cutoff::Score(score) => score,
        Cutoff::Top(_) => 0.0,
    }
}

/// Keeps a row if it is among the strongest; tells whether it is.
fn push<Kept>(
    heap: &mut BinaryHeap<Weakest<Kept>>,
    most: usize,
    score: f64,
    row: u64,
    kept: impl FnOnce() -> Kept,
) -> bool {
    if heap.len() >= most {
        // Rows come in the order of the file, so that of equals the earlier one stays.
        if heap.peek().is_none_or(|weakest| weakest.score >= score) {
            return false;
        }
        heap.pop();
    }
    heap.push(Weakest { score, row, kept: kept() });
    true
}

impl<Kept> Ord for Weakest<Kept> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

impl<Kept> PartialOrd for Weakest<Kept> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Kept> PartialEq for Weakest<Kept> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<Kept> Eq for Weakest<Kept> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cell, Records};

    fn record() -> KeptRecord {
        let mut records = Records::new(1);
        records.push(0, &[Cell::Missing]);
        records.record(0)
    }

    fn flagged(cutoff: Cutoff, limit: usize, scores: &[f64]) -> Flagged {
        let mut flags = Flags::new(cutoff, limit);
        for (row, score) in (0..).zip(scores) {
            flags.see(row, *score, record);
        }
        flags.finish()
    }

    #[test]
    fn the_top_rows_are_as_many_as_asked_for_and_of_equals_the_first() {
        let found = flagged(Cutoff::Top(3), 2, &[0.5, 0.9, 0.5, 0.1, 0.5]);
        assert_eq!((found.count, found.threshold), (3, 0.5));
        let kept: Vec<u64> = found.kept.iter().map(|kept| kept.row).collect();
        assert_eq!(kept, [1, 0]);
        assert_eq!(found.places.flagged, [1, 1, 1, 0, 0]);
    }

    #[test]
    fn every_flagged_row_lies_in_a_slice_however_long_the_file() {
        for rows in [1_u64, 127, 128, 129, 1_000, 5_001] {
            let scores: Vec<f64> = (0..rows).map(|row| (row * 7_919 % 100) as f64 / 100.0).collect();
            let found = flagged(Cutoff::Score(0.9), 5, &scores);
            assert!(found.places.flagged.len() <= MOST_SLICES);
            assert_eq!(found.places.flagged.iter().sum::<u64>(), found.count);
            assert_eq!(rows.div_ceil(found.places.rows_per_slice), found.places.flagged.len() as u64);
            assert_eq!(found.scores.rows.iter().sum::<u64>(), rows);
        }
    }
}
