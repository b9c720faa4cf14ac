//! Baselines: what was learned from a file that is known to be clean, kept under a name to judge later files.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use thiserror::Error;

use super::StoreError;
use crate::{tenant::TenantId, time::Timestamp};

/// How many baselines a tenant may have.
pub const MOST_BASELINES: usize = 100;
/// How many bytes a baseline may have.
pub const MOST_BASELINE_BYTES: usize = 64 << 20;

#[async_trait]
pub trait BaselineBook: Send + Sync {
    /// Remembers a baseline; returns only when it would survive a power cut. One of the same name is left as it is.
    async fn put_baseline(&self, baseline: NewBaseline) -> Result<BaselinePut, StoreError>;

    /// Returns what was learned, as it was put.
    async fn baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns the tenant's baselines by name.
    async fn baselines(&self, tenant: TenantId) -> Result<Vec<BaselineSummary>, StoreError>;

    /// Forgets a baseline; `false` if the tenant has none of this name.
    async fn remove_baseline(&self, tenant: TenantId, name: &BaselineName) -> Result<bool, StoreError>;
}

/// The name of a baseline: 1 to 64 of letters, digits, `.`, `_`, `-`, the first a letter or a digit. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaselineName(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be 1 to 64 of the letters a-z and A-Z, digits, '.', '_' and '-', and start with a letter or a digit"
)]
pub struct InvalidBaselineName;

impl BaselineName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaselineName {
    type Err = InvalidBaselineName;

    fn from_str(raw: &str) -> Result<Self, InvalidBaselineName> {
        let starts_well = raw.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_alphabet_valid = raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if raw.len() <= 64 && starts_well && is_alphabet_valid {
            Ok(Self(raw.into()))
        } else {
            Err(InvalidBaselineName)
        }
    }
}

impl fmt::Display for BaselineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBaseline {
    pub tenant: TenantId,
    pub name: BaselineName,
    pub created_at: Timestamp,
    /// How many rows were learned from.
    pub rows: u64,
    /// The name of the file that was learned from.
    pub filename: String,
    pub bytes: Vec<u8>,
}

/// What became of a `NewBaseline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselinePut {
    Stored,
    /// The tenant has a baseline of this name.
    NameTaken,
    /// The tenant has `MOST_BASELINES` already.
    TooMany,
}

/// A baseline without what was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineSummary {
    pub name: BaselineName,
    pub created_at: Timestamp,
    pub rows: u64,
    pub filename: String,
    pub size_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_an_address() {
        for name in ["a", "2026-10", "clean.month_1"] {
            assert_eq!(name.parse::<BaselineName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in ["", ".", "..", "-a", "a/b", "a b", "é", &"x".repeat(65)] {
            assert_eq!(name.parse::<BaselineName>(), Err(InvalidBaselineName), "{name}");
        }
    }
}
