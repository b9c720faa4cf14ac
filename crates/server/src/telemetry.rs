//! Logs of the server itself, to standard error, and what it counts.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sentinelflow_domain::{clock::Clock, time::Timestamp};
use tracing_subscriber::EnvFilter;

use crate::{
    config::{LogFormat, LogSettings},
    listeners, retention,
};

/// Starts logging; the first call in a process counts.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&settings.filter)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_timer(LogTime);
    let started = match settings.format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// Starts counting; what is counted is read at the handle. Called within the runtime.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot start counting")?;
    sentinelflow_llm::describe_meters();
    listeners::describe_meters();
    retention::describe_meters();
    let counted = handle.clone();
    tokio::spawn(async move {
        // Measured times are held one by one until somebody adds them up, be it that nobody reads them.
        let mut rounds = tokio::time::interval(std::time::Duration::from_secs(10));
        loop {
            rounds.tick().await;
            counted.run_upkeep();
        }
    });
    Ok(handle)
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

struct LogTime;

impl tracing_subscriber::fmt::time::FormatTime for LogTime {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", SystemClock.now())
    }
}
