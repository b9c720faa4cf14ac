//! The clock by which a connection's heads are late. A timer of the runtime is set and cleared under a lock that all
//! connections share, twice a request; so each connection sets one, and moves it on only when it rings too early.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt;
use tokio::time::{Sleep, sleep};

/// Serves deadlines that are never earlier than those before them, as those of one connection's heads are.
pub struct HeadTimer(Arc<Mutex<Pin<Box<Sleep>>>>);

impl HeadTimer {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::pin(sleep(Duration::ZERO)))))
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Wait { deadline: deadline.into(), alarm: Arc::clone(&self.0) })
    }
}

struct Wait {
    deadline: tokio::time::Instant,
    alarm: Arc<Mutex<Pin<Box<Sleep>>>>,
}

impl rt::Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        while alarm.as_mut().poll(context).is_ready() {
            if alarm.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer as _;

    use super::*;

    #[tokio::test]
    async fn a_deadline_of_the_past_does_not_end_a_later_wait() {
        let (timer, start) = (HeadTimer::new(), Instant::now());
        let after = |millis| timer.sleep_until(start + Duration::from_millis(millis));
        let passed_by = tokio::time::timeout(Duration::from_millis(5), after(20)).await;
        assert!(passed_by.is_err(), "the first wait ended too early");
        for millis in [60, 90] {
            after(millis).await;
            assert!(start.elapsed() >= Duration::from_millis(millis));
        }
    }
}
