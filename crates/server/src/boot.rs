//! Plugs everything together, one function per part. The only place that names a store or a provider.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    clock::Clock,
    second_opinion::SecondOpinion,
    store::{ExchangeBook, NewTenant, Store, ThreatFeed},
    tenant::{Plan, Tenant, Username},
};
use sentinelflow_llm::{Consultant, NoModel};
use sentinelflow_store::{Address, Copy, CopyError, MongoStore, Node, SqliteStore};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::{
    app::{App, Parts},
    config::{Config, Mode, Model, StoreLocation},
    credentials::Credentials,
    hunts::{Hunts, Spool},
    listeners::Listeners,
    reload::{Reload, load_indicators, load_rules},
    retention::keep_clean,
    telemetry::{self, SystemClock},
    triage::Triage,
};

const LOCAL_TENANT: &str = "admin";

pub async fn boot(config: &Config) -> anyhow::Result<App> {
    // Before anybody who counts.
    let metrics = telemetry::start_metrics()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let node = Node::claim(&config.data).context("the data folder can't be used")?;
    let folder = config.rules.clone();
    let rules = tokio::task::spawn_blocking(move || load_rules(folder.as_deref()));
    let (store, feed) = open_store(&config.store, &node).await?;
    let local_tenant = local_tenant(config.mode, &*store, &*clock).await?;
    let (rules, _) = rules.await.context("the rules cannot be loaded")??;
    let engine = Arc::new(Engine::new(rules));
    if let Some(folder) = &config.indicators {
        engine.use_indicators(load_indicators(folder, &*clock)?.indicators);
    }
    let triage = Triage {
        engine: Arc::clone(&engine),
        second_opinion: second_opinion(&config.model, &store, &clock)?,
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        listeners: Listeners::default(),
        late: TaskTracker::new(),
    };
    triage.recall().await.context("cannot read the latest logs")?;
    if !config.kept.is_empty() {
        let kept = config.kept.clone();
        tokio::spawn(keep_clean(
            Arc::clone(&store) as _,
            Arc::clone(&clock),
            kept,
            answers_live(&config.model),
        ));
    }
    Ok(App::new(Parts {
        mode: config.mode,
        credentials: Credentials::new()?,
        metrics,
        operator_token: config.operator_token.clone(),
        triage,
        hunts: start_hunts(config, node, &store, &clock, &engine).await?,
        reload: Reload {
            engine,
            clock: Arc::clone(&clock),
            rules: config.rules.clone(),
            indicators: config.indicators.clone(),
            latest: Arc::new(Mutex::new(None)),
        },
        local_tenant,
        max_upload_bytes: config.max_upload_bytes,
        feed,
        clock,
        store,
    }))
}

/// Returns the store, and what it tells of other servers where there may be some.
async fn open_store(
    location: &StoreLocation,
    node: &Node,
) -> anyhow::Result<(Arc<dyn Store>, Option<Arc<dyn ThreatFeed>>)> {
    match location {
        StoreLocation::Sqlite(path) => {
            let store = SqliteStore::open(path)
                .with_context(|| format!("cannot open the store {}", path.display()))?;
            Ok((Arc::new(store), None))
        }
        StoreLocation::Mongo(url) => {
            let store =
                MongoStore::open(url.as_str(), node.clone()).await.context("cannot open the store")?;
            Ok((Arc::new(store.clone()), Some(Arc::new(store))))
        }
    }
}

/// Begins a copy of one store into another, or goes on with it.
pub async fn begin_copy(from: &StoreLocation, to: &StoreLocation) -> Result<Copy, CopyError> {
    let address = |location: &StoreLocation| match location {
        StoreLocation::Sqlite(path) => Address::Sqlite(path.clone()),
        StoreLocation::Mongo(url) => Address::Mongo(url.as_str().to_owned()),
    };
    Copy::begin(address(from), address(to)).await
}

/// Returns the hunts, at work on what a former process did not finish. Called once the data folder is this process's own.
async fn start_hunts(
    config: &Config,
    node: Node,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    security: &Arc<Engine>,
) -> anyhow::Result<Hunts> {
    let spool = Spool::open(&config.data, node)?;
    let (at_once, queued) = (config.scans_at_once, config.scans_queued_per_tenant);
    let hunts =
        Hunts::new(Arc::clone(store), Arc::clone(clock), Arc::clone(security), spool, at_once, queued);
    hunts.resume().await?;
    Ok(hunts)
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

/// Returns for how long an answer of a model is used again, or was by default while there was one.
fn answers_live(model: &Model) -> Duration {
    match model {
        Model::On(settings) => settings.cache_ttl,
        Model::Off(_) => Duration::from_hours(7 * 24),
    }
}

fn second_opinion(
    model: &Model,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn SecondOpinion>> {
    let Model::On(settings) = model else { return Ok(Arc::new(NoModel::default())) };
    let book: Arc<dyn ExchangeBook> = Arc::clone(store) as _;
    let consultant = Consultant::new((**settings).clone(), book, Arc::clone(clock))
        .context("the language model can't be asked from here")?;
    Ok(Arc::new(consultant))
}
