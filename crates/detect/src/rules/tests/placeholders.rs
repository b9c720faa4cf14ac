//! Placeholders, and the files that define them.

use super::*;

const DEFINED: &str =
    "placeholders:\n  admins: [root, adm*]\n  ports: [22, 8022]\n  dirs: ['C:\\tmp', /tmp]\n  one: x\n";

fn load_with(definitions: &str, detection: &str) -> (RuleSet, Vec<RuleFileError>) {
    let files = [("a/r.yml", rule_yaml(detection)), ("b/placeholders.yml", definitions.to_owned())];
    RuleSet::load(files.into_iter().map(|(file, yaml)| (file.to_owned(), yaml)))
}

fn check(item: &str, hits: &[Value<'_>], misses: &[Value<'_>]) {
    let (rules, errors) = load_with(DEFINED, &format!("sel:\n  {item}\ncondition: sel"));
    assert_eq!(errors, [], "{item}");
    for (values, expected) in [(hits, 1), (misses, 0)] {
        for value in values {
            assert_eq!(rules.matches(&event(&[("f", value.clone())])).len(), expected, "{item}: {value:?}");
        }
    }
}

#[test]
fn a_placeholder_stands_for_each_of_its_values() {
    check("f|expand: '%admins%'", &texts(&["root", "Administrator"]), &texts(&["eve", "%admins%"]));
    check("f|expand: ['%one%', eve]", &texts(&["x", "eve"]), &texts(&["root"]));
    check("f|expand: '%ports%'", &[Value::Number(22.0), text("8022")], &[Value::Number(2.0)]);
    check("f|expand|gte: '%ports%'", &[Value::Number(23.0)], &[Value::Number(21.0)]);
    check("f|expand|contains|all: '%admins%'", &texts(&["root and admin"]), &texts(&["root", "admin"]));
    check("f|re|expand: '^%one%+$'", &texts(&["xxx"]), &texts(&["xy"]));
    check("f|expand|neq: '%admins%'", &texts(&["eve"]), &texts(&["root", "adm"]));
}

#[test]
fn placeholders_within_a_text_take_every_combination() {
    check(
        r"f|expand: '%dirs%\%admins%.exe'",
        &texts(&[r"C:\tmp\root.exe", r"/TMP\administrator.exe"]),
        &texts(&[r"/tmp\eve.exe", "/tmp"]),
    );
    check("f|expand: '100% %one%%one%'", &texts(&["100% xx"]), &texts(&["100% x"]));
    check("f|expand: '50%'", &texts(&["50%"]), &[]);
}

#[test]
fn keywords_can_be_placeholders() {
    let (rules, errors) = load_with(DEFINED, "words:\n  '|expand': '%admins%'\ncondition: words");
    assert_eq!(errors, []);
    assert_eq!(rules.matches(&event(&[("message", text("by ROOT"))])).len(), 1);
    assert_eq!(rules.matches(&event(&[("message", text("by eve"))])).len(), 0);
}

#[test]
fn a_file_of_placeholders_is_part_of_the_rule_set() {
    let detection = "sel:\n  f|expand: '%one%'\ncondition: sel";
    let hash = |definitions: &str| Arc::clone(load_with(definitions, detection).0.hash());
    assert_ne!(hash("placeholders:\n  one: x\n"), hash("placeholders:\n  one: y\n"));
}

#[test]
fn faults_of_placeholders_are_told_with_their_line() {
    let plain = "sel:\n  f: x\ncondition: sel";
    for (definitions, detection, file, line, what) in [
        (
            "placeholders: {}\n",
            "sel:\n  f|expand: 'a%nobody%'\ncondition: sel",
            "a/r.yml",
            7,
            "'nobody' is not defined",
        ),
        ("placeholders:\n  a: []\n", plain, "b/placeholders.yml", 2, "'a' has no values"),
        ("placeholders:\n  a: x\n  b: [{c: d}]\n", plain, "b/placeholders.yml", 3, "takes texts"),
        ("placeholders:\n  a: x\n  'b%': y\n", plain, "b/placeholders.yml", 3, "is no name"),
        ("placeholders:\n  a: x\n  a: y\n", plain, "b/placeholders.yml", 2, "duplicate"),
        ("title: x\n", plain, "b/placeholders.yml", 1, "unknown field"),
    ] {
        let (_, errors) = load_with(definitions, detection);
        assert_eq!(errors.len(), 1, "{definitions}: {errors:?}");
        assert_eq!((errors[0].file.as_str(), errors[0].line), (file, line), "{}", errors[0]);
        assert!(errors[0].what.contains(what), "{}", errors[0]);
    }
    let twice =
        ["a/placeholders.yml", "b/placeholders.yml"].map(|file| (file.to_owned(), DEFINED.to_owned()));
    assert!(RuleSet::load(twice.into_iter()).1[0].what.contains("defined twice"));
}
