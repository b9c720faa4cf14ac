//! The security engine: decode → match → score → explain. Judging an entry is pure and can't fail.

mod engine;
pub mod event;

mod decode;
mod explain;
mod finding;
mod payload;
pub mod rules;
mod score;

pub use engine::Engine;
