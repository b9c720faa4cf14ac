//! Group commit: logs that are recorded at the same time share a transaction. While one is under way the next gathers.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use mongodb::{
    Client, ClientSession, Collection, Database,
    bson::{Document, RawDocumentBuf, doc, oid},
    error::Error,
};
use sentinelflow_domain::store::{LogId, NewLog, StoreError};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    errors::{is_conflict, may_pass, store_error},
    fields::from_now,
    ids::{Ids, to_bson},
    logs, named,
    stats::{self, Addition, Place},
    transaction::{Writes, all_or_nothing, checked},
};

/// So many logs may wait; beyond that the store says that it is unavailable.
const MOST_WAITING: usize = 16_384;
/// So many share a transaction, of about so many bytes: a fraction of what the server takes in one message.
const MOST_TOGETHER: usize = 512;
const MOST_BYTES_TOGETHER: usize = 4 << 20;
/// How long a retry is recognised, at least.
pub(super) const IDEMPOTENCY_HOURS: i64 = 24;
/// Where the lead of ids is kept; see `Minted`.
pub(super) const ID_LEAD: &str = "id_lead_s";

/// Records logs, one transaction after the other. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Job>);

/// A log that is to be recorded, and where that is waited for.
struct Job {
    log: NewLog,
    /// Its analysis, made where there is more than one thread.
    json: String,
    answer: oneshot::Sender<Result<Written, StoreError>>,
}

/// What became of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    New(LogId),
    /// Nothing was added: its key leads to this log.
    KeyLeadsTo(LogId),
}

#[derive(Debug, Error)]
pub(super) enum NotRecorded {
    #[error("too many logs wait to be recorded")]
    TooMany,
    #[error("the database did not take the log in time; it may still do")]
    TooLate,
    #[error("the store is closed")]
    Closed,
}

impl From<NotRecorded> for StoreError {
    fn from(reason: NotRecorded) -> Self {
        Self::Unavailable(Box::new(reason))
    }
}

impl Writer {
    /// Starts the task that writes; it ends when the last writer is dropped. `side_run` counts what it does not wait for.
    pub(super) fn start(client: Client, database: Database, side_run: oid::ObjectId, ids: Arc<Ids>) -> Self {
        let (sender, jobs) = mpsc::channel(MOST_WAITING);
        let run = oid::ObjectId::new();
        let desk = Desk { client, database, run, side_run, ids, known_lead_s: 0 };
        tokio::spawn(desk.work(jobs));
        Self(sender)
    }

    /// Records a log; whoever waits gives up then, and the log may still be recorded.
    pub(super) async fn record(&self, log: NewLog, give_up: Instant) -> Result<Written, StoreError> {
        let json = logs::json_of(&log.analysis);
        let (answer, written) = oneshot::channel();
        self.0.try_send(Job { log, json, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotRecorded::TooMany,
            mpsc::error::TrySendError::Closed(_) => NotRecorded::Closed,
        })?;
        let written = timeout_at(give_up, written).await.map_err(|_| NotRecorded::TooLate)?;
        written.map_err(|_| NotRecorded::Closed)?
    }
}

/// Where logs are written.
struct Desk {
    client: Client,
    database: Database,
    run: oid::ObjectId,
    side_run: oid::ObjectId,
    ids: Arc<Ids>,
    /// The greatest lead that this node has written down.
    known_lead_s: u32,
}

