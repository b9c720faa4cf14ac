//! The story of a second opinion: mask → remembered? → budget → ask → check. An outage is an answer, nobody waits longer
//! than the deadline, and whatever left the process can be read back.

mod asking;
mod models;
mod queue;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::Counter;
use moka::sync::Cache;
use sentinelflow_domain::{
    analysis::{Analysis, Degraded},
    clock::Clock,
    log_entry::LogEntry,
    second_opinion::{
        Ask, AskedIn, Consultation, InTime, ModelVerdict, Opinion, QuestionKey, RememberedVerdict,
        SecondOpinion, Spend,
    },
    store::ExchangeBook,
    tenant::{Tenant, TenantId},
    time::Timestamp,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    breaker::Breaker,
    budget::Budget,
    gemini::Gemini,
    mask::Placeholders,
    meters,
    openai_compatible::OpenAiCompatible,
    provider::{Destination, Provider, Sender},
    question::{Draft, Question},
    settings::{ProviderKind, Settings},
};

use self::{
    models::Models,
    queue::{Queue, Waiting},
};

/// So many questions of a tenant may be open at the same time; beyond that its events are answered for without the model.
const MOST_OPEN: usize = 1024;
/// Of so many questions it is known that they were asked in company.
const MOST_IN_COMPANY: u64 = 100_000;
/// Of so many uses of remembered verdicts, one leads to the question being asked again.
const ONE_RECHECK_IN: u64 = 100;
/// The same question is asked again at most once in so long a time, however often it comes.
const RECHECK_PAUSE: Duration = Duration::from_hours(1);

/// Asks a language model. Cheap to clone.
#[derive(Clone)]
pub struct Consultant(Arc<Inner>);

struct Inner {
    settings: Settings,
    provider: Box<dyn Provider>,
    sender: Sender,
    models: Models,
    book: Arc<dyn ExchangeBook>,
    clock: Arc<dyn Clock>,
    remembered: Cache<Name, Known>,
    /// Questions that were asked together with others: what one record says may have coloured the verdict on another, so
    /// such verdicts are not remembered, and when the question comes again it is asked alone.
    asked_in_company: Cache<Name, ()>,
    open: Mutex<OpenQuestions>,
    /// Questions that may have been answered before, as the store knows.
    to_look_up: Queue,
    to_ask: Queue,
    budget: Budget,
    breaker: Breaker,
    permits: Arc<Semaphore>,
    /// When an answer that can't be used was last warned of.
    warned: Mutex<Option<Instant>>,
    /// How many remembered verdicts were used, for the turn of the next recheck.
    uses: AtomicU64,
    /// The same for the meters; held, because it moves with nearly every event.
    remembered_used: Counter,
    rechecked: Cache<Name, ()>,
}

/// A question of a tenant. Verdicts are never shared between tenants.
type Name = (TenantId, QuestionKey);

/// A question that is being asked; whoever asks the same waits along.
type Flight = watch::Receiver<Option<Outcome>>;

/// The questions that are being asked.
#[derive(Default)]
struct OpenQuestions {
    flights: HashMap<Name, Flight>,
    per_tenant: HashMap<TenantId, usize>,
}

/// What became of a question that was to be opened.
enum Added {
    New,
    Known(Flight),
    TooMany,
}

impl OpenQuestions {
    fn add(&mut self, name: Name, flight: Flight) -> Added {
        if let Some(known) = self.flights.get(&name) {
            return Added::Known(known.clone());
        }
        let count = self.per_tenant.entry(name.0).or_default();
        if *count >= MOST_OPEN {
            return Added::TooMany;
        }
        *count += 1;
        self.flights.insert(name, flight);
        Added::New
    }

    fn remove(&mut self, name: &Name) {
        self.flights.remove(name);
        if let Some(count) = self.per_tenant.get_mut(&name.0) {
            *count -= 1;
            if *count == 0 {
                self.per_tenant.remove(&name.0);
            }
        }
    }
}

/// A verdict that answers the same question again.
#[derive(Clone)]
struct Known {
    verdict: Arc<ModelVerdict>,
    expires_at: Timestamp,
}

impl From<RememberedVerdict> for Known {
    fn from(RememberedVerdict { verdict, expires_at, .. }: RememberedVerdict) -> Self {
        Self { verdict: Arc::new(verdict), expires_at }
    }
}

