//! Conditions that link rules by name, and what a naive reading makes of them.

use super::*;
use crate::examples::failing_examples;

/// A condition, for its text and to be read naively.
#[derive(Debug, Clone)]
pub(super) enum Stated {
    Rule(usize),
    Not(Box<Stated>),
    Both(Box<Stated>, Box<Stated>),
    Either(Box<Stated>, Box<Stated>),
}

pub(super) fn any_condition() -> impl Strategy<Value = Stated> {
    (0..3_usize).prop_map(Stated::Rule).prop_recursive(3, 8, 2, |inner| {
        let pair = || (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        prop_oneof![
            inner.clone().prop_map(|part| Stated::Not(Box::new(part))),
            pair().prop_map(|(one, other)| Stated::Both(one, other)),
            pair().prop_map(|(one, other)| Stated::Either(one, other)),
        ]
    })
}

impl Stated {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Rule(rule) => NAMES[*rule].to_owned(),
            Self::Not(part) => format!("not ({})", part.text()),
            Self::Both(one, other) => format!("({}) and ({})", one.text(), other.text()),
            Self::Either(one, other) => format!("({}) or ({})", one.text(), other.text()),
        }
    }

    pub(super) fn holds(&self, seen: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::Rule(rule) => seen(*rule),
            Self::Not(part) => !part.holds(seen),
            Self::Both(one, other) => one.holds(seen) && other.holds(seen),
            Self::Either(one, other) => one.holds(seen) || other.holds(seen),
        }
    }

    /// Writes the condition, or its negation, out as alternatives: lists of rules and whether each is wanted seen.
    pub(super) fn alternatives(&self, negated: bool) -> Vec<Vec<(usize, bool)>> {
        match self {
            Self::Rule(rule) => vec![vec![(*rule, !negated)]],
            Self::Not(part) => part.alternatives(!negated),
            Self::Both(one, other) | Self::Either(one, other) => {
                let (one, other) = (one.alternatives(negated), other.alternatives(negated));
                if matches!(self, Self::Both(..)) == negated {
                    return [one, other].concat();
                }
                let joined =
                    |one: &Vec<_>| other.iter().map(|other| [&one[..], other].concat()).collect::<Vec<_>>();
                one.iter().flat_map(joined).collect()
            }
        }
    }
}

fn named(condition: &str) -> RuleSet {
    rules(&format!("type: temporal\ngroup-by: [g]\ntimespan: 1m\ncondition: {condition}"))
}

/// Returns an event for each rule whose name is a letter of the text.
fn event_of<'a>(names: &'a str, group: &'a str) -> Event<'a> {
    let mut event = event("", group, "");
    for at in 0..names.len() {
        event.push("r", Value::Text(names.get(at..=at).unwrap().into()), Origin::Metadata);
    }
    event
}

#[test]
fn a_condition_holds_as_it_is_written() {
    for (condition, steps) in [
        ("a and (b or c)", vec![(0, "a", false), (1, "c", true), (2, "b", true)]),
        ("a and (b or c)", vec![(0, "c", false), (1, "a", true)]),
        // What slid out of the window counts no more.
        ("a and (b or c)", vec![(0, "a", false), (30, "b", true), (61, "c", false), (62, "a", true)]),
        // A rule that was seen twice is one rule.
        ("a and b", vec![(0, "a", false), (1, "a", false), (2, "b", true)]),
        ("a and b and a", vec![(0, "a", false), (1, "a", false), (2, "b", true)]),
        ("a and not b", vec![(0, "b", false), (1, "a", false), (59, "a", false), (60, "a", true)]),
        ("a and not b", vec![(0, "a", true), (1, "b", false), (2, "a", false)]),
        // One event of both rules: the negated one is seen, whichever is counted first.
        ("a and not b", vec![(0, "ab", false)]),
        ("b and not a", vec![(0, "ab", false)]),
        ("a and not not b", vec![(0, "a", false), (1, "b", true)]),
        ("a and not (b and c)", vec![(0, "b", false), (1, "a", true), (2, "c", false), (3, "a", false)]),
        ("a and not (b or not c)", vec![(0, "a", false), (1, "c", true), (2, "b", false), (3, "a", false)]),
        // The event is of no rule that the alternative that holds wants seen.
        ("a and b or c and not a", vec![(0, "a", false), (1, "b", true), (2, "c", false), (3, "b", true)]),
    ] {
        let (rules, correlator) = (named(condition), Correlator::new(1_000));
        for (at, names, holds) in &steps {
            let completed = send(&correlator, &rules, tenant(1), *at, &event_of(names, "x"), 0);
            assert_eq!(!completed.is_empty(), *holds, "{condition}: {names} at {at} of {steps:?}");
            assert_eq!(send(&correlator, &rules, tenant(1), *at, &event_of("", "x"), 0), []);
        }
    }
}

