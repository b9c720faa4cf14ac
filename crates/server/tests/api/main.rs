//! The API as a caller sees it: a real process, a real socket, a real store, nothing looked at from inside.

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
mod operator;
mod retention;
mod scans;
mod second_opinion;
mod security;
mod stream;
