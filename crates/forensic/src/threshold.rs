//! Turns fused scores into the probability that an ordinary row scores lower, and decides where anomalies begin.

use sentinelflow_domain::scan::Cutoff;

use crate::fusion::middle_ranks;

/// Scores on a scale of 0 to 1, and the cut-off on it.
pub(crate) struct Calibration {
    pub(crate) scores: Vec<f64>,
    pub(crate) threshold: f64,
    pub(crate) method: String,
    /// The share of a clean file that reaches the cut-off.
    pub(crate) expected_false_alarms: f64,
}

/// The tail begins above this share of the rows.
const BODY: f64 = 0.9;
/// Below this the fitted tail says nothing any more and a slower one takes over, so that no two scores meet at 1.
const FITTED_DOWN_TO: f64 = 1e-4;

pub(crate) fn calibrate(fused: &[f64], cutoff: Cutoff) -> Calibration {
    let logs: Vec<f64> = fused.iter().map(|score| score.ln()).collect();
    let tail = Tail::fit(&logs);
    let body = logs.iter().filter(|log| **log <= tail.start).count() as f64;
    let scores: Vec<f64> = logs
        .iter()
        .zip(middle_ranks(&logs))
        .map(
            |(log, rank)| {
                if *log <= tail.start { BODY * (rank - 0.5) / body } else { 1.0 - tail.beyond(*log) }
            },
        )
        .collect();
    let (threshold, method) = cut(&scores, cutoff);
    Calibration { scores, threshold, method, expected_false_alarms: 1.0 - threshold }
}

fn cut(scores: &[f64], cutoff: Cutoff) -> (f64, String) {
    let tail = format!("a tail fitted to the scores above their {:.0} % quantile", BODY * 100.0);
    match cutoff {
        Cutoff::FalseAlarms(share) => (
            1.0 - share,
            format!(
                "peaks over threshold: {tail}, cut where a file without anomalies would have about {} % of its rows",
                share * 100.0
            ),
        ),
        Cutoff::Score(score) => (
            score.clamp(0.0, 1.0),
            "chosen by the caller: rows that score at least this are flagged".to_owned(),
        ),
        Cutoff::Top(rows) => {
            let mut sorted = scores.to_vec();
            sorted.sort_unstable_by(|a, b| b.total_cmp(a));
            let last = sorted.get(rows.max(1) as usize - 1).or(sorted.last());
            (
                *last.expect("a table has rows"),
                format!("the {rows} rows with the highest scores were asked for"),
            )
        }
    }
}

/// A generalised Pareto tail, fitted to two quantiles so that the anomalies themselves hardly move it.
struct Tail {
    start: f64,
    scale: f64,
    shape: f64,
}

impl Tail {
    fn fit(logs: &[f64]) -> Self {
        let mut sorted = logs.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let position = share * (sorted.len() - 1) as f64;
            #[expect(clippy::cast_sign_loss, reason = "a share of an index")]
            let below = position.floor() as usize;
            let next = sorted[(below + 1).min(sorted.len() - 1)];
            sorted[below] + (next - sorted[below]) * (position - below as f64)
        };
        let start = at(BODY);
        // Of the excesses, half and three quarters: with them the shape has a closed form (Pickands).
        let half = (at(BODY + (1.0 - BODY) * 0.5) - start).max(1e-6);
        let three_quarters = (at(BODY + (1.0 - BODY) * 0.75) - start).max(half * 1.000_001);
        let shape = (three_quarters / half - 1.0).log2().clamp(-0.5, 0.2);
        let scale =
            if shape.abs() < 1e-6 { half / 2_f64.ln() } else { shape * half / (2_f64.powf(shape) - 1.0) };
        Self { start, scale, shape }
    }

    /// Returns the share of ordinary rows beyond a point of the tail: falling, never zero.
    fn beyond(&self, log: f64) -> f64 {
        let fitted = (1.0 - BODY) * self.survival(log - self.start);
        if fitted > FITTED_DOWN_TO {
            return fitted;
        }
        let end = self.start + self.excess_at(FITTED_DOWN_TO / (1.0 - BODY));
        FITTED_DOWN_TO / (1.0 + (log - end).max(0.0) / self.scale)
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

    #[test]
    fn a_clean_file_has_few_alarms() {
        for seed in 0..5 {
            let calibration = calibrate(&clean(20_000, seed), Cutoff::default());
            let flagged = calibration.scores.iter().filter(|score| **score >= calibration.threshold).count();
            assert!(flagged < 200, "{flagged} of 20000");
        }
    }

    #[test]
    fn calibrating_keeps_the_order_and_makes_no_ties() {
        let mut fused = clean(5_000, 9);
        fused.extend((1..50).map(|step| 40.0 + f64::from(step) * 1e-3));
        let scores = calibrate(&fused, Cutoff::default()).scores;
        let mut pairs: Vec<(f64, f64)> = fused.into_iter().zip(scores).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.windows(2).all(|pair| pair[0].1 < pair[1].1));
        assert!(pairs.iter().all(|(_, score)| (0.0..1.0).contains(score)));
    }
}
