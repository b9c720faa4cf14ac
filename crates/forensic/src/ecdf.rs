//! Where a number lies among those learned from: a rank as a share, and how far beyond all of them it is.

use serde::{Deserialize, Serialize};

/// Sorted numbers, thinned where there are many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ecdf {
    /// Rising.
    steps: Vec<Step>,
    count: f64,
    /// The share of equals that counts as below.
    equals: f64,
    /// A unit for what lies beyond the second highest: the spread of the highest tenth without the very highest.
    unit: f64,
}

/// A number, how many lie below it, and how many lie below it or equal it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Step {
    number: f64,
    below: f64,
    up_to: f64,
}

/// Of more numbers every so-many-th is kept, and all of the highest.
const MOST_STEPS: usize = 16_384;
const KEPT_AT_THE_TOP: usize = 4_096;
/// A search takes as long as so many steps one after the other.
const STEPS_PER_SEARCH: usize = 64;

impl Ecdf {
    /// Counts half of the equals as below.
    pub(crate) fn learn(numbers: &[f64]) -> Self {
        Self::of_sorted(&sorted(numbers))
    }

    /// Learns from rising numbers; counts half of the equals as below.
    pub(crate) fn of_sorted(sorted: &[f64]) -> Self {
        Self::with_equals(sorted, 0.5)
    }

    /// Learns from rising numbers; counts none of the equals as below.
    pub(crate) fn strict(sorted: &[f64]) -> Self {
        Self::with_equals(sorted, 0.0)
    }

    fn with_equals(sorted: &[f64], equals: f64) -> Self {
        let mut steps = Vec::new();
        let mut below = 0;
        for equal in sorted.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
            let up_to = below + equal.len();
            steps.push(Step { number: equal[0], below: below as f64, up_to: up_to as f64 });
            below = up_to;
        }
        let tenth = sorted[sorted.len() * 9 / 10];
        let second = second_highest(&steps);
        let unit = (second - tenth).max(second.abs() * 1e-6).max(f64::MIN_POSITIVE);
        let unit = if unit.is_finite() { unit } else { f64::MAX };
        Self { steps: thinned(steps), count: sorted.len() as f64, equals, unit }
    }

    /// Returns −ln of the share of numbers above: rising, also beyond the highest. How far a number lies beyond all but
    /// the highest counts too, so that one that is far out is told from one that is merely first.
    pub(crate) fn surprise(&self, number: f64) -> f64 {
        self.surprise_before(self.next_step(number), number)
    }

    /// Returns the surprise of each number. Many are walked through in their order, which is quicker than to search.
    pub(crate) fn surprises(&self, numbers: &[f64]) -> Vec<f64> {
        if numbers.len() * STEPS_PER_SEARCH < self.steps.len() {
            return numbers.iter().map(|number| self.surprise(*number)).collect();
        }
        let mut order: Vec<(f64, u32)> = numbers.iter().copied().zip(0..).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut surprises = vec![0.0; numbers.len()];
        let mut next = 0;
        for (number, place) in order {
            next += self.steps[next..].iter().take_while(|step| step.number < number).count();
            surprises[place as usize] = self.surprise_before(next, number);
        }
        surprises
    }

    fn surprise_before(&self, next: usize, number: f64) -> f64 {
        let below = self.below_before(next, number).clamp(0.5, self.count - 0.5);
        let beyond = ((number - second_highest(&self.steps)) / self.unit).max(0.0);
        -(1.0 - below / self.count).ln() + beyond.min(f64::MAX).ln_1p()
    }

    /// Returns how many numbers lie below, a share of the equals included.
    pub(crate) fn below(&self, number: f64) -> f64 {
        self.below_before(self.next_step(number), number)
    }

    fn next_step(&self, number: f64) -> usize {
        self.steps.partition_point(|step| step.number < number)
    }

    /// `next` is the first step that is not less than the number.
    fn below_before(&self, next: usize, number: f64) -> f64 {
        let before = next.checked_sub(1).map(|before| self.steps[before]);
        match (before, self.steps.get(next)) {
            #[expect(clippy::float_cmp, reason = "numbers learned from repeat the same bits")]
            (_, Some(step)) if step.number == number => step.below + (step.up_to - step.below) * self.equals,
            (None, _) => 0.0,
            (Some(_), None) => self.count,
            (Some(low), Some(high)) => {
                // From just above all equals of the one to just below those of the other.
                let (from, to) = (low.up_to - 1.0 + self.equals, high.below + self.equals);
                from + (to - from) * ((number - low.number) / (high.number - low.number)).clamp(0.0, 1.0)
            }
        }
    }

    /// Whether the parts agree with each other, for one that was read from outside.
    pub(crate) fn is_sound(&self) -> bool {
        let is_rising = self.steps.is_sorted_by(|a, b| a.number < b.number && a.up_to <= b.below);
        let is_step = |step: &Step| step.number.is_finite() && step.below >= 0.0 && step.below < step.up_to;
        let last = self.steps.last().map_or(f64::INFINITY, |step| step.up_to);
        is_rising
            && self.steps.iter().all(is_step)
            && last <= self.count
            && self.count.is_finite()
            && (0.0..=1.0).contains(&self.equals)
            && self.unit > 0.0
            && self.unit.is_finite()
    }
}

