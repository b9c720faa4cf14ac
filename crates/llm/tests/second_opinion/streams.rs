//! How much asking memory saves: on streams as machines write them, and on the labelled lines of `shared/corpora`.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
};

use sentinelflow_domain::{
    log_entry::LogEntry,
    second_opinion::{AskedIn, Opinion},
};
use sentinelflow_fakes::FakeModel;
use serde_json::Value;

use crate::given::*;

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    /// A name of letters, such as people and hosts have.
    fn name(&mut self) -> String {
        let syllables = ["ba", "ri", "mo", "len", "ka", "tor", "vi", "su", "nel", "do", "ga", "min"];
        (0..2 + self.roll(2)).map(|_| self.pick(&syllables)).collect()
    }

    fn public_ip(&mut self) -> String {
        format!(
            "{}.{}.{}.{}",
            self.pick(&[45, 62, 81, 185, 203]),
            self.roll(256),
            self.roll(256),
            self.roll(256)
        )
    }

    fn private_ip(&mut self) -> String {
        format!("10.{}.{}.{}", self.roll(256), self.roll(256), self.roll(256))
    }

    fn time(&mut self) -> String {
        format!("{:02}:{:02}:{:02}", self.roll(24), self.roll(60), self.roll(60))
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(u32::try_from(self.roll(16)).unwrap(), 16).unwrap()).collect()
    }
}

/// An event, and what tells it apart from others of its kind.
type Told = (LogEntry, String);

