//! The detectors, each of which gives every row a number: trained on a sample, asked about any row.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;
use sentinelflow_domain::scan::{EngineChoice, ScanEngine, ScanProgress};
use serde::{Deserialize, Serialize};

use crate::{ScanError, features::Features, random::draw, schema::Schema};
use autoencoder::Copier;
use histogram::Histogram;
use mahalanobis::Spread;
use neighbours::References;

mod autoencoder;
mod histogram;
pub(crate) mod mahalanobis;
pub(crate) mod neighbours;

/// Which detectors run, and why.
pub(crate) struct Engine {
    pub(crate) engine: ScanEngine,
    pub(crate) reason: String,
}

/// What was learned of ordinary rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detectors {
    isolation: References,
    neighbours: References,
    pub(crate) spread: Spread,
    histogram: Histogram,
    autoencoder: Option<Copier>,
}

/// What the detectors say of the rows they were trained on.
pub(crate) struct Trained {
    pub(crate) detectors: Detectors,
    /// One list of numbers per detector; higher is stranger, the measures differ. No row is compared with itself.
    pub(crate) parts: Vec<Vec<f64>>,
    /// Rows of the matrix that are probably ordinary, rising.
    pub(crate) trusted: Vec<usize>,
}

/// Below this an autoencoder learns its rows by heart.
const FEWEST_FOR_AUTOENCODER: usize = 64;
/// The share of rows that are taken as probably ordinary. Of 0.6 to 0.85 the best on the labelled tables.
const TRUSTED_SHARE: f64 = 0.8;
const ISOLATION_ROUNDS: u64 = 100;
const ISOLATION_DRAWN: usize = 16;
const NEIGHBOUR_ROUNDS: u64 = 8;
const NEIGHBOURS_DRAWN: usize = 256;
/// So many rows stand for all when many small draws are made: a draw of a draw is a draw.
const DRAWN_FROM: usize = 16_384;
/// Rows that are scored together.
pub(crate) const BLOCK_ROWS: usize = 1_024;

impl Engine {
    pub(crate) fn choose(asked: EngineChoice, rows: usize) -> Result<Self, ScanError> {
        let obstacle = if !cfg!(feature = "autoencoder") {
            Some("this build has no autoencoder".to_owned())
        } else if rows < FEWEST_FOR_AUTOENCODER {
            Some(format!("an autoencoder needs {FEWEST_FOR_AUTOENCODER} rows and the table has {rows}"))
        } else {
            None
        };
        let (engine, reason) = match (asked, obstacle) {
            (EngineChoice::Statistical, _) => (ScanEngine::Statistical, "asked for".to_owned()),
            (EngineChoice::Autoencoder, None) => (ScanEngine::Autoencoder, "asked for".to_owned()),
            (EngineChoice::Autoencoder, Some(reason)) => return Err(ScanError::EngineUnavailable { reason }),
            (EngineChoice::Auto, Some(reason)) => (ScanEngine::Statistical, reason),
            (EngineChoice::Auto, None) => {
                (ScanEngine::Autoencoder, "the table has enough rows to train an autoencoder".to_owned())
            }
        };
        Ok(Self { engine, reason })
    }
}

impl Detectors {
    pub(crate) fn train(
        schema: &Schema,
        features: &Features,
        engine: ScanEngine,
        progress: &dyn ScanProgress,
    ) -> Result<Trained, ScanError> {
        let matrix = &features.matrix;
        let (distances, copies) = rayon::join(
            || -> Result<_, ScanError> {
                let (spread, distances) = Spread::learn(features, progress)?;
                let histogram = Histogram::learn(schema, matrix);
                let rarities = matrix.iter_rows().map(|row| histogram.score(row)).collect();
                Ok((spread, distances, histogram, rarities))
            },
            || -> Result<_, ScanError> {
                let every: Vec<usize> = (0..matrix.rows).collect();
                let drawn = draws(&features.keys, &every, ISOLATION_ROUNDS, ISOLATION_DRAWN);
                let (isolation, alone) = References::learn(matrix, &drawn, "isolation", progress)?;
                let trusted = least(&alone, TRUSTED_SHARE);
                let drawn = draws(&features.keys, &trusted, NEIGHBOUR_ROUNDS, NEIGHBOURS_DRAWN);
                let (neighbours, far) = References::learn(matrix, &drawn, "neighbours", progress)?;
                let copier = match engine {
                    ScanEngine::Autoencoder => Some(Copier::learn(features, &trusted, progress)?),
                    ScanEngine::Statistical => None,
                };
                Ok((isolation, alone, neighbours, far, copier, trusted))
            },
        );
        let (spread, distances, histogram, rarities) = distances?;
        let (isolation, alone, neighbours, far, autoencoder, trusted) = copies?;
        let mut parts = vec![alone, far, distances, rarities];
        if let Some(copier) = &autoencoder {
            parts.push(copier.errors_of_all(matrix, progress)?);
        }
        let detectors = Self { isolation, neighbours, spread, histogram, autoencoder };
        Ok(Trained { detectors, parts, trusted })
    }

