//! How many events the engine judges in a second on one core: a day's mix of short lines, events as their senders' whole
//! JSON, hostile giants; and both mixes once more with 3,000 made-up rules besides.

use std::{fs, hint::black_box, path::Path, process::Command};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinelflow_detect::{Engine, rules::RuleSet};
use sentinelflow_domain::log_entry::{LogEntry, MESSAGE_MAX_BYTES, Message, Metadata, SeverityLevel, Source};

/// What the server runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Lines of web servers and sshd as they write them, Windows and cloud events as their whole JSON: three times as long.
const STRUCTURED: [(&str, SeverityLevel, &str); 8] = [
    (
        "nginx",
        SeverityLevel::Info,
        "203.0.113.9 - - [21/Jan/2026:10:00:00 +0000] \"GET /static/app.3f2c.js HTTP/1.1\" 200 51200 \"https://shop.example/\" \"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\"",
    ),
    (
        "nginx",
        SeverityLevel::Info,
        "198.51.100.7 - - [21/Jan/2026:10:00:01 +0000] \"GET /item?id=7%27%20UNION%20SELECT%20name,pw%20FROM%20users--%20- HTTP/1.1\" 200 912 \"-\" \"curl/8.5.0\"",
    ),
    (
        "sshd",
        SeverityLevel::Info,
        "Jan 21 10:00:02 bastion sshd[4121]: Accepted publickey for j.doe from 203.0.113.20 port 28492 ssh2: ED25519 SHA256:2f0hQmZk8Vt0",
    ),
    (
        "sshd",
        SeverityLevel::Info,
        "Jan 21 10:00:03 bastion sshd[4187]: Failed password for invalid user oracle from 198.51.100.7 port 40022 ssh2",
    ),
    (
        "windows",
        SeverityLevel::Info,
        r#"{"EventID":4624,"Channel":"Security","Provider_Name":"Microsoft-Windows-Security-Auditing","Computer":"ws-0342.corp.example","TimeCreated":"2026-01-21T10:00:04.123Z","EventData":{"SubjectUserSid":"S-1-5-18","SubjectUserName":"WS-0342$","SubjectDomainName":"CORP","TargetUserName":"j.doe","TargetDomainName":"CORP","LogonType":"2","LogonProcessName":"User32","AuthenticationPackageName":"Negotiate","WorkstationName":"WS-0342","ProcessName":"C:\\Windows\\System32\\svchost.exe","IpAddress":"127.0.0.1","IpPort":"0"}}"#,
    ),
    (
        "windows",
        SeverityLevel::Info,
        r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","Computer":"ws-0342.corp.example","EventData":{"UtcTime":"2026-01-21 10:00:05.004","ProcessId":"7712","Image":"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe","CommandLine":"powershell.exe -NoP -W Hidden -Enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA","CurrentDirectory":"C:\\Users\\j.doe\\","User":"CORP\\j.doe","IntegrityLevel":"Medium","ParentImage":"C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE","ParentCommandLine":"\"WINWORD.EXE\" /n invoice.docm"}}"#,
    ),
    (
        "cloudtrail",
        SeverityLevel::Info,
        r#"{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:deploy","arn":"arn:aws:sts::111122223333:assumed-role/deploy/ci","accountId":"111122223333","sessionContext":{"attributes":{"creationDate":"2026-01-21T09:58:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-01-21T10:00:06Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.40","userAgent":"aws-sdk-rust/1.3.9","requestParameters":{"bucketName":"build-artifacts","key":"web/app-1.2.3.tar.gz"},"responseElements":null,"readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333"}"#,
    ),
    (
        "cloudtrail",
        SeverityLevel::Info,
        r#"{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/m.keller","accountId":"111122223333","userName":"m.keller"},"eventTime":"2026-01-21T10:00:07Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.7","userAgent":"aws-cli/2.15.0","requestParameters":{"name":"arn:aws:cloudtrail:eu-central-1:111122223333:trail/main"},"responseElements":null,"readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333"}"#,
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
    let entries = |mix: &[(&str, SeverityLevel, &str)]| -> Vec<LogEntry> {
        mix.iter().map(|(source, level, message)| entry(source, *level, message)).collect()
    };
    let mix = entries(&DAY);
    let structured = entries(&STRUCTURED);
    let plain: Vec<LogEntry> =
        mix.iter().filter(|entry| !engine.analyze(entry).score.is_threat()).cloned().collect();

    let mut group = criterion.benchmark_group("judge");
    for (name, entries) in
        [("a day's mix", &mix), ("plain lines", &plain), ("web, sshd, Windows and cloud", &structured)]
    {
        group.throughput(Throughput::Elements(entries.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| entries.iter().for_each(|entry| drop(black_box(engine.analyze(entry)))));
        });
    }
    let engine_with_more = with_more_rules("3000");
    for (name, entries) in [("a day's mix", &mix), ("web, sshd, Windows and cloud", &structured)] {
        group.throughput(Throughput::Elements(entries.len() as u64));
        group.bench_function(format!("{name}, with 3,000 more rules"), |bencher| {
            bencher
                .iter(|| entries.iter().for_each(|entry| drop(black_box(engine_with_more.analyze(entry)))));
        });
    }
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
