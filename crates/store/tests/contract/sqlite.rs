//! What only the embedded store owes: its file, its lock, and its word after a SIGKILL.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use sentinelflow_domain::{
    id::ObjectId,
    second_opinion::Ask,
    store::{LogFilter, LogRecord, NewLog, NewTenant, Owner, Recorded, StatusFilter, TenantChange},
    tenant::{ApiKeyHash, Tenant},
};
use sentinelflow_store::{OpenError, SqliteStore};
use tempfile::TempDir;

use crate::{
    exchanges::{day_of, exchange, remembered, verdict_on},
    given::{
        AnyStore, Opened, all_pages, at, everything, ids, log, new_tenant, record, tenant, with_opinion,
    },
    stats::recount,
};

#[expect(clippy::unused_async, reason = "as every store is opened")]
pub(crate) async fn open_anew() -> Opened {
    let place = TempDir::new().unwrap();
    Opened { store: open(place.path()), _place: Box::new(place) }
}

fn open(path: &Path) -> AnyStore {
    Arc::new(SqliteStore::open(path).unwrap())
}

fn refusal(path: &Path) -> String {
    SqliteStore::open(path).err().expect("it must be refused").to_string()
}

#[tokio::test]
async fn reopening_finds_everything() {
    let place = TempDir::new().unwrap();
    let store = open(place.path());
    let key = ApiKeyHash([3; 32]);
    let ana = store.sign_up(NewTenant { api_key: Some(key), ..new_tenant("Ana") }).await.unwrap();
    let resolved = record(&store, log(ana.id, "x", 50)).await;
    store.resolve(Owner::Tenant(ana.id), resolved, at(3)).await.unwrap();
    let raised = record(&store, log(ana.id, "z", 5)).await;
    assert!(store.add_opinion(ana.id, raised, with_opinion(60)).await.unwrap());
    let rarely = TenantChange { ask: Some(Ask::Uncertain), ..TenantChange::default() };
    let ana = store.update_tenant(ana.id, rarely).await.unwrap().unwrap().tenant;
    let (sent, verdict) = (exchange(1, at(0)), remembered(1, at(9)));
    store.keep_exchange(ana.id, sent.clone(), vec![verdict.clone()]).await.unwrap();
    let spent = store.spent(ana.id, day_of(at(0))).await.unwrap();
    let newest = record(&store, NewLog { received_at: at(999_000), ..log(ana.id, "y", 10) }).await;
    let logs = all_pages(&store, ana.id, everything()).await;
    let counts = store.per_minute(ana.id, i64::MIN, i64::MAX).await.unwrap();
    drop(store);

    let store = open(place.path());
    assert_eq!(store.tenant_named(&"ana".parse().unwrap()).await.unwrap(), Some(ana.clone()));
    assert_eq!(store.tenant_with_key(&key).await.unwrap(), Some(ana.clone()));
    assert_eq!(all_pages(&store, ana.id, everything()).await, logs);
    assert_eq!(store.per_minute(ana.id, i64::MIN, i64::MAX).await.unwrap(), counts);
    assert_eq!(store.exchange(ana.id, sent.id).await.unwrap(), Some(sent));
    assert_eq!(verdict_on(&store, ana.id, verdict.key, at(0)).await, Some(verdict));
    assert_eq!((store.spent(ana.id, day_of(at(0))).await.unwrap(), spent.tokens), (spent, 1_234));
    let next = record(&store, log(ana.id, "the clock stepped back", 10)).await;
    assert!(next > newest);
    let until = Some(at(1));
    let old = all_pages(&store, ana.id, LogFilter { until, ..everything() }).await;
    assert_eq!(
        ids(&old),
        [next, raised, resolved],
        "the id ran ahead of its receipt, and is found nevertheless"
    );
}

#[tokio::test]
async fn lists_and_counts_are_whole_at_every_moment() {
    let place = TempDir::new().unwrap();
    let mut store = open(place.path());
    let owners = [tenant(&store, "ana").await.id, tenant(&store, "bob").await.id];
    let mut recorded_before = Vec::new();
    // Enough for logs to be filed several times, with some waiting in between.
    for step in 1..=24 {
        let mut written = Vec::new();
        for number in 0..60_u8 {
            let new = NewLog {
                received_at: at(i64::from(number) * 4_000),
                ..log(owners[usize::from(number % 2)], "x", number)
            };
            written.push(record(&store, new).await);
        }
        for id in written.iter().step_by(7) {
            store.resolve(Owner::Anyone, *id, at(9)).await.unwrap();
        }
        // Some of them were recorded just now, some are filed since the step before.
        let earlier = std::mem::replace(&mut recorded_before, written.clone());
        for (number, id) in written.into_iter().chain(earlier).enumerate().step_by(9) {
            let score = u8::try_from(number * 37 % 101).unwrap();
            store.add_opinion(owners[number % 2], id, with_opinion(score)).await.unwrap();
        }
        if step % 5 == 0 {
            drop(store);
            store = open(place.path());
        }
        for owner in owners {
            let all = all_pages(&store, owner, everything()).await;
            assert_eq!(all.len(), 30 * step);
            assert!(all.is_sorted_by(|one, next| one.id > next.id));
            let is_active = |log: &&LogRecord| log.resolved_at.is_none() && log.analysis.score.is_threat();
            let active: Vec<LogRecord> = all.iter().filter(is_active).cloned().collect();
            assert_eq!(
                all_pages(&store, owner, LogFilter { limit: 50, ..LogFilter::default() }).await,
                active
            );
            let resolved: Vec<LogRecord> =
                all.iter().filter(|log| log.resolved_at.is_some()).cloned().collect();
            let status = StatusFilter::Resolved;
            assert_eq!(all_pages(&store, owner, LogFilter { status, ..everything() }).await, resolved);
            assert_eq!(store.per_minute(owner, i64::MIN, i64::MAX).await.unwrap(), recount(&all));
        }
    }
}

