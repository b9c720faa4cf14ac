//! Two views: how often their values come together, and how surprising it is when others do.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::{
    episodes::{Counting, Episodes, Times},
    view::{NONE, View},
};

/// How often a value was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) times: Times,
    /// Its share of the hours of all values of its view.
    pub(crate) share: f64,
}

/// What is known of two views together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// When two values came together.
    together: HashMap<u64, Times, FixedState>,
    /// For each value of the first view how surprising the second one's are in general, and the other way round;
    /// empty where that direction is not looked at.
    usual: [Vec<Usual>; 2],
    /// For each value that is a condition the values that most often come with it, the commonest first.
    partners: [Vec<Vec<u32>>; 2],
}

/// Mean and standard deviation of a surprise, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Usual {
    mean: f32,
    deviation: f32,
}

/// A view with more values than this share of the rows says what is usual of none.
const MOST_VALUES: f64 = 0.05;
const MOST_PARTNERS: usize = 3;
/// A value that was never seen is as common as this.
const RAREST: f64 = 1e-6;
/// Views that share this part of what they say are one: a user and that user's machine.
const SAME: f64 = 0.85;
/// A view that says less than this (nats) is the same as no other.
const LEAST_ENTROPY: f64 = 0.5;

/// Every two views of different columns of which one at least has few enough values to be a condition.
pub(crate) fn candidates(views: &[View], seen: &[Vec<Seen>], rows: usize) -> Vec<(usize, usize)> {
    let all = (0..views.len()).flat_map(|first| (first + 1..views.len()).map(move |second| (first, second)));
    all.filter(|(first, second)| {
        views[*first].column != views[*second].column
            && (is_condition(&seen[*first], rows) || is_condition(&seen[*second], rows))
    })
    .collect()
}

fn is_condition(seen: &[Seen], rows: usize) -> bool {
    (seen.len() as f64) <= rows as f64 * MOST_VALUES
}

/// Returns how often each value of a view was seen.
pub(crate) fn marginals(column: &[u32], episodes: &Episodes) -> Vec<Seen> {
    let values = column.iter().filter(|value| **value != NONE).max().map_or(0, |most| *most as usize + 1);
    let mut counts = vec![Counting::default(); values];
    for (row, episode) in episodes.rows() {
        if let Some(counting) = counts.get_mut(column[row] as usize) {
            counting.see(episode);
        }
    }
    let hours = |counting: &Counting| f64::from(counting.times.hours);
    let all: f64 = counts.iter().map(hours).sum();
    let seen = |counting: &Counting| Seen { times: counting.times, share: hours(counting) / all.max(1.0) };
    counts.iter().map(seen).collect()
}

/// Views that say nearly the same are one group, called by its first.
pub(crate) fn groups(pairs: &[Pair], seen: &[Vec<Seen>], views: usize) -> Vec<usize> {
    let entropies: Vec<f64> =
        seen.iter().map(|seen| entropy(seen.iter().map(|seen| f64::from(seen.times.hours)))).collect();
    let mut groups: Vec<usize> = (0..views).collect();
    for pair in pairs {
        let (a, b) = (entropies[pair.first], entropies[pair.second]);
        if a.min(b) < LEAST_ENTROPY {
            continue;
        }
        let mut together: Vec<u32> = pair.together.values().map(|times| times.hours).collect();
        together.sort_unstable();
        let shared = a + b - entropy(together.into_iter().map(f64::from));
        if shared > SAME * a.max(b) {
            let (kept, left) = (groups[pair.first], groups[pair.second]);
            groups.iter_mut().filter(|group| **group == left).for_each(|group| *group = kept);
        }
    }
    groups
}

fn entropy(counts: impl Iterator<Item = f64> + Clone) -> f64 {
    let all: f64 = counts.clone().sum();
    counts.filter(|count| *count > 0.0).map(|count| -count / all * (count / all).ln()).sum()
}

impl Pair {
    pub(crate) fn learn(
        (first, second): (usize, usize),
        columns: &[Vec<u32>],
        seen: &[Vec<Seen>],
        episodes: &Episodes,
    ) -> Self {
        let together = together(&columns[first], &columns[second], episodes);
        let mut pair =
            Self { first, second, together, usual: Default::default(), partners: Default::default() };
        let rows = columns[first].len();
        let values: Vec<[u32; 2]> =
            columns[first].iter().zip(&columns[second]).map(|(a, b)| [*a, *b]).collect();
        for direction in [0, 1] {
            let view = [first, second][direction];
            if is_condition(&seen[view], rows) {
                pair.usual[direction] = pair.learn_usual(direction, &values, seen);
                pair.partners[direction] = pair.learn_partners(direction, seen[view].len());
            }
        }
        pair
    }

