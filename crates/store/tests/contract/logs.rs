//! Promises about logs.

use std::{
    collections::BTreeSet,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;
use sentinelflow_domain::{
    analysis::{Analysis, Category, Degraded, Score, Severity},
    id::ObjectId,
    log_entry::{Message, Metadata, Source},
    store::{LogFilter, LogRecord, NewLog, Owner, Recorded, StatusFilter, StoreError},
    tenant::TenantId,
};
use tokio::task::JoinSet;

use crate::{
    given::{
        AnyStore, all_pages, analysis, asked_in, at, entry, everything, for_all, ids, log, record,
        record_all, tenant, with_opinion,
    },
    stats::recount,
};

pub(crate) async fn the_newest_come_first(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let mut recorded = Vec::new();
    for number in 0..12 {
        recorded.push(record(&store, log(ana, &format!("attempt {number}"), 50)).await);
    }
    recorded.reverse();
    let page = store.recent(ana, LogFilter::default()).await.unwrap();
    assert_eq!(ids(&page.items), recorded[..10]);
    assert_eq!(page.items[0].entry, entry("attempt 11"));
}

pub(crate) async fn ids_rise_with_the_order_of_recording(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let mut last = None;
    // The clock may stand still or step back.
    for ms in [0, 0, 5_000, 4_999, -90_000, 5_001, 5_000] {
        let id = record(&store, NewLog { received_at: at(ms), ..log(ana, "x", 0) }).await;
        assert!(last < Some(id));
        assert_eq!(store.find(ana, id).await.unwrap().unwrap().received_at, at(ms));
        last = Some(id);
    }
}

pub(crate) async fn tenants_never_see_each_other(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let of_ana = record(&store, log(ana, "hers", 50)).await;
    let of_bob = record(&store, log(bob, "his", 50)).await;
    for (owner, own, other) in [(ana, of_ana, of_bob), (bob, of_bob, of_ana)] {
        assert_eq!(ids(&all_pages(&store, owner, everything()).await), [own]);
        assert!(store.find(owner, own).await.unwrap().is_some());
        assert_eq!(store.find(owner, other).await.unwrap(), None);
    }
}

pub(crate) async fn benign_logs_are_kept_but_are_no_threats(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let benign = record(&store, log(ana, "a", 19)).await;
    let threat = record(&store, log(ana, "b", 20)).await;
    assert_eq!(ids(&all_pages(&store, ana, LogFilter::default()).await), [threat]);
    assert_eq!(ids(&all_pages(&store, ana, everything()).await), [threat, benign]);
}

pub(crate) async fn resolving_twice_keeps_the_first_moment(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, log(ana, "x", 50)).await;
    for ms in [10, 20] {
        assert_eq!(store.resolve(Owner::Tenant(ana), id, at(ms)).await.unwrap(), Some(at(10)));
    }
    assert_eq!(store.find(ana, id).await.unwrap().unwrap().resolved_at, Some(at(10)));
    assert_eq!(ids(&all_pages(&store, ana, LogFilter::default()).await), []);
    let resolved = LogFilter { status: StatusFilter::Resolved, ..LogFilter::default() };
    assert_eq!(ids(&all_pages(&store, ana, resolved).await), [id]);
}

pub(crate) async fn another_tenants_log_is_not_there(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let id = record(&store, log(ana, "x", 50)).await;
    let elsewhere = ObjectId::from_parts(id.seconds(), [0xEE; 5], id.counter());
    let never = ObjectId::from_parts(id.seconds(), id.origin(), id.counter() + 1000);
    for (owner, id) in [
        (Owner::Tenant(bob), id),
        (Owner::Tenant(elsewhere), id),
        (Owner::Anyone, elsewhere),
        (Owner::Anyone, never),
    ] {
        assert_eq!(store.resolve(owner, id, at(1)).await.unwrap(), None);
    }
    assert_eq!(store.find(ana, elsewhere).await.unwrap(), None);
    assert_eq!(store.find(elsewhere, id).await.unwrap(), None);
    assert_eq!(store.find(ana, id).await.unwrap().unwrap().resolved_at, None);
}

