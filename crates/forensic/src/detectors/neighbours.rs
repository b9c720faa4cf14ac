//! How far each row lies from the nearest of a few drawn rows, averaged over rounds of drawing.

use pulp::{Arch, Simd, WithSimd};
use sentinelflow_domain::scan::ScanProgress;
use serde::{Deserialize, Serialize};

use crate::{ScanError, matrix::Matrix, schema::CLIP};

/// Rows that pass over the references together; with two vectors of references they fill the registers.
const TILE: usize = 4;
/// References a panel holds: two vectors of eight, or one of sixteen.
const PANEL: usize = 16;

/// Rounds of drawn rows that others are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct References {
    /// For each round its drawn rows, clipped and laid out for the processor.
    rounds: Vec<Vec<f32>>,
}

impl References {
    /// Keeps the drawn rows, and returns for each row of the matrix the distance to the nearest row of a round, never
    /// itself, averaged over the rounds.
    pub(super) fn learn(
        matrix: &Matrix,
        drawn: &[Vec<usize>],
        phase: &'static str,
        progress: &dyn ScanProgress,
    ) -> Result<(Self, Vec<f64>), ScanError> {
        let references = Self { rounds: drawn.iter().map(|round| pack(matrix, round)).collect() };
        let distances = super::by_blocks(matrix.rows, phase, progress, |block| {
            references.mean_nearest(matrix.some_rows(&block), matrix.width, |round, nearest| {
                let round = &drawn[round];
                let first = round.partition_point(|row| *row < block.start);
                for row in round[first..].iter().take_while(|row| **row < block.end) {
                    nearest[row - block.start] = nearest_other(matrix, *row, round);
                }
            })
        })?;
        Ok((references, distances))
    }

    /// Returns the mean distance of rows that are not among the drawn ones.
    pub(super) fn distances(&self, rows: &[f32], width: usize) -> Vec<f64> {
        self.mean_nearest(rows, width, |_, _| ())
    }

    /// Differences are squared one by one: the shortcut over a matrix product loses the digits that tell near
    /// duplicates apart.
    fn mean_nearest(&self, rows: &[f32], width: usize, correct: impl Fn(usize, &mut [f32])) -> Vec<f64> {
        let clipped: Vec<f32> = rows.iter().map(|x| x.clamp(-CLIP, CLIP)).collect();
        let mut nearest = vec![0.0; rows.len() / width];
        let mut sum = vec![0.0; nearest.len()];
        for (round, panels) in self.rounds.iter().enumerate() {
            Arch::new().dispatch(Nearest { rows: &clipped, width, panels, found: &mut nearest });
            correct(round, &mut nearest);
            for (sum, squared) in sum.iter_mut().zip(&nearest) {
                *sum += f64::from(*squared).sqrt();
            }
        }
        sum.into_iter().map(|sum| sum / self.rounds.len() as f64).collect()
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        let is_whole = |round: &Vec<f32>| {
            !round.is_empty()
                && round.len().is_multiple_of(PANEL * width)
                && round.iter().all(|x| x.is_finite())
        };
        !self.rounds.is_empty() && self.rounds.iter().all(is_whole)
    }
}

/// Lays references out so that one number of sixteen of them lies side by side; the last one fills up.
fn pack(matrix: &Matrix, references: &[usize]) -> Vec<f32> {
    let mut panels = vec![0.0; references.len().div_ceil(PANEL) * PANEL * matrix.width];
    for (panel, references) in panels.chunks_exact_mut(PANEL * matrix.width).zip(references.chunks(PANEL)) {
        for lane in 0..PANEL {
            let row = matrix.row(references[lane.min(references.len() - 1)]);
            for (number, x) in row.iter().enumerate() {
                panel[number * PANEL + lane] = x.clamp(-CLIP, CLIP);
            }
        }
    }
    panels
}

