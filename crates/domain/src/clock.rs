//! The seam to time: asked for, never taken, so that tests can set it.

use crate::time::Timestamp;

/// Tells the current moment.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
