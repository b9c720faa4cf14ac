//! The headline, what it is worth, and the facts of the scan.

use std::collections::HashMap;

use maud::{Markup, html};
use sentinelflow_domain::scan::{Anomaly, ScanReport};

use super::text;

pub(super) fn section(filename: &str, finished_at: &str, report: &ScanReport) -> Markup {
    html! {
        header {
            p.quiet { "Scan of " (text::quoted(filename, text::LONG)) }
            h1 { (headline(report)) }
            (meaning(report))
        }
        section {
            h2 { "Summary" }
            (facts(filename, finished_at, report))
        }
    }
}

fn headline(report: &ScanReport) -> String {
    let (flagged, total) = (report.threats_detected, report.total_scanned);
    let is_one = flagged == 1;
    let verb = match (is_as_calm_as_clean(report), is_one) {
        (true, true) => "stands out",
        (true, false) => "stand out",
        (false, true) => "doesn’t belong",
        (false, false) => "don’t belong",
    };
    match (flagged, total) {
        (_, 0) => "The file holds no rows".to_owned(),
        (0, _) => format!("None of {} stands out", text::rows(total)),
        _ => format!("{} of {} {verb}", text::number(flagged), text::rows(total)),
    }
}

/// Tells whether no more rows are flagged than a file of this size without anomalies would have.
fn is_as_calm_as_clean(report: &ScanReport) -> bool {
    report.threats_detected as f64 <= clean_file_rows(report)
}

/// What a reader who knows nothing of statistics should make of the headline.
fn meaning(report: &ScanReport) -> Markup {
    let columns = telling_columns(&report.threats);
    html! {
        @if !columns.is_empty() {
            p.lead {
                "Most telling: "
                @for (place, column) in columns.iter().enumerate() {
                    @if place > 0 { ", " }
                    (text::name(column))
                }
                "."
            }
        }
        @if report.threats_detected > 0 && is_as_calm_as_clean(report) {
            p.lead {
                "That is no more than a file of this size without anomalies would give: unusual, but not necessarily "
                "wrong."
            }
        } @else if report.threats_detected > 0 {
            p.quiet {
                "A row that doesn’t belong is unusual among the others. Whether it is harmful is for a person to "
                "judge; the reasons below say where to look."
            }
        }
    }
}

const MOST_TELLING: usize = 3;
/// A column with a smaller part in all reasons together is not named in the headline.
const TELLING_SHARE: f64 = 0.15;

/// Returns the columns with the largest part in the reasons of all listed rows.
fn telling_columns(threats: &[Anomaly]) -> Vec<&str> {
    let mut columns = share_by_column(threats);
    let all: f64 = columns.iter().map(|(_, share)| share).sum();
    columns.retain(|(_, share)| *share > TELLING_SHARE * all);
    columns.into_iter().take(MOST_TELLING).map(|(column, _)| column).collect()
}

/// Returns how much of the reasons falls to each column, the largest part first; of equals the first by name.
pub(super) fn share_by_column(threats: &[Anomaly]) -> Vec<(&str, f64)> {
    let mut shares: HashMap<&str, f64> = HashMap::new();
    for reason in threats.iter().flat_map(|threat| &threat.reasons) {
        *shares.entry(&reason.column).or_default() += text::in_unit(reason.share);
    }
    let mut columns: Vec<(&str, f64)> = shares.into_iter().collect();
    columns.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    columns
}

/// Returns how many rows of a file of this size without anomalies the cut-off would flag, on average.
fn clean_file_rows(report: &ScanReport) -> f64 {
    report.total_scanned as f64 * text::in_unit(report.expected_false_alarms)
}

fn facts(filename: &str, finished_at: &str, report: &ScanReport) -> Markup {
    let flagged_share = report.threats_detected as f64 / (report.total_scanned as f64).max(1.0);
    html! {
        table.facts {
            tbody {
                (fact("File", &text::quoted(filename, text::LONG)))
                @if !finished_at.is_empty() { (fact("Scanned", &text::quoted(finished_at, text::NAME))) }
                (fact("Rows", &html! { (text::number(report.total_scanned)) }))
                (fact("Flagged", &html! {
                    (text::rows(report.threats_detected))
                    @if report.threats_detected > 0 { ", " (text::percent(flagged_share)) " of all" }
                }))
                (fact("Cut-off", &html! {
                    "a score of " (text::score(report.threshold_used)) " or more; of ordinary rows "
                    (text::one_in(text::surprise(report.threshold_used))) " would score as high"
                    @if !report.threshold_method.is_empty() {
                        p.quiet { (text::quoted(&report.threshold_method, text::PARAGRAPH)) }
                    }
                }))
                @if report.expected_false_alarms > 0.0 {
                    (fact("A clean file would give", &html! {
                        (about(clean_file_rows(report))) ", "
                        (text::percent(report.expected_false_alarms)) " of all"
                    }))
                }
                (fact("Engine", &html! {
                    (report.engine.as_str())
                    @if !report.engine_reason.is_empty() {
                        p.quiet { (text::quoted(&report.engine_reason, text::PARAGRAPH)) }
                    }
                }))
                @if let Some(baseline) = &report.baseline {
                    (fact("Judged by baseline", &text::quoted(baseline, text::LONG)))
                }
            }
        }
    }
}

fn about(rows: f64) -> String {
    if rows < 0.5 {
        "less than 1 row".to_owned()
    } else {
        format!("about {}", text::rows(text::whole(rows.round())))
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { tr { th scope="row" { (name) } td { (value) } } }
}
