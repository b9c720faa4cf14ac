//! How many rows have which score, drawn: both axes logarithmic, so that a few rare rows are seen beside many.

use std::ops::Range;

use maud::{Markup, html};
use sentinelflow_domain::scan::{ScanReport, ScoreHistogram};

use super::text::{self, at};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 26.0;
const BASE: f64 = HEIGHT - 44.0;
/// The count at the foot of the axis: below 1, so that a single row has a bar.
const LEAST_COUNT: f64 = 0.5;
const FEWEST_UNITS: f64 = 3.0;
const MOST_TICKS: u64 = 5;

pub(super) fn section(report: &ScanReport) -> Markup {
    let bins = &report.scores.rows[..report.scores.rows.len().min(ScoreHistogram::BINS)];
    let Some(last) = bins.iter().rposition(|rows| *rows > 0) else { return html! {} };
    let cutoff = text::surprise(report.threshold_used);
    let chart = Chart::new(bins, edge(last + 1).max(cutoff));
    let described = describe(bins, cutoff);
    html! {
        section {
            h2 { "How unusual the rows are" }
            figure {
                (chart.draw(bins, cutoff, &described))
                figcaption {
                    p {
                        "Each bar counts rows; the further to the right, the fewer ordinary rows would be as unusual. "
                        "The scale of the counts is logarithmic, so that a few rows are seen beside many."
                    }
                    ul.legend {
                        li { span.swatch.bar {} "below the cut-off" }
                        li { span.swatch.flagged {} "flagged" }
                        li { span.swatch.clean {} "a file without anomalies" }
                    }
                }
            }
        }
    }
}

/// The surprise at which a bin begins.
fn edge(bin: usize) -> f64 {
    bin as f64 / ScoreHistogram::STEPS as f64
}

fn describe(bins: &[u64], cutoff: f64) -> String {
    let all = bins.iter().fold(0_u64, |sum, rows| sum.saturating_add(*rows));
    let last = bins.iter().rposition(|rows| *rows > 0).unwrap_or_default();
    format!(
        "Histogram of the scores of {}. The cut-off is at {}; the most unusual rows are at {}.",
        text::rows(all),
        text::one_in(cutoff),
        text::one_in(edge(last)),
    )
}

struct Chart {
    /// Units of surprise along the axis.
    units: f64,
    /// The logarithm of the highest count along the other.
    decades: f64,
    /// The rows of the first bin, would the scores be those of ordinary rows only.
    clean: f64,
}

impl Chart {
    fn new(bins: &[u64], furthest: f64) -> Self {
        let all: f64 = bins.iter().map(|rows| *rows as f64).sum();
        let clean = all * (1.0 - 10_f64.powf(-edge(1)));
        let highest = bins.iter().map(|rows| *rows as f64).fold(clean, f64::max);
        Self {
            units: furthest.ceil().clamp(FEWEST_UNITS, text::MOST_SURPRISE),
            decades: highest.log10().max(1.0),
            clean,
        }
    }

    fn x(&self, surprise: f64) -> f64 {
        LEFT + (surprise / self.units).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn y(&self, rows: f64) -> f64 {
        let height = (rows / LEAST_COUNT).max(1.0).log10() / (self.decades - LEAST_COUNT.log10());
        BASE - height.min(1.0) * (BASE - TOP)
    }

    fn draw(&self, bins: &[u64], cutoff: f64, described: &str) -> Markup {
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(described) {
                (self.count_axis())
                @for (bin, rows) in bins.iter().enumerate().filter(|(_, rows)| **rows > 0) {
                    (self.bar(bin, *rows, cutoff))
                }
                (self.clean_line())
                (self.surprise_axis())
                (self.cutoff_line(cutoff))
            }
        }
    }

    /// A bar in two colours where the cut-off goes through it.
    fn bar(&self, bin: usize, rows: u64, cutoff: f64) -> Markup {
        let (from, to) = (edge(bin), edge(bin + 1));
        let split = cutoff.clamp(from, to);
        html! {
            g {
                title { (text::rows(rows)) " between " (text::one_in(from)) " and " (text::one_in(to)) }
                (self.column("bar", from..split, rows))
                (self.column("flagged", split..to, rows))
            }
        }
    }

