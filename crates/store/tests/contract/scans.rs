//! Promises about scans.

use std::sync::Arc;

use sentinelflow_domain::{
    id::ObjectId,
    scan::{Anomaly, Places, ScanEngine, ScanOptions, ScanReport, ScoreHistogram, Sightings},
    store::{
        Discarded, FinishedScan, KEPT_JSON_BYTES, KEPT_ROWS, NewScan, Page, ScanFailure, ScanFigures, ScanId,
        ScanState, StoreError,
    },
    tenant::TenantId,
};
use serde_json::json;

use crate::given::{AnyStore, at, tenant};

pub(crate) fn scan(tenant: TenantId, filename: &str) -> NewScan {
    let options = ScanOptions { limit: 2, sheet: Some("Q3 \0".into()), ..ScanOptions::default() };
    let baseline = Some("march".parse().unwrap());
    NewScan { tenant, filename: filename.into(), options, baseline, created_at: at(5) }
}

fn threat(row: u64, text: &str) -> Anomaly {
    let record = json!({"bytes": 0.1 + 0.2, "odd \0 \u{202e}": text, "big": 12_345_678_901_234_567_u64});
    let serde_json::Value::Object(record) = record else { unreachable!() };
    Anomaly { row, score: 1.0 / 3.0, reasons: Vec::new(), record, counterfactual: None }
}

pub(crate) fn report(rows: u64) -> ScanReport {
    ScanReport {
        total_scanned: 5_000,
        threats_detected: rows + 7,
        threshold_used: 0.1 + 0.2,
        threshold_method: "asked for".into(),
        engine: ScanEngine::Statistical,
        engine_reason: "few rows".into(),
        columns: Vec::new(),
        notes: vec!["padded rows\0".into()],
        threats: (1..=rows).map(|row| threat(row, "x")).collect(),
        expected_false_alarms: 1.0 / 7.0,
        scores: ScoreHistogram::default(),
        places: Places { rows_per_slice: 40, flagged: vec![0, 12] },
        baseline: Some("march".into()),
        sightings: Sightings::default(),
    }
}

fn finished(mut report: ScanReport) -> Arc<FinishedScan> {
    let threats = std::mem::take(&mut report.threats);
    Arc::new(FinishedScan { finished_at: at(9), duration_ms: 412, report, threats })
}

pub(crate) fn failure() -> ScanFailure {
    ScanFailure { finished_at: at(9), duration_ms: 7, error: "this is no table".into() }
}

pub(crate) async fn done(store: &AnyStore, new: NewScan, report: ScanReport) -> ScanId {
    let id = store.enqueue_scan(new).await.unwrap();
    assert_eq!(store.start_scan(id).await.unwrap(), Some(1));
    assert!(store.finish_scan(id, finished(report)).await.unwrap());
    id
}

/// Returns rows of a scan that is done.
async fn rows(
    store: &AnyStore,
    tenant: TenantId,
    id: ScanId,
    after: u64,
    limit: usize,
) -> Page<Anomaly, u64> {
    match store.scan_threats(tenant, id, after, limit).await.unwrap() {
        Some(ScanState::Done(page)) => page,
        other => panic!("the scan is not done: {other:?}"),
    }
}

async fn state_of(store: &AnyStore, tenant: TenantId, id: ScanId) -> &'static str {
    store.scan(tenant, id).await.unwrap().unwrap().state.as_str()
}

pub(crate) async fn the_newest_come_first_page_by_page(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    for name in ["1.csv", "2.csv", "3.csv", "4.csv"] {
        store.enqueue_scan(scan(ana, name)).await.unwrap();
    }
    store.enqueue_scan(scan(bob, "his.csv")).await.unwrap();
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = store.scans(ana, 2, before).await.unwrap();
        pages.push(page.items.into_iter().map(|scan| scan.filename).collect::<Vec<_>>());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [["4.csv", "3.csv"], ["2.csv", "1.csv"]]);
}