fn sshd(dice: &mut Dice) -> Told {
    let (date, time, host, pid) = (1 + dice.roll(28), dice.time(), dice.name(), 300 + dice.roll(60_000));
    let port = 1_024 + dice.roll(64_000);
    let is_private = dice.roll(3) == 0;
    let ip = if is_private { dice.private_ip() } else { dice.public_ip() };
    let is_root = dice.roll(6) == 0;
    let user = if is_root { "root".to_owned() } else { dice.name() };
    let month =
        dice.pick(&["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]);
    let (what, text) = match dice.roll(7) {
        0 => ("failed", format!("Failed password for {user} from {ip} port {port} ssh2")),
        1 => (
            "accepted",
            format!("Accepted publickey for {user} from {ip} port {port} ssh2: RSA SHA256:{}", dice.hex(40)),
        ),
        2 => ("opened", format!("pam_unix(sshd:session): session opened for user {user} by (uid=0)")),
        3 => ("closed", format!("pam_unix(sshd:session): session closed for user {user}")),
        4 => ("invalid", format!("Invalid user {user} from {ip} port {port}")),
        5 => ("disconnect", format!("Received disconnect from {ip} port {port}:11: disconnected by user")),
        _ => (
            "connection closed",
            format!("Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
        ),
    };
    let line = format!("{month} {date:2} {time} {host} sshd[{pid}]: {text}");
    let has_ip = !matches!(what, "opened" | "closed");
    let has_user = what != "disconnect";
    (
        entry_of("sshd", &line, "{}"),
        format!("sshd {what} private={} root={} ", has_ip && is_private, has_user && is_root),
    )
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "kube-probe/1.29",
];

fn nginx(dice: &mut Dice) -> Told {
    let (ip, time, agent) = (dice.public_ip(), dice.time(), dice.roll(4));
    let status = dice.pick(&[200, 200, 200, 304, 404, 500]);
    let (what, target) = match dice.roll(5) {
        0 => ("item", format!("/items/{}", dice.roll(1_000_000))),
        1 => ("search", format!("/search?q={}&p={}", dice.name(), dice.roll(50))),
        2 => ("asset", format!("/assets/app.{}.js", dice.hex(12))),
        3 => (
            "profile",
            format!("/api/v1/users/{}/orders?since={}", dice.roll(100_000), dice.roll(2_000_000_000)),
        ),
        _ => ("home", "/".to_owned()),
    };
    let line = format!(
        "{ip} - - [{:02}/Jun/2026:{time} +0000] \"GET {target} HTTP/1.1\" {status} {} \"-\" \"{}\"",
        1 + dice.roll(28),
        dice.roll(90_000),
        AGENTS[usize::try_from(agent).unwrap()],
    );
    let metadata = format!(r#"{{"client_ip":"{ip}","status":{status}}}"#);
    // Browsers are one class.
    (entry_of("nginx", &line, &metadata), format!("nginx {what} {status} browser={}", agent < 3))
}

fn application(dice: &mut Dice) -> Told {
    let time = dice.time();
    let (what, text) = match dice.roll(5) {
        0 => ("job", format!("INFO job {} finished in {} ms", dice.hex(16), dice.roll(90_000))),
        1 => (
            "order",
            format!(
                "INFO order=ORD-{} customer={} total={}.{:02} EUR",
                dice.roll(1_000_000),
                dice.name(),
                dice.roll(900),
                dice.roll(100)
            ),
        ),
        2 => ("cache", format!("WARN cache miss for key session:{} on node-{}", dice.hex(32), dice.roll(40))),
        3 => (
            "retry",
            format!(
                "WARN retry {} of 5 for http://billing.internal:8080/charge/{}",
                1 + dice.roll(5),
                dice.hex(24)
            ),
        ),
        _ => ("mail", format!("INFO mail sent to {}@{}.example.com", dice.name(), dice.name())),
    };
    let line = format!("2026-06-{:02} {time},{:03} {text}", 1 + dice.roll(28), dice.roll(1_000));
    let metadata = format!(
        r#"{{"trace_id":"{}","user":"{}","pod":"shop-{}"}}"#,
        dice.hex(32),
        dice.name(),
        dice.hex(10)
    );
    (entry_of("shop", &line, &metadata), format!("shop {what}"))
}

/// A consultant who may spend what it likes.
fn room() -> Room {
    Room::new(FakeModel::start(), |settings| {
        settings.tokens_per_day = u64::MAX;
        settings.nano_usd_per_day = u64::MAX;
        settings.batch_wait = std::time::Duration::ZERO;
    })
}

/// Which question was answered.
fn asked(opinion: &Opinion) -> AskedIn {
    match opinion {
        Opinion::Given { verdict, .. } => verdict.asked.clone(),
        other => panic!("an opinion is given: {other:?}"),
    }
}

/// Returns how many in a hundred events needed no call.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn avoided(calls: usize, events: usize) -> f64 {
    100.0 * (1.0 - calls as f64 / events as f64)
}

#[tokio::test]
async fn streams_of_machines_are_hardly_asked_about_after_a_while() {
    const WARM_UP: usize = 4_000;
    const MEASURED: usize = 12_000;
    for (name, write) in
        [("sshd", sshd as fn(&mut Dice) -> Told), ("nginx", nginx), ("application", application)]
    {
        let room = room();
        let mut dice = Dice(7);
        let mut answers: HashMap<String, String> = HashMap::new();
        let mut calls_before = 0;
        for number in 0..WARM_UP + MEASURED {
            if number == WARM_UP {
                calls_before = room.model.request_count();
            }
            let (entry, told) = write(&mut dice);
            let opinion = room.opinion(&entry).await;
            let question = format!("{:?}", asked(&opinion));
            // One question is asked about entries of one kind only.
            if let Some(other) = answers.insert(question, told.clone()) {
                assert_eq!(other, told, "{entry:?}");
            }
        }
        let calls = room.model.request_count() - calls_before;
        let share = avoided(calls, MEASURED);
        println!(
            "{name}: {calls_before} calls in {WARM_UP} events, then {calls} in {MEASURED}: {share:.2} % avoided"
        );
        assert!(share >= 99.0, "{name}: {share}");
    }
}

/// Reads the labelled lines; they are not a part of this repository.
fn labelled_lines() -> Option<Vec<LogEntry>> {
    let path = ["../../../shared/corpora/dev.jsonl", "../../shared/corpora/dev.jsonl"].map(Path::new);
    let path = path.into_iter().find(|path| path.exists())?;
    let lines = std::fs::read_to_string(path).unwrap();
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        entry_of(&text("source"), &text("message"), &value["metadata"].to_string())
    };
    Some(lines.lines().map(read).collect())
}

/// The entry as it would come another day: another client of the same kind and another time where an access log has them.
fn another_day(entry: &LogEntry, dice: &mut Dice) -> LogEntry {
    let message = entry.message.as_str();
    let parts =
        message.split_once(" - - [").and_then(|(client, rest)| Some((client, rest.split_once(" +0000]")?.1)));
    let Some((client, request)) = parts.filter(|(client, _)| client.parse::<Ipv4Addr>().is_ok()) else {
        return entry.clone();
    };
    let network = client.rsplit_once('.').unwrap().0;
    let other_client = format!("{network}.{}", 1 + dice.roll(250));
    let message =
        format!("{other_client} - - [{:02}/Jun/2026:{} +0000]{request}", 1 + dice.roll(28), dice.time());
    let metadata = entry.metadata.as_str().replace(client, &other_client);
    entry_of(entry.source.as_str(), &message, &metadata)
}

#[tokio::test]
async fn labelled_lines_that_come_again_are_not_asked_about_again() {
    let Some(lines) = labelled_lines() else {
        println!("shared/corpora is absent: nothing was measured");
        return;
    };
    let room = room();
    let mut dice = Dice(7);
    let mut detected: HashMap<String, BTreeSet<Arc<str>>> = HashMap::new();
    let mut halfway = 0;
    for (number, entry) in lines.iter().enumerate() {
        if number == lines.len() / 2 {
            halfway = room.model.request_count();
        }
        let opinion = room.opinion(entry).await;
        let rules = room.local(entry).detections.iter().map(|detection| Arc::clone(&detection.id)).collect();
        if let Some(other) = detected.insert(format!("{:?}", asked(&opinion)), rules) {
            assert_eq!(other, detected[&format!("{:?}", asked(&opinion))], "{entry:?}");
        }
    }
    let first = room.model.request_count();
    let half = lines.len() - lines.len() / 2;
    println!(
        "first time: {first} calls for {} lines; for the second half {} of {half}",
        lines.len(),
        first - halfway
    );
    for entry in &lines {
        let opinion = room.opinion(&another_day(entry, &mut dice)).await;
        assert!(is_remembered(&opinion), "{entry:?}");
    }
    let again = room.model.request_count() - first;
    let share = avoided(again, lines.len());
    println!("again: {again} calls for {} lines: {share:.2} % avoided", lines.len());
    // One of a hundred that is remembered is asked again on purpose.
    assert!(share >= 99.0, "{share}");
}
