//! The latest of several events of a kind, and what is the latest once it is taken back.

use super::Seen;

/// So many events of a kind may wait at once for what becomes of them.
const WAITING_MAX: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct Latest {
    pub(super) seen: Seen,
    /// Those before it by rising time, from the last stored one on: what is older will never be the latest again.
    before: Vec<Seen>,
}

impl Latest {
    /// Returns what is the latest once an event was seen. The same event may come twice.
    pub(super) fn after(known: Option<Self>, seen: Seen) -> Self {
        let Some(known) = known else { return Self { seen, before: Vec::new() } };
        let mut events = known.into_events();
        if events.iter().all(|event| event.sequence != seen.sequence) {
            let at = events.partition_point(|event| event.at_ms <= seen.at_ms);
            events.insert(at, seen);
        }
        Self::of(events).expect("some events were known")
    }

    pub(super) fn without(self, sequence: u64) -> Option<Self> {
        let mut events = self.into_events();
        events.retain(|event| event.sequence != sequence);
        Self::of(events)
    }

    pub(super) fn change(&mut self, change: impl Fn(&mut Seen)) {
        self.before.iter_mut().for_each(&change);
        change(&mut self.seen);
        if self.seen.id.is_some() {
            self.before = Vec::new();
        }
    }

    fn of(mut events: Vec<Seen>) -> Option<Self> {
        let seen = events.pop()?;
        let last_stored = events.iter().rposition(|event| event.id.is_some()).unwrap_or(0);
        events.drain(..last_stored.max(events.len().saturating_sub(WAITING_MAX)));
        Some(Self { seen, before: if seen.id.is_some() { Vec::new() } else { events } })
    }

    fn into_events(mut self) -> Vec<Seen> {
        self.before.push(self.seen);
        self.before
    }
}
