//! What an engine says about a log entry. Pure words: the numbers behind a score live in `detect`.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{id::ObjectId, second_opinion::Opinion};

/// How dangerous an entry is: 0 (nothing) to 100 (certain, severe attack).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a score is 0 to 100")]
pub struct InvalidScore;

impl Score {
    pub const MAX: Self = Self(100);
    /// The lowest score of a threat, that is of severity LOW.
    pub const THREAT: Self = Self(20);

    /// Returns the score, 100 if `value` is above it.
    pub fn saturating(value: u8) -> Self {
        Self(value.min(Self::MAX.0))
    }

    pub fn value(self) -> u8 {
        self.0
    }

    /// Returns the severity of the score: NONE < 20, LOW < 40, MEDIUM < 70, HIGH < 90, CRITICAL.
    pub fn severity(self) -> Severity {
        match self.0 {
            0..20 => Severity::None,
            20..40 => Severity::Low,
            40..70 => Severity::Medium,
            70..90 => Severity::High,
            _ => Severity::Critical,
        }
    }

    pub fn is_threat(self) -> bool {
        self >= Self::THREAT
    }
}

impl TryFrom<u8> for Score {
    type Error = InvalidScore;

    fn try_from(value: u8) -> Result<Self, InvalidScore> {
        if value <= Self::MAX.0 { Ok(Self(value)) } else { Err(InvalidScore) }
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

/// The five bands of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    None,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// Returns the first score of the band.
    pub fn lowest_score(self) -> Score {
        Score(match self {
            Self::None => 0,
            Self::Low => 20,
            Self::Medium => 40,
            Self::High => 70,
            Self::Critical => 90,
        })
    }

    /// Returns the last score of the band.
    pub fn highest_score(self) -> Score {
        Score(match self {
            Self::None => 19,
            Self::Low => 39,
            Self::Medium => 69,
            Self::High => 89,
            Self::Critical => 100,
        })
    }
}

/// The kind of attack that the strongest detection speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    None,
    SqlInjection,
    Xss,
    PathTraversal,
    RemoteCodeExecution,
    BruteForce,
    AuthFailure,
    Scanner,
    PrivilegeEscalation,
    Malware,
    Policy,
    Other,
}

impl Category {
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::SqlInjection,
        Self::Xss,
        Self::PathTraversal,
        Self::RemoteCodeExecution,
        Self::BruteForce,
        Self::AuthFailure,
        Self::Scanner,
        Self::PrivilegeEscalation,
        Self::Malware,
        Self::Policy,
        Self::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SqlInjection => "sql_injection",
            Self::Xss => "xss",
            Self::PathTraversal => "path_traversal",
            Self::RemoteCodeExecution => "remote_code_execution",
            Self::BruteForce => "brute_force",
            Self::AuthFailure => "auth_failure",
            Self::Scanner => "scanner",
            Self::PrivilegeEscalation => "privilege_escalation",
            Self::Malware => "malware",
            Self::Policy => "policy",
            Self::Other => "other",
        }
    }
}

/// How grave a rule's author holds what it finds; Sigma's five levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A rule that fired, with its evidence quoted from the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub level: Level,
    pub evidence: Vec<Evidence>,
    /// The earlier events that it rests on, the latest last; of many, the latest few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ObjectId>,
}

/// A bounded quotation from one field; control and bidirectional characters are written as escapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub field: Arc<str>,
    pub excerpt: String,
}

/// Who judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judge {
    #[serde(rename = "rules")]
    Rules,
    #[serde(rename = "rules+llm")]
    RulesAndModel,
}

/// Why an analysis stands without the model's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// No model is configured, or it is switched off.
    ModelOff,
    ModelTimeout,
    ModelUnavailable,
    ModelAnswerInvalid,
    Budget,
}

/// The verdict on one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    pub score: Score,
    pub category: Category,
    /// No part of the serialised form: a store keeps it beside, where it can be searched.
    #[serde(skip)]
    pub summary: Cow<'static, str>,
    pub prevention_measures: Cow<'static, str>,
    /// MITRE ATT&CK techniques such as `T1190` or `T1110.001`, each once.
    pub techniques: Vec<Arc<str>>,
    /// The gravest first.
    pub detections: Vec<Detection>,
    pub engine: Judge,
    pub model: Option<String>,
    pub degraded: Option<Degraded>,
    pub engine_version: Cow<'static, str>,
    /// The hash of the rules that judged, in hex; where lists of indicators were looked in, a `+` and theirs.
    pub rule_set: Arc<str>,
}

impl Analysis {
    /// Returns the analysis with the opinion's part added. The score never falls.
    #[must_use]
    pub fn raised_by(mut self, opinion: Opinion) -> Self {
        match opinion {
            Opinion::NotAsked => {}
            Opinion::Unavailable(reason) => self.degraded = Some(reason),
            Opinion::Contested { model } => {
                self.engine = Judge::RulesAndModel;
                self.model = Some(model);
            }
            Opinion::Given { model, score, summary } => {
                self.engine = Judge::RulesAndModel;
                self.model = Some(model);
                if score > self.score {
                    self.score = score;
                    self.summary = Cow::Owned(summary);
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn analysis(score: u8) -> Analysis {
        Analysis {
            score: Score::saturating(score),
            category: Category::None,
            summary: "local".into(),
            prevention_measures: "".into(),
            techniques: Vec::new(),
            detections: Vec::new(),
            engine: Judge::Rules,
            model: None,
            degraded: None,
            engine_version: "0".into(),
            rule_set: "0".into(),
        }
    }

    #[test]
    fn severity_is_a_function_of_the_score() {
        let severities: Vec<_> = (0..=100).map(|score| Score(score).severity()).collect();
        assert!(severities.is_sorted());
        for severity in Severity::ALL {
            assert_eq!(severity.lowest_score().severity(), severity);
            assert_eq!(severity.highest_score().severity(), severity);
        }
        assert!(!Severity::None.highest_score().is_threat() && Severity::Low.lowest_score().is_threat());
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for category in Category::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
        }
        for severity in Severity::ALL {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
    }

    proptest! {
        #[test]
        fn an_opinion_never_lowers_a_score(local in 0_u8..=100, model in 0_u8..=100) {
            let given = Opinion::Given {
                model: "m".into(), score: Score::saturating(model), summary: "model".into(),
            };
            let opinions =
                [given, Opinion::NotAsked, Opinion::Contested { model: "m".into() }, Opinion::Unavailable(Degraded::Budget)];
            for opinion in opinions {
                prop_assert!(analysis(local).raised_by(opinion).score.value() >= local);
            }
        }
    }
}
