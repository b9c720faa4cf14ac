//! What correlations owe, one sentence a test, and a naive twin that reads the whole history for every event.

use proptest::prelude::*;

use super::*;
use crate::{event::Origin, rules::RuleFileError};

mod named;

fn load(yaml: &str) -> (RuleSet, Vec<RuleFileError>) {
    RuleSet::load(std::iter::once(("r.yml".to_owned(), yaml.to_owned())))
}

/// Returns rules `a`, `b` and `c`, each for events whose field `r` is its name, and a correlation over some of them.
fn rules(correlation: &str) -> RuleSet {
    let yaml = yaml_of(correlation);
    let (rules, errors) = load(&yaml);
    assert_eq!(errors, [], "{yaml}");
    rules
}

fn yaml_of(correlation: &str) -> String {
    let base: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            format!(
                "title: {name}\nname: {name}\nid: id-{name}\nlogsource:\n  category: any\n\
                 detection:\n  sel:\n    r: {name}\n  condition: sel\n---\n"
            )
        })
        .into();
    let indented: Vec<_> =
        correlation.trim().lines().map(|line| format!("  {}\n", line.trim_start())).collect();
    let indented = indented.concat().replace("  |", "    ");
    format!("{}title: T\nid: t\ncorrelation:\n{indented}level: high\n", base.concat())
}

fn tenant(number: u32) -> TenantId {
    TenantId::from_parts(1, [0; 5], number)
}

fn log_id(number: usize) -> LogId {
    LogId::from_parts(2, [0; 5], u32::try_from(number).unwrap())
}

fn event<'a>(rule: &'a str, group: &'a str, value: &'a str) -> Event<'a> {
    let mut event = Event::default();
    for (name, text) in [("r", rule), ("g", group), ("v", value)] {
        event.push(name, Value::Text(text.into()), Origin::Metadata);
    }
    event
}

/// Sends an event and stores it; returns what it completed.
fn send(
    correlator: &Correlator,
    rules: &RuleSet,
    of: TenantId,
    at_s: i64,
    event: &Event<'_>,
    id: usize,
) -> Vec<Completed> {
    let matched: Vec<usize> = rules.matches(event).iter().map(|found| found.number).collect();
    let at = Timestamp::from_millis(at_s * 1_000);
    let (completed, trace) = correlator.observe(of, at, event, matched.into_iter(), rules);
    correlator.stored(&trace, log_id(id));
    completed
}

const THREE: &str = "
    type: event_count
    rules: [a]
    group-by: [g]
    timespan: 1m
    condition:
    |gte: 3";

#[test]
fn the_event_that_completes_a_count_names_those_before_it() {
    let (rules, correlator) = (rules(THREE), Correlator::new(1_000));
    let x = event("a", "x", "");
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &x, 0), []);
    assert_eq!(send(&correlator, &rules, tenant(1), 30, &x, 1), []);
    let completed = send(&correlator, &rules, tenant(1), 59, &x, 2);
    assert_eq!((completed[0].count, &completed[0].earlier[..]), (3, &[log_id(0), log_id(1)][..]));
    assert_eq!(completed[0].grouped_by, [1]);
    assert_eq!(send(&correlator, &rules, tenant(1), 100, &x, 3), [], "the first two are too old by then");
}

#[test]
fn groups_and_tenants_are_counted_apart_and_case_is_no_difference() {
    let (rules, correlator) = (rules(THREE), Correlator::new(1_000));
    for (of, group) in [(1, "x"), (1, "y"), (2, "x"), (1, "X"), (2, "x")] {
        assert_eq!(send(&correlator, &rules, tenant(of), 0, &event("a", group, ""), 0), []);
    }
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event("a", "x", ""), 0).len(), 1);
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event("a", "-", ""), 0), [], "that is no group");
}

#[test]
fn what_was_not_stored_does_not_count() {
    let (rules, correlator) = (rules(THREE), Correlator::new(1_000));
    let x = event("a", "x", "");
    for _ in 0..5 {
        let at = Timestamp::from_millis(0);
        let (completed, trace) = correlator.observe(tenant(1), at, &x, std::iter::once(0), &rules);
        assert_eq!(completed, []);
        correlator.forget(&trace);
    }
}

