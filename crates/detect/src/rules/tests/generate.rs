//! Rules and events at random, from few letters and few names, so that they meet: all modifiers, all forms of
//! conditions, and the letters with which the comparison of cases goes wrong.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{prelude::*, sample::select};

use crate::event::{Event, LogSource, Origin, Value};

/// Letters whose cases differ in number, in length, or by language.
pub(super) const TRAPS: &str = "kK\u{212a}sSſßẞσςΣäÄiIıİµμΜèÈ";

pub(super) const PLACEHOLDERS: &str =
    "placeholders:\n  admins: [a, 'B*', 'ä']\n  ports: [1, 22, '2?']\n  words: ['x', 'ab']\n";

/// A value that owns its text.
#[derive(Debug, Clone)]
pub(super) enum Owned {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
}

#[derive(Debug, Clone)]
pub(super) struct OwnedEvent {
    log_source: LogSource,
    fields: Vec<(&'static str, Owned)>,
}

impl OwnedEvent {
    pub(super) fn as_event(&self) -> Event<'_> {
        let mut event = Event { log_source: self.log_source, ..Event::default() };
        for (name, value) in &self.fields {
            let value = match value {
                Owned::Text(text) => Value::Text(text.as_str().into()),
                Owned::Number(number) => Value::Number(*number),
                Owned::Bool(value) => Value::Bool(*value),
                Owned::Null => Value::Null,
            };
            event.push(*name, value, Origin::Metadata);
        }
        event
    }
}

pub(super) fn any_event() -> impl Strategy<Value = OwnedEvent> {
    let log_source = select(vec![
        LogSource::default(),
        LogSource { category: None, product: Some("linux"), service: Some("sshd") },
        LogSource { category: Some("process_creation"), product: Some("windows"), service: None },
    ]);
    let field = prop_oneof![
        6 => (select(vec!["f", "g", "h"]), any_text().prop_map(Owned::Text)),
        2 => (select(vec!["f", "n"]), any_number()),
        1 => (Just("i"), any_address().prop_map(Owned::Text)),
        2 => (select(vec!["b", "f"]), any_encoded().prop_map(Owned::Text)),
        2 => (Just("t"), any_time()),
        1 => (select(vec!["f", "g", "n", "t"]), prop_oneof![Just(Owned::Null), any::<bool>().prop_map(Owned::Bool)]),
    ];
    (log_source, prop::collection::vec(field, 0..7))
        .prop_map(|(log_source, fields)| OwnedEvent { log_source, fields })
}

fn any_letter() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => select("abABxX".chars().collect::<Vec<_>>()),
        4 => select(TRAPS.chars().collect::<Vec<_>>()),
        3 => select("12 -/–\n.\\".chars().collect::<Vec<_>>()),
    ]
    .prop_map(String::from)
}

fn joined(
    letters: impl Strategy<Value = String>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    prop::collection::vec(letters, count).prop_map(|letters| letters.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => joined(prop_oneof![8 => any_letter(), 1 => select(vec!["*".to_owned(), "?".to_owned()])], 0..6),
        1 => select(vec!["true", "False", "Infinity", " 22 ", "1e1", "-f", " /f", "x -a", "x —a-b"]).prop_map(str::to_owned),
    ]
}

fn any_number() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (-3_i32..30).prop_map(|number| Owned::Number(number.into())),
        select(vec![1.5, -0.0, 22.0, 1e21, 9_007_199_254_740_993.0]).prop_map(Owned::Number),
        (0_i32..30).prop_map(|number| Owned::Text(number.to_string())),
    ]
}

fn any_address() -> impl Strategy<Value = String> {
    let fixed = ["::1", "2001:DB8::5", "::ffff:10.1.2.3", "10.0.0", "192.0.2.1", " 10.1.1.1 "];
    prop_oneof![
        (8..12, 0..3).prop_map(|(a, b)| format!("{a}.{b}.0.1")),
        select(fixed.to_vec()).prop_map(str::to_owned)
    ]
}

fn any_time() -> impl Strategy<Value = Owned> {
    let form = select(vec!["Z", "", "+02:00", "-05:30"]);
    let date = (
        select(vec![1999, 2020, 2024, 2026, 2027]),
        1..=12,
        select(vec![1, 2, 28, 29, 30, 31]),
        0..24,
        0..60,
    );
    let written =
        (date, form, select(vec!['T', ' '])).prop_map(|((year, month, day, hour, minute), form, between)| {
            let day = if month == 2 { day.min(28) } else { day.min(30) };
            Owned::Text(format!("{year}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:07{form}"))
        });
    prop_oneof![4 => written, 1 => (0_i32..2_000_000_000).prop_map(|at| Owned::Number(at.into())), 1 => any_number()]
}

