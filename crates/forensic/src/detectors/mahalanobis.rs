//! Distance from the centre, measured along the ways the columns usually vary together.

use pulp::Arch;
use sentinelflow_domain::scan::ScanProgress;

use serde::{Deserialize, Serialize};

use crate::{ScanError, features::Features, matrix::Matrix, random::draw, schema::CLIP};

/// Multiplications one fit may take, about ten seconds; wider tables are looked at through fewer features.
const MOST_WORK: f64 = 2e10;
const MOST_FEATURES: usize = 1_600;
const FEWEST_FEATURES: usize = 32;
/// A covariance of so many rows is as good as one of all.
const MOST_FITTED_ROWS: usize = 100_000;
/// Added to every direction, as a share of the widest one, so that no direction is infinitely strange.
const RIDGE: f64 = 1e-3;
const BLOCK_ROWS: usize = 1_024;
/// Rows that go through the triangle together.
const LANES: usize = 8;

/// Where ordinary rows lie and how they spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The features looked at: all of them unless there are too many.
    pub(crate) features: Vec<usize>,
    mean: Vec<f64>,
    /// The lower triangle of the covariance's Cholesky factor, row after row.
    factor: Vec<f64>,
}

/// Beyond what can be afforded, the features that vary most are kept.
fn chosen_features(matrix: &Matrix) -> Vec<usize> {
    #[expect(clippy::cast_sign_loss, reason = "clamped to small numbers")]
    let most =
        (MOST_WORK / matrix.rows as f64).sqrt().clamp(FEWEST_FEATURES as f64, MOST_FEATURES as f64) as usize;
    let mut features: Vec<usize> = (0..matrix.width).collect();
    if matrix.width <= most {
        return features;
    }
    let mut energy = vec![0.0; matrix.width];
    for row in matrix.iter_rows() {
        for (energy, x) in energy.iter_mut().zip(row) {
            *energy += f64::from(x.clamp(-CLIP, CLIP)).powi(2);
        }
    }
    features.sort_by(|a, b| energy[*b].total_cmp(&energy[*a]));
    features.truncate(most);
    features.sort_unstable();
    features
}

impl Spread {
    /// Returns the spread of the more ordinary half, and the squared distances of all rows in it.
    pub(super) fn learn(
        features: &Features,
        progress: &dyn ScanProgress,
    ) -> Result<(Self, Vec<f64>), ScanError> {
        let matrix = &features.matrix;
        let every: Vec<usize> = (0..matrix.rows).collect();
        let fitted = draw(&features.keys, &every, MOST_FITTED_ROWS, 0x5B3E_AD00);
        let first = Self::fit(matrix, &fitted, chosen_features(matrix), progress)?;
        let distances = first.distances_of(matrix, &fitted, progress)?;
        let mut ranked: Vec<(f64, usize)> = distances.into_iter().zip(fitted).collect();
        let ordinary = (ranked.len() / 2).max(2);
        if ordinary < ranked.len() {
            ranked.select_nth_unstable_by(ordinary, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(ordinary);
        }
        let mut half: Vec<usize> = ranked.into_iter().map(|(_, row)| row).collect();
        half.sort_unstable();
        let spread = Self::fit(matrix, &half, first.features, progress)?;
        let distances = spread.distances_of(matrix, &every, progress)?;
        Ok((spread, distances))
    }

    fn fit(
        matrix: &Matrix,
        rows: &[usize],
        features: Vec<usize>,
        progress: &dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let width = features.len();
        let mut mean = vec![0.0; width];
        let mut centred = vec![0.0; width];
        for row in rows {
            clipped(matrix.row(*row), &features, &mut centred);
            for (mean, x) in mean.iter_mut().zip(&centred) {
                *mean += x;
            }
        }
        for mean in &mut mean {
            *mean /= rows.len() as f64;
        }
        let mut covariance = vec![0.0; width * width];
        let mut block = vec![0.0; LANES * width];
        for (done, chunk) in rows.chunks(LANES).enumerate() {
            if done % (BLOCK_ROWS / LANES) == 0 {
                super::still_wanted(progress, "spread", done * LANES, rows.len())?;
            }
            block.fill(0.0);
            for (centred, row) in block.chunks_exact_mut(width).zip(chunk) {
                clipped(matrix.row(*row), &features, centred);
                for (x, mean) in centred.iter_mut().zip(&mean) {
                    *x -= mean;
                }
            }
            Arch::new().dispatch(|| add_products(&mut covariance, &block, width));
        }
        for product in &mut covariance {
            *product /= rows.len() as f64;
        }
        let ridge = (RIDGE * widest(&covariance, width)).max(1e-9);
        for feature in 0..width {
            covariance[feature * width + feature] += ridge;
        }
        let factor = cholesky(covariance, width, progress)?;
        Ok(Self { features, mean, factor })
    }

    fn distances_of(
        &self,
        matrix: &Matrix,
        rows: &[usize],
        progress: &dyn ScanProgress,
    ) -> Result<Vec<f64>, ScanError> {
        super::by_blocks(rows.len(), "distances", progress, |block| {
            self.squared_distances(rows[block].iter().map(|row| matrix.row(*row)))
        })
    }

    /// Returns the squared distances of rows.
    pub(super) fn distances(&self, rows: &[f32], width: usize) -> Vec<f64> {
        self.squared_distances(rows.chunks_exact(width))
    }

    fn squared_distances<'r>(&self, rows: impl ExactSizeIterator<Item = &'r [f32]>) -> Vec<f64> {
        let width = self.features.len();
        let mut distances = Vec::with_capacity(rows.len() + LANES);
        let mut centred = vec![0.0; width];
        let mut lanes = vec![[0.0; LANES]; width];
        let (all, mut rows) = (rows.len(), rows);
        while distances.len() < all {
            for (lane, row) in rows.by_ref().take(LANES).enumerate() {
                clipped(row, &self.features, &mut centred);
                for (slot, (x, mean)) in lanes.iter_mut().zip(centred.iter().zip(&self.mean)) {
                    slot[lane] = x - mean;
                }
            }
            distances.extend(Arch::new().dispatch(|| solve_and_square(&self.factor, &mut lanes)));
        }
        distances.truncate(all);
        distances
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        let looked_at = self.features.len();
        (1..=width).contains(&looked_at)
            && self.features.iter().all(|feature| *feature < width)
            && self.mean.len() == looked_at
            && self.factor.len() == looked_at * looked_at
            && self.mean.iter().chain(&self.factor).all(|x| x.is_finite())
            && (0..looked_at).all(|feature| self.factor[feature * looked_at + feature] > 0.0)
    }

