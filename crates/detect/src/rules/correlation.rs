//! Sigma's correlation rules: which matches they count, by what they group them, and when they hold. What can't be
//! counted faithfully is refused. The counting itself is in `correlate.rs`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rsigma_parser::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, FieldAlias, WindowMode,
};

use super::{
    Rule,
    compile::{Refusal, refuse},
    condition::Comparison,
    pattern::{MOST_MEMBERS, Pattern, names},
};

/// A correlation rule, ready to be counted.
#[derive(Debug, Clone)]
pub(crate) struct Correlation {
    pub(crate) rule: Rule,
    pub(crate) kind: Kind,
    pub(crate) members: Vec<Member>,
    pub(crate) timespan_ms: i64,
    /// Whether what it counts is told by itself too.
    pub(crate) lets_members_speak: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// So many events.
    EventCount(Bounds),
    /// Events with so many different values.
    ValueCount(Bounds),
    /// Numbers of which a measure is within limits.
    Values(Measure, Vec<(Comparison, f64)>),
    /// The members that the pattern wants, in any order.
    Temporal(Pattern),
    /// Every member, in the order in which they are listed.
    TemporalOrdered,
}

/// What is told of many numbers by one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measure {
    Sum,
    Average,
    /// So many hundredths of the numbers are no larger. Between two numbers it lies on the line that joins them.
    Percentile(f64),
}

/// How many are wanted, both ends included. `most` is `None` where more never hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: usize,
    pub(crate) most: Option<usize>,
}

/// What a correlation looks at: the matches of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) over: Over,
    /// The fields that hold what the events of a group have in common.
    pub(crate) group_by: Vec<String>,
    /// The field whose values are counted; empty where none are.
    pub(crate) field: String,
}

/// Where matches come from: an index into the rules or into the correlations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Over {
    Rule(usize),
    Correlation(usize),
}

/// A group keeps what it counts, so a number beyond this would let few groups fill the memory.
const MOST_COUNTED: u64 = 10_000;

/// What a name or an id of a rule stands for.
pub(super) type References = HashMap<Arc<str>, Over>;

/// Lists the rules that a condition names where the correlation lists none itself.
pub(super) fn list_rules(stated: &mut CorrelationRule) {
    if let CorrelationCondition::Extended(condition) = &stated.condition
        && stated.rules.is_empty()
    {
        let mut listed = HashSet::new();
        let named = names(condition).into_iter().filter(|name| listed.insert(*name));
        stated.rules = named.map(str::to_owned).collect();
    }
}

