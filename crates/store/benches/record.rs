//! What recording and reading cost: `cargo bench -p sentinelflow-store`.
//! Wall time of `record` is mostly the disk's sync; the CPU time of a record is printed at the end.

use std::{hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, Throughput, criterion_group};
use sentinelflow_domain::{
    analysis::{Analysis, Category, Detection, Evidence, Level, Score},
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    store::{LogBook, LogFilter, NewLog, NewTenant, StatsBook, TenantBook},
    tenant::{Plan, TenantId},
    time::Timestamp,
};
use sentinelflow_store::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// As many as `DESIGN.md` measures the server with.
const CONNECTIONS: u64 = 64;
const STORED: u64 = 100_000;

struct Bench {
    runtime: Runtime,
    store: Arc<SqliteStore>,
    tenant: TenantId,
    _place: TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
        let place = TempDir::new().expect("a temporary directory can be made");
        let store = Arc::new(SqliteStore::open(place.path()).expect("an empty directory can be opened"));
        let new = NewTenant {
            username: "bench".parse().expect("the name is valid"),
            plan: Plan::Free,
            password: None,
            api_key: None,
            created_at: moment(0),
        };
        let tenant = runtime.block_on(store.sign_up(new)).expect("the name is free").id;
        Self { runtime, store, tenant, _place: place }
    }

    /// Records `each` logs one after the other on as many tasks as there are connections.
    fn record(&self, each: u64) {
        self.runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for connection in 0..CONNECTIONS {
                let (store, tenant) = (Arc::clone(&self.store), self.tenant);
                tasks.spawn(async move {
                    for number in 0..each {
                        let log = log(tenant, connection * each + number);
                        black_box(store.record(log).await.expect("the store works"));
                    }
                });
            }
            tasks.join_all().await;
        });
    }
}

fn moment(number: u64) -> Timestamp {
    Timestamp::from_millis(1_706_176_800_000 + i64::try_from(number).expect("it is small"))
}

/// A failed login as the engine judges it; one log in five is a threat.
fn log(tenant: TenantId, number: u64) -> NewLog {
    let is_threat = number.is_multiple_of(5);
    let ip = number % 251;
    let entry = LogEntry {
        source: Source::try_from("sshd".to_owned()).expect("it is short"),
        event_id: 4625,
        severity_level: SeverityLevel::Warning,
        message: Message::try_from(format!(
            "Failed password for invalid user admin{number} from 203.0.113.{ip} port 52113 ssh2"
        ))
        .expect("it is short"),
        metadata: Metadata::parse(&format!(r#"{{"ip":"203.0.113.{ip}","host":"web-1"}}"#))
            .expect("it is an object"),
        timestamp: None,
    };
    let detections = is_threat.then(|| Detection {
        id: "sshd-brute-force".into(),
        title: "Repeated failed logins from one address".into(),
        level: Level::High,
        evidence: vec![Evidence { field: "message".into(), excerpt: entry.message.as_str().to_owned() }],
        events: Vec::new(),
    });
    let analysis = Analysis {
        score: Score::saturating(if is_threat { 75 } else { 5 }),
        category: if is_threat { Category::BruteForce } else { Category::None },
        summary: format!("203.0.113.{ip} failed to log in as admin{number}.").into(),
        prevention_measures: "Block the address, require keys instead of passwords, and limit attempts."
            .into(),
        techniques: is_threat.then(|| "T1110.001".into()).into_iter().collect(),
        detections: detections.into_iter().collect(),
        opinion: None,
        degraded: None,
        asked: None,
        engine_version: "0.1.0".into(),
        rule_set: "9f3c5d2e8a7b41c09f3c5d2e8a7b41c0".into(),
    };
    NewLog { tenant, entry, analysis: Arc::new(analysis), received_at: moment(number), idempotency_key: None }
}

fn record(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(CONNECTIONS)).sample_size(20);
    group.bench_function("64 at once", |bencher| bencher.iter(|| bench.record(1)));
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let bench = Bench::new();
    bench.record(STORED / CONNECTIONS);
    let mut group = criterion.benchmark_group("read at 100,000 logs");
    group.bench_function("recent", |bencher| {
        bencher.iter(|| bench.runtime.block_on(bench.store.recent(bench.tenant, LogFilter::default())));
    });
    let now = moment(STORED).as_minutes();
    group.bench_function("per_minute", |bencher| {
        bencher.iter(|| bench.runtime.block_on(bench.store.per_minute(bench.tenant, now - 30, now + 1)));
    });
    group.finish();
}

/// Prints user and system time of a record, read from `/proc`; 100 ticks a second are Linux's constant.
fn print_cpu_time() {
    let ticks = || -> Option<[u64; 2]> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
    };
    let bench = Bench::new();
    bench.record(100);
    let (begun, before) = (Instant::now(), ticks());
    bench.record(STORED / CONNECTIONS);
    let (Some(before), Some(after)) = (before, ticks()) else {
        eprintln!("no /proc here, so no CPU time");
        return;
    };
    let per_record = |ticks: u64| ticks * 10_000 * 10 / STORED;
    let [user, system] = [after[0] - before[0], after[1] - before[1]].map(per_record);
    eprintln!(
        "CPU per record, {CONNECTIONS} at once: {}.{} µs user, the making of the sample included, {}.{} µs system; {} records/s",
        user / 10,
        user % 10,
        system / 10,
        system % 10,
        u128::from(STORED) * 1_000_000 / begun.elapsed().as_micros().max(1),
    );
}

criterion_group!(benches, record, read);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    print_cpu_time();
}
