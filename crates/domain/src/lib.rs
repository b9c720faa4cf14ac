//! The words SentinelFlow is spoken in, and the seams its rooms meet at.
//! No I/O, no async runtime, no provider's name.

pub mod id;
pub mod time;

pub mod analysis;
pub mod log_entry;
pub mod scan;
pub mod tenant;

pub mod clock;
pub mod second_opinion;
pub mod store;
