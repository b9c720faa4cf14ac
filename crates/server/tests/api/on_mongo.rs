//! The same API, asked of servers whose store is a MongoDB.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]
#![expect(unreachable_pub, reason = "a test has no outside")]

mod harness;

mod accounts;
mod audit;
mod baselines;
mod command_line;
mod durability;
mod errors;
mod indicators;
mod moving;
mod operator;
mod scans;
mod second_opinion;
mod security;
mod stream;
