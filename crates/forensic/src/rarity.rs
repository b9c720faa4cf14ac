//! How rare a value is: −ln of the share of rows that have it, in nats.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// How many of the rows learned from have which value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Counts", into = "Counts")]
pub(crate) struct Rarity {
    rows: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    missing: u32,
    all: u32,
}

/// As it is stored: in one order, whatever the hasher.
#[derive(Serialize, Deserialize)]
struct Counts {
    rows: Vec<(Box<[u8]>, u32)>,
    missing: u32,
    all: u32,
}

/// A value that was never seen counts as half a row.
const UNSEEN_ROWS: f64 = 0.5;

impl Rarity {
    /// Counts the values of rows; `None` where one has none.
    pub(crate) fn learn<Value: AsRef<[u8]>>(values: impl Iterator<Item = (Option<Value>, u32)>) -> Self {
        let mut rarity = Self { rows: HashMap::default(), missing: 0, all: 0 };
        for (value, rows) in values {
            rarity.all += rows;
            match value {
                None => rarity.missing += rows,
                Some(value) => match rarity.rows.get_mut(value.as_ref()) {
                    Some(count) => *count += rows,
                    None => drop(rarity.rows.insert(value.as_ref().into(), rows)),
                },
            }
        }
        rarity
    }

    /// Returns −ln of the share of rows with this value.
    pub(crate) fn of(&self, value: Option<&[u8]>) -> f64 {
        let rows = value.map_or(self.missing, |value| self.rows.get(value).copied().unwrap_or(0));
        -(f64::from(rows).max(UNSEEN_ROWS) / f64::from(self.all.max(1))).ln()
    }
}

impl From<Rarity> for Counts {
    fn from(rarity: Rarity) -> Self {
        let mut rows: Vec<_> = rarity.rows.into_iter().collect();
        rows.sort_unstable();
        Self { rows, missing: rarity.missing, all: rarity.all }
    }
}

impl From<Counts> for Rarity {
    fn from(counts: Counts) -> Self {
        Self { rows: counts.rows.into_iter().collect(), missing: counts.missing, all: counts.all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_the_higher_and_the_unseen_highest() {
        let words = [(Some("GET"), 90), (Some("POST"), 9), (None, 1)];
        let rarity = Rarity::learn(words.into_iter());
        let [get, post, none, new] =
            [Some("GET"), Some("POST"), None, Some("TRACE")].map(|word| rarity.of(word.map(str::as_bytes)));
        assert!(get < post && post < none && none < new);
        assert!((get + 0.9_f64.ln()).abs() < 1e-12);
    }
}
