use async_trait::async_trait;

use super::{LogId, LogRecord, StoreError};
use crate::tenant::TenantId;

/// Tells what becomes a threat, whichever server records it. A store that several servers write to has one; where only
/// one writes, that one knows.
#[async_trait]
pub trait ThreatFeed: Send + Sync {
    /// Follows a tenant's threats in the order in which they are committed: those from now on, or those that were
    /// committed after a log. An id that is nobody's is a position among the ids.
    async fn follow(
        &self,
        tenant: TenantId,
        after: Option<LogId>,
    ) -> Result<Box<dyn FollowedThreats>, StoreError>;
}

/// A tenant's threats as they come, from all servers.
#[async_trait]
pub trait FollowedThreats: Send {
    /// Returns the log that they were followed from: whoever follows what comes after it misses none of these.
    fn start(&self) -> LogId;

    /// Returns what happened next; `None` if nothing did for some seconds. After an error it goes on: nothing is skipped,
    /// and nothing told twice.
    async fn next(&mut self) -> Result<Option<Happened>, StoreError>;
}

/// What is to be told of a tenant's threats.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A threat was recorded. Whoever follows what comes after it goes on from here.
    Recorded(LogRecord),
    /// A log that was none became one; its id is no place to go on from.
    Raised(LogRecord),
    /// It is too long ago to tell whether some threats, beginning with this one, were told.
    Unsure(LogId),
}
