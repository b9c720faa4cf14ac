//! The story of a verdict: decode → match → score → explain. Pure, deterministic, shared by every door.

use sentinelflow_domain::{analysis::Analysis, log_entry::LogEntry};

use crate::{
    decode::decode, explain::explain, finding::Finding, payload::Detectors, rules::RuleSet, score::score,
};

/// Judges log entries. Immutable, so any number of threads can share one.
pub struct Engine {
    rules: RuleSet,
    detectors: Detectors,
}

impl Engine {
    /// Returns the engine with the rules that come with it.
    pub fn built_in() -> Self {
        Self { rules: RuleSet::built_in(), detectors: Detectors::new() }
    }

    pub fn analyze(&self, entry: &LogEntry) -> Analysis {
        let decoded = decode(entry);
        let mut findings = self.detectors.findings(&decoded);
        findings.extend(self.rules.matches(&decoded.event).into_iter().map(Finding::from));
        let score = score(&findings, entry.severity_level);
        explain(&decoded.event, findings, score, self.rules.hash())
    }

    /// Returns the hash of the rules, in hex.
    pub fn rule_set(&self) -> &str {
        self.rules.hash()
    }

    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }
}
