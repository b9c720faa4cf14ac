//! Reads both sides in the order of their keys, and says of each kind of record whether they agree.

use std::{cmp::Ordering, collections::VecDeque};

use sentinelflow_domain::{clock::Clock, time::Timestamp};
use sha2::{Digest as _, Sha256};

use super::{
    CopyError, House,
    record::{Kind, Record, Value, called},
};

/// How long a retry is recognised, at least.
const IDEMPOTENCY_S: i64 = 24 * 3600;

/// What the two sides hold of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub kind: Kind,
    pub from: Tally,
    pub to: Tally,
    /// Names the first record that is not the same on both sides, and says what is the matter with it.
    pub first_difference: Option<String>,
}

/// How many records there are, and the SHA-256 of them in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub hash: [u8; 32],
}

impl Tally {
    pub fn hash_in_hex(&self) -> String {
        Value::Bytes(self.hash.to_vec()).to_string()
    }
}

impl Comparison {
    pub fn agrees(&self) -> bool {
        self.first_difference.is_none() && self.from == self.to
    }
}

pub(super) async fn compare(
    from: &dyn House,
    to: &dyn House,
    kind: Kind,
    clock: &dyn Clock,
) -> Result<Comparison, CopyError> {
    let mut sides = [Side::new(from, kind), Side::new(to, kind)];
    let mut first_difference = None;
    loop {
        let [from, to] = &mut sides;
        let (filled_from, filled_to) = tokio::join!(from.fill(), to.fill());
        filled_from?;
        filled_to?;
        let order = match (from.waiting.front(), to.waiting.front()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(from), Some(to)) => from.key.cmp(&to.key),
        };
        let (of_from, of_to) = match order {
            Ordering::Less => (from.take_unless_lapsed(clock), None),
            Ordering::Greater => (None, to.take_unless_lapsed(clock)),
            Ordering::Equal => (from.take(), to.take()),
        };
        let difference = match (&of_from, &of_to) {
            (Some(record), None) => Some((record, "is not in TO")),
            (None, Some(record)) => Some((record, "is not in FROM")),
            (Some(record), Some(other)) if record != other => Some((record, "is not the same in TO")),
            _ => None,
        };
        if first_difference.is_none() {
            first_difference = difference.map(|(record, what)| format!("{} {what}", called(&record.key)));
        }
    }
    let [from, to] = sides.map(Side::tally);
    Ok(Comparison { kind, from, to, first_difference })
}

/// One side's records, a page in memory.
struct Side<'h> {
    house: &'h dyn House,
    kind: Kind,
    waiting: VecDeque<Record>,
    last: Option<Vec<Value>>,
    is_read: bool,
    count: u64,
    hash: Sha256,
}

impl<'h> Side<'h> {
    fn new(house: &'h dyn House, kind: Kind) -> Self {
        Self {
            house,
            kind,
            waiting: VecDeque::new(),
            last: None,
            is_read: false,
            count: 0,
            hash: Sha256::new(),
        }
    }

    /// Reads the next page if none waits.
    async fn fill(&mut self) -> Result<(), CopyError> {
        if !self.waiting.is_empty() || self.is_read {
            return Ok(());
        }
        self.waiting = self.house.page(self.kind, self.last.as_deref()).await?.into();
        match self.waiting.back() {
            Some(last) => self.last = Some(last.key.clone()),
            None => self.is_read = true,
        }
        Ok(())
    }

    /// Takes the next record and counts it.
    fn take(&mut self) -> Option<Record> {
        let record = self.waiting.pop_front()?;
        self.count += 1;
        record.hash_into(&mut self.hash);
        Some(record)
    }

    /// Takes the next record; it doesn't count if its time is over, so that one side may have removed it.
    fn take_unless_lapsed(&mut self, clock: &dyn Clock) -> Option<Record> {
        if has_lapsed(self.kind, self.waiting.front()?, clock.now()) {
            self.waiting.pop_front();
            return None;
        }
        self.take()
    }

    fn tally(self) -> Tally {
        Tally { count: self.count, hash: self.hash.finalize().into() }
    }
}

fn has_lapsed(kind: Kind, record: &Record, now: Timestamp) -> bool {
    let lapses_at_ms = match kind {
        Kind::IdempotencyKeys => {
            record.field(kind, "log").id().map(|log| (i64::from(log.seconds()) + IDEMPOTENCY_S) * 1000)
        }
        Kind::Verdicts => record.field(kind, "expires_at").int(),
        _ => None,
    };
    lapses_at_ms.is_some_and(|moment| moment <= now.as_millis())
}
