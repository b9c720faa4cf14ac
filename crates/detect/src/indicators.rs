//! Lists of addresses, networks, domains, hashes and URLs that are known to be bad: read → compact tables → what of an
//! event is listed. Never here: files and folders.
//!
//! # What matches
//!
//! A word of the event must be listed, whole and exactly: `1.2.3.40` is not `1.2.3.4`, and `notevil.example` is not
//! `evil.example`. A network matches its addresses, also where they are written as IPv6; a domain matches itself and
//! what is below it, whatever its case; a URL matches without regard to the case of scheme and host, to the scheme's own
//! port and to a fragment. All fields are read, and the message; names in other alphabets are compared in their ASCII form.
//!
//! # What a list may not hold
//!
//! Private and reserved addresses, networks wider than /8 (IPv6: /16), top-level domains, the hash of an empty file: a
//! bad list must not flag everything. Each is told with its line. Where lists disagree about a text, the surest counts.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    sync::Arc,
};

use sentinelflow_domain::{tenant::Username, time::Timestamp};
use sha2::{Digest, Sha256};

use self::tables::{Builder, Tables};
use crate::{event::Event, finding::Finding};

pub use self::{
    entry::Kind,
    read::{ListFault, ListReport},
};

mod domain;
mod entry;
mod matches;
mod read;
mod table;
mod tables;
mod url;
mod words;

/// All lists, ready to be asked. Immutable; a reload makes another one.
#[derive(Default)]
pub struct Indicators {
    of_all: Option<Versioned>,
    /// By the tenant's folded name, so that a list follows the name whoever bears it.
    of_tenants: HashMap<String, Versioned>,
    used: u64,
}

/// Tables, and 16 hex digits that change whenever they do, or those of all tenants beside them.
struct Versioned {
    tables: Tables,
    version: String,
}

/// Whom a list is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    Everybody,
    Tenant(Username),
}

/// Lists that are being read.
pub struct Reading {
    now: Timestamp,
    of_all: Option<Builder>,
    of_tenants: HashMap<String, Builder>,
    used: u64,
}

impl Reading {
    /// Begins with no lists; what is not valid `now` is not used.
    pub fn new(now: Timestamp) -> Self {
        Self { now, of_all: None, of_tenants: HashMap::new(), used: 0 }
    }

    /// Adds a list: plain text, CSV or a STIX 2.1 bundle. Its order among others decides nothing but which of equal
    /// entries is named.
    pub fn add(&mut self, reader: &Reader, file: &str, text: &str) -> ListReport {
        let builder = match reader {
            Reader::Everybody => self.of_all.get_or_insert_default(),
            Reader::Tenant(name) => self.of_tenants.entry(name.folded()).or_default(),
        };
        let report = read::read(file, text, self.now, builder);
        self.used += report.used_count();
        report
    }

    pub fn finish(self) -> Indicators {
        let filled = |builder: Builder| (!builder.is_empty()).then(|| builder.finish());
        let of_all = self.of_all.and_then(filled);
        let mut of_tenants = HashMap::new();
        for (name, builder) in self.of_tenants {
            if let Some(tables) = filled(builder) {
                let version = version(of_all.iter().chain([&tables]));
                of_tenants.insert(name, Versioned { tables, version });
            }
        }
        let of_all = of_all.map(|tables| Versioned { version: version([&tables]), tables });
        Indicators { of_all, of_tenants, used: self.used }
    }
}

fn version<'t>(tables: impl IntoIterator<Item = &'t Tables>) -> String {
    let mut hasher = Sha256::new();
    tables.into_iter().for_each(|tables| hasher.update(tables.hash()));
    let mut version = String::new();
    for byte in hasher.finalize().iter().take(8) {
        write!(version, "{byte:02x}").expect("a String takes whatever is written");
    }
    version
}

impl Indicators {
    /// Returns how many entries are used, of all lists.
    pub fn len(&self) -> u64 {
        self.used
    }

    pub fn is_empty(&self) -> bool {
        self.of_all.is_none() && self.of_tenants.is_empty()
    }

    /// Returns how much memory the tables take.
    pub fn bytes(&self) -> usize {
        self.of_all.iter().chain(self.of_tenants.values()).map(|versioned| versioned.tables.bytes()).sum()
    }

    /// Returns whether an entry's text is listed for everybody, by itself or by what it belongs to.
    pub fn holds(&self, text: &str) -> bool {
        self.of_all.as_ref().is_some_and(|of_all| matches::is_listed(&of_all.tables, text))
    }

    /// Returns those that concern a tenant of this name, if there are any.
    pub(crate) fn concerning(&self, tenant: Option<&Username>) -> Option<Concerning<'_>> {
        let own = tenant.filter(|_| !self.of_tenants.is_empty());
        let own = own.and_then(|name| self.of_tenants.get(&name.folded()));
        let version = &own.or(self.of_all.as_ref())?.version;
        Some(Concerning {
            of_all: self.of_all.as_ref().map(|of_all| &of_all.tables),
            own: own.map(|own| &own.tables),
            version,
        })
    }
}

impl fmt::Debug for Indicators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indicators({} entries)", self.used)
    }
}

/// The lists of everybody and of one tenant.
pub(crate) struct Concerning<'t> {
    of_all: Option<&'t Tables>,
    own: Option<&'t Tables>,
    version: &'t str,
}

impl Concerning<'_> {
    pub(crate) fn findings(&self, event: &Event<'_>) -> Vec<Finding> {
        let tables: Vec<&Tables> = self.of_all.into_iter().chain(self.own).collect();
        matches::findings(&tables, event)
    }

    /// Returns the hash of the rules with that of these lists, so that an analysis tells both.
    pub(crate) fn joined_to(&self, rule_set: &str) -> Arc<str> {
        format!("{rule_set}+{}", self.version).into()
    }
}

#[cfg(test)]
mod tests;
