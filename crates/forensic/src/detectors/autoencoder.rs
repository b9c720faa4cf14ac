//! A small network that learned to copy trusted rows; what it cannot copy is strange. Here it copies; `training` is
//! where it learns.

use pulp::Arch;
use sentinelflow_domain::scan::ScanProgress;
use serde::{Deserialize, Serialize};

use crate::{ScanError, features::Features, matrix::Matrix};

#[cfg(feature = "autoencoder")]
mod training;

/// The trained network, and the scale of what it copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Copier {
    scale: Scale,
    layers: Vec<Layer>,
}

/// Every number of a row goes into every number of the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layer {
    /// For each number that comes in, its weight in each that goes out; filled up with zeros to whole lanes.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

/// Mean and standard deviation of each feature: the network, unlike the distances, sees how far a spike goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    mean: Vec<f32>,
    factor: Vec<f32>,
}

const LANES: usize = 8;
/// Rows that go through the network together, so that sums need not wait for each other.
const TILE: usize = 4;

impl Copier {
    #[cfg(feature = "autoencoder")]
    pub(super) fn learn(
        features: &Features,
        trusted: &[usize],
        progress: &dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let scale = Scale::of(&features.matrix);
        let layers = training::train(features, trusted, &scale, progress)?;
        Ok(Self { scale, layers })
    }

    #[cfg(not(feature = "autoencoder"))]
    pub(super) fn learn(_: &Features, _: &[usize], _: &dyn ScanProgress) -> Result<Self, ScanError> {
        Err(ScanError::EngineUnavailable { reason: "this build has no autoencoder".to_owned() })
    }

    /// Returns each row's mean squared error of copying.
    pub(super) fn errors(&self, rows: &[f32], width: usize) -> Vec<f64> {
        let mut scratch = Scratch::default();
        let mut errors = Vec::with_capacity(rows.len() / width);
        for tile in rows.chunks(TILE * width) {
            errors.extend(self.errors_of_tile(tile, width, &mut scratch));
        }
        errors
    }

    pub(super) fn errors_of_all(
        &self,
        matrix: &Matrix,
        progress: &dyn ScanProgress,
    ) -> Result<Vec<f64>, ScanError> {
        super::by_blocks(matrix.rows, "copying", progress, |block| {
            self.errors(matrix.some_rows(&block), matrix.width)
        })
    }

    fn errors_of_tile<'s>(
        &self,
        tile: &[f32],
        width: usize,
        scratch: &'s mut Scratch,
    ) -> impl Iterator<Item = f64> + 's {
        scratch.rows.clear();
        scratch.rows.extend(tile.chunks_exact(width).flat_map(|row| self.scale.scaled(row)));
        scratch.rows.resize(TILE * width, 0.0);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                scratch.here.clone_from(&scratch.rows);
                for (number, layer) in self.layers.iter().enumerate() {
                    layer.forward(&scratch.here, &mut scratch.next);
                    if number + 1 < self.layers.len() {
                        scratch.next.iter_mut().for_each(|x| *x = x.max(0.0));
                    }
                    std::mem::swap(&mut scratch.here, &mut scratch.next);
                }
            },
        );
        let copies = scratch.here.chunks_exact(scratch.here.len() / TILE);
        scratch.rows.chunks_exact(width).zip(copies).take(tile.len() / width).map(move |(row, copy)| {
            let differences = row.iter().zip(copy).map(|(x, copy)| f64::from(x - copy).powi(2));
            let error = differences.sum::<f64>() / width as f64;
            if error.is_finite() { error } else { f64::MAX }
        })
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        let numbers = |of: &[f32]| of.iter().all(|x| x.is_finite());
        let mut incoming = width;
        let fits = self.layers.iter().all(|layer| {
            let fits = layer.biases.len().is_multiple_of(LANES)
                && layer.biases.len() <= MOST_UNITS
                && layer.weights.len() == incoming * layer.biases.len()
                && numbers(&layer.weights)
                && numbers(&layer.biases);
            incoming = layer.biases.len();
            fits
        });
        let scale = &self.scale;
        fits && incoming >= width
            && !self.layers.is_empty()
            && scale.mean.len() == width
            && scale.factor.len() == width
            && numbers(&scale.mean)
            && numbers(&scale.factor)
    }
}

/// No layer is wider than the widest table and its lanes.
const MOST_UNITS: usize = 1 << 18;

/// The numbers of a tile's rows, one row after the other: as they came, as a layer takes them and as it gives them.
#[derive(Default)]
struct Scratch {
    rows: Vec<f32>,
    here: Vec<f32>,
    next: Vec<f32>,
}

impl Layer {
    /// Weights come one after the other for each number that comes in.
    #[cfg(feature = "autoencoder")]
    fn new(weights: &[f32], biases: &[f32]) -> Self {
        let padded = biases.len().next_multiple_of(LANES);
        let filled = |row: &[f32]| -> Vec<f32> {
            row.iter().copied().chain(std::iter::repeat(0.0)).take(padded).collect()
        };
        Self {
            weights: weights.chunks_exact(biases.len()).flat_map(filled).collect(),
            biases: filled(biases),
        }
    }

    /// Takes the rows of a tile. Sums in one order for each number, whatever the processor.
    #[inline(always)]
    fn forward(&self, tile: &[f32], out: &mut Vec<f32>) {
        let (incoming, outgoing) = (tile.len() / TILE, self.biases.len());
        let rows: [&[f32]; TILE] = std::array::from_fn(|row| &tile[row * incoming..(row + 1) * incoming]);
        out.resize(TILE * outgoing, 0.0);
        let (biases, _) = self.biases.as_chunks::<LANES>();
        let (weights, _) = self.weights.as_chunks::<LANES>();
        for (chunk, biases) in biases.iter().enumerate() {
            let mut sums = [*biases; TILE];
            let weights = weights.iter().skip(chunk).step_by(outgoing / LANES);
            for (number, weights) in (0..incoming).zip(weights) {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for lane in 0..LANES {
                        sums[lane] += row[number] * weights[lane];
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                out[row * outgoing + chunk * LANES..][..LANES].copy_from_slice(sums);
            }
        }
    }
}

impl Scale {
    #[cfg(feature = "autoencoder")]
    fn of(matrix: &Matrix) -> Self {
        let rows = matrix.rows as f64;
        let mut mean = vec![0.0; matrix.width];
        for row in matrix.iter_rows() {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean += f64::from(*x) / rows;
            }
        }
        let mut variance = vec![0.0; matrix.width];
        for row in matrix.iter_rows() {
            for (variance, (x, mean)) in variance.iter_mut().zip(row.iter().zip(&mean)) {
                *variance += (f64::from(*x) - mean).powi(2) / rows;
            }
        }
        let factor = |variance: f64| (1.0 / variance.sqrt().max(1e-30)) as f32;
        Self {
            mean: mean.into_iter().map(|mean| mean as f32).collect(),
            factor: variance.into_iter().map(factor).collect(),
        }
    }

    fn scaled<'r>(&'r self, row: &'r [f32]) -> impl Iterator<Item = f32> + 'r {
        let scaled = row.iter().zip(self.mean.iter().zip(&self.factor));
        scaled.map(|(x, (mean, factor))| (x - mean) * factor)
    }
}
