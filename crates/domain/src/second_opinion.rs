//! The seam to a language model: it may add to an analysis, never take away.

use std::{fmt, pin::Pin, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    analysis::{Analysis, Degraded, Score},
    log_entry::LogEntry,
    tenant::Tenant,
    time::Timestamp,
};

/// Somebody who can be asked about an entry once the rules have judged it.
pub trait SecondOpinion: Send + Sync {
    /// Returns what is known at once, or what is to be waited for. An outage is an answer, not an error.
    fn consult(&self, tenant: &Tenant, entry: &LogEntry, analysis: &Analysis) -> Consultation;
}

/// An opinion that is known, or somebody who asks for one.
pub enum Consultation {
    Known(Opinion),
    /// It ends within the deadline of whoever is asked.
    Asking(Pin<Box<dyn Future<Output = InTime> + Send>>),
}

/// What is known at the deadline, and what may still come.
pub struct InTime {
    pub opinion: Opinion,
    /// The opinion that was not there in time.
    pub later: Option<Pin<Box<dyn Future<Output = Opinion> + Send>>>,
}

impl Consultation {
    /// Waits for what is known at the deadline.
    pub async fn in_time(self) -> InTime {
        match self {
            Self::Known(opinion) => InTime { opinion, later: None },
            Self::Asking(asking) => asking.await,
        }
    }
}

/// What came of asking a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    Given {
        verdict: ModelVerdict,
        /// It was given for an earlier entry about which the same question had been asked.
        is_remembered: bool,
    },
    Unavailable {
        reason: Degraded,
        /// Where what was sent can be read, if anything was.
        asked: Option<AskedIn>,
    },
    NotAsked,
}

impl Opinion {
    /// Returns that there is none, and that nothing was sent.
    pub fn unavailable(reason: Degraded) -> Self {
        Self::Unavailable { reason, asked: None }
    }
}

/// What a model said of a question. Its form was checked, its truth can't be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVerdict {
    /// The model that answered, in its provider's words.
    pub model: Arc<str>,
    /// The model's grading as it was said: what it may do to an analysis is decided there.
    pub score: Score,
    /// In the model's words; a few sentences.
    pub summary: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevention_measures: Option<Arc<str>>,
    /// A MITRE ATT&CK technique such as `T1110`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technique: Option<Arc<str>>,
    pub asked: AskedIn,
}

/// Where a question was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedIn {
    pub exchange: ExchangeId,
    /// The question's name within the exchange.
    pub record: Arc<str>,
}

/// The id of a request to a model: 128 random bits, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExchangeId(pub [u8; 16]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 32 hex digits")]
pub struct InvalidExchangeId;

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeId({self})")
    }
}

impl From<ExchangeId> for String {
    fn from(id: ExchangeId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ExchangeId {
    type Error = InvalidExchangeId;

    fn try_from(hex: String) -> Result<Self, InvalidExchangeId> {
        hex.parse()
    }
}

impl FromStr for ExchangeId {
    type Err = InvalidExchangeId;

    fn from_str(hex: &str) -> Result<Self, InvalidExchangeId> {
        let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(hex, 16).ok()).flatten();
        number.map(|number| Self(number.to_be_bytes())).ok_or(InvalidExchangeId)
    }
}

/// One request to a model: every byte of its body, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub id: ExchangeId,
    pub asked_at: Timestamp,
    /// Where it was sent, without credentials.
    pub url: String,
    /// The body of the request, byte for byte.
    pub sent: String,
    /// The text of the model's answer, shortened; `None` if none came.
    pub answer: Option<String>,
    /// The name of the reason why the answer is no use; `None` if it is.
    pub failure: Option<String>,
    /// The model that answered, in its provider's words.
    pub model: Option<String>,
    pub duration_ms: u64,
    pub spent: Spend,
}

/// What asking has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spend {
    /// Tokens of questions and answers, thinking included.
    pub tokens: u64,
    /// Billionths of a US dollar: the price of a million tokens in dollars, times 1,000, is that of one token.
    pub nano_usd: u64,
}

impl std::ops::AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.nano_usd = self.nano_usd.saturating_add(other.nano_usd);
    }
}

/// The name of a question: two entries have the same one only if the very same was asked about both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuestionKey(pub [u8; 32]);

/// A verdict that answers the same question again until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedVerdict {
    pub key: QuestionKey,
    pub verdict: ModelVerdict,
    pub expires_at: Timestamp,
}

/// When a model is asked; the later ones ask more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    Never,
    /// Where the rules found something and are not sure of it.
    Uncertain,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be always, uncertain or never")]
pub struct InvalidAsk;

impl Ask {
    pub const ALL: [Self; 3] = [Self::Never, Self::Uncertain, Self::Always];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Uncertain => "uncertain",
            Self::Always => "always",
        }
    }

    /// Tells whether the model is to be asked about an entry with this local score. The rules are sure of nothing found
    /// in an unremarkable entry, and of whatever they grade HIGH.
    pub fn includes(self, local: Score) -> bool {
        match self {
            Self::Never => false,
            Self::Uncertain => (1..70).contains(&local.value()),
            Self::Always => true,
        }
    }
}

impl FromStr for Ask {
    type Err = InvalidAsk;

    fn from_str(raw: &str) -> Result<Self, InvalidAsk> {
        Self::ALL.into_iter().find(|ask| ask.as_str().eq_ignore_ascii_case(raw)).ok_or(InvalidAsk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_id_reads_back() {
        let id = ExchangeId([0x0a; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "0a", &"0g".repeat(16), &"+a".repeat(16)] {
            assert_eq!(wrong.parse::<ExchangeId>(), Err(InvalidExchangeId), "{wrong}");
        }
    }

    #[test]
    fn uncertain_asks_where_the_rules_are_not_sure() {
        let asked: Vec<u8> =
            (0..=100).filter(|score| Ask::Uncertain.includes(Score::saturating(*score))).collect();
        assert_eq!((asked.first(), asked.last(), asked.len()), (Some(&1), Some(&69), 69));
        assert!((0..=100).all(|score| Ask::Always.includes(Score::saturating(score))));
        assert!((0..=100).all(|score| !Ask::Never.includes(Score::saturating(score))));
    }
}
