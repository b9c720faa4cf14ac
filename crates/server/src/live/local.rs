//! The stream where one server writes: the store is asked, as far as the last answer reached, whenever somebody was heard
//! to record.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sentinelflow_domain::{
    store::{LogBook, LogFilter, LogId, StatusFilter, StoreError},
    tenant::TenantId,
};
use tokio::time::{Instant, sleep_until};

use super::{LiveError, News, Retry};
use crate::listeners::{Listener, Listeners};

/// How many threats are read at once, large ones fewer.
const PAGE: usize = 100;
/// The least time from a look that reached the end to the next one. Whatever is recorded meanwhile costs one look.
const BREATH: Duration = Duration::from_millis(20);
/// One reader's place among a tenant's threats.
pub(super) struct Local {
    store: Arc<dyn LogBook>,
    tenant: TenantId,
    listener: Listener,
    /// Every threat up to here has been read, but for those that came behind it.
    position: LogId,
    ready: VecDeque<News>,
    behind: VecDeque<LogId>,
    /// There is something to read without anybody's wake.
    has_more: bool,
    /// Not to look before.
    rest: Instant,
    retry: Retry,
}

impl Local {
    /// Opens the stream of what is recorded from now on; or of what was recorded `after` a log, and of what will be.
    pub(super) async fn open(
        store: Arc<dyn LogBook>,
        listeners: &Listeners,
        tenant: TenantId,
        after: Option<LogId>,
    ) -> Result<Self, LiveError> {
        // Before the store is asked for the start: what is recorded meanwhile is heard of.
        let listener = listeners.listen(tenant, after)?;
        let position = if let Some(after) = after {
            after
        } else {
            let start = newest(&*store, tenant).await?;
            listener.start_at(start);
            start
        };
        Ok(Self {
            store,
            tenant,
            listener,
            position,
            ready: VecDeque::new(),
            behind: VecDeque::new(),
            has_more: true,
            rest: Instant::now(),
            retry: Retry::new(),
        })
    }

    /// Returns where whoever gets nothing any more can go on from.
    pub(super) fn position(&self) -> LogId {
        self.position
    }

    /// Returns the next news; `None` once the server ends.
    pub(super) async fn next(&mut self) -> Option<News> {
        let closing = self.listener.closing();
        tokio::select! {
            biased;
            () = closing.cancelled() => None,
            news = self.news() => Some(news),
        }
    }

    async fn news(&mut self) -> News {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return news;
            }
            if !self.has_more && self.behind.is_empty() {
                self.listener.woken().await;
            }
            sleep_until(self.rest).await;
            if let Err(error) = self.look().await {
                return self.trouble(error);
            }
            self.retry.succeeded();
        }
    }

    /// Reads the next log behind the position, or else a page of what is newer.
    async fn look(&mut self) -> Result<(), StoreError> {
        if let Some(id) = self.behind.front() {
            let log = self.store.find(self.tenant, *id).await?;
            self.behind.pop_front();
            self.ready.extend(log.map(News::Late));
            return Ok(());
        }
        let nothing_is_raised = self.listener.nothing_is_raised().await;
        let page = self.store.threats_after(self.tenant, self.position, PAGE).await?;
        let (behind, lost) = self.listener.take_told(self.position);
        drop(nothing_is_raised);
        self.behind.extend(behind);
        self.ready.extend(lost.map(News::Missed));
        self.position = page.items.last().map_or(self.position, |last| last.id);
        self.ready.extend(page.items.into_iter().map(News::Threat));
        self.has_more = page.next.is_some();
        if !self.has_more {
            self.rest = Instant::now() + BREATH;
        }
        Ok(())
    }

    fn trouble(&mut self, error: StoreError) -> News {
        self.has_more = true;
        self.retry.failed();
        self.rest = self.retry.at;
        News::Trouble(error)
    }
}

/// Returns the tenant's newest log; of none, a place before all that come.
async fn newest(store: &dyn LogBook, tenant: TenantId) -> Result<LogId, StoreError> {
    let newest = LogFilter { limit: 1, status: StatusFilter::All, ..LogFilter::default() };
    let page = store.recent(tenant, newest).await?;
    Ok(page.items.first().map_or(LogId::LOWEST, |log| log.id))
}

#[cfg(test)]
mod tests;