    fn learn_usual(&self, direction: usize, values: &[[u32; 2]], seen: &[Vec<Seen>]) -> Vec<Usual> {
        let mut sums = vec![(0.0_f64, 0.0_f64, 0.0_f64); seen[[self.first, self.second][direction]].len()];
        for both in values {
            if let Some(surprise) = self.surprise(direction, *both, seen, true) {
                let (count, sum, squares) = &mut sums[both[direction] as usize];
                *count += 1.0;
                *sum += surprise;
                *squares += surprise * surprise;
            }
        }
        let usual = |(count, sum, squares): &(f64, f64, f64)| {
            let mean = sum / count.max(1.0);
            let variance = (squares / count.max(1.0) - mean * mean).max(0.0);
            Usual { mean: mean as f32, deviation: (variance + 1.0).sqrt() as f32 }
        };
        sums.iter().map(usual).collect()
    }

    fn learn_partners(&self, direction: usize, values: usize) -> Vec<Vec<u32>> {
        let mut partners = vec![Vec::new(); values];
        for (both, times) in &self.together {
            let both = [(both >> 32) as u32, *both as u32];
            partners[both[direction] as usize].push((std::cmp::Reverse(times.hours), both[1 - direction]));
        }
        let commonest = |mut partners: Vec<(std::cmp::Reverse<u32>, u32)>| {
            partners.sort_unstable();
            partners.into_iter().take(MOST_PARTNERS).map(|(_, value)| value).collect()
        };
        partners.into_iter().map(commonest).collect()
    }

    /// Returns the values that most often come with the first (0) or second (1) one of a row.
    pub(crate) fn partners(&self, given: usize, values: &[u32]) -> &[u32] {
        let value = values[[self.first, self.second][given]];
        self.partners[given].get(value as usize).map_or(&[], Vec::as_slice)
    }

    /// Returns how strongly the first and the second value break the habit of the other, in standard deviations, from 0.
    pub(crate) fn strengths(&self, values: &[u32], seen: &[Vec<Seen>], is_known: bool) -> [f64; 2] {
        let both = [values[self.first], values[self.second]];
        let strength = |given: usize| {
            let usual = self.usual[given].get(both[given] as usize)?;
            let surprise = self.surprise(given, both, seen, is_known)?;
            Some(((surprise - f64::from(usual.mean)) / f64::from(usual.deviation)).max(0.0))
        };
        // Given the first value it is the second that surprises.
        [strength(1).unwrap_or(0.0), strength(0).unwrap_or(0.0)]
    }

    /// Returns −ln of the probability of the other value given one of the two (0 or 1), smoothed by how common the
    /// other is at all; of hours and shifts that which makes it rarer. A known row says nothing about itself.
    fn surprise(&self, given: usize, both: [u32; 2], seen: &[Vec<Seen>], is_known: bool) -> Option<f64> {
        let views = [self.first, self.second];
        let condition = seen[views[given]].get(both[given] as usize)?;
        let other = seen[views[1 - given]].get(both[1 - given] as usize);
        let together = other.and_then(|_| self.together.get(&cell(both))).copied().unwrap_or_default();
        let others = if is_known { together.without_own() } else { together };
        let share = other.map_or(0.0, |other| other.share).max(RAREST);
        let probability = |others: u32, all: u32| (f64::from(others) + share) / f64::from(all.max(1));
        let by_hour = probability(others.hours, condition.times.hours);
        let by_shift = probability(others.shifts, condition.times.shifts);
        Some(-by_hour.min(by_shift).min(1.0).ln())
    }

    pub(crate) fn is_sound(&self, seen: &[Vec<Seen>]) -> bool {
        let fits = |view: usize, usual: &[Usual]| {
            seen.get(view).is_some()
                && usual.iter().all(|usual| usual.mean.is_finite() && usual.deviation >= 1.0)
        };
        fits(self.first, &self.usual[0]) && fits(self.second, &self.usual[1])
    }
}

fn cell([first, second]: [u32; 2]) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

fn together(first: &[u32], second: &[u32], episodes: &Episodes) -> HashMap<u64, Times, FixedState> {
    let mut counts: HashMap<u64, Counting, FixedState> = HashMap::default();
    for (row, episode) in episodes.rows() {
        let both = [first[row], second[row]];
        if !both.contains(&NONE) {
            counts.entry(cell(both)).or_default().see(episode);
        }
    }
    counts.into_iter().map(|(cell, counting)| (cell, counting.times)).collect()
}
