//! A tenant's threats by a change stream: in the order in which the nodes commit them, which is not the order of the ids
//! that they mint. Whoever comes back goes on behind the last log he got: its place in the stream is looked for. Where
//! the database no longer knows that, the list of logs is read by ids.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use futures_util::{StreamExt as _, future::poll_immediate};
use mongodb::{
    bson::{self, RawDocument, RawDocumentBuf, Timestamp, doc},
    change_stream::{ChangeStream, event::ResumeToken},
    error::{Error, ErrorKind},
    options::FullDocumentType,
};
use sentinelflow_domain::{
    store::{
        FollowedThreats, Happened, LogBook as _, LogFilter, LogId, LogRecord, StatusFilter, StoreError,
        ThreatFeed,
    },
    tenant::TenantId,
};
use thiserror::Error as ThisError;
use tokio::time::timeout;

use super::{
    MongoStore,
    deadline::InTime as _,
    errors::{damaged, store_error},
    fields::Fields,
    ids::to_bson,
    logs, named,
};

/// After so long without news, that is said.
const QUIET: Duration = Duration::from_secs(5);
/// So many logs are read at once.
const PAGE: usize = 100;
/// So many places are passed in one step while one is looked for.
const STEP: usize = 1_000;
/// By so much at most a log is committed after its id was minted and clocks differ.
const SLACK_S: u32 = 60;
/// What the server says when its log of changes no longer reaches back so far.
const HISTORY_LOST: [i32; 2] = [280, 286];

type Changes = ChangeStream<RawDocumentBuf>;

#[async_trait]
impl ThreatFeed for MongoStore {
    async fn follow(
        &self,
        tenant: TenantId,
        after: Option<LogId>,
    ) -> Result<Box<dyn FollowedThreats>, StoreError> {
        let start = match after {
            Some(after) => after,
            None => self.newest(tenant).await?,
        };
        // Without a place to go on from, this is what is recorded after the answer, and maybe what was just before it.
        let now = match after {
            Some(_) => None,
            None => Some(self.changes(tenant, From::Now).await?),
        };
        Ok(Box::new(Followed {
            store: self.clone(),
            tenant,
            start,
            position: start,
            place: now.as_ref().map(token).transpose()?,
            at: now.map_or(At::Lost, At::Now),
            ready: VecDeque::new(),
            floor: LogId::LOWEST,
            listed: HashSet::default(),
        }))
    }
}

impl MongoStore {
    /// Returns the tenant's newest log; of none, a place before all that come.
    async fn newest(&self, tenant: TenantId) -> Result<LogId, StoreError> {
        let newest = LogFilter { limit: 1, status: StatusFilter::All, ..LogFilter::default() };
        Ok(self.recent(tenant, newest).await?.items.first().map_or(LogId::LOWEST, |log| log.id))
    }

    /// Returns those of a tenant's logs that are still there.
    async fn present(
        &self,
        tenant: TenantId,
        ids: Vec<LogId>,
    ) -> Result<HashMap<LogId, LogRecord>, StoreError> {
        let ids: Vec<_> = ids.into_iter().map(to_bson).collect();
        let query = doc! { "tenant": to_bson(tenant), "_id": { "$in": ids } };
        let mut found = self.collection(named::LOGS).find(query).in_time().await?;
        let mut logs = HashMap::new();
        while found.advance().in_time().await? {
            let log = logs::record(found.current())?;
            logs.insert(log.id, log);
        }
        Ok(logs)
    }

    async fn changes(&self, tenant: TenantId, from: From) -> Result<Changes, StoreError> {
        let mut wanted = vec![
            doc! { "operationType": "insert", "fullDocument.tenant": to_bson(tenant), "fullDocument.status": logs::ACTIVE },
            doc! {
                "operationType": "update",
                "updateDescription.updatedFields.status": logs::ACTIVE,
                "fullDocument.tenant": to_bson(tenant),
            },
        ];
        if let From::Second(_, position) = from {
            wanted.push(doc! { "operationType": "insert", "documentKey._id": to_bson(position) });
        }
        let shown = doc! { "ns": 1, "operationType": 1, "documentKey": 1, "fullDocument": 1 };
        let logs = self.documents(named::LOGS);
        let watch = logs
            .watch()
            .pipeline([doc! { "$match": { "$or": wanted } }, doc! { "$project": shown }])
            .full_document(FullDocumentType::UpdateLookup)
            .batch_size(u32::try_from(PAGE).expect("a page is small"));
        let watch = match from {
            From::Now => watch,
            From::Place(place) => watch.resume_after(place),
            From::Second(time, _) => watch.start_at_operation_time(Timestamp { time, increment: 0 }),
        };
        Ok(watch.in_time().await?.with_type())
    }
}

