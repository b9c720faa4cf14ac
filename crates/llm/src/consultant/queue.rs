//! Gathers the questions of one tenant for a few milliseconds, so that they share a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sentinelflow_domain::{analysis::Degraded, second_opinion::AskedIn, tenant::TenantId};
use tokio::sync::oneshot;

use super::{Inner, Outcome};
use crate::question::Question;

/// A question and where its outcome is waited for.
pub(super) struct Waiting {
    pub question: Question,
    pub outcome: oneshot::Sender<Outcome>,
    /// Where it was asked before, in vain.
    pub asked: Option<AskedIn>,
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

    /// Takes what the next request carries: one question that is to be asked alone, or at most `most` others.
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
    /// Asks a question in the next request of its tenant.
    pub(super) async fn ask_soon(self: &Arc<Self>, tenant: TenantId, question: Question) -> Outcome {
        let (outcome, waiting_for) = oneshot::channel();
        if self.queue.push(tenant, Waiting { question, outcome, asked: None }) {
            tokio::spawn(Arc::clone(self).work_on(tenant));
        }
        waiting_for.await.unwrap_or_else(|_| Outcome::unavailable(Degraded::ModelUnavailable))
    }

    /// Asks a tenant's questions until none waits. Tenants take turns at the permits.
    async fn work_on(self: Arc<Self>, tenant: TenantId) {
        tokio::time::sleep(self.settings.batch_wait).await;
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let alone = |question: &Question| self.asked_in_company.contains_key(&(tenant, question.key));
            let batch = self.queue.take(tenant, self.settings.batch, alone);
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
