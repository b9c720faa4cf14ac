//! The forensic engine: reads a table, learns what is ordinary in it, and says which rows are not and why.
//! Pure: no async, no network, no storage.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts become statistics; numbers become f32 where seven digits do"
)]
#![expect(clippy::inline_always, reason = "vector code is only compiled as such inside of the dispatcher")]

pub use error::ScanError;
pub use limits::Limits;
pub use scan::{ScanOutcome, scan};

pub mod report;

mod detectors;
mod features;
mod fusion;
mod profile;
mod reasons;
mod scan;
mod table;
mod threshold;

mod error;
mod limits;
mod matrix;
mod random;
