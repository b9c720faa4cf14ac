//! What remembers: the seams of `sentinelflow_domain::store`, kept on disk.
//! Scores nothing, speaks no HTTP.

mod sqlite;

pub use sqlite::{OpenError, SqliteStore};
