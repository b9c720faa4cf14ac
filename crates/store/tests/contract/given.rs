//! Words for the tests: stores, tenants, logs and times.

use std::{future::Future, sync::Arc};

use proptest::test_runner::{Config, TestRunner};
use sentinelflow_domain::{
    analysis::{Analysis, Category, Detection, Evidence, Level, ModelOpinion, Score},
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    second_opinion::{AskedIn, ExchangeId, ModelVerdict},
    store::{LogFilter, LogId, LogRecord, NewLog, NewTenant, Recorded, StatusFilter, Store},
    tenant::{Plan, Tenant, TenantId},
    time::Timestamp,
};
use tokio::task::JoinSet;

pub(crate) type AnyStore = Arc<dyn Store>;

/// A store, and what must live as long as it.
pub(crate) struct Opened {
    pub(crate) store: AnyStore,
    pub(crate) _place: Box<dyn Send>,
}

/// A Thursday morning in January 2024.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_706_176_800_000 + ms)
}

pub(crate) fn new_tenant(name: &str) -> NewTenant {
    NewTenant {
        username: name.parse().unwrap(),
        plan: Plan::Free,
        password: None,
        api_key: None,
        created_at: at(0),
    }
}

pub(crate) async fn tenant(store: &AnyStore, name: &str) -> Tenant {
    store.sign_up(new_tenant(name)).await.unwrap()
}

pub(crate) fn entry(message: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from("sshd".to_owned()).unwrap(),
        event_id: 4625,
        severity_level: SeverityLevel::Warning,
        message: Message::try_from(message.to_owned()).unwrap(),
        metadata: Metadata::parse(r#"{"ip": "203.0.113.9", "big": 12345678901234567890.10}"#).unwrap(),
        timestamp: Some(at(-5)),
    }
}

pub(crate) fn analysis(score: u8) -> Analysis {
    Analysis {
        score: Score::saturating(score),
        category: Category::BruteForce,
        summary: format!("Scored {score}").into(),
        prevention_measures: "Lock the account.".into(),
        techniques: vec!["T1110".into()],
        detections: vec![Detection {
            id: "rule-1".into(),
            title: "Many failures".into(),
            level: Level::High,
            evidence: vec![Evidence { field: "message".into(), excerpt: "Failed".into() }],
            events: Vec::new(),
        }],
        opinion: None,
        degraded: None,
        asked: None,
        engine_version: "0.1.0".into(),
        rule_set: "9f3c".into(),
    }
}

pub(crate) fn verdict(score: u8) -> ModelVerdict {
    ModelVerdict {
        model: "gemini-flash".into(),
        score: Score::saturating(score),
        summary: "A \"list\" of\0passwords was tried. ß€𝄞".into(),
        prevention_measures: Some("Demand\u{2028}a second factor.".into()),
        technique: Some("T1110".into()),
        asked: asked_in(1),
    }
}

pub(crate) fn asked_in(exchange: u8) -> AskedIn {
    AskedIn { exchange: ExchangeId([exchange; 16]), record: "r1".into() }
}

/// An analysis with a model's opinion.
pub(crate) fn with_opinion(score: u8) -> Arc<Analysis> {
    let opinion = ModelOpinion { verdict: verdict(score), is_remembered: true, is_contested: true };
    let summary = format!("Scored {score} by a model").into();
    Arc::new(Analysis {
        category: Category::Other,
        summary,
        opinion: Some(Box::new(opinion)),
        ..analysis(score)
    })
}

pub(crate) fn log(tenant: TenantId, message: &str, score: u8) -> NewLog {
    NewLog {
        tenant,
        entry: entry(message),
        analysis: Arc::new(analysis(score)),
        received_at: at(0),
        idempotency_key: None,
    }
}

pub(crate) async fn record(store: &AnyStore, log: NewLog) -> LogId {
    match store.record(log).await.unwrap() {
        Recorded::New(id) => id,
        other => panic!("expected a new log, not {other:?}"),
    }
}

/// Records all at the same time; returns the ids in the order of the logs.
pub(crate) async fn record_all(store: &AnyStore, logs: Vec<NewLog>) -> Vec<LogId> {
    let mut tasks = JoinSet::new();
    for (place, log) in logs.into_iter().enumerate() {
        let store = store.clone();
        tasks.spawn(async move { (place, record(&store, log).await) });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    ids.into_iter().map(|(_, id)| id).collect()
}

pub(crate) fn everything() -> LogFilter {
    LogFilter { status: StatusFilter::All, limit: 500, ..LogFilter::default() }
}

/// Follows the cursors to the end.
pub(crate) async fn all_pages(store: &AnyStore, tenant: TenantId, mut filter: LogFilter) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let page = store.recent(tenant, filter.clone()).await.unwrap();
        assert!(page.items.len() <= filter.limit);
        assert!(!page.items.is_empty() || records.is_empty(), "a cursor led to an empty page");
        records.extend(page.items);
        let Some(next) = page.next else { return records };
        filter.before = Some(next);
    }
}

pub(crate) fn ids(records: &[LogRecord]) -> Vec<LogId> {
    records.iter().map(|record| record.id).collect()
}

/// Asks a property of a store. Each case makes its own tenant.
pub(crate) fn for_all<S, F>(cases: u32, strategy: &S, mut property: impl FnMut(S::Value) -> F)
where
    S: proptest::strategy::Strategy,
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let property = std::cell::RefCell::new(&mut property);
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(strategy, |value| {
                let case = (property.borrow_mut())(value);
                runtime.block_on(case);
                Ok(())
            })
            .unwrap();
    });
}
