//! A tenant: an immutable id with a name for a label.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{id::ObjectId, second_opinion::Ask, time::Timestamp};

/// The id that a tenant's logs belong to, whatever the tenant is called.
pub type TenantId = ObjectId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub username: Username,
    pub plan: Plan,
    /// When a model is to be asked about its entries; it can't ask more than the server does.
    pub ask: Ask,
    pub created_at: Timestamp,
}

/// A tenant's name: 3 to 64 of letters, digits, `.`, `_`, `-`, the first a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be 3 to 64 of the letters a-z and A-Z, digits, '.', '_' and '-', and start with a letter or a digit"
)]
pub struct InvalidUsername;

impl Username {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form in which names are compared: two names that differ only in case are the same.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(raw: &str) -> Result<Self, InvalidUsername> {
        let is_length_valid = (3..=64).contains(&raw.len());
        let starts_well = raw.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_alphabet_valid = raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if is_length_valid && starts_well && is_alphabet_valid {
            Ok(Self(raw.into()))
        } else {
            Err(InvalidUsername)
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tenant subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    Free,
    Pro,
    Enterprise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be Free, Pro or Enterprise")]
pub struct UnknownPlan;

impl Plan {
    pub const ALL: [Self; 3] = [Self::Free, Self::Pro, Self::Enterprise];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Pro => "Pro",
            Self::Enterprise => "Enterprise",
        }
    }
}

impl FromStr for Plan {
    type Err = UnknownPlan;

    fn from_str(raw: &str) -> Result<Self, UnknownPlan> {
        Self::ALL.into_iter().find(|plan| plan.as_str().eq_ignore_ascii_case(raw)).ok_or(UnknownPlan)
    }
}

/// A password as it is stored: an Argon2id hash in PHC string form. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// An API key as it is stored: the SHA-256 of its text. The key has 256 random bits, so no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(pub [u8; 32]);

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_or_do_not_exist() {
        for name in ["corp_admin", "a.b", "9-9", &"x".repeat(64)] {
            assert!(name.parse::<Username>().is_ok(), "{name}");
        }
        for name in ["", "ab", "_ab", ".abc", "a b", "añb", "a/b", "a\0b", &"x".repeat(65)] {
            assert_eq!(name.parse::<Username>(), Err(InvalidUsername), "{name}");
        }
    }

    #[test]
    fn plans_are_read_in_any_case() {
        assert_eq!("pro".parse(), Ok(Plan::Pro));
        assert_eq!("Gold".parse::<Plan>(), Err(UnknownPlan));
    }
}
