//! What the rules of the security engine saw in the file's texts.

use maud::{Markup, html};
use sentinelflow_domain::scan::{Sighting, Sightings};

use super::text;

const MOST_SIGHTINGS: usize = 100;
const MOST_COLUMNS: usize = 20;
const MOST_RULES: usize = 5;

pub(super) fn section(sightings: &Sightings) -> Markup {
    let shown = &sightings.listed[..sightings.listed.len().min(MOST_SIGHTINGS)];
    html! {
        @if !sightings.columns.is_empty() || !shown.is_empty() {
            section {
                h2 { "What the security engine saw" }
                (looked_at(sightings))
                @if !shown.is_empty() {
                    (table(shown))
                    // A row may have several sightings, so rows and lines of the table can't be subtracted.
                    (text::left_out((sightings.listed.len() - shown.len()) as u64, "sightings"))
                }
            }
        }
    }
}

fn looked_at(sightings: &Sightings) -> Markup {
    let columns = &sightings.columns;
    html! {
        @if !columns.is_empty() {
            p {
                "Its rules read "
                @for (place, column) in columns.iter().take(MOST_COLUMNS).enumerate() {
                    @if place > 0 { ", " }
                    (text::name(column))
                }
                @if columns.len() > MOST_COLUMNS { " and " (columns.len() - MOST_COLUMNS) " more columns" }
                @if sightings.rows == 0 { " and saw nothing." }
                @else { " and saw something in " (text::rows(sightings.rows)) "." }
            }
        }
    }
}

fn table(sightings: &[Sighting]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Sightings" {
            table {
                thead {
                    tr {
                        @for head in ["Row", "Column", "Danger", "What", "Rules", "How unusual the row is"] {
                            th scope="col" { (head) }
                        }
                    }
                }
                tbody { @for sighting in sightings { (line(sighting)) } }
            }
        }
    }
}

fn line(sighting: &Sighting) -> Markup {
    let rules = &sighting.rules;
    html! {
        tr {
            th.number scope="row" { (text::number(sighting.row)) }
            td { (text::name(&sighting.column)) }
            td.nowrap { (sighting.score.value()) " " (sighting.severity.as_str()) }
            td.wide {
                strong { (text::quoted(&sighting.category.replace('_', " "), text::NAME)) }
                @if !sighting.summary.is_empty() { ": " (text::quoted(&sighting.summary, text::LONG)) }
            }
            td {
                @for rule in rules.iter().take(MOST_RULES) { div.rule { (text::quoted(rule, text::NAME)) } }
                @if rules.len() > MOST_RULES { div { "and " (rules.len() - MOST_RULES) " more" } }
            }
            td { (text::one_in(text::surprise(sighting.row_score))) }
        }
    }
}