/// The squared distance of a drawn row to the other rows of its round.
fn nearest_other(matrix: &Matrix, row: usize, round: &[usize]) -> f32 {
    round
        .iter()
        .filter(|other| **other != row)
        .map(|other| squared_distance(matrix.row(row), matrix.row(*other)))
        .fold(f32::INFINITY, f32::min)
}

/// Sums eight lanes side by side, so that the compiler may use vectors without reordering anything.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            let difference = a.clamp(-CLIP, CLIP) - b.clamp(-CLIP, CLIP);
            *lane += difference * difference;
        }
    }
    lanes.iter().sum()
}

/// The smallest squared distance of each row to the references of one round.
struct Nearest<'a> {
    rows: &'a [f32],
    width: usize,
    panels: &'a [f32],
    found: &'a mut [f32],
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tiles = self.rows.chunks(TILE * self.width).zip(self.found.chunks_mut(TILE));
        for (tile, nearest) in tiles {
            if tile.len() == TILE * self.width {
                nearest_of_tile::<S, TILE>(simd, tile, self.width, self.panels, nearest);
            } else {
                for (row, nearest) in tile.chunks_exact(self.width).zip(nearest.chunks_mut(1)) {
                    nearest_of_tile::<S, 1>(simd, row, self.width, self.panels, nearest);
                }
            }
        }
    }
}

#[inline(always)]
fn nearest_of_tile<S: Simd, const ROWS: usize>(
    simd: S,
    tile: &[f32],
    width: usize,
    panels: &[f32],
    nearest: &mut [f32],
) {
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &tile[row * width..(row + 1) * width]);
    let mut best = [simd.splat_f32s(f32::INFINITY); ROWS];
    let (vectors, _) = S::as_simd_f32s(panels);
    let per_number = PANEL / S::F32_LANES;
    for panel in vectors.chunks_exact(per_number * width) {
        // Two vectors at a time: with more the sums no longer fit into registers.
        for pair in 0..per_number.div_ceil(2) {
            let (first, second) = (pair * 2, (pair * 2 + 1).min(per_number - 1));
            let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
            for (number, references) in panel.chunks_exact(per_number).enumerate() {
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let x = simd.splat_f32s(row[number]);
                    for (sum, lane) in sums.iter_mut().zip([first, second]) {
                        let difference = simd.sub_f32s(x, references[lane]);
                        *sum = simd.mul_add_e_f32s(difference, difference, *sum);
                    }
                }
            }
            for (best, [a, b]) in best.iter_mut().zip(sums) {
                *best = simd.min_f32s(*best, simd.min_f32s(a, b));
            }
        }
    }
    for (nearest, best) in nearest.iter_mut().zip(best) {
        *nearest = simd.reduce_min_f32s(best);
    }
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::scan::Unwatched;

    use super::*;
    use crate::random::{Random, draw};

    #[test]
    fn the_vector_path_agrees_with_a_plain_loop() {
        let mut random = Random::new(3);
        for (rows, width, drawn) in [(1_030, 5, 16), (37, 1, 18), (9, 40, 4), (300, 17, 150)] {
            let values = (0..rows * width).map(|_| random.unit() as f32 * 30.0 - 15.0).collect();
            let matrix = Matrix { rows, width, values };
            let (keys, every) = ((0..).take(rows).collect::<Vec<u64>>(), (0..rows).collect::<Vec<_>>());
            let rounds = [1, 2].map(|round| draw(&keys, &every, drawn, round));
            let (_, fast) = References::learn(&matrix, &rounds, "test", &Unwatched).unwrap();
            for (row, fast) in fast.iter().enumerate() {
                let distances =
                    rounds.iter().map(|round| f64::from(nearest_other(&matrix, row, round)).sqrt());
                let plain = distances.sum::<f64>() / 2.0;
                assert!((plain - fast).abs() < 1e-3, "row {row}: {plain} and {fast}");
            }
        }
    }
}
