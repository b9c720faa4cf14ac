//! Watches one scan: how far it is, and whether it shall stop.

use std::sync::{Mutex, PoisonError};

use sentinelflow_domain::scan::ScanProgress;
use tokio::sync::watch;

/// Why a scan shall stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody wants its result any more.
    Unwanted,
    /// The server ends; the scan runs again at its next start.
    ServerEnds,
}

pub struct Watch {
    overall: Mutex<Overall>,
    stop: watch::Sender<Option<Stop>>,
}

impl Watch {
    pub fn new() -> Self {
        Self { overall: Mutex::new(Overall::default()), stop: watch::Sender::new(None) }
    }

    /// Returns how far the scan is, 0 to 1; it never falls.
    pub fn progress(&self) -> f64 {
        self.overall.lock().unwrap_or_else(PoisonError::into_inner).reached
    }

    /// Tells the scan to stop; the first reason counts.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            *stop = stop.or(Some(why));
            is_first
        });
    }

    pub fn told_to_stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    /// Returns once the scan shall stop.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        let told = stop.wait_for(Option::is_some).await;
        told.ok()
            .and_then(|why| *why)
            .expect("the sender lives as long as this borrow, and it waited for a reason")
    }
}

impl ScanProgress for Watch {
    fn advance(&self, phase: &'static str, fraction: f64) {
        self.overall.lock().unwrap_or_else(PoisonError::into_inner).advance(phase, fraction);
    }

    fn is_cancelled(&self) -> bool {
        self.stop.borrow().is_some()
    }
}

/// Stops a scan when whoever waits for it is dropped.
pub struct StopsWhenDropped<'w>(pub &'w Watch);

impl Drop for StopsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.stop(Stop::Unwanted);
    }
}

/// Makes one fraction of the phases of a scan. A file is read twice, to learn from it and to judge it, and most of the
/// time goes there; how many phases of learning lie between depends on the engine, so each takes a third of what the ones
/// before it left. Phases may overlap.
#[derive(Debug, Default)]
struct Overall {
    learning: Vec<&'static str>,
    reached: f64,
}

impl Overall {
    const FIRST_READING: f64 = 0.3;
    const LEARNING: f64 = 0.2;
    const SECOND_READING: f64 = 0.4;
    const READ: f64 = Self::FIRST_READING + Self::LEARNING + Self::SECOND_READING;
    /// The rest goes to storing the report.
    const EXPLAINING: f64 = 0.05;
    const LEARNING_SHARE: f64 = 1.0 / 3.0;

    fn advance(&mut self, phase: &'static str, fraction: f64) {
        let fraction = fraction.clamp(0.0, 1.0);
        let overall = match phase {
            "reading" => Self::FIRST_READING * fraction,
            "scoring" | "calibrating" => {
                Self::FIRST_READING + Self::LEARNING + Self::SECOND_READING * fraction
            }
            "explaining" => Self::READ + Self::EXPLAINING * fraction,
            "done" => 1.0,
            _ => Self::FIRST_READING + Self::LEARNING * self.learned(phase, fraction),
        };
        self.reached = self.reached.max(overall);
    }

    fn learned(&mut self, phase: &'static str, fraction: f64) -> f64 {
        let place = self.learning.iter().position(|known| *known == phase).unwrap_or_else(|| {
            self.learning.push(phase);
            self.learning.len() - 1
        });
        let left = (1.0 - Self::LEARNING_SHARE).powi(i32::try_from(place).unwrap_or(i32::MAX));
        1.0 - left + left * Self::LEARNING_SHARE * fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows_whatever_the_phases_are() {
        let watch = Watch::new();
        let heard = [
            ("reading", 0.0),
            ("reading", 0.5),
            ("isolation", 0.1),
            ("reading", 1.0),
            ("autoencoder", 0.9),
            ("isolation", f64::NAN),
            ("isolation", 7.0),
            ("scoring", 0.6),
            ("explaining", 0.5),
        ];
        let mut before = -1.0;
        for (phase, fraction) in heard {
            watch.advance(phase, fraction);
            assert!(watch.progress() >= before && watch.progress() <= 1.0, "{phase}");
            before = watch.progress();
        }
        assert!(before > 0.9, "{before}");
    }

    #[tokio::test]
    async fn the_first_reason_to_stop_counts() {
        let watch = Watch::new();
        assert_eq!((watch.told_to_stop(), watch.is_cancelled()), (None, false));
        drop(StopsWhenDropped(&watch));
        watch.stop(Stop::ServerEnds);
        assert_eq!((watch.stopped().await, watch.is_cancelled()), (Stop::Unwanted, true));
    }
}
