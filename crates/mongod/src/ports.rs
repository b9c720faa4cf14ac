//! Ports for those who must be told theirs before they start.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

// Below the ports that systems give to outgoing connections (Linux from 32,768, others from 49,152): a member that
// was killed finds its port free when it comes back.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Returns a loopback port on which nobody listens, and never the same one twice.
pub(crate) fn free() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run side by side have neighbouring process ids; so each has some ports to itself.
    let start = process::id().wrapping_mul(41);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("the range ends below 65,536"))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("the loopback interface has a free port")
}
