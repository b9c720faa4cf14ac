//! A model that is kept, so that a known clean file judges others. Its bytes are checked before they are believed.

use std::path::Path;

use sentinelflow_domain::scan::{EngineChoice, ScanEngine, ScanOptions, ScanProgress};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Limits, ScanError,
    model::{Learned, Model},
    table::{HeldBack, Records, Sample, Table},
};

/// What an ordinary file taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline(Stored);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// The name of the file learned from.
    source: String,
    model: Model,
}

/// Why bytes are no baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BaselineError {
    #[error("this is not a baseline")]
    NotABaseline,
    #[error(
        "the baseline was made by another version of SentinelFlow (format {found}, here {FORMAT}); learn it again"
    )]
    OtherVersion { found: u16 },
    #[error("the baseline is damaged")]
    Damaged,
}

const MAGIC: &[u8; 6] = b"SFBASE";
/// Rises whenever a model means something else.
const FORMAT: u16 = 2;
/// With fewer rows held back nothing can be said about rare scores.
const FEWEST_HELD_BACK: usize = 10;
/// Held-back rows beyond this calibrate no better.
const MOST_HELD_BACK: usize = 200_000;
const BATCH_ROWS: usize = 8_192;

/// Learns what is ordinary from a file without anomalies: four rows in five are learned from, and the fifth says how
/// often rows that are not known reach which score.
pub fn learn(
    file: &Path,
    name: &str,
    options: &ScanOptions,
    limits: &Limits,
    progress: &dyn ScanProgress,
) -> Result<Baseline, ScanError> {
    let table = Table::open(file, name, options, limits, progress)?;
    let sample = Sample::take(&table, Some(HeldBack))?;
    let Learned { mut model, .. } = Model::learn(&sample, &table.names, options, progress)?;
    drop(sample);
    let parts = parts_of_held_back(&table, &model)?;
    let held_back = parts[0].len();
    if held_back < FEWEST_HELD_BACK {
        let rows = model.rows + held_back as u64;
        let needed = HeldBack::rows_for(FEWEST_HELD_BACK);
        return Err(ScanError::TooFewRows { rows, needed });
    }
    model.calibrate(&parts);
    progress.advance("done", 1.0);
    Ok(Baseline(Stored { source: name.to_owned(), model }))
}

fn parts_of_held_back(table: &Table<'_>, model: &Model) -> Result<Vec<Vec<f64>>, ScanError> {
    let mut records = Records::new(table.names.len());
    let mut parts: Vec<Vec<f64>> = model.parts_of(&records);
    let mut settle = |records: &mut Records| {
        parts.iter_mut().zip(model.parts_of(records)).for_each(|(part, more)| part.extend(more));
        records.clear();
        parts[0].len()
    };
    let mut held_back = 0;
    table.visit("calibrating", &mut |row, cells| {
        if held_back < MOST_HELD_BACK && HeldBack::holds(row) {
            records.push(row, cells);
        }
        if records.len() >= BATCH_ROWS {
            held_back = settle(&mut records);
        }
        Ok(())
    })?;
    settle(&mut records);
    Ok(parts)
}

impl Baseline {
    /// Returns the name of the file that it was learned from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Returns how many rows it was learned from, those held back included.
    pub fn rows(&self) -> u64 {
        self.0.model.rows + self.0.model.held_back.unwrap_or(0)
    }

    pub fn engine(&self) -> ScanEngine {
        self.0.model.engine()
    }

    /// Returns the bytes to keep; the same baseline gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = MAGIC.iter().copied().chain(FORMAT.to_le_bytes()).collect();
        postcard::to_extend(&self.0, head).expect("a model has nothing that cannot be written")
    }

    /// Reads kept bytes; whatever they are, a baseline that is returned can judge.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BaselineError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BaselineError::NotABaseline)?;
        let (format, rest) = rest.split_first_chunk().ok_or(BaselineError::Damaged)?;
        match u16::from_le_bytes(*format) {
            FORMAT => {}
            found => return Err(BaselineError::OtherVersion { found }),
        }
        let (stored, rest): (Stored, &[u8]) =
            postcard::take_from_bytes(rest).map_err(|_| BaselineError::Damaged)?;
        let is_whole = rest.is_empty() && stored.model.is_sound();
        is_whole.then_some(Self(stored)).ok_or(BaselineError::Damaged)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.0.model
    }

    /// Returns for each of the model's columns where a table has it.
    pub(crate) fn columns_in(
        &self,
        names: &[String],
        options: &ScanOptions,
    ) -> Result<Vec<Option<usize>>, ScanError> {
        let asked = match options.engine {
            EngineChoice::Auto => self.engine(),
            EngineChoice::Autoencoder => ScanEngine::Autoencoder,
            EngineChoice::Statistical => ScanEngine::Statistical,
        };
        if asked != self.engine() {
            let reason = format!("it was learned with the {} engine", self.engine().as_str());
            return Err(ScanError::BaselineMismatch { reason });
        }
        let place = |name: &String| {
            names.iter().position(|other| other == name).filter(|_| !options.ignore.contains(name))
        };
        let columns = self.model().schema.columns.iter();
        let columns: Vec<Option<usize>> = columns.map(|column| place(&column.name)).collect();
        let is_looked_at = |(place, column): (&Option<usize>, &crate::schema::SchemaColumn)| {
            place.is_some() && column.plan.is_used
        };
        if columns.iter().zip(&self.model().schema.columns).any(is_looked_at) {
            return Ok(columns);
        }
        let reason = "it has none of the columns that the baseline looks at".to_owned();
        Err(ScanError::BaselineMismatch { reason })
    }
}
