//! Runs a real mongod for tests, alone or as a replica set. No part of the binary.
//! No mongod and no folder of one outlives the tests, however these end (`keeper.sh`).

mod mongod;
mod replica_set;

mod binary;
mod keeper;
mod ports;
mod wait;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;

pub use mongod::Mongod;
pub use mongodb::bson;
pub use replica_set::{Options, ReplicaSet};

/// Returns the one-member replica set that all tests of a binary share. Each keeps to a database of its own.
pub async fn shared_one_member() -> &'static ReplicaSet {
    static SHARED: OnceCell<ReplicaSet> = OnceCell::const_new();
    SHARED.get_or_init(|| ReplicaSet::start(1)).await
}

/// Returns a name that no other test of this binary gets.
pub fn fresh_database_name() -> String {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    format!("test_{}", GIVEN.fetch_add(1, Ordering::Relaxed))
}
