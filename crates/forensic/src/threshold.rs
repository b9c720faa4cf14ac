//! Turns what detectors give rows into the probability that an ordinary row scores lower, and says where anomalies begin.

use sentinelflow_domain::scan::Cutoff;
use serde::{Deserialize, Serialize};

use crate::ecdf::{Ecdf, sorted};

/// How numbers of rows become shares of ordinary rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    body: Ecdf,
    /// The share that one row of the body stands for.
    share_of_a_row: f64,
    tail: Tail,
}

/// Of rows held back the body goes so far that this many are left for the tail.
const ROWS_OF_THE_TAIL: f64 = 20.0;
/// The shape of a tail of few rows is chance: so many count as if they fell exponentially.
const ROWS_OF_DOUBT: f64 = 20.0;
/// A tail is no heavier than this, and is taken for so much wider than it was fitted, since fits err: on the clean audit
/// logs of bench/ cut-offs then let fewer rows through than was asked for, not more.
const MOST_SHAPE: f64 = 0.5;
const LEAST_SHAPE: f64 = -0.5;
const ROOM: f64 = 1.25;
/// Below this the fitted tail says nothing any more and a slower one takes over, so that no two scores meet at 1.
const FITTED_DOWN_TO: f64 = 1e-4;

impl Calibration {
    /// Learns from what rows most of which are ordinary were given: a tail above the body's share of the rows, at least so
    /// wide.
    pub(crate) fn learn(numbers: &[f64], body_share: f64, least_scale: f64) -> Self {
        let sorted = sorted(numbers);
        let body = Ecdf::of_sorted(&sorted);
        let tail = Tail::fit(&sorted, body_share, least_scale);
        let rows = body.below(tail.start).max(1.0);
        Self { share_of_a_row: body_share / rows, body, tail }
    }

    /// Learns from what ordinary rows were given that the detectors were not trained on. In its body 1 − score is
    /// a conformal p-value: of rows like those, a share of at most α scores 1 − α or more, whatever the detectors do
    /// (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005).
    pub(crate) fn conformal(numbers: &[f64], body_share: f64, least_scale: f64) -> Self {
        let body_share = (1.0 - ROWS_OF_THE_TAIL / numbers.len() as f64).max(body_share);
        let sorted = sorted(numbers);
        let body = Ecdf::strict(&sorted);
        let share_of_a_row = 1.0 / (numbers.len() as f64 + 1.0);
        let mut tail = Tail::fit(&sorted, body_share, least_scale);
        tail.share = 1.0 - body.below(tail.start) * share_of_a_row;
        Self { body, share_of_a_row, tail }
    }

    /// Returns the probability that an ordinary row scores lower: 0 to 1, rising with the number.
    pub(crate) fn score(&self, number: f64) -> f64 {
        if number > self.tail.start {
            return 1.0 - self.tail.beyond(number);
        }
        (self.share_of_a_row * self.body.below(number)).clamp(0.0, 1.0 - self.tail.share)
    }

    pub(crate) fn is_sound(&self) -> bool {
        let Tail { share, start, scale, shape } = self.tail;
        self.body.is_sound()
            && self.share_of_a_row.is_finite()
            && (0.0..=1.0).contains(&share)
            && start.is_finite()
            && scale.is_finite()
            && scale > 0.0
            && (-1.0..1.0).contains(&shape)
    }
}

/// Says in a sentence how a cut-off comes about, given how many rows were held back to calibrate with.
pub(crate) fn method(cutoff: Cutoff, held_back: Option<u64>) -> String {
    match (cutoff, held_back) {
        (Cutoff::FalseAlarms(share), Some(rows)) => format!(
            "conformal: cut where at most about {} % of rows like the baseline's score, by {rows} of its rows that were \
             held back",
            share * 100.0
        ),
        (Cutoff::FalseAlarms(share), None) => format!(
            "peaks over threshold: a tail fitted to the highest scores, cut where a file without anomalies would have \
             about {} % of its rows",
            share * 100.0
        ),
        (Cutoff::Score(_), _) => "chosen by the caller: rows that score at least this are flagged".to_owned(),
        (Cutoff::Top(rows), _) => format!("the {rows} rows with the highest scores were asked for"),
    }
}

