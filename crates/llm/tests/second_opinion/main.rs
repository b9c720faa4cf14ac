//! The consultant against a fake provider on a real socket: faithful, failing and hostile.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod given;

mod asking;
mod faults;
mod injections;
mod memory;
mod spending;
mod streams;
