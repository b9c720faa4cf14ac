//! Why a file could not be scanned: always the file's or the request's fault, with the place.

use std::io;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum ScanError {
    #[error("this is not a table that can be read: {reason}")]
    NotATable { reason: String },
    #[error("{what}; at most {most} are taken")]
    TooLarge { what: String, most: u64 },
    #[error("the table has {rows} data rows; at least {needed} are needed")]
    TooFewRows { rows: u64, needed: u64 },
    #[error("there is nothing to learn from this table: {reason}")]
    NothingToLearn { reason: String },
    #[error("there is no sheet “{sheet}”; the file has {}", quoted(sheets))]
    NoSuchSheet { sheet: String, sheets: Vec<String> },
    #[error("there is no column “{column}” to ignore")]
    NoSuchColumn { column: String },
    #[error("the engine asked for cannot run: {reason}")]
    EngineUnavailable { reason: String },
    #[error("the scan was cancelled")]
    Cancelled,
    #[error("the baseline cannot judge this file: {reason}")]
    BaselineMismatch { reason: String },
    #[error("what the scan saw cannot be written")]
    Unwritten(#[source] io::Error),
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
}

impl ScanError {
    pub(crate) fn not_a_table(reason: impl Into<String>) -> Self {
        Self::NotATable { reason: reason.into() }
    }

    pub(crate) fn too_large(what: impl Into<String>, most: u64) -> Self {
        Self::TooLarge { what: what.into(), most }
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(", ")
}
