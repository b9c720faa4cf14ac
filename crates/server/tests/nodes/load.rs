//! Clients that never stop: some send events until each is acknowledged, others read. What they see is added up.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    clients::{Client, entry},
    harness::{Answer, TestServer},
};

/// So long writes may stand still before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Load {
    /// Where the nodes listen.
    bases: Vec<Mutex<String>>,
    given_out: AtomicUsize,
    is_over: AtomicBool,
    /// A node may be dead; otherwise every request is answered.
    may_break: AtomicBool,
    seen: Mutex<Seen>,
    /// Told of every acknowledged event.
    acknowledged: Condvar,
}

/// What the clients have seen.
struct Seen {
    /// The ids of acknowledged events by their messages.
    ids: BTreeMap<String, String>,
    last_acknowledged: Instant,
    of_phase: Phase,
    faults: Vec<String>,
}

/// What they have seen since somebody began to count.
#[derive(Debug, Default)]
pub struct Phase {
    /// The longest time in which no event was acknowledged.
    pub longest_gap: Duration,
    /// The longest time from an event's first sending until it was acknowledged.
    pub longest_write: Duration,
    pub longest_read: Duration,
    pub acknowledged: usize,
    pub reads: usize,
    /// Answers with 503.
    pub refusals: usize,
    pub broken: usize,
}

impl Load {
    pub fn on(nodes: &[TestServer]) -> Self {
        let seen = Seen {
            ids: BTreeMap::new(),
            last_acknowledged: Instant::now(),
            of_phase: Phase::default(),
            faults: Vec::new(),
        };
        Self {
            bases: nodes.iter().map(|node| Mutex::new(node.base.clone())).collect(),
            given_out: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            may_break: AtomicBool::new(false),
            seen: Mutex::new(seen),
            acknowledged: Condvar::new(),
        }
    }

    /// Sends events until told to stop, each under a key of its own and again until it is acknowledged; if a node gives
    /// no good answer the other gets it next.
    pub fn write(&self, first: usize) {
        let client = Client::default();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.given_out.fetch_add(1, Ordering::Relaxed);
            let (entry, key) = (entry(number), format!("event-{number}"));
            let sent = Instant::now();
            for node in first.. {
                let heard = client.analyze(&self.base(node), &entry, Some(&key));
                if let Some(answer) = self.done(heard) {
                    let message = entry["message"].as_str().expect("a text").to_owned();
                    self.acknowledge(message, answer.text("log_id"), sent);
                    break;
                }
                if sent.elapsed() > PATIENCE {
                    return self.seen().faults.push(format!("{key} is not acknowledged"));
                }
            }
        }
    }

    /// Reads the feed and the statistics until told to stop, from one node after the other.
    pub fn read(&self, first: usize) {
        let client = Client::default();
        for number in first.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let list = ["/security/logs/admin?status=all", "/security/stats/admin"][number / 2 % 2];
            let asked = Instant::now();
            self.done(client.get(&self.base(number), list));
            let of_phase = &mut self.seen().of_phase;
            of_phase.longest_read = of_phase.longest_read.max(asked.elapsed());
            of_phase.reads += 1;
        }
    }

    /// Waits until so many more are acknowledged.
    #[track_caller]
    pub fn goes_on_for(&self, more: usize) {
        let seen = self.seen();
        let enough = seen.ids.len() + more;
        let waited = self.acknowledged.wait_timeout_while(seen, PATIENCE, |seen| seen.ids.len() < enough);
        let (seen, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "writes don't go on: {:?}; {:#?}", seen.of_phase, seen.faults);
    }

    /// Returns what the clients see while something happens.
    pub fn during(&self, happens: impl FnOnce()) -> Phase {
        self.seen().of_phase = Phase::default();
        happens();
        std::mem::take(&mut self.seen().of_phase)
    }

    /// Lets connections break while something happens to a node, which returns where it listens then.
    pub fn while_dead(&self, node: usize, happens: impl FnOnce() -> String) {
        self.may_break.store(true, Ordering::SeqCst);
        let base = happens();
        *self.lock(node) = base;
    }

    /// Returns the ids of all acknowledged events by their messages, and what was seen that must not be. By then all
    /// clients were told to stop, and have: no event is left that may or may not be stored.
    pub fn result(self) -> (BTreeMap<String, String>, Vec<String>) {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (seen.ids, seen.faults)
    }

    /// Returns what ends the clients when it is dropped, also by a panic.
    pub fn end_with(&self) -> impl Drop {
        EndsLoad(&self.is_over)
    }

    /// Returns the answer if the server did what it was asked; notes what must never be.
    fn done(&self, heard: Result<Answer, ureq::Error>) -> Option<Answer> {
        let mut seen = self.seen();
        match heard {
            Ok(answer) if answer.status == 200 => return Some(answer),
            Ok(answer) if answer.status == 503 && answer.header("retry-after").is_some() => {
                seen.of_phase.refusals += 1;
            }
            Ok(answer) => seen.faults.push(format!("{answer:?}")),
            Err(_) if self.may_break.load(Ordering::SeqCst) => seen.of_phase.broken += 1,
            Err(error) => seen.faults.push(error.to_string()),
        }
        None
    }

    fn acknowledge(&self, message: String, log_id: String, sent: Instant) {
        let mut seen = self.seen();
        let gap = seen.last_acknowledged.elapsed();
        seen.last_acknowledged = Instant::now();
        seen.ids.insert(message, log_id);
        let of_phase = &mut seen.of_phase;
        of_phase.longest_gap = of_phase.longest_gap.max(gap);
        of_phase.longest_write = of_phase.longest_write.max(sent.elapsed());
        of_phase.acknowledged += 1;
        drop(seen);
        self.acknowledged.notify_all();
    }

    fn base(&self, node: usize) -> String {
        self.lock(node % self.bases.len()).clone()
    }

    fn lock(&self, node: usize) -> MutexGuard<'_, String> {
        self.bases[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct EndsLoad<'l>(&'l AtomicBool);

impl Drop for EndsLoad<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
