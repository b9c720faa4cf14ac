//! What an engine says about a log entry. Pure words: the numbers behind a score live in `detect`.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    id::ObjectId,
    second_opinion::{AskedIn, ModelVerdict, Opinion},
};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Judge {
    #[serde(rename = "rules")]
    Rules,
    #[serde(rename = "rules+llm")]
    RulesAndModel,
}

/// Why an analysis stands without the model's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// No model is configured, or it is switched off.
    ModelOff,
    /// No answer within the deadline.
    ModelTimeout,
    /// The provider can't be reached or fails.
    ModelUnavailable,
    /// Too many questions at once, in the provider's view or in ours.
    ModelRateLimited,
    /// The provider's quota for the day is used up.
    ModelQuota,
    /// The provider wants to be paid first.
    ModelUnpaid,
    /// The provider does not accept the key.
    ModelUnauthorized,
    /// The provider does not have the model, nor any other that is configured.
    ModelNotFound,
    /// The provider does not accept the form of the question.
    ModelRefused,
    /// The provider or the model does not speak of this entry.
    ModelBlocked,
    /// The answer ended before its end.
    ModelTruncated,
    /// The answer is not what was asked for.
    ModelAnswerInvalid,
    /// The tenant's budget for the day is used up.
    Budget,
}

impl Degraded {
    pub const ALL: [Self; 13] = [
        Self::ModelOff,
        Self::ModelTimeout,
        Self::ModelUnavailable,
        Self::ModelRateLimited,
        Self::ModelQuota,
        Self::ModelUnpaid,
        Self::ModelUnauthorized,
        Self::ModelNotFound,
        Self::ModelRefused,
        Self::ModelBlocked,
        Self::ModelTruncated,
        Self::ModelAnswerInvalid,
        Self::Budget,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelOff => "model_off",
            Self::ModelTimeout => "model_timeout",
            Self::ModelUnavailable => "model_unavailable",
            Self::ModelRateLimited => "model_rate_limited",
            Self::ModelQuota => "model_quota",
            Self::ModelUnpaid => "model_unpaid",
            Self::ModelUnauthorized => "model_unauthorized",
            Self::ModelNotFound => "model_not_found",
            Self::ModelRefused => "model_refused",
            Self::ModelBlocked => "model_blocked",
            Self::ModelTruncated => "model_truncated",
            Self::ModelAnswerInvalid => "model_answer_invalid",
            Self::Budget => "budget",
        }
    }
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
    /// What a model said, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinion: Option<Box<ModelOpinion>>,
    pub degraded: Option<Degraded>,
    /// Where a model was asked that gave no opinion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedIn>,
    pub engine_version: Cow<'static, str>,
    /// The hash of the rules that judged, in hex; where lists of indicators were looked in, a `+` and theirs.
    pub rule_set: Arc<str>,
}

/// A model's part in an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOpinion {
    pub verdict: ModelVerdict,
    /// It was given for an earlier entry about which the same question had been asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_remembered: bool,
    /// It makes light of what the rules detected: kept as a fact, never applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_contested: bool,
}

impl Analysis {
    pub fn judge(&self) -> Judge {
        if self.opinion.is_some() { Judge::RulesAndModel } else { Judge::Rules }
    }

    /// Returns the analysis with the opinion's part added. The score never falls, and no detection goes.
    #[must_use]
    pub fn raised_by(mut self, opinion: Opinion) -> Self {
        let (verdict, is_remembered) = match opinion {
            Opinion::NotAsked => return self,
            Opinion::Unavailable { reason, asked } => {
                self.degraded = Some(reason);
                self.asked = asked;
                return self;
            }
            Opinion::Given { verdict, is_remembered } => (verdict, is_remembered),
        };
        let opinion = verdict.score.min(self.highest_for_a_model());
        if opinion > self.score && opinion.is_threat() {
            self.raise(opinion, &verdict);
        }
        let is_contested = self.is_made_light_of_by(&verdict);
        self.opinion = Some(Box::new(ModelOpinion { verdict, is_remembered, is_contested }));
        self.degraded = None;
        self.asked = None;
        self
    }

    /// A model alone never makes an entry CRITICAL: whoever writes into logs could have it wake somebody at will.
    fn highest_for_a_model(&self) -> Score {
        let is_supported = self.detections.iter().any(|detection| detection.level >= Level::High);
        if is_supported { Score::MAX } else { Severity::High.highest_score() }
    }

    /// A threat's words stay the rules'; where they found none, the model's stand there, marked as such.
    fn raise(&mut self, score: Score, verdict: &ModelVerdict) {
        if !self.score.is_threat() {
            self.summary = format!("{MODELS_WORDS}{}", verdict.summary).into();
            if let Some(measures) = &verdict.prevention_measures {
                self.prevention_measures = format!("{MODELS_WORDS}{measures}").into();
            }
            if self.category == Category::None {
                self.category = Category::Other;
            }
        }
        self.score = score;
    }