    fn column(&self, class: &str, span: Range<f64>, rows: u64) -> Markup {
        let (left, right, top) = (self.x(span.start), self.x(span.end), self.y(rows as f64));
        html! {
            @if right > left {
                rect class=(class) x=(at(left, WIDTH)) y=(at(top, HEIGHT))
                    width=(at(right - left, WIDTH)) height=(at(BASE - top, HEIGHT)) {}
            }
        }
    }

    /// What ordinary rows alone would give: a tenth of the rows for each unit of surprise.
    fn clean_line(&self) -> Markup {
        let end = (self.clean / LEAST_COUNT).log10().min(self.units);
        let middle = edge(1) / 2.0;
        html! {
            @if end > middle {
                line.clean x1=(at(self.x(middle), WIDTH)) y1=(at(self.y(self.clean), HEIGHT))
                    x2=(at(self.x(end + middle), WIDTH)) y2=(at(self.y(self.clean / 10_f64.powf(end)), HEIGHT)) {}
            }
        }
    }

    fn count_axis(&self) -> Markup {
        let highest = text::whole(self.decades);
        let step = highest.div_ceil(MOST_TICKS).max(1);
        html! {
            text x="0" y="14" { "rows" }
            @for decade in (0..=highest).filter(|decade| decade.is_multiple_of(step)) {
                @let y = self.y(10_f64.powf(decade as f64));
                line.grid x1=(at(LEFT, WIDTH)) y1=(at(y, HEIGHT)) x2=(at(RIGHT, WIDTH)) y2=(at(y, HEIGHT)) {}
                text.end x=(at(LEFT - 6.0, WIDTH)) y=(at(y + 4.0, HEIGHT)) { (power_of_ten(decade)) }
            }
        }
    }

    fn surprise_axis(&self) -> Markup {
        let units = text::whole(self.units);
        // So that no two labels meet, the longer of which are at the right.
        let step = match units {
            ..=3 => 1,
            6 => 3,
            8.. => 4,
            _ => 2,
        };
        html! {
            line.axis x1=(at(LEFT, WIDTH)) y1=(at(BASE, HEIGHT)) x2=(at(RIGHT, WIDTH)) y2=(at(BASE, HEIGHT)) {}
            @for unit in 0..=units {
                @let x = self.x(unit as f64);
                @let anchor = if unit == 0 { "start" } else if unit == units { "end" } else { "middle" };
                line.axis x1=(at(x, WIDTH)) y1=(at(BASE, HEIGHT)) x2=(at(x, WIDTH)) y2=(at(BASE + 4.0, HEIGHT)) {}
                @if unit.is_multiple_of(step) {
                    text class=(anchor) x=(at(x, WIDTH)) y=(at(BASE + 18.0, HEIGHT)) { (rarity(unit)) }
                }
            }
            text.middle x=(at(f64::midpoint(LEFT, RIGHT), WIDTH)) y=(at(HEIGHT - 6.0, HEIGHT)) {
                "ordinary rows that score as high →"
            }
        }
    }

    fn cutoff_line(&self, cutoff: f64) -> Markup {
        let x = self.x(cutoff);
        let anchor = if x > f64::midpoint(LEFT, RIGHT) { "end" } else { "start" };
        html! {
            line.cutoff x1=(at(x, WIDTH)) y1=(at(TOP - 6.0, HEIGHT)) x2=(at(x, WIDTH)) y2=(at(BASE, HEIGHT)) {}
            text class=(anchor) x=(at(x, WIDTH)) y="14" { "cut-off: " (text::one_in(cutoff)) }
        }
    }
}

/// Returns the label of the axis: the last says less than its bin, which has no end.
fn rarity(unit: u64) -> String {
    if unit < 8 { text::one_in(unit as f64) } else { "1 in 100 million".to_owned() }
}

fn power_of_ten(decade: u64) -> Markup {
    html! {
        @match decade {
            0..=5 => { (text::number(10_u64.pow(decade as u32))) },
            decade => { "10" tspan.power dy="-5" { (decade) } },
        }
    }
}
