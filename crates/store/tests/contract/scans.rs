//! Promises about the archive of scans.

use sentinelflow_domain::{
    scan::{Anomaly, Places, ScanEngine, ScanReport, ScoreHistogram, Sightings},
    store::{NewScan, ScanSummary},
    tenant::TenantId,
};

use crate::given::{AnyStore, at, tenant};

fn scan(tenant: TenantId, filename: &str) -> NewScan {
    let report = ScanReport {
        total_scanned: 5_000,
        threats_detected: 12,
        threshold_used: 0.1 + 0.2,
        threshold_method: "asked for".into(),
        engine: ScanEngine::Statistical,
        engine_reason: "few rows".into(),
        columns: Vec::new(),
        notes: vec!["padded rows\0".into()],
        threats: vec![Anomaly {
            row: 1,
            score: 0.999,
            reasons: Vec::new(),
            record: serde_json::Map::new(),
            counterfactual: None,
        }],
        expected_false_alarms: 5e-3,
        scores: ScoreHistogram::default(),
        places: Places { rows_per_slice: 40, flagged: vec![0, 12] },
        baseline: Some("March".into()),
        sightings: Sightings::default(),
    };
    NewScan { tenant, filename: filename.into(), finished_at: at(5), duration_ms: 412, report }
}

pub(crate) async fn the_newest_come_first_page_by_page(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    for name in ["1.csv", "2.csv", "3.csv", "4.csv"] {
        store.record_scan(scan(ana, name)).await.unwrap();
    }
    store.record_scan(scan(bob, "his.csv")).await.unwrap();
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
    let recorded = store.record_scan(new.clone()).await.unwrap();
    assert_eq!((&recorded.report, &recorded.filename), (&new.report, &new.filename));
    let summary = ScanSummary {
        id: recorded.id,
        filename: new.filename,
        finished_at: new.finished_at,
        duration_ms: new.duration_ms,
        engine: new.report.engine,
        total_scanned: new.report.total_scanned,
        threats_detected: new.report.threats_detected,
        threshold_used: new.report.threshold_used,
    };
    assert_eq!(store.scans(ana, 10, None).await.unwrap().items, [summary]);
}
