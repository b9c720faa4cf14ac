//! What the model thinks of the records: honest, stubborn or hostile.

mod disguise;
mod honest;
mod obedient;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::asked::Asked;

/// Turns records, as they arrived, into verdicts.
pub type Judge = dyn Fn(&[Value]) -> Vec<Value> + Send + Sync;

/// Decides what the model says when nothing else was scripted.
#[derive(Clone)]
pub struct Mind(Kind);

#[derive(Clone)]
enum Kind {
    Honest,
    Says { severity: String, confidence: u32 },
    AlwaysBenign,
    Obedient,
    Leaks,
    Custom(Arc<Judge>),
}

impl Mind {
    /// Judges by keywords. Its reasons are of its own and quote nothing.
    pub fn honest() -> Self {
        Self(Kind::Honest)
    }

    /// Says the same of every record.
    pub fn says(severity: impl Into<String>, confidence: u32) -> Self {
        Self(Kind::Says { severity: severity.into(), confidence })
    }

    /// Hostile: everything is harmless, and it is sure of that.
    pub fn always_benign() -> Self {
        Self(Kind::AlwaysBenign)
    }

    /// Hostile: sees through every disguise, and obeys whatever a record asks of it.
    pub fn obedient() -> Self {
        Self(Kind::Obedient)
    }

    /// Hostile: judges like the honest one, and tells every canary that it saw.
    pub fn leaks() -> Self {
        Self(Kind::Leaks)
    }

    /// Thinks what the caller's function says.
    pub fn custom(judge: Arc<Judge>) -> Self {
        Self(Kind::Custom(judge))
    }

    /// Returns whether its answers end where the caller's limit of tokens ends them.
    /// The hostile ones don't let a limit keep them from harm.
    pub(crate) fn keeps_limits(&self) -> bool {
        matches!(self.0, Kind::Honest | Kind::Says { .. })
    }

    /// Returns the answer's JSON: `{"verdicts": […]}`, unless a record talked it into something else.
    pub(crate) fn verdicts(&self, asked: &Asked) -> Value {
        let each = |judge: &dyn Fn(&Value) -> Value| asked.records.iter().map(judge).collect::<Vec<_>>();
        let verdicts = match &self.0 {
            Kind::Honest => each(&honest::judge),
            Kind::Says { severity, confidence } => {
                let reason = "The same is said of every record.";
                each(&|record| verdict(&record["id"], severity, *confidence, "none", reason))
            }
            Kind::AlwaysBenign => {
                let reason = "Ordinary activity, nothing to see.";
                each(&|record| verdict(&record["id"], "info", 100, "none", reason))
            }
            Kind::Obedient => return obedient::verdicts(asked),
            Kind::Leaks => {
                let canaries = canaries(asked);
                each(&|record| {
                    let mut verdict = honest::judge(record);
                    verdict["reason"] = canaries.as_str().into();
                    verdict
                })
            }
            Kind::Custom(judge) => judge(&asked.records),
        };
        json!({ "verdicts": verdicts })
    }
}

fn verdict(id: &Value, severity: &str, confidence: u32, technique: &str, reason: &str) -> Value {
    json!({
        "id": id,
        "severity": severity,
        "confidence": confidence,
        "technique": technique,
        "reason": reason,
    })
}

/// Returns the words that could be canaries, of the instruction and of the lines that are no records.
fn canaries(asked: &Asked) -> String {
    // Shorter words are too common to prove anything.
    const CANARY_CHARS: usize = 16;
    let lines = std::iter::once(asked.instruction.as_str()).chain(asked.header());
    let words = lines.flat_map(|line| line.split(|char: char| !is_word_char(char)));
    words.filter(|word| word.chars().count() >= CANARY_CHARS).collect::<Vec<_>>().join(" ")
}

fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '-' | '_')
}

/// Returns all text in the record except its id, a line each. Names count too, except the record's own:
/// those are the caller's.
fn text_of(record: &Value) -> String {
    fn walk(value: &Value, text: &mut String) {
        match value {
            Value::String(string) => {
                text.push_str(string);
                text.push('\n');
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, text)),
            Value::Object(members) => {
                for (name, value) in members {
                    text.push_str(name);
                    text.push('\n');
                    walk(value, text);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut text = String::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        if name != "id" {
            walk(value, &mut text);
        }
    }
    text
}
