//! `sentinelflow scan`: the forensic engine over files, offline.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use sentinelflow_detect::Engine as SecurityEngine;
use sentinelflow_domain::{
    clock::Clock as _,
    scan::{
        Anomaly, CellChange, ColumnReason, Counterfactual, Cutoff, EngineChoice, ScanOptions, ScanProgress,
        ScanReport, Sighting,
    },
};
use sentinelflow_forensic::{Baseline, Limits, NoWitness, ScanError, SeenRows, Witness, learn, report, scan};
use serde::Serialize;

use super::{print, tell};
use crate::{
    printable::{harmless, shown},
    sightings::Sighter,
    telemetry::SystemClock,
};

const MOST_SIGHTINGS_SHOWN: usize = 10;

#[derive(Args)]
pub struct ScanArgs {
    /// CSV (also with tabs, semicolons or bars), JSON lines, Parquet, XLS or XLSX; the content decides, not the name
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "auto")]
    engine: Engine,
    /// Flag rows with at least this score (0 to 1) instead of bounding false alarms
    #[arg(long, value_parser = fraction, conflicts_with_all = ["top", "max_false_alarms"])]
    threshold: Option<f64>,
    /// Flag so many rows, those with the highest scores
    #[arg(long, value_name = "ROWS", conflicts_with = "max_false_alarms")]
    top: Option<u64>,
    /// Flag at most this share of a file without anomalies [default: 0.005]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_false_alarms: Option<f64>,
    /// How many flagged rows to show [default: 20; of html, which shows no more, 100]
    #[arg(long)]
    limit: Option<usize>,
    /// The sheet of a workbook [default: the first that has rows]
    #[arg(long)]
    sheet: Option<String>,
    /// A column to leave out; may be repeated
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write the result to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a score for every row to this file (CSV: row,score)
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Judge by a baseline that was learned from another file
    #[arg(long, value_name = "FILE", conflicts_with = "save_baseline")]
    baseline: Option<PathBuf>,
    /// Learn from a file without anomalies and keep what was learned, instead of looking for anomalies
    #[arg(long, value_name = "FILE", conflicts_with = "scores")]
    save_baseline: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Auto,
    Autoencoder,
    Statistical,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
    /// One page to hand to somebody, of one file
    Html,
}

fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "must be a number above 0 and at most 1".to_owned())
}

/// Scans every file; one that can't be scanned is told and costs only itself.
pub fn run(args: &ScanArgs) -> anyhow::Result<()> {
    let one_file_only = [
        (args.scores.is_some(), "--scores takes the scores of one file only"),
        (args.output.is_some(), "--output takes the result of one file only"),
        (args.format == Format::Html, "--format html makes a page of one file only"),
    ];
    for (is_asked, sentence) in one_file_only {
        anyhow::ensure!(!is_asked || args.files.len() == 1, sentence);
    }
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    if let Some(path) = &args.save_baseline {
        return save_baseline(&args.files, path, args);
    }
    let mut failed = 0;
    for file in &args.files {
        if let Err(error) = scan_one(file, baseline.as_ref(), args) {
            tell(&format!("{}: {error:#}", file.display()));
            failed += 1;
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} files could not be scanned", args.files.len());
    Ok(())
}

fn scan_one(file: &Path, baseline: Option<&Baseline>, args: &ScanArgs) -> anyhow::Result<()> {
    let bar = Bar::new(file);
    let name = file.display().to_string();
    let security = SecurityEngine::built_in();
    let scan_with = |witness: &mut dyn Witness| {
        let options = options(args);
        let mut sighter = Sighter::new(&security, options.limit, witness);
        let report = scan(file, &name, &options, baseline, &Limits::default(), &bar, &mut sighter)?;
        Ok::<_, ScanError>(ScanReport { sightings: sighter.finish(), ..report })
    };
    let report = match &args.scores {
        None => scan_with(&mut NoWitness),
        Some(path) => {
            let mut scores =
                ScoreFile::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            let report = scan_with(&mut scores);
            scores.0.flush().with_context(|| format!("cannot write {}", path.display()))?;
            report
        }
    };
    bar.0.finish_and_clear();
    let report = report?;
    let text = match args.format {
        Format::Table => as_text(file, &report),
        Format::Json => as_json(file, &report)?,
        Format::Csv => as_csv(file, &report)?,
        Format::Html => as_html(file, &report),
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
        }
        None => print(&text),
    }
}

fn options(args: &ScanArgs) -> ScanOptions {
    ScanOptions {
        engine: match args.engine {
            Engine::Auto => EngineChoice::Auto,
            Engine::Autoencoder => EngineChoice::Autoencoder,
            Engine::Statistical => EngineChoice::Statistical,
        },
        cutoff: (args.threshold.map(Cutoff::Score))
            .or(args.top.map(Cutoff::Top))
            .or(args.max_false_alarms.map(Cutoff::FalseAlarms))
            .unwrap_or_default(),
        limit: args.limit.unwrap_or(if args.format == Format::Html { 100 } else { 20 }),
        sheet: args.sheet.clone(),
        ignore: args.ignore.clone(),
    }
}

fn read_baseline(path: &Path) -> anyhow::Result<Baseline> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Baseline::from_bytes(&bytes).with_context(|| format!("cannot use {}", path.display()))
}