/// Compiles one correlation whose members are known already; `rule` is what is told when it holds.
pub(super) fn compile(
    stated: &CorrelationRule,
    rule: Rule,
    references: &References,
) -> Result<Correlation, Refusal> {
    if stated.window != WindowMode::Sliding {
        return refuse("window", "only sliding windows are supported");
    }
    let kind = kind(stated)?;
    if stated.rules.is_empty() || stated.rules.len() > MOST_MEMBERS {
        return refuse("rules", format!("a correlation names 1 to {MOST_MEMBERS} rules"));
    }
    let members = stated.rules.iter().map(|name| {
        let Some(over) = references.get(name.as_str()) else {
            return refuse(name, format!("no rule is called '{name}'"));
        };
        let field_of = |field: &String| field_of(&stated.aliases, field, name);
        let field = counted_field(stated).map(|field| field_of(&field)).unwrap_or_default();
        Ok(Member { over: *over, group_by: stated.group_by.iter().map(field_of).collect(), field })
    });
    let timespan_ms = i64::try_from(stated.timespan.seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    if timespan_ms <= 0 {
        return refuse("timespan", "a timespan is longer than nothing");
    }
    let members = members.collect::<Result<_, _>>()?;
    Ok(Correlation { rule, kind, members, timespan_ms, lets_members_speak: stated.generate })
}

/// Returns the field that stands for an alias in the events of one rule.
fn field_of(aliases: &[FieldAlias], field: &str, rule: &str) -> String {
    let alias = aliases.iter().find(|alias| alias.alias == field);
    alias.and_then(|alias| alias.mapping.get(rule)).map_or_else(|| field.to_owned(), Clone::clone)
}

fn counted_field(stated: &CorrelationRule) -> Option<String> {
    match &stated.condition {
        CorrelationCondition::Threshold { field: Some(fields), .. } => fields.first().cloned(),
        _ => None,
    }
}

fn kind(stated: &CorrelationRule) -> Result<Kind, Refusal> {
    match (stated.correlation_type, &stated.condition) {
        (CorrelationType::EventCount, CorrelationCondition::Threshold { predicates, .. }) => {
            Ok(Kind::EventCount(bounds(predicates)?))
        }
        (CorrelationType::ValueCount, CorrelationCondition::Threshold { predicates, field, .. }) => {
            match field.as_deref() {
                Some([_]) => Ok(Kind::ValueCount(bounds(predicates)?)),
                _ => refuse("condition", "'value_count' counts the values of one field"),
            }
        }
        (
            CorrelationType::ValueSum
            | CorrelationType::ValueAvg
            | CorrelationType::ValueMedian
            | CorrelationType::ValuePercentile,
            CorrelationCondition::Threshold { predicates, field, percentile },
        ) => match field.as_deref() {
            Some([_]) => Ok(Kind::Values(measure(stated, *percentile)?, limits(predicates)?)),
            _ => refuse(
                "condition",
                format!("'{}' takes the values of one field", stated.correlation_type.as_str()),
            ),
        },
        (CorrelationType::Temporal, CorrelationCondition::Extended(condition)) => {
            Ok(Kind::Temporal(Pattern::linking(&stated.rules, condition)?))
        }
        (CorrelationType::TemporalOrdered, CorrelationCondition::Extended(condition)) => {
            if Pattern::linking(&stated.rules, condition)? != Pattern::every(stated.rules.len()) {
                return refuse(
                    "condition",
                    "'temporal_ordered' links its rules with 'and', in the order of 'rules': Sigma does not say when \
                     in an order alternatives come, or what must be absent",
                );
            }
            Ok(Kind::TemporalOrdered)
        }
        (CorrelationType::Temporal, CorrelationCondition::Threshold { predicates, .. }) => {
            every_member(stated, predicates)?;
            Ok(Kind::Temporal(Pattern::every(stated.rules.len())))
        }
        (CorrelationType::TemporalOrdered, CorrelationCondition::Threshold { predicates, .. }) => {
            every_member(stated, predicates)?;
            Ok(Kind::TemporalOrdered)
        }
        (_, CorrelationCondition::Extended(_)) => {
            refuse("condition", "a count or a value is compared with a number")
        }
    }
}

fn measure(stated: &CorrelationRule, percentile: Option<u64>) -> Result<Measure, Refusal> {
    match (stated.correlation_type, percentile) {
        (CorrelationType::ValueSum, _) => Ok(Measure::Sum),
        (CorrelationType::ValueAvg, _) => Ok(Measure::Average),
        (CorrelationType::ValueMedian, _) => Ok(Measure::Percentile(50.0)),
        (_, Some(percentile)) if percentile <= 100 => {
            Ok(Measure::Percentile(u8::try_from(percentile).map_or(100.0, f64::from)))
        }
        _ => refuse("condition", "'value_percentile' says which 'percentile', from 0 to 100"),
    }
}

fn limits(predicates: &[(ConditionOperator, u64)]) -> Result<Vec<(Comparison, f64)>, Refusal> {
    let limit = |(operator, number): &(ConditionOperator, u64)| {
        // The parser wraps numbers below zero around.
        let Ok(number) = i64::try_from(*number) else {
            return refuse("condition", "a value is compared with a number that is not negative");
        };
        let comparison = match operator {
            ConditionOperator::Lt => Comparison::Less,
            ConditionOperator::Lte => Comparison::LessOrEqual,
            ConditionOperator::Gt => Comparison::Greater,
            ConditionOperator::Gte => Comparison::GreaterOrEqual,
            ConditionOperator::Eq => Comparison::Equal,
            ConditionOperator::Neq => Comparison::Unequal,
        };
        #[expect(clippy::cast_precision_loss, reason = "an event's numbers are as coarse")]
        let number = number as f64;
        Ok((comparison, number))
    };
    predicates.iter().map(limit).collect()
}

impl Measure {
    /// Says what the numbers come to, each given with how many it was added up from; there is one at least.
    pub(crate) fn of(self, numbers: &[(f64, usize)]) -> f64 {
        let sum = || numbers.iter().map(|(number, _)| number).sum::<f64>();
        match self {
            Self::Sum => sum(),
            Self::Average => sum() / as_float(numbers.iter().map(|(_, count)| count).sum()),
            Self::Percentile(percentile) => {
                let mut sorted: Vec<f64> = numbers.iter().map(|(number, _)| *number).collect();
                sorted.sort_by(f64::total_cmp);
                let place = percentile / 100.0 * as_float(sorted.len() - 1);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a place in the list"
                )]
                let below = place.floor() as usize;
                let above = (below + 1).min(sorted.len() - 1);
                sorted[below] + (sorted[above] - sorted[below]) * place.fract()
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "windows hold few")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// A temporal correlation wants all of its rules; another number of them is another rule.
fn every_member(stated: &CorrelationRule, predicates: &[(ConditionOperator, u64)]) -> Result<(), Refusal> {
    let all = stated.rules.len() as u64;
    let wants_all = predicates.iter().all(|(operator, number)| match operator {
        ConditionOperator::Gte | ConditionOperator::Eq => *number == all,
        ConditionOperator::Gt => number.saturating_add(1) == all,
        _ => false,
    });
    let wants_at_least_one = *predicates == [(ConditionOperator::Gte, 1)];
    if wants_all || wants_at_least_one || predicates.is_empty() {
        Ok(())
    } else {
        refuse(
            "condition",
            "a temporal correlation holds when all of its rules do; no other number is supported",
        )
    }
}

fn bounds(predicates: &[(ConditionOperator, u64)]) -> Result<Bounds, Refusal> {
    let mut least = 1_u64;
    let mut most = None;
    let lower = |most: Option<u64>, bound: u64| Some(most.map_or(bound, |most| most.min(bound)));
    for (operator, number) in predicates {
        match operator {
            ConditionOperator::Gte => least = least.max(*number),
            ConditionOperator::Gt => least = least.max(number.saturating_add(1)),
            ConditionOperator::Lte => most = lower(most, *number),
            ConditionOperator::Lt => most = lower(most, number.saturating_sub(1)),
            ConditionOperator::Eq => {
                least = least.max(*number);
                most = lower(most, *number);
            }
            ConditionOperator::Neq => return refuse("condition", "'neq' is no bound of a count"),
        }
    }
    if least.max(most.unwrap_or(0)) > MOST_COUNTED {
        return refuse("condition", format!("at most {MOST_COUNTED} events or values are counted"));
    }
    if most.is_some_and(|most| most < least) {
        return refuse("condition", "no number of events can fit this condition");
    }
    let number = |number: u64| usize::try_from(number).expect("the bound above is small");
    Ok(Bounds { least: number(least), most: most.map(number) })
}

impl Bounds {
    pub(crate) fn hold(self, count: usize) -> bool {
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }

    /// So many are kept: enough to tell whether the bounds hold.
    pub(crate) fn kept(self) -> usize {
        self.most.map_or(self.least, |most| most + 1)
    }
}
