//! `sentinelflow dev` and `sentinelflow serve`.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use anyhow::Context as _;
use clap::Args;
use sentinelflow_detect::Engine;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use crate::{
    app::App,
    boot::{boot, load_indicators, load_rules},
    config::{Config, Flags, Mode},
    http,
    indicator_files::Lists,
    telemetry,
};

#[derive(Args)]
pub struct ServerArgs {
    /// Settings in TOML; without it ./sentinelflow.toml is read if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Folder for the store and for uploads under way [default: sentinelflow-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where logs are kept: sqlite:PATH [default: sqlite:DATA/sentinelflow.sqlite3]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Rule files to use besides those that come with the program; read again on SIGHUP
    #[arg(long, value_name = "DIR")]
    rules: Option<String>,
    /// Lists of addresses, domains, hashes and URLs to look for; read again on SIGHUP
    #[arg(long, value_name = "DIR")]
    indicators: Option<String>,
}

pub fn run(mode: Mode, args: ServerArgs) -> anyhow::Result<()> {
    let given = [
        ("listen", args.listen),
        ("data", args.data),
        ("store", args.store),
        ("rules", args.rules),
        ("indicators", args.indicators),
    ];
    let flags: Flags = given.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    let config = Config::read(mode, args.config.as_deref(), flags)?;
    telemetry::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(request_threads())
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(serve(config))
}

/// How many threads answer requests: one core is left to the store's writer. Where it had to share theirs, two cores
/// spent a fifth more on each request and answered fewer.
fn request_threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (cores - 1).max(1)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let app = boot(&config).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    reload_when_told(app.clone(), config.rules.clone(), config.indicators.clone())?;
    announce(&config, &listener, &app.triage.engine)?;
    http::serve(listener, http::Api::new(&app), config.max_connections, told_to_stop()?).await;
    info!("Stopped; everything acknowledged is stored");
    Ok(())
}

fn announce(config: &Config, listener: &TcpListener, engine: &Engine) -> anyhow::Result<()> {
    let (mode, whom) = match config.mode {
        Mode::Dev => ("dev", "loopback only, no credentials, tenant \"admin\" is ready"),
        Mode::Serve => ("serve", "credentials required"),
    };
    let address = listener.local_addr().context("cannot tell the address")?;
    info!("SentinelFlow {} ({mode}: {whom})", env!("CARGO_PKG_VERSION"));
    let (rules, indicators) = (engine.rule_count(), engine.indicator_count());
    let lists = if indicators > 0 { format!("; {indicators} indicators") } else { String::new() };
    info!(
        "Data in {}; {rules} rules{lists}; no language model: the rules judge alone",
        config.data.display()
    );
    if config.mode == Mode::Serve && !address.ip().is_loopback() {
        warn!("Credentials travel in the clear: put a proxy with TLS in front");
    }
    info!(listen = %address, "Listening on http://{address}, try http://{address}/docs/");
    Ok(())
}

/// Reads rules and indicators again on each SIGHUP. Events are judged by the old ones until the new ones are ready, and
/// go on to be if those can't be read.
fn reload_when_told(app: App, rules: Option<PathBuf>, indicators: Option<PathBuf>) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            let (app, rules, indicators) = (app.clone(), rules.clone(), indicators.clone());
            let reload = move || {
                if let Some(folder) = indicators {
                    reload_indicators(&app, &folder);
                }
                reload_rules(&app, rules.as_deref());
            };
            if let Err(error) = tokio::task::spawn_blocking(reload).await {
                error!(error = %error, "SIGHUP: what was not read yet stays as it is");
            }
        }
    });
    Ok(())
}

fn reload_rules(app: &App, folder: Option<&Path>) {
    match load_rules(folder) {
        Ok(rules) => {
            app.triage.engine.use_rules(rules);
            info!("SIGHUP: judging by {} rules from now on", app.triage.engine.rule_count());
        }
        Err(error) => error!("SIGHUP: the rules stay as they are: {error:#}"),
    }
}

/// A file of which nothing can be used, such as a page of an error in place of a list, leaves all lists as they are.
fn reload_indicators(app: &App, folder: &Path) {
    let lists = load_indicators(folder, &*app.clock);
    match lists.and_then(Lists::whole) {
        Ok(indicators) => {
            app.triage.engine.use_indicators(indicators);
            info!("SIGHUP: looking for {} indicators from now on", app.triage.engine.indicator_count());
        }
        Err(error) => error!("SIGHUP: the indicators stay as they are: {error:#}"),
    }
}

/// Returns when the process is asked to end: SIGTERM, or SIGINT from a terminal.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
            _ = interrupt.recv() => info!("SIGINT: finishing what is under way"),
        }
    })
}
