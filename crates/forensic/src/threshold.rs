//! Turns fused scores into the probability that an ordinary row scores lower, and decides where anomalies begin.

use crate::fusion::middle_ranks;

/// Scores on a scale of 0 to 1, and the cut-off on it.
pub(crate) struct Calibration {
    pub(crate) scores: Vec<f64>,
    pub(crate) threshold: f64,
    pub(crate) method: String,
}

/// The share of a clean file that the default cut-off flags at most.
const FALSE_ALARMS: f64 = 5e-3;
/// The tail begins above this share of the rows.
const BODY: f64 = 0.9;
/// Below this the fitted tail says nothing any more and a slower one takes over, so that no two scores meet at 1.
const FITTED_DOWN_TO: f64 = 1e-4;

pub(crate) fn calibrate(fused: &[f64], threshold: Option<f64>) -> Calibration {
    let logs: Vec<f64> = fused.iter().map(|score| score.ln()).collect();
    let tail = Tail::fit(&logs);
    let body = logs.iter().filter(|log| **log <= tail.start).count() as f64;
    let scores = logs
        .iter()
        .zip(middle_ranks(&logs))
        .map(
            |(log, rank)| {
                if *log <= tail.start { BODY * (rank - 0.5) / body } else { 1.0 - tail.beyond(*log) }
            },
        )
        .collect();
    match threshold {
        Some(threshold) if !threshold.is_nan() => Calibration {
            scores,
            threshold: threshold.clamp(0.0, 1.0),
            method: "chosen by the caller: rows that score at least this are flagged".to_owned(),
        },
        _ => Calibration {
            scores,
            threshold: 1.0 - FALSE_ALARMS,
            method: format!(
                "peaks over threshold: a tail fitted to the scores above their {:.0} % quantile, cut where a file \
                 without anomalies would have about {:.1} % of its rows",
                BODY * 100.0,
                FALSE_ALARMS * 100.0
            ),
        },
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
            let calibration = calibrate(&clean(20_000, seed), None);
            let flagged = calibration.scores.iter().filter(|score| **score >= calibration.threshold).count();
            assert!(flagged < 200, "{flagged} of 20000");
        }
    }

    #[test]
    fn calibrating_keeps_the_order_and_makes_no_ties() {
        let mut fused = clean(5_000, 9);
        fused.extend((1..50).map(|step| 40.0 + f64::from(step) * 1e-3));
        let scores = calibrate(&fused, None).scores;
        let mut pairs: Vec<(f64, f64)> = fused.into_iter().zip(scores).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.windows(2).all(|pair| pair[0].1 < pair[1].1));
        assert!(pairs.iter().all(|(_, score)| (0.0..1.0).contains(score)));
    }
}
