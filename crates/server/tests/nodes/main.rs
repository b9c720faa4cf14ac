//! Nodes on a MongoDB, as operators and callers see them: real processes, real sockets, a real mongod and what befalls
//! it. Looked at from inside is only what the database says of the questions that it was asked.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]
#![expect(unreachable_pub, reason = "a test has no outside")]

#[path = "../api/harness.rs"]
#[expect(dead_code, reason = "other targets need more of it")]
mod harness;

mod given;

mod clients;
mod feed;
mod load;

mod fake_mongod;
mod slow_road;

mod start;

mod away;
mod failover;
mod questions;
mod together;
