//! Reports that nobody would write by hand: hostile texts, numbers at their ends, more of everything than is shown.

use proptest::{collection::vec, prelude::*, sample::select};
use sentinelflow_domain::{
    analysis::Score,
    scan::{
        Anomaly, CellChange, ColumnKind, ColumnProfile, ColumnReason, Counterfactual, Places, ScanEngine,
        ScanReport, ScoreHistogram, Sighting, Sightings,
    },
};
use serde_json::{Map, Value, json};

const HOSTILE: [&str; 14] = [
    "",
    "<script>alert(1)</script>",
    "</style><script src=https://evil.example/x.js></script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "]]><!--",
    "--><svg/onload=alert(1)>",
    "&lt;b&gt; &amp &#x3c;",
    "a\0b\u{1b}[2J\r\n\t",
    "\u{202e}gpj.exe\u{2066}\u{200f}\u{2028}",
    "</title></bdi></td></table></body></html>",
    "<![CDATA[ <math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "http://evil.example/",
    "{{7*7}} ${7*7} <%= 7*7 %>",
];

pub(crate) fn text() -> impl Strategy<Value = String> {
    let pieces = vec(prop_oneof![select(&HOSTILE[..]).prop_map(str::to_owned), any::<String>()], 1..3);
    pieces.prop_map(|pieces| pieces.concat())
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![select(vec![0, 1, 2, 999, 5_000, u64::MAX - 1, u64::MAX]), any::<u64>()]
}

fn number() -> impl Strategy<Value = f64> {
    let ends =
        [0.0, 1.0, 0.995, 1.0 - 1e-12, 1e-300, -1.0, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    prop_oneof![select(ends.to_vec()).boxed(), (0.0..=1.0).boxed()]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        number().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([{"a": "<b>"}]))
    ]
}

fn reason() -> impl Strategy<Value = ColumnReason> {
    (text(), value(), text(), number()).prop_map(|(column, value, typical, share)| ColumnReason {
        column,
        value,
        typical,
        share,
    })
}

fn counterfactual() -> impl Strategy<Value = Counterfactual> {
    let change = (text(), value(), text()).prop_map(|(column, value, would_pass)| CellChange {
        column,
        value,
        would_pass,
    });
    (vec(change, 0..6), number()).prop_map(|(changes, score)| Counterfactual { changes, score })
}

fn anomaly() -> impl Strategy<Value = Anomaly> {
    let record = vec((text(), value()), 0..15).prop_map(|cells| cells.into_iter().collect::<Map<_, _>>());
    (count(), number(), vec(reason(), 0..8), record, proptest::option::of(counterfactual())).prop_map(
        |(row, score, reasons, record, counterfactual)| Anomaly {
            row,
            score,
            reasons,
            record,
            counterfactual,
        },
    )
}

fn sighting() -> impl Strategy<Value = Sighting> {
    (count(), text(), any::<u8>(), text(), text(), vec(text(), 0..7), number()).prop_map(
        |(row, column, score, category, summary, rules, row_score)| {
            let score = Score::saturating(score);
            Sighting { row, column, score, severity: score.severity(), category, summary, rules, row_score }
        },
    )
}

fn column() -> impl Strategy<Value = ColumnProfile> {
    let kinds = [ColumnKind::Numeric, ColumnKind::IpAddress, ColumnKind::Text, ColumnKind::Empty];
    (text(), select(kinds.to_vec()), any::<bool>(), text(), count(), proptest::option::of(count()), text())
        .prop_map(|(name, kind, used, reason, missing, distinct, typical)| ColumnProfile {
            name,
            kind,
            used,
            reason,
            missing,
            distinct,
            typical,
        })
}

fn sightings() -> impl Strategy<Value = Sightings> {
    (vec(text(), 0..4), count(), vec(sighting(), 0..4)).prop_map(|(columns, rows, listed)| Sightings {
        columns,
        rows,
        listed,
    })
}

fn drawn() -> impl Strategy<Value = (ScoreHistogram, Places)> {
    let scores = vec(count(), 0..100).prop_map(|rows| ScoreHistogram { rows });
    let places = (count(), vec(count(), 0..300))
        .prop_map(|(rows_per_slice, flagged)| Places { rows_per_slice, flagged });
    (scores, places)
}

pub(crate) fn report() -> impl Strategy<Value = ScanReport> {
    let counts = (count(), count(), number(), number());
    let texts = (text(), text(), vec(text(), 0..3), proptest::option::of(text()));
    (counts, texts, drawn(), vec(column(), 0..4), vec(anomaly(), 0..5), sightings()).prop_map(
        |(counts, texts, (scores, places), columns, threats, sightings)| ScanReport {
            total_scanned: counts.0,
            threats_detected: counts.1,
            threshold_used: counts.2,
            expected_false_alarms: counts.3,
            threshold_method: texts.0,
            engine: ScanEngine::Statistical,
            engine_reason: texts.1,
            notes: texts.2,
            baseline: texts.3,
            scores,
            places,
            columns,
            threats,
            sightings,
        },
    )
}

/// Returns a report with ten times as much of everything as a page shows, each text the same.
pub(crate) fn largest(text: &str) -> ScanReport {
    let name = |number: usize| format!("{text}{number}");
    let reason =
        |number| ColumnReason { column: name(number), value: text.into(), typical: text.into(), share: 0.02 };
    let change = |number| CellChange { column: name(number), value: text.into(), would_pass: text.into() };
    let anomaly = Anomaly {
        row: u64::MAX,
        score: 1.0,
        reasons: (0..50).map(reason).collect(),
        record: (50..150).map(|number| (name(number), text.into())).collect(),
        counterfactual: Some(Counterfactual { changes: (0..50).map(change).collect(), score: 0.5 }),
    };
    let column = ColumnProfile {
        name: name(0),
        kind: ColumnKind::Nominal,
        used: false,
        reason: text.into(),
        missing: u64::MAX,
        distinct: Some(u64::MAX),
        typical: text.into(),
    };
    let sighting = Sighting {
        row: u64::MAX,
        column: name(0),
        score: Score::MAX,
        severity: Score::MAX.severity(),
        category: text.into(),
        summary: text.into(),
        rules: (0..50).map(name).collect(),
        row_score: 1.0,
    };
    ScanReport {
        total_scanned: u64::MAX,
        threats_detected: 1_000,
        threshold_used: 0.0,
        threshold_method: text.into(),
        expected_false_alarms: 1.0,
        engine: ScanEngine::Autoencoder,
        engine_reason: text.into(),
        columns: vec![column; 1_000],
        notes: vec![text.into(); 1_000],
        threats: vec![anomaly; 1_000],
        scores: ScoreHistogram { rows: vec![u64::MAX; 1_000] },
        places: Places { rows_per_slice: u64::MAX, flagged: vec![u64::MAX; 1_000] },
        baseline: Some(text.into()),
        sightings: Sightings {
            columns: vec![text.into(); 1_000],
            rows: u64::MAX,
            listed: vec![sighting; 1_000],
        },
    }
}
