//! Desks, at each of which one scan runs, and who gets the next: tenants in turn, each in the order of its uploads.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinelflow_domain::tenant::TenantId;
use thiserror::Error;
use tokio::sync::oneshot;

/// All desks and whoever waits for one. Cheap to clone.
#[derive(Clone)]
pub struct Desks(Arc<Mutex<Office>>);

struct Office {
    free: usize,
    most_waiting: usize,
    waiting: Turns<oneshot::Sender<Desk>>,
}

/// A desk, taken until this is dropped.
pub struct Desk(Desks);

/// A place in the queue: becomes a desk. Whoever drops it leaves the queue.
pub type Place = oneshot::Receiver<Desk>;

/// A tenant has as many uploads waiting as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{most} scans of this tenant wait already")]
pub struct QueueFull {
    pub most: usize,
}

impl Desks {
    pub fn new(count: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Mutex::new(Office { free: count, most_waiting, waiting: Turns::default() })))
    }

    /// Returns an error if `join` would.
    pub fn check_room(&self, tenant: TenantId) -> Result<(), QueueFull> {
        self.office().check_room(tenant)
    }

    /// Takes the tenant's next place in the queue.
    pub fn join(&self, tenant: TenantId) -> Result<Place, QueueFull> {
        let mut office = self.office();
        office.check_room(tenant)?;
        let place = office.join(tenant);
        drop(office);
        self.seat();
        Ok(place)
    }

    /// Takes the tenant's next place, however many it has: for what was accepted before a restart.
    pub fn join_again(&self, tenant: TenantId) -> Place {
        let place = self.office().join(tenant);
        self.seat();
        place
    }

    /// Gives free desks to whoever is next.
    fn seat(&self) {
        while let Some(next) = self.office().take_next() {
            // If nobody waits there any more, the desk comes back and is free again.
            drop(next.send(Desk(self.clone())));
        }
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Office {
    fn check_room(&mut self, tenant: TenantId) -> Result<(), QueueFull> {
        self.waiting.retain(tenant, |waiting| !waiting.is_closed());
        let is_full = self.waiting.count(tenant) >= self.most_waiting;
        if is_full && self.free == 0 { Err(QueueFull { most: self.most_waiting }) } else { Ok(()) }
    }

    fn join(&mut self, tenant: TenantId) -> Place {
        let (waiting, place) = oneshot::channel();
        self.waiting.push(tenant, waiting);
        place
    }

    /// Takes a desk for whoever is next, if there is both.
    fn take_next(&mut self) -> Option<oneshot::Sender<Desk>> {
        while self.free > 0 {
            let next = self.waiting.pop()?;
            if !next.is_closed() {
                self.free -= 1;
                return Some(next);
            }
        }
        None
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.office().free += 1;
        self.0.seat();
    }
}

/// Things that wait, by tenant: the tenants take turns, the things of one keep their order.
struct Turns<T> {
    /// Whoever has something waiting, the next one first.
    order: VecDeque<TenantId>,
    waiting: HashMap<TenantId, VecDeque<T>>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<T> Turns<T> {
    fn push(&mut self, tenant: TenantId, thing: T) {
        let things = self.waiting.entry(tenant).or_default();
        if things.is_empty() {
            self.order.push_back(tenant);
        }
        things.push_back(thing);
    }

    fn pop(&mut self) -> Option<T> {
        let tenant = self.order.pop_front()?;
        let things = self.waiting.get_mut(&tenant)?;
        let thing = things.pop_front();
        if things.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        thing
    }

    fn count(&self, tenant: TenantId) -> usize {
        self.waiting.get(&tenant).map_or(0, VecDeque::len)
    }

    fn retain(&mut self, tenant: TenantId, is_kept: impl Fn(&T) -> bool) {
        let Some(things) = self.waiting.get_mut(&tenant) else { return };
        things.retain(is_kept);
        if things.is_empty() {
            self.waiting.remove(&tenant);
            self.order.retain(|waiting| *waiting != tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::id::ObjectId;

    use super::*;

    fn tenant(number: u32) -> TenantId {
        ObjectId::from_parts(number, [0; 5], 0)
    }

    #[test]
    fn tenants_take_turns_and_each_keeps_its_order() {
        let mut turns = Turns::default();
        for (who, what) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            turns.push(tenant(who), what);
        }
        turns.retain(tenant(3), |_| false);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
        assert!(turns.waiting.is_empty() && turns.order.is_empty());
    }

    #[tokio::test]
    async fn a_desk_goes_to_the_next_who_still_waits() {
        let desks = Desks::new(1, 2);
        let first = desks.join(tenant(1)).unwrap().await.unwrap();
        let left = desks.join(tenant(1)).unwrap();
        let mut second = desks.join(tenant(1)).unwrap();
        assert_eq!(desks.join(tenant(1)).err(), Some(QueueFull { most: 2 }));
        drop(left);
        let third = desks.join(tenant(1)).unwrap();
        drop(desks.join(tenant(2)).unwrap());
        assert!(second.try_recv().is_err());
        drop(first);
        drop(second.await.unwrap());
        drop(third.await.unwrap());
        assert_eq!(desks.office().free, 1);
    }

    #[tokio::test]
    async fn a_desk_that_was_given_and_not_taken_comes_back() {
        let desks = Desks::new(1, 9);
        drop(desks.join(tenant(1)).unwrap());
        drop(desks.join(tenant(1)).unwrap().await.unwrap());
        assert_eq!(desks.office().free, 1);
    }
}
