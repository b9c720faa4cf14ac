//! `sentinelflow analyze`: the security engine over the lines of log files, offline.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::{Analysis, Score},
    clock::Clock as _,
    id::ObjectId,
    log_entry::{LogEntry, MESSAGE_MAX_BYTES, Message, Metadata, SeverityLevel, Source},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{indicators, line_time, print, tell};
use crate::{indicator_files, printable::shown, rule_files, telemetry::SystemClock};

#[derive(Args)]
pub struct AnalyzeArgs {
    /// Log files: one event a line, plain text or JSON; "-" is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Rules to use besides those that come with the program: a file, or a folder of them
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Lists of addresses, domains, hashes and URLs to look for; those for single tenants are left out
    #[arg(long, value_name = "DIR")]
    indicators: Option<PathBuf>,
    /// Show events with at least this score (0 to 100)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    min_score: u8,
    /// What sent the lines that don't say it themselves [default: the file's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each event shown
    Text,
    /// The analysis of each event shown, as JSON, one a line
    Json,
}

/// Judges the lines of every file; one that can't be read is told and costs only itself.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<()> {
    let (rules, errors) = rule_files::load(args.rules.as_deref())?;
    for error in &errors {
        tell(&error.to_string());
    }
    let engine = Engine::new(rules);
    if let Some(folder) = &args.indicators {
        let lists = indicator_files::load(folder, SystemClock.now())?;
        indicators::tell_faults(&lists.reports);
        engine.use_indicators(lists.indicators);
    }
    let mut session = Session { args, engine, now: SystemClock.now(), lines: 0, summary: Summary::default() };
    let mut failed = 0;
    for file in &args.files {
        if let Err(error) = session.judge_file(file) {
            tell(&format!("{}: {error:#}", file.display()));
            failed += 1;
        }
    }
    tell(&session.summary.to_string());
    anyhow::ensure!(failed == 0, "{failed} of {} files could not be read whole", args.files.len());
    Ok(())
}

struct Session<'a> {
    args: &'a AnalyzeArgs,
    engine: Engine,
    /// The time of the last line that told one.
    now: Timestamp,
    /// Lines of all files, by which detections name earlier ones.
    lines: u32,
    summary: Summary,
}

impl Session<'_> {
    fn judge_file(&mut self, file: &Path) -> anyhow::Result<()> {
        let is_input = file == Path::new("-");
        let name = if is_input { "stdin".to_owned() } else { file.display().to_string() };
        let (reader, bytes): (Box<dyn Read>, u64) = if is_input {
            (Box::new(io::stdin().lock()), 0)
        } else {
            let opened = File::open(file).context("cannot be opened")?;
            let bytes = opened.metadata().context("cannot be read")?.len();
            (Box::new(opened), bytes)
        };
        let bar = bar(&name, bytes);
        let source = self.args.source.clone().unwrap_or_else(|| {
            file.file_stem().map_or_else(|| name.clone(), |stem| stem.to_string_lossy().into_owned())
        });
        let mut lines = Lines::new(BufReader::new(bar.wrap_read(reader)));
        let mut number = 0_u64;
        while let Some(line) = lines.next().context("cannot be read")? {
            number += 1;
            self.summary.cut += u64::from(line.is_cut);
            self.summary.not_utf8 += u64::from(line.is_not_utf8);
            if !line.text.trim().is_empty() {
                let shown = self.judge(&name, number, &source, &line.text)?;
                shown.map_or(Ok(()), |text| bar.suspend(|| print(&text)))?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Judges a line; returns what is to be shown of it.
    fn judge(&mut self, file: &str, number: u64, source: &str, line: &str) -> anyhow::Result<Option<String>> {
        let entry = entry(source, line);
        // Lines without a time happened right after the one before.
        self.now = entry.timestamp.or_else(|| line_time::of(line, SystemClock.now())).unwrap_or(self.now);
        self.lines = self.lines.saturating_add(1);
        let id = ObjectId::from_parts(0, [0; 5], self.lines);
        let (analysis, trace) =
            self.engine.analyze_after(ObjectId::from_parts(0, [0; 5], 0), self.now, &entry);
        self.engine.stored(&trace, id);
        self.summary.add(entry.source.as_str(), &analysis);
        if analysis.score.value() < self.args.min_score {
            return Ok(None);
        }
        Ok(Some(match self.args.format {
            Format::Text => as_text(file, number, &analysis),
            Format::Json => serde_json::to_string(&Judged {
                file,
                line: number,
                severity: analysis.score.severity().as_str(),
                analysis: &analysis,
            })?,
        }))
    }
}

#[derive(Serialize)]
struct Judged<'a> {
    file: &'a str,
    line: u64,
    severity: &'a str,
    #[serde(flatten)]
    analysis: &'a Analysis,
}

fn as_text(file: &str, number: u64, analysis: &Analysis) -> String {
    let (score, severity) = (analysis.score.value(), analysis.score.severity().as_str());
    let summary: String = analysis.summary.chars().take(300).collect();
    format!("{file}:{number}: {score} {severity} {}: {summary}", analysis.category.as_str())
}

/// A line that is a log entry of the API, written as JSON.
#[derive(Deserialize)]
struct Sent<'a> {
    source: Option<String>,
    #[serde(default)]
    event_id: i64,
    severity_level: Option<String>,
    message: String,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    timestamp: Option<String>,
}