#[test]
fn only_what_a_condition_rests_on_is_named_the_latest_last() {
    let (rules, correlator) = (named("(b or c) and a or b and c"), Correlator::new(1_000));
    for (number, name) in ["c", "a", "b"].into_iter().enumerate() {
        let completed = send(&correlator, &rules, tenant(1), 0, &event_of(name, "x"), number);
        let earlier: Vec<_> = completed.iter().flat_map(|completed| completed.earlier.clone()).collect();
        assert_eq!(earlier, (0..number).map(log_id).collect::<Vec<_>>());
        assert_eq!(completed.first().map_or(1, |completed| completed.count), number + 1);
    }
    let (rules, correlator) = (named("a and b or c"), Correlator::new(1_000));
    send(&correlator, &rules, tenant(1), 0, &event_of("a", "x"), 0);
    let completed = send(&correlator, &rules, tenant(1), 1, &event_of("c", "x"), 1);
    assert_eq!((completed[0].count, &completed[0].earlier[..]), (1, &[][..]));
}

#[test]
fn what_is_taken_back_was_not_seen_and_what_was_stored_before_it_was() {
    let (rules, correlator) = (named("a and not b"), Correlator::new(1_000));
    let is_told = |at: i64| !send(&correlator, &rules, tenant(1), at, &event_of("a", "x"), 0).is_empty();
    let in_flight = |at: i64| {
        let at = Timestamp::from_millis(at * 1_000);
        correlator.observe(tenant(1), at, &event_of("b", "x"), std::iter::once(1), &rules).1
    };
    let trace = in_flight(0);
    assert!(!is_told(0), "it may yet be stored");
    correlator.forget(&trace);
    assert!(is_told(1));
    correlator.stored(&in_flight(2), log_id(1));
    let retries = [in_flight(3), in_flight(4), in_flight(5)];
    for trace in &retries {
        correlator.forget(trace);
    }
    assert!(!is_told(61));
    assert!(is_told(62));
}

#[test]
fn what_a_window_given_up_had_seen_is_not_called_unseen() {
    let (rules, correlator) = (named("a and not b"), Correlator::new(1));
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event_of("a", "x"), 0).len(), 1);
    send(&correlator, &rules, tenant(1), 0, &event_of("b", "x"), 0);
    for number in 0..5_000 {
        send(&correlator, &rules, tenant(1), 0, &event_of("b", &number.to_string()), 0);
    }
    assert_eq!(send(&correlator, &rules, tenant(1), 59, &event_of("a", "x"), 0), []);
    assert_eq!(send(&correlator, &rules, tenant(1), 60, &event_of("a", "x"), 0).len(), 1);
}

#[test]
fn correlations_link_correlations() {
    let correlation = |name: &str, body: &str| {
        format!("title: {name}\nid: {name}\ncorrelation:\n  group-by: [g]\n  timespan: 1m\n{body}---\n")
    };
    // The first counts the second, which negates the third: the order in the file is no matter.
    let yaml = [
        yaml_of("type: event_count\nrules: [a]\ntimespan: 1m\ncondition:\n|gte: 1"),
        "---\n".to_owned(),
        correlation("twice", "  type: event_count\n  rules: [alone]\n  condition: {gte: 2}\n"),
        correlation("alone", "  type: temporal\n  condition: b and not burst\n"),
        correlation("burst", "  type: event_count\n  rules: [a]\n  condition: {gte: 2}\n"),
    ];
    let (rules, errors) = load(yaml.concat().trim_end_matches("---\n"));
    assert_eq!(errors, []);
    let correlator = Correlator::new(1_000);
    let told = |at: i64, names: &str| -> Vec<String> {
        let completed = send(&correlator, &rules, tenant(1), at, &event_of(names, "x"), 0);
        let id = |completed: &Completed| rules.correlation(completed.correlation).rule.id.to_string();
        let mut told: Vec<_> = completed.iter().map(id).filter(|id| id != "t").collect();
        told.sort();
        told
    };
    assert_eq!(told(0, "b"), ["alone"]);
    assert_eq!(told(1, "b"), ["alone", "twice"]);
    assert_eq!(told(2, "a"), [""; 0]);
    assert_eq!(told(3, "ab"), ["burst"], "this very event completes what is negated");
    assert_eq!(told(4, "b"), [""; 0]);
    assert_eq!(told(64, "b"), ["alone"]);
}