#[test]
fn values_are_counted_once_and_taken_back_with_their_last_event() {
    let rules = rules(
        "
        type: value_count
        rules: [a, b]
        group-by: [g]
        timespan: 1m
        condition:
        |gte: 3
        |field: v",
    );
    let correlator = Correlator::new(1_000);
    for (rule, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "3"), ("a", "1")] {
        assert_eq!(send(&correlator, &rules, tenant(1), 0, &event(rule, "x", value), 0), []);
    }
    let (_, trace) = correlator.observe(
        tenant(1),
        Timestamp::from_millis(0),
        &event("a", "x", "2"),
        std::iter::once(0),
        &rules,
    );
    correlator.forget(&trace);
    assert_eq!(send(&correlator, &rules, tenant(1), 1, &event("b", "x", "3"), 0)[0].count, 3);
}

fn measuring(kind: &str, condition: &str) -> RuleSet {
    rules(&format!(
        "type: {kind}\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|field: v\n|{condition}"
    ))
}

#[test]
fn values_are_added_up_averaged_and_ranked() {
    for (kind, condition, values, holding) in [
        (
            "value_sum",
            "gte: 100",
            vec!["60", "-", "thirty", "30", "10.5"],
            vec![false, false, false, false, true],
        ),
        ("value_avg", "gt: 10", vec!["10", "11", "1"], vec![false, true, false]),
        ("value_median", "lt: 5", vec!["9", "1", "2"], vec![false, false, true]),
        (
            "value_percentile",
            "gte: 9\n|percentile: 75",
            vec!["10", "1", "9", "2"],
            vec![true, false, true, true],
        ),
        ("value_sum", "gt: 1\n|lt: 4", vec!["1", "1", "1", "1"], vec![false, true, true, false]),
    ] {
        let (rules, correlator) = (measuring(kind, condition), Correlator::new(1_000));
        for (at, (value, holds)) in (0..).zip(values.iter().zip(&holding)) {
            let completed = send(&correlator, &rules, tenant(1), at, &event("a", "x", value), 0);
            assert_eq!(!completed.is_empty(), *holds, "{kind} {condition}: {value} of {values:?}");
        }
    }
}

#[test]
fn what_is_added_up_keeps_little_and_forgets_what_is_old() {
    let (rules, correlator) = (measuring("value_sum", "gte: 10000"), Correlator::new(1_000));
    let one = event("a", "x", "1");
    // 200 a second: within a minute 12,000, of which windows keep a few sums.
    let mut counts = Vec::new();
    for number in 0..40_000_i64 {
        let at = Timestamp::from_millis(number * 5);
        let (completed, trace) = correlator.observe(tenant(1), at, &one, std::iter::once(0), &rules);
        correlator.stored(&trace, log_id(1));
        counts.extend(completed.first().map(|completed| completed.count));
    }
    // What is added up goes at once when its last event is too old, so a little more than a minute is seen.
    let most = counts.iter().max().copied().unwrap_or_default();
    assert!(counts.len() > 30_000 - 2_000 && (11_999..=12_700).contains(&most), "{} {most}", counts.len());
    for shard in &correlator.shards {
        for window in shard.lock().unwrap().windows.values() {
            assert!(matches!(window, Window::Amounts(amounts) if amounts.len() <= COUNTED));
        }
    }
    let (_, trace) = correlator.observe(
        tenant(1),
        Timestamp::from_millis(200_000),
        &event("a", "x", "1e9"),
        std::iter::once(0),
        &rules,
    );
    correlator.forget(&trace);
    assert_eq!(send(&correlator, &rules, tenant(1), 270, &one, 2), [], "what was taken back is in no sum");
}

#[test]
fn order_matters_only_where_the_rule_says_so() {
    for (kind, backwards) in [("temporal", 1), ("temporal_ordered", 0)] {
        let rules = rules(&format!("type: {kind}\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m"));
        let correlator = Correlator::new(1_000);
        send(&correlator, &rules, tenant(1), 0, &event("b", "x", ""), 0);
        let completed = send(&correlator, &rules, tenant(1), 1, &event("a", "x", ""), 1);
        assert_eq!(completed.len(), backwards, "{kind}");
        let completed = send(&correlator, &rules, tenant(1), 2, &event("b", "x", ""), 2);
        assert_eq!(completed[0].earlier, [log_id(1)], "{kind}");
        assert_eq!(send(&correlator, &rules, tenant(1), 200, &event("b", "x", ""), 3), [], "{kind}");
    }
}

