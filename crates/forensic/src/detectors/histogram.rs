//! How rare each value is in its own column, summed over the columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    matrix::Matrix,
    schema::{CLIP, Schema},
};

/// For each feature how rare its values are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    features: Vec<Bins>,
}

/// −ln of the share of rows in the same bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Bins {
    /// A bin for each value, rising, where there are few; and how rare another value is.
    Values { rarities: Vec<(f32, f64)>, unseen: f64 },
    /// Bins of one width.
    Steps { least: f32, most: f32, rarities: Vec<f64> },
}

const FEWEST_BINS: f64 = 10.0;
const MOST_BINS: f64 = 100.0;
/// A value that was never seen counts as half a row.
const UNSEEN_ROWS: f64 = 0.5;

impl Histogram {
    pub(super) fn learn(schema: &Schema, matrix: &Matrix) -> Self {
        #[expect(clippy::cast_sign_loss, reason = "clamped to small numbers")]
        let bins = (matrix.rows as f64).sqrt().clamp(FEWEST_BINS, MOST_BINS) as usize;
        let features = schema.features.iter().enumerate();
        let learn = |(number, feature): (usize, &crate::schema::Feature)| {
            let values = || matrix.iter_rows().map(move |row| row[number]);
            Bins::of_values(values(), bins)
                .unwrap_or_else(|| Bins::of_steps(values(), (feature.least, feature.most), bins))
        };
        Self { features: features.map(learn).collect() }
    }

    /// Returns −ln of the share of rows in the same bin, summed over the features.
    pub(super) fn score(&self, row: &[f32]) -> f64 {
        self.features.iter().zip(row).map(|(bins, x)| bins.rarity(*x)).sum()
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        self.features.len() == width && self.features.iter().all(Bins::is_sound)
    }
}

impl Bins {
    /// Returns a bin for each value if there are no more values than bins.
    fn of_values(values: impl Iterator<Item = f32>, bins: usize) -> Option<Self> {
        let mut rows = BTreeMap::new();
        let mut all = 0.0;
        for x in values {
            all += 1.0;
            // The bits of numbers of one sign rise with them; order is put right below.
            rows.entry((x + 0.0).to_bits()).and_modify(|rows| *rows += 1.0).or_insert(1.0);
            if rows.len() > bins {
                return None;
            }
        }
        let rarity = |rows: f64| -(rows / all).ln();
        let mut rarities: Vec<(f32, f64)> =
            rows.into_iter().map(|(bits, rows)| (f32::from_bits(bits), rarity(rows))).collect();
        rarities.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Some(Self::Values { rarities, unseen: rarity(UNSEEN_ROWS) })
    }

    fn of_steps(values: impl Iterator<Item = f32>, (least, most): (f32, f32), bins: usize) -> Self {
        let (least, most) = (least.max(-CLIP), most.min(CLIP));
        let mut rows = vec![0.0_f64; bins];
        let mut all = 0.0;
        for x in values {
            rows[step(x, least, most, bins)] += 1.0;
            all += 1.0;
        }
        Self::Steps {
            least,
            most,
            rarities: rows.iter().map(|rows| -(rows.max(UNSEEN_ROWS) / all).ln()).collect(),
        }
    }

    fn rarity(&self, x: f32) -> f64 {
        match self {
            Self::Values { rarities, unseen } => {
                let place = rarities.binary_search_by(|(value, _)| value.total_cmp(&(x + 0.0)));
                place.map_or(*unseen, |place| rarities[place].1)
            }
            Self::Steps { least, most, rarities } => rarities[step(x, *least, *most, rarities.len())],
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Values { rarities, unseen } => {
                unseen.is_finite()
                    && rarities.is_sorted_by(|a, b| a.0 < b.0)
                    && rarities.iter().all(|(value, rarity)| value.is_finite() && rarity.is_finite())
            }
            Self::Steps { least, most, rarities } => {
                least.is_finite()
                    && most.is_finite()
                    && !rarities.is_empty()
                    && rarities.iter().all(|x| x.is_finite())
            }
        }
    }
}

fn step(x: f32, least: f32, most: f32, bins: usize) -> usize {
    let width = f64::from(most - least) / bins as f64;
    let position =
        (f64::from(x.clamp(least.min(most), most) - least) / width).floor().clamp(0.0, (bins - 1) as f64);
    #[expect(clippy::cast_sign_loss, reason = "clamped above")]
    let position = position as usize;
    position
}