pub(crate) async fn anyone_may_resolve_where_nobody_is_asked_who_he_is(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, log(ana, "x", 50)).await;
    assert_eq!(store.resolve(Owner::Anyone, id, at(7)).await.unwrap(), Some(at(7)));
}

pub(crate) async fn cursors_neither_skip_nor_repeat_while_others_write(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    record_all(&store, (0..60).map(|n| log(ana, &format!("before {n}"), 50)).collect()).await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0..20 {
                record(&store, log(ana, &format!("during {writer}/{n}"), 50)).await;
            }
        });
    }
    let mut walks = Vec::new();
    while !writers.is_empty() {
        walks.push(ids(&all_pages(&store, ana, LogFilter { limit: 7, ..everything() }).await));
        while writers.try_join_next().is_some() {}
    }
    let all = ids(&all_pages(&store, ana, everything()).await);
    assert_eq!(all.len(), 140);
    for walk in walks {
        let from_its_start: Vec<_> = all.iter().copied().filter(|id| *id <= walk[0]).collect();
        assert_eq!(walk, from_its_start);
    }
}

pub(crate) async fn the_last_page_says_that_it_is_the_last(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let filter = LogFilter { limit: 3, ..LogFilter::default() };
    for (recorded, has_next) in [(0, false), (3, false), (1, true)] {
        record_all(&store, (0..recorded).map(|n| log(ana, &n.to_string(), 50)).collect()).await;
        assert_eq!(store.recent(ana, filter.clone()).await.unwrap().next.is_some(), has_next);
    }
    // A cursor of another store falls between ours by the order of all ids.
    let newest = store.recent(ana, LogFilter::default()).await.unwrap().items[0].id;
    for (seconds, found) in [(newest.seconds() - 1, 0), (newest.seconds() + 1, 4)] {
        let before = Some(ObjectId::from_parts(seconds, [0xEE; 5], 0));
        let page = store.recent(ana, LogFilter { before, ..LogFilter::default() }).await.unwrap();
        assert_eq!(page.items.len(), found);
    }
}

/// The filter as its documentation says it.
fn lets_through(filter: &LogFilter, record: &LogRecord) -> bool {
    let text = filter.text.as_ref().map(|text| text.to_ascii_lowercase());
    let texts = [record.entry.message.as_str(), record.entry.source.as_str(), &record.analysis.summary];
    let score = record.analysis.score;
    let status = match filter.status {
        StatusFilter::Active => score.is_threat() && record.resolved_at.is_none(),
        StatusFilter::Resolved => record.resolved_at.is_some(),
        StatusFilter::All => true,
    };
    status
        && filter.before.is_none_or(|before| record.id < before)
        && filter.min_score.is_none_or(|min_score| score >= min_score)
        && filter.severity.is_none_or(|severity| score.severity() == severity)
        && filter.source.as_ref().is_none_or(|source| record.entry.source.as_str() == source)
        && filter.category.is_none_or(|category| record.analysis.category == category)
        && filter.since.is_none_or(|since| record.received_at >= since)
        && filter.until.is_none_or(|until| record.received_at < until)
        && text.is_none_or(|text| texts.iter().any(|known| known.to_ascii_lowercase().contains(&text)))
}

#[derive(Debug, Clone)]
struct Sample {
    log: NewLog,
    is_resolved: bool,
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let texts = || prop::sample::select(vec!["a%", "A_b", "ä", "Ä", "x\0Ay", "\u{202e}a", "%", "\\", "'\"b"]);
    let categories = prop::sample::select(vec![Category::None, Category::Xss, Category::SqlInjection]);
    let sample = (texts(), texts(), texts(), 0_u8..=100, categories, -4_000_i64..4_000, any::<bool>());
    let sample = sample.prop_map(|(source, message, summary, score, category, ms, is_resolved)| {
        let mut log = log(ObjectId::from_parts(0, [0; 5], 0), message, score);
        log.entry.source = Source::try_from(source.to_owned()).unwrap();
        let analysis = Arc::make_mut(&mut log.analysis);
        analysis.summary = summary.into();
        analysis.category = category;
        log.received_at = at(ms);
        Sample { log, is_resolved }
    });
    prop::collection::vec(sample, 0..24)
}

