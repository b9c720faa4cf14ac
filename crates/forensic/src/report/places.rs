//! Where in the file the flagged rows lie, drawn as a strip of slices.

use maud::{Markup, html};
use sentinelflow_domain::scan::{Places, ScanReport};

use super::text::{self, at};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 100.0;
const TOP: f64 = 22.0;
const BASE: f64 = 76.0;
const MOST_SLICES: usize = 128;
/// The least height that is seen.
const LEAST_HEIGHT: f64 = 3.0;

pub(super) fn section(report: &ScanReport) -> Markup {
    let slices = slices(&report.places, report.total_scanned);
    let Some(fullest) =
        slices.iter().rev().max_by_key(|slice| slice.flagged).filter(|slice| slice.flagged > 0)
    else {
        return html! {};
    };
    let with_any = slices.iter().filter(|slice| slice.flagged > 0).count();
    html! {
        section {
            h2 { "Where in the file" }
            figure {
                (draw(&slices, fullest, report.total_scanned))
                figcaption {
                    p {
                        "Flagged rows from the top of the file to its end. Of " (slices.len()) " slices " (with_any)
                        @if with_any == 1 { " has" } @else { " have" } " any; most are in " (fullest.rows()) ": "
                        (text::number(fullest.flagged)) "."
                    }
                }
            }
        }
    }
}

struct Slice {
    first: u64,
    last: u64,
    flagged: u64,
}

impl Slice {
    fn rows(&self) -> String {
        if self.first == self.last {
            format!("row {}", text::number(self.first))
        } else {
            format!("rows {} – {}", text::number(self.first), text::number(self.last))
        }
    }
}

/// Returns the slices of the file, several as one where there are more than can be drawn.
fn slices(places: &Places, total: u64) -> Vec<Slice> {
    // One slice alone says nothing of a place.
    if places.rows_per_slice == 0 || places.flagged.len() < 2 {
        return Vec::new();
    }
    let together = places.flagged.len().div_ceil(MOST_SLICES);
    let rows = places.rows_per_slice.saturating_mul(together as u64);
    let slice = |(place, flagged): (usize, &[u64])| {
        let before = rows.saturating_mul(place as u64);
        let first = before.saturating_add(1);
        Slice {
            first,
            last: before.saturating_add(rows).min(total).max(first),
            flagged: flagged.iter().fold(0, |sum: u64, rows| sum.saturating_add(*rows)),
        }
    };
    places.flagged.chunks(together).enumerate().map(slice).collect()
}

fn draw(slices: &[Slice], fullest: &Slice, total: u64) -> Markup {
    let width = WIDTH / slices.len() as f64;
    let described = format!("Flagged rows by their place in the file; most are in {}.", fullest.rows());
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(described) {
            text x="0" y="14" { "at most " (text::number(fullest.flagged)) " flagged in a slice" }
            rect.ground x="0" y=(at(TOP, HEIGHT)) width=(at(WIDTH, WIDTH)) height=(at(BASE - TOP, HEIGHT)) {}
            @for (place, slice) in slices.iter().enumerate().filter(|(_, slice)| slice.flagged > 0) {
                @let part = slice.flagged as f64 / fullest.flagged as f64;
                @let height = (part * (BASE - TOP)).max(LEAST_HEIGHT);
                @let left = place as f64 * width;
                rect.flagged x=(at(left, WIDTH)) y=(at(BASE - height, HEIGHT))
                    width=(at((width - 0.5).max(1.0), WIDTH)) height=(at(height, HEIGHT)) {
                    title { (slice.rows()) ": " (text::number(slice.flagged)) " flagged" }
                }
            }
            line.axis x1="0" y1=(at(BASE, HEIGHT)) x2=(at(WIDTH, WIDTH)) y2=(at(BASE, HEIGHT)) {}
            text.start x="0" y=(at(BASE + 17.0, HEIGHT)) { "row 1" }
            text.end x=(at(WIDTH, WIDTH)) y=(at(BASE + 17.0, HEIGHT)) { "row " (text::number(total)) }
        }
    }
}
