//! What a second opinion costs an event whose question was answered before, beside what the rules cost.

use std::{hint::black_box, sync::Arc};

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::Analysis,
    clock::Clock,
    id::ObjectId,
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    second_opinion::{
        Ask, Consultation, Exchange, ExchangeId, Opinion, QuestionKey, RememberedVerdict, SecondOpinion as _,
        Spend,
    },
    store::{ExchangeBook, StoreError},
    tenant::{Plan, Tenant, TenantId},
    time::Timestamp,
};
use sentinelflow_fakes::FakeModel;
use sentinelflow_llm::{ApiKey, Consultant, ProviderKind, Settings};

/// Remembers nothing: what is measured is answered from memory.
struct EmptyBook;

#[async_trait]
impl ExchangeBook for EmptyBook {
    async fn keep_exchange(
        &self,
        _: TenantId,
        _: Exchange,
        _: Vec<RememberedVerdict>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn exchange(&self, _: TenantId, _: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        Ok(None)
    }

    async fn verdicts(
        &self,
        _: TenantId,
        _: Vec<QuestionKey>,
        _: Timestamp,
    ) -> Result<Vec<RememberedVerdict>, StoreError> {
        Ok(Vec::new())
    }

    async fn spent(&self, _: TenantId, _: i64) -> Result<Spend, StoreError> {
        Ok(Spend::default())
    }
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000)
    }
}

fn entry(source: &str, message: &str, metadata: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from(source.to_owned()).expect("it is short"),
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).expect("it is short"),
        metadata: Metadata::parse(metadata).expect("it is an object"),
        timestamp: None,
    }
}

fn day() -> Vec<LogEntry> {
    let lines = (0..1_000).map(|n: u32| match n % 3 {
        0 => entry("sshd", &format!("Jul 17 23:04:{:02} srv sshd[{}]: Failed password for invalid user test from 192.0.2.{} port {} ssh2", n % 60, 1_000 + n, n % 250, 40_000 + n), "{}"),
        1 => entry("nginx", &format!("203.0.113.{} - - [23/Jun/2026:16:12:{:02} +0000] \"GET /items/{}?page=2 HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0\"", n % 250, n % 60, n, 1_000 + n), &format!(r#"{{"client_ip":"203.0.113.{}","status":200}}"#, n % 250)),
        _ => entry("shop", &format!("2026-06-23 16:12:{:02},{:03} INFO job 4fd4a841b8d4{n:04x} finished in {} ms", n % 60, n, 100 + n), &format!(r#"{{"trace_id":"5af0e1c2d3b4{n:020x}","user":"ana","pod":"shop-7f9c4d{n:04x}"}}"#)),
    });
    lines.collect()
}

fn bench(criterion: &mut Criterion) {
    let model = FakeModel::start();
    model.record_nothing();
    let mut settings = Settings::new(ProviderKind::Gemini);
    settings.base_url = model.url();
    settings.key = ApiKey::new("key").ok();
    let consultant =
        Consultant::new(settings, Arc::new(EmptyBook), Arc::new(Standing)).expect("it can be asked");
    let tenant = Tenant {
        id: ObjectId::from_parts(1, [1; 5], 1),
        username: "ana".parse().expect("a valid name"),
        plan: Plan::Free,
        ask: Ask::Always,
        created_at: Timestamp::from_millis(0),
    };
    let engine = Engine::built_in();
    let day = day();
    let judged: Vec<Analysis> = day.iter().map(|entry| engine.analyze(entry)).collect();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let _within = runtime.enter();
    let consult = |entry, analysis| match consultant.consult(&tenant, entry, analysis) {
        Consultation::Known(opinion) => opinion,
        Consultation::Asking(asking) => runtime.block_on(asking).opinion,
    };
    for (entry, analysis) in day.iter().zip(&judged) {
        consult(entry, analysis);
    }
    let is_remembered = |opinion: &Opinion| matches!(opinion, Opinion::Given { is_remembered: true, .. });
    let known =
        day.iter().zip(&judged).filter(|(entry, analysis)| is_remembered(&consult(entry, analysis))).count();
    assert_eq!(known, day.len(), "everything was answered before");

    let mut group = criterion.benchmark_group("a day's mix, 1,000 events");
    group.throughput(Throughput::Elements(day.len() as u64)).sample_size(20);
    group.bench_function("the rules judge", |bencher| {
        bencher.iter(|| day.iter().for_each(|entry| drop(black_box(engine.analyze(entry)))));
    });
    group.bench_function("a remembered opinion", |bencher| {
        bencher.iter(|| {
            day.iter().zip(&judged).for_each(|(entry, analysis)| drop(black_box(consult(entry, analysis))));
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
