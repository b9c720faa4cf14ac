//! A column of sampled cells: numbers, times or words; and a tally of what all its cells were taken for.

use serde::{Deserialize, Serialize};

use super::{Cell, MISSING, Words, cell::Meaning};

/// How the cells of a column are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    Numbers,
    Times,
    Words,
}

pub(crate) enum Values {
    /// NaN where missing.
    Numbers(Vec<f64>),
    /// Seconds since 1970, NaN where missing.
    Times(Vec<f64>),
    Words(Words),
}

pub(crate) struct Column {
    pub(crate) values: Values,
    /// Of all cells that were ever sampled.
    pub(crate) tally: Tally,
}

/// What the cells of a column were taken for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    numbers: u64,
    times: u64,
    words: u64,
    infinite: u64,
    missing: u64,
}

/// A column of numbers (or times) may hold this share of other things; they count as missing.
const MISFIT_SHARE: f64 = 0.02;

impl Counts {
    pub(crate) fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Missing => self.missing += 1,
            Meaning::Infinite => self.infinite += 1,
            Meaning::Number(_) => self.numbers += 1,
            Meaning::Time(_) => self.times += 1,
            Meaning::Word => self.words += 1,
        }
    }

    pub(crate) fn form(self) -> Form {
        let present = (self.numbers + self.times + self.words) as f64;
        let fits = |count: u64| count as f64 >= present * (1.0 - MISFIT_SHARE);
        if fits(self.numbers) {
            Form::Numbers
        } else if fits(self.times) {
            Form::Times
        } else {
            Form::Words
        }
    }
}

impl Form {
    /// Returns the number or the time that a cell of this form has; NaN where it has none or holds words.
    pub(crate) fn number(self, meaning: Meaning) -> f64 {
        match (self, meaning) {
            (Self::Numbers, Meaning::Number(value)) | (Self::Times, Meaning::Time(value)) => value,
            _ => f64::NAN,
        }
    }
}

impl Column {
    pub(crate) fn new(form: Form) -> Self {
        let values = match form {
            Form::Numbers => Values::Numbers(Vec::new()),
            Form::Times => Values::Times(Vec::new()),
            Form::Words => Values::Words(Words::default()),
        };
        Self { values, tally: Tally::default() }
    }

    /// Adds a cell; of words longer than `word_bytes` only so much is kept.
    pub(crate) fn push(&mut self, cell: Cell<'_>, row: u64, word_bytes: usize) {
        let meaning = cell.meaning();
        self.tally.add(self.form(), meaning, row);
        match &mut self.values {
            Values::Numbers(values) => values.push(Form::Numbers.number(meaning)),
            Values::Times(values) => values.push(Form::Times.number(meaning)),
            Values::Words(words) => {
                words.push(if meaning == Meaning::Missing { Cell::Missing } else { cell }, word_bytes);
            }
        }
    }

    /// Keeps the rows that are marked.
    pub(crate) fn retain(&mut self, kept: &[bool]) {
        match &mut self.values {
            Values::Numbers(values) | Values::Times(values) => {
                let mut marks = kept.iter();
                values.retain(|_| *marks.next().expect("each row is marked"));
            }
            Values::Words(words) => words.retain(kept),
        }
    }

    /// Returns the form that fits the cells seen.
    pub(crate) fn fitting_form(&self) -> Form {
        self.tally.counts.form()
    }

    fn form(&self) -> Form {
        match self.values {
            Values::Numbers(_) => Form::Numbers,
            Values::Times(_) => Form::Times,
            Values::Words(_) => Form::Words,
        }
    }

    /// Bytes that words take.
    pub(crate) fn word_bytes(&self) -> usize {
        if let Values::Words(words) = &self.values { words.bytes() } else { 0 }
    }

    /// Sampled rows without a usable value.
    pub(crate) fn missing(&self) -> usize {
        match &self.values {
            Values::Numbers(values) | Values::Times(values) => values.iter().filter(|x| x.is_nan()).count(),
            Values::Words(words) => words.codes().iter().filter(|code| **code == MISSING).count(),
        }
    }
}

/// What all the cells of a column came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counts: Counts,
    first_misfit: Option<u64>,
    first_infinite: Option<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, form: Form, meaning: Meaning, row: u64) {
        self.counts.add(meaning);
        match (form, meaning) {
            (_, Meaning::Infinite) => {
                self.first_infinite.get_or_insert(row);
            }
            (Form::Words, _) | (_, Meaning::Missing) => {}
            _ if form.number(meaning).is_nan() => {
                self.first_misfit.get_or_insert(row);
            }
            _ => {}
        }
    }

    /// Adds what other, later rows came to.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.counts.numbers += later.counts.numbers;
        self.counts.times += later.counts.times;
        self.counts.words += later.counts.words;
        self.counts.infinite += later.counts.infinite;
        self.counts.missing += later.counts.missing;
        self.first_misfit = self.first_misfit.or(later.first_misfit);
        self.first_infinite = self.first_infinite.or(later.first_infinite);
    }

    /// Cells without a usable value.
    pub(crate) fn missing(&self, form: Form) -> u64 {
        let Counts { numbers, times, words, infinite, missing } = self.counts;
        match form {
            Form::Numbers => missing + infinite + times + words,
            Form::Times => missing + infinite + numbers + words,
            Form::Words => missing,
        }
    }

    /// Says what was read as missing although something stood there.
    pub(crate) fn note(&self, form: Form, name: &str) -> Option<String> {
        let Counts { numbers, times, words, infinite, .. } = self.counts;
        let (what, count, first) = match (form, self.first_misfit, self.first_infinite) {
            (Form::Numbers, Some(first), _) => ("not numbers", words + times, first),
            (Form::Times, Some(first), _) => ("not times", words + numbers, first),
            (Form::Numbers | Form::Times, None, Some(first)) => ("infinite", infinite, first),
            _ => return None,
        };
        Some(format!(
            "{count} cells of column “{name}” are {what} and count as missing; the first is in row {}",
            first + 1
        ))
    }
}
