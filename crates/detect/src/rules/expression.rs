//! A regular expression that is built when it is first needed: of hundreds, a server ever uses a few.
//! Never here: which texts an expression can't find anything without (`needle.rs`).

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use super::needle::texts_of_pattern;

#[derive(Debug, Clone)]
pub(super) struct Expression {
    pattern: String,
    flags: Flags,
    /// Shared by the copies of a condition.
    made: Arc<Made>,
}

/// What is made of an expression once.
#[derive(Debug, Default)]
struct Made {
    regex: OnceLock<Regex>,
    needles: OnceLock<Option<Vec<String>>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_new_line: bool,
}

/// An expression may take this many bytes once built; our own take at most a tenth.
const SIZE_MAX_BYTES: usize = 4 << 20;

impl Expression {
    /// Returns an expression whose pattern is known to be good.
    pub(super) fn trusted(pattern: String, flags: Flags) -> Self {
        Self { pattern, flags, made: Arc::default() }
    }

    /// Returns an expression, or why there is none.
    pub(super) fn checked(pattern: String, flags: Flags) -> Result<Self, String> {
        let expression = Self::trusted(pattern, flags);
        let built = expression.build().map_err(|error| {
            let reason = error.to_string();
            reason.lines().last().unwrap_or_default().to_owned()
        })?;
        let made = Made { regex: OnceLock::from(built), ..Made::default() };
        Ok(Self { made: Arc::new(made), ..expression })
    }

    /// Returns about how many states it takes to follow a text; `None` for a pattern that can't be read.
    pub(super) fn steps(pattern: &str) -> Option<usize> {
        let parse = |unicode| ParserBuilder::new().utf8(false).unicode(unicode).build().parse(pattern).ok();
        let hir = if pattern.is_ascii() { parse(false).or_else(|| parse(true)) } else { parse(true) };
        hir.as_ref().map(steps)
    }

    /// Returns texts of which one must occur, in folded case, in whatever it finds; `None` if it may find something
    /// without any. Reading them takes longer than anything else in loading a rule.
    pub(super) fn needles(&self) -> Option<&[String]> {
        self.made.needles.get_or_init(|| texts_of_pattern(&self.pattern)).as_deref()
    }

    /// Returns the first place that fits, widened to whole characters.
    pub(super) fn find(&self, text: &str) -> Option<Range<usize>> {
        let regex = self.made.regex.get_or_init(|| self.build().expect("a trusted pattern can be built"));
        let range = regex.find(text.as_bytes())?.range();
        Some(text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end))
    }

    /// A pattern in plain ASCII works on bytes, where "." is one of 256 and not of a million: 20 times cheaper to build.
    fn build(&self) -> Result<Regex, regex::Error> {
        let build = |unicode| {
            RegexBuilder::new(&self.pattern)
                .unicode(unicode)
                .case_insensitive(self.flags.ignore_case)
                .multi_line(self.flags.multi_line)
                .dot_matches_new_line(self.flags.dot_matches_new_line)
                .size_limit(SIZE_MAX_BYTES)
                .build()
        };
        if self.pattern.is_ascii() { build(false).or_else(|_| build(true)) } else { build(true) }
    }
}

fn steps(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len(),
        HirKind::Capture(capture) => steps(&capture.sub),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            steps(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(steps).fold(0, usize::saturating_add)
        }
    }
}