/// Learns from one file and keeps what was learned; nothing is flagged.
fn save_baseline(files: &[PathBuf], path: &Path, args: &ScanArgs) -> anyhow::Result<()> {
    let [file] = files else { anyhow::bail!("--save-baseline learns from one file only") };
    let bar = Bar::new(file);
    let baseline = learn(file, &file.display().to_string(), &options(args), &Limits::default(), &bar);
    bar.0.finish_and_clear();
    let baseline = baseline.with_context(|| file.display().to_string())?;
    let bytes = baseline.to_bytes();
    std::fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    print(&format!(
        "{}: a baseline of {} rows ({} engine, {} bytes); judge with --baseline",
        path.display(),
        baseline.rows(),
        baseline.engine().as_str(),
        bytes.len()
    ))
}

/// Writes a line for every row.
struct ScoreFile(BufWriter<File>);

impl ScoreFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "row,score")?;
        Ok(Self(file))
    }
}

impl Witness for ScoreFile {
    fn see(&mut self, rows: &SeenRows<'_>) -> std::io::Result<()> {
        for (place, score) in rows.scores().iter().enumerate() {
            writeln!(self.0, "{},{score}", rows.number(place))?;
        }
        Ok(())
    }
}

fn as_text(file: &Path, report: &ScanReport) -> String {
    let (flagged, total) = (report.threats_detected, report.total_scanned);
    let mut lines = vec![
        format!("{}: {flagged} of {total} rows flagged (score ≥ {})", file.display(), report.threshold_used),
        format!("  engine: {}: {}", report.engine.as_str(), report.engine_reason),
        format!("  threshold: {}", report.threshold_method),
    ];
    let unused = report.columns.iter().filter(|column| !column.used);
    lines.extend(
        unused.map(|column| format!("  column '{}' not used: {}", shown(&column.name), column.reason)),
    );
    lines.extend(report.notes.iter().map(|note| format!("  note: {}", shown(note))));
    if !report.threats.is_empty() {
        lines.push(table(&report.threats).to_string());
    }
    lines.extend(sightings(report));
    let hidden = flagged - report.threats.len() as u64;
    if hidden > 0 {
        lines.push(format!("  and {hidden} more (--limit)"));
    }
    lines.join("\n")
}

/// What the security engine saw in the texts, whatever the rows' scores.
fn sightings(report: &ScanReport) -> Vec<String> {
    let sightings = &report.sightings;
    if sightings.rows == 0 {
        return Vec::new();
    }
    let head = format!("  the security engine sees threats in the texts of {} rows:", sightings.rows);
    let line = |seen: &Sighting| {
        let (column, summary) = (shown(&seen.column), shown(&seen.summary));
        format!("    row {}, {column}: {summary} ({}, {})", seen.row, seen.category, seen.score.value())
    };
    std::iter::once(head).chain(sightings.listed.iter().take(MOST_SIGHTINGS_SHOWN).map(line)).collect()
}

fn table(threats: &[Anomaly]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["row", "score", "because"]);
    for threat in threats {
        table.add_row([threat.row.to_string(), format!("{:.6}", threat.score), because(threat)]);
    }
    table
}

fn because(threat: &Anomaly) -> String {
    let reason = |reason: &ColumnReason| {
        let (column, value) = (shown(&reason.column), shown(&plain(&reason.value)));
        format!("{column} = {value} (usually {}) {:.0} %", shown(&reason.typical), reason.share * 100.0)
    };
    let reasons = threat.reasons.iter().take(3).map(reason);
    reasons.chain(threat.counterfactual.as_ref().map(would_pass)).collect::<Vec<_>>().join("\n")
}

fn would_pass(counterfactual: &Counterfactual) -> String {
    let change = |change: &CellChange| format!("{} {}", shown(&change.column), shown(&change.would_pass));
    let changes: Vec<String> = counterfactual.changes.iter().map(change).collect();
    format!("would pass with {}", changes.join(" and "))
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

fn as_json(file: &Path, report: &ScanReport) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Named<'a> {
        filename: String,
        #[serde(flatten)]
        report: &'a ScanReport,
    }
    Ok(serde_json::to_string_pretty(&Named { filename: file.display().to_string(), report })?)
}

fn as_csv(file: &Path, report: &ScanReport) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["file", "row", "score", "column", "value", "typical", "share"])?;
    for threat in &report.threats {
        for reason in &threat.reasons {
            let cells = [
                file.display().to_string(),
                threat.row.to_string(),
                threat.score.to_string(),
                harmless(&reason.column),
                harmless(&plain(&reason.value)),
                harmless(&reason.typical),
                reason.share.to_string(),
            ];
            writer.write_record(cells)?;
        }
    }
    let mut text = String::from_utf8(writer.into_inner()?)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Returns the page; whoever it is handed to need not know the folders of this machine.
fn as_html(file: &Path, report: &ScanReport) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    report::html(&name.to_string_lossy(), &SystemClock.now().to_string(), report)
}

/// A progress bar, drawn only where standard error is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(file: &Path) -> Self {
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} % {msg}").expect("a valid template");
        let bar = ProgressBar::new(1000).with_style(style).with_prefix(file.display().to_string());
        Self(bar)
    }
}

impl ScanProgress for Bar {
    fn advance(&self, phase: &'static str, fraction: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        self.0.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
        self.0.set_message(phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_steer_a_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), 81);
    }
}