struct Followed {
    store: MongoStore,
    tenant: TenantId,
    start: LogId,
    /// The last log that was told in its order, or the start.
    position: LogId,
    /// Where the changes go on.
    place: Option<ResumeToken>,
    at: At,
    ready: VecDeque<Happened>,
    /// Logs that are recorded with an id up to here are not told. Only an id that is nobody's is one.
    floor: LogId,
    /// What was told by ids and may come among the changes, too.
    listed: HashSet<LogId, RandomState>,
}

/// How far the reading is.
enum At {
    /// The stream of changes broke, or was not opened yet.
    Lost,
    /// The position is looked for among the changes; it is not there if it does not come before `end`, where `now` begins.
    Looking { changes: Changes, end: String, now: Changes },
    /// Logs are read by their ids behind one; then come the changes of meanwhile.
    Listing { after: LogId, now: Changes },
    /// What happens is told.
    Now(Changes),
}

/// Where changes are read from.
enum From {
    Now,
    Place(ResumeToken),
    /// A second since 1970; besides threats, this log is among them.
    Second(u32, LogId),
}

#[async_trait]
impl FollowedThreats for Followed {
    fn start(&self) -> LogId {
        self.start
    }

    async fn next(&mut self) -> Result<Option<Happened>, StoreError> {
        if self.ready.is_empty() {
            self.at = match std::mem::replace(&mut self.at, At::Lost) {
                At::Lost => self.find_back().await?,
                At::Looking { changes, end, now } => self.look(changes, end, now).await?,
                At::Listing { after, now } => self.list(after, now).await?,
                At::Now(changes) => self.go_on(changes).await?,
            };
        }
        Ok(self.ready.pop_front())
    }
}

impl Followed {
    async fn find_back(&mut self) -> Result<At, StoreError> {
        if let Some(place) = self.place.take() {
            match self.store.changes(self.tenant, From::Place(place.clone())).await {
                Err(error) if is_history_lost(&error) => {}
                changes => {
                    self.place = Some(place);
                    return changes.map(At::Now);
                }
            }
        }
        let now = self.store.changes(self.tenant, From::Now).await?;
        let after = self.position;
        if self.store.find(self.tenant, after).await?.is_none() {
            self.floor = after;
            return self.begin_list(now);
        }
        let ahead_s = self.store.id_lead_s().await?.saturating_add(SLACK_S);
        match self
            .store
            .changes(self.tenant, From::Second(after.seconds().saturating_sub(ahead_s), after))
            .await
        {
            Ok(changes) => Ok(At::Looking { changes, end: order(&token(&now)?)?, now }),
            Err(error) if is_history_lost(&error) => self.forgotten(now).await,
            Err(error) => Err(error),
        }
    }

    async fn look(&mut self, mut changes: Changes, end: String, now: Changes) -> Result<At, StoreError> {
        for _ in 0..STEP {
            match changes.next_if_any().in_time().await {
                Ok(Some(change)) => {
                    if Change::of(&change)?.log == self.position {
                        self.place = Some(token(&changes)?);
                        return Ok(At::Now(changes));
                    }
                }
                Ok(None) if order(&token(&changes)?)? >= end => return self.forgotten(now).await,
                Ok(None) => break,
                Err(error) if is_history_lost(&error) => return self.forgotten(now).await,
                Err(error) => return Err(error),
            }
        }
        Ok(At::Looking { changes, end, now })
    }

    /// Goes on by ids because the database no longer knows what was committed after the position.
    async fn forgotten(&mut self, now: Changes) -> Result<At, StoreError> {
        // What was committed after it has a greater id, or one of about the same time.
        let since = LogId::from_parts(self.position.seconds().saturating_sub(SLACK_S), [0; 5], 0);
        let around = self.store.threats_after(self.tenant, since, 1).await?;
        let unsure = around.items.first().map(|log| log.id).filter(|first| *first < self.position);
        self.ready.extend(unsure.map(Happened::Unsure));
        self.begin_list(now)
    }