    /// Returns the inverse of the covariance, for `surprises`.
    pub(crate) fn precision(&self) -> Vec<f64> {
        let width = self.features.len();
        let mut inverse = vec![0.0; width * width];
        let mut lanes = vec![[0.0; LANES]; width];
        for first in (0..width).step_by(LANES) {
            lanes.fill([0.0; LANES]);
            for lane in 0..LANES.min(width - first) {
                lanes[first + lane][lane] = 1.0;
            }
            Arch::new().dispatch(|| {
                solve_and_square(&self.factor, &mut lanes);
                solve_transposed(&self.factor, &mut lanes);
            });
            for (row, lanes) in lanes.iter().enumerate() {
                for (lane, x) in lanes.iter().enumerate().take(width - first) {
                    inverse[row * width + first + lane] = *x;
                }
            }
        }
        inverse
    }

    /// Returns for each feature looked at how surprising it is given all others: (P(x − μ))ⱼ² / Pⱼⱼ.
    pub(crate) fn surprises(&self, row: &[f32], precision: &[f64]) -> Vec<f64> {
        let width = self.features.len();
        let mut centred = vec![0.0; width];
        clipped(row, &self.features, &mut centred);
        for (x, mean) in centred.iter_mut().zip(&self.mean) {
            *x -= mean;
        }
        precision
            .chunks_exact(width)
            .enumerate()
            .map(|(feature, p)| {
                let pull: f64 = p.iter().zip(&centred).map(|(p, x)| p * x).sum();
                pull * pull / p[feature]
            })
            .collect()
    }
}

fn clipped(row: &[f32], features: &[usize], into: &mut [f64]) {
    for (x, feature) in into.iter_mut().zip(features) {
        *x = f64::from(row[*feature].clamp(-CLIP, CLIP));
    }
}

/// Adds the products of eight rows to the lower triangle.
#[inline(always)]
fn add_products(covariance: &mut [f64], block: &[f64], width: usize) {
    let rows: [&[f64]; LANES] = std::array::from_fn(|row| &block[row * width..(row + 1) * width]);
    for (feature, products) in covariance.chunks_exact_mut(width).enumerate() {
        let factors = rows.map(|row| row[feature]);
        let heads = rows.map(|row| &row[..=feature]);
        for (other, product) in products[..=feature].iter_mut().enumerate() {
            let mut sum = 0.0;
            for lane in 0..LANES {
                sum += factors[lane] * heads[lane][other];
            }
            *product += sum;
        }
    }
}

