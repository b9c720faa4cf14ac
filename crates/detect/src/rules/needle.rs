//! What a condition can't hold without: texts of which one must occur, in folded case, before it is worth a look.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind, Literal},
};

use super::{
    condition::{Condition, Share, Test},
    view::{FieldId, fold, fold_char},
};

/// A text that occurs in a value of the field, or in any value. The empty text says that the field is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    pub(super) field: Option<FieldId>,
    pub(super) text: String,
}

/// More needles than these cost more to look for than a look at the condition.
const NEEDLES_MAX: usize = 256;

/// A single character occurs in nearly every message.
const SHORTEST_ANYWHERE: usize = 2;

/// Whole numbers up to here are written the same as a float and as an integer.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Returns needles of which one must occur for the condition to hold; `None` if it may hold without any.
pub(super) fn needles(condition: &Condition) -> Option<Vec<Needle>> {
    match condition {
        Condition::All(parts) => parts.iter().filter_map(needles).max_by_key(|found| selectivity(found)),
        Condition::Any(parts) | Condition::AtLeast(1.., parts) => {
            let all: Option<Vec<_>> = parts.iter().map(needles).collect();
            all.map(|lists| lists.concat()).filter(|list| list.len() <= NEEDLES_MAX)
        }
        Condition::Field(field, test) => match test_texts(test) {
            Some(texts) => Some(texts.into_iter().map(|text| Needle { field: Some(*field), text }).collect()),
            None => Some(vec![Needle::presence(*field)]),
        },
        Condition::Anywhere(test, _) => {
            Some(texts_anywhere(test)?.into_iter().map(|text| Needle { field: None, text }).collect())
        }
        Condition::IsPresent(field)
        | Condition::Differs(field, _)
        | Condition::Members { field, share: Share::Any | Share::All, .. }
        | Condition::SameAs { field, .. } => Some(vec![Needle::presence(*field)]),
        Condition::AtLeast(..)
        | Condition::Not(_)
        | Condition::IsNull(_)
        | Condition::Members { share: Share::AllOrEmpty | Share::None, .. } => None,
    }
}

impl Needle {
    fn presence(field: FieldId) -> Self {
        Self { field: Some(field), text: String::new() }
    }
}

/// Words of every second log line.
const COMMON: [&str; 40] = [
    "\" 400", "\" 403", "\" 404", "/profile", "400", "attempt", "blocked", "client", "config", "connect",
    "copy", "delete", "denied", "detected", "error", "fail", "failed", "failure", "found", "from", "http://",
    "https://", "invalid", "message", "name", "php", "possible", "process", "program", "refused", "removed",
    "request", "security", "server", "service", "session", "stopped", "system", "unknown", "user",
];

/// Returns how seldom a text occurs, by a rough measure: letters tell more than digits and what divides words, and other
/// signs more than letters. Beyond eight letters none gets rarer in practice.
fn rarity(text: &str) -> usize {
    const MOST: usize = 16;
    if COMMON.contains(&text.trim()) {
        return 4;
    }
    let worth = |byte: u8| match byte {
        b' ' | b'/' | b'.' | b':' | b'=' | b'-' | b',' | b'"' | b'0'..=b'9' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    };
    text.bytes().map(worth).sum::<usize>().min(MOST)
}

fn selectivity(needles: &[Needle]) -> (usize, bool, usize) {
    let rarity = needles.iter().map(|needle| rarity(&needle.text)).min().unwrap_or_default();
    let is_of_a_field = needles.iter().all(|needle| needle.field.is_some());
    (rarity, is_of_a_field, NEEDLES_MAX.saturating_sub(needles.len()))
}

/// Returns texts of which one must occur in any value that the test finds something in; `None` if it may find something
/// without any, or if every second value holds them.
pub(super) fn texts_anywhere(test: &Test) -> Option<Vec<String>> {
    test_texts(test).filter(|texts| texts.iter().all(|text| text.len() >= SHORTEST_ANYWHERE))
}

/// The same, `None` also where a common word is among the texts.
pub(super) fn rare_texts_anywhere(test: &Test) -> Option<Vec<String>> {
    const RARE: usize = 5;
    texts_anywhere(test).filter(|texts| texts.iter().all(|text| rarity(text) >= RARE))
}

