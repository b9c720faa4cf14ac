//! What every column was taken for.

use maud::{Markup, html};
use sentinelflow_domain::scan::{ColumnKind, ColumnProfile};

use super::text;

const MOST_COLUMNS: usize = 300;

pub(super) fn section(columns: &[ColumnProfile]) -> Markup {
    let shown = &columns[..columns.len().min(MOST_COLUMNS)];
    html! {
        @if !shown.is_empty() {
            section {
                h2 { "The columns" }
                (table(shown))
                (text::left_out((columns.len() - shown.len()) as u64, "columns"))
            }
        }
    }
}

/// What is known of any column; of old reports less is known.
struct Known {
    missing: bool,
    distinct: bool,
    typical: bool,
}

fn table(columns: &[ColumnProfile]) -> Markup {
    let known = Known {
        missing: columns.iter().any(|column| column.missing > 0),
        distinct: columns.iter().any(|column| column.distinct.is_some()),
        typical: columns.iter().any(|column| !column.typical.is_empty()),
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Columns" {
            table {
                thead {
                    tr {
                        th scope="col" { "Column" }
                        th scope="col" { "Taken for" }
                        th scope="col" { "Used" }
                        @if known.missing { th.number scope="col" { "Missing" } }
                        @if known.distinct { th.number scope="col" { "Distinct" } }
                        @if known.typical { th scope="col" { "Usually" } }
                    }
                }
                tbody { @for column in columns { (line(column, &known)) } }
            }
        }
    }
}

fn line(column: &ColumnProfile, known: &Known) -> Markup {
    html! {
        tr.unused[!column.used] {
            th scope="row" { (text::name(&column.name)) }
            td { (kind(column.kind)) }
            td {
                @if column.used { "yes" } @else { "no" }
                @if !column.reason.is_empty() { ": " span.quiet { (text::quoted(&column.reason, text::LONG)) } }
            }
            @if known.missing { td.number { (text::number(column.missing)) } }
            @if known.distinct { td.number { @if let Some(distinct) = column.distinct { (text::number(distinct)) } } }
            @if known.typical { td { (text::quoted(&column.typical, text::VALUE)) } }
        }
    }
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Numeric => "numbers",
        ColumnKind::Code => "code",
        ColumnKind::Nominal => "categories",
        ColumnKind::Timestamp => "times",
        ColumnKind::IpAddress => "addresses",
        ColumnKind::Text => "text",
        ColumnKind::Identifier => "identifiers",
        ColumnKind::Constant => "one value only",
        ColumnKind::Empty => "nothing",
    }
}
