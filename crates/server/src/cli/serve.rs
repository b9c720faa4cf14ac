//! `sentinelflow dev` and `sentinelflow serve`.

use std::{num::NonZero, path::PathBuf, thread};

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
    boot::boot,
    config::{Config, Flags, Mode, Model},
    http,
    reload::ReloadError,
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
    /// Where logs are kept: sqlite:PATH or mongodb://… [default: sqlite:DATA/sentinelflow.sqlite3]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Rule files to use besides those that come with the program; read again on SIGHUP and when an operator asks
    #[arg(long, value_name = "DIR")]
    rules: Option<String>,
    /// Lists of addresses, domains, hashes and URLs to look for; read again on SIGHUP and when an operator asks
    #[arg(long, value_name = "DIR")]
    indicators: Option<String>,
    /// Ask no language model and open no connection to anywhere, whatever else is configured
    #[arg(long)]
    air_gapped: bool,
    /// Holds the token, of 32 characters or more, by which serve knows an operator
    #[arg(long, value_name = "FILE")]
    operator_token_file: Option<String>,
}

pub fn run(mode: Mode, args: ServerArgs) -> anyhow::Result<()> {
    let given = [
        ("listen", args.listen),
        ("data", args.data),
        ("store", args.store),
        ("rules", args.rules),
        ("indicators", args.indicators),
        ("operator_token_file", args.operator_token_file),
        ("air_gapped", args.air_gapped.then(|| true.to_string())),
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
    reload_when_told(app.clone())?;
    // Who reads that it listens may tell it to stop.
    let told_to_stop = told_to_stop()?;
    announce(&config, &listener, &app.triage.engine)?;
    let stop = async {
        told_to_stop.await;
        app.triage.listeners.close();
        app.hunts.stop_jobs();
    };
    http::serve(listener, http::Api::new(&app), config.max_connections, stop).await;
    app.triage.settle().await;
    app.hunts.jobs_stopped().await;
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
    info!("Data in {}; {rules} rules{lists}; {}", config.data.display(), second_opinion(&config.model));
    for (plan, days) in &config.kept {
        info!("Logs of {} tenants are removed after {days} days", plan.as_str());
    }
    if let Model::On(settings) = &config.model
        && settings.travels_in_the_clear()
    {
        warn!(
            "What the language model is asked, and its key, travel in the clear: llm.base_url should be https"
        );
    }
    if config.mode == Mode::Serve && !address.ip().is_loopback() {
        warn!("Credentials travel in the clear: put a proxy with TLS in front");
    }
    info!(listen = %address, "Listening on http://{address}, try http://{address}/docs/");
    Ok(())
}

fn second_opinion(model: &Model) -> String {
    match model {
        Model::Off(why) => why.to_string(),
        Model::On(settings) => {
            format!("{} gives a second opinion (ask: {})", settings.model, settings.ask.as_str())
        }
    }
}

/// Reads rules and indicators again on each SIGHUP.
fn reload_when_told(app: App) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            if let Err(ReloadError::BrokeOff(error)) = app.reload.run("SIGHUP".to_owned()).await {
                error!(error = %error, "SIGHUP: what was not read yet stays as it is");
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