fn test_texts(test: &Test) -> Option<Vec<String>> {
    let texts = match test {
        Test::Folded(glob) => vec![glob.longest_text()?.to_owned()],
        Test::Written(glob) => vec![fold(glob.longest_text()?)],
        Test::Number { number, text } if number.abs() <= EXACT_INTEGER_MAX => vec![text.clone()],
        Test::Regex(expression) => expression.needles()?.to_vec(),
        _ => return None,
    };
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

/// Returns folded texts of which one must occur in whatever the expression finds.
pub(super) fn texts_of_pattern(pattern: &str) -> Option<Vec<String>> {
    // Flags that the rule gives besides can only widen letters to both cases, which folding undoes.
    let parse = |unicode| ParserBuilder::new().utf8(false).unicode(unicode).build().parse(pattern).ok();
    let hir = if pattern.is_ascii() { parse(false).or_else(|| parse(true))? } else { parse(true)? };
    Texts::of(&hir).held
}

/// What is known of the texts that an expression finds, in folded case.
struct Texts {
    /// Every one of them, if they are few.
    all: Option<Vec<String>>,
    /// With one of these each begins, and with one of those it ends; where nothing is known that is the empty text.
    first: Vec<String>,
    last: Vec<String>,
    /// One of these occurs in each.
    held: Option<Vec<String>>,
}

/// Up to so many texts are put together from the parts of an expression, each so long at most.
const TEXTS_MAX: usize = 64;
const TEXT_MAX_BYTES: usize = 256;

impl Texts {
    /// Looks at each part of the expression once.
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::these(vec![String::new()]),
            HirKind::Literal(literal) => {
                ascii_text(literal).map_or_else(Self::any, |text| Self::these(vec![text]))
            }
            HirKind::Class(class) => few_chars(class).map_or_else(Self::any, Self::these),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let once = Self::of(&repetition.sub);
                match (repetition.min, repetition.max, once.all) {
                    (0, Some(1), Some(mut texts)) => {
                        texts.push(String::new());
                        Self::these(texts)
                    }
                    (0, ..) => Self::any(),
                    _ => Self { all: None, ..once },
                }
            }
            HirKind::Concat(parts) => Self::of_concat(parts),
            HirKind::Alternation(branches) => Self::of_alternation(branches),
        }
    }

    fn any() -> Self {
        Self { all: None, first: vec![String::new()], last: vec![String::new()], held: None }
    }

    fn these(all: Vec<String>) -> Self {
        Self { first: all.clone(), last: all.clone(), held: shortest_forms(all.clone()), all: Some(all) }
    }

    fn of_concat(parts: &[Hir]) -> Self {
        let (mut first, mut held) = (None, None);
        // What surely stands at the end of the parts so far.
        let mut run = vec![String::new()];
        for part in parts {
            let part = Self::of(part);
            if let Some(longer) = part.all.and_then(|texts| joined(&run, &texts)) {
                run = longer;
                continue;
            }
            let longer = joined(&run, &part.first).unwrap_or_else(|| run.clone());
            held = rarer(held, shortest_forms(longer.clone()));
            held = rarer(held, shortest_forms(run));
            held = rarer(held, part.held);
            first.get_or_insert(longer);
            run = part.last;
        }
        match first {
            None => Self::these(run),
            Some(first) => {
                Self { all: None, first, held: rarer(held, shortest_forms(run.clone())), last: run }
            }
        }
    }

    /// The parser takes what alternatives begin with out of them: `(__schema …|__type …)` is `__` before `schema …` or
    /// `type …`.
    fn of_alternation(branches: &[Hir]) -> Self {
        let few = |lists: Vec<Vec<String>>| Some(lists.concat()).filter(|texts| texts.len() <= TEXTS_MAX);
        let (mut all, mut held) = (Some(Vec::new()), Some(Vec::new()));
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for branch in branches {
            let branch = Self::of(branch);
            all = all.zip(branch.all).map(|(lists, texts)| with(lists, texts));
            held = held.zip(branch.held).map(|(lists, texts)| with(lists, texts));
            first.push(branch.first);
            last.push(branch.last);
        }
        if let Some(all) = all.and_then(few) {
            return Self::these(all);
        }
        let any = || vec![String::new()];
        Self {
            all: None,
            first: few(first).unwrap_or_else(any),
            last: few(last).unwrap_or_else(any),
            held: held.map(|lists: Vec<_>| lists.concat()).filter(|texts| texts.len() <= NEEDLES_MAX),
        }
    }
}