#[test]
fn an_order_is_kept_where_all_rules_are_linked_in_it() {
    let body =
        "type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [g]\ntimespan: 1m\ncondition: a and (b and c)";
    let (rules, correlator) = (rules(body), Correlator::new(1_000));
    for (at, (name, holds)) in
        (0..).zip([("b", false), ("a", false), ("c", false), ("b", false), ("c", true)])
    {
        let completed = send(&correlator, &rules, tenant(1), at, &event_of(name, "x"), 0);
        assert_eq!(!completed.is_empty(), holds, "{name} at {at}");
    }
}

#[test]
fn a_condition_that_cannot_be_kept_is_refused_with_its_line() {
    let many = format!("a{}", " or a".repeat(1_000));
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    for (kind, listed, condition, near, reason) in [
        ("temporal", "[a]", "a and nobody", "condition", "names 'nobody', which 'rules' does not list"),
        ("temporal", "[a]", "a and b", "condition", "names 'b', which 'rules' does not list"),
        ("temporal", "[a, id-b]", "a", "rules", "does not name 'id-b'"),
        ("temporal", "[]", "a and nobody", "condition", "no rule is called 'nobody'"),
        ("temporal", "[a]", "not a", "condition", "holds where no rule was seen"),
        ("temporal", "[a, b]", "not (a and b)", "condition", "holds where no rule was seen"),
        ("temporal", "[a, b]", "a or not b", "condition", "holds where no rule was seen"),
        ("temporal", "[a, b]", "1 of them", "condition", "'1 of them' is not supported"),
        ("temporal", "[]", "a and all of b*", "condition", "'all of b*' is not supported"),
        ("temporal", "[a]", &many, "condition", "at most 1000 rules"),
        ("temporal", "[a]", &deep, "condition", "nests deeper than 50"),
        ("temporal_ordered", "[a, b, c]", "a and (b or c)", "condition", "Sigma does not say"),
        ("temporal_ordered", "[a, b]", "a and not b", "condition", "Sigma does not say"),
        ("temporal_ordered", "[a, b]", "b and a", "condition", "in the order of 'rules'"),
        ("event_count", "[a]", "a", "condition", "compared with a number"),
    ] {
        let yaml = yaml_of(&format!("type: {kind}\nrules: {listed}\ntimespan: 1m\ncondition: {condition}"));
        let (_, errors) = load(&yaml);
        assert_eq!(errors.len(), 1, "{condition}: {errors:?}");
        assert!(errors[0].what.contains(reason), "{condition}: {}", errors[0]);
        let line = yaml.lines().nth(errors[0].line - 1).unwrap();
        assert!(line.trim_start().starts_with(near) && errors[0].line > 27, "{condition}: {}", errors[0]);
    }
}

#[test]
fn examples_test_conditions_that_one_event_completes() {
    let step = |names: &str| format!("{{times: 1, every_s: 1, message: m, metadata: {{r: {names}, g: x}}}}");
    let yaml = yaml_of("type: temporal\ngroup-by: [g]\ntimespan: 1m\ncondition: a and not b");
    let examples = |hit: &str, miss: &str| {
        let (a, b) = (step("a"), step("b"));
        format!("sentinelflow:\n  examples:\n    match:\n      - {hit}\n    ignore:\n      - {miss}\n")
            .replace('A', &a)
            .replace('B', &b)
    };
    for (hit, miss, faults) in [("[A]", "[B, A]", 0), ("[A, B, A]", "[B, B]", 1)] {
        let (rules, errors) = load(&format!("{yaml}{}", examples(hit, miss)));
        assert_eq!(errors, []);
        assert_eq!(failing_examples(rules).len(), faults, "{hit} {miss}");
    }
}
