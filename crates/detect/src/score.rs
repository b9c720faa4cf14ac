//! Findings → score: one table, monotone. More evidence, or a graver sender's level, never lowers a score.

use sentinelflow_domain::{
    analysis::{Level, Score, Severity},
    log_entry::SeverityLevel,
};

use crate::{finding::Finding, indicators::Kind};

/// What a rule of a level is worth. A payload detector grades finer, within the level's band.
pub(crate) fn points(level: Level) -> u8 {
    match level {
        Level::Informational => 6,
        Level::Low => 24,
        Level::Medium => 58,
        Level::High => 80,
        Level::Critical => 92,
    }
}

/// How grave a listed indicator is, by how sure its list is (in STIX's words: low below 30, high from 70). An address
/// changes hands and many share it, a name or a file does not.
pub(crate) fn level_of_indicator(kind: Kind, confidence: Option<u8>) -> Level {
    let levels = match kind {
        Kind::Address => [Level::Low, Level::Medium, Level::High],
        Kind::Domain | Kind::Url | Kind::Hash => [Level::Medium, Level::High, Level::Critical],
    };
    match confidence {
        Some(0..30) => levels[0],
        None | Some(30..70) => levels[1],
        Some(_) => levels[2],
    }
}

/// The level that so many points stand for.
pub(crate) fn level(points: u8) -> Level {
    match Score::saturating(points).severity() {
        Severity::None => Level::Informational,
        Severity::Low => Level::Low,
        Severity::Medium => Level::Medium,
        Severity::High => Level::High,
        Severity::Critical => Level::Critical,
    }
}

/// What the sender's grading adds where something was found.
fn nudge(severity: SeverityLevel) -> u8 {
    match severity {
        SeverityLevel::Info => 0,
        SeverityLevel::Warning => 5,
        SeverityLevel::Critical => 8,
    }
}

/// The score of an entry in which nothing was found: a sender's word alone never makes a threat.
fn unfounded(severity: SeverityLevel) -> u8 {
    match severity {
        SeverityLevel::Info => 0,
        SeverityLevel::Warning => 5,
        SeverityLevel::Critical => 15,
    }
}

/// What every further finding of at least level low adds, and the most that they add together.
const PER_FURTHER_FINDING: u8 = 2;
const ALL_FURTHER_FINDINGS: u8 = 6;

/// A finding of level informational explains a threat but never makes one.
const INFORMATIONAL_CEILING: u8 = 19;

pub(crate) fn score(findings: &[Finding], severity: SeverityLevel) -> Score {
    let strongest = findings.iter().map(|finding| finding.points).max().unwrap_or(0);
    let telling = findings.iter().filter(|finding| finding.level > Level::Informational).count();
    let further = u8::try_from(telling.saturating_sub(1)).unwrap_or(u8::MAX);
    let further = further.saturating_mul(PER_FURTHER_FINDING).min(ALL_FURTHER_FINDINGS);
    let found = strongest.saturating_add(further);
    if telling == 0 {
        return Score::saturating(found.saturating_add(unfounded(severity)).min(INFORMATIONAL_CEILING));
    }
    Score::saturating(found.saturating_add(nudge(severity)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentinelflow_domain::analysis::Category;

    use super::*;

    const LEVELS: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    fn finding(points: u8) -> Finding {
        Finding {
            id: "id".into(),
            title: "title".into(),
            level: level(points),
            points,
            category: Category::Other,
            techniques: Vec::new(),
            quotes: Vec::new(),
            summary: "".into(),
            advice: "".into(),
            events: Vec::new(),
        }
    }

    #[test]
    fn a_rule_alone_scores_in_the_band_of_its_level() {
        for rule_level in LEVELS {
            assert_eq!(level(points(rule_level)), rule_level);
            let alone = score(&[finding(points(rule_level))], SeverityLevel::Info);
            assert_eq!(level(alone.value()), rule_level);
        }
    }

    proptest! {
        #[test]
        fn more_evidence_never_lowers_a_score(known in prop::collection::vec(0_u8..=100, 0..6), more in 0_u8..=100) {
            let before: Vec<Finding> = known.iter().copied().map(finding).collect();
            let mut after = before.clone();
            after.push(finding(more));
            for severity in [SeverityLevel::Info, SeverityLevel::Warning, SeverityLevel::Critical] {
                prop_assert!(score(&after, severity) >= score(&before, severity));
            }
        }
    }
}
