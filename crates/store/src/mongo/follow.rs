//! A tenant's threats as they come, from all nodes. Whoever comes back goes on behind the last log he got: its place among
//! the changes is looked for, and what was committed since is read from there until it meets what the hub tells
//! (`changes.rs`). Where the database no longer knows the place, the list of logs is read by ids.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use mongodb::bson::{DateTime, Timestamp, doc};
use sentinelflow_domain::{
    store::{
        FollowedThreats, Happened, LogBook as _, LogFilter, LogId, LogRecord, StatusFilter, StoreError,
        ThreatFeed,
    },
    tenant::TenantId,
};
use tokio::time::timeout;

use super::{
    MongoStore,
    changes::{Change, Changes, From, Place, Subscription, is_out_of_reach},
    deadline::InTime as _,
    ids::to_bson,
    logs, named,
};

/// After so long without news, that is said.
const QUIET: Duration = Duration::from_secs(5);
/// So many logs are read at once, of a list or to be told. Their texts are long: whoever reads slowly holds the latter.
const PAGE: usize = 100;
const AT_ONCE: usize = 8;
/// So many changes are passed in one step while a place is looked for.
const STEP: usize = 1_000;
/// By so much at most a log is committed after its id was minted and clocks differ.
const SLACK_S: u32 = 60;

#[async_trait]
impl ThreatFeed for MongoStore {
    async fn follow(
        &self,
        tenant: TenantId,
        after: Option<LogId>,
    ) -> Result<Box<dyn FollowedThreats>, StoreError> {
        let mut followed = Followed {
            store: self.clone(),
            tenant,
            start: after.unwrap_or(LogId::LOWEST),
            position: after.unwrap_or(LogId::LOWEST),
            place: None,
            at: At::Lost,
            ready: VecDeque::new(),
            floor: LogId::LOWEST,
            known: HashSet::default(),
        };
        if after.is_none() {
            followed.begin_now().await?;
        }
        Ok(Box::new(followed))
    }
}

impl MongoStore {
    /// Returns by how many seconds an id may be ahead of the commit of its log.
    async fn ahead_s(&self) -> Result<u32, StoreError> {
        Ok(self.id_lead_s().await?.saturating_add(SLACK_S))
    }

    async fn changes(&self, from: From) -> Result<Changes, StoreError> {
        Changes::open(&self.database, from).await
    }

    /// Returns those of a tenant's logs that are still there, not as they were before a moment of the database.
    async fn present(
        &self,
        tenant: TenantId,
        ids: Vec<LogId>,
        since: Timestamp,
    ) -> Result<HashMap<LogId, LogRecord, RandomState>, StoreError> {
        let ids: Vec<_> = ids.into_iter().map(to_bson).collect();
        let query = doc! { "tenant": to_bson(tenant), "_id": { "$in": ids } };
        // A primary that was just elected might not show yet what a majority has.
        let mut session = self.client.start_session().causal_consistency(true).in_time().await?;
        session.advance_operation_time(since);
        let mut found = self.collection(named::LOGS).find(query).session(&mut session).in_time().await?;
        let mut logs = HashMap::default();
        while found.advance(&mut session).in_time().await? {
            let log = logs::record(found.current())?;
            logs.insert(log.id, log);
        }
        Ok(logs)
    }
}

struct Followed {
    store: MongoStore,
    tenant: TenantId,
    start: LogId,
    /// The last log that was told in its order, or the start.
    position: LogId,
    /// All changes up to here were told.
    place: Option<Place>,
    at: At,
    ready: VecDeque<Happened>,
    /// Logs that are recorded with an id up to here are not told. Only an id that is nobody's is one.
    floor: LogId,
    /// What was told by ids, or was there before the start, and may come among the changes, too.
    known: HashSet<LogId, RandomState>,
}

