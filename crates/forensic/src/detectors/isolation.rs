//! Isolation by sampling: a row far from every one of a few drawn rows, again and again, stands alone.

use sentinelflow_domain::scan::ScanProgress;

use super::neighbours::mean_nearest;
use crate::{ScanError, matrix::Matrix, random::Random};

const ROUNDS: usize = 100;
const DRAWN: usize = 16;

pub(super) fn scores(matrix: &Matrix, progress: &dyn ScanProgress) -> Result<Vec<f64>, ScanError> {
    let mut random = Random::new(0x0051_1A7E);
    let drawn = DRAWN.min(matrix.rows / 2);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| random.distinct(drawn, matrix.rows)).collect();
    mean_nearest(matrix, &rounds, "isolation", progress)
}
