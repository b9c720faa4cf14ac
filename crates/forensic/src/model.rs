//! What was learned from a sample, and what it says of any row. One row's score does not depend on the others'.

use rayon::prelude::*;
use sentinelflow_domain::scan::{ScanEngine, ScanOptions, ScanProgress};
use serde::{Deserialize, Serialize};

use crate::{
    ScanError,
    detectors::{BLOCK_ROWS, Detectors, Engine, Trained},
    exemplars::Exemplars,
    features::{self, Features},
    fusion::Fusion,
    habits::{Habits, Traits},
    profile,
    schema::Schema,
    table::{Cell, Meaning, Records, Sample, Tally},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) schema: Schema,
    pub(crate) detectors: Detectors,
    pub(crate) habits: Option<Habits>,
    fusion: Fusion,
    pub(crate) exemplars: Exemplars,
    pub(crate) engine_reason: String,
    /// Rows learned from.
    pub(crate) rows: u64,
    /// Rows that were held back to calibrate with; none where the rows learned from do both.
    pub(crate) held_back: Option<u64>,
}

/// Encoded rows: numbers on a common scale, and what habits see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) numbers: Vec<f32>,
    pub(crate) traits: Traits,
    /// Whether they are of the file that was learned from.
    pub(crate) are_known: bool,
}

/// A model, and what it says of the rows it was learned from; none of them was compared with itself.
pub(crate) struct Learned {
    pub(crate) model: Model,
    /// In the order of the sample.
    pub(crate) scores: Vec<f64>,
}

/// Below this nothing can be said about what is ordinary.
const FEWEST_ROWS: usize = 10;

impl Model {
    pub(crate) fn learn(
        sample: &Sample,
        names: &[String],
        options: &ScanOptions,
        progress: &dyn ScanProgress,
    ) -> Result<Learned, ScanError> {
        let rows = sample.rows.len();
        if rows < FEWEST_ROWS {
            return Err(ScanError::TooFewRows { rows: rows as u64, needed: FEWEST_ROWS as u64 });
        }
        let plans = profile::plans(sample, names, &options.ignore);
        let habits = Habits::learn(sample, |column| options.ignore.contains(&names[column]));
        let known = habits.as_ref().map(|(habits, _)| habits);
        let (schema, features) = features::build(sample, names, plans, known, progress)?;
        let Engine { engine, reason } = Engine::choose(options.engine, rows)?;
        let Trained { detectors, mut parts, trusted } =
            Detectors::train(&schema, &features, engine, progress)?;
        let habits = habits.map(|(habits, traits)| {
            let scores = habits.scores(&traits, true);
            parts.push(features.places.iter().map(|place| scores[*place as usize]).collect());
            habits
        });
        let exemplars = Exemplars::choose(sample, &schema, &features, &trusted);
        let (fusion, scores) = Fusion::learn(&parts, habits.is_some());
        let scores = in_sample_order(&scores, &features);
        let model = Self {
            schema,
            detectors,
            habits,
            fusion,
            exemplars,
            engine_reason: reason,
            rows: rows as u64,
            held_back: None,
        };
        Ok(Learned { model, scores })
    }

