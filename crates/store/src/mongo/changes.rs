//! What becomes a threat, as the database tells it: in the order of the commits, the same for every node. All who follow
//! on this node share one stream of changes, as each has the server look through every write.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use mongodb::{
    Database,
    bson::{self, Document, RawDocument, RawDocumentBuf, Timestamp, doc},
    change_stream::{ChangeStream, event::ResumeToken},
    error::ErrorKind,
    options::FullDocumentType,
};
use sentinelflow_domain::{
    store::{LogId, StoreError},
    tenant::TenantId,
};
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::warn;

use super::{
    deadline::{InTime as _, NoAnswer, PATIENCE},
    errors::{Cause, damaged},
    fields::Fields,
    ids::to_bson,
    logs, named,
};

/// So many changes wait for one who follows; whoever falls behind reads them from the database again.
const MOST_WAITING: usize = 1_024;
/// How long the server holds an answer back while there is nothing to tell.
const AWAIT: Duration = Duration::from_secs(1);
/// The same where somebody only wants to know whether there is more.
const AWAIT_NO_MORE: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_secs(1);
/// What the server says when its log of changes no longer reaches back so far, or a place lies behind the end of a
/// collection that was removed.
const HISTORY_LOST: [i32; 3] = [260, 280, 286];
/// So many changes are told before it is looked who still follows.
const TOLD_BETWEEN_LOOKS: u32 = 1_000;

/// Where a change stands among all: the database promises that these texts ascend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Arc<str>);

impl Place {
    fn of(token: &RawDocument) -> Result<Self, StoreError> {
        Ok(Self(Fields(token).text("_data")?.into()))
    }

    fn token(&self) -> Result<ResumeToken, StoreError> {
        bson::deserialize_from_document(doc! { "_data": &*self.0 }).map_err(damaged)
    }
}

/// A log that became a threat.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) log: LogId,
    /// It was recorded before, as none.
    pub(super) is_raise: bool,
    /// When it was committed, by the clock of the database.
    pub(super) committed_at: Timestamp,
}

/// Which changes are read, and from where.
pub(super) enum From {
    /// All tenants', from now on.
    Now,
    /// All tenants', behind a place.
    AllBehind(Place),
    /// A tenant's behind a place.
    Behind(Place, TenantId),
    /// A tenant's since a second of 1970, and whatever became of that log.
    Since(u32, TenantId, LogId),
}

/// An open stream of changes.
pub(super) struct Changes(ChangeStream<RawDocumentBuf>);

impl Changes {
    pub(super) async fn open(database: &Database, from: From) -> Result<Self, StoreError> {
        let recorded = doc! { "operationType": "insert", "fullDocument.status": logs::ACTIVE };
        let raised =
            doc! { "operationType": "update", "updateDescription.updatedFields.status": logs::ACTIVE };
        let mut wanted = vec![recorded, raised];
        if let From::Behind(_, tenant) | From::Since(_, tenant, _) = from {
            for wanted in &mut wanted {
                wanted.insert("fullDocument.tenant", to_bson(tenant));
            }
        }
        if let From::Since(_, _, log) = from {
            wanted.push(doc! { "operationType": "insert", "documentKey._id": to_bson(log) });
        }
        let shown = doc! {
            "ns": 1, "operationType": 1, "documentKey": 1, "clusterTime": 1, "tenant": "$fullDocument.tenant",
        };
        let logs = database.collection::<Document>(named::LOGS);
        let watch = logs
            .watch()
            .pipeline([doc! { "$match": { "$or": wanted } }, doc! { "$project": shown }])
            .full_document(FullDocumentType::UpdateLookup);
        let watch = match &from {
            From::Now | From::AllBehind(_) => watch.max_await_time(AWAIT),
            From::Behind(..) | From::Since(..) => watch.max_await_time(AWAIT_NO_MORE),
        };
        let watch = match from {
            // So that the answer tells a place.
            From::Now => watch.batch_size(0),
            From::AllBehind(place) | From::Behind(place, _) => watch.resume_after(place.token()?),
            From::Since(time, ..) => watch.start_at_operation_time(Timestamp { time, increment: 0 }),
        };
        Ok(Self(watch.in_time().await?.with_type()))
    }

    /// Returns the next change and whose log it is; `None` if there is none yet.
    pub(super) async fn next(&mut self) -> Result<Option<(TenantId, Change)>, StoreError> {
        while let Some(event) = self.0.next_if_any().in_time().await? {
            let event = Fields(&event);
            // Who has it, where it is removed already?
            let Some(tenant) = event.id_if_any("tenant")? else { continue };
            let change = Change {
                place: Place::of(event.document("_id")?.0)?,
                log: event.document("documentKey")?.id("_id")?,
                is_raise: event.text("operationType")? == "update",
                committed_at: event.cluster_time("clusterTime")?,
            };
            return Ok(Some((tenant, change)));
        }
        if self.0.is_alive() { Ok(None) } else { Err(StoreError::Unavailable(Box::new(Unknown::Ended))) }
    }

    /// Returns how far the changes were read.
    pub(super) fn place(&self) -> Result<Place, StoreError> {
        let token = self.0.resume_token().ok_or_else(|| damaged(Unknown::Place))?;
        Place::of(&bson::serialize_to_raw_document_buf(&token).map_err(damaged)?)
    }
}

#[derive(Debug, Error)]
enum Unknown {
    #[error("the database does not tell the places of changes")]
    Place,
    #[error("the stream of changes has ended, as it does when its collection is removed")]
    Ended,
}

/// Whether the changes that are asked for are gone, or so many that the database does not come through them in time.
pub(super) fn is_out_of_reach(error: &StoreError) -> bool {
    is_gone(error) || matches!(error, StoreError::Unavailable(cause) if cause.is::<NoAnswer>())
}

