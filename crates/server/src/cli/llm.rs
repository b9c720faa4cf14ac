//! `sentinelflow llm check`: asks the configured model once, and tells what came of it.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use sentinelflow_llm::Check;

use super::print;
use crate::config::{Config, Mode, Model};

#[derive(Args)]
pub struct LlmArgs {
    #[command(subcommand)]
    command: LlmCommand,
}

#[derive(Subcommand)]
enum LlmCommand {
    /// Ask the model about one harmless line; print status, latency and cost
    Check {
        /// Settings in TOML; without it ./sentinelflow.toml is read if there is one
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub fn run(args: &LlmArgs) -> anyhow::Result<()> {
    let LlmCommand::Check { config } = &args.command;
    let config = Config::read(Mode::Serve, config.as_deref(), Vec::new())?;
    let settings = match config.model {
        Model::On(settings) => settings,
        Model::Off(why) => {
            bail!("{why}; GEMINI_API_KEY or llm.key_file holds Gemini's key, llm.provider names another API")
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let check =
        runtime.block_on(sentinelflow_llm::check(&settings)).context("nothing can be sent from here")?;
    tell(&check, &settings.model)
}

fn tell(check: &Check, asked: &str) -> anyhow::Result<()> {
    let Check { url, model, duration, spent, verdict } = check;
    print(&format!("asked     {asked} at {url}"))?;
    if let Some(model) = model {
        print(&format!("answered  {model}"))?;
    }
    print(&format!("latency   {} ms", duration.as_millis()))?;
    #[expect(clippy::cast_precision_loss, reason = "an amount for people")]
    let usd = spent.nano_usd as f64 / 1e9;
    print(&format!("cost      {} tokens, {usd:.6} US dollars by the configured prices", spent.tokens))?;
    match verdict {
        Ok(verdict) => {
            print(&format!(
                "verdict   {} ({}): {}",
                verdict.score.value(),
                verdict.score.severity().as_str(),
                verdict.summary
            ))?;
            print("status    ok")
        }
        Err(why) => {
            print("status    failed")?;
            bail!("{why}")
        }
    }
}