    /// Appends a row, whose cells are asked for by column; tells what each cell was taken for.
    pub(crate) fn encode<'c>(
        &self,
        cell: impl Fn(usize) -> Option<Cell<'c>>,
        tell: impl FnMut(usize, Meaning),
        rows: &mut Rows,
    ) {
        let held = self.schema.hold(cell, tell);
        self.schema.encode(&held, &mut rows.numbers);
        if let Some(habits) = &self.habits {
            habits.encode(&held, &mut rows.traits);
        }
    }

    /// Returns the scores of encoded rows: the probability that an ordinary row scores lower, 0 to 1.
    pub(crate) fn scores(&self, rows: &Rows) -> Vec<f64> {
        self.fusion.scores(&self.parts(rows))
    }

    /// Whether what is strange about an encoded row are the habits it breaks more than its place among the others.
    pub(crate) fn breaks_habits(&self, row: &Rows) -> bool {
        let [place, habits] = self.fusion.looks(&self.parts(row))[0];
        habits > place
    }

    /// Returns what each detector says of encoded rows.
    fn parts(&self, rows: &Rows) -> Vec<Vec<f64>> {
        let mut parts = self.detectors.parts(&rows.numbers, self.schema.width());
        parts.extend(self.habits.as_ref().map(|habits| habits.scores(&rows.traits, rows.are_known)));
        parts
    }

    /// Returns what each detector says of records of other rows than those learned from.
    pub(crate) fn parts_of(&self, records: &Records) -> Vec<Vec<f64>> {
        let places: Vec<usize> = (0..records.len()).collect();
        let blocks: Vec<Vec<Vec<f64>>> = places
            .par_chunks(BLOCK_ROWS)
            .map(|places| {
                let mut rows = Rows::default();
                for place in places {
                    self.encode(|column| Some(records.cell(*place, column)), |_, _| (), &mut rows);
                }
                self.parts(&rows)
            })
            .collect();
        let mut parts = vec![
            Vec::with_capacity(records.len());
            self.detectors.len() + usize::from(self.habits.is_some())
        ];
        for block in blocks {
            parts.iter_mut().zip(block).for_each(|(part, more)| part.extend(more));
        }
        parts
    }

    /// Calibrates the model with what its detectors say of rows it was not learned from.
    pub(crate) fn calibrate(&mut self, parts: &[Vec<f64>]) {
        self.fusion = Fusion::conformal(parts, self.habits.is_some());
        self.held_back = parts.first().map(|part| part.len() as u64);
    }

    /// Returns the scores of records, and what their cells came to; `columns` says where the records have the model's
    /// columns. Works on as many cores as there are; the answer does not depend on how many.
    pub(crate) fn judge(&self, records: &Records, columns: &[Option<usize>]) -> (Vec<f64>, Vec<Tally>) {
        let places: Vec<usize> = (0..records.len()).collect();
        let blocks: Vec<(Vec<f64>, Vec<Tally>)> =
            places.par_chunks(BLOCK_ROWS).map(|places| self.judge_block(records, places, columns)).collect();
        let mut scores = Vec::with_capacity(records.len());
        let mut tallies = vec![Tally::default(); self.schema.columns.len()];
        for (block, counted) in blocks {
            scores.extend(block);
            tallies.iter_mut().zip(&counted).for_each(|(tally, later)| tally.merge(later));
        }
        (scores, tallies)
    }

    fn judge_block(
        &self,
        records: &Records,
        places: &[usize],
        columns: &[Option<usize>],
    ) -> (Vec<f64>, Vec<Tally>) {
        let mut rows = Rows::default();
        let mut tallies = vec![Tally::default(); self.schema.columns.len()];
        for place in places {
            let cell = |column: usize| Some(records.cell(*place, columns[column]?));
            let tell = |column: usize, meaning| {
                tallies[column].add(self.schema.columns[column].form, meaning, records.rows[*place]);
            };
            self.encode(cell, tell, &mut rows);
        }
        (self.scores(&rows), tallies)
    }

    pub(crate) fn engine(&self) -> ScanEngine {
        self.detectors.engine()
    }

    /// Whether all parts fit together, for a model that was read from outside.
    pub(crate) fn is_sound(&self) -> bool {
        self.schema.is_sound()
            && self.detectors.is_sound(self.schema.width())
            && self.habits.as_ref().is_none_or(|habits| habits.is_sound(self.schema.columns.len()))
            && self.fusion.is_sound(self.detectors.len(), self.habits.is_some())
            && self.exemplars.is_sound(&self.schema)
    }
}

fn in_sample_order(scores: &[f64], features: &Features) -> Vec<f64> {
    let mut ordered = vec![0.0; scores.len()];
    for (score, place) in scores.iter().zip(&features.places) {
        ordered[*place as usize] = *score;
    }
    ordered
}
