//! A rule's condition, compiled: a tree over tests of single values, and what it found.

use std::{net::IpAddr, ops::Range};

use ipnet::IpNet;

use super::{
    expression::Expression,
    glob::Glob,
    probe::{Found, Places, Probe, Probes},
    time_part::TimePart,
    view::{FieldId, View},
};
use crate::event::Value;

#[derive(Debug, Clone)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    AtLeast(u64, Vec<Condition>),
    Not(Box<Condition>),
    /// Holds if any value of the field fits.
    Field(FieldId, Test),
    /// Holds if any value of the event fits. Pieces of the message are not asked again, and where there is a probe only
    /// the values in which it found something are.
    Anywhere(Test, Option<Probe>),
    IsPresent(FieldId),
    /// Holds if the field is absent or has a null.
    IsNull(FieldId),
    /// Holds if any value of the field has none of what the tests ask for.
    Differs(FieldId, Vec<Test>),
    /// Asks the field's values one by one. A value fits if of each of the lists one test finds it.
    Members {
        field: FieldId,
        share: Share,
        tests: Vec<Vec<Test>>,
    },
    /// Holds if any value of the one field relates so to any value of the other.
    SameAs {
        field: FieldId,
        other: FieldId,
        how: Likeness,
        cased: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    /// Compared with the folded text.
    Folded(Glob),
    /// Compared with the text as it was written.
    Written(Glob),
    Regex(Expression),
    Number {
        number: f64,
        text: String,
    },
    Compare(Comparison, f64),
    TimePart(TimePart, Comparison, f64),
    Network(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How many of a field's values must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Any,
    All,
    AllOrEmpty,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Likeness {
    #[default]
    Equal,
    Contains,
    StartsWith,
    EndsWith,
}

/// The index of a field in its event, and the range of its text that was meant, if it was a text.
pub(super) type Evidence = (usize, Option<Range<usize>>);

/// A condition is taken apart into at most so many alternatives.
const ALTERNATIVES_MAX: usize = 64;

impl Condition {
    /// Takes the condition apart into some of which one must hold: `a or b`, and `(a or b) and c` as `a and c`, `b and c`.
    pub(super) fn alternatives(self) -> Vec<Self> {
        match self {
            Self::Any(parts) => {
                let count = parts.len();
                let alternatives: Vec<Self> = parts.into_iter().flat_map(Self::alternatives).collect();
                let is_many = alternatives.len() > ALTERNATIVES_MAX.max(count);
                if is_many { vec![Self::Any(alternatives)] } else { alternatives }
            }
            Self::All(parts) => match parts.iter().position(|part| matches!(part, Self::Any(_))) {
                Some(at) => {
                    let alternatives = parts[at].clone().alternatives();
                    if alternatives.len() > ALTERNATIVES_MAX {
                        return vec![Self::All(parts)];
                    }
                    let with = |one: Self| {
                        let mut parts = parts.clone();
                        parts[at] = one;
                        Self::All(parts)
                    };
                    alternatives.into_iter().map(with).collect()
                }
                None => vec![Self::All(parts)],
            },
            other => vec![other],
        }
    }

    pub(super) fn anywhere(test: Test) -> Self {
        Self::Anywhere(test, None)
    }

    /// Lets every part that looks anywhere be told where to.
    pub(super) fn probe(&mut self, probes: &mut Probes) {
        match self {
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                for part in parts {
                    part.probe(probes);
                }
            }
            Self::Not(part) => part.probe(probes),
            Self::Anywhere(test, probe) => *probe = probes.of(test),
            _ => {}
        }
    }

    /// Says quickly that the condition can't hold, if it can tell.
    fn may_hold(&self, found: &Found) -> bool {
        match self {
            Self::Anywhere(_, Some(probe)) => found.has(*probe),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(found)),
            _ => true,
        }
    }

    /// Says whether the condition holds, and adds what made it hold to the evidence.
    pub(super) fn holds(&self, view: &View<'_>, found: &Found, evidence: &mut Vec<Evidence>) -> bool {
        let before = evidence.len();
        let holds = match self {
            Self::All(conditions) => {
                conditions.iter().all(|condition| condition.may_hold(found))
                    && conditions.iter().all(|condition| condition.holds(view, found, evidence))
            }
            Self::Any(conditions) => {
                conditions.iter().any(|condition| condition.holds(view, found, evidence))
            }
            Self::AtLeast(count, conditions) => {
                let holding = conditions.iter().filter(|condition| condition.holds(view, found, evidence));
                holding.count() as u64 >= *count
            }
            Self::Not(condition) => return !condition.holds(view, found, &mut Vec::new()),
            Self::Field(field, test) => {
                let found = view.values_of(*field).find_map(|index| test.find(view, index));
                found.map(|found| evidence.push(found)).is_some()
            }
            Self::Anywhere(test, probe) => {
                let places = probe.map_or(Places::ALL, |probe| found.places(probe));
                let mut values = view.whole_values().filter(|index| places.contain(*index));
                let found = values.find_map(|index| test.find(view, index));
                found.map(|found| evidence.push(found)).is_some()
            }
            Self::IsPresent(field) => view.values_of(*field).next().is_some(),
            Self::IsNull(field) => {
                let mut values = view.values_of(*field).peekable();
                values.peek().is_none() || values.any(|index| *view.value(index) == Value::Null)
            }
            Self::Differs(field, tests) => {
                let differs = |index: &usize| tests.iter().all(|test| test.find(view, *index).is_none());
                let found = view.values_of(*field).find(differs);
                found.map(|index| evidence.push((index, None))).is_some()
            }
            Self::Members { field, share, tests } => {
                let fits = |index: &usize| {
                    tests.iter().all(|tests| tests.iter().any(|test| test.find(view, *index).is_some()))
                };
                let mut values = view.values_of(*field).peekable();
                let first = values.peek().copied();
                let (found, holds) = match share {
                    Share::Any => (values.find(fits), true),
                    Share::All => (first, values.all(|index| fits(&index))),
                    Share::AllOrEmpty => return values.all(|index| fits(&index)),
                    Share::None => return !values.any(|index| fits(&index)),
                };
                found.filter(|_| holds).map(|index| evidence.push((index, None))).is_some()
            }
            Self::SameAs { field, other, how, cased } => {
                let text = |index| if *cased { view.written(index) } else { view.folded(index) };
                let is_null = |index: &usize| *view.value(*index) == Value::Null;
                let is_like = |index: &usize| {
                    let mut others = view.values_of(*other).filter(|other| !is_null(other));
                    others.any(|other| how.holds(text(*index), text(other)))
                };
                let mut values = view.values_of(*field).filter(|index| !is_null(index));
                let found = values.find(is_like);
                found.map(|index| evidence.push((index, None))).is_some()
            }
        };
        if !holds {
            evidence.truncate(before);
        }
        holds
    }
}

