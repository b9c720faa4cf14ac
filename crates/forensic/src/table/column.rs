//! One column while it is read and after: numbers, times or words.

use super::{Cell, Words, cell::Meaning};

/// How the cells of a column are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(crate) name: String,
    pub(crate) values: Values,
    /// Cells without a usable value.
    pub(crate) missing: usize,
    counts: Counts,
    first_misfit: Option<usize>,
    first_infinite: Option<usize>,
}

/// What the cells of a column were taken for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    numbers: usize,
    times: usize,
    words: usize,
    infinite: usize,
}

/// A column of numbers (or times) may hold this share of other things; they count as missing.
const MISFIT_SHARE: f64 = 0.02;

impl Counts {
    pub(crate) fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Missing => {}
            Meaning::Infinite => self.infinite += 1,
            Meaning::Number(_) => self.numbers += 1,
            Meaning::Time(_) => self.times += 1,
            Meaning::Word => self.words += 1,
        }
    }

    pub(crate) fn form(self) -> Form {
        let present = (self.numbers + self.times + self.words) as f64;
        let fits = |count: usize| count as f64 >= present * (1.0 - MISFIT_SHARE);
        if fits(self.numbers) {
            Form::Numbers
        } else if fits(self.times) {
            Form::Times
        } else {
            Form::Words
        }
    }
}

impl Column {
    pub(crate) fn new(name: String, form: Form) -> Self {
        let values = match form {
            Form::Numbers => Values::Numbers(Vec::new()),
            Form::Times => Values::Times(Vec::new()),
            Form::Words => Values::Words(Words::default()),
        };
        Self { name, values, missing: 0, counts: Counts::default(), first_misfit: None, first_infinite: None }
    }

    pub(crate) fn push(&mut self, cell: Cell<'_>, row: usize) {
        let meaning = cell.meaning();
        self.counts.add(meaning);
        if meaning == Meaning::Infinite {
            self.first_infinite.get_or_insert(row);
        }
        let value = match (&mut self.values, meaning) {
            (Values::Words(words), meaning) => {
                let is_missing = meaning == Meaning::Missing;
                self.missing += usize::from(is_missing);
                return words.push(if is_missing { Cell::Missing } else { cell });
            }
            (Values::Numbers(_), Meaning::Number(value)) | (Values::Times(_), Meaning::Time(value)) => value,
            (_, Meaning::Missing | Meaning::Infinite) => f64::NAN,
            _ => {
                self.first_misfit.get_or_insert(row);
                f64::NAN
            }
        };
        self.missing += usize::from(value.is_nan());
        if let Values::Numbers(values) | Values::Times(values) = &mut self.values {
            values.push(value);
        }
    }

    /// Returns the form that fits the cells seen.
    pub(crate) fn fitting_form(&self) -> Form {
        self.counts.form()
    }

    /// Says what was read as missing although something stood there.
    pub(crate) fn note(&self) -> Option<String> {
        let (what, count, first) = match (&self.values, self.first_misfit, self.first_infinite) {
            (Values::Numbers(_), Some(first), _) => {
                ("not numbers", self.counts.words + self.counts.times, first)
            }
            (Values::Times(_), Some(first), _) => {
                ("not times", self.counts.words + self.counts.numbers, first)
            }
            (Values::Numbers(_) | Values::Times(_), None, Some(first)) => {
                ("infinite", self.counts.infinite, first)
            }
            _ => return None,
        };
        Some(format!(
            "{count} cells of column “{}” are {what} and count as missing; the first is in row {}",
            self.name,
            first + 1
        ))
    }
}
