//! How many events the engine judges in a second on one core: a day's mix, plain lines, attacks, and hostile giants;
//! and the day's mix once more with 3,000 made-up rules besides.

use std::{fs, hint::black_box, path::Path, process::Command};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinelflow_detect::{Engine, rules::RuleSet};
use sentinelflow_domain::log_entry::{LogEntry, MESSAGE_MAX_BYTES, Message, Metadata, SeverityLevel, Source};

/// What a small company's hosts, gateways and identity provider send on a day: source, level, message.
const DAY: [(&str, SeverityLevel, &str); 16] = [
    (
        "sshd",
        SeverityLevel::Warning,
        "Failed password for invalid user oracle from 198.51.100.7 port 40022 ssh2",
    ),
    ("sshd", SeverityLevel::Info, "Accepted publickey for j.doe from 203.0.113.20 port 28492 ssh2: ED25519"),
    (
        "nginx",
        SeverityLevel::Info,
        "GET /api/v1/orders/4711 200 1834us client=203.0.113.9 ua=\"Mozilla/5.0\"",
    ),
    (
        "nginx",
        SeverityLevel::Info,
        "203.0.113.9 - - [21/Jan/2026:10:00:00 +0000] \"GET /shop?q=blue+chair&page=3 HTTP/1.1\" 200 5120 \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
    ),
    (
        "nginx",
        SeverityLevel::Warning,
        "GET /products?id=1%20union select name,pw from members-- 403 client=198.51.100.7",
    ),
    ("nginx", SeverityLevel::Warning, "GET /../../../../etc/passwd 404 client=198.51.100.7"),
    (
        "waf",
        SeverityLevel::Critical,
        "Blocked <script>document.location='http://198.51.100.7/'</script> in field comment",
    ),
    (
        "windows-security",
        SeverityLevel::Info,
        "Special privileges assigned to new logon: svc_backup on dc-01",
    ),
    ("windows-security", SeverityLevel::Critical, "The audit log was cleared by m.keller on dc-01"),
    ("edr", SeverityLevel::Info, "Scheduled scan finished on laptop-0342: 90210 files, nothing found"),
    (
        "powershell",
        SeverityLevel::Warning,
        "powershell -nop -w hidden -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoA by j.doe on web-02",
    ),
    ("firewall", SeverityLevel::Info, "Allowed TCP 203.0.113.20:50122 -> db-01:443"),
    ("firewall", SeverityLevel::Warning, "Port scan from 198.51.100.7: 1312 ports in 10 s against web-01"),
    (
        "kernel",
        SeverityLevel::Warning,
        "Out of memory: killed process 2211 (java) on build-07, cpu usage 97%",
    ),
    ("cron", SeverityLevel::Info, "(root) CMD (/usr/local/bin/backup.sh) on db-01"),
    (
        "idp",
        SeverityLevel::Warning,
        "Impossible travel for a.ng: 198.51.100.7 14 minutes after another country, new device",
    ),
];

const METADATA: &str = r#"{"ip":"198.51.100.7","host":"web-02","user":"m.keller","pid":45062,"session":"e5e25d940ed90475","tags":["prod","dmz"]}"#;

fn entry(source: &str, level: SeverityLevel, message: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from(source.to_owned()).expect("sources here are short"),
        event_id: 4625,
        severity_level: level,
        message: Message::try_from(message.to_owned()).expect("messages here are bounded"),
        metadata: Metadata::parse(METADATA).expect("the metadata is valid"),
        timestamp: None,
    }
}

/// Returns an engine that has so many made-up rules besides its own.
fn with_more_rules(count: &str) -> Engine {
    fn read(folder: &Path, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("the folder was just written") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                read(&path, files);
            } else {
                files.push((path.display().to_string(), fs::read_to_string(&path).expect("rules are text")));
            }
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated_rules");
    let script = Path::new("../../bench/generate_rules.py");
    let status = Command::new("python3").arg(script).arg(&folder).args(["--files", count]).status();
    assert!(status.expect("python3 is there").success(), "the rules can't be written");
    let mut files = Vec::new();
    read(&folder, &mut files);
    let (rules, errors) = RuleSet::built_in_and(files.into_iter());
    assert!(errors.is_empty(), "{errors:?}");
    Engine::new(rules)
}

fn judging(criterion: &mut Criterion) {
    let engine = Engine::built_in();
    let mix: Vec<LogEntry> =
        DAY.iter().map(|(source, level, message)| entry(source, *level, message)).collect();
    let plain: Vec<LogEntry> =
        mix.iter().filter(|entry| !engine.analyze(entry).score.is_threat()).cloned().collect();

    let mut group = criterion.benchmark_group("judge");
    for (name, entries) in [("a day's mix", &mix), ("plain lines", &plain)] {
        group.throughput(Throughput::Elements(entries.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| entries.iter().for_each(|entry| drop(black_box(engine.analyze(entry)))));
        });
    }
    let engine_with_more = with_more_rules("3000");
    group.throughput(Throughput::Elements(mix.len() as u64));
    group.bench_function("a day's mix with 3,000 more rules", |bencher| {
        bencher.iter(|| mix.iter().for_each(|entry| drop(black_box(engine_with_more.analyze(entry)))));
    });
    group.throughput(Throughput::Elements(1));
    for part in ["'", "%25", "../", "select ", "a=&", "<a on", "$("] {
        let giant = entry("app", SeverityLevel::Info, &part.repeat(MESSAGE_MAX_BYTES / part.len()));
        group.bench_function(format!("64 KiB of {part}"), |bencher| {
            bencher.iter(|| engine.analyze(black_box(&giant)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    targets = judging
}
criterion_main!(benches);