/// A filter, and which log its cursor is to stand on.
fn filters() -> impl Strategy<Value = (LogFilter, Option<usize>)> {
    let texts = prop::sample::select(vec!["a", "A", "%", "_", "b", "ä", "\0a", "\\", "", "zz"]);
    let moment = || prop::option::of((-5_000_i64..5_000).prop_map(at));
    let which = (
        prop::sample::select(vec![StatusFilter::Active, StatusFilter::Resolved, StatusFilter::All]),
        prop::option::weighted(0.3, (0_u8..=100).prop_map(Score::saturating)),
        prop::option::weighted(0.3, prop::sample::select(Severity::ALL.to_vec())),
        prop::option::weighted(0.2, prop::sample::select(vec!["a%", "A%", "x\0Ay", "x"])),
        prop::option::weighted(0.3, prop::sample::select(vec![Category::None, Category::Xss])),
        prop::option::weighted(0.4, texts),
    );
    let range = (1_usize..8, prop::option::weighted(0.3, 0_usize..24), moment(), moment());
    (which, range).prop_map(
        |((status, min_score, severity, source, category, text), (limit, cursor, since, until))| {
            let (source, text) = (source.map(str::to_owned), text.map(str::to_owned));
            let before = None;
            let filter = LogFilter {
                limit,
                before,
                status,
                min_score,
                severity,
                source,
                category,
                text,
                since,
                until,
            };
            (filter, cursor)
        },
    )
}

pub(crate) async fn every_filter_agrees_with_a_naive_one(store: AnyStore) {
    let cases = AtomicUsize::new(0);
    let filters = prop::collection::vec(filters(), 20);
    for_all(24, &(samples(), filters), |(samples, filters)| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let store = store.clone();
        async move {
            let owner = tenant(&store, &format!("case-{case}")).await.id;
            let logs = samples.iter().map(|sample| NewLog { tenant: owner, ..sample.log.clone() });
            let recorded = record_all(&store, logs.collect()).await;
            let mut known = Vec::new();
            for (sample, id) in samples.into_iter().zip(recorded) {
                let resolved_at = sample.is_resolved.then_some(at(9_000));
                if sample.is_resolved {
                    store.resolve(Owner::Tenant(owner), id, at(9_000)).await.unwrap();
                }
                let NewLog { entry, analysis, received_at, .. } = sample.log;
                known.push(LogRecord { id, entry, analysis, received_at, resolved_at });
            }
            known.sort_by_key(|record| std::cmp::Reverse(record.id));
            for (mut filter, cursor) in filters {
                filter.before = cursor.and_then(|cursor| known.get(cursor)).map(|record| record.id);
                let expected: Vec<_> =
                    known.iter().filter(|record| lets_through(&filter, record)).cloned().collect();
                assert_eq!(all_pages(&store, owner, filter.clone()).await, expected, "{filter:?}");
            }
        }
    });
}

