//! How rare each value is in its own column, summed over the columns.

use std::collections::HashMap;

use crate::{
    features::{CLIP, Features},
    matrix::Matrix,
};

const FEWEST_BINS: f64 = 10.0;
const MOST_BINS: usize = 100;

/// Returns −ln of the share of rows in the same bin, summed over the features.
pub(super) fn scores(features: &Features) -> Vec<f64> {
    let matrix = &features.matrix;
    let bins = (matrix.rows as f64).sqrt().clamp(FEWEST_BINS, MOST_BINS as f64).floor();
    let mut scores = vec![0.0; matrix.rows];
    for (number, feature) in features.each.iter().enumerate() {
        let (least, most) = feature.range();
        let (least, most) = (least.max(-CLIP), most.min(CLIP));
        let width = f64::from(most - least) / bins;
        let bin_of = distinct(matrix, number, bins).unwrap_or_default();
        let bin = |x: f32| -> usize {
            if let Some(bin) = bin_of.get(&x.to_bits()) {
                return *bin;
            }
            let position = (f64::from(x.clamp(least, most) - least) / width).floor().clamp(0.0, bins - 1.0);
            #[expect(clippy::cast_sign_loss, reason = "clamped above")]
            let position = position as usize;
            position
        };
        let mut rows_in = vec![0_usize; MOST_BINS + 1];
        for row in matrix.iter_rows() {
            rows_in[bin(row[number])] += 1;
        }
        let rarity: Vec<f64> =
            rows_in.iter().map(|count| -((*count).max(1) as f64 / matrix.rows as f64).ln()).collect();
        for (score, row) in scores.iter_mut().zip(matrix.iter_rows()) {
            *score += rarity[bin(row[number])];
        }
    }
    scores
}

/// Returns a bin for each value where there are no more values than bins.
fn distinct(
    matrix: &Matrix,
    number: usize,
    bins: f64,
) -> Option<HashMap<u32, usize, foldhash::fast::FixedState>> {
    let mut bin_of = HashMap::default();
    for row in matrix.iter_rows() {
        let next = bin_of.len();
        bin_of.entry(row[number].to_bits()).or_insert(next);
        if bin_of.len() as f64 > bins {
            return None;
        }
    }
    Some(bin_of)
}