/// How far the reading is.
enum At {
    /// Nothing is open.
    Lost,
    /// The position is looked for among the changes; it is not there if it does not come up to `end`.
    Looking { changes: Changes, end: Place, now: Subscription },
    /// Logs are read by their ids behind one; then come the changes of meanwhile, which began at that second.
    Listing { after: LogId, now: Subscription, since_s: i64 },
    /// The changes behind the place are read, until they meet those of now.
    CatchingUp { changes: Changes, now: Subscription },
    /// What happens is told.
    Now(Subscription),
}

#[async_trait]
impl FollowedThreats for Followed {
    fn start(&self) -> LogId {
        self.start
    }

    async fn next(&mut self) -> Result<Option<Happened>, StoreError> {
        if self.ready.is_empty() {
            // Whoever reads changes of before has the database look through all of them, so few do at a time. A turn is
            // one step: a reader that does not read holds none.
            let turns = Arc::clone(&self.store.turns);
            let _turn = match &self.at {
                At::Listing { .. } | At::Now(_) => None,
                At::Lost | At::Looking { .. } | At::CatchingUp { .. } => {
                    let Ok(turn) = timeout(QUIET, turns.acquire()).await else { return Ok(None) };
                    Some(turn.expect("turns are never closed"))
                }
            };
            self.at = match std::mem::replace(&mut self.at, At::Lost) {
                At::Lost => self.find_back().await?,
                At::Looking { changes, end, now } => self.look(changes, end, now).await?,
                At::Listing { after, now, since_s } => self.list(after, now, since_s).await?,
                At::CatchingUp { changes, now } => self.catch_up(changes, now).await?,
                At::Now(now) => self.go_on(now).await?,
            };
        }
        Ok(self.ready.pop_front())
    }
}

impl Followed {
    /// Begins with what is recorded after this; of none, before all that come.
    async fn begin_now(&mut self) -> Result<(), StoreError> {
        let now = self.store.hub.subscribe(self.tenant).await?;
        // The changes may be a little behind what can be read already.
        let newest = LogFilter { limit: PAGE, status: StatusFilter::All, ..LogFilter::default() };
        let newest = self.store.recent(self.tenant, newest).await?.items;
        self.start = newest.first().map_or(LogId::LOWEST, |log| log.id);
        self.position = self.start;
        let threats = newest.iter().filter(|log| log.analysis.score.is_threat());
        self.known = threats.map(|log| log.id).collect();
        self.place = Some(now.from.clone());
        self.at = At::Now(now);
        Ok(())
    }

    async fn find_back(&mut self) -> Result<At, StoreError> {
        let now = self.store.hub.subscribe(self.tenant).await?;
        if let Some(place) = self.place.clone() {
            return match self.store.changes(From::Behind(place, self.tenant)).await {
                Ok(changes) => Ok(At::CatchingUp { changes, now }),
                Err(error) if is_out_of_reach(&error) => self.forgotten(now).await,
                Err(error) => Err(error),
            };
        }
        let after = self.position;
        if self.store.find(self.tenant, after).await?.is_none() {
            self.floor = after;
            return Ok(self.begin_list(now));
        }
        let since = after.seconds().saturating_sub(self.store.ahead_s().await?);
        match self.store.changes(From::Since(since, self.tenant, after)).await {
            // What is there by now has its place before that of a new stream.
            Ok(changes) => {
                let end = self.store.changes(From::Now).await?.place()?;
                Ok(At::Looking { changes, end, now })
            }
            Err(error) if is_out_of_reach(&error) => self.forgotten(now).await,
            Err(error) => Err(error),
        }
    }

    async fn look(&mut self, mut changes: Changes, end: Place, now: Subscription) -> Result<At, StoreError> {
        for _ in 0..STEP {
            match changes.next().await {
                Ok(Some((_, change))) if change.log == self.position && !change.is_raise => {
                    self.place = Some(change.place);
                    return Ok(At::CatchingUp { changes, now });
                }
                Ok(Some(_)) => {}
                Ok(None) if changes.place()? >= end => return self.forgotten(now).await,
                Ok(None) => break,
                Err(error) if is_out_of_reach(&error) => return self.forgotten(now).await,
                Err(error) => return Err(error),
            }
        }
        Ok(At::Looking { changes, end, now })
    }

