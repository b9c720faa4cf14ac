//! `sentinelflow dev` and `sentinelflow serve`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use crate::{
    app::App,
    boot::{boot, load_rules},
    config::{Config, Flags, Mode},
    http, telemetry,
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
}

pub fn run(mode: Mode, args: ServerArgs) -> anyhow::Result<()> {
    let flags: Flags =
        [("listen", args.listen), ("data", args.data), ("store", args.store), ("rules", args.rules)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .collect();
    let config = Config::read(mode, args.config.as_deref(), flags)?;
    telemetry::start(&config.log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let app = boot(&config).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    reload_rules_when_told(app.clone(), config.rules.clone())?;
    announce(&config, &listener, app.triage.engine.rule_count())?;
    http::serve(listener, http::router(&app), config.max_connections, told_to_stop()?).await;
    info!("Stopped; everything acknowledged is stored");
    Ok(())
}

fn announce(config: &Config, listener: &TcpListener, rules: usize) -> anyhow::Result<()> {
    let (mode, whom) = match config.mode {
        Mode::Dev => ("dev", "loopback only, no credentials, tenant \"admin\" is ready"),
        Mode::Serve => ("serve", "credentials required"),
    };
    let address = listener.local_addr().context("cannot tell the address")?;
    info!("SentinelFlow {} ({mode}: {whom})", env!("CARGO_PKG_VERSION"));
    info!("Data in {}; {rules} rules; no language model: the rules judge alone", config.data.display());
    if config.mode == Mode::Serve && !address.ip().is_loopback() {
        warn!("Credentials travel in the clear: put a proxy with TLS in front");
    }
    info!(listen = %address, "Listening on http://{address}, try http://{address}/docs/");
    Ok(())
}

/// Reads the rule files again on each SIGHUP. Events are judged by the old rules until the new ones are ready, and go on
/// to be if those can't be read.
fn reload_rules_when_told(app: App, folder: Option<PathBuf>) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            let folder = folder.clone();
            match tokio::task::spawn_blocking(move || load_rules(folder.as_deref())).await {
                Ok(Ok(rules)) => {
                    app.triage.engine.use_rules(rules);
                    info!("SIGHUP: judging by {} rules from now on", app.triage.engine.rule_count());
                }
                Ok(Err(error)) => error!("SIGHUP: the rules stay as they are: {error:#}"),
                Err(error) => error!(error = %error, "SIGHUP: the rules stay as they are"),
            }
        }
    });
    Ok(())
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