#[test]
fn an_event_that_ends_an_order_may_begin_another() {
    let rules = rules("type: temporal_ordered\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m");
    let correlator = Correlator::new(1_000);
    let mut both = event("a", "x", "");
    both.push("r", Value::Text("b".into()), Origin::Metadata);
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &both, 0), []);
    assert_eq!(send(&correlator, &rules, tenant(1), 1, &both, 1)[0].earlier, [log_id(0)]);
    assert_eq!(send(&correlator, &rules, tenant(1), 2, &event("b", "x", ""), 2)[0].earlier, [log_id(1)]);
}

#[test]
fn retries_that_are_taken_back_do_not_take_the_stored_event_with_them() {
    let rules = rules("type: temporal\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m");
    let correlator = Correlator::new(1_000);
    let in_flight = || {
        let at = Timestamp::from_millis(0);
        correlator.observe(tenant(1), at, &event("a", "x", ""), std::iter::once(0), &rules).1
    };
    let [first, second, third] = [in_flight(), in_flight(), in_flight()];
    correlator.stored(&first, log_id(7));
    correlator.forget(&second);
    correlator.forget(&third);
    assert_eq!(send(&correlator, &rules, tenant(1), 1, &event("b", "x", ""), 1)[0].earlier, [log_id(7)]);
}

#[test]
fn an_alias_names_a_field_for_each_rule() {
    let rules = rules(
        "
        type: temporal
        rules: [a, b]
        group-by: [who]
        timespan: 1m
        aliases:
        |who:
        |  a: g
        |  b: v",
    );
    let correlator = Correlator::new(1_000);
    send(&correlator, &rules, tenant(1), 0, &event("a", "x", "y"), 0);
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event("b", "x", "y"), 1), []);
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event("b", "y", "x"), 2).len(), 1);
}

#[test]
fn memory_is_bounded_and_the_longest_unused_goes_first() {
    let (rules, correlator) = (rules(THREE), Correlator::new(SHARDS * 4));
    for number in 0..100_000 {
        send(&correlator, &rules, tenant(1), 0, &event("a", &number.to_string(), ""), 0);
        // In use all the time, so it stays.
        if number % 100 == 0 {
            send(&correlator, &rules, tenant(1), 0, &event("a", "kept", ""), 0);
        }
    }
    let windows: usize = correlator.shards.iter().map(|shard| shard.lock().unwrap().windows.len()).sum();
    assert!(windows <= SHARDS * 4, "{windows}");
    assert_eq!(send(&correlator, &rules, tenant(1), 0, &event("a", "kept", ""), 0).len(), 1);
}

#[test]
fn what_cannot_be_counted_is_refused_with_its_line() {
    for (correlation, reason) in [
        (
            "type: event_count\nrules: [nobody]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 3",
            "no rule is called 'nobody'",
        ),
        (
            "type: event_count\nrules: [me]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 3",
            "'me' counts this correlation",
        ),
        (
            "type: event_count\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 99999",
            "at most 10000",
        ),
        (
            "type: event_count\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 5\n|lt: 5",
            "no number of events",
        ),
        (
            "type: value_count\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 5",
            "values of one field",
        ),
        (
            "type: value_avg\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 5",
            "'value_avg' takes the values of one field",
        ),
        (
            "type: value_percentile\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: 5\n|field: v",
            "which 'percentile'",
        ),
        (
            "type: value_sum\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: -5\n|field: v",
            "not negative",
        ),
        ("type: value_sum\nrules: [a]\ngroup-by: [g]\ntimespan: 1m\ncondition: a", "compared with a number"),
    ] {
        let indented: Vec<_> = correlation.lines().map(|line| format!("  {line}\n")).collect();
        let indented = indented.concat().replace("  |", "    ");
        let yaml = format!(
            "title: a\nname: a\nlogsource:\n  category: any\ndetection:\n  sel:\n    r: a\n  condition: sel\n---\n\
             title: T\nname: me\nid: t\ncorrelation:\n{indented}level: high\n"
        );
        let (_, errors) = load(&yaml);
        assert_eq!(errors.len(), 1, "{reason}: {errors:?}");
        assert!(errors[0].what.contains(reason) && errors[0].line >= 9, "{reason}: {:?}", errors[0]);
    }
}