fn with<T>(mut list: Vec<T>, one: T) -> Vec<T> {
    list.push(one);
    list
}

fn joined(before: &[String], after: &[String]) -> Option<Vec<String>> {
    let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or_default();
    let are_few = before.len() * after.len() <= TEXTS_MAX;
    let are_short = longest(before) + longest(after) <= TEXT_MAX_BYTES;
    let pairs = before.iter().flat_map(|one| after.iter().map(move |other| format!("{one}{other}")));
    (are_few && are_short).then(|| pairs.collect())
}

/// Leaves out every text that holds another one; `None` if nothing is left to look for.
fn shortest_forms(mut texts: Vec<String>) -> Option<Vec<String>> {
    texts.sort_by_key(String::len);
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        if !kept.iter().any(|shorter| text.contains(shorter.as_str())) {
            kept.push(text);
        }
    }
    kept.iter().all(|text| !text.is_empty()).then_some(kept)
}

fn rarer(one: Option<Vec<String>>, other: Option<Vec<String>>) -> Option<Vec<String>> {
    one.into_iter().chain(other).max_by_key(|texts| {
        let rarity = texts.iter().map(|text| rarity(text)).min().unwrap_or_default();
        (rarity, NEEDLES_MAX.saturating_sub(texts.len()))
    })
}

/// Returns the members of a small class in folded case, each once: `[Kk]`, and the Kelvin sign, are one.
fn few_chars(class: &Class) -> Option<Vec<String>> {
    const MEMBERS_MAX: usize = 10;
    let mut members: Vec<char> = match class {
        Class::Unicode(class) => {
            let members = class.iter().flat_map(|range| range.start()..=range.end());
            members.map(fold_char).take(MEMBERS_MAX + 1).collect()
        }
        Class::Bytes(class) => {
            let members = class.iter().flat_map(|range| range.start()..=range.end());
            members.map(|byte| fold_char(byte.into())).take(MEMBERS_MAX + 1).collect()
        }
    };
    if members.len() > MEMBERS_MAX || !members.iter().all(char::is_ascii) {
        return None;
    }
    members.sort_unstable();
    members.dedup();
    Some(members.into_iter().map(String::from).collect())
}

/// Returns the folded text of a literal. Beyond ASCII, expressions know more letters for the same one than folding does.
fn ascii_text(literal: &Literal) -> Option<String> {
    let text = std::str::from_utf8(&literal.0).ok()?;
    text.is_ascii().then(|| fold(text))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select, string::string_regex};

    use super::*;

    #[test]
    fn a_needle_goes_on_into_what_stands_beside_it() {
        let needles = |pattern| texts_of_pattern(pattern).unwrap();
        // Their common beginning is taken out of the alternatives by the parser.
        assert_eq!(needles("__schema +[{]|__type[^x]*name"), ["__schema", "__type"]);
        assert_eq!(needles("(stop|delete) +sysmon"), [" sysmon"]);
        assert_eq!(needles("x +y+z[a-z]*"), ["yz"]);
    }

    fn pattern() -> impl Strategy<Value = String> {
        let part = select(
            &[
                "ab",
                "abc",
                "a",
                " ",
                "(ab|ac)",
                "(a b|a c)",
                "a+",
                " +",
                "b*",
                "c?",
                "[0-9]{1,3}",
                "[a-z]",
                "(ab +|cd)+",
                "(b[0-9]+|ba*c)",
                "(a(bc){2,3}d)",
                "[ab]",
                "(|a)",
                "(ab*|ac*)+",
            ][..],
        );
        let branch = prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat());
        prop::collection::vec(branch, 1..4).prop_map(|branches| branches.join("|"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn whatever_an_expression_finds_holds_one_of_its_needles(
            (pattern, found) in pattern().prop_flat_map(|pattern| {
                let found = string_regex(&pattern).unwrap();
                (Just(pattern), found)
            })
        ) {
            if let Some(texts) = texts_of_pattern(&pattern) {
                prop_assert!(texts.iter().any(|text| found.contains(text)), "{pattern}: {texts:?} not in {found:?}");
            }
        }
    }
}
