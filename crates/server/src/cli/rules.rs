//! `sentinelflow rules`: what the engine would make of rule files, without a server.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use sentinelflow_detect::{
    examples::failing_examples,
    rules::{
        RuleFileError, RuleSet,
        why::{Why, why},
    },
};
use sentinelflow_domain::log_entry::MESSAGE_MAX_BYTES;

use super::{analyze::entry, print, tell};
use crate::{printable::shown, rule_files};

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
    /// Say why a rule matches an event or not, selection by selection
    Explain {
        /// The rule's id, name or title
        rule: String,
        /// A file with one event, as text or as JSON; "-" is standard input
        event: PathBuf,
        /// The rule is in this file, or below this folder
        #[arg(long, value_name = "PATH")]
        rules: Option<PathBuf>,
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
        Command::Explain { rule, event, rules } => explain(rule, event, rules.as_deref()),
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

fn explain(rule: &str, event: &Path, rules: Option<&Path>) -> anyhow::Result<()> {
    let text = if event == Path::new("-") {
        io::read_to_string(io::stdin()).context("cannot read standard input")?
    } else {
        fs::read_to_string(event).with_context(|| format!("cannot read {}", event.display()))?
    };
    let text = text.trim_end_matches(['\n', '\r']);
    anyhow::ensure!(!text.is_empty(), "there is no event in {}", event.display());
    anyhow::ensure!(text.len() <= MESSAGE_MAX_BYTES, "an event has at most {MESSAGE_MAX_BYTES} bytes");
    let files = rules.map(rule_files::read).transpose()?.unwrap_or_default().0;
    let why = why(files.into_iter(), rule, &entry("file", text)).map_err(anyhow::Error::msg)?;
    print(&as_text(&why))
}

fn as_text(why: &Why) -> String {
    let verdict = |holds: bool| if holds { "holds" } else { "does not hold" };
    let source = |parts: &[Option<String>; 3]| {
        let names = ["category", "product", "service"];
        let stated =
            names.iter().zip(parts).filter_map(|(name, part)| Some(format!("{name} {}", part.as_ref()?)));
        let stated: Vec<_> = stated.collect();
        if stated.is_empty() { "unknown".to_owned() } else { stated.join(", ") }
    };
    let mut lines = vec![
        format!("{}: {}", shown(&why.title), if why.holds { "matches" } else { "does not match" }),
        format!(
            "log source: the rule is for {}; the event's is {}: {}",
            shown(&source(&why.rule_source)),
            source(&why.event_source),
            if why.covers { "it is asked" } else { "it is not asked" }
        ),
        format!("condition: {}", shown(&why.condition)),
    ];
    for selection in &why.selections {
        lines.push(format!("  {}: {}", shown(&selection.name), verdict(selection.holds)));
        lines.extend(
            selection.found.iter().map(|(field, part)| format!("    {} = {}", shown(field), shown(part))),
        );
    }
    lines.push("the event's fields:".to_owned());
    lines.extend(why.fields.iter().map(|(name, value)| format!("  {} = {}", shown(name), shown(value))));
    lines.join("\n")
}

fn tell_faults(faults: &[RuleFileError]) {
    for fault in faults {
        tell(&fault.to_string());
    }
}
