//! The command line. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod analyze;
mod indicators;
mod line_time;
mod llm;
mod rules;
mod scan;
mod serve;
mod store;

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{ConfigFaults, Mode};

/// Scores log events the moment they arrive, and finds the rows of a file that don't belong.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
#[derive(Parser)]
#[command(name = "sentinelflow", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine only: loopback, no credentials, tenant "admin" ready
    Dev(serve::ServerArgs),
    /// Production: every caller shows credentials
    Serve(serve::ServerArgs),
    /// Find the rows of CSV, JSON, Parquet, XLS or XLSX files that don't belong, offline
    Scan(scan::ScanArgs),
    /// Judge the lines of log files, offline
    Analyze(analyze::AnalyzeArgs),
    /// List, check and test detection rules
    Rules(rules::RulesArgs),
    /// Check lists of addresses, domains, hashes and URLs
    Indicators(indicators::IndicatorsArgs),
    /// Try the configured language model
    Llm(llm::LlmArgs),
    /// Move what a server remembers into another store
    Store(store::StoreArgs),
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
}

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Dev(args) => serve::run(Mode::Dev, args),
        Command::Serve(args) => serve::run(Mode::Serve, args),
        Command::Scan(args) => scan::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Indicators(args) => indicators::run(&args),
        Command::Llm(args) => llm::run(&args),
        Command::Store(args) => store::run(args),
        Command::Openapi => print_openapi(),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    tell(&format!("sentinelflow: {error:#}"));
    if error.is::<ConfigFaults>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::from(FAILED) }
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_openapi() -> anyhow::Result<()> {
    println!("{}", crate::http::openapi().to_pretty_json()?);
    Ok(())
}

/// Tells the operator something on standard error.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn tell(sentence: &str) {
    eprintln!("{sentence}");
}

/// Prints a result; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
