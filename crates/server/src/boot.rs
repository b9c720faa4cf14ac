//! Plugs everything together, one function per part. The only place that names a store or a provider.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use sentinelflow_detect::{Engine, rules::RuleSet};
use sentinelflow_domain::{
    clock::Clock,
    second_opinion::SecondOpinion,
    store::{NewTenant, Store},
    tenant::{Plan, Tenant, Username},
};
use sentinelflow_forensic::Limits;
use sentinelflow_store::SqliteStore;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{
    app::{App, Parts},
    config::{Config, Mode, StoreLocation},
    credentials::Credentials,
    hunts::Hunts,
    indicator_files::{self, Lists},
    rule_files,
    telemetry::SystemClock,
    triage::{NoModel, Triage},
};

const LOCAL_TENANT: &str = "admin";

pub async fn boot(config: &Config) -> anyhow::Result<App> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let folder = config.rules.clone();
    let rules = tokio::task::spawn_blocking(move || load_rules(folder.as_deref()));
    let store = open_store(&config.store)?;
    let spool = make_spool(&config.data)?;
    let local_tenant = local_tenant(config.mode, &*store, &*clock).await?;
    let engine = Engine::new(rules.await.context("the rules cannot be loaded")??);
    if let Some(folder) = &config.indicators {
        engine.use_indicators(load_indicators(folder, &*clock)?.indicators);
    }
    let triage = Triage {
        engine,
        second_opinion: second_opinion(),
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
    };
    triage.recall().await.context("cannot read the latest logs")?;
    Ok(App::new(Parts {
        mode: config.mode,
        credentials: Credentials::new()?,
        triage,
        hunts: Hunts {
            desks: Arc::new(Semaphore::new(config.scans_at_once)),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            limits: Limits::default(),
        },
        local_tenant,
        spool,
        max_upload_bytes: config.max_upload_bytes,
        clock,
        store,
    }))
}

/// Returns the rules to judge by. A file that can't be used is told and costs only itself.
pub fn load_rules(folder: Option<&Path>) -> anyhow::Result<RuleSet> {
    const TOLD: usize = 20;
    let (rules, errors) = rule_files::load(folder)?;
    for error in errors.iter().take(TOLD) {
        warn!("A rule is not used: {error}");
    }
    if errors.len() > TOLD {
        warn!("{} more are not used: see `sentinelflow rules check`", errors.len() - TOLD);
    }
    Ok(rules)
}

/// Returns the lists to look in. What can't be used is told and costs only itself.
pub fn load_indicators(folder: &Path, clock: &dyn Clock) -> anyhow::Result<Lists> {
    const TOLD: usize = 20;
    let lists = indicator_files::load(folder, clock.now())?;
    for report in lists.reports.iter().filter(|report| report.is_unusable()) {
        warn!("Nothing of the list {} can be used", report.file);
    }
    for fault in lists.reports.iter().flat_map(|report| &report.faults).take(TOLD) {
        warn!("Not used as an indicator: {fault}");
    }
    let count: u64 = lists.reports.iter().map(|report| report.fault_count).sum();
    if count > TOLD as u64 {
        warn!("{} more are not used: see `sentinelflow indicators check`", count - TOLD as u64);
    }
    Ok(lists)
}

fn open_store(location: &StoreLocation) -> anyhow::Result<Arc<dyn Store>> {
    match location {
        StoreLocation::Sqlite(path) => {
            let store = SqliteStore::open(path)
                .with_context(|| format!("cannot open the store {}", path.display()))?;
            Ok(Arc::new(store))
        }
    }
}

/// Makes an empty folder for uploads; what a killed process left in it is removed.
/// Called once the store is open, whose lock keeps a second server out.
fn make_spool(data: &Path) -> anyhow::Result<PathBuf> {
    let spool = data.join("uploads");
    std::fs::create_dir_all(&spool).with_context(|| format!("cannot make the folder {}", spool.display()))?;
    for left in
        std::fs::read_dir(&spool).with_context(|| format!("cannot read the folder {}", spool.display()))?
    {
        let path = left?.path();
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(spool)
}

/// Returns the tenant that owns requests without a name in `dev`, made if it is new.
async fn local_tenant(mode: Mode, store: &dyn Store, clock: &dyn Clock) -> anyhow::Result<Option<Tenant>> {
    if mode == Mode::Serve {
        return Ok(None);
    }
    let username: Username = LOCAL_TENANT.parse().expect("a valid name");
    if let Some(tenant) = store.tenant_named(&username).await? {
        return Ok(Some(tenant));
    }
    let tenant =
        NewTenant { username, plan: Plan::Free, password: None, api_key: None, created_at: clock.now() };
    Ok(Some(store.sign_up(tenant).await.context("cannot make the tenant 'admin'")?))
}

fn second_opinion() -> Arc<dyn SecondOpinion> {
    Arc::new(NoModel)
}
