//! The consultant against a fake provider on a real socket: faithful, failing and hostile.

mod given;

mod asking;
mod faults;
mod injections;
mod memory;
mod spending;
mod streams;
