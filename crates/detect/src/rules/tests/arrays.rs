//! Questions to the members of arrays, which version 3 of Sigma brings.

use super::*;

fn third(detection: &str) -> (RuleSet, Vec<RuleFileError>) {
    load(&format!("sigma-version: 3\n{}", rule_yaml(detection)))
}

#[test]
fn members_of_an_array_are_asked_one_by_one() {
    let both = "f[any]|contains|all: [a, b]";
    for (item, cases) in [
        ("f[any]: x", [(vec!["x", "y"], true), (vec!["y"], false), (vec![], false)]),
        (both, [(vec!["ab"], true), (vec!["a", "b"], false), (vec![], false)]),
        ("f[all]|startswith: [x, y]", [(vec!["x1", "y1"], true), (vec!["x", "z"], false), (vec![], false)]),
        ("f[all_or_empty]: x", [(vec!["x", "X"], true), (vec!["x", "z"], false), (vec![], true)]),
        ("f[none]: x", [(vec!["y", "z"], true), (vec!["y", "x"], false), (vec![], true)]),
        ("f[none]|gt: 5", [(vec!["1", "5"], true), (vec!["1", "6"], false), (vec![], true)]),
    ] {
        let (rules, errors) = third(&format!("sel:\n  {item}\ncondition: sel"));
        assert_eq!(errors, [], "{item}");
        for (members, holds) in cases {
            let members: Vec<_> = members.into_iter().map(|member| ("f", text(member))).collect();
            assert_eq!(rules.matches(&event(&members)).len(), usize::from(holds), "{item}: {members:?}");
        }
    }
}

#[test]
fn a_field_of_an_arrays_members_can_be_asked_any_and_none() {
    for (quantifier, with, without) in [("any", 1, 0), ("none", 0, 1)] {
        let (rules, errors) = third(&format!("sel:\n  f[{quantifier}].ip: x\ncondition: sel"));
        assert_eq!(errors, []);
        assert_eq!(rules.matches(&event(&[("f.ip", text("y")), ("f.ip", text("x"))])).len(), with);
        assert_eq!(rules.matches(&event(&[("f.ip", text("y"))])).len(), without);
    }
}

#[test]
fn what_needs_to_tell_members_apart_is_refused() {
    for (item, what) in [
        ("f[any]:\n    a: x\n    b: y", "asked for one field only"),
        ("f[any]:\n    s:\n      a: x\n    condition: s", "asked for one field only"),
        ("f[all].a: x", "'any' or 'none'"),
        ("f[any]|neq: x", "take no 'neq'"),
        ("f[any].a|exists: true", "take no 'neq'"),
        ("f[0]: x", "a place in an array"),
        ("f[first]: x", "unknown array selector"),
    ] {
        let (rules, errors) = third(&format!("sel:\n  {item}\ncondition: sel"));
        assert!(rules.is_empty() && errors.len() == 1, "{item}: {errors:?}");
        assert!(errors[0].what.contains(what), "{item}: {}", errors[0]);
        assert!(errors[0].line >= 7, "{item}: {}", errors[0]);
    }
}
