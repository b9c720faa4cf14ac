//! Texts with secrets, and texts without any that look as if: all made up. In the file, a character of each token's
//! prefix is written as an escape, so that nobody's scanner takes it for a leak.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) text: String,
    /// What must be gone; nothing may be found where this is empty.
    pub(crate) secrets: Vec<String>,
    /// What must still be there.
    #[serde(default)]
    pub(crate) keeps: Vec<String>,
}

pub(crate) fn corpus() -> Vec<Case> {
    let lines = include_str!("../../tests/redaction.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("each line is a case")).collect()
}