const CODED: [&str; 4] = ["ab", "IEX ", "http://", "ä"];

fn any_encoded() -> impl Strategy<Value = String> {
    ("[abX]{0,4}", select(CODED.to_vec()), "[abX]{0,3}", 0..4).prop_map(|(before, word, after, form)| {
        let text = format!("{before}{word}{after}");
        let units: Vec<u16> = text.encode_utf16().collect();
        match form {
            0 => text,
            1 => STANDARD.encode(units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>()),
            2 => STANDARD.encode(units.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>()),
            _ => STANDARD.encode(text),
        }
    })
}

/// A rule for events with a number of its own, as YAML.
pub(super) fn any_rule() -> impl Strategy<Value = String> {
    let log_source = select(vec![
        "category: any",
        "category: any",
        "product: linux",
        "product: windows",
        "category: process_creation\n  product: windows",
        "product: linux\n  service: sshd",
    ]);
    let selections = (any_selection(), any_selection(), any_selection(), any_selection());
    (log_source, selections, any_condition(), any_condition(), 0..8).prop_map(
        |(log_source, (one, two, three, hidden), condition, other, number)| {
            let condition =
                if number == 0 { format!("[{condition:?}, {other:?}]") } else { format!("{condition:?}") };
            format!(
                "logsource:\n  {log_source}\ndetection:\n  s1: {one}\n  s2: {two}\n  t1: {three}\n  _h: {hidden}\n  \
                 condition: {condition}\n"
            )
        },
    )
}

fn any_condition() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "s1",
        "s2",
        "t1",
        "_h",
        "1 of s*",
        "any of s*",
        "all of s*",
        "all of them",
        "1 of them",
        "2 of them",
        "3 of them",
        "2 of *1",
        "1 of t1",
        "all of *",
        "0 of s*",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b}) and not {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and not ({a} and {b})")),
            inner.prop_map(|a| format!("not {a}")),
        ]
    })
}

/// A selection in YAML's flow style: a map, a list of maps, or keywords.
fn any_selection() -> impl Strategy<Value = String> {
    let map = || {
        prop::collection::vec(any_item(), 1..4).prop_map(|mut items| {
            // The same key twice is not valid YAML.
            items.sort();
            items.dedup_by_key(|(key, _)| key.clone());
            let items: Vec<_> = items.iter().map(|(key, value)| format!("{key:?}: {value}")).collect();
            format!("{{{}}}", items.join(", "))
        })
    };
    let keywords = || {
        let flags = select(vec!["|all", "|cased", "|re", "|re|i", "|expand", "|windash", "|cased|all"]);
        let words = prop::collection::vec(any_pattern(), 1..4);
        (flags, words).prop_map(|(flags, words)| match flags {
            "|re" | "|re|i" => format!("{{{flags:?}: 'a[bx]|ß'}}"),
            "|expand" => format!("{{{flags:?}: ['%admins%', '%ports%']}}"),
            _ => format!("{{{flags:?}: [{}]}}", words.join(", ")),
        })
    };
    let listed = || {
        prop::collection::vec(
            prop_oneof![4 => any_pattern(), 1 => (1_i32..30).prop_map(|n| n.to_string())],
            1..4,
        )
        .prop_map(|words| format!("[{}]", words.join(", ")))
    };
    prop_oneof![
        8 => map(),
        2 => prop::collection::vec(map(), 1..4).prop_map(|maps| format!("[{}]", maps.join(", "))),
        1 => (map(), any_pattern()).prop_map(|(map, word)| format!("[{map}, {word}]")),
        1 => keywords(),
        1 => listed(),
    ]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text can be written as JSON")
}

/// A text with wildcards and escapes.
fn any_pattern() -> impl Strategy<Value = String> {
    let special = select(vec!["*", "?", r"\*", r"\?", r"\\", r"\a"]);
    joined(prop_oneof![5 => any_letter(), 2 => special.prop_map(str::to_owned)], 1..4)
        .prop_map(|text| quoted(&text))
}

