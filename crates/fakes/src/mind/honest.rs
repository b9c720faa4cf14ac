//! A plain judge by keywords: predictable, so that tests can tell what it will say.

use serde_json::Value;

use super::{disguise, text_of, verdict};

struct Sign {
    /// In lower case; one of them is enough.
    words: &'static [&'static str],
    severity: &'static str,
    confidence: u32,
    technique: &'static str,
    reason: &'static str,
}

/// The first that fits decides.
const SIGNS: [Sign; 5] = [
    Sign {
        words: &["union select", "' or '1'='1", "' or 1=1", "sleep(", "information_schema", "xp_cmdshell"],
        severity: "high",
        confidence: 90,
        technique: "T1190",
        reason: "A query smuggles SQL into a parameter.",
    },
    Sign {
        words: &["/bin/sh", "/bin/bash", "powershell", "cmd.exe", "| sh", "wget http", "curl http"],
        severity: "high",
        confidence: 85,
        technique: "T1059",
        reason: "Input reaches a command interpreter.",
    },
    Sign {
        words: &["<script", "javascript:", "onerror="],
        severity: "high",
        confidence: 85,
        technique: "T1190",
        reason: "A page is made to run a stranger's script.",
    },
    Sign {
        words: &["../", "..\\", "/etc/passwd", "/etc/shadow"],
        severity: "high",
        confidence: 80,
        technique: "T1190",
        reason: "A path leads out of the folder that it should stay in.",
    },
    Sign {
        words: &["failed password", "authentication failure", "invalid user", "failed login", "login failed"],
        severity: "medium",
        confidence: 75,
        technique: "T1110",
        reason: "A login was refused.",
    },
];

pub(super) fn judge(record: &Value) -> Value {
    let found = by_signs(record).or_else(|| by_detections(record));
    found.unwrap_or_else(|| verdict(&record["id"], "info", 80, "none", "Nothing unusual in it."))
}

fn by_signs(record: &Value) -> Option<Value> {
    let text = disguise::without_datamarks(&text_of(record)).to_lowercase();
    let sign = SIGNS.iter().find(|sign| sign.words.iter().any(|word| text.contains(word)))?;
    Some(verdict(&record["id"], sign.severity, sign.confidence, sign.technique, sign.reason))
}

fn by_detections(record: &Value) -> Option<Value> {
    let was_detected = match &record["detections"] {
        Value::Array(detections) => !detections.is_empty(),
        Value::Object(detections) => !detections.is_empty(),
        Value::String(detections) => !detections.is_empty(),
        _ => false,
    };
    let reason = "The rules found something, and nothing speaks against it.";
    was_detected.then(|| verdict(&record["id"], "medium", 60, "none", reason))
}
