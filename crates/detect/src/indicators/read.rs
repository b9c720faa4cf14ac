//! The text of a list → its entries in the tables under construction, and a report on what could not be used.

mod csv;
mod plain;
mod stix;

use std::{fmt, sync::Arc};

use sentinelflow_domain::time::Timestamp;

use super::{
    entry::{Indicator, Kind},
    tables::{Builder, Note},
};
use crate::explain::safe;

/// So many faults of a file are told; the others are counted.
const MOST_FAULTS_TOLD: usize = 1_000;
const MOST_DESCRIPTION_CHARS: usize = 160;
const MOST_ENTRY_CHARS: usize = 80;

/// What is told of a fault has room for the entry and why it is refused.
const MOST_FAULT_CHARS: usize = 240;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReport {
    pub file: String,
    /// How many entries are used, by kind.
    pub used: [(Kind, u64); 4],
    /// Entries whose time is over or has not come, and those that were revoked.
    pub lapsed: u64,
    /// Parts of a bundle that are no indicators.
    pub others: u64,
    /// What can't be used, and why; of very many, the first.
    pub faults: Vec<ListFault>,
    pub fault_count: u64,
    is_broken: bool,
}

/// Why an entry, or a file, is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFault {
    pub file: String,
    pub line: usize,
    pub what: String,
}

impl fmt::Display for ListFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl ListReport {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            used: Kind::ALL.map(|kind| (kind, 0)),
            lapsed: 0,
            others: 0,
            faults: Vec::new(),
            fault_count: 0,
            is_broken: false,
        }
    }

    /// The report on a file that can't be read at all.
    pub fn unreadable(file: &str, what: &str) -> Self {
        let mut report = Self::new(file);
        report.is_broken = true;
        report.fault(1, what);
        report
    }

    pub fn used_count(&self) -> u64 {
        self.used.iter().map(|(_, count)| count).sum()
    }

    /// Whether the file is no list, or none of it can be used: what was sent in its place, say.
    pub fn is_unusable(&self) -> bool {
        self.is_broken || (self.fault_count > 0 && self.used_count() == 0)
    }

    fn fault(&mut self, line: usize, what: &str) {
        self.fault_count += 1;
        if self.faults.len() < MOST_FAULTS_TOLD {
            let what = safe(what, MOST_FAULT_CHARS);
            self.faults.push(ListFault { file: self.file.clone(), line, what });
        }
    }
}

/// Reads a file of any of the three formats; which one, the beginning or the name tells.
pub(super) fn read(file: &str, text: &str, now: Timestamp, builder: &mut Builder) -> ListReport {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let name = file.rsplit('/').next().unwrap_or(file);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let note = Note { list: safe(stem, MOST_ENTRY_CHARS).into(), description: None, confidence: None };
    let mut reading = Reading { builder, report: ListReport::new(file), now, note };
    if text.trim_start().starts_with('{') {
        stix::read(text, &mut reading);
    } else if ["csv", "tsv"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        csv::read(text, &mut reading);
    } else {
        plain::read(text, &mut reading);
    }
    reading.report
}

/// A file that is being read.
struct Reading<'b> {
    builder: &'b mut Builder,
    report: ListReport,
    now: Timestamp,
    /// What is said of the entries that follow.
    note: Note,
}

impl Reading<'_> {
    /// Adds an entry with the note of the moment.
    fn add(&mut self, line: usize, raw: &str, expected: Option<Kind>) {
        let read = Indicator::read(raw).and_then(|indicator| {
            let kind = indicator.kind();
            if expected.is_some_and(|expected| expected != kind) {
                return Err("is of another kind than its place says");
            }
            self.builder.add(&indicator, &self.note).map(|()| kind)
        });
        match read {
            Ok(kind) => {
                let used = self.report.used.iter_mut().find(|(known, _)| *known == kind);
                used.expect("every kind is counted").1 += 1;
            }
            Err(why) => self.refuse(line, raw, why),
        }
    }

    fn refuse(&mut self, line: usize, raw: &str, why: &str) {
        self.report.fault(line, &format!("'{}' {why}", safe(raw, MOST_ENTRY_CHARS)));
    }

    /// Says that the file is no list.
    fn break_off(&mut self, line: usize, what: &str) {
        self.report.is_broken = true;
        self.report.fault(line, what);
    }

    fn describe(&mut self, description: &str) {
        let description = description.trim();
        let said = (!description.is_empty()).then(|| safe(description, MOST_DESCRIPTION_CHARS));
        if self.note.description.as_deref() != said.as_deref() {
            self.note.description = said.map(Arc::from);
        }
    }

    /// Takes a confidence from 0 to 100, or a word of STIX's scale for one.
    fn trust(&mut self, line: usize, said: &str) {
        let said = said.trim();
        self.note.confidence = match said.to_ascii_lowercase().as_str() {
            "" => None,
            "low" => Some(15),
            "medium" => Some(50),
            "high" => Some(85),
            number => number.parse().ok().filter(|number| *number <= 100),
        };
        if self.note.confidence.is_none() && !said.is_empty() {
            self.refuse(line, said, "is no confidence from 0 to 100; what it is said of is used without");
        }
    }
}