/// Returns the numbers rising.
pub(crate) fn sorted(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn second_highest(steps: &[Step]) -> f64 {
    let second = steps.len().saturating_sub(2);
    steps.get(second).map_or(0.0, |step| step.number)
}

fn thinned(steps: Vec<Step>) -> Vec<Step> {
    let Some(body) = steps.len().checked_sub(KEPT_AT_THE_TOP).filter(|_| steps.len() > MOST_STEPS) else {
        return steps;
    };
    let stride = body.div_ceil(MOST_STEPS - KEPT_AT_THE_TOP);
    let is_kept = |place: usize| place >= body || place.is_multiple_of(stride);
    steps.into_iter().enumerate().filter(|(place, _)| is_kept(*place)).map(|(_, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "halves have no rounding in them")]
    fn equal_numbers_share_the_middle_of_their_ranks() {
        let ecdf = Ecdf::learn(&[5.0, 1.0, 5.0, 9.0]);
        assert_eq!([1.0, 5.0, 9.0].map(|number| ecdf.below(number)), [0.5, 2.0, 3.5]);
        assert_eq!((ecdf.below(0.0), ecdf.below(10.0)), (0.0, 4.0));
        // Whatever lies above many equals lies above all of them.
        assert_eq!(Ecdf::learn(&[0.0, 0.0, 0.0, 0.0, 10.0]).below(5.0), 4.0);
    }

    #[test]
    fn surprise_rises_also_beyond_all_that_was_seen() {
        let numbers: Vec<f64> =
            (0..100_000).map(|n| (f64::from(n) * 0.618_033_988_749_895).fract()).collect();
        let ecdf = Ecdf::learn(&numbers);
        let surprises: Vec<f64> = (-10..200).map(|n| ecdf.surprise(f64::from(n) * 0.01 + 1e-4)).collect();
        assert!(surprises.is_sorted());
        let shuffled: Vec<f64> = (0..2_111).map(|n| f64::from(n * 37 % 2_111 - 90) * 0.001 + 1e-4).collect();
        let one_by_one: Vec<f64> = shuffled.iter().map(|number| ecdf.surprise(*number)).collect();
        assert_eq!(ecdf.surprises(&shuffled), one_by_one);
        assert!(ecdf.surprise(1.5) < ecdf.surprise(2.0) && ecdf.surprise(1e300).is_finite());
        assert!((ecdf.surprise(0.99) - 100_f64.ln()).abs() < 0.05);
        assert!(ecdf.is_sound());
    }
}
