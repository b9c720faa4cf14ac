//! The ways of a question: looked up in the store with those that came meanwhile; if nobody knows the answer, gathered
//! with others of its tenant for a few milliseconds, so that they share a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sentinelflow_domain::{
    analysis::Degraded,
    second_opinion::{AskedIn, QuestionKey},
    tenant::TenantId,
};
use tokio::sync::watch;
use tracing::error;

use super::{Departure, Inner, Known, Outcome};
use crate::{budget::day_of, question::Question};

/// A question and where its outcome is waited for.
pub(super) struct Waiting {
    pub question: Question,
    /// Where it was asked before, in vain.
    pub asked: Option<AskedIn>,
    /// It is open as long as it waits, unless its answer is known and only asked for again.
    pub open: Option<Departure>,
    pub landing: watch::Sender<Option<Outcome>>,
}

impl Waiting {
    pub(super) fn tell(self, outcome: Outcome) {
        // Whoever asks from now on finds what is remembered.
        drop(self.open);
        self.landing.send_replace(Some(outcome));
    }
}

/// Tells why there is no opinion; what was sent in vain before can be read back all the same.
pub(super) fn tell_all(batch: Vec<Waiting>, reason: Degraded) {
    for mut waiting in batch {
        let asked = waiting.asked.take();
        waiting.tell(Outcome::Unavailable { reason, asked });
    }
}

/// Who waits, by tenant. A tenant stands in it as long as somebody is at work on its questions.
#[derive(Default)]
pub(super) struct Queue(Mutex<HashMap<TenantId, Vec<Waiting>>>);

impl Queue {
    /// Adds a question; returns whether nobody is at work on the tenant's.
    fn push(&self, tenant: TenantId, waiting: Waiting) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = queue.get_mut(&tenant) {
            others.push(waiting);
            return false;
        }
        queue.insert(tenant, vec![waiting]);
        true
    }

    /// Takes what is to be worked on next: one question for which `alone` holds, or at most `most` others. If there is
    /// none, nobody is at work on the tenant's any more.
    fn take(&self, tenant: TenantId, most: usize, alone: impl Fn(&Question) -> bool) -> Vec<Waiting> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = queue.get_mut(&tenant) else { return Vec::new() };
        let batch: Vec<Waiting> = match waiting.iter().position(|waiting| alone(&waiting.question)) {
            Some(place) => vec![waiting.remove(place)],
            None => waiting.drain(..most.min(waiting.len())).collect(),
        };
        if batch.is_empty() {
            queue.remove(&tenant);
        }
        batch
    }
}

impl Inner {
    /// Looks a question up in the store, and asks it unless its answer is known there.
    pub(super) fn look_up_soon(self: &Arc<Self>, tenant: TenantId, waiting: Waiting) {
        if self.to_look_up.push(tenant, waiting) {
            tokio::spawn(Arc::clone(self).look_up(tenant));
        }
    }

    /// Looks a tenant's questions up until none waits: while some are looked up, others gather.
    async fn look_up(self: Arc<Self>, tenant: TenantId) {
        const AT_ONCE: usize = 256;
        loop {
            let batch = self.to_look_up.take(tenant, AT_ONCE, |_| false);
            if batch.is_empty() {
                return;
            }
            let unknown = self.tell_known(tenant, batch).await;
            if unknown.is_empty() {
                continue;
            }
            if !self.may_spend(tenant).await {
                tell_all(unknown, Degraded::Budget);
                continue;
            }
            for waiting in unknown {
                if self.to_ask.push(tenant, waiting) {
                    tokio::spawn(Arc::clone(&self).ask_all(tenant));
                }
            }
        }
    }

    /// Tells those whose answers the store knows; returns the others.
    async fn tell_known(&self, tenant: TenantId, batch: Vec<Waiting>) -> Vec<Waiting> {
        let keys = batch.iter().map(|waiting| waiting.question.key).collect();
        let found = self.book.verdicts(tenant, keys, self.clock.now()).await.unwrap_or_else(|error| {
            error!(error = ?error, "What a model said before can't be read: it is asked again");
            Vec::new()
        });
        let usable = found.into_iter().filter(|known| self.models.still_answers(&known.verdict.model));
        let known: HashMap<QuestionKey, Known> =
            usable.map(|known| (known.key, Known::from(known))).collect();
        let mut unknown = Vec::new();
        for waiting in batch {
            let key = waiting.question.key;
            match known.get(&key) {
                Some(known) => {
                    self.remembered.insert((tenant, key), known.clone());
                    let verdict = Arc::clone(&known.verdict);
                    waiting.tell(Outcome::Given { verdict, is_remembered: true });
                }
                None => unknown.push(waiting),
            }
        }
        unknown
    }

    /// Whether a tenant has something left to spend today.
    async fn may_spend(&self, tenant: TenantId) -> bool {
        let now = self.clock.now();
        if !self.budget.knows(tenant, now) {
            match self.book.spent(tenant, day_of(now)).await {
                Ok(spent) => self.budget.recall(tenant, now, spent),
                Err(error) => {
                    error!(error = ?error, "What a tenant has spent can't be read: its events are not asked about");
                    return false;
                }
            }
        }
        !self.budget.is_spent(tenant, now)
    }

    /// Asks a tenant's questions until none waits. Tenants take turns at the permits.
    async fn ask_all(self: Arc<Self>, tenant: TenantId) {
        tokio::time::sleep(self.settings.batch_wait).await;
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let alone = |question: &Question| self.asked_in_company.contains_key(&(tenant, question.key));
            let batch = self.to_ask.take(tenant, self.settings.batch, alone);
            if batch.is_empty() {
                return;
            }
            let inner = Arc::clone(&self);
            tokio::spawn(async move {
                inner.ask(tenant, batch).await;
                drop(permit);
            });
        }
    }
}