pub(crate) async fn odd_texts_come_back_as_they_went(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let long = "ß€𝄞\0".repeat(65_536 / 10);
    let messages = ["\0", "\0\0end", "a\u{202e}b\u{2066}", "\u{feff}\r\n\t", "'; DROP TABLE logs; --", &long];
    let metadata = [r#"{"a":"\u0000","a":1e300}"#, "{ }", r#"{"n":0.10000000000000000000001}"#];
    for (message, metadata) in messages.into_iter().zip(metadata.into_iter().cycle()) {
        let mut log = log(ana, "x", 50);
        log.entry.message = Message::try_from(message.to_owned()).unwrap();
        log.entry.metadata = Metadata::parse(metadata).unwrap();
        log.entry.source = Source::try_from("\0\u{202e}".to_owned()).unwrap();
        log.entry.event_id = i64::MIN;
        log.entry.timestamp = None;
        let analysis = Arc::make_mut(&mut log.analysis);
        analysis.summary = format!("summary of {message}").into();
        message.clone_into(&mut analysis.detections[0].evidence[0].excerpt);
        let NewLog { entry, analysis, received_at, .. } = log.clone();
        let id = record(&store, log).await;
        let stored = LogRecord { id, entry, analysis, received_at, resolved_at: None };
        assert_eq!(store.find(ana, id).await.unwrap(), Some(stored));
    }
}

pub(crate) async fn a_log_of_nobody_is_refused(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let never = ObjectId::from_parts(ana.seconds() - 1, ana.origin(), 5);
    for nobody in [never, ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter())] {
        let refused = store.record(log(nobody, "x", 50)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        assert_eq!(store.recent(nobody, everything()).await.unwrap().items, []);
        assert_eq!(store.per_minute(nobody, i64::MIN, i64::MAX).await.unwrap(), []);
    }
}

fn keyed(log: NewLog) -> NewLog {
    NewLog { idempotency_key: Some("retry-1".parse().unwrap()), ..log }
}

pub(crate) async fn a_key_stores_its_entry_once(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, keyed(log(ana, "x", 50))).await;
    // A retry may come later and be judged anew; what was stored stands.
    let retry = NewLog { received_at: at(60_000), ..keyed(log(ana, "x", 70)) };
    let again = store.record(retry).await.unwrap();
    let stored = store.find(ana, id).await.unwrap().unwrap();
    assert_eq!(again, Recorded::Before(Box::new(stored.clone())));
    let under = async |owner, key: &str| store.recorded_under(owner, &key.parse().unwrap()).await.unwrap();
    assert_eq!(under(ana, "retry-1").await, Some(stored));
    let bob = tenant(&store, "bob").await.id;
    assert_eq!((under(ana, "retry-2").await, under(bob, "retry-1").await), (None, None));
    assert_eq!(ids(&all_pages(&store, ana, everything()).await), [id]);
    let events: u64 =
        store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap().iter().map(|minute| minute.events).sum();
    assert_eq!(events, 1);
}

pub(crate) async fn a_key_of_another_entry_is_told_apart(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = record(&store, keyed(log(ana, "x", 50))).await;
    assert_eq!(store.record(keyed(log(ana, "y", 50))).await.unwrap(), Recorded::KeyOfAnotherEntry);
    assert_eq!(ids(&all_pages(&store, ana, everything()).await), [id]);
}

pub(crate) async fn concurrent_retries_store_once(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move { store.record(keyed(log(ana, "x", 50))).await.unwrap() });
    }
    let mut new = 0;
    let mut seen = BTreeSet::new();
    for recorded in tasks.join_all().await {
        match recorded {
            Recorded::New(id) => {
                new += 1;
                seen.insert(id);
            }
            Recorded::Before(record) => {
                seen.insert(record.id);
            }
            Recorded::KeyOfAnotherEntry => panic!("it was the same entry"),
        }
    }
    assert_eq!((new, seen.len()), (1, 1));
    assert_eq!(all_pages(&store, ana, everything()).await.len(), 1);
}

pub(crate) async fn keys_of_different_tenants_do_not_meet(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    record(&store, keyed(log(ana, "x", 50))).await;
    record(&store, keyed(log(bob, "y", 50))).await;
}

pub(crate) async fn an_analysis_comes_back_with_what_a_model_said(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let in_vain =
        Analysis { degraded: Some(Degraded::ModelTimeout), asked: Some(asked_in(7)), ..analysis(30) };
    for analysis in [with_opinion(50), Arc::new(in_vain)] {
        let new = NewLog { analysis: analysis.clone(), ..log(ana, "x", 0) };
        let id = record(&store, new).await;
        assert_eq!(store.find(ana, id).await.unwrap().unwrap().analysis, analysis);
    }
}

/// Enough for a store to put what came before where it keeps things for long.
pub(crate) async fn record_many_others(store: &AnyStore, tenant: TenantId) {
    record_all(store, (0..300).map(|_| log(tenant, "other", 0)).collect()).await;
}

