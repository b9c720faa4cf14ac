//! `sentinelflow indicators`: what the engine would make of lists, without a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sentinelflow_detect::indicators::ListReport;
use sentinelflow_domain::clock::Clock as _;

use super::{print, tell};
use crate::{
    indicator_files::{self, Lists},
    telemetry::SystemClock,
};

#[derive(Args)]
pub struct IndicatorsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say of each list what it holds, and of each entry that can't be used why
    Check {
        /// A folder of lists, or one list
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
}

/// So many faults of a list are shown.
const MOST_SHOWN: usize = 50;

pub fn run(args: &IndicatorsArgs) -> anyhow::Result<()> {
    let Command::Check { path } = &args.command;
    let Lists { indicators, reports } = indicator_files::load(path, SystemClock.now())?;
    for report in &reports {
        print(&as_text(report))?;
    }
    let megabytes = indicators.bytes() / 1_000_000;
    print(&format!("{} files: {} indicators in {megabytes} MB of memory", reports.len(), indicators.len()))?;
    let unusable = reports.iter().filter(|report| report.is_unusable()).count();
    anyhow::ensure!(unusable == 0, "nothing of {unusable} of {} files can be used", reports.len());
    Ok(())
}

/// Tells what of the lists is not used.
pub fn tell_faults(reports: &[ListReport]) {
    for report in reports.iter().filter(|report| report.fault_count > 0) {
        for fault in faults(report) {
            tell(&fault);
        }
    }
}

fn as_text(report: &ListReport) -> String {
    let counts = report.used.iter().filter(|(_, count)| *count > 0);
    let mut counts: Vec<String> = counts.map(|(kind, count)| format!("{count} {}", kind.plural())).collect();
    let rest = [
        (report.lapsed, "not valid now"),
        (report.others, "objects that are no indicators"),
        (report.fault_count, "faults"),
    ];
    counts.extend(rest.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
    let mut lines = vec![format!("{}: {counts}", report.file)];
    lines.extend(faults(report).into_iter().map(|fault| format!("  {fault}")));
    lines.join("\n")
}

/// Returns the faults of a list in words, and how many more there are.
fn faults(report: &ListReport) -> Vec<String> {
    let mut told: Vec<String> = report.faults.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    let more = report.fault_count - told.len() as u64;
    if more > 0 {
        told.push(format!("{}: {more} more", report.file));
    }
    told
}
