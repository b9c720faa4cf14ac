//! What the matcher owes to Sigma, one sentence a test.

use std::cell::Cell;

use proptest::{
    prelude::*,
    test_runner::{TestError, TestRunner},
};

use super::*;
use crate::event::{LogSource, Origin, Value};

mod arrays;
mod examples;
mod generate;
mod hostile;
mod placeholders;
mod twin;

fn event<'a>(fields: &[(&'a str, Value<'a>)]) -> Event<'a> {
    let mut event = Event::default();
    for (name, value) in fields {
        event.push(*name, value.clone(), Origin::Metadata);
    }
    event
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.into())
}

fn rule_yaml(detection: &str) -> String {
    let indented: Vec<_> = detection.trim_matches('\n').lines().map(|line| format!("  {line}\n")).collect();
    let indented = indented.concat();
    format!("title: T\nid: r1\nlogsource:\n  category: any\ndetection:\n{indented}level: high\n")
}

fn load(yaml: &str) -> (RuleSet, Vec<RuleFileError>) {
    RuleSet::load(std::iter::once(("r.yml".to_owned(), yaml.to_owned())))
}

fn rules(detection: &str) -> RuleSet {
    let (rules, errors) = load(&rule_yaml(detection));
    assert_eq!(errors, [], "{detection}");
    rules
}

/// Asks a detection, given as the member of a selection, for each value of the field `f`.
fn check(selection: &str, hits: &[Value<'_>], misses: &[Value<'_>]) {
    let rules = rules(&format!("sel:\n  {selection}\ncondition: sel"));
    for value in hits {
        assert_eq!(
            rules.matches(&event(&[("f", value.clone())])).len(),
            1,
            "{selection} should hold for {value:?}"
        );
    }
    for value in misses {
        assert_eq!(
            rules.matches(&event(&[("f", value.clone())])).len(),
            0,
            "{selection} should miss {value:?}"
        );
    }
}

fn texts<'a>(values: &[&'a str]) -> Vec<Value<'a>> {
    values.iter().map(|value| text(value)).collect()
}

#[test]
fn wildcards_work_together_with_startswith_and_endswith() {
    check(r"f|startswith: 'a*c'", &texts(&["abc", "aXXcd", "ac"]), &texts(&["xabc", "ab"]));
    check(r"f|endswith: 'a?c'", &texts(&["abc", "xx a-c"]), &texts(&["abcd", "ac"]));
    check(r"f|contains: 'a*c?e'", &texts(&["xabcdex", "acdcdec-e"]), &texts(&["ace"]));
    check(r"f: '*.exe'", &texts(&["a.exe", ".EXE"]), &texts(&["a.exe "]));
    check(r"f: 'a*b*a'", &texts(&["aba", "abba", "a--b--a"]), &texts(&["ab", "a", "abab"]));
    check("f: '*'", &texts(&["", "x"]), &[Value::Null]);
    check("f: ''", &texts(&[""]), &texts(&["x"]));
}

#[test]
fn escapes_make_wildcards_and_backslashes_plain() {
    check(r"f|contains: 'a\*b'", &texts(&["a*b"]), &texts(&["aXb"]));
    check(r"f: 'C:\\\\share\\*'", &texts(&[r"C:\\share\x"]), &texts(&[r"C:\share"]));
    check(r"f|endswith: '\cmd.exe'", &texts(&[r"C:\Windows\CMD.EXE"]), &texts(&["notcmd.exe"]));
    check(r"f: 'a\?'", &texts(&["a?"]), &texts(&["ab"]));
}

#[test]
fn a_star_crosses_line_breaks() {
    check("f|contains: 'a*b'", &texts(&["a\nb", "a\r\n\r\nb"]), &texts(&["b\na"]));
    check("f|startswith: 'a?b'", &texts(&["a\nb"]), &[]);
}

