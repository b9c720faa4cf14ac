//! The security engine: decode → match → correlate → score → explain. Judging an entry can't fail, and is pure but for
//! what earlier entries of the tenant left in the windows of the correlator.

mod engine;
pub mod event;
pub mod examples;

mod correlate;
mod decode;
mod explain;
mod finder;
mod finding;
pub mod indicators;
mod payload;
pub mod rules;
mod score;

pub use correlate::Trace;
pub use engine::Engine;