impl Desk {
    async fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut put_off = VecDeque::new();
        loop {
            let first = match put_off.pop_front() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let batch = gather(first, &mut put_off, &mut jobs);
            self.commit(batch).await;
        }
    }

    /// Records a batch and answers. If one log may be the reason that it fails it is cut in halves, until that log is
    /// alone: it costs only itself.
    async fn commit(&mut self, batch: Vec<Job>) {
        let mut parts = vec![self.batch(batch)];
        while let Some(mut part) = parts.pop() {
            let error = match all_or_nothing(&self.client, &mut part).await {
                Ok(written) => {
                    if written.iter().any(|written| matches!(written, Written::New(_))) {
                        self.known_lead_s = self.known_lead_s.max(part.lead_s);
                    }
                    part.answer(&written);
                    continue;
                }
                Err(error) => error,
            };
            let is_of_one = is_conflict(&error) || !may_pass(&error);
            if is_of_one && part.jobs.len() > 1 {
                let [earlier, later] = part.halves();
                parts.extend([later, earlier].into_iter().filter(|half| !half.jobs.is_empty()));
            } else if is_conflict(&error) {
                let part = Batch { run: self.side_run, ..part };
                tokio::spawn(part.wait_for_others(self.client.clone()));
            } else {
                part.refuse(&error);
            }
        }
    }

    fn batch(&self, jobs: Vec<Job>) -> Batch {
        let minted = jobs.iter().map(|job| self.ids.mint(job.log.received_at));
        let (ids, leads): (Vec<LogId>, Vec<u32>) = minted.map(|minted| (minted.id, minted.lead_s)).unzip();
        let lead_s = leads.into_iter().max().unwrap_or(0);
        let is_lead_known = lead_s <= self.known_lead_s;
        let (database, run) = (self.database.clone(), self.run);
        Batch { database, run, jobs, ids, lead_s, is_lead_known, is_again: false, waits_for_others: false }
    }
}

/// Takes what waits, up to a batch. Of two logs with the same key the second is put off until the first is stored.
fn gather(first: Job, put_off: &mut VecDeque<Job>, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut batch = Vec::new();
    let mut keys = HashSet::new();
    let mut bytes = 0;
    let mut next = Some(first);
    let mut later = VecDeque::new();
    while let Some(job) = next.take() {
        let key = job.log.idempotency_key.clone().map(|key| (job.log.tenant, key));
        if job.answer.is_closed() {
            // Nobody waits any more: he was told that it was not recorded.
        } else if key.is_some_and(|key| !keys.insert(key)) {
            later.push_back(job);
        } else {
            let entry = &job.log.entry;
            bytes += job.json.len() + entry.message.as_str().len() + entry.metadata.as_str().len();
            batch.push(job);
        }
        if batch.len() < MOST_TOGETHER && bytes < MOST_BYTES_TOGETHER {
            next = put_off.pop_front().or_else(|| jobs.try_recv().ok());
        }
    }
    later.append(put_off);
    *put_off = later;
    batch
}

/// Logs that share a transaction.
struct Batch {
    database: Database,
    run: oid::ObjectId,
    jobs: Vec<Job>,
    /// The logs' ids, the same in each attempt.
    ids: Vec<LogId>,
    /// The most seconds by which one of the ids is ahead of its log's receipt.
    lead_s: u32,
    is_lead_known: bool,
    /// It was tried before, as a part of another.
    is_again: bool,
    waits_for_others: bool,
}

impl Batch {
    /// Returns its earlier and its later half, without the logs for which nobody waits any more.
    fn halves(mut self) -> [Self; 2] {
        let half = self.jobs.len() / 2;
        let later = (self.jobs.split_off(half), self.ids.split_off(half));
        [(self.jobs, self.ids), later].map(|(jobs, ids)| {
            let waited_for = jobs.into_iter().zip(ids).filter(|(job, _)| !job.answer.is_closed());
            let (jobs, ids) = waited_for.unzip();
            Self { database: self.database.clone(), jobs, ids, is_again: true, ..self }
        })
    }

    /// Records a log whose key another transaction has written: that of another node which was sent the same, or the
    /// one that a killed node left open and the server forgets after a minute.
    async fn wait_for_others(mut self, client: Client) {
        self.waits_for_others = true;
        match all_or_nothing(&client, &mut self).await {
            Ok(written) => self.answer(&written),
            Err(error) => self.refuse(&error),
        }
    }

    fn answer(self, written: &[Written]) {
        for (job, written) in self.jobs.into_iter().zip(written) {
            // Whoever went away doesn't want it.
            drop(job.answer.send(Ok(*written)));
        }
    }

