//! What several events tell together: the matches of a tenant, counted over time in windows of bounded number.
//!
//! Each group of a correlation (one address, say) has a window that holds what was seen of late. There are at most as
//! many windows as the correlator was given room for; the one that was left alone longest makes room for a new one, in
//! constant time. Windows are spread over shards with a lock each, so that no event waits long for another.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hashlink::LinkedHashMap;
use sentinelflow_domain::{store::LogId, tenant::TenantId, time::Timestamp};

use crate::{
    event::{Event, Value},
    rules::{
        RuleSet,
        correlation::{Correlation, Kind, Measure, Over},
        pattern::Pattern,
    },
};

use self::latest::Latest;

mod latest;

/// Small enough that a shard's table grows in a fraction of a millisecond.
const SHARDS: usize = 256;
/// A detection names so many of the events that it rests on, the latest.
const EVENTS_NAMED: usize = 16;
/// So many events or values are kept even where fewer would tell whether a correlation holds: it can say how many.
const COUNTED: usize = 64;
/// A percentile is one of the latest so many values.
const RANKED: usize = 256;

/// The windows of all tenants.
pub(crate) struct Correlator {
    shards: Vec<Mutex<Shard>>,
    windows_per_shard: usize,
    /// Two, for a key of 128 bits: nobody can choose values that meet in one window.
    hashers: [RandomState; 2],
    next_sequence: AtomicU64,
}

#[derive(Default)]
struct Shard {
    windows: LinkedHashMap<u128, Window, foldhash::fast::RandomState>,
    /// The latest event of those windows that had to make room and had told whether their members were seen.
    given_up_ms: Option<i64>,
}

/// An event as windows remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    at_ms: i64,
    sequence: u64,
    /// Known once the event is stored.
    id: Option<LogId>,
}

#[derive(Debug)]
enum Window {
    /// By rising time.
    Events(Vec<Seen>),
    /// The latest event of each value, by rising time.
    Values(Vec<(u64, Latest)>),
    /// By rising time.
    Amounts(Vec<Amount>),
    /// For each member the latest event. Others, up to then, may have been in a window that was given up.
    Members { latest: Vec<Option<Latest>>, given_up_ms: Option<i64> },
    /// For each member the events that led up to it in order, of those the ones that began last.
    Paths(Vec<Vec<Seen>>),
}

/// A number that an event tells, or the sum of those of several events that followed each other.
#[derive(Debug, Clone, Copy)]
struct Amount {
    number: f64,
    events: usize,
    since_ms: i64,
    /// The last of the events.
    seen: Seen,
}

/// A correlation that holds with this event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) correlation: usize,
    /// How many events or values were counted, this one included; more than are kept are not told.
    pub(crate) count: usize,
    /// The stored events that it rests on besides this one, the latest last.
    pub(crate) earlier: Vec<LogId>,
    /// The event's fields that hold what the group has in common.
    pub(crate) grouped_by: Vec<usize>,
}

/// Where an event was remembered. It is to be told what became of it.
#[derive(Debug, Default)]
pub struct Trace {
    sequence: u64,
    windows: Vec<u128>,
}