pub(crate) async fn a_late_opinion_raises_a_log_wherever_it_is_seen(store: AnyStore) {
    let bob = tenant(&store, "bob").await.id;
    for (name, is_long_ago) in [("ana-1", false), ("ana-2", true)] {
        let ana = tenant(&store, name).await.id;
        // In the minute of the first there is no other log; the second becomes no threat by it, the third was one.
        let scores = [(0, 5, 60), (60_000, 0, 19), (60_000, 30, 30), (60_000, 30, 80)];
        let mut raised = Vec::new();
        for (ms, before, after) in scores {
            let new = NewLog { received_at: at(ms), ..log(ana, "x", before) };
            raised.push((record(&store, new).await, after));
        }
        if is_long_ago {
            record_many_others(&store, bob).await;
        }
        for (id, score) in &raised {
            assert!(store.add_opinion(ana, *id, with_opinion(*score)).await.unwrap());
            assert_eq!(store.find(ana, *id).await.unwrap().unwrap().analysis, with_opinion(*score));
        }
        let first = at(0).as_minutes();
        for _ in 0..2 {
            let all = all_pages(&store, ana, everything()).await;
            for (record, (id, score)) in all.iter().rev().zip(&raised) {
                assert_eq!((record.id, &record.analysis), (*id, &with_opinion(*score)));
            }
            let active = all_pages(&store, ana, LogFilter::default()).await;
            assert_eq!(ids(&active), [raised[3].0, raised[2].0, raised[0].0]);
            let found = LogFilter {
                text: Some("scored 60 by a model".into()),
                category: Some(Category::Other),
                severity: Some(Severity::Medium),
                ..LogFilter::default()
            };
            assert_eq!(ids(&all_pages(&store, ana, found).await), [raised[0].0]);
            let minutes = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
            assert_eq!(minutes, recount(&all));
            let seen = minutes.iter().map(|counts| (counts.minute - first, counts.threats, counts.max_score));
            let (one, two) = (Score::saturating(60), Score::saturating(80));
            assert_eq!(seen.collect::<Vec<_>>(), [(0, 1, one), (1, 2, two)]);
            // What was raised stays so once the store has moved on.
            record_many_others(&store, bob).await;
        }
    }
}

pub(crate) async fn a_late_opinion_never_lowers_a_score(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let id = record(&store, log(ana, "x", 50)).await;
    for _ in 0..2 {
        let before = store.find(ana, id).await.unwrap();
        let counts = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
        for score in [0, 19, 49] {
            assert!(!store.add_opinion(ana, id, with_opinion(score)).await.unwrap());
            assert_eq!(store.find(ana, id).await.unwrap(), before);
        }
        assert!(store.add_opinion(ana, id, with_opinion(50)).await.unwrap());
        assert_eq!(store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap(), counts);
        assert_eq!(ids(&all_pages(&store, ana, LogFilter::default()).await), [id]);
        record_many_others(&store, bob).await;
    }
}

pub(crate) async fn a_late_opinion_leaves_a_resolved_log_resolved(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let id = record(&store, log(ana, "x", 5)).await;
    store.resolve(Owner::Tenant(ana), id, at(7)).await.unwrap();
    for score in [60, 80] {
        assert!(store.add_opinion(ana, id, with_opinion(score)).await.unwrap());
        let record = store.find(ana, id).await.unwrap().unwrap();
        assert_eq!((record.resolved_at, record.analysis), (Some(at(7)), with_opinion(score)));
        assert_eq!(ids(&all_pages(&store, ana, LogFilter::default()).await), []);
        let resolved = LogFilter { status: StatusFilter::Resolved, ..everything() };
        assert_eq!(ids(&all_pages(&store, ana, resolved).await), [id]);
        let counts = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
        assert_eq!((counts[0].threats, counts[0].max_score.value()), (1, score));
        record_many_others(&store, bob).await;
    }
}

pub(crate) async fn a_late_opinion_of_another_tenants_log_changes_nothing(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let id = record(&store, log(ana, "x", 5)).await;
    let elsewhere = ObjectId::from_parts(id.seconds(), [0xEE; 5], id.counter());
    let never = ObjectId::from_parts(id.seconds(), id.origin(), id.counter() + 1000);
    let before = store.find(ana, id).await.unwrap();
    for _ in 0..2 {
        for (owner, id) in [(bob, id), (elsewhere, id), (ana, elsewhere), (ana, never)] {
            assert!(!store.add_opinion(owner, id, with_opinion(90)).await.unwrap());
        }
        assert_eq!(store.find(ana, id).await.unwrap(), before);
        assert_eq!(ids(&all_pages(&store, ana, LogFilter::default()).await), []);
        let counts = store.per_minute(ana, i64::MIN, i64::MAX).await.unwrap();
        assert_eq!((counts[0].threats, counts[0].max_score.value()), (0, 5));
        record_many_others(&store, bob).await;
    }
}