    fn begin_list(&mut self, now: Changes) -> Result<At, StoreError> {
        self.place = Some(token(&now)?);
        Ok(At::Listing { after: self.position, now })
    }

    async fn list(&mut self, after: LogId, now: Changes) -> Result<At, StoreError> {
        let page = match self.store.threats_after(self.tenant, after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                self.at = At::Listing { after, now };
                return Err(error);
            }
        };
        let now_s = bson::DateTime::now().timestamp_millis() / 1000;
        let may_come = |id: &LogId| i64::from(id.seconds()) >= now_s - i64::from(2 * SLACK_S);
        self.listed.extend(page.items.iter().map(|log| log.id).filter(may_come));
        self.position = page.items.last().map_or(after, |last| last.id);
        self.ready.extend(page.items.into_iter().map(Happened::Recorded));
        Ok(if page.next.is_some() { At::Listing { after: self.position, now } } else { At::Now(now) })
    }

    async fn go_on(&mut self, mut changes: Changes) -> Result<At, StoreError> {
        let Ok(first) = timeout(QUIET, changes.next()).await else { return Ok(At::Now(changes)) };
        let Some(first) = first.transpose().map_err(store_error)? else { return Ok(At::Lost) };
        let mut happened = vec![first];
        while happened.len() < PAGE {
            match poll_immediate(changes.next()).await {
                Some(Some(Ok(change))) => happened.push(change),
                // It is opened again where this ends.
                Some(_) => {
                    self.tell(happened).await?;
                    return Ok(At::Lost);
                }
                None => break,
            }
        }
        self.tell(happened).await?;
        Ok(At::Now(changes))
    }

    async fn tell(&mut self, changes: Vec<RawDocumentBuf>) -> Result<(), StoreError> {
        let changes: Vec<Change<'_>> =
            changes.iter().map(|change| Change::of(change)).collect::<Result<_, _>>()?;
        // As they are now: some may be resolved already.
        let present =
            self.store.present(self.tenant, changes.iter().map(|change| change.log).collect()).await?;
        let mut told = VecDeque::new();
        for change in &changes {
            let is_told = self.listed.contains(&change.log) || !change.is_raise && change.log <= self.floor;
            let log = match present.get(&change.log) {
                _ if is_told => None,
                Some(log) => Some(log.clone()),
                // A new primary may show it only a moment later.
                None => change.document.map(|fields| logs::record(fields.0)).transpose()?,
            };
            told.extend(log.map(if change.is_raise { Happened::Raised } else { Happened::Recorded }));
            if !change.is_raise {
                self.position = change.log;
            }
        }
        self.place = changes.last().map(Change::place).transpose()?;
        self.ready = told;
        Ok(())
    }
}

/// What a stream of changes tells of one.
struct Change<'d> {
    event: Fields<'d>,
    log: LogId,
    is_raise: bool,
    /// The log as it was then.
    document: Option<Fields<'d>>,
}

impl<'d> Change<'d> {
    fn of(event: &'d RawDocument) -> Result<Self, StoreError> {
        let event = Fields(event);
        Ok(Self {
            event,
            log: event.document("documentKey")?.id("_id")?,
            is_raise: event.text("operationType")? == "update",
            document: event.document_if_any("fullDocument")?,
        })
    }

    fn place(&self) -> Result<ResumeToken, StoreError> {
        bson::deserialize_from_slice(self.event.document("_id")?.0.as_bytes()).map_err(damaged)
    }
}

/// Returns where changes go on after the last one that was read.
fn token(changes: &Changes) -> Result<ResumeToken, StoreError> {
    changes.resume_token().ok_or_else(|| damaged(NoPlace))
}

#[derive(Debug, ThisError)]
#[error("the database does not tell the places of changes")]
struct NoPlace;

/// Returns what can be compared of a place: the database promises that these texts ascend.
fn order(place: &ResumeToken) -> Result<String, StoreError> {
    let place = bson::serialize_to_document(place).map_err(damaged)?;
    place.get_str("_data").map(str::to_owned).map_err(damaged)
}

fn is_history_lost(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let driver = cause.downcast_ref::<Error>().map(|error| &*error.kind);
    matches!(driver, Some(ErrorKind::Command(command)) if HISTORY_LOST.contains(&command.code))
}
