//! `sentinelflow rules`: what the engine would make of rule files, without a server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use sentinelflow_detect::{
    examples::failing_examples,
    rules::{RuleFileError, RuleSet},
};

use super::{print, tell};
use crate::rule_files;

#[derive(Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the rules that come with the program, and those of a folder
    List {
        /// A rule file, or a folder of them
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
    },
    /// Say which rules of files can be used, and exactly why others can't
    Check {
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Run the examples of rules: those that come with the program, or those of files
    Test {
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
    },
}

pub fn run(args: &RulesArgs) -> anyhow::Result<()> {
    match &args.command {
        Command::List { path } => list(path.as_deref()),
        Command::Check { paths } => check(paths),
        Command::Test { path } => test(path.as_deref()),
    }
}

fn list(path: Option<&Path>) -> anyhow::Result<()> {
    let (rules, errors) = rule_files::load(path)?;
    tell_faults(&errors);
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["id", "level", "category", "techniques", "title"]);
    for rule in rules.iter().chain(rules.correlations()) {
        let level = if rule.is_silent { "counted only" } else { rule.level.as_str() };
        table.add_row([&rule.id, level, rule.category.as_str(), &rule.techniques.join(" "), &rule.title]);
    }
    print(&format!("{table}\n{} rules", rules.len()))
}

fn check(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in paths {
        let (read, unread) = rule_files::read(path)?;
        files.extend(read);
        faults.extend(unread);
    }
    let count = files.len() + faults.len();
    let (rules, errors) = RuleSet::load(files.into_iter());
    faults.extend(errors);
    for fault in &faults {
        print(&fault.to_string())?;
    }
    print(&format!("{count} files: {} rules can be used, {} faults", rules.len(), faults.len()))?;
    anyhow::ensure!(faults.is_empty(), "{} faults", faults.len());
    Ok(())
}

fn test(path: Option<&Path>) -> anyhow::Result<()> {
    let (rules, errors) = match path {
        None => (RuleSet::built_in(), Vec::new()),
        Some(path) => {
            let (files, mut errors) = rule_files::read(path)?;
            let (rules, faults) = RuleSet::load(files.into_iter());
            errors.extend(faults);
            (rules, errors)
        }
    };
    tell_faults(&errors);
    let all = || rules.iter().chain(rules.correlations());
    let examples: usize = all().map(|rule| rule.examples.hits.len() + rule.examples.misses.len()).sum();
    let without = all().filter(|rule| rule.examples.hits.is_empty()).count();
    let count = rules.len();
    let failing = failing_examples(rules);
    for fault in &failing {
        print(fault)?;
    }
    print(&format!(
        "{count} rules, {examples} examples: {} come out otherwise; {without} rules have none",
        failing.len()
    ))?;
    anyhow::ensure!(failing.is_empty() && errors.is_empty(), "{} faults", failing.len() + errors.len());
    Ok(())
}

fn tell_faults(faults: &[RuleFileError]) {
    for fault in faults {
        tell(&fault.to_string());
    }
}
