//! Logs are kept as long as the operator says, and for ever where nothing is said.

use std::sync::Arc;

use sentinelflow_detect::{Engine, rules::RuleSet};
use sentinelflow_domain::{
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    store::{LogBook as _, NewLog, NewTenant, TenantBook as _},
    tenant::Plan,
    time::Timestamp,
};
use sentinelflow_store::SqliteStore;
use tempfile::TempDir;

use crate::harness::{Start, TestServer, reference_entry, until};

/// Fills a store with an old log for each of two tenants.
fn fill(path: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = SqliteStore::open(path).unwrap();
    runtime.block_on(async {
        for (name, plan) in [("admin", Plan::Free), ("customer", Plan::Pro)] {
            let created_at = Timestamp::from_millis(1_706_176_800_000);
            let username = name.parse().unwrap();
            let tenant = NewTenant { username, plan, password: None, api_key: None, created_at };
            let tenant = store.sign_up(tenant).await.unwrap();
            let entry = LogEntry {
                source: Source::try_from("sshd".to_owned()).unwrap(),
                event_id: 1,
                severity_level: SeverityLevel::Warning,
                message: Message::try_from("long ago".to_owned()).unwrap(),
                metadata: Metadata::default(),
                timestamp: None,
            };
            let analysis = Arc::new(Engine::new(RuleSet::built_in()).analyze(&entry));
            let log =
                NewLog { tenant: tenant.id, entry, analysis, received_at: created_at, idempotency_key: None };
            store.record(log).await.unwrap();
        }
    });
}

fn count(server: &TestServer, tenant: &str) -> usize {
    let logs = server.get(&format!("/security/logs/{tenant}?status=all")).assert_status(200);
    logs.body.as_array().unwrap().len()
}

#[test]
fn what_a_plan_keeps_no_longer_is_removed_and_that_is_said() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("logs.sqlite3");
    fill(&path);
    let store = Some(format!("sqlite:{}", path.display()));
    let keeps_all = TestServer::started(Start { mode: "dev", store: store.clone(), ..Start::default() });
    assert_eq!((count(&keeps_all, "admin"), count(&keeps_all, "customer")), (1, 1));
    drop(keeps_all);
    let settings = "[retention]\nfree_days = 30\nenterprise_days = 365\n".to_owned();
    let server = TestServer::started(Start { mode: "dev", store, settings, ..Start::default() });
    server.post("/security/analyze/admin", &reference_entry()).assert_status(200);
    until(|| count(&server, "admin"), |count| *count == 1);
    assert_eq!(count(&server, "customer"), 1);
    until(
        || server.said(),
        |said| said.contains("Removed 1 logs of Free tenants that were older than 30 days"),
    );
    let metrics = String::from_utf8(server.get("/metrics").assert_status(200).bytes).unwrap();
    assert!(metrics.contains("sentinelflow_expired_logs_total{plan=\"Free\"} 1"), "{metrics}");
}
