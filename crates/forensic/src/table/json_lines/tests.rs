//! The rows of JSON objects, compared with those of a naive reader that holds every object as a value.

use std::{collections::BTreeMap, io::Write as _, ops::ControlFlow};

use proptest::prelude::*;
use sentinelflow_domain::scan::Unwatched;
use serde_json::{Map, Value};

use super::{super::packed::Packing, *};
use crate::table::{Cell, decode};

/// What is read of each row, by name; cells without a value left away.
type Rows = Vec<BTreeMap<String, Shown>>;

#[derive(Debug, Clone, PartialEq)]
enum Shown {
    Number(f64),
    Text(String),
}

fn read(text: &str) -> (Vec<String>, Rows) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("room for the text");
    let limits = Limits::default();
    let text = TextFile::new(file.path(), Packing::None, &limits, &Unwatched).expect("the file is there");
    let source = JsonLines::open(text, &limits).expect("it is JSON");
    let names = source.names().expect("objects name their members");
    let mut rows = Rows::new();
    source
        .visit(&mut |record| {
            let shown = record.cells.iter().map(|cell| match *cell {
                Cell::Number(number) => Some(Shown::Number(number)),
                Cell::Text(text) => Some(Shown::Text(decode(text).into_owned())),
                _ => None,
            });
            let named = names.iter().cloned().zip(shown);
            rows.push(named.filter_map(|(name, shown)| Some((name, shown?))).collect());
            Ok(ControlFlow::Continue(()))
        })
        .expect("it was read once already");
    (names, rows)
}

fn naive(object: &Map<String, Value>, path: &str, row: &mut BTreeMap<String, Option<Shown>>) {
    for (name, value) in object {
        let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let shown = match value {
            Value::Object(inner) => {
                naive(inner, &name, row);
                continue;
            }
            Value::Null => None,
            Value::Bool(truth) => Some(Shown::Text(truth.to_string())),
            Value::Number(number) => number.as_f64().map(Shown::Number),
            Value::String(text) => Some(Shown::Text(text.clone())),
            Value::Array(values) => {
                let joined = values.iter().map(joined).collect::<Vec<_>>().join(", ");
                (!joined.is_empty()).then_some(Shown::Text(joined))
            }
        };
        row.insert(name, shown);
    }
}

fn joined(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(joined).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let members = object.iter().map(|(name, value)| format!("{name}: {}", joined(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[a-c\"\\\\,é\n ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("a.b"), Just("é\"\n"), Just("long name"), Just("")]
        .prop_map(str::to_owned)
}

fn objects() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    let object =
        prop::collection::vec((name(), value()), 0..5).prop_map(|members| members.into_iter().collect());
    prop::collection::vec(object, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_those_of_a_naive_reader(objects in objects(), layout in 0..4) {
        let expected: Vec<BTreeMap<String, Option<Shown>>> = objects
            .iter()
            .map(|object| {
                let mut row = BTreeMap::new();
                naive(object, "", &mut row);
                row
            })
            .collect();
        let lines: Vec<String> =
            objects.iter().map(|object| serde_json::to_string(object).expect("values can be written")).collect();
        let text = match layout {
            0 => lines.join("\n"),
            1 => format!(" [{}]\n", lines.join(" ,\n")),
            2 => lines.join(""),
            _ => objects.iter().map(|o| serde_json::to_string_pretty(o).expect("values can be written")).collect(),
        };
        let all: std::collections::BTreeSet<&String> = expected.iter().flat_map(BTreeMap::keys).collect();
        prop_assume!(!all.is_empty());
        let (mut names, rows) = read(&text);
        let present: Rows = expected
            .iter()
            .map(|row| row.iter().filter_map(|(name, shown)| Some((name.clone(), shown.clone()?))).collect())
            .collect();
        prop_assert_eq!(rows, present, "{}", text);
        names.sort();
        prop_assert_eq!(names.iter().collect::<Vec<_>>(), all.into_iter().collect::<Vec<_>>());
    }
}