/// What came of a question.
#[derive(Debug, Clone)]
enum Outcome {
    Given { verdict: Arc<ModelVerdict>, is_remembered: bool },
    Unavailable { reason: Degraded, asked: Option<AskedIn> },
}

impl Outcome {
    fn unavailable(reason: Degraded) -> Self {
        Self::Unavailable { reason, asked: None }
    }
}

impl Consultant {
    /// Returns a consultant that asks as the settings say; it opens no connection before it is asked. An error says that
    /// nothing can be sent from here, as where no certificates are found to know a server by.
    pub fn new(
        settings: Settings,
        book: Arc<dyn ExchangeBook>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let (provider, sender) = connection(&settings)?;
        let limit = Spend { tokens: settings.tokens_per_day, nano_usd: settings.nano_usd_per_day };
        let remembered =
            Cache::builder().max_capacity(settings.cache_entries).time_to_live(settings.cache_ttl).build();
        Ok(Self(Arc::new(Inner {
            models: Models::new(&settings.model, &settings.fallback_models),
            remembered,
            asked_in_company: Cache::builder().max_capacity(MOST_IN_COMPANY).build(),
            open: Mutex::default(),
            to_look_up: Queue::default(),
            to_ask: Queue::default(),
            budget: Budget::new(limit),
            breaker: Breaker::new(),
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            warned: Mutex::default(),
            uses: AtomicU64::new(0),
            remembered_used: meters::remembered(),
            rechecked: Cache::builder()
                .max_capacity(settings.cache_entries)
                .time_to_live(RECHECK_PAUSE)
                .build(),
            settings,
            provider,
            sender,
            book,
            clock,
        })))
    }
}

/// Returns whose API is spoken and what carries it.
pub(crate) fn connection(settings: &Settings) -> Result<(Box<dyn Provider>, Sender), reqwest::Error> {
    let provider: Box<dyn Provider> = match settings.provider {
        ProviderKind::Gemini => Box::new(Gemini { thinking_level: settings.thinking_level.clone() }),
        ProviderKind::OpenAiCompatible => Box::new(OpenAiCompatible),
    };
    let destination = Destination {
        base_url: &settings.base_url,
        path: settings.path.as_deref(),
        auth_header: settings.auth_header.clone(),
        key: settings.key.as_ref(),
        request_timeout: settings.request_timeout,
    };
    let sender = Sender::new(&*provider, destination)?;
    Ok((provider, sender))
}

impl SecondOpinion for Consultant {
    /// To be called within a runtime.
    fn consult(&self, tenant: &Tenant, entry: &LogEntry, analysis: &Analysis) -> Consultation {
        let inner = &self.0;
        let ask = inner.settings.ask.min(tenant.ask);
        if ask == Ask::Never {
            return Consultation::Known(
                inner.told(Outcome::unavailable(Degraded::ModelOff), &Placeholders::default()),
            );
        }
        if !ask.includes(analysis.score) {
            return Consultation::Known(Opinion::NotAsked);
        }
        // Not even memory is asked: events come as fast as the rules judge them.
        if let Some(reason) = inner.breaker.refuses() {
            return Consultation::Known(inner.told(Outcome::unavailable(reason), &Placeholders::default()));
        }
        let mut draft = Draft::about(entry, analysis, &inner.models.current());
        let placeholders = std::mem::take(&mut draft.placeholders);
        let name = (tenant.id, draft.key);
        let question = || draft.question(entry, analysis);
        if let Some(verdict) = inner.recall(&name) {
            inner.recheck_now_and_then(name, question, &verdict);
            let remembered = Outcome::Given { verdict, is_remembered: true };
            return Consultation::Known(inner.told(remembered, &placeholders));
        }
        match inner.join_or_start(name, question) {
            Ok(flight) => Consultation::Asking(Box::pin(Arc::clone(inner).in_time(flight, placeholders))),
            Err(reason) => Consultation::Known(inner.told(Outcome::unavailable(reason), &placeholders)),
        }
    }
}

