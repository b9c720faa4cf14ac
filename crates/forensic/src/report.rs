//! A scan's report as one page of HTML to hand to somebody: no script, nothing from outside.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sentinelflow_domain::scan::ScanReport;

mod columns;
mod heat;
mod histogram;
mod places;
mod rows;
mod sightings;
mod summary;

mod text;

const STYLE: PreEscaped<&str> = PreEscaped(include_str!("report/page.css"));
/// Says to a browser what the page needs, which is next to nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Returns the page: complete, below 2 MB whatever the report holds, and without anything in it that the
/// scanned file could have made markup of.
pub fn html(filename: &str, finished_at: &str, report: &ScanReport) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(filename))
            body {
                main {
                    (summary::section(filename, finished_at, report))
                    (histogram::section(report))
                    (places::section(report))
                    (heat::section(&report.threats))
                    (rows::section(report))
                    (sightings::section(&report.sightings))
                    (columns::section(&report.columns))
                    (notes(&report.notes))
                }
                footer { "SentinelFlow " (env!("CARGO_PKG_VERSION")) }
            }
        }
    };
    page.into_string()
}

fn head(filename: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { "Scan of " (text::cut(filename, text::LONG)) }
            style { (STYLE) }
        }
    }
}

const MOST_NOTES: usize = 50;

fn notes(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            section {
                h2 { "Notes" }
                ul { @for note in notes.iter().take(MOST_NOTES) { li { (text::quoted(note, text::PARAGRAPH)) } } }
                (text::left_out(notes.len().saturating_sub(MOST_NOTES) as u64, "notes"))
            }
        }
    }
}