#[tokio::test]
async fn a_file_is_as_good_as_a_directory() {
    let place = TempDir::new().unwrap();
    for path in [place.path().join("new/deep/directory"), place.path().join("one.db")] {
        let ana = tenant(&open(&path), "ana").await;
        let store = open(&path);
        assert_eq!(store.tenant_named(&ana.username).await.unwrap(), Some(ana));
    }
    assert!(place.path().join("one.db").is_file());
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let place = TempDir::new().unwrap();
    let directory = place.path().join("data");
    let store = open(&directory);
    tenant(&store, "ana").await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = directory.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_second_user_of_a_directory_is_refused() {
    let place = TempDir::new().unwrap();
    let first = open(place.path());
    assert!(matches!(SqliteStore::open(place.path()), Err(OpenError::InUse { .. })));
    assert!(refusal(place.path()).ends_with("is used by another process"));
    drop(first);
    open(place.path());
}

#[test]
fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let place = TempDir::new().unwrap();
    let garbage = place.path().join("garbage.db");
    std::fs::write(&garbage, "a shopping list, and nothing else\n".repeat(400)).unwrap();
    let foreign = place.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    for path in [garbage, foreign] {
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(SqliteStore::open(&path), Err(OpenError::NotOurs { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let blocked = place.path().join("foreign.db/below-a-file");
    assert!(matches!(SqliteStore::open(&blocked), Err(OpenError::Unreachable { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("newer.db");
    drop(open(&path));
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(OpenError::FromTheFuture { found: 999, .. })));
}

/// How many times the writing process is killed, each time on the same database.
const KILLS: usize = 5;
const ACKNOWLEDGED_BEFORE_KILL: usize = 150;
const ACKNOWLEDGED: &str = "acknowledged ";
/// Set for the process that is to be killed: the directory it writes to.
const WRITES_TO: &str = "SENTINELFLOW_CONTRACT_WRITES_TO";

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_sigkill() {
    if let Some(place) = std::env::var_os(WRITES_TO) {
        write_until_killed(Path::new(&place)).await;
    }
    let place = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        acknowledged.extend(ids_written_until_killed(place.path(), ACKNOWLEDGED_BEFORE_KILL + 37 * kill));
        let store = open(place.path());
        let owner = store.tenant_named(&"killed".parse().unwrap()).await.unwrap().unwrap().id;
        let stored = all_pages(&store, owner, everything()).await;
        let stored_ids = ids(&stored);
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|id| stored_ids.binary_search_by(|other| id.cmp(&other)).is_err())
            .collect();
        assert!(lost.is_empty(), "after kill {kill}: {lost:?}");
        assert_eq!(store.per_minute(owner, i64::MIN, i64::MAX).await.unwrap(), recount(&stored));
    }
    assert!(acknowledged.len() >= KILLS * ACKNOWLEDGED_BEFORE_KILL);
}

/// Starts the test above in a process of its own that only writes, kills it after some acknowledgements and returns all of them.
fn ids_written_until_killed(place: &Path, enough: usize) -> Vec<ObjectId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::what_was_acknowledged_survives_sigkill", "--nocapture"])
        .env(WRITES_TO, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        let is_whole = line.ends_with('\n');
        if let Some((_, id)) = line.trim_end().split_once(ACKNOWLEDGED).filter(|_| is_whole) {
            acknowledged.push(id.parse().unwrap());
        }
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
        line.clear();
    }
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    acknowledged
}

async fn write_until_killed(place: &Path) -> ! {
    let store = open(place);
    let owner = match store.tenant_named(&"killed".parse().unwrap()).await.unwrap() {
        Some(Tenant { id, .. }) => id,
        None => tenant(&store, "killed").await.id,
    };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..12_u8 {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0.. {
                let new = NewLog { received_at: at(n * 100), ..log(owner, "x", writer * 8) };
                let Recorded::New(id) = store.record(new).await.unwrap() else {
                    unreachable!("no key was given")
                };
                writeln!(std::io::stdout().lock(), "{ACKNOWLEDGED}{id}").unwrap();
            }
        });
    }
    writers.join_all().await;
    unreachable!("the writers never end")
}