impl Test {
    /// Returns the value as evidence if it fits.
    fn find(&self, view: &View<'_>, index: usize) -> Option<Evidence> {
        let value = view.value(index);
        if *value == Value::Null {
            return None;
        }
        let is_text = matches!(value, Value::Text(_));
        let range = match self {
            Self::Folded(glob) => {
                let range = glob.find(view.folded(index))?;
                if is_text { view.written_range(index, range) } else { range }
            }
            Self::Written(glob) => glob.find(view.written(index))?,
            Self::Regex(expression) => expression.find(view.written(index))?,
            Self::Number { number, text } => {
                let fits = match value {
                    #[expect(clippy::float_cmp, reason = "equal is what the rule asks for")]
                    Value::Number(value) => value == number,
                    _ => view.folded(index) == text,
                };
                fits.then(|| 0..view.written(index).len())?
            }
            Self::Compare(comparison, bound) => {
                let number = match value {
                    Value::Number(number) => *number,
                    _ => view.written(index).trim().parse().ok()?,
                };
                // A user called "Infinity" is no number.
                let holds = number.is_finite() && comparison.holds(number, *bound);
                holds.then(|| 0..view.written(index).len())?
            }
            Self::TimePart(part, comparison, bound) => {
                comparison.holds(part.of(value)?, *bound).then(|| 0..view.written(index).len())?
            }
            Self::Network(network) => {
                let address: IpAddr = view.written(index).trim().parse().ok()?;
                let is_inside = network.contains(&address) || network.contains(&address.to_canonical());
                is_inside.then(|| 0..view.written(index).len())?
            }
        };
        Some((index, is_text.then_some(range)))
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "equal is what the rule asks for")]
    pub(crate) fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Equal => number == bound,
            Self::Unequal => number != bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

impl Likeness {
    fn holds(self, text: &str, other: &str) -> bool {
        match self {
            Self::Equal => text == other,
            Self::Contains => text.contains(other),
            Self::StartsWith => text.starts_with(other),
            Self::EndsWith => text.ends_with(other),
        }
    }
}
