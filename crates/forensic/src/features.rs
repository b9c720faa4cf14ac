//! The sample as a matrix: scales learned, rows in an order that depends on their content alone.

use sentinelflow_domain::scan::ScanProgress;

use crate::{
    ScanError,
    encoder::{Encoder, Held},
    habits::{Habits, Sight},
    matrix::Matrix,
    profile::Plan,
    random::mix,
    schema::{Feature, Schema, SchemaColumn},
    table::{Column, MISSING, Sample, Values, sample_word_bytes},
};

/// The sample as the detectors see it.
///
/// The rows stand in the order of a hash of their content, and whatever is drawn is drawn by that hash. So nothing
/// depends on the order in the file, and a change of one row moves little else.
pub(crate) struct Features {
    /// (x − median) / spread, not clipped.
    pub(crate) matrix: Matrix,
    /// For each row of the matrix its place in the sample.
    pub(crate) places: Vec<u32>,
    /// For each row of the matrix a hash of its content, different for each of several equal rows.
    pub(crate) keys: Vec<u64>,
}

/// Learns the scales of what the plans read off the sample. Columns of names and codes are left to the habits, where
/// there are any and other columns to read numbers off.
pub(crate) fn build(
    sample: &Sample,
    names: &[String],
    mut plans: Vec<Plan>,
    habits: Option<&Habits>,
    progress: &dyn ScanProgress,
) -> Result<(Schema, Features), ScanError> {
    let is_left = |column: usize| habits.is_some_and(|habits| habits.names(column));
    let mut read = read(sample, &plans, |column| !is_left(column), progress)?;
    if read.features.is_empty() {
        read = self::read(sample, &plans, |_| true, progress)?;
    }
    let Read { features, columns: matrix_columns } = read;
    if features.is_empty() {
        let reason = "no column that can be compared varies from row to row";
        return Err(ScanError::NothingToLearn { reason: reason.to_owned() });
    }
    for (column, plan) in plans.iter_mut().enumerate() {
        let has_features = features.iter().any(|feature| feature.column == column);
        plan.settle(has_features, habits.map_or(Sight::None, |habits| habits.sight(column)));
    }
    let columns = names.iter().zip(&sample.forms).zip(plans);
    let columns =
        columns.map(|((name, form), plan)| SchemaColumn { name: name.clone(), form: *form, plan }).collect();
    let schema = Schema { columns, features, word_bytes: sample_word_bytes(names.len()) };
    Ok((schema, in_content_order(&matrix_columns, sample.rows.len())))
}

/// Features and their numbers, column by column.
struct Read {
    features: Vec<Feature>,
    columns: Vec<Vec<f32>>,
}

fn read(
    sample: &Sample,
    plans: &[Plan],
    is_read: impl Fn(usize) -> bool,
    progress: &dyn ScanProgress,
) -> Result<Read, ScanError> {
    let mut read = Read { features: Vec::new(), columns: Vec::new() };
    let mut scratch = Vec::with_capacity(sample.rows.len());
    for (column, plan) in plans.iter().enumerate() {
        super::detectors::still_wanted(progress, "profiling", column, plans.len())?;
        let Some(encoder) = plan.encoder.as_ref().filter(|_| is_read(column)) else { continue };
        let numbers = Numbers::read(encoder, &sample.columns[column]);
        for number in 0..encoder.width() {
            let rows = 0..sample.rows.len();
            let numbers: Vec<f64> = rows.map(|row| numbers.of(row, number)).collect();
            if let Some(feature) = scale(&numbers, column, number, encoder.least_scale(number), &mut scratch)
            {
                read.columns.push(numbers.into_iter().map(|x| feature.scaled(x)).collect());
                read.features.push(feature);
            }
        }
    }
    Ok(read)
}

/// The numbers that an encoder reads off a column, each different word once.
struct Numbers<'a> {
    /// How many are read off a cell.
    width: usize,
    /// For each different cell its numbers.
    values: Vec<f64>,
    /// For each row the place of its cell among the different ones, and that of a missing one, in a column of words.
    words: Option<(&'a [u32], usize)>,
}

impl<'a> Numbers<'a> {
    fn read(encoder: &'a Encoder, column: &'a Column) -> Self {
        let mut values = Vec::new();
        let mut encode = |held: Held<'_>| encoder.encode(&held, &mut values);
        let words = match &column.values {
            Values::Numbers(numbers) => {
                for number in numbers {
                    encode(Held::Number(*number));
                }
                None
            }
            Values::Times(times) => {
                for time in times {
                    encode(Held::Time(*time));
                }
                None
            }
            Values::Words(words) => {
                for word in words.dictionary() {
                    encode(Held::Word(Some(word.into())));
                }
                encode(Held::Word(None));
                Some((words.codes(), words.distinct()))
            }
        };
        Self { width: encoder.width(), values, words }
    }

    fn of(&self, row: usize, number: usize) -> f64 {
        let cell = match self.words {
            None => row,
            Some((codes, missing)) if codes[row] == MISSING => missing,
            Some((codes, _)) => codes[row] as usize,
        };
        self.values[cell * self.width + number]
    }
}

fn scale(
    numbers: &[f64],
    column: usize,
    number: usize,
    least_scale: f64,
    scratch: &mut Vec<f64>,
) -> Option<Feature> {
    scratch.clear();
    scratch.extend(numbers.iter().filter(|x| !x.is_nan()));
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
    let spread = spread.max(least_scale);
    let is_usable = spread.is_finite() && spread > 0.0;
    let scaled = |x: f64| ((x - median) / spread) as f32;
    (is_usable && scaled(least) < scaled(most)).then(|| Feature {
        column,
        number,
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

/// Lays the columns out row after row, in the order of their content.
fn in_content_order(columns: &[Vec<f32>], rows: usize) -> Features {
    let mut contents = vec![0; rows];
    for column in columns {
        for (content, x) in contents.iter_mut().zip(column) {
            // Adding zero makes one zero of the two.
            *content = mix(*content ^ u64::from((x + 0.0).to_bits()));
        }
    }
    let mut order: Vec<(u64, u32)> = contents.into_iter().zip(0..).collect();
    order.sort_unstable();
    let width = columns.len();
    let mut values = vec![0.0; rows * width];
    for (number, column) in columns.iter().enumerate() {
        for (cells, (_, row)) in values.chunks_exact_mut(width).zip(&order) {
            cells[number] = column[*row as usize];
        }
    }
    let equal_rows = order.chunk_by(|a, b| a.0 == b.0);
    let keys = equal_rows.flat_map(|equal| (0..).zip(equal).map(|(copy, (content, _))| mix(content ^ copy)));
    Features {
        matrix: Matrix { rows, width, values },
        keys: keys.collect(),
        places: order.iter().map(|(_, row)| *row).collect(),
    }
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