    /// Whether a verdict calls benign what a rule has detected, or grades it two bands lower.
    fn is_made_light_of_by(&self, verdict: &ModelVerdict) -> bool {
        let is_detected = self.detections.iter().any(|detection| detection.level > Level::Informational);
        let (local, model) = (self.score.severity(), verdict.score.severity());
        is_detected && (model == Severity::None || model as u8 + 2 <= local as u8)
    }
}

/// Stands before what a model wrote and no rule found.
pub const MODELS_WORDS: &str = "Language model, not verified by a rule: ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::second_opinion::ExchangeId;

    fn analysis(score: u8) -> Analysis {
        Analysis {
            score: Score::saturating(score),
            category: Category::None,
            summary: "local".into(),
            prevention_measures: "".into(),
            techniques: Vec::new(),
            detections: Vec::new(),
            opinion: None,
            degraded: None,
            asked: None,
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

    fn verdict(score: u8) -> ModelVerdict {
        ModelVerdict {
            model: "m".into(),
            score: Score::saturating(score),
            summary: "words".into(),
            prevention_measures: Some("deeds".into()),
            technique: None,
            asked: AskedIn { exchange: ExchangeId([1; 16]), record: "r1".into() },
        }
    }

    fn given(score: u8) -> Opinion {
        Opinion::Given { verdict: verdict(score), is_remembered: false }
    }

    fn detected(score: u8, level: Level) -> Analysis {
        let detection =
            Detection { id: "d".into(), title: "t".into(), level, evidence: Vec::new(), events: Vec::new() };
        Analysis { category: Category::Xss, detections: vec![detection], ..analysis(score) }
    }

    #[test]
    fn every_reason_has_the_name_of_the_wire() {
        for reason in Degraded::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn a_model_alone_makes_nothing_critical() {
        for (local, highest) in [
            (analysis(0), 89),
            (detected(30, Level::Low), 89),
            (detected(60, Level::Medium), 89),
            (detected(80, Level::High), 100),
            (detected(95, Level::Critical), 100),
        ] {
            assert_eq!(local.raised_by(given(100)).score.value(), highest);
        }
    }

    #[test]
    fn a_models_words_are_marked_and_replace_no_rules_words() {
        let raised = analysis(5).raised_by(given(60));
        assert_eq!(raised.summary, format!("{MODELS_WORDS}words"));
        assert_eq!(raised.prevention_measures, format!("{MODELS_WORDS}deeds"));
        assert_eq!((raised.category, raised.judge()), (Category::Other, Judge::RulesAndModel));
        let known = detected(50, Level::Medium);
        let raised = known.clone().raised_by(given(80));
        assert_eq!(
            (&raised.summary, &raised.prevention_measures),
            (&known.summary, &known.prevention_measures)
        );
        assert_eq!((raised.category, raised.score.value()), (Category::Xss, 80));
    }

    #[test]
    fn what_makes_light_of_a_detection_is_kept_as_contested() {
        for (local, model, is_contested) in [
            (detected(30, Level::Low), 0, true),
            (detected(30, Level::Low), 25, false),
            (detected(80, Level::High), 45, false),
            (detected(80, Level::High), 35, true),
            (detected(95, Level::Critical), 69, true),
            (analysis(5), 0, false),
        ] {
            let merged = local.clone().raised_by(given(model));
            assert_eq!(merged.opinion.unwrap().is_contested, is_contested, "{local:?} {model}");
            assert_eq!((merged.score, merged.detections), (local.score, local.detections));
        }
    }

    #[test]
    fn an_opinion_that_comes_later_takes_the_place_of_the_excuse() {
        let asked = AskedIn { exchange: ExchangeId([1; 16]), record: "r1".into() };
        let late = Opinion::Unavailable { reason: Degraded::ModelTimeout, asked: Some(asked) };
        let waiting = analysis(5).raised_by(late);
        assert_eq!((waiting.degraded, waiting.judge()), (Some(Degraded::ModelTimeout), Judge::Rules));
        let whole = waiting.raised_by(given(60));
        assert_eq!((whole.degraded, &whole.asked), (None, &None));
    }

    proptest! {
        #[test]
        fn an_opinion_never_lowers_a_score(local in 0_u8..=100, model in 0_u8..=100, level in 0_usize..5) {
            const LEVELS: [Level; 5] =
                [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];
            let opinions = [given(model), Opinion::NotAsked, Opinion::unavailable(Degraded::Budget)];
            for opinion in opinions {
                for before in [analysis(local), detected(local, LEVELS[level])] {
                    let after = before.clone().raised_by(opinion.clone());
                    prop_assert!(after.score >= before.score);
                    prop_assert_eq!(after.detections, before.detections);
                    prop_assert_eq!(after.techniques, before.techniques);
                }
            }
        }
    }
}
