//! What a rule or a detector found, before it is scored and put into words.

use std::{ops::Range, sync::Arc};

use sentinelflow_domain::{
    analysis::{Category, Level},
    store::LogId,
};

use crate::{
    correlate::Completed,
    rules::{Rule, RuleMatch, correlation::Correlation},
    score,
};

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
    /// The earlier events that it rests on.
    pub events: Vec<LogId>,
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
        let quotes = found.evidence.into_iter().map(|(field, range)| Quote { field, range });
        Self { quotes: quotes.collect(), ..Self::of(found.rule) }
    }
}

impl Finding {
    /// A correlation that holds. In its words `{count}` stands for how many were counted, `{timespan}` for how long.
    pub(crate) fn of_correlation(correlation: &Correlation, completed: Completed) -> Self {
        let finding = Self::of(&correlation.rule);
        let count = completed.count.to_string();
        let timespan = in_words(correlation.timespan_ms);
        let filled = |words: &str| words.replace("{count}", &count).replace("{timespan}", &timespan).into();
        Self {
            summary: filled(&finding.summary),
            advice: filled(&finding.advice),
            quotes: completed.grouped_by.into_iter().map(|field| Quote { field, range: None }).collect(),
            events: completed.earlier,
            ..finding
        }
    }

    fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level,
            points: score::points(rule.level),
            category: rule.category,
            techniques: rule.techniques.clone(),
            quotes: Vec::new(),
            summary: rule.summary.clone(),
            advice: rule.advice.clone(),
            events: Vec::new(),
        }
    }
}

fn in_words(timespan_ms: i64) -> String {
    let seconds = timespan_ms / 1_000;
    let (number, unit) = match seconds {
        s if s % 86_400 == 0 => (s / 86_400, "day"),
        s if s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    if number == 1 { format!("one {unit}") } else { format!("{number} {unit}s") }
}
