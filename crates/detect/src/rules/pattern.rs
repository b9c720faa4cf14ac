//! What a temporal correlation wants seen of its rules, and what unseen: `a and (b or c) and not d`. What is known of
//! them is kept in `correlate.rs`.

use std::collections::{HashMap, HashSet};

use rsigma_parser::ConditionExpr;

use super::compile::{Refusal, refuse};

/// So many rules may be named by one correlation.
pub(super) const MOST_MEMBERS: usize = 1_000;

/// Members are told by their positions. Negations are moved down to them, so that it is plain what a pattern rests on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pattern {
    All(Vec<Pattern>),
    Any(Vec<Pattern>),
    Seen(usize),
    Unseen(usize),
}

impl Pattern {
    /// Returns the pattern that wants so many members seen, all of them.
    pub(super) fn every(members: usize) -> Self {
        Self::All((0..members).map(Self::Seen).collect())
    }

    /// Compiles a condition that links all of the rules, and no others, by their names.
    pub(super) fn linking(rules: &[String], condition: &ConditionExpr) -> Result<Self, Refusal> {
        let named = names(condition);
        if named.len() > MOST_MEMBERS {
            return refuse("condition", format!("a condition names at most {MOST_MEMBERS} rules"));
        }
        let positions = rules.iter().enumerate().map(|(position, rule)| (rule.as_str(), position)).collect();
        let pattern = Self::of(condition, false, &positions)?;
        let named: HashSet<&str> = named.into_iter().collect();
        if let Some(rule) = rules.iter().find(|rule| !named.contains(rule.as_str())) {
            return refuse(rule, format!("the condition does not name '{rule}', which 'rules' lists"));
        }
        // Every negation holds then, so nothing that needs a rule seen can.
        if pattern.holds(&|_| Some(false), &mut Vec::new()) {
            return refuse(
                "condition",
                "the condition holds where no rule was seen; no event would complete it",
            );
        }
        Ok(pattern)
    }

    fn of(
        condition: &ConditionExpr,
        is_negated: bool,
        positions: &HashMap<&str, usize>,
    ) -> Result<Self, Refusal> {
        let all = |parts: &[ConditionExpr]| -> Result<Vec<Self>, Refusal> {
            parts.iter().map(|part| Self::of(part, is_negated, positions)).collect()
        };
        match condition {
            ConditionExpr::And(parts) if is_negated => all(parts).map(Self::Any),
            ConditionExpr::And(parts) => all(parts).map(Self::All),
            ConditionExpr::Or(parts) if is_negated => all(parts).map(Self::All),
            ConditionExpr::Or(parts) => all(parts).map(Self::Any),
            ConditionExpr::Not(part) => Self::of(part, !is_negated, positions),
            ConditionExpr::Identifier(name) => match positions.get(name.as_str()) {
                Some(position) if is_negated => Ok(Self::Unseen(*position)),
                Some(position) => Ok(Self::Seen(*position)),
                None => {
                    refuse("condition", format!("the condition names '{name}', which 'rules' does not list"))
                }
            },
            ConditionExpr::Selector { .. } => refuse(
                "condition",
                format!("'{condition}' is not supported: a correlation's condition names each rule"),
            ),
        }
    }

    /// Says whether the pattern holds, and adds the members it rests on. What is told of a member is whether it was
    /// seen, or nothing where that is not known.
    pub(crate) fn holds(&self, told: &dyn Fn(usize) -> Option<bool>, rests_on: &mut Vec<usize>) -> bool {
        let before = rests_on.len();
        let holds = match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(told, rests_on)),
            // Of several that hold each is asked: it may be the last that the event completes.
            Self::Any(parts) => parts.iter().filter(|part| part.holds(told, rests_on)).count() > 0,
            Self::Seen(member) => {
                rests_on.push(*member);
                told(*member) == Some(true)
            }
            Self::Unseen(member) => told(*member) == Some(false),
        };
        if !holds {
            rests_on.truncate(before);
        }
        holds
    }
}

/// Returns the names in a condition, in their order.
pub(super) fn names(condition: &ConditionExpr) -> Vec<&str> {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().flat_map(names).collect(),
        ConditionExpr::Not(part) => names(part),
        ConditionExpr::Identifier(name) => vec![name],
        ConditionExpr::Selector { .. } => Vec::new(),
    }
}
