//! Spares a provider that fails, and everybody who would wait for it. After a while one request tries it again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sentinelflow_domain::analysis::Degraded;
use tokio::time::Instant;

use crate::provider::Fault;

/// So many requests in a row must fail by something that may pass.
const FAILURES_BEFORE_OPEN: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What a person has to put right isn't put right in a second.
const FIRST_PAUSE_FOR_A_PERSON: Duration = Duration::from_secs(30);
const LONGEST_PAUSE_FOR_A_PERSON: Duration = Duration::from_mins(10);

pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        pause: Duration,
        reason: Degraded,
    },
    /// One request is on its way.
    Trying {
        since: Instant,
        pause: Duration,
        reason: Degraded,
    },
}

/// How a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Usual,
    /// The provider failed before: whether it works again is to be known soon, so nothing is sent twice.
    Try,
}

/// A request that is on its way must come back within this, or another one tries.
const LONGEST_TRY: Duration = Duration::from_mins(2);

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Returns why no request may be sent now, as far as that can be told without sending one.
    pub(crate) fn refuses(&self) -> Option<Degraded> {
        match *self.lock() {
            State::Closed { .. } => None,
            State::Open { until, reason, .. } => (Instant::now() < until).then_some(reason),
            State::Trying { since, reason, .. } => (since.elapsed() < LONGEST_TRY).then_some(reason),
        }
    }

    /// Lets a request through, or says why not. Whoever was let through is to tell how it went.
    pub(crate) fn admit(&self) -> Result<Admission, Degraded> {
        let mut state = self.lock();
        let (pause, reason) = match *state {
            State::Closed { .. } => return Ok(Admission::Usual),
            State::Open { until, reason, .. } if Instant::now() < until => return Err(reason),
            State::Trying { since, reason, .. } if since.elapsed() < LONGEST_TRY => return Err(reason),
            State::Open { pause, reason, .. } | State::Trying { pause, reason, .. } => (pause, reason),
        };
        *state = State::Trying { since: Instant::now(), pause, reason };
        Ok(Admission::Try)
    }

    /// The provider answered, whatever it said.
    pub(crate) fn succeeded(&self) {
        *self.lock() = State::Closed { failures: 0 };
    }

    /// The provider did not answer. Returns whether no more requests are sent from now on, for the first time.
    pub(crate) fn failed(&self, fault: &Fault) -> bool {
        let mut state = self.lock();
        let (failures, last_pause) = match *state {
            State::Closed { failures } => (failures + 1, None),
            State::Trying { pause, .. } => (FAILURES_BEFORE_OPEN, Some(pause)),
            // It was sent before the others failed.
            State::Open { .. } => return false,
        };
        let was_closed = last_pause.is_none();
        let (first, longest, is_for_a_person) = match fault {
            Fault::Unauthorized | Fault::Unpaid | Fault::NoSuchModel | Fault::DailyQuota => {
                (FIRST_PAUSE_FOR_A_PERSON, LONGEST_PAUSE_FOR_A_PERSON, true)
            }
            Fault::RateLimited(Some(hint)) => {
                let pause = (*hint).min(LONGEST_PAUSE_FOR_A_PERSON);
                (pause, pause, true)
            }
            _ => (FIRST_PAUSE, LONGEST_PAUSE, false),
        };
        if failures < FAILURES_BEFORE_OPEN && !is_for_a_person {
            *state = State::Closed { failures };
            return false;
        }
        let pause = last_pause.map_or(first, |last| (last * 2).clamp(first, longest));
        *state = State::Open { until: Instant::now() + pause, pause, reason: fault.degraded() };
        was_closed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_some_failures_and_one_request_tries_again() {
        let breaker = Breaker::new();
        for _ in 1..FAILURES_BEFORE_OPEN {
            assert!(!breaker.failed(&Fault::Failing(503)));
            assert_eq!(breaker.admit(), Ok(Admission::Usual));
        }
        assert!(breaker.failed(&Fault::Failing(503)));
        assert_eq!(breaker.refuses(), Some(Degraded::ModelUnavailable));
        assert_eq!(breaker.admit(), Err(Degraded::ModelUnavailable));
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.refuses(), None);
        assert_eq!(breaker.admit(), Ok(Admission::Try));
        assert_eq!(breaker.admit(), Err(Degraded::ModelUnavailable), "one request tries");
        assert!(!breaker.failed(&Fault::TimedOut), "it is open already");
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(
            breaker.refuses(),
            Some(Degraded::ModelTimeout),
            "the pause grows, the latest reason counts"
        );
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Ok(Admission::Try));
        breaker.succeeded();
        assert_eq!((breaker.refuses(), breaker.admit()), (None, Ok(Admission::Usual)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_person_must_put_right_opens_it_at_once() {
        for fault in [Fault::Unauthorized, Fault::Unpaid, Fault::NoSuchModel, Fault::DailyQuota] {
            let breaker = Breaker::new();
            assert!(breaker.failed(&fault));
            tokio::time::advance(FIRST_PAUSE_FOR_A_PERSON / 2).await;
            assert_eq!(breaker.admit(), Err(fault.degraded()));
            tokio::time::advance(FIRST_PAUSE_FOR_A_PERSON / 2).await;
            assert_eq!(breaker.admit(), Ok(Admission::Try));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_is_kept() {
        let breaker = Breaker::new();
        breaker.failed(&Fault::RateLimited(Some(Duration::from_secs(47))));
        tokio::time::advance(Duration::from_secs(46)).await;
        assert_eq!(breaker.refuses(), Some(Degraded::ModelRateLimited));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(breaker.admit(), Ok(Admission::Try));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_never_comes_back_is_not_waited_for() {
        let breaker = Breaker::new();
        breaker.failed(&Fault::Unauthorized);
        tokio::time::advance(FIRST_PAUSE_FOR_A_PERSON).await;
        assert_eq!(breaker.admit(), Ok(Admission::Try));
        tokio::time::advance(LONGEST_TRY).await;
        assert_eq!(breaker.admit(), Ok(Admission::Try));
    }
}
