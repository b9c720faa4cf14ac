//! How long a lookup takes among ten million entries of each kind, and an event with such lists loaded.

use std::{fmt::Write as _, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinelflow_detect::{
    Engine,
    indicators::{Indicators, Reader, Reading},
};
use sentinelflow_domain::{
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    time::Timestamp,
};

/// Entries of each kind.
const ENTRIES: u64 = 10_000_000;
/// So many texts are looked up in turn, so that the processor's caches don't hold the answers.
const ASKED: u64 = 1 << 16;

/// Spreads numbers over all of 64 bits, each to another one (the finaliser of `SplitMix64`).
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A public address: none of the reserved networks holds it.
fn v4(number: u64) -> String {
    let [a, b, c, d, ..] = spread(number).to_be_bytes();
    format!("{}.{b}.{c}.{d}", 11 + a % 88)
}

fn network(number: u64) -> String {
    let [a, b, c, d, ..] = spread(number).to_be_bytes();
    format!("{}.{b}.{c}.{}/28", 11 + a % 88, d & 0xF0)
}

/// Its first address.
fn in_network(number: u64) -> String {
    network(number).replace("/28", "")
}

fn v6(number: u64) -> String {
    let [network, subnet, host, interface] = [48, 32, 16, 0].map(|bits| spread(number) >> bits & 0xFFFF);
    format!("2001:db8:{network:x}:{subnet:x}::{host:x}:{interface:x}")
}

fn domain(number: u64) -> String {
    format!("host{:x}.name{:x}.example", spread(number) >> 44, number % 100_003)
}

fn md5(number: u64) -> String {
    format!("{:016x}{:016x}", spread(number), spread(!number))
}

fn sha256(number: u64) -> String {
    format!("{}{}", md5(number), md5(number + (1 << 40)))
}

fn url(number: u64) -> String {
    format!("http://{}/load.php?id={:016x}", domain(number % 1_000_000), spread(number))
}

/// What is listed, and what is asked for.
type Kind = (&'static str, fn(u64) -> String, fn(u64) -> String);
const KINDS: [Kind; 7] = [
    ("IPv4", v4, v4),
    ("IPv4 networks", network, in_network),
    ("IPv6", v6, v6),
    ("domains", domain, domain),
    ("MD5", md5, md5),
    ("SHA-256", sha256, sha256),
    ("URLs", url, url),
];

fn lists(kind: fn(u64) -> String) -> Indicators {
    let mut reading = Reading::new(Timestamp::from_millis(0));
    let mut text = String::new();
    for number in 0..ENTRIES {
        writeln!(text, "{}", kind(number)).expect("a String takes whatever is written");
    }
    let start = std::time::Instant::now();
    let report = reading.add(&Reader::Everybody, "bench.txt", &text);
    assert_eq!(report.fault_count, 0, "{:?}", report.faults.first());
    drop(text);
    let indicators = reading.finish();
    #[expect(clippy::print_stderr, reason = "a figure beside criterion's")]
    #[expect(clippy::cast_precision_loss, reason = "megabytes need no more digits")]
    {
        let per_entry = indicators.bytes() as f64 / indicators.len() as f64;
        eprintln!("{} entries read in {:.1?}, {per_entry:.1} bytes each", indicators.len(), start.elapsed());
    }
    indicators
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("indicators");
    for (name, entry, asked) in KINDS {
        let indicators = lists(entry);
        for (what, first, is_listed) in [("listed", 0, true), ("not listed", 1 << 50, false)] {
            let asked: Vec<String> = (0..ASKED).map(|n| asked(first + n * (ENTRIES / ASKED))).collect();
            let hits = asked.iter().filter(|text| indicators.holds(text)).count();
            assert!(if is_listed { hits == asked.len() } else { hits < asked.len() }, "{name}: {hits}");
            let mut texts = asked.iter().cycle();
            group.bench_function(format!("{name} {what}"), |bencher| {
                bencher.iter(|| indicators.holds(black_box(texts.next().expect("it goes round"))));
            });
        }
    }
    group.finish();
}

fn events(criterion: &mut Criterion) {
    let message = "203.0.113.9 - - [21/Jan/2026:10:00:00 +0000] \"GET /shop?q=blue+chair&page=3 HTTP/1.1\" 200 5120 \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\"";
    let entry = LogEntry {
        source: Source::try_from("nginx".to_owned()).expect("it is short"),
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).expect("it is bounded"),
        metadata: Metadata::parse(r#"{"host":"web-02"}"#).expect("it is valid"),
        timestamp: None,
    };
    let engine = Engine::built_in();
    let mut group = criterion.benchmark_group("judge a request");
    group.throughput(Throughput::Elements(1));
    group.bench_function("without lists", |bencher| bencher.iter(|| engine.analyze(black_box(&entry))));
    let mut few = Reading::new(Timestamp::from_millis(0));
    few.add(&Reader::Everybody, "few.txt", &[v4(1), domain(1), md5(1), url(1)].join("\n"));
    engine.use_indicators(few.finish());
    group.bench_function("with four entries", |bencher| bencher.iter(|| engine.analyze(black_box(&entry))));
    engine.use_indicators(lists(|number| match number % 4 {
        0 => v4(number),
        1 => domain(number),
        2 => md5(number),
        _ => url(number),
    }));
    group.bench_function("with ten million entries", |bencher| {
        bencher.iter(|| engine.analyze(black_box(&entry)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    targets = events, lookups
}
criterion_main!(benches);
