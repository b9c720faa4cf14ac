//! What a condition can't hold without: texts of which one must occur, in folded case, before it is worth a look.

use regex_syntax::hir::{Class, Hir, HirKind, Literal};

use super::{
    condition::{Condition, Test},
    view::{FieldId, fold, fold_char},
};

/// A text that occurs in a value of the field, or in any value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    pub(super) field: Option<FieldId>,
    pub(super) text: String,
}

/// More needles than these cost more in the automaton than a look at the condition.
const NEEDLES_MAX: usize = 256;

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
        Condition::Field(field, test) => test_needles(test, Some(*field)),
        Condition::Anywhere(test) => test_needles(test, None),
        _ => None,
    }
}

fn selectivity(needles: &[Needle]) -> (usize, bool, usize) {
    let shortest = needles.iter().map(|needle| needle.text.len()).min().unwrap_or_default();
    let is_of_a_field = needles.iter().all(|needle| needle.field.is_some());
    // Beyond eight bytes a needle gets no rarer in practice; then fewer of them are better.
    (shortest.min(8), is_of_a_field, NEEDLES_MAX.saturating_sub(needles.len()))
}

fn test_needles(test: &Test, field: Option<FieldId>) -> Option<Vec<Needle>> {
    let texts = match test {
        Test::Folded(glob) => vec![glob.longest_text()?.to_owned()],
        Test::Written(glob) => vec![fold(glob.longest_text()?)],
        Test::Number { number, text } if number.abs() <= EXACT_INTEGER_MAX => vec![text.clone()],
        Test::Regex(regex) => regex_texts(regex.as_str())?,
        _ => return None,
    };
    let is_useful = texts.iter().all(|text| !text.is_empty());
    is_useful.then(|| texts.into_iter().map(|text| Needle { field, text }).collect())
}

/// Returns folded texts of which one must occur in whatever the expression finds.
fn regex_texts(pattern: &str) -> Option<Vec<String>> {
    // Flags that the rule gives besides can only widen letters to both cases, which folding undoes.
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    required(&hir).filter(|texts| texts.iter().all(|text| text.len() >= 3))
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![ascii_text(literal)?]),
        HirKind::Class(class) => Some(vec![only_folded_char(class)?.to_string()]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(required).collect();
            all.map(|lists| lists.concat()).filter(|list| list.len() <= 32)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut run = String::new();
            for part in parts {
                match single_text(part) {
                    Some(text) => run.push_str(&text),
                    None => {
                        best = rarer(best, run_of(&mut run));
                        best = rarer(best, required(part));
                    }
                }
            }
            rarer(best, run_of(&mut run))
        }
        _ => None,
    }
}

/// Returns the text if the expression is one text and nothing else, in whatever case.
fn single_text(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => ascii_text(literal),
        HirKind::Class(class) => only_folded_char(class).map(String::from),
        HirKind::Look(_) => Some(String::new()),
        HirKind::Capture(capture) => single_text(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(single_text).collect(),
        _ => None,
    }
}

fn run_of(run: &mut String) -> Option<Vec<String>> {
    (!run.is_empty()).then(|| vec![std::mem::take(run)])
}

fn rarer(one: Option<Vec<String>>, other: Option<Vec<String>>) -> Option<Vec<String>> {
    let rarity = |texts: &Vec<String>| {
        let shortest = texts.iter().map(String::len).min().unwrap_or_default();
        (shortest.min(8), 32_usize.saturating_sub(texts.len()))
    };
    one.into_iter().chain(other).max_by_key(rarity)
}

/// Returns the letter that all members of a class are folded to: `[Kk]`, and the Kelvin sign.
fn only_folded_char(class: &Class) -> Option<char> {
    const MEMBERS_MAX: usize = 4;
    let Class::Unicode(class) = class else { return None };
    let members = class.iter().flat_map(|range| range.start()..=range.end()).map(fold_char);
    let members: Vec<char> = members.take(MEMBERS_MAX + 1).collect();
    let first = *members.first()?;
    let is_one = members.len() <= MEMBERS_MAX && members.iter().all(|member| *member == first);
    (is_one && first.is_ascii()).then_some(first)
}

/// Returns the folded text of a literal. Beyond ASCII, expressions know more letters for the same one than folding does.
fn ascii_text(literal: &Literal) -> Option<String> {
    let text = std::str::from_utf8(&literal.0).ok()?;
    text.is_ascii().then(|| fold(text))
}