    /// Goes on by ids because the database no longer tells what was committed after the position.
    async fn forgotten(&mut self, now: Subscription) -> Result<At, StoreError> {
        // What was committed after it has a greater id, or one of about the same time.
        let since = self.position.seconds().saturating_sub(self.store.ahead_s().await?);
        let since = LogId::from_parts(since, [0; 5], 0);
        let around = self.store.threats_after(self.tenant, since, 1).await?;
        let unsure = around.items.first().map(|log| log.id).filter(|first| *first < self.position);
        self.ready.extend(unsure.map(Happened::Unsure));
        Ok(self.begin_list(now))
    }

    fn begin_list(&mut self, now: Subscription) -> At {
        self.place = Some(now.from.clone());
        let since_s = DateTime::now().timestamp_millis() / 1000;
        At::Listing { after: self.position, now, since_s }
    }

    async fn list(&mut self, after: LogId, now: Subscription, since_s: i64) -> Result<At, StoreError> {
        let page = match self.store.threats_after(self.tenant, after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                self.at = At::Listing { after, now, since_s };
                return Err(error);
            }
        };
        let may_come = |id: &LogId| i64::from(id.seconds()) >= since_s - i64::from(2 * SLACK_S);
        self.known.extend(page.items.iter().map(|log| log.id).filter(may_come));
        self.position = page.items.last().map_or(after, |last| last.id);
        self.ready.extend(page.items.into_iter().map(Happened::Recorded));
        let has_more = page.next.is_some();
        Ok(if has_more { At::Listing { after: self.position, now, since_s } } else { At::Now(now) })
    }

    async fn catch_up(&mut self, mut changes: Changes, now: Subscription) -> Result<At, StoreError> {
        let mut happened = Vec::new();
        let mut has_met = false;
        while happened.len() < AT_ONCE && !has_met {
            match changes.next().await {
                Ok(Some((_, change))) if change.place > now.from => has_met = true,
                Ok(Some((_, change))) => happened.push(change),
                Ok(None) => {
                    let place = changes.place()?;
                    let told = self.store.hub.told_up_to(&now);
                    has_met = place >= now.from || told.is_some_and(|told| place >= told);
                    if !has_met && !happened.is_empty() {
                        break;
                    }
                }
                Err(error) if is_out_of_reach(&error) => return self.forgotten(now).await,
                Err(error) => return Err(error),
            }
        }
        self.tell(happened).await?;
        Ok(if has_met { At::Now(now) } else { At::CatchingUp { changes, now } })
    }

    async fn go_on(&mut self, mut now: Subscription) -> Result<At, StoreError> {
        let Ok(first) = timeout(QUIET, now.changes.recv()).await else {
            // So that, if this breaks, there is little to be looked through again.
            if let Some(told) = self.store.hub.told_up_to(&now) {
                self.place = self.place.take().max(Some(told));
            }
            return Ok(At::Now(now));
        };
        // Too much was waiting, or the hub is lost.
        let Some(first) = first else { return Ok(At::Lost) };
        let mut happened = vec![first];
        while happened.len() < AT_ONCE
            && let Ok(change) = now.changes.try_recv()
        {
            happened.push(change);
        }
        self.tell(happened).await?;
        Ok(At::Now(now))
    }

    async fn tell(&mut self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        changes.retain(|change| self.place.as_ref().is_none_or(|place| change.place > *place));
        let Some(last) = changes.last().cloned() else { return Ok(()) };
        changes.retain(|change| {
            !self.known.contains(&change.log) && (change.is_raise || change.log > self.floor)
        });
        let ids = changes.iter().map(|change| change.log).collect();
        // As they are now: some may be resolved already, or gone.
        let present = self.store.present(self.tenant, ids, last.committed_at).await?;
        for change in changes {
            let log = present.get(&change.log).cloned();
            self.ready.extend(log.map(if change.is_raise { Happened::Raised } else { Happened::Recorded }));
            if !change.is_raise {
                self.position = change.log;
            }
        }
        self.place = Some(last.place);
        Ok(())
    }
}
