//! Makes one score of what the detectors and the habits say, whatever measures they come in.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{detectors::Detectors, ecdf::Ecdf, threshold::Calibration};

/// Two looks at a row: its place among the others, and the habits it breaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fusion {
    /// For each detector where the numbers of ordinary rows lie.
    detectors: Vec<Ecdf>,
    place: Calibration,
    habits: Option<Calibration>,
}

/// Of the false alarms that are allowed, the share that habits may raise where there are any. Chosen on the generated
/// audit logs of bench/.
const SHARE_OF_HABITS: f64 = 0.99;
/// The tail of the detectors' logarithms is at least so wide, and that of broken habits, in standard deviations.
const LEAST_SCALE: f64 = 1e-6;
const LEAST_SCALE_OF_HABITS: f64 = 0.25;

/// A tail is fitted above this share of the rows. That of habits is bent where amounts set in, and is fitted above it.
const BODY: f64 = 0.9;
const BODY_OF_HABITS: f64 = 0.97;

type Learn = fn(&[f64], f64, f64) -> Calibration;

impl Fusion {
    /// Learns from rows most of which are ordinary, and returns also their scores; of the parts the last is that of the
    /// habits, if there are any.
    pub(crate) fn learn(parts: &[Vec<f64>], with_habits: bool) -> (Self, Vec<f64>) {
        let (fusion, places) = Self::with(Calibration::learn, parts, with_habits);
        let scores = higher(fusion.looks_at(places, &parts[fusion.detectors.len()..]));
        (fusion, scores)
    }

    /// Learns from ordinary rows that nothing else was learned from.
    pub(crate) fn conformal(parts: &[Vec<f64>], with_habits: bool) -> Self {
        Self::with(Calibration::conformal, parts, with_habits).0
    }

    /// Returns also what the detectors together make of the rows.
    fn with(learn: Learn, parts: &[Vec<f64>], with_habits: bool) -> (Self, Vec<f64>) {
        let (detectors, habits) = parts.split_at(parts.len() - usize::from(with_habits));
        let learn_detector = |part: &Vec<f64>| {
            let ecdf = Ecdf::learn(part);
            let surprises = ecdf.surprises(part);
            (ecdf, surprises)
        };
        let (ecdfs, surprises): (_, Vec<_>) = detectors.par_iter().map(learn_detector).unzip();
        let places = fused(&surprises);
        let place = learn(&places, BODY, LEAST_SCALE);
        let habits = habits.first().map(|part| learn(part, BODY_OF_HABITS, LEAST_SCALE_OF_HABITS));
        (Self { detectors: ecdfs, place, habits }, places)
    }

    /// Returns the probability that an ordinary row scores lower.
    ///
    /// With u₁ and u₂ for the two looks alone it is max(u₁^(1/w), u₂^(1/(1−w))): each look may raise its share w or
    /// 1 − w of the false alarms, and together they raise no more.
    pub(crate) fn scores(&self, parts: &[Vec<f64>]) -> Vec<f64> {
        higher(self.looks(parts))
    }

    /// Returns what each of the two looks alone makes of the rows.
    pub(crate) fn looks(&self, parts: &[Vec<f64>]) -> Vec<[f64; 2]> {
        let (detectors, habits) = parts.split_at(self.detectors.len());
        let surprises = self.detectors.iter().zip(detectors).map(|(ecdf, part)| ecdf.surprises(part));
        self.looks_at(fused(&surprises.collect::<Vec<_>>()), habits)
    }

    fn looks_at(&self, places: Vec<f64>, habits: &[Vec<f64>]) -> Vec<[f64; 2]> {
        let places = places.into_iter().map(|fused| self.place.score(fused));
        match (&self.habits, habits) {
            (Some(calibration), [habits]) => places
                .zip(habits)
                .map(|(place, habit)| {
                    let place = place.powf(1.0 / (1.0 - SHARE_OF_HABITS));
                    [place, calibration.score(*habit).powf(1.0 / SHARE_OF_HABITS)]
                })
                .collect(),
            _ => places.map(|place| [place, 0.0]).collect(),
        }
    }

    pub(crate) fn is_sound(&self, detectors: usize, with_habits: bool) -> bool {
        self.detectors.len() == detectors
            && self.detectors.iter().all(Ecdf::is_sound)
            && self.place.is_sound()
            && self.habits.is_some() == with_habits
            && self.habits.as_ref().is_none_or(Calibration::is_sound)
    }
}

/// Returns ln Σ −w ln(1 − u) over the detectors, where u is the share of ordinary rows with a lower number and w its weight.
fn fused(surprises: &[Vec<f64>]) -> Vec<f64> {
    let sum = |place: usize| -> f64 {
        surprises.iter().zip(Detectors::WEIGHTS).map(|(detector, weight)| weight * detector[place]).sum()
    };
    (0..surprises.first().map_or(0, Vec::len)).map(|place| sum(place).ln()).collect()
}

/// Returns the higher of the two looks.
fn higher(looks: Vec<[f64; 2]>) -> Vec<f64> {
    looks.into_iter().map(|[place, habit]| place.max(habit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_all_detectors_find_strange_comes_first() {
        let parts = [vec![1.0, 2.0, 3.0], vec![10.0, 5.0, 30.0]];
        let (fusion, learned) = Fusion::learn(&parts, false);
        assert!(learned[2] > learned[0] && learned[2] > learned[1]);
        assert_eq!(fusion.scores(&parts), learned);
    }
}