fn any_item() -> impl Strategy<Value = (String, String)> {
    let name = || select(vec!["f", "g", "h"]);
    let list = |values: Vec<String>| format!("[{}]", values.join(", "));
    let likeness = || select(vec!["", "|contains", "|startswith", "|endswith"]);
    let shape = select(vec!["", "", "", "|cased", "|all", "|windash", "|windash|all", "|cased|all", "|neq"]);
    let texts = (name(), likeness(), shape, prop::collection::vec(any_pattern(), 1..4))
        .prop_map(move |(name, likeness, shape, values)| (format!("{name}{likeness}{shape}"), list(values)));
    let encodings = select(vec![
        "|base64|contains",
        "|base64offset|contains",
        "|wide|base64offset|contains",
        "|utf16le|base64|startswith",
        "|utf16be|base64offset|contains",
        "|utf16|base64|contains",
        "|base64",
        "|wide|contains",
        "|base64|cased",
        "|base64offset|contains|all",
        "|utf16be|base64|endswith",
    ]);
    let coded =
        (select(vec!["b", "f"]), encodings, select(CODED.to_vec())).prop_map(|(name, encoding, word)| {
            // UTF-16 of other letters is no text, which the matcher refuses to look for.
            let word = if encoding == "|wide|contains" { "ab" } else { word };
            (format!("{name}{encoding}"), quoted(word))
        });
    let expression = select(vec![
        "^a.*b$",
        "(ab?|b|k){1,3}[abx]",
        "^.?x",
        "[k-s]",
        "ß|ä",
        "a\\b",
        "\\s",
        "[^a]$",
        "σ",
        "(?i)[ä]",
        "a{2,}|1",
        "^[\\w-]+$",
        "i",
        "µ",
        "(a|B)(b|X)?2",
        "",
    ]);
    let flags = select(vec!["", "|i", "|m", "|s", "|i|s", "|m|i"]);
    let expressions = (select(vec!["f", "g", "t", "n"]), flags, expression)
        .prop_map(|(name, flags, expression)| (format!("{name}|re{flags}"), quoted(expression)));
    let numbers = (
        select(vec!["n", "f"]),
        select(vec!["", "|gt", "|gte", "|lt", "|lte", "|neq", "|gt|neq"]),
        prop_oneof![
            (-3..30).prop_map(|number: i32| number.to_string()),
            select(vec!["1.5", "-0.0", "1e21"]).prop_map(str::to_owned)
        ],
    )
        .prop_map(|(name, comparison, number)| (format!("{name}{comparison}"), number));
    let parts_of_numbers = (name(), select(vec!["|contains", "|startswith", "|endswith"]), 0_i32..30)
        .prop_map(|(name, likeness, number)| (format!("{name}{likeness}"), number.to_string()));
    let networks = prop::collection::vec(
        select(vec![
            "10.0.0.0/8",
            "8.0.0.0/6",
            "2001:db8::/32",
            "::/0",
            "0.0.0.0/0",
            "192.0.2.1",
            "::1",
            "11.2.0.0/15",
        ]),
        1..3,
    )
    .prop_map(|networks| {
        let networks: Vec<_> = networks.into_iter().map(quoted).collect();
        ("i|cidr".to_owned(), format!("[{}]", networks.join(", ")))
    });
    let parts = (
        select(vec!["minute", "hour", "day", "week", "month", "year"]),
        select(vec!["", "|gt", "|gte", "|lt", "|lte", "|neq"]),
        prop_oneof![0_i32..60, 1999_i32..2028],
    )
        .prop_map(|(part, comparison, number)| (format!("t|{part}{comparison}"), number.to_string()));
    let placeholders = (
        name(),
        likeness(),
        select(vec!["", "", "|all", "|neq", "|cased"]),
        select(vec![
            "'%admins%'",
            "'%words%%admins%'",
            "['a%words%', '%ports%']",
            "'%ports%?'",
            "'x%nothing'",
        ]),
    )
        .prop_map(|(name, likeness, shape, value)| {
            (format!("{name}|expand{likeness}{shape}"), value.to_owned())
        });
    let other_field =
        (name(), likeness(), select(vec!["", "|cased"]), select(vec!["f", "g", "n", "missing"])).prop_map(
            |(name, likeness, cased, other)| (format!("{name}|fieldref{likeness}{cased}"), other.to_owned()),
        );
    let single = prop_oneof![
        name().prop_map(|name| (name.to_owned(), "null".to_owned())),
        name().prop_map(|name| (name.to_owned(), "['a', null]".to_owned())),
        (name(), any::<bool>()).prop_map(|(name, value)| (format!("{name}|exists"), value.to_string())),
        (name(), any::<bool>()).prop_map(|(name, value)| (name.to_owned(), value.to_string())),
        name().prop_map(|name| (name.to_owned(), "''".to_owned())),
        name().prop_map(|name| (name.to_owned(), "'*'".to_owned())),
    ];
    prop_oneof![
        10 => texts,
        3 => coded,
        3 => expressions,
        3 => numbers,
        1 => parts_of_numbers,
        2 => networks,
        2 => parts,
        2 => placeholders,
        2 => other_field,
        3 => single,
    ]
}