/// Reads a line: an entry as the API takes it, else any text.
pub fn entry(source: &str, line: &str) -> LogEntry {
    let sent = line.starts_with('{').then(|| serde_json::from_str(line).ok().and_then(read)).flatten();
    sent.unwrap_or_else(|| LogEntry {
        source: short_source(source),
        event_id: 0,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(line.to_owned()).expect("a line has text, and no more than fits"),
        metadata: Metadata::default(),
        timestamp: None,
    })
}

fn read(sent: Sent<'_>) -> Option<LogEntry> {
    Some(LogEntry {
        source: Source::try_from(sent.source?).ok()?,
        event_id: sent.event_id,
        severity_level: sent.severity_level.map_or(Some(SeverityLevel::Info), |level| level.parse().ok())?,
        message: Message::try_from(sent.message).ok()?,
        metadata: sent.metadata.map_or(Ok(Metadata::default()), |raw| Metadata::parse(raw.get())).ok()?,
        timestamp: sent.timestamp.and_then(|text| text.parse().ok()),
    })
}

fn short_source(name: &str) -> Source {
    let short: String = name.chars().take(64).collect();
    Source::try_from(short).unwrap_or_else(|_| Source::try_from("file".to_owned()).expect("a name"))
}

/// The lines of a file, each cut at the length of a message. Bytes that are no UTF-8 are replaced.
struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
}

struct Line {
    text: String,
    is_cut: bool,
    is_not_utf8: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        self.buffer.clear();
        let most = MESSAGE_MAX_BYTES as u64;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        let mut is_cut = false;
        if self.buffer.last() != Some(&b'\n') && read == MESSAGE_MAX_BYTES {
            is_cut = self.reader.skip_until(b'\n')? > 1;
        }
        let text = String::from_utf8_lossy(&self.buffer);
        let is_not_utf8 = matches!(text, std::borrow::Cow::Owned(_));
        let text = text.trim_end_matches(['\n', '\r']);
        // Replacements are longer than what they replace.
        let text = text.get(..text.floor_char_boundary(MESSAGE_MAX_BYTES)).unwrap_or_default().to_owned();
        Ok(Some(Line { text, is_cut, is_not_utf8 }))
    }
}

/// A progress bar, drawn only where standard error is a terminal.
fn bar(name: &str, bytes: u64) -> ProgressBar {
    let template = "{prefix} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec}";
    let style = ProgressStyle::with_template(template).expect("a valid template");
    ProgressBar::new(bytes).with_style(style).with_prefix(shown(name))
}

/// What was found in all, to be told at the end.
#[derive(Default)]
struct Summary {
    events: u64,
    severities: BTreeMap<&'static str, (Score, u64)>,
    techniques: BTreeMap<String, u64>,
    sources: BTreeMap<String, u64>,
    cut: u64,
    not_utf8: u64,
}

/// So many sources are counted; a file may name a new one in every line.
const MOST_SOURCES: usize = 10_000;
/// So many techniques and sources are told, the most frequent.
const TOLD: usize = 10;

impl Summary {
    fn add(&mut self, source: &str, analysis: &Analysis) {
        self.events += 1;
        let severity = analysis.score.severity();
        self.severities.entry(severity.as_str()).or_insert((severity.lowest_score(), 0)).1 += 1;
        if analysis.score.is_threat() {
            for technique in &analysis.techniques {
                *self.techniques.entry(technique.to_string()).or_default() += 1;
            }
            if self.sources.len() < MOST_SOURCES || self.sources.contains_key(source) {
                *self.sources.entry(source.to_owned()).or_default() += 1;
            }
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut severities: Vec<_> = self.severities.iter().collect();
        severities.sort_by_key(|(_, (lowest, _))| std::cmp::Reverse(*lowest));
        let severities: Vec<_> =
            severities.into_iter().map(|(severity, (_, count))| format!("{severity} {count}")).collect();
        write!(f, "{} events: {}", self.events, severities.join(", "))?;
        for (what, counts) in [("techniques", &self.techniques), ("sources of threats", &self.sources)] {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let told: Vec<_> =
                counts.iter().take(TOLD).map(|(name, count)| format!("{} {count}", shown(name))).collect();
            let more = counts.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            if !told.is_empty() {
                write!(f, "\n{what}: {}{more}", told.join(", "))?;
            }
        }
        if self.cut > 0 {
            write!(f, "\n{} lines were longer than 64 KiB and judged by their beginning", self.cut)?;
        }
        if self.not_utf8 > 0 {
            write!(f, "\n{} lines were not UTF-8; what is none was replaced", self.not_utf8)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_replaced_and_all_there() {
        let long = "x".repeat(MESSAGE_MAX_BYTES);
        let bytes = [
            b"a\r\n\n".to_vec(),
            long.clone().into_bytes(),
            b"\n".to_vec(),
            format!("{long}tail\n").into_bytes(),
            b"\xff\xfe end".to_vec(),
        ];
        let bytes = bytes.concat();
        let mut lines = Lines::new(bytes.as_slice());
        let mut read = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            read.push((
                line.text.chars().take(3).collect::<String>(),
                line.text.len(),
                line.is_cut,
                line.is_not_utf8,
            ));
        }
        let expected = [
            ("a", 1, false, false),
            ("", 0, false, false),
            ("xxx", MESSAGE_MAX_BYTES, false, false),
            ("xxx", MESSAGE_MAX_BYTES, true, false),
            ("\u{fffd}\u{fffd} ", 10, false, true),
        ];
        assert_eq!(read, expected.map(|(text, len, cut, bad)| (text.to_owned(), len, cut, bad)));
    }
}
