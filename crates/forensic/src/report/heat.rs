//! The worst rows against the columns that give them away: what is odd about many rows is seen as a stripe.

use maud::{Markup, html};
use sentinelflow_domain::scan::Anomaly;

use super::{summary::share_by_column, text};

const MOST_ROWS: usize = 30;
const MOST_COLUMNS: usize = 20;
/// With more columns than these their names stand upright.
const FEW_COLUMNS: usize = 7;

pub(super) fn section(threats: &[Anomaly]) -> Markup {
    let rows = &threats[..threats.len().min(MOST_ROWS)];
    let all_columns = share_by_column(rows);
    let columns: Vec<&str> = all_columns.iter().take(MOST_COLUMNS).map(|(column, _)| *column).collect();
    // One row alone would only repeat its reasons.
    if rows.len() < 2 || columns.is_empty() {
        return html! {};
    }
    let left_out = all_columns.len() - columns.len();
    html! {
        section {
            h2 { "What gives them away" }
            p.quiet {
                "How much each column contributes to a row’s score, in percent, for the " (rows.len())
                " most unusual rows."
            }
            div.scroll tabindex="0" role="region" aria-label="Rows and columns" {
                table.heat.upright[columns.len() > FEW_COLUMNS] {
                    thead {
                        tr {
                            th scope="col" { "Row" }
                            @for column in &columns { th scope="col" { span { (text::name(column)) } } }
                        }
                    }
                    tbody {
                        @for row in rows {
                            tr {
                                th scope="row" { (text::number(row.row)) }
                                @for column in &columns { (cell(share_of(row, column))) }
                            }
                        }
                    }
                }
            }
            (text::left_out(left_out as u64, "columns with smaller parts"))
        }
    }
}

fn share_of(row: &Anomaly, column: &str) -> f64 {
    let shares =
        row.reasons.iter().filter(|reason| reason.column == column).map(|reason| text::in_unit(reason.share));
    text::in_unit(shares.sum())
}

fn cell(share: f64) -> Markup {
    html! {
        @if share > 0.0 { td class=(tint(share)) { (format!("{:.0}", 100.0 * share)) } } @else { td {} }
    }
}

/// Returns the class that colours a share, one of six.
pub(super) fn tint(share: f64) -> &'static str {
    match text::whole((text::in_unit(share) * 5.0).round()) {
        0 => "heat0",
        1 => "heat1",
        2 => "heat2",
        3 => "heat3",
        4 => "heat4",
        _ => "heat5",
    }
}
