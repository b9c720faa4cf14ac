//! The table as numbers: which columns are looked at, and how a row of cells becomes numbers on a common scale.

use sentinelflow_domain::scan::ColumnProfile;
use serde::{Deserialize, Serialize};

use crate::{
    encoder::Held,
    profile::Plan,
    table::{Cell, Form, Meaning, Tally},
};

/// Robust distances are clipped here, so that no single cell outweighs all others.
pub(crate) const CLIP: f32 = 10.0;

/// The columns of the file that was learned from, and the features read off them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schema {
    pub(crate) columns: Vec<SchemaColumn>,
    /// In the order of their columns.
    pub(crate) features: Vec<Feature>,
    /// How many bytes of a word count.
    pub(crate) word_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SchemaColumn {
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) plan: Plan,
}

/// One number of every row: (x − median) / spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feature {
    /// The column it is read off.
    pub(crate) column: usize,
    /// Which of the encoder's numbers it is.
    pub(crate) number: usize,
    pub(crate) center: f64,
    pub(crate) scale: f64,
    /// The range of the scaled numbers learned from.
    pub(crate) least: f32,
    pub(crate) most: f32,
}

impl Feature {
    /// Returns a number on the common scale, not clipped; a missing one sits at the median.
    pub(crate) fn scaled(&self, number: f64) -> f32 {
        let scaled = ((number - self.center) / self.scale) as f32;
        if scaled.is_nan() { 0.0 } else { scaled.clamp(f32::MIN, f32::MAX) }
    }
}

impl Schema {
    pub(crate) fn width(&self) -> usize {
        self.features.len()
    }

    /// Returns what the cells of a row hold, which are asked for by column: nothing in columns that
    /// the row does not have. Tells what each cell was taken for.
    pub(crate) fn hold<'c>(
        &self,
        cell: impl Fn(usize) -> Option<Cell<'c>>,
        mut tell: impl FnMut(usize, Meaning),
    ) -> Vec<Option<Held<'c>>> {
        let hold = |(number, column): (usize, &SchemaColumn)| {
            let cell = cell(number)?;
            let meaning = cell.meaning();
            tell(number, meaning);
            Some(Held::of(cell, meaning, column.form, self.word_bytes))
        };
        self.columns.iter().enumerate().map(hold).collect()
    }

    /// Appends the scaled numbers of what a row holds; of a column that it does not have they are the ordinary ones.
    pub(crate) fn encode(&self, held: &[Option<Held<'_>>], row: &mut Vec<f32>) {
        let mut numbers = Vec::new();
        for features in self.features.chunk_by(|a, b| a.column == b.column) {
            let column = features[0].column;
            numbers.clear();
            if let (Some(held), Some(encoder)) = (&held[column], &self.columns[column].plan.encoder) {
                encoder.encode(held, &mut numbers);
            }
            row.extend(
                features.iter().map(|f| numbers.get(f.number).map_or(0.0, |number| f.scaled(*number))),
            );
        }
    }

    /// Returns what is said of the columns, given what all their cells came to.
    pub(crate) fn profiles(&self, tallies: &[Tally]) -> Vec<ColumnProfile> {
        let columns = self.columns.iter().zip(tallies);
        columns
            .map(|(SchemaColumn { name, form, plan }, tally)| ColumnProfile {
                name: name.clone(),
                kind: plan.kind,
                used: plan.is_used,
                reason: plan.reason.clone(),
                missing: tally.missing(*form),
                distinct: plan.distinct,
                typical: plan.typical.clone(),
            })
            .collect()
    }

    /// Says what was read as missing although something stood there.
    pub(crate) fn notes(&self, tallies: &[Tally]) -> Vec<String> {
        let columns = self.columns.iter().zip(tallies);
        columns.filter_map(|(column, tally)| tally.note(column.form, &column.name)).collect()
    }

    /// Whether the parts fit together, for a schema that was read from outside.
    pub(crate) fn is_sound(&self) -> bool {
        let fits = |feature: &Feature| {
            let Feature { column, number, center, scale, least, most } = *feature;
            let encoder = self.columns.get(column).and_then(|column| column.plan.encoder.as_ref());
            encoder.is_some_and(|encoder| number < encoder.width())
                && center.is_finite()
                && scale.is_finite()
                && scale > 0.0
                && least.is_finite()
                && most.is_finite()
        };
        !self.features.is_empty()
            && self.features.iter().all(fits)
            && self.features.is_sorted_by_key(|feature| (feature.column, feature.number))
    }
}
