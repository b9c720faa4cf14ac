//! `sentinelflow store`: moves what a server remembers into another store.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use sentinelflow_store::{Comparison, Copy, Kind, Tally};

use super::{print, tell};
use crate::{boot::begin_copy, config::StoreLocation, telemetry::SystemClock};

#[derive(Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy a store into an empty one, and compare both; no server may write to either meanwhile
    ///
    /// FROM and TO are sqlite:PATH, a path, or mongodb://…; env:NAME takes what the variable NAME of the environment
    /// holds, so that no password stands in a list of processes. A copy that was broken off goes on where it was when
    /// it is started again; until it is finished no server can open TO.
    Copy {
        /// The store to be copied; it stays as it is
        from: String,
        /// A new file, an empty database, or an unfinished copy of FROM
        to: String,
    },
}

/// So often it is told how far a copy is.
const TOLD_EVERY: Duration = Duration::from_secs(1);

pub fn run(args: StoreArgs) -> anyhow::Result<()> {
    let Command::Copy { from, to } = args.command;
    let (from, to) = (StoreLocation::given("FROM", &from)?, StoreLocation::given("TO", &to)?);
    anyhow::ensure!(from != to, "FROM and TO are the same");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let done = runtime.block_on(copy(&from, &to));
    // The driver of MongoDB says goodbye in the background and panics if its threads end first; the process ends anyway.
    std::mem::forget(runtime);
    done
}

async fn copy(from: &StoreLocation, to: &StoreLocation) -> anyhow::Result<()> {
    let mut copy = begin_copy(from, to).await?;
    let verb = if copy.is_resumed() { "Going on with the copy of" } else { "Copying" };
    tell(&format!("{verb} {from} into {to}"));
    transfer(&mut copy).await?;
    let mut comparisons = Vec::new();
    for kind in Kind::ALL {
        tell(&format!("comparing {}", kind.as_str()));
        comparisons.push(copy.compare(kind, &SystemClock).await?);
    }
    print(&as_table(&comparisons))?;
    let is_settled = copy.settle(&comparisons).await?;
    let first = comparisons.iter().find(|comparison| !comparison.agrees());
    if let Some(Comparison { kind, first_difference, .. }) = first {
        let difference = first_difference.as_deref().unwrap_or("the hashes differ");
        anyhow::bail!(
            "FROM and TO are not the same ({}: {difference}), and TO stays closed to servers: see that nothing \
             writes to FROM, empty TO and copy again",
            kind.as_str()
        );
    }
    anyhow::ensure!(is_settled, "the copy is not finished");
    tell("FROM and TO hold the same; a server may use TO now");
    Ok(())
}

/// Copies page by page, and tells how far it is.
async fn transfer(copy: &mut Copy) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut told = began;
    let (mut current, mut records, mut bytes) = (None, 0, 0);
    let mut total = 0;
    let tell_progress = |kind: Option<Kind>, records: usize, bytes: usize| {
        if let Some(kind) = kind {
            tell(&format!("{}: {records} copied ({} MB)", kind.as_str(), bytes / 1_000_000));
        }
    };
    while let Some(progress) = copy.step().await? {
        if current.is_some_and(|kind| kind != progress.kind) {
            tell_progress(current, records, bytes);
            (records, bytes) = (0, 0);
        }
        current = Some(progress.kind);
        records += progress.records;
        bytes += progress.bytes;
        total += progress.records;
        if told.elapsed() >= TOLD_EVERY {
            tell_progress(current, records, bytes);
            told = Instant::now();
        }
    }
    tell_progress(current, records, bytes);
    tell(&format!("{total} records in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Returns a row for each kind that agrees, and two for others.
fn as_table(comparisons: &[Comparison]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["kind", "in", "records", "SHA-256"]);
    let mut add = |kind: Kind, side: &str, tally: &Tally| {
        table.add_row([kind.as_str(), side, &tally.count.to_string(), &tally.hash_in_hex()]);
    };
    for comparison in comparisons {
        if comparison.agrees() {
            add(comparison.kind, "both", &comparison.from);
        } else {
            add(comparison.kind, "FROM", &comparison.from);
            add(comparison.kind, "TO", &comparison.to);
        }
    }
    table.to_string()
}