impl Correlator {
    /// Returns a correlator with room for about so many windows.
    pub(crate) fn new(windows: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            windows_per_shard: windows.div_ceil(SHARDS).max(1),
            hashers: [RandomState::new(), RandomState::new()],
            next_sequence: AtomicU64::new(1),
        }
    }

    /// Counts a tenant's event, which the rules of these numbers matched, and returns what holds with it.
    pub(crate) fn observe(
        &self,
        tenant: TenantId,
        at: Timestamp,
        event: &Event<'_>,
        matched: impl Iterator<Item = usize>,
        rules: &RuleSet,
    ) -> (Vec<Completed>, Trace) {
        let mut completed: Vec<Completed> = Vec::new();
        let mut trace = Trace::default();
        let counting = matched.flat_map(|number| rules.correlations_over(Over::Rule(number)));
        let mut waiting: BTreeSet<(usize, usize)> = counting.copied().collect();
        if waiting.is_empty() {
            return (completed, trace);
        }
        trace.sequence = self.next_sequence.fetch_add(1, Ordering::Relaxed);
        let seen = Seen { at_ms: at.as_millis(), sequence: trace.sequence, id: None };
        // Those that a correlation counts have smaller numbers, so when it is asked all is known of the event.
        while let Some((number, _)) = waiting.first().copied() {
            let later = waiting.split_off(&(number + 1, 0));
            let asked = std::mem::replace(&mut waiting, later);
            let correlation = rules.correlation(number);
            let positions = asked.into_iter().map(|(_, position)| position);
            for Addition { key, group, members } in self.additions(tenant, event, correlation, positions) {
                let found = self.with_window(key, correlation, |window| {
                    for (position, counted) in members {
                        window.add(correlation, position, seen, counted);
                    }
                    window.holding(correlation, seen)
                });
                trace.windows.push(key);
                let is_known = completed.last().is_some_and(|known| known.correlation == number);
                if let Some((count, earlier)) = found.filter(|_| !is_known) {
                    completed.push(Completed {
                        correlation: number,
                        count,
                        earlier,
                        grouped_by: group.fields,
                    });
                    waiting.extend(rules.correlations_over(Over::Correlation(number)));
                }
            }
        }
        (completed, trace)
    }

    /// Returns what an event that is of these members adds to each window of a correlation.
    fn additions(
        &self,
        tenant: TenantId,
        event: &Event<'_>,
        correlation: &Correlation,
        positions: impl DoubleEndedIterator<Item = usize>,
    ) -> Vec<Addition> {
        let mut additions: Vec<Addition> = Vec::new();
        // The last member first: what an event begins must not hide what it ends.
        for position in positions.rev() {
            let Some(group) = Group::of(event, correlation, position) else { continue };
            let key = self.key(tenant, correlation, &group);
            let member = (position, self.counted(&group));
            match additions.iter_mut().find(|known| known.key == key) {
                Some(known) => known.members.push(member),
                None => additions.push(Addition { key, group, members: vec![member] }),
            }
        }
        additions
    }

    /// Tells under which id an event was stored, so that later detections can name it.
    pub(crate) fn stored(&self, trace: &Trace, id: LogId) {
        self.for_each_window(trace, |window| window.name(trace.sequence, id));
    }

    /// Takes back an event that was not stored, or that was stored before.
    pub(crate) fn forget(&self, trace: &Trace) {
        self.for_each_window(trace, |window| window.remove(trace.sequence));
    }

    fn for_each_window(&self, trace: &Trace, change: impl Fn(&mut Window)) {
        for key in &trace.windows {
            if let Some(window) = self.shard(*key).windows.get_mut(key) {
                change(window);
            }
        }
    }

    fn with_window<T>(&self, key: u128, of: &Correlation, work: impl FnOnce(&mut Window) -> T) -> T {
        let mut shard = self.shard(key);
        // Used or new, it is now the last to go.
        let known = shard.windows.remove(&key).filter(|window| window.fits(of));
        while shard.windows.len() >= self.windows_per_shard {
            let given_up = shard.windows.pop_front();
            shard.given_up_ms = shard.given_up_ms.max(given_up.and_then(|(_, window)| window.latest_ms()));
        }
        let window = known.unwrap_or_else(|| Window::new(of, shard.given_up_ms));
        work(shard.windows.entry(key).or_insert(window))
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        let number = usize::try_from(key % SHARDS as u128).expect("there are few shards");
        // A panic leaves a window that counts too little at worst.
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, tenant: TenantId, correlation: &Correlation, group: &Group) -> u128 {
        let [high, low] =
            [0, 1].map(|which| self.hashers[which].hash_one((tenant, &correlation.rule.id, &group.values)));
        u128::from(high) << 64 | u128::from(low)
    }

    fn counted(&self, group: &Group) -> Counted {
        Counted { value: self.hashers[0].hash_one(&group.counted), number: group.number }
    }
}

