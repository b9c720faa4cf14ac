//! What remembers: the seams of `sentinelflow_domain::store`, kept on disk.
//! Scores nothing, speaks no HTTP.

mod mongo;
mod node;
mod private;
mod sqlite;

pub use mongo::{ConnectError, MongoStore};
pub use node::{Node, NodeError};
pub use sqlite::{OpenError, SqliteStore};