    fn refuse(self, error: &Error) {
        for job in self.jobs {
            drop(job.answer.send(Err(store_error(error.clone()))));
        }
    }

    fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// Returns the logs that keys of this batch lead to.
    async fn known_keys(&self, session: &mut ClientSession) -> Result<HashMap<usize, LogId>, Error> {
        let keyed = self.jobs.iter().enumerate().filter_map(|(at, job)| {
            let key = job.log.idempotency_key.as_ref()?;
            Some((at, logs::key_id(job.log.tenant, key)))
        });
        let keyed: Vec<(usize, Document)> = keyed.collect();
        let mut known = HashMap::new();
        if keyed.is_empty() {
            return Ok(known);
        }
        let ids: Vec<&Document> = keyed.iter().map(|(_, id)| id).collect();
        let keys: Collection<Document> = self.database.collection(named::KEYS);
        let mut found = keys.find(doc! { "_id": { "$in": ids } }).session(&mut *session).await?;
        while let Some(key) = found.next(session).await.transpose()? {
            let place = keyed.iter().find(|(_, id)| key.get_document("_id").is_ok_and(|found| found == id));
            if let (Some((at, _)), Ok(log)) = (place, key.get_object_id("log")) {
                known.insert(*at, super::ids::from_bson(log));
            }
        }
        Ok(known)
    }

    /// Whether an attempt before was committed without anybody hearing of it.
    async fn is_written(&self, session: &mut ClientSession) -> Result<bool, Error> {
        let ids: Vec<_> = self.ids.iter().copied().map(to_bson).collect();
        let logs = self.collection(named::LOGS);
        let found = logs.find_one(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1 });
        Ok(found.session(session).await?.is_some())
    }
}

#[async_trait]
impl Writes for Batch {
    type Done = Vec<Written>;

    fn is_again(&self) -> bool {
        self.is_again
    }

    fn waits_for_others(&self) -> bool {
        self.waits_for_others
    }

    async fn write(&mut self, session: &mut ClientSession, is_again: bool) -> Result<Vec<Written>, Error> {
        let known = self.known_keys(session).await?;
        let written: Vec<Written> = (self.ids.iter().enumerate())
            .map(|(at, id)| match known.get(&at) {
                Some(before) if before != id => Written::KeyLeadsTo(*before),
                _ => Written::New(*id),
            })
            .collect();
        if is_again && self.is_written(session).await? {
            return Ok(written);
        }
        let mut documents = Vec::with_capacity(self.jobs.len());
        let mut keys = Vec::new();
        let mut additions: HashMap<Place, Addition, RandomState> = HashMap::default();
        for (job, written) in self.jobs.iter().zip(&written) {
            let Written::New(id) = written else { continue };
            let log = &job.log;
            documents.push(logs::document(*id, log, &job.json));
            additions.entry(Place::of(log.tenant, log.received_at)).or_default().add_log(log.analysis.score);
            if let Some(key) = &log.idempotency_key {
                let remove_at = from_now(IDEMPOTENCY_HOURS * 3_600_000);
                keys.push(doc! { "_id": logs::key_id(log.tenant, key), "log": to_bson(*id), "remove_at": remove_at });
            }
        }
        if documents.is_empty() {
            return Ok(written);
        }
        self.collection(named::LOGS).insert_many(&documents).session(&mut *session).await?;
        if !keys.is_empty() {
            let collection: Collection<Document> = self.database.collection(named::KEYS);
            collection.insert_many(&keys).session(&mut *session).await?;
        }
        let added = self.database.run_command(stats::add(self.run, additions)).session(&mut *session).await?;
        checked(&added)?;
        if !self.is_lead_known {
            let meta: Collection<Document> = self.database.collection(named::META);
            let lead = doc! { "$max": { "value": i64::from(self.lead_s) } };
            meta.update_one(doc! { "_id": ID_LEAD }, lead).upsert(true).session(&mut *session).await?;
        }
        Ok(written)
    }
}
