//! Promises about threats as they come, oldest first.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sentinelflow_domain::{
    analysis::Score,
    id::ObjectId,
    log_entry::Message,
    store::{LogFilter, LogId, LogRecord, Owner},
    tenant::TenantId,
};
use tokio::task::JoinSet;

use crate::{
    given::{AnyStore, all_pages, at, everything, ids, log, record, record_all, tenant, with_opinion},
    logs::record_many_others,
};

/// Goes on from the last threat of each page to the end.
async fn walk(store: &AnyStore, tenant: TenantId, mut after: LogId, limit: usize) -> Vec<LogRecord> {
    let mut walked = Vec::new();
    loop {
        let page = store.threats_after(tenant, after, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        let has_more = page.next.is_some();
        assert!(page.next.is_none_or(|next| page.items.last().is_some_and(|last| last.id == next)));
        walked.extend(page.items);
        if !has_more {
            return walked;
        }
        after = walked.last().unwrap().id;
    }
}

pub(crate) async fn the_oldest_come_first_and_none_before_the_cursor(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let mut recorded = Vec::new();
    for number in 0..12 {
        recorded.push(record(&store, log(ana, &format!("attempt {number}"), 50)).await);
    }
    for _ in 0..2 {
        for limit in [1, 3, 12, 500] {
            assert_eq!(ids(&walk(&store, ana, ObjectId::LOWEST, limit).await), recorded, "{limit}");
            for (place, id) in recorded.iter().enumerate() {
                assert_eq!(ids(&walk(&store, ana, *id, limit).await), recorded[place + 1..]);
            }
        }
        record_many_others(&store, bob).await;
    }
    let page = store.threats_after(ana, ObjectId::LOWEST, 1).await.unwrap();
    assert_eq!(page.items[0], store.find(ana, recorded[0]).await.unwrap().unwrap());
}

pub(crate) async fn benign_logs_are_left_out_and_resolved_threats_are_not(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let mut threats = Vec::new();
    for round in 0..3 {
        for score in [19, 20, 0, 100, 45] {
            let id = record(&store, log(ana, "x", score)).await;
            if score % 2 == 0 {
                store.resolve(Owner::Tenant(ana), id, at(round)).await.unwrap();
            }
            if score >= 20 {
                threats.push(id);
            }
        }
        for limit in [1, 500] {
            let walked = walk(&store, ana, ObjectId::LOWEST, limit).await;
            assert_eq!(ids(&walked), threats);
            let resolved = walked.iter().filter(|log| log.resolved_at.is_some()).count();
            assert_eq!(resolved, threats.len() * 2 / 3);
        }
        // What comes in the next round is not filed, what came before is.
        record_many_others(&store, bob).await;
    }
}

pub(crate) async fn a_raised_log_stands_in_its_old_place(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let mut recorded = Vec::new();
    for score in [50, 5, 50, 5] {
        recorded.push(record(&store, log(ana, "x", score)).await);
    }
    assert!(store.add_opinion(ana, recorded[1], with_opinion(60)).await.unwrap());
    assert_eq!(ids(&walk(&store, ana, ObjectId::LOWEST, 2).await), recorded[..3]);
    record_many_others(&store, bob).await;
    assert!(store.add_opinion(ana, recorded[3], with_opinion(60)).await.unwrap());
    assert_eq!(ids(&walk(&store, ana, ObjectId::LOWEST, 2).await), recorded);
}

pub(crate) async fn another_tenants_threats_are_not_there(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let of_ana = record(&store, log(ana, "hers", 50)).await;
    let of_bob = record(&store, log(bob, "his", 50)).await;
    assert_eq!(ids(&walk(&store, ana, ObjectId::LOWEST, 500).await), [of_ana]);
    assert_eq!(ids(&walk(&store, bob, ObjectId::LOWEST, 500).await), [of_bob]);
    // Another's id is no more than a position.
    assert_eq!(ids(&walk(&store, bob, of_ana, 500).await), [of_bob]);
    assert_eq!(ids(&walk(&store, ana, of_bob, 500).await), []);
    let nobody = ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter());
    assert_eq!(store.threats_after(nobody, ObjectId::LOWEST, 500).await.unwrap().items, []);
}

pub(crate) async fn an_id_of_nobody_is_a_position(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, log(ana, "x", 50)).await;
    let (second, origin, counter) = (id.seconds(), id.origin(), id.counter());
    for (position, is_before) in [
        (ObjectId::from_parts(second, origin, counter - 1), true),
        (ObjectId::from_parts(second, origin, counter + 1), false),
        (ObjectId::from_parts(second, [0; 5], 0x00FF_FFFF), [0; 5] < origin),
        (ObjectId::from_parts(second, [0xFF; 5], 0), [0xFF; 5] < origin),
        (ObjectId::from_parts(second - 1, [0xFF; 5], 0x00FF_FFFF), true),
        (ObjectId::from_parts(second + 1, [0; 5], 0), false),
        (ObjectId::from_parts(u32::MAX, [0xFF; 5], 0x00FF_FFFF), false),
    ] {
        let walked = walk(&store, ana, position, 500).await;
        assert_eq!(walked.len(), usize::from(is_before), "{position}");
    }
}

pub(crate) async fn large_threats_come_in_short_pages_and_none_is_missed(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let mut large = log(ana, "x", 50);
    large.entry.message = Message::try_from("x".repeat(60_000)).unwrap();
    let mut recorded = record_all(&store, vec![large; 40]).await;
    recorded.sort_unstable();
    let page = store.threats_after(ana, ObjectId::LOWEST, 500).await.unwrap();
    assert!((1..20).contains(&page.items.len()), "{} of them are held at once", page.items.len());
    assert_eq!(ids(&walk(&store, ana, ObjectId::LOWEST, 500).await), recorded);
}

pub(crate) async fn whoever_walks_under_eight_writers_misses_none_and_gets_none_twice(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut walkers = JoinSet::new();
    for limit in [1, 7, 500] {
        let (store, is_over) = (store.clone(), is_over.clone());
        walkers.spawn(async move {
            let mut walked: Vec<LogId> = Vec::new();
            loop {
                // Asked before the last look, so that it is the last one.
                let was_over = is_over.load(Ordering::SeqCst);
                let after = walked.last().copied().unwrap_or(ObjectId::LOWEST);
                walked.extend(ids(&walk(&store, ana, after, limit).await));
                if was_over {
                    return walked;
                }
            }
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..8_u8 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..60_u8 {
                let id = record(&store, log(ana, "x", (writer + number) % 2 * 50)).await;
                if number % 5 == 0 {
                    store.resolve(Owner::Tenant(ana), id, at(1)).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    is_over.store(true, Ordering::SeqCst);
    let mut all =
        ids(&all_pages(&store, ana, LogFilter { min_score: Some(Score::THREAT), ..everything() }).await);
    all.reverse();
    assert_eq!(all.len(), 240);
    for walked in walkers.join_all().await {
        assert_eq!(walked, all);
    }
}