#[test]
fn what_was_refused_for_its_name_counts_nothing_under_its_id() {
    let rule = |id: &str, name: &str, sought: &str| {
        format!(
            "title: {id}\nid: {id}\nname: {name}\nlogsource:\n  category: any\n\
             detection:\n  sel:\n    r: {sought}\n  condition: sel\n---\n"
        )
    };
    let correlation = "title: T\nid: t\ncorrelation:\n  type: event_count\n  rules: [two]\n  group-by: [g]\n  \
                       timespan: 1m\n  condition: {gte: 1}\n";
    // The third rule has the place that the second one would have had.
    let rules = [rule("one", "n", "a"), rule("two", "n", "b"), rule("three", "m", "c")].concat();
    let (rules, errors) = load(&format!("{rules}{correlation}"));
    let told: Vec<_> = errors.iter().map(|error| error.what.as_str()).collect();
    assert_eq!(told, ["another rule has the name n", "no rule is called 'two'"]);
    assert_eq!(rules.len(), 2);
}

#[test]
fn a_million_groups_keep_no_event_waiting_long() {
    let (rules, correlator) = (rules(THREE), Correlator::new(1_000_000));
    let mut slowest = std::time::Duration::ZERO;
    for number in 0..1_000_000 {
        let group = number.to_string();
        let event = event("a", &group, "");
        let start = std::time::Instant::now();
        correlator.observe(tenant(1), Timestamp::from_millis(0), &event, std::iter::once(0), &rules);
        slowest = slowest.max(start.elapsed());
    }
    println!("slowest of a million: {slowest:?}");
    // Generous: what is guarded against is a pause that grows with the number of groups.
    assert!(slowest.as_millis() < 500, "{slowest:?}");
}

