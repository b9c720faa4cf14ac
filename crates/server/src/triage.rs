//! The story of one log entry: decide → consult → record.

use std::sync::Arc;

use async_trait::async_trait;
use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::{Analysis, Degraded},
    clock::Clock,
    log_entry::LogEntry,
    second_opinion::{Consultation, Opinion, SecondOpinion},
    store::{IdempotencyKey, LogId, NewLog, Recorded, Store, StoreError},
    tenant::{Tenant, TenantId},
    time::Timestamp,
};
use thiserror::Error;
use tracing::error;

/// So many stored logs are seen again at start: a fraction of a second.
const MOST_RECALLED: usize = 20_000;

pub struct Triage {
    pub engine: Arc<Engine>,
    pub second_opinion: Arc<dyn SecondOpinion>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
}

/// An entry that was judged and is stored durably.
pub struct Triaged {
    pub log_id: LogId,
    pub analysis: Arc<Analysis>,
    /// The entry had been stored under its idempotency key before; this is the answer of that time.
    pub is_replay: bool,
}

#[derive(Debug, Error)]
pub enum TriageError {
    #[error("the idempotency key was used for another entry")]
    KeyOfAnotherEntry,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Triage {
    pub async fn analyze(
        &self,
        tenant: &Tenant,
        entry: LogEntry,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Triaged, TriageError> {
        let received_at = self.clock.now();
        let (analysis, trace) = self.engine.analyze_for(tenant, received_at, &entry);
        let Consultation { opinion, later } = self.second_opinion.consult(tenant, &entry, &analysis).await;
        let analysis = Arc::new(analysis.raised_by(opinion));

        let tenant = tenant.id;
        let log = NewLog { tenant, entry, analysis: Arc::clone(&analysis), received_at, idempotency_key };
        let recorded = self.store.record(log).await;
        // Only what is stored, and once, counts for later entries. Whoever hangs up meanwhile has sent it all the same.
        match &recorded {
            Ok(Recorded::New(log_id)) => self.engine.stored(&trace, *log_id),
            Ok(Recorded::Before(_) | Recorded::KeyOfAnotherEntry) | Err(_) => self.engine.forget(&trace),
        }
        match recorded? {
            Recorded::New(log_id) => {
                if let Some(later) = later {
                    let added =
                        add_later(later, Arc::clone(&self.store), tenant, log_id, Arc::clone(&analysis));
                    tokio::spawn(added);
                }
                Ok(Triaged { log_id, analysis, is_replay: false })
            }
            Recorded::Before(log) => Ok(Triaged { log_id: log.id, analysis: log.analysis, is_replay: true }),
            Recorded::KeyOfAnotherEntry => Err(TriageError::KeyOfAnotherEntry),
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

/// Adds an opinion that was not there in time to the stored log.
async fn add_later(
    later: impl Future<Output = Opinion>,
    store: Arc<dyn Store>,
    tenant: TenantId,
    log_id: LogId,
    analysis: Arc<Analysis>,
) {
    let opinion = later.await;
    let analysis = Arc::unwrap_or_clone(analysis).raised_by(opinion);
    if let Err(error) = store.add_opinion(tenant, log_id, Arc::new(analysis)).await {
        error!(log.id = %log_id, error = ?error, "The opinion on log {log_id} came late and can't be stored");
    }
}

/// Stands where no language model is to be asked, and says so.
pub struct NoModel;

#[async_trait]
impl SecondOpinion for NoModel {
    async fn consult(&self, _: &Tenant, _: &LogEntry, _: &Analysis) -> Consultation {
        Consultation { opinion: Opinion::unavailable(Degraded::ModelOff), later: None }
    }
}
