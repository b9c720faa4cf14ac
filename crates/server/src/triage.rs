//! The story of one log entry: decide → consult → record → tell who listens.

use std::{sync::Arc, time::Duration};

use sentinelflow_detect::{Engine, Trace};
use sentinelflow_domain::{
    analysis::Analysis,
    clock::Clock,
    log_entry::LogEntry,
    second_opinion::{Consultation, InTime, Opinion, SecondOpinion},
    store::{IdempotencyKey, LogId, LogRecord, NewLog, Recorded, Store, StoreError},
    tenant::{Tenant, TenantId},
    time::Timestamp,
};
use thiserror::Error;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::listeners::Listeners;

/// So many stored logs are seen again at start: a fraction of a second.
const MOST_RECALLED: usize = 20_000;

pub struct Triage {
    pub engine: Arc<Engine>,
    pub second_opinion: Arc<dyn SecondOpinion>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    /// Who is told of new threats.
    pub listeners: Listeners,
    /// Opinions that come later.
    pub late: TaskTracker,
}

/// An entry that was judged and is stored durably.
pub struct Triaged {
    pub log_id: LogId,
    pub analysis: Arc<Analysis>,
    /// The entry had been stored under its idempotency key before; this is the answer of that time.
    pub is_replay: bool,
}

impl Triaged {
    fn again(log: LogRecord) -> Self {
        Self { log_id: log.id, analysis: log.analysis, is_replay: true }
    }
}

#[derive(Debug, Error)]
pub enum TriageError {
    #[error("the idempotency key was used for another entry")]
    KeyOfAnotherEntry,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the entry's task broke off")]
    BrokeOff(#[from] JoinError),
}

impl Triage {
    pub async fn analyze(
        &self,
        tenant: &Tenant,
        entry: LogEntry,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Triaged, TriageError> {
        if let Some(key) = &idempotency_key
            && let Some(known) = self.store.recorded_under(tenant.id, key).await?
        {
            // Neither judged nor asked about again.
            let is_same = known.entry == entry;
            return if is_same { Ok(Triaged::again(known)) } else { Err(TriageError::KeyOfAnotherEntry) };
        }
        let received_at = self.clock.now();
        let (analysis, trace) = self.engine.analyze_for(tenant, received_at, &entry);
        let consultation = self.second_opinion.consult(tenant, &entry, &analysis);
        let judged = Judged { tenant: tenant.id, entry, analysis, trace, received_at, idempotency_key };
        let (engine, store) = (Arc::clone(&self.engine), Arc::clone(&self.store));
        let (listeners, late) = (self.listeners.clone(), self.late.clone());
        match consultation {
            Consultation::Known(opinion) => {
                let in_time = InTime { opinion, later: None };
                judged.record(&engine, &store, &listeners, &late, in_time).await
            }
            Consultation::Asking(asking) => {
                // Whoever hangs up meanwhile has sent it all the same.
                let recorded = tokio::spawn(async move {
                    judged.record(&engine, &store, &listeners, &late, asking.await).await
                });
                recorded.await?
            }
        }
    }

    /// Waits a while for opinions that are still to come. An event whose opinion does not come has its reason stored.
    pub async fn settle(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        self.late.close();
        if tokio::time::timeout(PATIENCE, self.late.wait()).await.is_err() {
            warn!("{} opinions did not come before the end", self.late.len());
        }
    }

    /// Lets the engine see again what was stored of late, so that a pattern that began before a restart is completed.
    pub async fn recall(&self) -> Result<(), StoreError> {
        let since = Timestamp::from_millis(self.clock.now().as_millis() - self.engine.memory_ms());
        let mut last = None;
        loop {
            let page = self.store.replay(since, MOST_RECALLED, last).await?;
            let Some((_, newest)) = page.last() else { return Ok(()) };
            last = Some(newest.id);
            for (tenant, log) in page {
                let (_, trace) = self.engine.analyze_after(tenant, log.received_at, &log.entry);
                self.engine.stored(&trace, log.id);
            }
        }
    }
}

/// An entry that the rules have judged.
struct Judged {
    tenant: TenantId,
    entry: LogEntry,
    analysis: Analysis,
    trace: Trace,
    received_at: Timestamp,
    idempotency_key: Option<IdempotencyKey>,
}

impl Judged {
    async fn record(
        self,
        engine: &Engine,
        store: &Arc<dyn Store>,
        listeners: &Listeners,
        late: &TaskTracker,
        InTime { opinion, later }: InTime,
    ) -> Result<Triaged, TriageError> {
        let Self { tenant, entry, analysis, trace, received_at, idempotency_key } = self;
        let analysis = Arc::new(analysis.raised_by(opinion));
        let log = NewLog { tenant, entry, analysis: Arc::clone(&analysis), received_at, idempotency_key };
        let recorded = store.record(log).await;
        // Only what is stored, and once, counts for later entries.
        match &recorded {
            Ok(Recorded::New(log_id)) => engine.stored(&trace, *log_id),
            Ok(Recorded::Before(_) | Recorded::KeyOfAnotherEntry) | Err(_) => engine.forget(&trace),
        }
        let recorded = recorded?;
        if let (Recorded::New(log_id), Some(later)) = (&recorded, later) {
            let (store, listeners) = (Arc::clone(store), listeners.clone());
            late.spawn(add_later(later, store, listeners, tenant, *log_id, Arc::clone(&analysis)));
        }
        match recorded {
            Recorded::New(log_id) => {
                listeners.recorded(tenant, log_id, analysis.score);
                Ok(Triaged { log_id, analysis, is_replay: false })
            }
            Recorded::Before(log) => Ok(Triaged::again(*log)),
            Recorded::KeyOfAnotherEntry => Err(TriageError::KeyOfAnotherEntry),
        }
    }
}

/// Adds an opinion that was not there in time to the stored log.
async fn add_later(
    later: impl Future<Output = Opinion>,
    store: Arc<dyn Store>,
    listeners: Listeners,
    tenant: TenantId,
    log_id: LogId,
    analysis: Arc<Analysis>,
) {
    let opinion = later.await;
    if matches!(opinion, Opinion::Unavailable { asked: None, .. }) {
        // It tells nothing that is not stored.
        return;
    }
    let was_threat = analysis.score.is_threat();
    let analysis = Arc::unwrap_or_clone(analysis).raised_by(opinion);
    let becomes_threat = !was_threat && analysis.score.is_threat();
    let adding = store.add_opinion(tenant, log_id, Arc::new(analysis));
    let added =
        if becomes_threat { listeners.raise(tenant, log_id, adding).await } else { adding.await.map(drop) };
    if let Err(error) = added {
        error!(log.id = %log_id, error = ?error, "The opinion on log {log_id} came late and can't be stored");
    }
}