#[test]
fn keywords_look_everywhere_and_may_all_be_asked_for() {
    let any = rules("keywords:\n  - alpha\n  - b?ta\ncondition: keywords");
    let all = rules("keywords:\n  '|all':\n    - alpha\n    - beta\ncondition: keywords");
    let both = event(&[("message", text("xx ALPHA")), ("other", text("beta"))]);
    let one = event(&[("message", text("the BETA"))]);
    assert_eq!((any.matches(&both).len(), all.matches(&both).len()), (1, 1));
    assert_eq!((any.matches(&one).len(), all.matches(&one).len()), (1, 0));
    assert_eq!(all.matches(&both)[0].evidence, [(0, Some(3..8)), (1, Some(0..4))]);
}

#[test]
fn a_keyword_is_found_in_whichever_of_many_values_it_stands() {
    let rules = rules("sel:\n  '|re': 'al+pha[0-9]'\nfilter:\n  - beta\ncondition: sel and not filter");
    let names: Vec<String> = (0..300).map(|number| format!("n{number}")).collect();
    for place in [0, 1, 62, 63, 64, 299] {
        // Everywhere else stands what only calls for a look.
        let value = |at: usize| text(if at == place { "an alpha7" } else { "alpha" });
        let fields: Vec<_> = names.iter().enumerate().map(|(at, name)| (name.as_str(), value(at))).collect();
        let matches = rules.matches(&event(&fields));
        assert_eq!(matches[0].evidence, [(place, Some(3..9))]);
    }
    let broken = event(&[("message", text("al")), ("other", text("pha7"))]);
    assert!(rules.matches(&broken).is_empty());
}

#[test]
fn a_list_holds_for_any_value_and_with_all_for_all() {
    check("f|contains:\n    - one\n    - two", &texts(&["one", "two"]), &texts(&["three"]));
    check("f|contains|all:\n    - one\n    - two", &texts(&["two one"]), &texts(&["one", "two"]));
}

#[test]
fn base64offset_finds_a_text_at_all_three_alignments() {
    let rules = rules("sel:\n  f|base64offset|contains: 'http://'\ncondition: sel");
    let wide = rules_of("f|wide|base64offset|contains: 'IEX'");
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "x", "xy"] {
            let encoded = base64_of(format!("{before}http://{after}").as_bytes());
            assert_eq!(rules.matches(&event(&[("f", text(&encoded))])).len(), 1, "{before}|{after}");
            let utf16: Vec<u8> =
                format!("{before}IEX{after}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            let encoded = base64_of(&utf16);
            assert_eq!(wide.matches(&event(&[("f", text(&encoded))])).len(), 1, "wide {before}|{after}");
        }
    }
    assert!(rules.matches(&event(&[("f", text(&base64_of(b"https//")))])).is_empty());
}

fn rules_of(item: &str) -> RuleSet {
    rules(&format!("sel:\n  {item}\ncondition: sel"))
}

