//! Spoils what the model says, as models do: missing, extra and doubled verdicts, wrong types and values.

use serde_json::{Value, json};

use crate::Answer;

/// Returns the verdicts with the fault that the answer names.
pub(crate) fn spoil(mut verdicts: Value, answer: &Answer) -> Value {
    let Some(list) = verdicts.get_mut("verdicts").and_then(Value::as_array_mut) else {
        return verdicts;
    };
    match answer {
        Answer::MissingIds => {
            list.pop();
        }
        Answer::ExtraIds => list.push(json!({
            "id": "nobody-asked-about-this",
            "severity": "critical",
            "confidence": 100,
            "technique": "none",
            "reason": "This record was not in the request.",
        })),
        Answer::DuplicateIds => {
            if let Some(first) = list.first() {
                let contrary = if first["severity"] == "info" { "critical" } else { "info" };
                let mut second = first.clone();
                second["severity"] = contrary.into();
                list.push(second);
            }
        }
        Answer::OutOfRange => {
            for verdict in list {
                verdict["severity"] = "apocalyptic".into();
                verdict["confidence"] = 400.into();
            }
        }
        Answer::WrongSchema => {
            for verdict in list {
                *verdict = json!({ "id": verdict["id"], "severity": 3, "explanation": "Looks bad." });
            }
        }
        _ => {}
    }
    verdicts
}
