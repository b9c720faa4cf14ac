//! The forensic engine: reads a table, learns what is ordinary in it, and says which rows are not and why.
//! Pure: no async, no network, no storage.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts become statistics; numbers become f32 where seven digits do"
)]
#![expect(clippy::inline_always, reason = "vector code is only compiled as such inside of the dispatcher")]

pub use baseline::{Baseline, BaselineError, learn};
pub use error::ScanError;
pub use limits::Limits;
pub use scan::scan;
pub use witness::{NoWitness, Scores, SeenRows, Witness};

pub mod report;

mod scan;

mod table;

mod encoder;
mod features;
mod profile;
mod rarity;
mod schema;

mod detectors;
mod ecdf;
mod fusion;
mod habits;
mod model;
mod threshold;

mod counterfactual;
mod exemplars;
mod flags;
mod reasons;
mod typical;

mod baseline;
mod error;
mod limits;
mod matrix;
mod random;
mod witness;
