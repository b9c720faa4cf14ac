//! One request: reserve → admit → send, perhaps again → check → keep → tell. A record that spoils an answer for the
//! others is found by asking about each one alone.

use std::{
    future::ready,
    pin::pin,
    sync::{Arc, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use sentinelflow_domain::{
    analysis::Degraded,
    second_opinion::{AskedIn, Exchange, ExchangeId, ModelVerdict, QuestionKey, RememberedVerdict, Spend},
    tenant::TenantId,
    time::Timestamp,
};
use tokio::{sync::watch, time::Instant};
use tracing::{error, warn};

use super::{
    Inner, Outcome, landed,
    queue::{Waiting, tell_all},
};
use crate::{
    answer::{Unusable, verdicts},
    breaker::Admission,
    meters,
    prompt::{INSTRUCTIONS, Prompt},
    provider::{Fault, Reply, Usage},
    question::Question,
};

/// So often at most is an event the subject of a request.
const MOST_CALLS: u32 = 3;
/// Answers that can't be used are warned of at most once in so long.
const WARNING_PAUSE: Duration = Duration::from_mins(1);
/// So much of an answer is kept.
const KEPT_ANSWER_BYTES: usize = 16 * 1024;

/// What became of a prompt.
struct Sent {
    /// The body that was sent last.
    body: String,
    model: Arc<str>,
    result: Result<Reply, Fault>,
    /// The provider does not have the model, and another one is asked from now on.
    has_turned: bool,
}

impl Inner {
    /// Asks several questions at once and tells everybody who waits.
    pub(super) async fn ask(&self, tenant: TenantId, batch: Vec<Waiting>) {
        let Some((spoilt, calls_left, fault)) = self.ask_together(tenant, batch, MOST_CALLS).await else {
            return;
        };
        if calls_left == 0 {
            return tell_all(spoilt, fault.degraded());
        }
        // Too long an answer is for fewer records; otherwise one of them is the reason, and the others needn't suffer.
        let per_request = if matches!(fault, Fault::Truncated(_)) { spoilt.len().div_ceil(2) } else { 1 };
        let mut left = spoilt.into_iter().peekable();
        while left.peek().is_some() {
            let part: Vec<Waiting> = left.by_ref().take(per_request).collect();
            let spoilt_again = self.ask_together(tenant, part, 1).await;
            if let Some((part, _, fault)) = spoilt_again {
                tell_all(part, fault.degraded());
            }
        }
    }

    /// Asks one question whose answer is remembered already.
    pub(super) async fn ask_alone(&self, tenant: TenantId, question: Question) -> Outcome {
        let (landing, mut flight) = watch::channel(None);
        let waiting = Waiting { question, asked: None, open: None, landing };
        if let Some((waiting, _, fault)) = self.ask_together(tenant, vec![waiting], 1).await {
            tell_all(waiting, fault.degraded());
        }
        landed(&mut flight).await
    }

    /// Asks in one request. Returns those who wait, how many calls are left for them and why, if it is worth asking about
    /// fewer of them at once.
    async fn ask_together(
        &self,
        tenant: TenantId,
        batch: Vec<Waiting>,
        mut calls_left: u32,
    ) -> Option<(Vec<Waiting>, u32, Fault)> {
        let prompt = match Prompt::new(
            batch.iter().map(|waiting| &*waiting.question.record),
            self.provider.thinking_tokens(&self.models.current()),
        ) {
            Ok(prompt) => prompt,
            Err(error) => {
                error!(error = %error, "There is no randomness to ask a model with");
                tell_all(batch, Degraded::ModelUnavailable);
                return None;
            }
        };
        let asked_at = self.clock.now();
        let most =
            self.settings.prices.spend(&self.models.current(), &self.models.current(), prompt.most_usage());
        let Some(reservation) = self.budget.reserve(tenant, asked_at, most) else {
            tell_all(batch, Degraded::Budget);
            return None;
        };
        match self.breaker.admit() {
            Ok(Admission::Usual) => {}
            Ok(Admission::Try) => calls_left = 1,
            Err(reason) => {
                self.budget.settle(reservation, Spend::default());
                tell_all(batch, reason);
                return None;
            }
        }
        let started = Instant::now();
        let sent = self.send(&prompt, &mut calls_left).await;
        self.tell_breaker(&sent, batch.len());
        let exchange = match new_exchange_id() {
            Ok(id) => id,
            Err(error) => {
                error!(error = %error, "There is no randomness to name an exchange with");
                ExchangeId([0; 16])
            }
        };
        let read = sent.result.clone().and_then(|reply| {
            self.models.answered(&sent.model, &reply.model);
            verdicts(&reply, &prompt, exchange).map_err(|unusable| {
                self.warn_of(unusable, exchange);
                Fault::Invalid(reply.usage)
            })
        });
        let spent = self.spent(&sent, &read, &prompt);
        self.budget.settle(reservation, spent);
        let remembered = match &read {
            Ok(verdicts) if batch.len() == 1 => self.to_remember(&batch, verdicts, asked_at),
            _ => Vec::new(),
        };
        for known in &remembered {
            self.remembered.insert((tenant, known.key), known.clone().into());
        }
        let answered: Vec<QuestionKey> = remembered.iter().map(|known| known.key).collect();
        let kept = Exchange {
            id: exchange,
            asked_at,
            url: self.sender.shown_url(&*self.provider, &sent.model),
            sent: sent.body,
            answer: sent.result.as_ref().ok().map(|reply| shortened(&reply.text)),
            failure: read.as_ref().err().map(|fault| fault.degraded().as_str().to_owned()),
            model: sent.result.as_ref().ok().map(|reply| reply.model.to_string()),
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            spent,
        };
        // It is on its way to the store before anybody is told, and shares the commit of the logs that follow.
        let mut keeping = pin!(self.book.keep_exchange(tenant, kept, remembered));
        let kept = tokio::select! {
            biased;
            kept = &mut keeping => Some(kept),
            () = ready(()) => None,
        };
        let spoilt = self.tell(tenant, batch, read, &prompt, exchange, calls_left);
        let kept = match kept {
            Some(kept) => kept,
            None => keeping.await,
        };
        if let Err(error) = kept {
            error!(error = ?error, "What was sent to the model can't be kept");
            // Later events are not to name a request that can't be read back.
            for key in answered {
                self.remembered.invalidate(&(tenant, key));
            }
        }
        spoilt
    }

    /// Tells those who wait. Returns them instead if it is worth asking about fewer of them at once.
    fn tell(
        &self,
        tenant: TenantId,
        batch: Vec<Waiting>,
        read: Result<Vec<Option<ModelVerdict>>, Fault>,
        prompt: &Prompt,
        exchange: ExchangeId,
        calls_left: u32,
    ) -> Option<(Vec<Waiting>, u32, Fault)> {
        let is_alone = batch.len() == 1;
        let asked = prompt.ids.iter().map(|record| AskedIn { exchange, record: Arc::clone(record) });
        let batch: Vec<Waiting> = batch
            .into_iter()
            .zip(asked)
            .map(|(waiting, asked)| Waiting { asked: Some(asked), ..waiting })
            .collect();
        let fault = match read {
            Ok(verdicts) => {
                if !is_alone {
                    for waiting in &batch {
                        self.asked_in_company.insert((tenant, waiting.question.key), ());
                    }
                }
                let left_out = tell_each(batch, verdicts);
                // One record may have had the model say nothing of the others.
                return (!left_out.is_empty()).then_some((left_out, calls_left, Fault::Invalid(None)));
            }
            Err(fault) => fault,
        };
        let may_be_one_of_them =
            matches!(fault, Fault::Blocked(_) | Fault::Truncated(_) | Fault::Invalid(_) | Fault::Refused(_));
        if may_be_one_of_them && !is_alone && calls_left > 0 {
            return Some((batch, calls_left, fault));
        }
        tell_all(batch, fault.degraded());
        None
    }

    /// Sends a prompt, again where that may help and the deadline leaves time for it.
    async fn send(&self, prompt: &Prompt, calls_left: &mut u32) -> Sent {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter();
        let mut delays = delays.build();
        let began = Instant::now();
        loop {
            let model = self.models.current();
            let body = self.provider.body(&model, prompt).to_string();
            *calls_left = calls_left.saturating_sub(1);
            let started = Instant::now();
            let result = self.sender.send(&*self.provider, &model, &body).await;
            meters::called(started.elapsed(), result.as_ref().err());
            // Whoever asks next asks the next model, be it that this request can't.
            let has_turned = result == Err(Fault::NoSuchModel) && self.models.turn_from(&model);
            let may_send_again = *calls_left > 0 && began.elapsed() < self.settings.timeout;
            let wait = match &result {
                Err(_) if has_turned => Some(Duration::ZERO),
                Err(fault) => self.wait_before_retry(fault, &mut delays),
                Ok(_) => None,
            };
            match wait.filter(|_| may_send_again) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Sent { body, model, result, has_turned },
            }
        }
    }

    /// Returns how long to wait before the same is sent again, `None` if it is not to be.
    fn wait_before_retry(
        &self,
        fault: &Fault,
        delays: &mut impl Iterator<Item = Duration>,
    ) -> Option<Duration> {
        match fault {
            // Nobody waits for so long: the breaker does.
            Fault::RateLimited(Some(hint)) if *hint >= self.settings.timeout => None,
            Fault::RateLimited(Some(hint)) => delays.next().map(|delay| delay.max(*hint)),
            fault if fault.passes() => delays.next(),
            _ => None,
        }
    }

    fn tell_breaker(&self, sent: &Sent, records: usize) {
        match &sent.result {
            // The provider works; what it makes of a record is the record's matter.
            Ok(_) | Err(Fault::Blocked(_) | Fault::Truncated(_) | Fault::Invalid(_)) => {
                self.breaker.succeeded();
            }
            Err(Fault::Refused(_)) if records > 1 => self.breaker.succeeded(),
            Err(_) if sent.has_turned => self.breaker.succeeded(),
            Err(fault) => {
                if self.breaker.failed(fault) {
                    warn!(llm.fault = %fault, "The model is not asked for a while: {fault}");
                }
            }
        }
    }

    /// Only of the form: an answer may hold whatever an attacker had it say. The meters count them all.
    fn warn_of(&self, unusable: Unusable, exchange: ExchangeId) {
        meters::unusable(unusable);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARNING_PAUSE) {
            *warned = Some(Instant::now());
            warn!(llm.exchange = %exchange, "An answer of the model is not used: {unusable}");
        }
    }

    /// Returns what a request has cost, guessed where the provider does not say.
    fn spent(&self, sent: &Sent, read: &Result<Vec<Option<ModelVerdict>>, Fault>, prompt: &Prompt) -> Spend {
        let answering = sent.result.as_ref().map_or(&sent.model, |reply| &reply.model);
        let usage = match (&sent.result, read) {
            (Ok(reply), _) => reply
                .usage
                .unwrap_or_else(|| Usage { output: tokens_of(&reply.text), ..prompt.least_usage() }),
            (Err(Fault::Truncated(usage)), _) => usage.unwrap_or_else(|| prompt.most_usage()),
            // It may have been worked on and billed all the same.
            (Err(Fault::Blocked(usage) | Fault::Invalid(usage)), _) => {
                usage.unwrap_or_else(|| prompt.least_usage())
            }
            (Err(Fault::TimedOut), _) => prompt.least_usage(),
            (Err(_), _) => Usage::default(),
        };
        let spent = self.settings.prices.spend(answering, &sent.model, usage);
        meters::spent(spent);
        spent
    }

    fn to_remember(
        &self,
        batch: &[Waiting],
        verdicts: &[Option<ModelVerdict>],
        now: Timestamp,
    ) -> Vec<RememberedVerdict> {
        let ttl_ms = i64::try_from(self.settings.cache_ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_at = Timestamp::from_millis(now.as_millis().saturating_add(ttl_ms));
        let remembered = batch.iter().zip(verdicts).filter_map(|(waiting, verdict)| {
            let verdict = verdict.clone()?;
            Some(RememberedVerdict { key: waiting.question.key, verdict, expires_at })
        });
        remembered.collect()
    }
}

impl Prompt {
    /// What asking takes at most.
    fn most_usage(&self) -> Usage {
        Usage { output: u64::from(self.max_output_tokens), ..self.least_usage() }
    }

    /// What asking takes even if nothing comes back. Providers say that a token is about four characters.
    fn least_usage(&self) -> Usage {
        Usage { prompt: tokens_of(INSTRUCTIONS) + tokens_of(&self.user), cached: 0, output: 0 }
    }
}

fn tokens_of(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

fn new_exchange_id() -> Result<ExchangeId, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(ExchangeId(random))
}

fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(KEPT_ANSWER_BYTES)).unwrap_or_default().to_owned()
}

/// Tells those on whom there is a verdict; returns the others.
fn tell_each(batch: Vec<Waiting>, verdicts: Vec<Option<ModelVerdict>>) -> Vec<Waiting> {
    let mut left_out = Vec::new();
    for (waiting, verdict) in batch.into_iter().zip(verdicts) {
        match verdict {
            Some(verdict) => {
                waiting.tell(Outcome::Given { verdict: Arc::new(verdict), is_remembered: false });
            }
            None => left_out.push(waiting),
        }
    }
    left_out
}
