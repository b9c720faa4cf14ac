//! Puts what was read off the columns on a common scale, in an order that depends on the rows' content alone.

use crate::{
    ScanError,
    matrix::Matrix,
    profile::Candidate,
    random::mix,
    table::{Table, Values},
};
use sentinelflow_domain::scan::{ColumnProfile, ScanProgress};

/// Robust distances are clipped here, so that no single cell outweighs all others.
pub(crate) const CLIP: f32 = 10.0;

/// One number of every row.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    /// The file column it was read off.
    pub(crate) column: usize,
    /// Whether it is the column's own value, in the file's units.
    pub(crate) is_value: bool,
    center: f64,
    scale: f64,
    least: f32,
    most: f32,
}

impl Feature {
    /// Returns a scaled number in the units it was read in.
    pub(crate) fn in_file_units(&self, scaled: f32) -> f64 {
        f64::from(scaled) * self.scale + self.center
    }

    /// Returns the range of the scaled numbers.
    pub(crate) fn range(&self) -> (f32, f32) {
        (self.least, self.most)
    }
}

/// The table as the detectors see it.
///
/// The rows stand in the order of a hash of their content, so samples, sums and training batches do not depend
/// on the order in the file: a shuffled file gets the same scores.
pub(crate) struct Features {
    /// (x − median) / spread, not clipped.
    pub(crate) matrix: Matrix,
    pub(crate) each: Vec<Feature>,
    /// For each row of the matrix its row in the file.
    pub(crate) file_rows: Vec<u32>,
}

impl Features {
    /// Scales the candidates that vary; the columns' numbers leave the table to save memory.
    pub(crate) fn build(
        table: &mut Table,
        candidates: &[Candidate],
        profiles: &mut [ColumnProfile],
        progress: &dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        let mut kept: Vec<(&Candidate, Feature)> = Vec::new();
        let mut scratch = Vec::with_capacity(table.rows);
        for (done, candidate) in candidates.iter().enumerate() {
            if progress.is_cancelled() {
                return Err(ScanError::Cancelled);
            }
            progress.advance("profiling", done as f64 / candidates.len() as f64);
            if let Some(feature) = scale(table, candidate, &mut scratch) {
                kept.push((candidate, feature));
            }
        }
        drop(scratch);
        for (index, profile) in profiles.iter_mut().enumerate() {
            if profile.used && !kept.iter().any(|(candidate, _)| candidate.column == index) {
                profile.used = false;
                "nothing that is looked at in it varies".clone_into(&mut profile.reason);
            }
        }
        if kept.is_empty() {
            let reason = "no column that can be compared varies from row to row";
            return Err(ScanError::NothingToLearn { reason: reason.to_owned() });
        }
        let matrix = fill(table, &kept);
        for column in &mut table.columns {
            if let Values::Numbers(values) = &mut column.values {
                *values = Vec::new();
            }
        }
        let (matrix, file_rows) = in_content_order(&matrix);
        let each = kept.into_iter().map(|(_, feature)| feature).collect();
        Ok(Self { matrix, each, file_rows })
    }
}

fn scale(table: &Table, candidate: &Candidate, scratch: &mut Vec<f64>) -> Option<Feature> {
    let column = &table.columns[candidate.column];
    scratch.clear();
    scratch.extend((0..table.rows).map(|row| candidate.reading.of(column, row)).filter(|x| !x.is_nan()));
    let least = scratch.iter().copied().fold(f64::INFINITY, f64::min);
    let most = scratch.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least >= most {
        return None;
    }
    let [lower, median, upper] = quartiles(scratch);
    let mut spread = (upper - lower) / 1.349;
    if spread <= 0.0 {
        let deviations = scratch.iter().map(|x| (x - median) / (most - least));
        // Relative to the range, so that the squares of large numbers stay finite.
        let (sum, squares) = deviations.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        let count = scratch.len() as f64;
        let mean = sum / count;
        spread = (squares / count - mean * mean).max(0.0).sqrt() * (most - least);
    }
    let spread = spread.max(candidate.least_scale);
    let usable = spread.is_finite() && spread > 0.0;
    let scaled = |x: f64| ((x - median) / spread) as f32;
    (usable && scaled(least) < scaled(most)).then(|| Feature {
        column: candidate.column,
        is_value: matches!(candidate.reading, crate::profile::Reading::Value),
        center: median,
        scale: spread,
        least: scaled(least),
        most: scaled(most),
    })
}

/// Returns the three quartiles, interpolated between neighbours; reorders the values.
fn quartiles(values: &mut [f64]) -> [f64; 3] {
    let last = values.len() - 1;
    let mut from = 0;
    [0.25, 0.5, 0.75].map(|share| {
        let position = share * last as f64;
        #[expect(clippy::cast_sign_loss, reason = "a share of an index")]
        let below = position.floor() as usize;
        let (_, value, rest) = values[from..].select_nth_unstable_by(below - from, f64::total_cmp);
        let value = *value;
        let next = rest.iter().copied().fold(f64::INFINITY, f64::min);
        from = below;
        let weight = position - below as f64;
        if weight > 0.0 { value + (next - value) * weight } else { value }
    })
}

fn fill(table: &Table, kept: &[(&Candidate, Feature)]) -> Matrix {
    let width = kept.len();
    let mut values = vec![0.0_f32; table.rows * width];
    for (row, cells) in values.chunks_exact_mut(width).enumerate() {
        for (cell, (candidate, feature)) in cells.iter_mut().zip(kept) {
            let value = candidate.reading.of(&table.columns[candidate.column], row);
            let scaled = ((value - feature.center) / feature.scale) as f32;
            // A missing value sits at the median.
            *cell = if scaled.is_nan() { 0.0 } else { scaled.clamp(f32::MIN, f32::MAX) };
        }
    }
    Matrix { rows: table.rows, width, values }
}

fn in_content_order(matrix: &Matrix) -> (Matrix, Vec<u32>) {
    let mut order: Vec<(u64, u32)> = matrix
        .iter_rows()
        .zip(0..)
        .map(|(cells, row)| {
            // Adding zero makes one zero of the two.
            let content = cells.iter().fold(0, |hash, cell| mix(hash ^ u64::from((cell + 0.0).to_bits())));
            (content, row)
        })
        .collect();
    order.sort_unstable();
    let mut values = Vec::with_capacity(matrix.values.len());
    for (_, row) in &order {
        values.extend_from_slice(matrix.row(*row as usize));
    }
    let file_rows = order.into_iter().map(|(_, row)| row).collect();
    (Matrix { values, ..*matrix }, file_rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these quartiles have no rounding in them")]
    fn quartiles_are_those_of_the_sorted_values() {
        assert_eq!(quartiles(&mut [4.0, 1.0, 3.0, 2.0, 5.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(&mut [2.0, 1.0]), [1.25, 1.5, 1.75]);
        assert_eq!(quartiles(&mut [7.0]), [7.0, 7.0, 7.0]);
    }
}
