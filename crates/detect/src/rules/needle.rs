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
    required(&hir)
}

/// Up to so many texts are put together from the parts of an expression.
const TEXTS_MAX: usize = 64;

/// Returns texts of which one must occur in whatever the expression finds.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match all_texts(hir) {
        Some(texts) => shortest_forms(texts),
        None => required_of_many(hir),
    }
}

/// The same for an expression that can find too many texts to count.
fn required_of_many(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => required_of_many(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(required).collect();
            all.map(|lists| lists.concat()).filter(|list| list.len() <= NEEDLES_MAX)
        }
        HirKind::Concat(parts) => {
            let mut best = None;
            let mut run = vec![String::new()];
            for part in parts {
                let texts = all_texts(part);
                if let Some(longer) = texts.as_ref().and_then(|texts| joined(&run, texts)) {
                    run = longer;
                    continue;
                }
                let longer = beginnings(part).and_then(|texts| joined(&run, &texts));
                best = rarer(best, longer.and_then(shortest_forms));
                best = rarer(best, shortest_forms(run));
                best = rarer(best, texts.map_or_else(|| required_of_many(part), shortest_forms));
                run = endings(part).unwrap_or_else(|| vec![String::new()]);
            }
            rarer(best, shortest_forms(run))
        }
        _ => None,
    }
}

/// Returns every text that the expression can find, in folded case, if they are few.
fn all_texts(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![ascii_text(literal)?]),
        HirKind::Class(class) => few_chars(class),
        HirKind::Capture(capture) => all_texts(&capture.sub),
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut texts = all_texts(&repetition.sub)?;
            texts.push(String::new());
            Some(texts)
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![String::new()], |run, part| joined(&run, &all_texts(part)?))
        }
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(all_texts).collect();
            all.map(|lists| lists.concat()).filter(|texts| texts.len() <= TEXTS_MAX)
        }
        HirKind::Repetition(_) => None,
    }
}

/// Returns texts of which one begins whatever the expression finds, in folded case, if they are few. The parser takes
/// what alternatives begin with out of them, so that `(__schema …|__type …)` is `__` before `schema …` or `type …`.
fn beginnings(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => beginnings(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => beginnings(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut run = vec![String::new()];
            for part in parts {
                match all_texts(part).and_then(|texts| joined(&run, &texts)) {
                    Some(longer) => run = longer,
                    None => return beginnings(part).and_then(|texts| joined(&run, &texts)).or(Some(run)),
                }
            }
            Some(run)
        }
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(beginnings).collect();
            all.map(|lists| lists.concat()).filter(|texts| texts.len() <= TEXTS_MAX)
        }
        _ => all_texts(hir),
    }
}

/// Returns texts of which one ends whatever the expression finds, in folded case, if they are few.
fn endings(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => endings(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => endings(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut run = vec![String::new()];
            for part in parts.iter().rev() {
                match all_texts(part).and_then(|texts| joined(&texts, &run)) {
                    Some(longer) => run = longer,
                    None => return endings(part).and_then(|texts| joined(&texts, &run)).or(Some(run)),
                }
            }
            Some(run)
        }
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(endings).collect();
            all.map(|lists| lists.concat()).filter(|texts| texts.len() <= TEXTS_MAX)
        }
        _ => all_texts(hir),
    }
}

fn joined(before: &[String], after: &[String]) -> Option<Vec<String>> {
    let is_few = before.len() * after.len() <= TEXTS_MAX;
    let pairs = before.iter().flat_map(|one| after.iter().map(move |other| format!("{one}{other}")));
    is_few.then(|| pairs.collect())
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
