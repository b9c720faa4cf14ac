//! The security engine: decode → match → score → explain. Judging an entry is pure and can't fail.

pub mod event;
