//! What a rule or a detector found, before it is scored and put into words.

use std::{ops::Range, sync::Arc};

use sentinelflow_domain::analysis::{Category, Level};

use crate::{rules::RuleMatch, score};

/// One detection in the making. Its evidence points into the event's fields.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub level: Level,
    /// What the finding is worth before others and the sender add to it.
    pub points: u8,
    pub category: Category,
    pub techniques: Vec<Arc<str>>,
    pub quotes: Vec<Quote>,
    /// One sentence, with `{field}` placeholders.
    pub summary: Arc<str>,
    /// What to do, with `{field}` placeholders.
    pub advice: Arc<str>,
}

/// A place in the event: bytes of one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote {
    pub field: usize,
    /// `None` for a value that is no text.
    pub range: Option<Range<usize>>,
}

impl From<RuleMatch<'_>> for Finding {
    fn from(found: RuleMatch<'_>) -> Self {
        let RuleMatch { rule, evidence } = found;
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level,
            points: score::points(rule.level),
            category: rule.category,
            techniques: rule.techniques.clone(),
            quotes: evidence.into_iter().map(|(field, range)| Quote { field, range }).collect(),
            summary: rule.summary.clone(),
            advice: rule.advice.clone(),
        }
    }
}
