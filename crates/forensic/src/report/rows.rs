//! The worst rows, each with what is odd about it and what would make it ordinary.

use maud::{Markup, html};
use sentinelflow_domain::scan::{Anomaly, CellChange, ColumnReason, Counterfactual, ScanReport};

use super::{heat::tint, text};

const MOST_ROWS: usize = 100;
const MOST_REASONS: usize = 6;
const MOST_CHANGES: usize = 4;
const MOST_CELLS: usize = 12;

pub(super) fn section(report: &ScanReport) -> Markup {
    let shown = &report.threats[..report.threats.len().min(MOST_ROWS)];
    html! {
        @if report.threats_detected > 0 {
            section {
                h2 { "The most unusual rows" }
                p.quiet {
                    "“1 in 200” says that of 200 ordinary rows one scores as high. The percentages are the columns’ "
                    "parts in the score."
                }
                @for threat in shown { (row(threat)) }
                (text::left_out(report.threats_detected.saturating_sub(shown.len() as u64), "flagged rows"))
            }
        }
    }
}

fn row(threat: &Anomaly) -> Markup {
    html! {
        article {
            h3 {
                "Row " (text::number(threat.row))
                span.quiet { " score " (text::score(threat.score)) " · " (text::one_in(text::surprise(threat.score))) }
            }
            @if !threat.reasons.is_empty() {
                ul.reasons { @for reason in threat.reasons.iter().take(MOST_REASONS) { li { (because(reason)) } } }
            }
            (text::left_out(threat.reasons.len().saturating_sub(MOST_REASONS) as u64, "reasons"))
            @if let Some(counterfactual) = &threat.counterfactual { (would_pass(counterfactual)) }
            (other_cells(threat))
        }
    }
}

fn because(reason: &ColumnReason) -> Markup {
    html! {
        (text::name(&reason.column)) " = " (text::cell(&reason.value))
        @if !reason.typical.is_empty() { ", usually " (text::quoted(&reason.typical, text::VALUE)) }
        " " span class={ "share " (tint(reason.share)) } { (text::percent(reason.share)) }
    }
}

fn would_pass(counterfactual: &Counterfactual) -> Markup {
    let changes = &counterfactual.changes;
    html! {
        @if !changes.is_empty() {
            p.counterfactual {
                "Would pass if "
                @for (place, change) in changes.iter().take(MOST_CHANGES).enumerate() {
                    @if place > 0 { " and " }
                    (condition(change))
                }
                @if changes.len() > MOST_CHANGES { " and " (changes.len() - MOST_CHANGES) " more cells were other" }
                ". " span.quiet { "Its score would be " (text::score(counterfactual.score)) "." }
            }
        }
    }
}

fn condition(change: &CellChange) -> Markup {
    let compares = change.would_pass.starts_with(['≤', '≥', '<', '>', '=', '≠']);
    html! {
        (text::name(&change.column)) " "
        @if !compares { "= " }
        @if change.would_pass.is_empty() { (text::cell(&change.value)) }
        @else { bdi.value { (text::cut(&change.would_pass, text::VALUE)) } }
    }
}

/// The row's cells that are no reasons: they tell whose row it is.
fn other_cells(threat: &Anomaly) -> Markup {
    let shown_above =
        |name: &str| threat.reasons.iter().take(MOST_REASONS).any(|reason| reason.column == name);
    let cells: Vec<_> = threat.record.iter().filter(|(name, _)| !shown_above(name)).collect();
    html! {
        @if !cells.is_empty() {
            p.cells {
                "The rest of the row: "
                @for (place, (name, value)) in cells.iter().take(MOST_CELLS).enumerate() {
                    @if place > 0 { " · " }
                    (text::name(name)) " = " (text::cell(value))
                }
                @if cells.len() > MOST_CELLS { " · and " (text::number((cells.len() - MOST_CELLS) as u64)) " more cells" }
            }
        }
    }
}