/// What an event has in common with the others of its group, in folded case.
struct Group {
    values: Vec<String>,
    fields: Vec<usize>,
    counted: String,
    number: f64,
}

/// What an event adds to a window: as which members of its correlation, and what is counted of each.
struct Addition {
    key: u128,
    group: Group,
    members: Vec<(usize, Counted)>,
}

/// What is counted or measured of an event.
#[derive(Clone, Copy)]
struct Counted {
    /// Stands for a value.
    value: u64,
    number: f64,
}

impl Group {
    /// Returns the group of an event; `None` if it lacks a field by which events are grouped, or what is counted.
    fn of(event: &Event<'_>, of: &Correlation, position: usize) -> Option<Self> {
        let member = &of.members[position];
        let mut group = Self { values: Vec::new(), fields: Vec::new(), counted: String::new(), number: 0.0 };
        for name in &member.group_by {
            let (index, value) = value_of(event, name)?;
            group.fields.push(index);
            group.values.push(value);
        }
        if !member.field.is_empty() {
            group.counted = value_of(event, &member.field)?.1;
        }
        if matches!(of.kind, Kind::Values(..)) {
            group.number = group.counted.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
        }
        Some(group)
    }
}

fn value_of(event: &Event<'_>, name: &str) -> Option<(usize, String)> {
    let (index, field) = event.fields.iter().enumerate().find(|(_, field)| field.name == name)?;
    let text = match &field.value {
        Value::Text(text) => text.to_lowercase(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => return None,
    };
    (!text.is_empty() && text != "-").then_some((index, text))
}

impl Window {
    fn new(of: &Correlation, given_up_ms: Option<i64>) -> Self {
        match of.kind {
            Kind::EventCount(_) => Self::Events(Vec::new()),
            Kind::ValueCount(_) => Self::Values(Vec::new()),
            Kind::Values(..) => Self::Amounts(Vec::new()),
            Kind::Temporal(_) => Self::Members { latest: vec![None; of.members.len()], given_up_ms },
            Kind::TemporalOrdered => Self::Paths(vec![Vec::new(); of.members.len()]),
        }
    }

    /// Says whether the window was made for a correlation like this one, which a reload may have changed.
    fn fits(&self, of: &Correlation) -> bool {
        match (self, &of.kind) {
            (Self::Events(_), Kind::EventCount(_))
            | (Self::Values(_), Kind::ValueCount(_))
            | (Self::Amounts(_), Kind::Values(..)) => true,
            (Self::Members { latest, .. }, Kind::Temporal(_)) => latest.len() == of.members.len(),
            (Self::Paths(paths), Kind::TemporalOrdered) => paths.len() == of.members.len(),
            _ => false,
        }
    }

    fn add(&mut self, of: &Correlation, position: usize, seen: Seen, counted: Counted) {
        match self {
            Self::Events(events) => {
                if events.iter().all(|event| event.sequence != seen.sequence) {
                    let at = events.partition_point(|event| event.at_ms <= seen.at_ms);
                    events.insert(at, seen);
                }
                shorten(events, |event| event.at_ms, of);
            }
            Self::Values(values) => {
                let known = values.iter().position(|(known, _)| *known == counted.value);
                let latest = Latest::after(known.map(|index| values.remove(index).1), seen);
                let at = values.partition_point(|(_, other)| other.seen.at_ms <= latest.seen.at_ms);
                values.insert(at, (counted.value, latest));
                shorten(values, |(_, latest)| latest.seen.at_ms, of);
            }
            Self::Amounts(amounts) => {
                if amounts.iter().all(|amount| amount.seen.sequence != seen.sequence) {
                    let at = amounts.partition_point(|amount| amount.seen.at_ms <= seen.at_ms);
                    let number = counted.number;
                    amounts.insert(at, Amount { number, events: 1, since_ms: seen.at_ms, seen });
                }
                if let Kind::Values(Measure::Sum | Measure::Average, _) = of.kind
                    && amounts.len() > COUNTED
                {
                    add_two_up(amounts);
                }
                shorten(amounts, |amount| amount.seen.at_ms, of);
            }
            Self::Members { latest, .. } => {
                latest[position] = Some(Latest::after(latest[position].take(), seen));
            }
            Self::Paths(paths) => {
                let path = match position.checked_sub(1) {
                    None => vec![seen],
                    Some(before) => {
                        let leads = |last: &Seen| last.at_ms <= seen.at_ms && last.sequence != seen.sequence;
                        if !paths[before].last().is_some_and(leads) {
                            return;
                        }
                        let mut path = paths[before].clone();
                        path.push(seen);
                        path
                    }
                };
                let begins = |path: &[Seen]| path.first().map(|first| first.at_ms);
                if begins(&paths[position]) <= begins(&path) {
                    paths[position] = path;
                }
            }
        }
    }

    /// Returns how many are counted with this event and which came before it, if the correlation holds.
    fn holding(&self, of: &Correlation, now: Seen) -> Option<(usize, Vec<LogId>)> {
        let is_recent = |seen: &Seen| seen.at_ms > now.at_ms - of.timespan_ms && seen.at_ms <= now.at_ms;
        let amounts: Vec<Amount> = match self {
            Self::Amounts(amounts) => {
                amounts.iter().filter(|amount| is_recent(&amount.seen)).copied().collect()
            }
            _ => Vec::new(),
        };
        let counted: Vec<Seen> = match self {
            Self::Amounts(_) => amounts.iter().map(|amount| amount.seen).collect(),
            Self::Events(events) => events.iter().copied().filter(is_recent).collect(),
            Self::Values(values) => values.iter().map(|(_, latest)| latest.seen).filter(is_recent).collect(),
            Self::Members { latest, given_up_ms } => {
                let Kind::Temporal(pattern) = &of.kind else { return None };
                let is_over = |at_ms: i64| at_ms <= now.at_ms - of.timespan_ms;
                let told = |member: usize| match &latest[member] {
                    Some(latest) if is_recent(&latest.seen) => Some(true),
                    // It came after an event that comes late; others may have come before.
                    Some(latest) if !is_over(latest.seen.at_ms) => None,
                    _ => given_up_ms.is_none_or(is_over).then_some(false),
                };
                let is_among = |events: &Vec<Seen>| events.iter().any(|seen| seen.sequence == now.sequence);
                events_of(pattern, &told, latest).filter(is_among)?
            }
            Self::Paths(paths) => {
                let path = paths
                    .last()
                    .filter(|path| path.last().is_some_and(|last| last.sequence == now.sequence))?;
                path.iter().all(is_recent).then(|| path.clone())?
            }
        };
        let holds = match &of.kind {
            Kind::EventCount(bounds) | Kind::ValueCount(bounds) => bounds.hold(counted.len()),
            Kind::Values(measure, limits) => {
                let numbers: Vec<_> = amounts.iter().map(|amount| (amount.number, amount.events)).collect();
                let within = |told| limits.iter().all(|(comparison, limit)| comparison.holds(told, *limit));
                !numbers.is_empty() && within(measure.of(&numbers))
            }
            Kind::Temporal(_) | Kind::TemporalOrdered => true,
        };
        if !holds {
            return None;
        }
        let mut earlier: Vec<LogId> =
            counted.iter().filter(|seen| seen.sequence != now.sequence).filter_map(|seen| seen.id).collect();
        let surplus = earlier.len().saturating_sub(EVENTS_NAMED);
        earlier.drain(..surplus);
        earlier.dedup();
        let added_up: usize = amounts.iter().map(|amount| amount.events - 1).sum();
        Some((counted.len() + added_up, earlier))
    }

    /// Returns the time of the latest event, if it is told of members whether they were seen.
    fn latest_ms(&self) -> Option<i64> {
        let Self::Members { latest, .. } = self else { return None };
        latest.iter().flatten().map(|latest| latest.seen.at_ms).max()
    }

    fn name(&mut self, sequence: u64, id: LogId) {
        let name = |seen: &mut Seen| {
            if seen.sequence == sequence {
                seen.id = Some(id);
            }
        };
        match self {
            Self::Events(events) => events.iter_mut().for_each(name),
            Self::Values(values) => values.iter_mut().for_each(|(_, latest)| latest.change(name)),
            Self::Amounts(amounts) => amounts.iter_mut().map(|amount| &mut amount.seen).for_each(name),
            Self::Members { latest, .. } => {
                latest.iter_mut().flatten().for_each(|latest| latest.change(name));
            }
            Self::Paths(paths) => paths.iter_mut().flatten().for_each(name),
        }
    }

    fn remove(&mut self, sequence: u64) {
        match self {
            Self::Events(events) => events.retain(|seen| seen.sequence != sequence),
            Self::Amounts(amounts) => amounts.retain(|amount| amount.seen.sequence != sequence),
            Self::Values(values) => {
                let without = |(value, latest): (u64, Latest)| Some((value, latest.without(sequence)?));
                *values = values.drain(..).filter_map(without).collect();
                values.sort_by_key(|(_, latest)| latest.seen.at_ms);
            }
            Self::Members { latest, .. } => {
                for member in latest {
                    *member = member.take().and_then(|latest| latest.without(sequence));
                }
            }
            Self::Paths(paths) => {
                for path in paths {
                    if path.iter().any(|seen| seen.sequence == sequence) {
                        path.clear();
                    }
                }
            }
        }
    }
}

/// Returns the events on which a pattern rests by rising time, if it holds.
fn events_of(
    pattern: &Pattern,
    told: &dyn Fn(usize) -> Option<bool>,
    latest: &[Option<Latest>],
) -> Option<Vec<Seen>> {
    let mut members = Vec::new();
    if !pattern.holds(told, &mut members) {
        return None;
    }
    members.sort_unstable();
    members.dedup();
    let mut events: Vec<Seen> =
        members.into_iter().filter_map(|member| Some(latest[member].as_ref()?.seen)).collect();
    events.sort_by_key(|seen| (seen.at_ms, seen.sequence));
    Some(events)
}

/// Drops what is too old to count again, and what is more than the bounds ask for.
fn shorten<T>(by_time: &mut Vec<T>, at_ms: impl Fn(&T) -> i64, of: &Correlation) {
    let newest = by_time.last().map_or(i64::MIN, &at_ms);
    let expired = by_time.partition_point(|one| at_ms(one) <= newest.saturating_sub(of.timespan_ms));
    let kept = match of.kind {
        Kind::EventCount(bounds) | Kind::ValueCount(bounds) => bounds.kept().max(COUNTED),
        Kind::Values(Measure::Percentile(_), _) => RANKED,
        Kind::Values(..) | Kind::Temporal(_) | Kind::TemporalOrdered => COUNTED,
    };
    by_time.drain(..expired.max(by_time.len().saturating_sub(kept)));
}

/// Adds up the two neighbours that lie closest in time. The latest ones are left alone: they may be taken back.
fn add_two_up(amounts: &mut Vec<Amount>) {
    let older = amounts.len().saturating_sub(EVENTS_NAMED);
    let span = |at: &usize| amounts[*at].seen.at_ms - amounts[at - 1].since_ms;
    if let Some(at) = (1..older).min_by_key(span) {
        let before = amounts.remove(at - 1);
        let both = &mut amounts[at - 1];
        both.number += before.number;
        both.events += before.events;
        both.since_ms = before.since_ms;
    }
}

#[cfg(test)]
mod tests;