/// A history: for each event its rule, group, value and the seconds since the one before.
fn any_history() -> impl Strategy<Value = Vec<(usize, usize, usize, i64)>> {
    prop::collection::vec((0..3_usize, 0..2_usize, 0..4_usize, 0..40_i64), 1..60)
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn windows_count_as_a_reading_of_the_whole_history_does(
        history in any_history(),
        wanted in 1..6_usize,
        condition in named::any_condition(),
    ) {
        let counts = |kind: &str, field: &str| {
            rules(&format!("type: {kind}\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m\ncondition:\n|gte: {wanted}{field}"))
        };
        let cases = [
            ("event_count", counts("event_count", "")),
            ("value_count", counts("value_count", "\n|field: v")),
            ("temporal", rules("type: temporal\nrules: [a, b]\ngroup-by: [g]\ntimespan: 1m")),
            ("temporal_ordered", rules("type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [g]\ntimespan: 1m")),
        ];
        let stated = yaml_of(&format!("type: temporal\ngroup-by: [g]\ntimespan: 1m\ncondition: {}", condition.text()));
        let (linked, errors) = load(&stated);
        prop_assert_eq!(errors.is_empty(), !condition.holds(&|_| false), "{}", condition.text());
        let linked = errors.is_empty().then_some(("named", linked));
        for (kind, rules) in cases.into_iter().chain(linked) {
            let correlator = Correlator::new(1_000);
            let mut past: Vec<(i64, usize, usize, usize)> = Vec::new();
            let mut now = 0;
            for (number, (rule, group, value, after)) in history.iter().copied().enumerate() {
                now += after;
                past.push((now, rule, group, value));
                let mut event = event(NAMES[rule], NAMES[group], NAMES[value]);
                if kind == "named" {
                    // Such an event may be of two rules.
                    event.push("r", Value::Text(NAMES[value].into()), Origin::Metadata);
                }
                let completed = send(&correlator, &rules, tenant(1), now, &event, number);
                let recent: Vec<_> =
                    past.iter().filter(|(at, _, of, _)| *at > now - 60 && *of == group).collect();
                let members = if ["temporal_ordered", "named"].contains(&kind) { 3 } else { 2 };
                let expected = rule < members && match kind {
                    "event_count" => recent.iter().filter(|(_, rule, ..)| *rule < 2).count() >= wanted,
                    "value_count" => {
                        let values: BTreeSet<_> =
                            recent.iter().filter(|(_, rule, ..)| *rule < 2).map(|(.., value)| value).collect();
                        values.len() >= wanted
                    }
                    "temporal" => (0..2).all(|wanted| recent.iter().any(|(_, rule, ..)| *rule == wanted)),
                    "named" => {
                        let seen = |wanted| {
                            recent.iter().any(|(_, rule, _, value)| *rule == wanted || *value == wanted)
                        };
                        let mut holding = condition.alternatives(false);
                        holding.retain(|parts| parts.iter().all(|(rule, wanted)| seen(*rule) == *wanted));
                        prop_assert_eq!(!holding.is_empty(), condition.holds(&seen));
                        holding.iter().flatten().any(|(of, wanted)| *wanted && (*of == rule || *of == value))
                    }
                    _ => {
                        let mut next = 0;
                        for (_, rule, ..) in &recent[..recent.len() - 1] {
                            next += usize::from(next < 2 && *rule == next);
                        }
                        rule == 2 && next == 2
                    }
                };
                let told = format!("{kind} at {number} of {history:?}, {}", condition.text());
                prop_assert_eq!(!completed.is_empty(), expected, "{}", told);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn measures_are_those_of_the_whole_history(history in any_history(), limit in 0..12_u32, percentile in 0..=100_u32) {
        for kind in ["value_sum", "value_avg", "value_median", "value_percentile"] {
            let rules = measuring(kind, &format!("gte: {limit}\n|percentile: {percentile}"));
            let correlator = Correlator::new(1_000);
            let mut past: Vec<(i64, usize, usize, usize)> = Vec::new();
            let mut now = 0;
            for (number, (rule, group, value, after)) in history.iter().copied().enumerate() {
                now += after;
                past.push((now, rule, group, value));
                let written = (value * 3).to_string();
                let event = event(NAMES[rule], NAMES[group], &written);
                let completed = send(&correlator, &rules, tenant(1), now, &event, number);
                let mut recent: Vec<f64> = (past.iter())
                    .filter(|(at, rule, of, _)| *at > now - 60 && *of == group && *rule < 2)
                    .map(|(.., value)| f64::from(u32::try_from(*value * 3).unwrap()))
                    .collect();
                recent.sort_by(f64::total_cmp);
                let sum: f64 = recent.iter().sum();
                let count = f64::from(u32::try_from(recent.len()).unwrap());
                // The smallest limit of which no more than the share lies below, drawn as a line through the ranks.
                let rank = |share: f64| {
                    let place = share * (count - 1.0);
                    let on_line = |(at, value): (usize, &f64)| {
                        let distance = (f64::from(u32::try_from(at).unwrap()) - place).abs();
                        value * (1.0 - distance).max(0.0)
                    };
                    recent.iter().enumerate().map(on_line).sum::<f64>()
                };
                let told = match kind {
                    "value_sum" => sum,
                    "value_avg" => sum / count,
                    "value_median" => rank(0.5),
                    _ => rank(f64::from(percentile) / 100.0),
                };
                let is_close = (told - f64::from(limit)).abs() < 1e-9;
                let expected = rule < 2 && told >= f64::from(limit);
                prop_assert!(is_close || completed.is_empty() != expected, "{} at {} of {:?}", kind, number, history);
            }
        }
    }
}

#[test]
fn every_built_in_correlation_has_two_hits_and_two_near_misses() {
    let rules = RuleSet::built_in();
    assert!(rules.correlations().count() > 5);
    for rule in rules.correlations() {
        assert!(rule.examples.hits.len() >= 2 && rule.examples.misses.len() >= 2, "{}", rule.title);
    }
}
