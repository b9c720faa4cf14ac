//! Promises about the counts per minute.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;
use sentinelflow_domain::{
    analysis::Score,
    store::{LogRecord, MinuteCounts, NewLog, Owner},
};

use crate::given::{AnyStore, all_pages, at, everything, for_all, log, record, record_all, tenant};

/// Counts the way nobody would on a large table.
pub(crate) fn recount(records: &[LogRecord]) -> Vec<MinuteCounts> {
    let mut minutes = BTreeMap::new();
    for record in records {
        let minute = record.received_at.as_minutes();
        let none = MinuteCounts { minute, events: 0, threats: 0, max_score: Score::default() };
        let counts = minutes.entry(minute).or_insert(none);
        counts.events += 1;
        counts.threats += u64::from(record.analysis.score.is_threat());
        counts.max_score = counts.max_score.max(record.analysis.score);
    }
    minutes.into_values().collect()
}

pub(crate) async fn minutes_agree_with_a_recount_of_the_logs(store: AnyStore) {
    let cases = AtomicUsize::new(0);
    let log_of = (-300_000_i64..300_000, 0_u8..=100);
    for_all(16, &prop::collection::vec(log_of, 0..60), |logs| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let store = store.clone();
        async move {
            let owner = tenant(&store, &format!("case-{case}")).await.id;
            let logs =
                logs.into_iter().map(|(ms, score)| NewLog { received_at: at(ms), ..log(owner, "x", score) });
            record_all(&store, logs.collect()).await;
            let records = all_pages(&store, owner, everything()).await;
            assert_eq!(store.per_minute(owner, i64::MIN, i64::MAX).await.unwrap(), recount(&records));
        }
    });
}

pub(crate) async fn resolved_logs_still_count(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, log(ana, "x", 95)).await;
    let before = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
    store.resolve(Owner::Tenant(ana), id, at(1)).await.unwrap();
    assert_eq!(store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap(), before);
    assert_eq!((before[0].events, before[0].threats, before[0].max_score.value()), (1, 1, 95));
}

pub(crate) async fn minutes_are_half_open_and_only_the_tenants_own(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    for (owner, minute) in [(ana, 0), (ana, 1), (ana, 2), (bob, 1), (bob, 1)] {
        record(&store, NewLog { received_at: at(minute * 60_000), ..log(owner, "x", 10) }).await;
    }
    let first = at(0).as_minutes();
    let counts = store.per_minute(ana, first, first + 2).await.unwrap();
    let seen: Vec<_> = counts.iter().map(|counts| (counts.minute - first, counts.events)).collect();
    assert_eq!(seen, [(0, 1), (1, 1)]);
}
