//! Rule files that mean harm: each is told with its line, in bounded time.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::*;

/// Generous: what is guarded against takes minutes, or all memory. Loading is not optimised in tests.
const PATIENCE: Duration = Duration::from_secs(20);

fn load_in_time(yaml: &str) -> (RuleSet, Vec<RuleFileError>) {
    let start = Instant::now();
    let loaded = load(yaml);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    loaded
}

fn refused(yaml: &str, line: usize, what: &str) {
    let (rules, errors) = load_in_time(yaml);
    assert!(rules.is_empty(), "{what}");
    let error = errors.first().unwrap_or_else(|| panic!("{what}: there is no fault"));
    assert!(error.what.contains(what), "{error}");
    assert_eq!(error.line, line, "{error}");
}

fn times(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

#[test]
fn a_file_of_ten_megabytes_is_refused_unread() {
    refused(&format!("title: x\n{}", "# much\n".repeat(1_500_000)), 1, "at most 1048576");
}

#[test]
fn an_expression_that_grows_when_it_is_built_is_refused() {
    for expression in ["(a{1000}){1000}", r"(\w{500}ß){500}", "(((a{100}){100}){100}){100}"] {
        refused(
            &rule_yaml(&format!("sel:\n  f|re: '{expression}'\ncondition: sel")),
            7,
            "regular expression",
        );
    }
    let many = times(2_000, |_| "    - '[a-z]{500}x'\n".to_owned());
    refused(&rule_yaml(&format!("sel:\n  f|re:\n{many}condition: sel")), 7, "too large together");
}

#[test]
fn an_expression_without_end_is_tried_in_linear_time() {
    let rules = rules("sel:\n  f|re: '^(a+)+(b|a|ab)*c$'\ncondition: sel");
    let start = Instant::now();
    assert!(rules.matches(&event(&[("f", text(&"a".repeat(65_536)))])).is_empty());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn an_expression_that_nests_deep_is_read_in_time() {
    let (open, close) = ("(".repeat(100), "[^q]*[ab])".repeat(100));
    let long = "x".repeat(100_000);
    let yaml = rule_yaml(&format!("sel:\n  f|re: '{open}[ab][ab]{long}{close}'\ncondition: sel"));
    let (rules, errors) = load_in_time(&yaml);
    assert_eq!(rules.len(), 1, "{errors:?}");
}

#[test]
fn a_hundred_thousand_alternatives_are_one_rule() {
    let listed = format!("[{}]", times(100_000, |number| format!("w{number}, ")));
    for how in ["", "|contains"] {
        let (rules, errors) = load_in_time(&rule_yaml(&format!("sel:\n  f{how}: {listed}\ncondition: sel")));
        assert_eq!(errors, []);
        let start = Instant::now();
        assert_eq!(rules.matches(&event(&[("f", text("w99999"))])).len(), 1);
        assert!(rules.matches(&event(&[("f", text("v"))])).is_empty());
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
    let again = times(5_000, |_| " and sel".to_owned());
    refused(
        &rule_yaml(&format!("sel:\n  f: {listed}\ncondition: sel{again}")),
        7,
        "at most 200000 questions",
    );
}

#[test]
fn a_condition_that_nests_deep_is_refused_before_it_is_read() {
    for (open, close) in [("(", ")"), ("not ", ""), ("not(", ")"), ("a and (", ")")] {
        let condition = format!("{}sel{}", open.repeat(8_000), close.repeat(8_000));
        refused(&rule_yaml(&format!("sel:\n  f: a\ncondition: {condition}")), 8, "nests deeper than 50");
    }
    let wide = times(60, |_| " and not (sel or sel)".to_owned());
    assert_eq!(load_in_time(&rule_yaml(&format!("sel:\n  f: a\ncondition: sel{wide}"))).1, []);
}

#[test]
fn yaml_that_nests_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let yaml = format!("title: x\nfoo:\n  {}x{}\n", open.repeat(90_000), close.repeat(90_000));
        let (rules, errors) = load_in_time(&yaml);
        assert!(rules.is_empty() && !errors.is_empty());
        assert!(errors[0].line >= 1 && errors[0].what.len() < 3_000, "{}", errors[0]);
    }
}

#[test]
fn anchors_that_multiply_are_refused() {
    let mut laughs = "title: x\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for depth in 1..12 {
        let before = format!("*a{}, ", depth - 1).repeat(10);
        writeln!(laughs, "a{depth}: &a{depth} [{before}]").expect("a String takes whatever is written");
    }
    let (rules, errors) = load_in_time(&laughs);
    assert!(rules.is_empty() && errors[0].what.contains("anchors"), "{errors:?}");
    let long = times(10_000, |_| "x, ".to_owned());
    let wide = format!("title: x\nlong: &long [{long}]\nmany: [{}]\n", "*long, ".repeat(10_000));
    let (rules, errors) = load_in_time(&wide);
    assert!(rules.is_empty() && errors[0].what.contains("anchors"), "{errors:?}");
    let (_, errors) = load(&rule_yaml("sel:\n  f: &words [a, b]\nother:\n  g: *words\ncondition: 1 of them"));
    assert_eq!(errors, [], "a plain anchor is good YAML");
}

#[test]
fn documents_that_are_merged_again_and_again_are_refused() {
    let listed = times(50_000, |number| format!("    - w{number}\n"));
    let global = format!("action: global\ndetection:\n  sel:\n{listed}  condition: sel\n");
    let yaml = format!("{global}{}", times(5_000, |number| format!("---\ntitle: t{number}\n")));
    refused(&yaml, 1, "documents are merged");
}

#[test]
fn a_file_of_faults_tells_the_first_hundred() {
    let yaml = times(8_000, |number| {
        format!("title: t{number}\ndetection:\n  s: {{f|frob: a}}\n  condition: s\n---\n")
    });
    let (_, errors) = load_in_time(&yaml);
    assert_eq!(errors.len(), 101);
    assert!(errors[100].what.contains("more faults"), "{}", errors[100]);
    let rules = times(8_000, |number| {
        format!("title: t{number}\nid: i{number}\ndetection:\n  s: {{f|re: '('}}\n  condition: s\n---\n")
    });
    assert_eq!(load_in_time(&rules).1.len(), 101);
}

#[test]
fn correlations_that_count_one_another_are_refused() {
    let correlation = |name: usize, counted: usize| {
        format!(
            "title: t{name}\nname: c{name}\nid: c{name}\ncorrelation:\n  type: event_count\n  rules: [c{counted}]\n  \
             group-by: [g]\n  timespan: 1m\n  condition: {{gte: 2}}\n---\n"
        )
    };
    let circle = times(5_000, |number| correlation(number, (number + 1) % 5_000));
    refused(circle.trim_end_matches("---\n"), 6, "counts this correlation");
    let base = "title: base\nid: c5000\nname: c5000\ndetection:\n  s: {f: a}\n  condition: s\n---\n";
    let chain = format!("{base}{}", times(5_000, |number| correlation(number, number + 1)));
    let (rules, errors) = load_in_time(chain.trim_end_matches("---\n"));
    assert_eq!((rules.len(), errors.len()), (33, 101));
    assert!(errors.iter().any(|error| error.what.contains("count")), "{errors:?}");
}
