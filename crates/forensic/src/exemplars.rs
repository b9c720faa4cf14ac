//! Ordinary rows that strange ones are compared with, as numbers and as they stand in the file.

use serde::{Deserialize, Serialize};

use crate::{
    features::Features,
    matrix::Matrix,
    random::draw,
    schema::Schema,
    table::{Column, MISSING, Sample, Values, decode},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exemplars {
    pub(crate) matrix: Matrix,
    /// For each column of the schema its cells, empty where the column is not looked at.
    cells: Vec<Cells>,
    /// The rows of the file they are from; a model that was stored has forgotten them.
    #[serde(skip)]
    rows: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cells {
    Unused,
    /// NaN where missing.
    Numbers(Vec<f64>),
    /// Seconds since 1970, NaN where missing.
    Times(Vec<f64>),
    /// For each exemplar a word, beyond the last where it has none.
    Words {
        codes: Vec<u32>,
        words: Vec<String>,
    },
}

const MOST_EXEMPLARS: usize = 4_096;
const MOST_NUMBERS: usize = 1 << 20;
const FEWEST_EXEMPLARS: usize = 256;
/// Longer words are kept as their beginning.
pub(crate) const MOST_WORD_CHARACTERS: usize = 200;

impl Exemplars {
    pub(crate) fn choose(sample: &Sample, schema: &Schema, features: &Features, trusted: &[usize]) -> Self {
        let width = schema.width();
        let most = (MOST_NUMBERS / width).clamp(FEWEST_EXEMPLARS, MOST_EXEMPLARS);
        let chosen = draw(&features.keys, trusted, most, 0xE8E3_91A5);
        let places: Vec<usize> = chosen.iter().map(|row| features.places[*row] as usize).collect();
        let columns = sample.columns.iter().zip(&schema.columns);
        let cells = columns
            .map(|(column, of)| if of.plan.is_used { Cells::of(column, &places) } else { Cells::Unused });
        let values = chosen.iter().flat_map(|row| features.matrix.row(*row)).copied().collect();
        Self {
            matrix: Matrix { rows: chosen.len(), width, values },
            cells: cells.collect(),
            rows: places.iter().map(|place| sample.rows[*place]).collect(),
        }
    }

    /// Whether an exemplar is this row of the file itself.
    pub(crate) fn is_row(&self, exemplar: usize, row: u64) -> bool {
        self.rows.get(exemplar) == Some(&row)
    }

    pub(crate) fn cells(&self, column: usize) -> &Cells {
        &self.cells[column]
    }

    pub(crate) fn is_sound(&self, schema: &Schema) -> bool {
        let Matrix { rows, width, values } = &self.matrix;
        let is_whole = *width == schema.width() && *rows > 0 && values.len() == rows * width;
        let has_cells = |(cells, column): (&Cells, &crate::schema::SchemaColumn)| match cells {
            Cells::Unused => !column.plan.is_used,
            Cells::Numbers(numbers) | Cells::Times(numbers) => numbers.len() == *rows,
            Cells::Words { codes, .. } => codes.len() == *rows,
        };
        is_whole
            && values.iter().all(|x| x.is_finite())
            && self.cells.len() == schema.columns.len()
            && self.cells.iter().zip(&schema.columns).all(has_cells)
    }
}

impl Cells {
    fn of(column: &Column, places: &[usize]) -> Self {
        let numbers = |values: &[f64]| places.iter().map(|place| values[*place]).collect();
        let words = match &column.values {
            Values::Numbers(values) => return Self::Numbers(numbers(values)),
            Values::Times(values) => return Self::Times(numbers(values)),
            Values::Words(words) => words,
        };
        let dictionary = words.dictionary();
        let mut codes = std::collections::HashMap::new();
        let mut kept = Vec::new();
        let mut code = |place: &usize| match words.codes()[*place] {
            MISSING => MISSING,
            word => *codes.entry(word).or_insert_with(|| {
                kept.push(decode(dictionary[word as usize]).chars().take(MOST_WORD_CHARACTERS).collect());
                kept.len() as u32 - 1
            }),
        };
        let codes = places.iter().map(&mut code).collect();
        Self::Words { codes, words: kept }
    }
}
