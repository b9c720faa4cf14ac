//! What has expired goes, all of it and nothing else.

use sentinelflow_domain::{
    second_opinion::{Exchange, ExchangeId, Spend},
    store::{Expired, NewLog, NewTenant, Removed},
    tenant::{Plan, TenantId},
    time::Timestamp,
};

use crate::{
    given::{AnyStore, all_pages, at, everything, log, new_tenant, record, tenant},
    stats::recount,
};

const MINUTE_MS: i64 = 60_000;

fn expired(minutes: i64) -> Expired {
    Expired { received_before: at(minutes * MINUTE_MS), asked_before: at((minutes - 2) * MINUTE_MS) }
}

async fn remove_all(store: &AnyStore, tenant: TenantId, expired: Expired) -> u64 {
    let mut logs = 0;
    loop {
        let removed = store.remove_expired(tenant, Plan::Free, expired, 7).await.unwrap();
        assert!(removed.logs <= 7);
        logs += removed.logs;
        if removed.is_all {
            return logs;
        }
    }
}

fn exchange(number: u8, asked_at: Timestamp) -> Exchange {
    Exchange {
        id: ExchangeId([number; 16]),
        asked_at,
        url: "http://model".to_owned(),
        sent: "{}".to_owned(),
        answer: None,
        failure: None,
        model: None,
        duration_ms: 1,
        spent: Spend::default(),
    }
}

pub(crate) async fn what_is_older_goes_with_its_counts_and_the_rest_stays(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    // More than what SQLite files at once, so that some are filed and some are not.
    for number in 0..300 {
        let received_at = at(number * 2_000);
        let key = (number % 5 == 0).then(|| format!("key-{number}").parse().unwrap());
        let score = if number % 2 == 0 { 50 } else { 5 };
        record(&store, NewLog { received_at, idempotency_key: key, ..log(ana, "x", score) }).await;
        record(&store, NewLog { received_at, ..log(bob, "x", 50) }).await;
    }
    // Broken off after 70 of the 120, that is in the third minute, whose count goes with its last log.
    for _ in 0..10 {
        let piece = store.remove_expired(ana, Plan::Free, expired(4), 7).await.unwrap();
        assert_eq!(piece, Removed { logs: 7, is_all: false });
    }
    let counts = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
    let left = all_pages(&store, ana, everything()).await;
    assert_eq!(counts.len(), 8);
    assert_eq!(counts[1..], recount(&left)[1..]);
    assert_eq!(remove_all(&store, ana, expired(4)).await, 50);
    let left = all_pages(&store, ana, everything()).await;
    assert_eq!(left.len(), 180);
    assert!(left.iter().all(|log| log.received_at >= at(4 * MINUTE_MS)));
    for (tenant, minutes) in [(ana, 6), (bob, 10)] {
        let counts = store.per_minute(tenant, i64::MIN, i64::MAX).await.unwrap();
        assert_eq!(counts.len(), minutes);
        assert_eq!(counts, recount(&all_pages(&store, tenant, everything()).await));
    }
    let forgotten = store.recorded_under(ana, &"key-0".parse().unwrap()).await.unwrap();
    assert_eq!(forgotten, None);
    assert!(store.recorded_under(ana, &"key-295".parse().unwrap()).await.unwrap().is_some());
    // Again there is nothing to do; then everything goes, and what comes is counted as ever.
    assert_eq!(remove_all(&store, ana, expired(4)).await, 0);
    assert_eq!(remove_all(&store, ana, expired(1_000)).await, 180);
    let fresh = record(&store, NewLog { received_at: at(700_000), ..log(ana, "x", 50) }).await;
    let left = all_pages(&store, ana, everything()).await;
    assert_eq!(left.iter().map(|log| log.id).collect::<Vec<_>>(), [fresh]);
    assert_eq!(store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap(), recount(&left));
}

pub(crate) async fn a_log_whose_id_is_ahead_of_its_receipt_goes_in_time(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    record(&store, NewLog { received_at: at(10 * MINUTE_MS), ..log(ana, "x", 50) }).await;
    // The clock was set back.
    record(&store, NewLog { received_at: at(0), ..log(ana, "x", 50) }).await;
    assert_eq!(remove_all(&store, ana, expired(1)).await, 1);
    let left = all_pages(&store, ana, everything()).await;
    assert_eq!(left.iter().map(|log| log.received_at).collect::<Vec<_>>(), [at(10 * MINUTE_MS)]);
}

pub(crate) async fn exchanges_go_by_their_own_age(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    for (number, minute) in (0..20).zip(0..) {
        store.keep_exchange(ana, exchange(number, at(minute * MINUTE_MS)), Vec::new()).await.unwrap();
    }
    store.keep_exchange(bob, exchange(99, at(0)), Vec::new()).await.unwrap();
    assert_eq!(remove_all(&store, ana, expired(12)).await, 0);
    for number in 0..20 {
        let kept = store.exchange(ana, ExchangeId([number; 16])).await.unwrap();
        assert_eq!(kept.is_some(), number >= 10, "{number}");
    }
    assert!(store.exchange(bob, ExchangeId([99; 16])).await.unwrap().is_some());
}

pub(crate) async fn a_tenant_that_changed_its_plan_keeps_what_the_new_one_keeps(store: AnyStore) {
    let pro = NewTenant { plan: Plan::Pro, ..new_tenant("ana") };
    let ana = store.sign_up(pro).await.unwrap().id;
    record(&store, log(ana, "x", 50)).await;
    let removed = store.remove_expired(ana, Plan::Free, expired(1_000), 100).await.unwrap();
    assert_eq!(removed, Removed { logs: 0, is_all: true });
    assert_eq!(all_pages(&store, ana, everything()).await.len(), 1);
    let removed = store.remove_expired(ana, Plan::Pro, expired(1_000), 100).await.unwrap();
    assert_eq!(removed.logs, 1);
}

pub(crate) async fn tenants_are_listed_by_their_plan(store: AnyStore) {
    let mut free = Vec::new();
    for number in 0..9 {
        let plan = if number % 3 == 0 { Plan::Pro } else { Plan::Free };
        let tenant = NewTenant { plan, ..new_tenant(&format!("tenant-{number}")) };
        let id = store.sign_up(tenant).await.unwrap().id;
        if plan == Plan::Free {
            free.push(id);
        }
    }
    let first = store.tenants_of(Plan::Free, None, 4).await.unwrap();
    let rest = store.tenants_of(Plan::Free, first.last().copied(), 4).await.unwrap();
    assert_eq!((first.as_slice(), rest.as_slice()), free.split_at(4));
    assert_eq!(store.tenants_of(Plan::Pro, None, 100).await.unwrap().len(), 3);
    assert!(store.tenants_of(Plan::Enterprise, None, 100).await.unwrap().is_empty());
}
