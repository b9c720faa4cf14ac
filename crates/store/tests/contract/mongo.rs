//! The store for many servers, on a real replica set of one member.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sentinelflow_store::{MongoStore, NodeId};

use crate::given::Opened;

pub(crate) async fn open_anew() -> Opened {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let url = format!("mongodb://127.0.0.1:27999/contract_{}_{number}?replicaSet=rs0", std::process::id());
    let store = MongoStore::open(&url, NodeId([7; 5])).await.unwrap();
    Opened { store: Arc::new(store), _place: Box::new(()) }
}
