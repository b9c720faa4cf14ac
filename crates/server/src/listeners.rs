//! Who listens for new threats, and how they are woken. Nothing of a threat is held here: whoever is woken reads the store
//! (`live.rs`). So a slow listener loses nothing, and whoever records never waits for one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use metrics::{describe_gauge, gauge};
use sentinelflow_domain::{analysis::Score, store::LogId, tenant::TenantId};
use thiserror::Error;
use tokio::sync::{Notify, RwLock as AsyncRwLock, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;

/// How many may listen, of one tenant and of all.
const MOST_OF_TENANT: usize = 16;
const MOST: usize = 1_024;
/// How many ids wait for a listener that is slow: 48 KiB, taken only when they do.
const MOST_TOLD: usize = 4_096;
/// Enough that tenants seldom share one.
const GATES: usize = 16;

const OPEN: &str = "sentinelflow_open_streams";

/// Tells what the gauge measures.
pub fn describe_meters() {
    describe_gauge!(OPEN, "Streams of new threats that are open");
}

/// All who listen. Cheap to clone.
#[derive(Clone, Default)]
pub struct Listeners(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How many listen. Whoever records asks this first, and mostly nothing else.
    count: AtomicUsize,
    of_tenants: RwLock<HashMap<TenantId, OfTenant>>,
    /// Shared while a log is raised, alone while a listener looks: it sees a raise and hears of it, or neither.
    gates: [AsyncRwLock<()>; GATES],
    closing: CancellationToken,
}

#[derive(Default)]
struct OfTenant {
    seats: usize,
    ears: Vec<Arc<Ear>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooMany {
    #[error("this tenant has {MOST_OF_TENANT} streams open already")]
    OfTenant,
    #[error("{MOST} streams are open already")]
    InAll,
}

/// What reaches one listener.
struct Ear {
    bell: Notify,
    told: Mutex<Told>,
}

/// Ids of threats that a listener does not find by going on from where it is.
#[derive(Debug, Default)]
struct Told {
    /// Where the listener began, once it knows. What is older but was recorded just now is told.
    start: Option<LogId>,
    behind: Vec<LogId>,
    /// The oldest of the ids for which there was no room.
    lost: Option<LogId>,
}

impl Listeners {
    /// Takes a seat for one who hears by other ways, or not yet.
    pub fn sit_down(&self, tenant: TenantId) -> Result<Seat, TooMany> {
        let mut of_tenants = self.0.of_tenants.write().unwrap_or_else(PoisonError::into_inner);
        if self.0.count.load(Ordering::SeqCst) >= MOST {
            return Err(TooMany::InAll);
        }
        if of_tenants.get(&tenant).is_some_and(|of_tenant| of_tenant.seats >= MOST_OF_TENANT) {
            return Err(TooMany::OfTenant);
        }
        of_tenants.entry(tenant).or_default().seats += 1;
        self.0.count.fetch_add(1, Ordering::SeqCst);
        gauge!(OPEN).increment(1);
        Ok(Seat { all: self.clone(), tenant })
    }

    /// Starts listening. Whoever goes on `after` a log finds all newer ones; whoever begins anew has to `start_at` a log.
    pub fn listen(&self, tenant: TenantId, after: Option<LogId>) -> Result<Listener, TooMany> {
        let seat = self.sit_down(tenant)?;
        let start = after.map(|_| LogId::LOWEST);
        let ear = Arc::new(Ear { bell: Notify::new(), told: Mutex::new(Told { start, ..Told::default() }) });
        let mut of_tenants = self.0.of_tenants.write().unwrap_or_else(PoisonError::into_inner);
        of_tenants.entry(tenant).or_default().ears.push(Arc::clone(&ear));
        drop(of_tenants);
        Ok(Listener { seat, ear })
    }

    /// Tells that a log was recorded, before anybody is answered. Where nobody listens this costs next to nothing.
    pub fn recorded(&self, tenant: TenantId, log: LogId, score: Score) {
        if score.is_threat() && self.0.count.load(Ordering::SeqCst) > 0 {
            self.each_of(tenant, |ear| ear.hear_of_new(log));
        }
    }

    /// Makes a threat of a log that was none: does so by `raising`, and tells if that comes true.
    pub async fn raise<E>(
        &self,
        tenant: TenantId,
        log: LogId,
        raising: impl Future<Output = Result<bool, E>>,
    ) -> Result<(), E> {
        let _nobody_looks = self.gate(tenant).read().await;
        if raising.await? {
            self.each_of(tenant, |ear| ear.hear_of(log));
        }
        Ok(())
    }

    /// Tells all who listen that the server ends, now and later.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    fn each_of(&self, tenant: TenantId, tell: impl Fn(&Ear)) {
        let of_tenants = self.0.of_tenants.read().unwrap_or_else(PoisonError::into_inner);
        of_tenants.get(&tenant).into_iter().flat_map(|of_tenant| &of_tenant.ears).for_each(|ear| tell(ear));
    }

    fn gate(&self, tenant: TenantId) -> &AsyncRwLock<()> {
        let place = tenant.seconds() ^ tenant.counter();
        &self.0.gates[place as usize % GATES]
    }
}

impl Ear {
    fn hear_of_new(&self, log: LogId) {
        let mut told = self.told();
        if told.start.is_none_or(|start| log <= start) {
            told.keep(log);
        }
        drop(told);
        self.bell.notify_one();
    }

    fn hear_of(&self, log: LogId) {
        self.told().keep(log);
        self.bell.notify_one();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn keep(&mut self, log: LogId) {
        if self.behind.len() < MOST_TOLD {
            self.behind.push(log);
        } else {
            self.lost = Some(self.lost.map_or(log, |lost| lost.min(log)));
        }
    }
}

/// The place of one open stream, until this is dropped.
pub struct Seat {
    all: Listeners,
    tenant: TenantId,
}

impl Seat {
    /// Tells the end of the server.
    pub fn closing(&self) -> CancellationToken {
        self.all.0.closing.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut of_tenants = self.all.0.of_tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = of_tenants.get_mut(&self.tenant) {
            of_tenant.seats -= 1;
            if of_tenant.seats == 0 {
                of_tenants.remove(&self.tenant);
            }
        }
        self.all.0.count.fetch_sub(1, Ordering::SeqCst);
        gauge!(OPEN).decrement(1);
    }
}

/// One who listens, until this is dropped.
pub struct Listener {
    seat: Seat,
    ear: Arc<Ear>,
}

impl Listener {
    /// Begins behind a log: of what is older, only what was recorded since this listens is told.
    pub fn start_at(&self, start: LogId) {
        let mut told = self.ear.told();
        told.start = Some(start);
        told.behind.retain(|log| *log <= start);
        told.lost = told.lost.filter(|lost| *lost <= start);
    }

    /// Returns once something was recorded or raised since it last returned; several of these are one.
    pub async fn woken(&self) {
        self.ear.bell.notified().await;
    }

    /// While this is held no log is raised, so that what is read and what is told are of one moment.
    pub async fn nothing_is_raised(&self) -> RwLockWriteGuard<'_, ()> {
        self.seat.all.gate(self.seat.tenant).write().await
    }

    /// Takes the ids that were told, up to `position`: what is newer is found there. Returns also the oldest of those
    /// for which there was no room.
    pub fn take_told(&self, position: LogId) -> (Vec<LogId>, Option<LogId>) {
        let mut told = self.ear.told();
        let mut behind = std::mem::take(&mut told.behind);
        behind.retain(|log| *log <= position);
        (behind, told.lost.take().filter(|lost| *lost <= position))
    }

    /// Tells the end of the server.
    pub fn closing(&self) -> CancellationToken {
        self.seat.closing()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut of_tenants = self.seat.all.0.of_tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = of_tenants.get_mut(&self.seat.tenant) {
            of_tenant.ears.retain(|ear| !Arc::ptr_eq(ear, &self.ear));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> LogId {
        LogId::from_parts(9, [1; 5], number)
    }

    const THREAT: Score = Score::THREAT;

    async fn is_woken(listener: &Listener) -> bool {
        // A wake that has happened is there at the first look.
        tokio::select! { biased; () = listener.woken() => true, () = std::future::ready(()) => false }
    }

    #[tokio::test]
    async fn only_threats_of_the_tenant_wake_and_many_wake_once() {
        let listeners = Listeners::default();
        listeners.recorded(id(1), id(10), THREAT);
        let ana = listeners.listen(id(1), Some(id(10))).unwrap();
        listeners.recorded(id(2), id(11), THREAT);
        listeners.recorded(id(1), id(12), Score::default());
        assert!(!is_woken(&ana).await);
        for log in 13..99 {
            listeners.recorded(id(1), id(log), THREAT);
        }
        assert!(is_woken(&ana).await);
        assert!(!is_woken(&ana).await);
        assert_eq!(ana.take_told(id(99)), (vec![], None), "newer ones are read from the store");
    }

    #[test]
    fn what_was_recorded_while_a_listener_looked_for_its_start_is_told_only_if_it_is_behind() {
        let listeners = Listeners::default();
        let listener = listeners.listen(id(1), None).unwrap();
        listeners.recorded(id(1), id(12), THREAT);
        listeners.recorded(id(1), id(14), THREAT);
        listener.start_at(id(13));
        listeners.recorded(id(1), id(15), THREAT);
        listeners.recorded(id(1), id(11), THREAT);
        assert_eq!(listener.take_told(id(13)), (vec![id(12), id(11)], None));
        assert_eq!(listener.take_told(id(20)), (vec![], None));
    }

    #[tokio::test]
    async fn a_raised_log_is_told_if_it_was_passed_and_if_it_was_raised() {
        let listeners = Listeners::default();
        let listener = listeners.listen(id(1), Some(id(20))).unwrap();
        for (log, comes_true) in [(18, Ok(true)), (17, Ok(false)), (16, Err("down")), (21, Ok(true))] {
            let raised = listeners.raise(id(1), id(log), std::future::ready(comes_true)).await;
            assert_eq!(raised, comes_true.map(drop));
        }
        assert!(is_woken(&listener).await);
        assert_eq!(listener.take_told(id(20)), (vec![id(18)], None));
    }

    #[tokio::test]
    async fn nobody_raises_while_a_listener_looks() {
        let listeners = Listeners::default();
        let listener = listeners.listen(id(1), Some(id(20))).unwrap();
        let looking = listener.nothing_is_raised().await;
        let raise = listeners.raise(id(1), id(3), std::future::ready(Ok::<_, ()>(true)));
        tokio::pin!(raise);
        let is_raised =
            tokio::select! { biased; _ = &mut raise => true, () = std::future::ready(()) => false };
        assert!(!is_raised && listener.take_told(id(20)).0.is_empty());
        drop(looking);
        raise.await.unwrap();
        assert_eq!(listener.take_told(id(20)).0, [id(3)]);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_told_by_its_oldest_id() {
        let listeners = Listeners::default();
        let listener = listeners.listen(id(1), Some(id(100_000))).unwrap();
        for log in (1..=MOST_TOLD + 3).rev() {
            let log = id(u32::try_from(log).unwrap());
            listeners.raise(id(1), log, std::future::ready(Ok::<_, ()>(true))).await.unwrap();
        }
        let (behind, lost) = listener.take_told(id(100_000));
        assert_eq!((behind.len(), lost), (MOST_TOLD, Some(id(1))));
        assert_eq!(listener.take_told(id(100_000)), (vec![], None));
    }

    #[test]
    fn listeners_are_bounded_and_whoever_goes_makes_room() {
        let listeners = Listeners::default();
        let open = |tenant: usize| listeners.listen(id(u32::try_from(tenant).unwrap()), None);
        let mut all: Vec<Listener> = (0..MOST_OF_TENANT).map(|_| open(0).unwrap()).collect();
        assert_eq!(open(0).err(), Some(TooMany::OfTenant));
        all.extend((MOST_OF_TENANT..MOST).map(|number| open(number / MOST_OF_TENANT).unwrap()));
        assert_eq!(open(5_000).err(), Some(TooMany::InAll));
        all.remove(0);
        all.push(open(0).unwrap());
        assert_eq!(open(0).err(), Some(TooMany::InAll));
        drop(all);
        assert!(listeners.0.of_tenants.read().unwrap().is_empty());
        assert!(open(0).is_ok());
    }
}
