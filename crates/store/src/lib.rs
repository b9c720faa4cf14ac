//! What remembers: the seams of `sentinelflow_domain::store`, kept on disk.
//! Scores nothing, speaks no HTTP.

mod copy;

mod mongo;
mod node;
mod private;
mod sqlite;

pub use copy::{Address, Comparison, Copy, CopyError, Kind, Progress, Tally};
pub use mongo::{ConnectError, MongoStore};
pub use node::{Node, NodeError};
pub use sqlite::{OpenError, SqliteStore};