fn base64_of(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

#[test]
fn windash_takes_any_dash_for_any_dash_but_leaves_words_alone() {
    let forms = ["x -f", "x /f", "x \u{2013}f", "x \u{2014}f", "x \u{2015}f"];
    check("f|windash|contains: ' -f'", &texts(&forms), &texts(&["x-f", "x +f"]));
    check("f|contains|windash: ' /f'", &texts(&forms), &texts(&["x +f"]));
    check("f|windash|contains: 'a-b -c'", &texts(&["a-b /c"]), &texts(&["a/b -c"]));
}

#[test]
fn a_negated_filter_holds_where_its_field_is_absent() {
    let rules = rules("sel:\n  f: a\nfilter:\n  g: b\ncondition: sel and not filter");
    assert_eq!(rules.matches(&event(&[("f", text("a"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("f", text("a")), ("g", text("c"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("f", text("a")), ("g", text("B"))])).len(), 0);
}

#[test]
fn null_means_absent_or_null_and_exists_means_there() {
    let null = rules_of("f: null");
    assert_eq!(null.matches(&event(&[("g", text("x"))])).len(), 1);
    assert_eq!(null.matches(&event(&[("f", Value::Null)])).len(), 1);
    assert_eq!(null.matches(&event(&[("f", text(""))])).len(), 0);
    let (exists, missing) = (rules_of("f|exists: true"), rules_of("f|exists: false"));
    for (fields, is_there) in [(vec![("f", Value::Null)], true), (vec![("g", text("x"))], false)] {
        assert_eq!(exists.matches(&event(&fields)).len(), usize::from(is_there));
        assert_eq!(missing.matches(&event(&fields)).len(), usize::from(!is_there));
    }
}

#[test]
fn numbers_are_compared_as_numbers_however_they_are_written() {
    let numbers = |values: &[f64]| values.iter().map(|value| Value::Number(*value)).collect::<Vec<_>>();
    check("f: 4625", &[Value::Number(4625.0), text("4625")], &[Value::Number(4624.0), text("14625")]);
    check("f|gte: 10", &numbers(&[10.0, 1e9]), &numbers(&[9.99]));
    check("f|gt: 9", &texts(&["10", " 10 "]), &texts(&["9", "ten", ""]));
    check("f|lt: 0.5", &numbers(&[-1.0, 0.25]), &numbers(&[0.5]));
    check("f|gt: 1", &[], &texts(&["Infinity", "nan"]));
    check("f: -0.0", &[Value::Number(0.0), text("0")], &[Value::Number(1.0)]);
    check("f|lte: -1", &[text("-1.0")], &[text("0")]);
    check("f|startswith: 40", &[Value::Number(404.0)], &[Value::Number(503.0)]);
    check("f: true", &[Value::Bool(true), text("True")], &[Value::Bool(false)]);
}

#[test]
fn parts_of_a_time_are_compared_in_utc() {
    let late = "2026-01-31T23:05:09+02:00";
    check(
        "f|hour: 21",
        &texts(&[late, "2026-01-31 21:59:00.123", "1769893200"]),
        &texts(&["21", "noon", ""]),
    );
    check(
        "f|hour|gte: 21",
        &[text(late), Value::Number(1_769_893_200_000.0)],
        &[Value::Bool(true), Value::Null],
    );
    check("f|minute:\n    - 5\n    - 6", &texts(&[late]), &texts(&["2026-01-31T23:07:00Z"]));
    check("f|day|lt: 31", &texts(&["2026-01-30T00:00:00Z"]), &texts(&[late]));
    check("f|week: 53", &texts(&["2027-01-01T00:00:00Z"]), &texts(&["2026-01-01T00:00:00Z"]));
    check("f|month|neq: 1", &texts(&["2026-02-01T00:00:00Z"]), &texts(&[late]));
    check("f|year|gt: 2025", &texts(&[late]), &texts(&["2026-01-01T00:00:00+01:00"]));
}

#[test]
fn neq_holds_if_a_value_is_there_and_differs() {
    check("f|neq: 1", &[Value::Number(2.0), text("x")], &[Value::Number(1.0), text("1")]);
    check("f|neq:\n    - a\n    - b", &texts(&["c"]), &texts(&["a", "B"]));
    assert!(rules_of("f|neq: 1").matches(&event(&[("g", text("2"))])).is_empty());
}

#[test]
fn networks_hold_addresses_of_both_families() {
    check(
        "f|cidr:\n    - 10.0.0.0/8\n    - 2001:db8::/32\n    - 192.0.2.1",
        &texts(&["10.1.2.3", "2001:DB8::1", "::ffff:10.0.0.1", "192.0.2.1"]),
        &texts(&["11.0.0.1", "2001:db9::1", "10.0.0", "192.0.2.10"]),
    );
}

#[test]
fn case_is_folded_unless_the_rule_says_cased() {
    check("f|contains: 'Straße'", &texts(&["xSTRAßEx"]), &[]);
    check("f: 'ÄÖÜ'", &texts(&["äöü"]), &texts(&["aou"]));
    check("f: 'ΟΔΟΣ'", &texts(&["οδος", "οδοσ"]), &texts(&["οδο"]));
    check("f|contains: 'µ'", &texts(&["5 Μm", "5 μm"]), &texts(&["5 mm"]));
    check("f: 'KIẞ'", &texts(&["\u{212a}iß", "kIß"]), &texts(&["kıß", "kiss"]));
    check("f|contains|cased: 'Abc'", &texts(&["xAbc"]), &texts(&["xabc", "ABC"]));
    check("f|re: 'ab+c'", &texts(&["xabbc"]), &texts(&["ABC"]));
    check("f|re|i: 'ab+c$'", &texts(&["ABC"]), &texts(&["abc "]));
}

#[test]
fn regular_expressions_take_flags() {
    check("f|re: '^a.b$'", &texts(&["a-b"]), &texts(&["a\nb", "x\na-b"]));
    check("f|re|s: '^a.b$'", &texts(&["a\nb"]), &[]);
    check("f|re|m: '^a.b$'", &texts(&["x\na-b\ny"]), &[]);
    check("f|re: '(?i)kill[\u{e4}]?'", &texts(&["\u{212a}ILL\u{c4}"]), &[]);
}

#[test]
fn a_field_can_be_compared_with_another() {
    let rules = rules_of("f|fieldref|endswith: g");
    assert_eq!(rules.matches(&event(&[("f", text(r"C:\A.EXE")), ("g", text("a.exe"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("f", text("b.exe")), ("g", text("a.exe"))])).len(), 0);
    assert_eq!(rules.matches(&event(&[("f", text("b.exe"))])).len(), 0);
}

#[test]
fn any_of_a_fields_values_is_enough() {
    let rules = rules_of("f: b");
    assert_eq!(rules.matches(&event(&[("f", text("a")), ("f", text("b"))]))[0].evidence, [(1, Some(0..1))]);
}

#[test]
fn selectors_and_operators_bind_as_sigma_says() {
    let selections =
        "sel_a:\n  f|contains: a\nsel_b:\n  f|contains: b\nother:\n  f|contains: c\n_hidden:\n  f: zz\n";
    let cases = [
        ("1 of sel_*", "b", "c"),
        ("all of sel_*", "ab", "a"),
        ("1 of them", "c", "zz"),
        ("all of them", "abc", "ab"),
        ("2 of them", "ac", "a"),
        ("sel_a or sel_b and other", "a", "b"),
        ("(sel_a or sel_b) and other", "bc", "ab"),
        ("not sel_a and other", "c", "ac"),
        ("sel_a and not (sel_b or other)", "a", "ab"),
    ];
    for (condition, hit, miss) in cases {
        let rules = rules(&format!("{selections}condition: {condition}"));
        assert_eq!(rules.matches(&event(&[("f", text(hit))])).len(), 1, "{condition}: {hit}");
        assert_eq!(rules.matches(&event(&[("f", text(miss))])).len(), 0, "{condition}: {miss}");
    }
}

#[test]
fn maps_are_and_lists_of_maps_are_or() {
    let rules = rules("sel:\n  - f: a\n    g: b\n  - f: c\ncondition: sel");
    assert_eq!(rules.matches(&event(&[("f", text("a")), ("g", text("b"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("f", text("c"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("f", text("a"))])).len(), 0);
}

#[test]
fn a_rule_sees_the_events_of_its_log_source() {
    let windows =
        LogSource { category: Some("process_creation"), product: Some("windows"), service: Some("sysmon") };
    let sshd = LogSource { category: None, product: Some("linux"), service: Some("sshd") };
    let unknown = LogSource::default();
    let cases = [
        ("product: windows", [true, false, false]),
        ("category: process_creation\n  product: windows", [true, false, false]),
        ("product: windows\n  service: security", [false, false, false]),
        ("product: linux\n  service: auth", [false, true, false]),
        ("category: any", [true, true, true]),
    ];
    for (stated, seen) in cases {
        let yaml = rule_yaml("sel:\n  f: a\ncondition: sel").replace("category: any", stated);
        let rules = load(&yaml).0;
        for (log_source, seen) in [windows, sshd, unknown].into_iter().zip(seen) {
            let event = Event { log_source, ..event(&[("f", text("a"))]) };
            assert_eq!(rules.matches(&event).len(), usize::from(seen), "{stated} for {log_source:?}");
        }
    }
}

#[test]
fn evidence_keeps_its_place_where_folding_changes_lengths() {
    // U+023A takes two bytes and its lower case three.
    let rules = rules_of("f|contains: needle");
    let found = rules.matches(&event(&[("f", text("Ⱥ NEEDLE Ⱥ"))]));
    assert_eq!(found[0].evidence, [(0, Some(3..9))]);
}

#[test]
fn what_is_not_supported_is_refused_with_its_line() {
    let cases = [
        ("sel:\n  f|expand: '%x%'\ncondition: sel", 7, "'x' is not defined"),
        ("sel:\n  f|hour: noon\ncondition: sel", 7, "not a number"),
        ("sel:\n  f|hour|contains: 1\ncondition: sel", 7, "do not go together"),
        ("sel:\n  f|hour|minute: 1\ncondition: sel", 7, "do not go together"),
        ("sel:\n  f|re: '('\ncondition: sel", 7, "regular expression"),
        ("sel:\n  f|cidr: 'x'\ncondition: sel", 7, "not a network"),
        ("sel:\n  f|gt: x\ncondition: sel", 7, "not a number"),
        ("sel:\n  f|re|contains: x\ncondition: sel", 7, "do not go together"),
        ("sel:\n  f|base64: 'a*'\ncondition: sel", 7, "wildcards"),
        ("sel:\n  f: a\ncondition: sel and nothing", 8, "'nothing'"),
        ("sel:\n  f: a\ncondition: 1 of x_*", 8, "selects nothing"),
        ("sel:\n  f: a\ncondition: sel | count() > 3", 8, "Condition"),
        ("sel: []\ncondition: sel", 6, "empty"),
        ("sel:\n  f: a\ntimeframe: 5m\ncondition: sel", 8, "timeframe"),
        ("sel:\n  f|frob: a\ncondition: sel", 7, "frob"),
    ];
    for (detection, line, what) in cases {
        let (rules, errors) = load(&rule_yaml(detection));
        assert!(rules.is_empty() && errors.len() == 1, "{detection}: {errors:?}");
        assert_eq!((errors[0].file.as_str(), errors[0].line), ("r.yml", line), "{}", errors[0]);
        assert!(errors[0].what.contains(what), "{}", errors[0]);
    }
    let (_, errors) = load("title: x\ndetection: [\n");
    assert!(errors.len() == 1 && errors[0].line == 2, "the parser stumbles after the last line: {errors:?}");
}

#[test]
fn a_faulty_rule_costs_only_itself_and_an_id_is_given_once() {
    let good = rule_yaml("sel:\n  f: a\ncondition: sel");
    let files = [("a.yml", good.as_str()), ("b.yml", "title: x"), ("c.yml", good.as_str())];
    let (rules, errors) =
        RuleSet::load(files.iter().map(|(file, yaml)| ((*file).to_owned(), (*yaml).to_owned())));
    assert_eq!((rules.len(), errors.len()), (1, 2), "{errors:?}");
    assert!(errors[1].what.contains("another rule has the id"), "{}", errors[1]);
}

#[test]
fn the_hash_is_of_the_rules_and_not_of_their_order() {
    let file = |name: &str, value: &str| {
        let yaml = rule_yaml(&format!("sel:\n  f: {value}\ncondition: sel"))
            .replace("id: r1", &format!("id: {name}"));
        (name.to_owned(), yaml)
    };
    let hash = |files: Vec<(String, String)>| Arc::clone(RuleSet::load(files.into_iter()).0.hash());
    let one = hash(vec![file("a", "1"), file("b", "2")]);
    assert_eq!(one.len(), 16);
    assert_eq!(one, hash(vec![file("b", "2"), file("a", "1")]));
    assert_ne!(one, hash(vec![file("a", "1"), file("b", "3")]));
}

#[test]
fn a_filter_narrows_the_rules_that_it_names() {
    let rule = |name: &str, product: &str| {
        format!(
            "title: {name}\nname: {name}\nid: id-{name}\nlogsource:\n  product: {product}\n\
             detection:\n  sel:\n    f: x\n  condition: sel\n---\n"
        )
    };
    let filter = |rules: &str, source: &str| {
        format!(
            "title: F\nlogsource:\n  {source}\nfilter:\n  rules: {rules}\n  ours:\n    user: admin\n  condition: not ours\n"
        )
    };
    let linux = LogSource { category: None, product: Some("linux"), service: None };
    for (rules_named, source, left) in [
        ("[a]", "category: process_creation", vec!["b"]),
        ("[id-a, b]", "product: linux", vec![]),
        ("any", "product: windows", vec!["a", "b"]),
    ] {
        let yaml = [rule("a", "linux"), rule("b", "linux"), filter(rules_named, source)].concat();
        let (rules, errors) = load(&yaml);
        assert_eq!(errors, [], "{yaml}");
        let found = |user: &str| {
            let mut event = event(&[("f", text("x")), ("user", text(user))]);
            event.log_source = linux;
            rules.matches(&event).iter().map(|found| found.rule.title.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("eve"), ["a", "b"], "{yaml}");
        assert_eq!(found("admin"), left, "{yaml}");
    }
    let (_, errors) = load(&[rule("a", "linux"), filter("[nobody]", "product: linux")].concat());
    assert_eq!(errors[0].what, "'nobody' is not the id, name or title of any rule");
}

/// So many sets of rules are asked for so many events, each rule for each event.
const SETS: u32 = 400;
const RULES: usize = 16;
const EVENTS: usize = 16;

#[test]
fn the_matcher_agrees_with_its_naive_twin() {
    let config = ProptestConfig { cases: SETS, failure_persistence: None, ..ProptestConfig::default() };
    let rules = prop::collection::vec(generate::any_rule(), RULES);
    let events = prop::collection::vec(generate::any_event(), EVENTS);
    let (asked, held) = (Cell::new(0_usize), Cell::new(0_usize));
    let placeholders: yaml_serde::Value = yaml_serde::from_str(generate::PLACEHOLDERS).unwrap();
    let compare = |(rules, events): (Vec<String>, Vec<generate::OwnedEvent>)| {
        let read: Vec<yaml_serde::Value> =
            rules.iter().map(|rule| yaml_serde::from_str(rule).unwrap()).collect();
        let files = rules.iter().enumerate();
        let files =
            files.map(|(number, rule)| (format!("{number}.yml"), format!("title: T{number}\n{rule}")));
        let definitions = ("placeholders.yml".to_owned(), generate::PLACEHOLDERS.to_owned());
        let (engine, errors) = RuleSet::load(files.chain([definitions]));
        prop_assert!(errors.is_empty(), "{errors:?}");
        for event in &events {
            let event = event.as_event();
            let found: Vec<usize> = engine.matches(&event).iter().map(|found| found.number).collect();
            for (number, rule) in read.iter().enumerate() {
                let holds = twin::holds(rule, &placeholders["placeholders"], &event);
                asked.set(asked.get() + 1);
                held.set(held.get() + usize::from(holds));
                prop_assert_eq!(found.contains(&number), holds, "{}{:?}", &rules[number], &event);
            }
        }
        Ok(())
    };
    if let Err(TestError::Fail(reason, _)) = TestRunner::new(config).run(&(rules, events), compare) {
        panic!("{reason}");
    }
    let share = held.get() * 100 / asked.get();
    assert!(asked.get() >= 100_000 && (10..90).contains(&share), "{} asked, {share} % held", asked.get());
}
