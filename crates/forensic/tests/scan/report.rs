//! What the page of a scan promises, whatever the scanned file held: read by a browser's parser.

use std::collections::BTreeSet;

use proptest::prelude::*;
use scraper::{ElementRef, Html, Selector};
use sentinelflow_domain::scan::ScanReport;
use sentinelflow_forensic::report::html;
use serde_json::json;

mod samples;

const MOST_BYTES: usize = 2_000_000;

/// All that may ever stand in a page: its elements and their attributes.
const ALLOWED: &str = "
    html:lang head title style meta:charset,http-equiv,content,name body main header section article footer
    h1 h2 h3 p:class ul:class li div:class,tabindex,role,aria-label figure figcaption span:class em strong
    bdi:class table:class thead tbody tr:class th:class,scope td:class
    svg:viewBox,role,aria-label g rect:class,x,y,width,height line:class,x1,y1,x2,y2 text:class,x,y tspan:class,dy";

fn is_allowed(element: &ElementRef) -> bool {
    let allowed = ALLOWED.split_whitespace().find_map(|entry| {
        let (name, attributes) = entry.split_once(':').unwrap_or((entry, ""));
        (name == element.value().name()).then(|| attributes.split(',').collect::<BTreeSet<_>>())
    });
    allowed.is_some_and(|allowed| element.value().attrs().all(|(name, _)| allowed.contains(name)))
}

fn elements<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text_of(page: &Html, selector: &str) -> String {
    elements(page, selector).iter().flat_map(ElementRef::text).collect()
}

fn page_of(report: &ScanReport) -> Html {
    Html::parse_document(&html("audit_log.csv", "2026-03-02T10:00:00.000Z", report))
}

fn golden_report() -> ScanReport {
    serde_json::from_str(include_str!("data/report.json")).unwrap()
}

/// Every coordinate is a number inside of its drawing, and so is every far end of a rectangle.
fn assert_drawn_inside(page: &Html) {
    for drawing in elements(page, "svg") {
        let view_box: Vec<f64> =
            drawing.attr("viewBox").unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
        let (width, height) = (view_box[2], view_box[3]);
        for shape in drawing.descendent_elements().skip(1) {
            let number = |name| shape.attr(name).map_or(0.0, |text: &str| text.parse::<f64>().unwrap());
            let across = [number("x"), number("x1"), number("x2"), number("x") + number("width")];
            let down = [number("y"), number("y1"), number("y2"), number("y") + number("height")];
            assert!(across.iter().all(|x| (0.0..=width + 0.05).contains(x)), "{across:?}");
            assert!(down.iter().all(|y| (0.0..=height + 0.05).contains(y)), "{down:?}");
        }
    }
}

fn assert_harmless(page: &str) {
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    let misleads = |char: char| char.is_control() || "\u{202e}\u{200f}\u{2066}\u{2028}".contains(char);
    let misleading = page.chars().find(|char| *char != '\n' && misleads(*char));
    assert_eq!(misleading, None);
    let page = Html::parse_document(page);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    for element in page.root_element().descendent_elements() {
        assert!(is_allowed(&element), "{:?}", element.value());
        assert!(element.value().attrs().all(|(_, value)| !value.contains("http")), "{:?}", element.value());
    }
    assert_eq!(elements(&page, "style").len(), 1);
    assert_eq!(elements(&page, "meta").len(), 4);
    assert_drawn_inside(&page);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_text_and_no_number_breaks_the_page(
        filename in samples::text(), time in samples::text(), report in samples::report()
    ) {
        assert_harmless(&html(&filename, &time, &report));
    }
}

#[test]
fn the_largest_report_stays_small_and_says_what_it_leaves_out() {
    for filler in ["\"", "<", "日", "👩", "x", "\u{202e}", "\0"] {
        let report = samples::largest(&filler.repeat(1_024));
        let page = html(&filler.repeat(4_096), "", &report);
        assert_harmless(&page);
        let text = text_of(&Html::parse_document(&page), "p.quiet");
        for left_out in [
            "And 900 more of the flagged rows",
            "And 700 more of the columns",
            "And 950 more of the notes",
            "And 900 more of the sightings",
        ] {
            assert!(text.contains(left_out), "{left_out}");
        }
    }
}

#[test]
fn what_looks_like_markup_in_a_file_is_shown_as_the_text_that_it_is() {
    let page = page_of(&golden_report());
    assert!(
        text_of(&page, "article")
            .contains("request = GET /item?id=1' UNION SELECT <b>password</b> FROM users--")
    );
    assert!(elements(&page, "b").is_empty());
}

#[test]
fn the_page_says_in_sentences_what_was_found() {
    let text = text_of(&page_of(&golden_report()), "main");
    for sentence in [
        "3 of 5,000 rows don’t belong",
        "bytes = 9100000000, usually 1200 – 88000 71\u{a0}%",
        "Would pass if bytes ≤ 4200000. Its score would be 0.9971.",
        "Would pass if bytes ≤ 4200000 and user = bob.",
        "bytes = empty, usually",
        "Its rules read request and saw something in 1 row.",
        "rows 1,841 – 1,880: 2 flagged",
        "about 3 rows, 0.05\u{a0}% of all",
    ] {
        assert!(text.contains(sentence), "{sentence} is not in {text}");
    }
}

#[test]
fn what_is_not_known_has_no_frame() {
    let bare = json!({"total_scanned": 10, "threats_detected": 0, "threshold_used": 0.995, "threshold_method": "",
        "engine": "statistical", "engine_reason": "", "columns": [], "notes": [], "threats": []});
    let page = page_of(&serde_json::from_value(bare).unwrap());
    assert_eq!(text_of(&page, "h1"), "None of 10 rows stands out");
    let titles: Vec<String> = elements(&page, "h2").iter().map(|title| title.text().collect()).collect();
    assert_eq!(titles, ["Summary"]);
    assert!(elements(&page, "svg, article, figure").is_empty());
}

/// A change of the page shows in a review as a change of this file.
#[test]
fn the_page_is_as_it_was() {
    let page = html("audit_log.csv", "2026-03-02T10:00:00.000Z", &golden_report());
    let page = page.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace('>', ">\n");
    let made = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html.txt");
    std::fs::write(&made, &page).unwrap();
    let golden = include_str!("data/report.html.txt");
    assert!(page == golden, "compare tests/scan/data/report.html.txt with {}", made.display());
}
