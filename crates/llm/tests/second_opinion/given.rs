//! What the tests start from: a tenant, entries, a book in memory, and a consultant of a fake provider.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::{Analysis, Degraded},
    clock::Clock,
    id::ObjectId,
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    second_opinion::{
        Ask, Exchange, ExchangeId, InTime, Opinion, QuestionKey, RememberedVerdict, SecondOpinion as _, Spend,
    },
    store::{ExchangeBook, StoreError},
    tenant::{Plan, Tenant, TenantId},
    time::Timestamp,
};
use sentinelflow_fakes::{FakeModel, Mind};
use sentinelflow_llm::{ApiKey, Consultant, ProviderKind, Settings};

pub(crate) const KEY: &str = "AQ.a-key-that-nobody-may-see";
pub(crate) const FAILED_LOGIN: &str = "Failed password for root from 203.0.113.7 port 4711 ssh2";

/// A book that lives as long as the test.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    exchanges: Vec<(TenantId, Exchange)>,
    verdicts: HashMap<(TenantId, QuestionKey), RememberedVerdict>,
    spent: HashMap<(TenantId, i64), Spend>,
    is_full: bool,
}

impl Book {
    /// From now on nothing can be added.
    pub(crate) fn fill(&self) {
        self.0.lock().unwrap().is_full = true;
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.0.lock().unwrap().exchanges.iter().map(|(_, exchange)| exchange.clone()).collect()
    }

    pub(crate) fn verdicts(&self) -> Vec<RememberedVerdict> {
        self.0.lock().unwrap().verdicts.values().cloned().collect()
    }

    pub(crate) fn total_spent(&self) -> Spend {
        let mut total = Spend::default();
        self.0.lock().unwrap().spent.values().for_each(|spent| total += *spent);
        total
    }
}

#[async_trait]
impl ExchangeBook for Book {
    async fn keep_exchange(
        &self,
        tenant: TenantId,
        exchange: Exchange,
        verdicts: Vec<RememberedVerdict>,
    ) -> Result<(), StoreError> {
        let mut pages = self.0.lock().unwrap();
        if pages.is_full {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        let day = exchange.asked_at.as_millis().div_euclid(86_400_000);
        *pages.spent.entry((tenant, day)).or_default() += exchange.spent;
        pages.exchanges.push((tenant, exchange));
        pages.verdicts.extend(verdicts.into_iter().map(|verdict| ((tenant, verdict.key), verdict)));
        Ok(())
    }

    async fn exchange(&self, tenant: TenantId, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        let pages = self.0.lock().unwrap();
        let mut found =
            pages.exchanges.iter().filter(|(owner, exchange)| *owner == tenant && exchange.id == id);
        Ok(found.next().map(|(_, exchange)| exchange.clone()))
    }

    async fn verdicts(
        &self,
        tenant: TenantId,
        keys: Vec<QuestionKey>,
        now: Timestamp,
    ) -> Result<Vec<RememberedVerdict>, StoreError> {
        let pages = self.0.lock().unwrap();
        let found = keys.iter().filter_map(|key| pages.verdicts.get(&(tenant, *key)));
        Ok(found.filter(|verdict| verdict.expires_at > now).cloned().collect())
    }

    async fn spent(&self, tenant: TenantId, day: i64) -> Result<Spend, StoreError> {
        Ok(self.0.lock().unwrap().spent.get(&(tenant, day)).copied().unwrap_or_default())
    }
}

/// A clock that stands until it is set.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Everything that a consultation needs.
pub(crate) struct Room {
    pub(crate) model: FakeModel,
    pub(crate) book: Arc<Book>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) engine: Engine,
    pub(crate) consultant: Consultant,
}

impl Room {
    pub(crate) fn new(model: FakeModel, set: impl FnOnce(&mut Settings)) -> Self {
        Self::speaking(ProviderKind::Gemini, model, set)
    }

    pub(crate) fn honest() -> Self {
        Self::new(FakeModel::start(), |_| {})
    }

    pub(crate) fn of_mind(mind: Mind) -> Self {
        Self::new(FakeModel::start_with(mind), |_| {})
    }

    pub(crate) fn speaking(
        provider: ProviderKind,
        model: FakeModel,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        let book = Arc::new(Book::default());
        let clock = Arc::new(SetClock(AtomicI64::new(1_000)));
        let consultant = consultant(provider, &model, &book, &clock, set);
        Self { model, book, clock, engine: Engine::built_in(), consultant }
    }

    /// Starts another consultant on the same book, as after a restart.
    pub(crate) fn restarted(self, set: impl FnOnce(&mut Settings)) -> Self {
        let consultant = consultant(ProviderKind::Gemini, &self.model, &self.book, &self.clock, set);
        Self { consultant, ..self }
    }

    /// Returns what the rules say of an entry.
    pub(crate) fn local(&self, entry: &LogEntry) -> Analysis {
        self.engine.analyze(entry)
    }

    pub(crate) async fn consult(&self, entry: &LogEntry) -> InTime {
        self.consultant.consult(&tenant(1), entry, &self.local(entry)).in_time().await
    }

    pub(crate) async fn opinion(&self, entry: &LogEntry) -> Opinion {
        self.consult(entry).await.opinion
    }

    /// Returns why there is no opinion.
    pub(crate) async fn reason(&self, entry: &LogEntry) -> Option<Degraded> {
        reason(&self.opinion(entry).await)
    }
}

fn consultant(
    provider: ProviderKind,
    model: &FakeModel,
    book: &Arc<Book>,
    clock: &Arc<SetClock>,
    set: impl FnOnce(&mut Settings),
) -> Consultant {
    let mut settings = Settings::new(provider);
    settings.key = Some(ApiKey::new(KEY).unwrap());
    settings.base_url = match provider {
        ProviderKind::Gemini => model.url(),
        ProviderKind::OpenAiCompatible => format!("{}/v1", model.url()),
    };
    if provider == ProviderKind::OpenAiCompatible {
        "llama3".clone_into(&mut settings.model);
    }
    settings.request_timeout = Duration::from_secs(10);
    set(&mut settings);
    Consultant::new(settings, Arc::clone(book) as _, Arc::clone(clock) as _).unwrap()
}

pub(crate) fn reason(opinion: &Opinion) -> Option<Degraded> {
    match opinion {
        Opinion::Unavailable { reason, .. } => Some(*reason),
        Opinion::Given { .. } | Opinion::NotAsked => None,
    }
}

pub(crate) fn is_remembered(opinion: &Opinion) -> bool {
    matches!(opinion, Opinion::Given { is_remembered: true, .. })
}

pub(crate) fn is_fresh(opinion: &Opinion) -> bool {
    matches!(opinion, Opinion::Given { is_remembered: false, .. })
}

pub(crate) fn tenant(number: u32) -> Tenant {
    Tenant {
        id: ObjectId::from_parts(1, [1; 5], number),
        username: "ana".parse().unwrap(),
        plan: Plan::Free,
        ask: Ask::Always,
        created_at: Timestamp::from_millis(0),
    }
}

pub(crate) fn entry(message: &str) -> LogEntry {
    entry_of("app", message, "{}")
}

pub(crate) fn entry_of(source: &str, message: &str, metadata: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from(source.to_owned()).unwrap(),
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).unwrap(),
        metadata: Metadata::parse(metadata).unwrap(),
        timestamp: None,
    }
}