/// A generalised Pareto tail, fitted to two quantiles so that the anomalies themselves hardly move it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tail {
    /// Of the rows, the share that lies in the tail.
    share: f64,
    start: f64,
    scale: f64,
    shape: f64,
}

impl Tail {
    /// Fits rising numbers.
    fn fit(sorted: &[f64], body: f64, least_scale: f64) -> Self {
        let at = |share: f64| {
            let position = share * (sorted.len() - 1) as f64;
            #[expect(clippy::cast_sign_loss, reason = "a share of an index")]
            let below = position.floor() as usize;
            let next = sorted[(below + 1).min(sorted.len() - 1)];
            sorted[below] + (next - sorted[below]) * (position - below as f64)
        };
        let start = at(body);
        // Of the excesses, half and three quarters: with them the shape has a closed form (Pickands).
        let half = (at(body + (1.0 - body) * 0.5) - start).max(least_scale);
        let three_quarters = (at(body + (1.0 - body) * 0.75) - start).max(half * 1.000_001);
        let rows = sorted.len() as f64 * (1.0 - body);
        let doubt = rows / (rows + ROWS_OF_DOUBT);
        let shape = (three_quarters / half - 1.0).log2().clamp(LEAST_SHAPE, MOST_SHAPE) * doubt;
        let scale =
            if shape.abs() < 1e-6 { half / 2_f64.ln() } else { shape * half / (2_f64.powf(shape) - 1.0) };
        Self { share: 1.0 - body, start, scale: scale * ROOM, shape }
    }

    /// Returns the share of ordinary rows beyond a point of the tail: falling, never zero.
    fn beyond(&self, log: f64) -> f64 {
        let fitted = self.share * self.survival(log - self.start);
        if fitted > FITTED_DOWN_TO {
            return fitted;
        }
        let end = self.start + self.excess_at((FITTED_DOWN_TO / self.share).min(1.0));
        FITTED_DOWN_TO.min(self.share) / (1.0 + (log - end).max(0.0) / self.scale)
    }

    fn survival(&self, excess: f64) -> f64 {
        if self.shape.abs() < 1e-6 {
            return (-excess / self.scale).exp();
        }
        (1.0 + self.shape * excess / self.scale).max(0.0).powf(-1.0 / self.shape)
    }

    fn excess_at(&self, survival: f64) -> f64 {
        if self.shape.abs() < 1e-6 {
            return -self.scale * survival.ln();
        }
        self.scale / self.shape * (survival.powf(-self.shape) - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Sums of −ln of uniform numbers, as a clean file has them.
    fn clean(rows: usize, seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        (0..rows).map(|_| (0..4).map(|_| -(1.0 - random.unit()).ln()).sum()).collect()
    }

    fn scores(fused: &[f64]) -> Vec<f64> {
        let logs: Vec<f64> = fused.iter().map(|score| score.ln()).collect();
        let calibration = Calibration::learn(&logs, 0.9, 1e-6);
        logs.iter().map(|log| calibration.score(*log)).collect()
    }

    #[test]
    fn a_clean_file_has_few_alarms() {
        for seed in 0..5 {
            let scores = scores(&clean(20_000, seed));
            let flagged = scores.iter().filter(|score| **score >= 1.0 - Cutoff::FALSE_ALARMS).count();
            assert!(flagged < 200, "{flagged} of 20000");
        }
    }

    #[test]
    fn calibrating_keeps_the_order_and_makes_no_ties() {
        let mut fused = clean(5_000, 9);
        fused.extend((1..50).map(|step| 40.0 + f64::from(step) * 1e-3));
        let scores = scores(&fused);
        let mut pairs: Vec<(f64, f64)> = fused.into_iter().zip(scores).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.windows(2).all(|pair| pair[0].1 < pair[1].1));
        assert!(pairs.iter().all(|(_, score)| (0.0..1.0).contains(score)));
    }
}
