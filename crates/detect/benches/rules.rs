//! Events per second through the built-in rules, over a mix of what servers see: mostly harmless, some of it not.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinelflow_detect::{
    event::{Event, LogSource, Origin, Value},
    rules::RuleSet,
};

const MESSAGES: [&str; 12] = [
    "2026-11-23T10:00:00Z web-02 app[812]: order 4711 paid in 38 ms, 3 items, 0 retries",
    "Nov 23 10:00:01 srv sshd[100]: Accepted publickey for anna from 192.0.2.7 port 50022 ssh2",
    "Nov 23 10:00:02 srv sshd[101]: Failed password for root from 203.0.113.9 port 50022 ssh2",
    "Nov 23 10:00:03 srv CRON[102]: (root) CMD (run-parts /etc/cron.hourly)",
    "2026-11-23 10:00:04,949 - WARN  [RecvWorker:18897:QuorumCnxManager@762] - Connection broken for id 18897, my id = 3",
    "LOG:  duration: 73.571 ms  statement: SELECT id, total FROM orders WHERE customer = 42 ORDER BY created_at",
    "nova.osapi_compute.wsgi.server [req-9bc3] 10.11.10.1 \"GET /v2/servers/detail HTTP/1.1\" status: 200 len: 1893 time: 0.26",
    "kernel: [12345.6] eth0: link up, 1000 Mbps, full duplex",
    "push to refs/heads/main: commit 1a2b3c4d \"Fix the parser for failed logins and add a test\"",
    "ERROR [main] org.example.Job: task attempt_144_0020_m_000002 failed: java.net.ConnectException: connection refused",
    "dovecot: imap-login: Login: user=<anna>, method=PLAIN, rip=192.0.2.8, lip=192.0.2.1, mpid=4242, TLS",
    "INFO web.request method=POST path=/search status=200 client=192.0.2.9 param.q=garden chairs",
];

const TARGETS: [&str; 6] = [
    "/",
    "/products?id=1842&sort=price",
    "/static/app.4f2a.js",
    "/search?q=blue+shoes",
    "/.env",
    "/index.php?page=../../etc/passwd",
];

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";

fn logged(message: &str) -> Event<'_> {
    let mut event = Event::default();
    event.push("message", Value::Text(message.into()), Origin::Message);
    event.push("source", Value::Text("syslog".into()), Origin::Metadata);
    event.push("event_id", Value::Number(0.0), Origin::Metadata);
    event.push("text", Value::Text(message.trim_start_matches("Nov 23 ").into()), Origin::Message);
    event
}

fn requested(line: &str) -> Event<'_> {
    let mut event = logged(line);
    event.log_source = LogSource { category: Some("webserver"), ..LogSource::default() };
    let target = line.split(' ').nth(6).unwrap_or_default();
    let (stem, query) = target.split_once('?').unwrap_or((target, ""));
    for (name, text) in [
        ("c-uri", target),
        ("cs-uri-stem", stem),
        ("cs-uri-query", query),
        ("cs-method", "GET"),
        ("cs-user-agent", BROWSER),
    ] {
        event.push(name, Value::Text(text.into()), Origin::Message);
    }
    event.push("sc-status", Value::Number(200.0), Origin::Message);
    event
}

fn matching(criterion: &mut Criterion) {
    let lines = TARGETS.map(|target| {
        format!(
            "192.0.2.9 - - [23/Nov/2026:10:00:00 +0000] \"GET {target} HTTP/1.1\" 200 512 \"-\" \"{BROWSER}\""
        )
    });
    let events: Vec<Event<'_>> = MESSAGES
        .iter()
        .map(|message| logged(message))
        .chain(lines.iter().map(|line| requested(line)))
        .collect();
    let rules = RuleSet::built_in();
    let mut group = criterion.benchmark_group("rules");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("match", |bencher| {
        bencher.iter(|| events.iter().map(|event| rules.matches(black_box(event)).len()).sum::<usize>());
    });
    group.finish();
    criterion.bench_function("rules/compile", |bencher| bencher.iter(|| RuleSet::built_in().len()));
}

criterion_group!(benches, matching);
criterion_main!(benches);
