//! The detectors, each of which gives every row a number, and what they know about ordinary rows.

use sentinelflow_domain::scan::{EngineChoice, ScanEngine, ScanProgress};

use crate::{ScanError, features::Features, random::Random};
use mahalanobis::Spread;

#[cfg(feature = "autoencoder")]
mod autoencoder;
mod histogram;
mod isolation;
pub(crate) mod mahalanobis;
pub(crate) mod neighbours;

/// Which detectors run, and why.
pub(crate) struct Engine {
    pub(crate) engine: ScanEngine,
    pub(crate) reason: String,
}

/// What the detectors found.
pub(crate) struct Findings {
    /// One list of numbers per detector; higher is stranger, the measures differ.
    pub(crate) parts: Vec<Vec<f64>>,
    /// Rows of the matrix that are probably ordinary, rising.
    pub(crate) trusted: Vec<usize>,
    pub(crate) spread: Spread,
}

/// Below this an autoencoder learns its rows by heart.
const FEWEST_FOR_AUTOENCODER: usize = 64;
/// The share of rows that are taken as probably ordinary.
const TRUSTED_SHARE: f64 = 0.7;
const NEIGHBOUR_ROUNDS: usize = 8;
const NEIGHBOURS_DRAWN: usize = 256;

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

pub(crate) fn run(
    features: &Features,
    engine: ScanEngine,
    progress: &dyn ScanProgress,
) -> Result<Findings, ScanError> {
    let matrix = &features.matrix;
    let isolation = isolation::scores(matrix, progress)?;
    let trusted = least(&isolation, TRUSTED_SHARE);
    let rounds = draws(&trusted);
    let neighbours = neighbours::mean_nearest(matrix, &rounds, "neighbours", progress)?;
    let (mahalanobis, spread) = mahalanobis::scores(matrix, progress)?;
    let histogram = histogram::scores(features);
    let copying = match engine {
        #[cfg(feature = "autoencoder")]
        ScanEngine::Autoencoder => Some(autoencoder::scores(matrix, &trusted, progress)?),
        _ => None,
    };
    let parts = [isolation, neighbours, mahalanobis, histogram].into_iter().chain(copying).collect();
    Ok(Findings { parts, trusted, spread })
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

fn draws(trusted: &[usize]) -> Vec<Vec<usize>> {
    let mut random = Random::new(0x7E1_6B0A);
    let drawn = NEIGHBOURS_DRAWN.min(trusted.len() / 2);
    (0..NEIGHBOUR_ROUNDS)
        .map(|_| random.distinct(drawn, trusted.len()).into_iter().map(|index| trusted[index]).collect())
        .collect()
}

fn still_wanted(
    progress: &dyn ScanProgress,
    phase: &'static str,
    done: usize,
    of: usize,
) -> Result<(), ScanError> {
    progress.advance(phase, done as f64 / of.max(1) as f64);
    if progress.is_cancelled() { Err(ScanError::Cancelled) } else { Ok(()) }
}