/// Waits for what comes of a question.
async fn landed(flight: &mut Flight) -> Outcome {
    let landed = flight.wait_for(Option::is_some).await;
    let outcome = landed.ok().and_then(|outcome| outcome.clone());
    // Only a defect of ours ends a flight without an outcome.
    outcome.unwrap_or_else(|| Outcome::unavailable(Degraded::ModelUnavailable))
}

impl Inner {
    /// Waits until the deadline for what comes of a question.
    async fn in_time(self: Arc<Self>, mut flight: Flight, placeholders: Placeholders) -> InTime {
        if let Ok(outcome) = tokio::time::timeout(self.settings.timeout, landed(&mut flight)).await {
            return InTime { opinion: self.told(outcome, &placeholders), later: None };
        }
        let opinion = self.told(Outcome::unavailable(Degraded::ModelTimeout), &placeholders);
        let later = async move {
            match landed(&mut flight).await {
                // It was counted at the deadline.
                Outcome::Unavailable { reason, asked } => Opinion::Unavailable { reason, asked },
                given @ Outcome::Given { .. } => self.told(given, &placeholders),
            }
        };
        InTime { opinion, later: Some(Box::pin(later)) }
    }

    /// Returns the opinion on one event, whose own values stand in the model's words. It is counted.
    fn told(&self, outcome: Outcome, placeholders: &Placeholders) -> Opinion {
        let (verdict, is_remembered) = match outcome {
            Outcome::Unavailable { reason, asked } => {
                meters::unavailable(reason);
                return Opinion::Unavailable { reason, asked };
            }
            Outcome::Given { verdict, is_remembered } => (verdict, is_remembered),
        };
        if is_remembered {
            self.remembered_used.increment(1);
        } else {
            meters::given();
        }
        let mut verdict = Arc::unwrap_or_clone(verdict);
        if let Some(summary) = placeholders.restored(&verdict.summary) {
            verdict.summary = summary.into();
        }
        let measures = verdict.prevention_measures.as_deref().and_then(|words| placeholders.restored(words));
        if let Some(measures) = measures {
            verdict.prevention_measures = Some(measures.into());
        }
        Opinion::Given { verdict, is_remembered }
    }

    /// Returns the verdict that the same question got, unless another model answers by now.
    fn recall(&self, name: &Name) -> Option<Arc<ModelVerdict>> {
        let known = self.remembered.get(name)?;
        let is_valid = known.expires_at > self.clock.now() && self.models.still_answers(&known.verdict.model);
        is_valid.then_some(known.verdict)
    }

    /// Returns the flight of a question, or why there is none.
    fn join_or_start(
        self: &Arc<Self>,
        name: Name,
        question: impl FnOnce() -> Question,
    ) -> Result<Flight, Degraded> {
        let (landing, flight) = watch::channel(None);
        match self.lock_open().add(name, flight.clone()) {
            Added::Known(flight) => return Ok(flight),
            Added::TooMany => return Err(Degraded::ModelRateLimited),
            Added::New => {}
        }
        let open = Some(Departure { inner: Arc::clone(self), name });
        self.look_up_soon(name.0, Waiting { question: question(), asked: None, open, landing });
        Ok(flight)
    }

    /// Asks again about a few of the questions whose answers are remembered, and counts how often they agree.
    fn recheck_now_and_then(
        self: &Arc<Self>,
        name: Name,
        question: impl FnOnce() -> Question,
        known: &Arc<ModelVerdict>,
    ) {
        if !self.uses.fetch_add(1, Ordering::Relaxed).wrapping_add(1).is_multiple_of(ONE_RECHECK_IN) {
            return;
        }
        if self.rechecked.contains_key(&name) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
        self.rechecked.insert(name, ());
        let (inner, known, question, tenant) = (Arc::clone(self), Arc::clone(known), question(), name.0);
        tokio::spawn(async move {
            // What it has spent is known since the verdict was first looked for, unless the day is new.
            if inner.budget.knows(tenant, inner.clock.now())
                && let Outcome::Given { verdict, .. } = inner.ask_alone(tenant, question).await
            {
                meters::rechecked(verdict.score.severity() == known.score.severity());
            }
            drop(permit);
        });
    }

    fn lock_open(&self) -> std::sync::MutexGuard<'_, OpenQuestions> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is open as long as this lives.
struct Departure {
    inner: Arc<Inner>,
    name: Name,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.inner.lock_open().remove(&self.name);
    }
}
