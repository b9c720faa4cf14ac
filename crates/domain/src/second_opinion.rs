//! The seam to a language model: it may add to an analysis, never take away.

use async_trait::async_trait;

use crate::{
    analysis::{Analysis, Degraded, Score},
    log_entry::LogEntry,
    tenant::TenantId,
};

/// What came of asking a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    Given {
        model: String,
        score: Score,
        summary: String,
    },
    /// The model called benign what a rule had detected; kept as a fact, never applied.
    Contested {
        model: String,
    },
    Unavailable(Degraded),
    NotAsked,
}

/// Somebody who can be asked about an entry once the rules have judged it.
#[async_trait]
pub trait SecondOpinion: Send + Sync {
    /// Answers within its own deadline; an outage is an answer, not an error.
    async fn consult(&self, tenant: TenantId, entry: &LogEntry, analysis: &Analysis) -> Opinion;
}
