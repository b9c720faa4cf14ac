//! The first records of a source: whether they begin with a header, and what the columns seem to hold.

use std::{collections::HashSet, ops::ControlFlow};

use super::{
    Cell, Form, Source,
    cell::{Meaning, decode},
    column::Counts,
    shown::{as_rfc3339, shown},
};
use crate::{Limits, ScanError};

/// Records looked at before the columns' forms are guessed.
const LOOKED_AT_RECORDS: usize = 1_000;
const LOOKED_AT_BYTES: usize = 32 << 20;

/// The first records of a source, copied.
pub(crate) struct Head {
    records: Vec<Vec<(Meaning, String)>>,
    given_names: Option<Vec<String>>,
}

impl Head {
    pub(super) fn take(source: &dyn Source, limits: &Limits) -> Result<Self, ScanError> {
        let mut records = Vec::new();
        let (mut cells, mut bytes) = (0, 0);
        source.visit(&mut |record| {
            if record.cells.len() > limits.columns {
                let what = format!("record {} has {} columns", records.len() + 1, record.cells.len());
                return Err(ScanError::too_large(what, limits.columns as u64));
            }
            cells += record.cells.len();
            let looked_at: Vec<_> = record.cells.iter().map(|cell| (cell.meaning(), copied(*cell))).collect();
            bytes += looked_at.iter().map(|(_, text)| text.len()).sum::<usize>();
            records.push(looked_at);
            let is_enough = records.len() > LOOKED_AT_RECORDS
                || cells > LOOKED_AT_RECORDS * 1_000
                || (records.len() > 1 && bytes > LOOKED_AT_BYTES);
            Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if records.is_empty() {
            return Err(ScanError::not_a_table("it is empty"));
        }
        Ok(Self { records, given_names: source.names() })
    }

    fn width(&self) -> usize {
        self.given_names.as_ref().map_or(self.records[0].len(), Vec::len)
    }

    fn column(&self, column: usize) -> impl Iterator<Item = &(Meaning, String)> {
        self.records[1..].iter().filter_map(move |record| record.get(column))
    }

    /// A first record of words over numbers is a header, and one of numbers over numbers is not. Where all is
    /// words it is a header unless one of its words comes again in the same column.
    pub(super) fn has_header(&self) -> bool {
        if self.given_names.is_some() {
            return false;
        }
        let mut votes = 0_i64;
        let mut comes_again = false;
        for (column, (first, text)) in self.records[0].iter().enumerate() {
            let below = self.column(column).filter(|(meaning, _)| *meaning != Meaning::Missing);
            let (mut values, mut words) = (0, 0);
            for (meaning, word) in below {
                if *meaning == Meaning::Word {
                    words += 1;
                    comes_again |= *first == Meaning::Word && word == text;
                } else {
                    values += 1;
                }
            }
            match first {
                Meaning::Word if values > words => votes += 1,
                Meaning::Missing | Meaning::Word => {}
                _ if values >= words => votes -= 1,
                _ => {}
            }
        }
        if votes == 0 { !comes_again } else { votes > 0 }
    }

    /// Every column gets a name of its own.
    pub(super) fn names(&self, has_header: bool) -> Vec<String> {
        let mut taken = HashSet::new();
        (0..self.width())
            .map(|column| {
                let given = match &self.given_names {
                    Some(names) => names[column].trim(),
                    None if has_header => self.records[0][column].1.trim(),
                    None => "",
                };
                let base = if given.is_empty() { format!("column {}", column + 1) } else { shown(given) };
                let mut name = base.clone();
                let mut copy = 2;
                while !taken.insert(name.clone()) {
                    name = format!("{base} ({copy})");
                    copy += 1;
                }
                name
            })
            .collect()
    }

    pub(super) fn forms(&self, has_header: bool) -> Vec<Form> {
        let first_as_data = usize::from(!has_header);
        (0..self.width())
            .map(|column| {
                let first = self.records[0].get(column).into_iter().take(first_as_data);
                let mut counts = Counts::default();
                first.chain(self.column(column)).for_each(|(meaning, _)| counts.add(*meaning));
                counts.form()
            })
            .collect()
    }
}

fn copied(cell: Cell<'_>) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(seconds) => as_rfc3339(seconds),
        Cell::Text(text) => decode(text).into_owned(),
    }
}