/// Whether the database no longer knows the changes that are asked for.
fn is_gone(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let is_forgotten = cause.downcast_ref::<Cause>().is_some_and(
        |cause| matches!(&*cause.0.kind, ErrorKind::Command(command) if HISTORY_LOST.contains(&command.code)),
    );
    is_forgotten || cause.is::<Unknown>()
}

/// What reaches one who follows.
pub(super) struct Subscription {
    /// All that is committed behind this place comes.
    pub(super) from: Place,
    pub(super) changes: mpsc::Receiver<Change>,
}

/// The stream of changes that all who follow share. It is open while somebody does. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hub {
    database: Database,
    /// Held while the stream is opened.
    opening: Arc<tokio::sync::Mutex<()>>,
    shared: Arc<Mutex<Option<Shared>>>,
}

/// There while the stream is open.
struct Shared {
    /// All that stands up to here was sent to those who followed then.
    read: Place,
    followers: HashMap<TenantId, Vec<mpsc::Sender<Change>>, RandomState>,
    told: u32,
}

impl Shared {
    /// Lets go of those who follow no more.
    fn look_who_follows(&mut self) {
        self.followers.retain(|_, followers| {
            followers.retain(|follower| !follower.is_closed());
            !followers.is_empty()
        });
    }
}

impl Hub {
    pub(super) fn new(database: Database) -> Self {
        Self { database, opening: Arc::default(), shared: Arc::default() }
    }

    pub(super) async fn subscribe(&self, tenant: TenantId) -> Result<Subscription, StoreError> {
        let opening = timeout(PATIENCE, self.opening.lock()).await;
        let _others_wait = opening.map_err(|_| StoreError::Unavailable(Box::new(NoAnswer)))?;
        if let Some(subscription) = self.subscribe_if_open(tenant) {
            return Ok(subscription);
        }
        let changes = Changes::open(&self.database, From::Now).await?;
        *self.lock() = Some(Shared { read: changes.place()?, followers: HashMap::default(), told: 0 });
        let subscription = self.subscribe_if_open(tenant);
        tokio::spawn(self.clone().tell_all(changes));
        subscription.ok_or_else(|| damaged(Unknown::Place))
    }

    fn subscribe_if_open(&self, tenant: TenantId) -> Option<Subscription> {
        let mut shared = self.lock();
        let shared = shared.as_mut()?;
        let (sender, changes) = mpsc::channel(MOST_WAITING);
        let followers = shared.followers.entry(tenant).or_default();
        followers.retain(|follower| !follower.is_closed());
        followers.push(sender);
        Some(Subscription { from: shared.read.clone(), changes })
    }

    /// Returns how far one who follows was told everything; `None` if something waits for him, or nothing comes any more.
    pub(super) fn told_up_to(&self, subscription: &Subscription) -> Option<Place> {
        let shared = self.lock();
        let is_told_all = subscription.changes.is_empty() && !subscription.changes.is_closed();
        shared.as_ref().filter(|_| is_told_all).map(|shared| shared.read.clone())
    }

    /// Tells all changes until nobody follows.
    async fn tell_all(self, mut changes: Changes) {
        loop {
            let told = match changes.next().await {
                Ok(Some((tenant, change))) => Ok(self.tell(tenant, &change)),
                Ok(None) => changes.place().map(|place| self.read_up_to(place)),
                Err(error) => Err(error),
            };
            match told {
                Ok(is_needed) if is_needed => {}
                Ok(_) => return,
                Err(error) => match self.open_again(error).await {
                    Some(opened) => changes = opened,
                    None => return,
                },
            }
        }
    }

    /// Sends a change to those whom it concerns; who has no room is left out from then on, and finds that out. Returns
    /// whether anybody still follows; otherwise this is the end of the stream.
    fn tell(&self, tenant: TenantId, change: &Change) -> bool {
        let mut open = self.lock();
        let Some(shared) = open.as_mut() else { return false };
        shared.read = change.place.clone();
        if let Some(followers) = shared.followers.get_mut(&tenant) {
            followers.retain(|follower| follower.try_send(change.clone()).is_ok());
            if followers.is_empty() {
                shared.followers.remove(&tenant);
            }
        }
        shared.told = (shared.told + 1) % TOLD_BETWEEN_LOOKS;
        if shared.told == 0 {
            shared.look_who_follows();
        }
        close_if_unneeded(&mut open)
    }

    /// Nothing stands up to here but what was told. Returns what `tell` does.
    fn read_up_to(&self, place: Place) -> bool {
        let mut open = self.lock();
        let Some(shared) = open.as_mut() else { return false };
        shared.read = place;
        shared.look_who_follows();
        close_if_unneeded(&mut open)
    }

    /// Opens the stream where it broke, as soon as the database answers. If that place is forgotten, who follows has to
    /// look for his own.
    async fn open_again(&self, mut error: StoreError) -> Option<Changes> {
        loop {
            let place = self.lock().as_ref().map(|shared| shared.read.clone())?;
            if is_gone(&error) || !self.read_up_to(place.clone()) {
                *self.lock() = None;
                return None;
            }
            warn!(error = ?error, "The changes of the database can't be read; it is asked again");
            sleep(RETRY).await;
            match Changes::open(&self.database, From::AllBehind(place)).await {
                Ok(changes) => return Some(changes),
                Err(again) => error = again,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Shared>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close_if_unneeded(open: &mut Option<Shared>) -> bool {
    let is_needed = open.as_ref().is_some_and(|shared| !shared.followers.is_empty());
    if !is_needed {
        *open = None;
    }
    is_needed
}