pub(crate) async fn a_scan_comes_back_as_it_went(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let new = scan(ana, "odd \0 \u{202e} name.csv");
    let report = report(5);
    let id = done(&store, new.clone(), report.clone()).await;

    let scan = store.scan(ana, id).await.unwrap().unwrap();
    assert_eq!((scan.id, &scan.filename, scan.limit), (id, &new.filename, 2));
    assert_eq!((scan.created_at, scan.finished_at, scan.duration_ms), (at(5), Some(at(9)), 412));
    let shown = ScanReport { threats: report.threats[..2].to_vec(), ..report.clone() };
    assert_eq!(scan.state, ScanState::Done(shown), "with as many rows as were asked for");

    let listed = store.scans(ana, 10, None).await.unwrap().items;
    let figures = ScanFigures {
        engine: report.engine,
        total_scanned: report.total_scanned,
        threats_detected: report.threats_detected,
        threshold_used: report.threshold_used,
    };
    assert_eq!(listed[0].state, ScanState::Done(figures));
    assert_eq!((listed[0].id, &listed[0].filename, listed[0].finished_at), (id, &new.filename, Some(at(9))));
}

pub(crate) async fn rows_are_paged_each_once_and_only_when_the_scan_is_done(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    assert_eq!(store.scan_threats(ana, id, 0, 10).await.unwrap(), Some(ScanState::Queued));
    store.start_scan(id).await.unwrap();
    assert_eq!(store.scan_threats(ana, id, 0, 10).await.unwrap(), Some(ScanState::Running));
    let report = report(1_234);
    assert!(store.finish_scan(id, finished(report.clone())).await.unwrap());

    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = rows(&store, ana, id, after, 500).await;
        assert!(page.items.len() <= 500 && !page.items.is_empty());
        found.extend(page.items);
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(found, report.threats);
    let last = rows(&store, ana, id, 1_000, 234).await;
    assert_eq!((last.items.len(), last.next), (234, None), "the last page says that it is the last");
    let beyond = rows(&store, ana, id, u64::MAX, 10).await;
    assert_eq!((beyond.items.len(), beyond.next), (0, None));
}

pub(crate) async fn no_more_rows_are_kept_than_agreed(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let bare = |row| Anomaly { record: serde_json::Map::new(), ..threat(row, "") };
    let many = ScanReport { threats: (0..=KEPT_ROWS as u64).map(bare).collect(), ..report(0) };
    let id = done(&store, scan(ana, "many.csv"), many).await;
    let rest = rows(&store, ana, id, KEPT_ROWS as u64 - 1, 10).await;
    assert_eq!((rest.items.len(), rest.next), (1, None));

    let text = "x".repeat(1 << 20);
    let large = ScanReport { threats: (0..70).map(|row| threat(row, &text)).collect(), ..report(0) };
    let one_bytes = serde_json::to_string(&large.threats[0]).unwrap().len() + 1;
    let id = done(&store, scan(ana, "large.csv"), large).await;
    let kept = rows(&store, ana, id, 0, 1_000).await.items;
    assert_eq!(kept.len(), KEPT_JSON_BYTES / one_bytes);
    assert!(kept.is_sorted_by_key(|threat| threat.row));
}

pub(crate) async fn a_scan_runs_once_at_a_time_and_its_attempts_are_counted(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    assert_eq!(state_of(&store, ana, id).await, "queued");
    assert_eq!(store.start_scan(id).await.unwrap(), Some(1));
    assert_eq!(state_of(&store, ana, id).await, "running");
    assert_eq!(store.start_scan(id).await.unwrap(), None);
    store.unfinished_scans().await.unwrap();
    assert_eq!(store.start_scan(id).await.unwrap(), Some(2));
    assert!(store.finish_scan(id, finished(report(3))).await.unwrap());
    assert!(!store.finish_scan(id, finished(report(1))).await.unwrap());
    assert_eq!(store.start_scan(id).await.unwrap(), None);
    let found = rows(&store, ana, id, 0, 10).await.items;
    assert_eq!(found.len(), 3, "a second report changes nothing");
}

pub(crate) async fn a_scan_that_is_put_back_was_never_started(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    for _ in 0..5 {
        assert_eq!(store.start_scan(id).await.unwrap(), Some(1));
        store.put_back_scan(id).await.unwrap();
        assert_eq!(state_of(&store, ana, id).await, "queued");
    }
}

