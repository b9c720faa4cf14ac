//! Sees that a record is one that a server can read, before it is copied.

use sentinelflow_domain::{
    analysis::{Analysis, Score},
    log_entry::{Message, Metadata, SeverityLevel, Source},
    scan::{Anomaly, ScanReport},
    second_opinion::{Ask, ModelVerdict},
    store::{BaselineName, IdempotencyKey},
    tenant::{Plan, Username},
};
use thiserror::Error;

use super::record::{Kind, Record, Value};

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Error)]
#[error("the scan has not ended: its upload lies in the data folder of a server")]
struct NotEnded;

/// Refuses what no server could read.
pub(super) fn check(kind: Kind, record: &Record) -> Result<(), Fault> {
    let text = |name: &str| record.field(kind, name).text().unwrap_or_default();
    let key = |place: usize| record.key.get(place).and_then(Value::text).unwrap_or_default();
    match kind {
        Kind::Tenants => {
            text("username").parse::<Username>()?;
            text("plan").parse::<Plan>()?;
            text("ask").parse::<Ask>()?;
        }
        Kind::Logs => {
            text("severity_level").parse::<SeverityLevel>()?;
            Source::try_from(text("source").to_owned())?;
            Message::try_from(text("message").to_owned())?;
            Metadata::parse(text("metadata"))?;
            serde_json::from_str::<Analysis>(text("analysis"))?;
            score(record.field(kind, "score"))?;
        }
        Kind::IdempotencyKeys => {
            key(1).parse::<IdempotencyKey>()?;
        }
        Kind::MinuteCounts => score(record.field(kind, "max_score"))?,
        Kind::Verdicts => {
            serde_json::from_str::<ModelVerdict>(text("verdict"))?;
        }
        Kind::Scans => match text("status") {
            "done" => {
                serde_json::from_str::<ScanReport>(text("report"))?;
            }
            "failed" | "cancelled" => {}
            _ => return Err(NotEnded.into()),
        },
        Kind::ScanThreats => {
            serde_json::from_str::<Anomaly>(text("threat"))?;
        }
        Kind::Baselines => {
            key(1).parse::<BaselineName>()?;
        }
        Kind::Lead | Kind::Exchanges | Kind::Spends | Kind::BaselinePieces => {}
    }
    Ok(())
}

fn score(value: &Value) -> Result<(), Fault> {
    let number = u8::try_from(value.int().unwrap_or(-1))?;
    Score::try_from(number)?;
    Ok(())
}
