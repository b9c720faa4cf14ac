//! Flagged rows as a table (CSV) for a spreadsheet, in which nothing from the file becomes a formula.

use sentinelflow_domain::scan::{Anomaly, ColumnReason};
use serde_json::Value;

use crate::printable::harmless;

/// Returns the first line: row, score, reasons, and the columns of the file.
pub(super) fn header(columns: &[String]) -> Vec<u8> {
    let ours = ["row", "score", "reasons"].map(str::to_owned);
    let names = ours.into_iter().chain(columns.iter().map(|name| harmless(name)));
    written(|writer| writer.write_record(names))
}

/// Returns a line for each row.
pub(super) fn rows(columns: &[String], threats: &[Anomaly]) -> Vec<u8> {
    written(|writer| {
        for threat in threats {
            let reasons = threat.reasons.iter().map(reason).collect::<Vec<_>>().join("; ");
            writer.write_field(threat.row.to_string())?;
            writer.write_field(threat.score.to_string())?;
            writer.write_field(harmless(&reasons))?;
            let cells = columns.iter().map(|name| harmless(&text_of(threat.record.get(name))));
            writer.write_record(cells)?;
        }
        Ok(())
    })
}

fn written(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer).expect("memory takes every line, and all lines have as many cells");
    writer.into_inner().expect("memory takes every line")
}

/// Says what is odd about a cell, such as “bytes = 9100000 (usually 1170 – 1200) 66 %”.
fn reason(reason: &ColumnReason) -> String {
    let value = match &reason.value {
        Value::Null => "nothing".to_owned(),
        value => text_of(Some(value)),
    };
    let ColumnReason { column, typical, share, .. } = reason;
    format!("{column} = {value} (usually {typical}) {:.0} %", share * 100.0)
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_readable_and_harmless() {
        let Value::Object(record) = json!({"a": -5.25, "=b": "=1+1", "c": null, "d": "x;\"y\"\n"}) else {
            unreachable!()
        };
        let reasons = vec![ColumnReason {
            column: "=b".into(),
            value: json!("=1+1"),
            typical: "ana, bob".into(),
            share: 0.664,
        }];
        let threat = Anomaly { row: 7, score: 0.999, reasons, record, counterfactual: None };
        let columns = ["a", "=b", "c", "d"].map(str::to_owned);
        let text = [header(&columns), rows(&columns, &[threat])].concat();
        let expected = "row,score,reasons,a,'=b,c,d\n\
                        7,0.999,\"'=b = =1+1 (usually ana, bob) 66 %\",-5.25,'=1+1,,\"x;\"\"y\"\"\n\"\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
