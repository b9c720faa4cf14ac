//! The forensic engine: reads a table, learns what is ordinary in it, and says which rows are not and why.
//! Pure: no async, no network, no storage.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts become statistics; numbers become f32 where seven digits do"
)]

pub use error::ScanError;
pub use limits::Limits;
pub use scan::{ScanOutcome, scan};

mod scan;

mod table;

mod profile;

mod features;

mod detectors;

mod fusion;

mod threshold;

mod reasons;

mod error;
mod limits;
mod matrix;
mod random;
