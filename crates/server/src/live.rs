//! A tenant's threats as they come: each once, in the order of recording. One server that writes alone wakes its own
//! listeners (`local.rs`); where several write, the store tells (`shared.rs`). Nothing is queued for a slow reader.

mod local;
mod shared;

use std::{sync::Arc, time::Duration};

use sentinelflow_domain::{
    store::{LogBook, LogId, LogRecord, StoreError, ThreatFeed},
    tenant::TenantId,
};
use thiserror::Error;
use tokio::time::Instant;

use self::{local::Local, shared::Shared};
use crate::listeners::{Listeners, TooMany};

/// What there is to say.
#[derive(Debug)]
pub enum News {
    /// Whoever has got it goes on from its id.
    Threat(LogRecord),
    /// A log that became a threat when newer ones were told already; its id is no place to go on from.
    Late(LogRecord),
    /// From this log on some threats may not be told.
    Missed(LogId),
    /// The store gave no answer; it is asked again. Nothing is skipped.
    Trouble(StoreError),
}

#[derive(Debug, Error)]
pub enum LiveError {
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One reader's place among a tenant's threats.
pub struct Live {
    start: LogId,
    source: Source,
}

enum Source {
    Local(Box<Local>),
    Shared(Shared),
}

impl Live {
    /// Opens the stream of what is recorded from now on; or of what was recorded `after` a log, and of what will be. A store
    /// that others write to has a `feed`.
    pub async fn open(
        store: Arc<dyn LogBook>,
        feed: Option<&dyn ThreatFeed>,
        listeners: &Listeners,
        tenant: TenantId,
        after: Option<LogId>,
    ) -> Result<Self, LiveError> {
        if let Some(feed) = feed {
            let seat = listeners.sit_down(tenant)?;
            let followed = feed.follow(tenant, after).await?;
            return Ok(Self { start: followed.start(), source: Source::Shared(Shared::new(seat, followed)) });
        }
        let local = Local::open(store, listeners, tenant, after).await?;
        Ok(Self { start: local.position(), source: Source::Local(Box::new(local)) })
    }

    /// Returns where whoever gets nothing can go on from.
    pub fn start(&self) -> LogId {
        self.start
    }

    /// Returns the next news; `None` once the server ends.
    pub async fn next(&mut self) -> Option<News> {
        match &mut self.source {
            Source::Local(local) => local.next().await,
            Source::Shared(shared) => shared.next().await,
        }
    }
}

/// How long a failed look waits for the next one.
struct Retry {
    wait: Duration,
    at: Instant,
}

impl Retry {
    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_secs(15);

    fn new() -> Self {
        Self { wait: Self::FIRST, at: Instant::now() }
    }

    fn succeeded(&mut self) {
        self.wait = Self::FIRST;
    }

    fn failed(&mut self) {
        self.at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(Self::LAST);
    }
}