/// Returns the largest eigenvalue of a symmetric matrix given by its lower triangle (power iteration).
fn widest(covariance: &[f64], width: usize) -> f64 {
    let mut direction = vec![1.0 / (width as f64).sqrt(); width];
    let mut eigenvalue = 0.0;
    for _ in 0..60 {
        let mut next = vec![0.0; width];
        for (feature, products) in covariance.chunks_exact(width).enumerate() {
            for (other, product) in products[..feature].iter().enumerate() {
                next[feature] += product * direction[other];
                next[other] += product * direction[feature];
            }
            next[feature] += products[feature] * direction[feature];
        }
        eigenvalue = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        if eigenvalue <= 0.0 {
            break;
        }
        direction = next.into_iter().map(|x| x / eigenvalue).collect();
    }
    // The largest variance of a single feature is a lower bound that no start can miss.
    let diagonal = (0..width).map(|feature| covariance[feature * width + feature]);
    diagonal.fold(eigenvalue, f64::max)
}

fn cholesky(mut a: Vec<f64>, width: usize, progress: &dyn ScanProgress) -> Result<Vec<f64>, ScanError> {
    for row in 0..width {
        if row % 64 == 0 {
            super::still_wanted(progress, "spread", row, width)?;
        }
        let (above, here) = a.split_at_mut(row * width);
        let here = &mut here[..width];
        for column in 0..row {
            let other = &above[column * width..column * width + column];
            let product = dot(other, &here[..column]);
            here[column] = (here[column] - product) / above[column * width + column];
        }
        let square = dot(&here[..row], &here[..row]);
        // The ridge keeps this above zero but for rounding.
        here[row] = (here[row] - square).max(1e-12).sqrt();
    }
    Ok(a)
}

/// Sums eight lanes side by side, so that the compiler may use vectors without reordering anything.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0.0; LANES];
            let (a_lanes, a_rest) = a.as_chunks::<LANES>();
            let (b_lanes, b_rest) = b.as_chunks::<LANES>();
            for (a, b) in a_lanes.iter().zip(b_lanes) {
                for lane in 0..LANES {
                    lanes[lane] += a[lane] * b[lane];
                }
            }
            let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
            lanes.iter().sum::<f64>() + rest
        },
    )
}

/// Solves L y = x for eight right-hand sides in place and returns |y|² of each.
#[inline(always)]
fn solve_and_square(factor: &[f64], lanes: &mut [[f64; LANES]]) -> [f64; LANES] {
    let width = lanes.len();
    let mut squared = [0.0; LANES];
    for row in 0..width {
        let (solved, rest) = lanes.split_at_mut(row);
        let mut sum = rest[0];
        let coefficients = &factor[row * width..row * width + row];
        for (coefficient, y) in coefficients.iter().zip(solved.iter()) {
            for lane in 0..LANES {
                sum[lane] -= coefficient * y[lane];
            }
        }
        let diagonal = factor[row * width + row];
        for lane in 0..LANES {
            sum[lane] /= diagonal;
            squared[lane] += sum[lane] * sum[lane];
        }
        rest[0] = sum;
    }
    squared
}

/// Solves Lᵀ x = y for eight right-hand sides in place.
#[inline(always)]
fn solve_transposed(factor: &[f64], lanes: &mut [[f64; LANES]]) {
    let width = lanes.len();
    for row in (0..width).rev() {
        let (earlier, rest) = lanes.split_at_mut(row);
        for x in &mut rest[0] {
            *x /= factor[row * width + row];
        }
        for (coefficient, y) in factor[row * width..row * width + row].iter().zip(earlier) {
            for lane in 0..LANES {
                y[lane] -= coefficient * rest[0][lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::scan::Unwatched;

    use super::*;
    use crate::random::Random;

    #[test]
    fn distance_and_precision_agree() {
        let mut random = Random::new(5);
        let (rows, width) = (400, 11);
        let mut values: Vec<f32> = (0..rows * width).map(|_| random.unit() as f32 * 2.0 - 1.0).collect();
        values.chunks_exact_mut(width).for_each(|row| row[3] = row[2] + 0.1 * row[3]);
        let matrix = Matrix { rows, width, values };
        let features = Features { keys: (0..400).collect(), places: (0..400).collect(), matrix };
        let (spread, distances) = Spread::learn(&features, &Unwatched).unwrap();
        let matrix = features.matrix;
        let precision = spread.precision();
        for row in [0, 17, 399] {
            let centred: Vec<f64> =
                matrix.row(row).iter().zip(&spread.mean).map(|(x, mean)| f64::from(*x) - mean).collect();
            let mut form = 0.0;
            for (p, x) in precision.chunks_exact(width).zip(&centred) {
                form += x * p.iter().zip(&centred).map(|(p, x)| p * x).sum::<f64>();
            }
            assert!((form - distances[row]).abs() < 1e-6 * form, "{form} and {}", distances[row]);
        }
    }
}