pub(crate) async fn what_has_not_ended_is_found_again_in_order(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let orders = [scan(ana, "1.csv"), scan(bob, "2.csv"), scan(ana, "3.csv")];
    let mut ids = Vec::new();
    for order in &orders {
        ids.push(store.enqueue_scan(order.clone()).await.unwrap());
    }
    done(&store, scan(ana, "done.csv"), report(1)).await;
    store.start_scan(ids[1]).await.unwrap();
    let found = store.unfinished_scans().await.unwrap();
    assert_eq!(found.iter().map(|scan| scan.id).collect::<Vec<_>>(), ids);
    assert_eq!(found.iter().map(|scan| scan.attempts).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(found.into_iter().map(|scan| scan.order).collect::<Vec<_>>(), orders);
    assert_eq!(state_of(&store, bob, ids[1]).await, "queued");
}

pub(crate) async fn a_failed_scan_says_why_and_stays_failed(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let queued = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    let running = store.enqueue_scan(scan(ana, "b.csv")).await.unwrap();
    store.start_scan(running).await.unwrap();
    for id in [queued, running] {
        assert!(store.fail_scan(id, failure()).await.unwrap());
        assert!(!store.fail_scan(id, ScanFailure { error: "another".into(), ..failure() }).await.unwrap());
        assert!(!store.finish_scan(id, finished(report(1))).await.unwrap());
        let scan = store.scan(ana, id).await.unwrap().unwrap();
        assert_eq!(scan.state, ScanState::Failed("this is no table".into()));
        assert_eq!((scan.finished_at, scan.duration_ms), (Some(at(9)), 7));
    }
    assert_eq!(store.unfinished_scans().await.unwrap(), []);
    let listed = store.scans(ana, 10, None).await.unwrap().items;
    assert!(listed.iter().all(|scan| scan.state.as_str() == "failed"), "{listed:?}");
}

pub(crate) async fn a_discarded_scan_is_cancelled_and_then_removed(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let queued = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    let running = store.enqueue_scan(scan(ana, "b.csv")).await.unwrap();
    store.start_scan(running).await.unwrap();
    for id in [queued, running] {
        assert_eq!(store.discard_scan(ana, id, at(9)).await.unwrap(), Some(Discarded::Cancelled));
        assert_eq!(state_of(&store, ana, id).await, "cancelled");
        assert_eq!(store.start_scan(id).await.unwrap(), None);
    }
    assert_eq!(store.unfinished_scans().await.unwrap(), []);
    let finished = done(&store, scan(ana, "c.csv"), report(1_500)).await;
    for id in [queued, running, finished] {
        assert_eq!(store.discard_scan(ana, id, at(9)).await.unwrap(), Some(Discarded::Removed));
        assert_eq!(store.discard_scan(ana, id, at(9)).await.unwrap(), None);
        assert_eq!(store.scan(ana, id).await.unwrap(), None);
        assert_eq!(store.scan_threats(ana, id, 0, 10).await.unwrap(), None);
    }
    assert_eq!(store.scans(ana, 10, None).await.unwrap().items, []);
}

pub(crate) async fn a_cancelled_scan_takes_no_report(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let id = store.enqueue_scan(scan(ana, "a.csv")).await.unwrap();
    store.start_scan(id).await.unwrap();
    store.discard_scan(ana, id, at(9)).await.unwrap();
    assert!(!store.finish_scan(id, finished(report(700))).await.unwrap());
    store.put_back_scan(id).await.unwrap();
    assert_eq!(state_of(&store, ana, id).await, "cancelled");
    assert_eq!(store.scan_threats(ana, id, 0, 10).await.unwrap(), Some(ScanState::Cancelled));
}

pub(crate) async fn another_tenants_scan_is_not_there(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let finished = done(&store, scan(ana, "a.csv"), report(3)).await;
    let queued = store.enqueue_scan(scan(ana, "b.csv")).await.unwrap();
    let nobody = ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter());
    for stranger in [bob, nobody] {
        for id in [finished, queued] {
            assert_eq!(store.scan(stranger, id).await.unwrap(), None);
            assert_eq!(store.scan_threats(stranger, id, 0, 10).await.unwrap(), None);
            assert_eq!(store.discard_scan(stranger, id, at(9)).await.unwrap(), None);
        }
        assert_eq!(store.scans(stranger, 10, None).await.unwrap().items, []);
    }
    assert_eq!(state_of(&store, ana, finished).await, "done");
    assert_eq!(state_of(&store, ana, queued).await, "queued");
}

pub(crate) async fn a_scan_of_nobody_is_refused(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let never = ObjectId::from_parts(ana.seconds(), ana.origin(), ana.counter() + 9);
    for nobody in [never, ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter())] {
        let refused = store.enqueue_scan(scan(nobody, "a.csv")).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
}
