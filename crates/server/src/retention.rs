//! Removes what is older than its tenant's plan keeps it, a little at a time, and says how much it was. Without a setting
//! everything is kept.

use std::{sync::Arc, time::Duration};

use metrics::{counter, describe_counter};
use sentinelflow_domain::{
    clock::Clock,
    store::{Expired, Retention, StoreError},
    tenant::{Plan, TenantId},
    time::Timestamp,
};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

const EVERY: Duration = Duration::from_hours(1);
/// So many rows are removed at once; whoever records waits for no more.
const AT_ONCE: usize = 200;
/// So many tenants are listed at once.
const PAGE: usize = 500;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

const REMOVED: &str = "sentinelflow_expired_logs_total";

/// Tells what the counter counts.
pub fn describe_meters() {
    describe_counter!(REMOVED, "Logs that were removed because their tenant's plan keeps them no longer");
}

/// For how many days each plan keeps logs; plans that are not here keep them for ever.
pub type Kept = Vec<(Plan, u32)>;

/// Removes what has expired, now and every hour.
pub async fn keep_clean(
    store: Arc<dyn Retention>,
    clock: Arc<dyn Clock>,
    kept: Kept,
    answers_live: Duration,
) {
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        for (plan, days) in &kept {
            match remove_expired(&*store, &*clock, *plan, *days, answers_live).await {
                Ok(0) => {}
                Ok(logs) => {
                    info!(
                        "Removed {logs} logs of {} tenants that were older than {days} days",
                        plan.as_str()
                    );
                }
                Err(error) => {
                    error!(error = ?error, "What has expired can't be removed; it is tried again in an hour");
                }
            }
        }
    }
}

/// Returns how many logs were removed.
async fn remove_expired(
    store: &dyn Retention,
    clock: &dyn Clock,
    plan: Plan,
    days: u32,
    answers_live: Duration,
) -> Result<u64, StoreError> {
    let now = clock.now();
    // The earlier one is believed.
    let now = store.time().await?.map_or(now, |there| there.min(now));
    let expired = expired(now, days, answers_live);
    let mut removed = 0;
    let mut after = None;
    loop {
        let tenants = store.tenants_of(plan, after, PAGE).await?;
        for tenant in &tenants {
            match remove_of(store, *tenant, plan, expired).await {
                Ok(logs) => removed += logs,
                Err(unavailable @ StoreError::Unavailable(_)) => return Err(unavailable),
                Err(error) => {
                    error!(error = ?error, "What tenant {tenant} has that is expired can't be removed");
                }
            }
        }
        after = tenants.last().copied();
        if tenants.len() < PAGE {
            return Ok(removed);
        }
    }
}

async fn remove_of(
    store: &dyn Retention,
    tenant: TenantId,
    plan: Plan,
    expired: Expired,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        let done = store.remove_expired(tenant, plan, expired, AT_ONCE).await?;
        removed += done.logs;
        counter!(REMOVED, "plan" => plan.as_str()).increment(done.logs);
        if done.is_all {
            return Ok(removed);
        }
    }
}

fn expired(now: Timestamp, days: u32, answers_live: Duration) -> Expired {
    let oldest = now.as_millis() - i64::from(days) * DAY_MS;
    let received_before = oldest - oldest.rem_euclid(MINUTE_MS);
    let lived = i64::try_from(answers_live.as_millis()).unwrap_or(i64::MAX);
    Expired {
        received_before: Timestamp::from_millis(received_before),
        asked_before: Timestamp::from_millis(received_before.saturating_sub(lived)),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use async_trait::async_trait;
    use sentinelflow_domain::store::Removed;

    use super::*;

    /// How many expired logs tenants have, by plan.
    #[derive(Default)]
    struct Shelf {
        logs: Mutex<BTreeMap<TenantId, (Plan, usize)>>,
        asked: Mutex<Vec<Expired>>,
        time: Option<Timestamp>,
    }

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[async_trait]
    impl Retention for Shelf {
        async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
            Ok(self.time)
        }

        async fn tenants_of(
            &self,
            plan: Plan,
            after: Option<TenantId>,
            limit: usize,
        ) -> Result<Vec<TenantId>, StoreError> {
            let logs = self.logs.lock().unwrap();
            let of_plan = logs.iter().filter(|(id, (of, _))| *of == plan && Some(**id) > after);
            Ok(of_plan.map(|(id, _)| *id).take(limit).collect())
        }

        async fn remove_expired(
            &self,
            tenant: TenantId,
            plan: Plan,
            expired: Expired,
            at_most: usize,
        ) -> Result<Removed, StoreError> {
            self.asked.lock().unwrap().push(expired);
            let mut shelf = self.logs.lock().unwrap();
            let (of, left) = shelf.get_mut(&tenant).unwrap();
            assert_eq!(*of, plan);
            let logs = at_most.min(*left);
            *left -= logs;
            Ok(Removed { logs: logs as u64, is_all: logs < at_most })
        }
    }

    fn id(number: u32) -> TenantId {
        TenantId::from_parts(9, [1; 5], number)
    }

    #[tokio::test]
    async fn everything_that_has_expired_goes_and_only_of_the_plan() {
        let shelf = Shelf::default();
        for number in 0..1_234 {
            let plan = if number % 2 == 0 { Plan::Free } else { Plan::Pro };
            shelf.logs.lock().unwrap().insert(id(number), (plan, number as usize));
        }
        let now = At(Timestamp::from_millis(100 * DAY_MS + 90_001));
        let removed = remove_expired(&shelf, &now, Plan::Free, 30, Duration::from_hours(1)).await.unwrap();
        assert_eq!(removed, (0..1_234).step_by(2).sum::<u64>());
        let left = shelf.logs.lock().unwrap();
        assert!(left.values().all(|(plan, left)| *plan == Plan::Pro || *left == 0));
        assert_eq!(left[&id(1_233)], (Plan::Pro, 1_233));
        // From the beginning of a minute, so that its count goes as a whole.
        let received_before = Timestamp::from_millis(70 * DAY_MS + 60_000);
        let asked_before = Timestamp::from_millis(70 * DAY_MS - 59 * 60_000);
        let expected = Expired { received_before, asked_before };
        assert!(shelf.asked.lock().unwrap().iter().all(|asked| *asked == expected));
    }

    #[tokio::test]
    async fn of_two_clocks_the_earlier_one_is_believed() {
        let (early, late) = (Timestamp::from_millis(100 * DAY_MS), Timestamp::from_millis(9_000 * DAY_MS));
        for (here, there) in [(early, late), (late, early)] {
            let shelf = Shelf { time: Some(there), ..Shelf::default() };
            shelf.logs.lock().unwrap().insert(id(1), (Plan::Free, 1));
            remove_expired(&shelf, &At(here), Plan::Free, 30, Duration::ZERO).await.unwrap();
            let seventy_days = Timestamp::from_millis(70 * DAY_MS);
            assert_eq!(shelf.asked.lock().unwrap()[0].received_before, seventy_days);
        }
    }
}