    /// Returns what each detector counts in the fusion, in the order of the parts. The histogram sees each column alone
    /// and the network much of what the others see: with half a vote both ranked the anomalies of the labelled tables
    /// higher than with a whole one or none.
    pub(crate) const WEIGHTS: [f64; 5] = [1.0, 1.0, 1.0, 0.5, 0.5];

    /// Returns a list of numbers per detector for rows that were not learned from.
    pub(crate) fn parts(&self, rows: &[f32], width: usize) -> Vec<Vec<f64>> {
        let mut parts = vec![
            self.isolation.distances(rows, width),
            self.neighbours.distances(rows, width),
            self.spread.distances(rows, width),
            rows.chunks_exact(width).map(|row| self.histogram.score(row)).collect(),
        ];
        parts.extend(self.autoencoder.as_ref().map(|copier| copier.errors(rows, width)));
        parts
    }

    /// Returns how many detectors there are.
    pub(crate) fn len(&self) -> usize {
        4 + usize::from(self.autoencoder.is_some())
    }

    pub(crate) fn engine(&self) -> ScanEngine {
        if self.autoencoder.is_some() { ScanEngine::Autoencoder } else { ScanEngine::Statistical }
    }

    /// Whether the parts fit together and to rows of so many numbers, for what was read from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.isolation.is_sound(width)
            && self.neighbours.is_sound(width)
            && self.spread.is_sound(width)
            && self.histogram.is_sound(width)
            && self.autoencoder.as_ref().is_none_or(|copier| copier.is_sound(width))
    }
}

/// Returns the rows with the lowest numbers, rising; equal numbers by position.
fn least(numbers: &[f64], share: f64) -> Vec<usize> {
    #[expect(clippy::cast_sign_loss, reason = "a share of a length")]
    let count = ((numbers.len() as f64 * share).ceil() as usize).clamp(1, numbers.len());
    let mut rows: Vec<usize> = (0..numbers.len()).collect();
    rows.select_nth_unstable_by(count - 1, |a, b| numbers[*a].total_cmp(&numbers[*b]).then(a.cmp(b)));
    rows.truncate(count);
    rows.sort_unstable();
    rows
}

fn draws(keys: &[u64], among: &[usize], rounds: u64, drawn: usize) -> Vec<Vec<usize>> {
    let drawn = drawn.min(among.len() / 2);
    let candidates = draw(keys, among, DRAWN_FROM, 0x7E16_B0A5);
    (1..=rounds).map(|round| draw(keys, &candidates, drawn, round)).collect()
}

/// Scores block after block, on as many cores as there are; the answer does not depend on how many.
fn by_blocks(
    rows: usize,
    phase: &'static str,
    progress: &dyn ScanProgress,
    score: impl Fn(Range<usize>) -> Vec<f64> + Sync,
) -> Result<Vec<f64>, ScanError> {
    let done = AtomicUsize::new(0);
    let blocks: Result<Vec<Vec<f64>>, ScanError> = (0..rows.div_ceil(BLOCK_ROWS))
        .into_par_iter()
        .map(|block| {
            let block = block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows);
            still_wanted(progress, phase, done.fetch_add(block.len(), Ordering::Relaxed), rows)?;
            Ok(score(block))
        })
        .collect();
    Ok(blocks?.concat())
}

pub(crate) fn still_wanted(
    progress: &dyn ScanProgress,
    phase: &'static str,
    done: usize,
    of: usize,
) -> Result<(), ScanError> {
    progress.advance(phase, done as f64 / of.max(1) as f64);
    if progress.is_cancelled() { Err(ScanError::Cancelled) } else { Ok(()) }
}
