//! What a scan may be told, in the query or in fields of the form.

use sentinelflow_domain::scan::{Cutoff, EngineChoice, ScanOptions};
use utoipa::IntoParams;

use crate::http::extract::{Query, within};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `read` reads it")]
pub(super) struct ScanQuery {
    /// `auto`, `autoencoder` or `statistical`.
    #[param(pattern = "^(auto|autoencoder|statistical)$")]
    engine: Option<String>,
    /// Flag rows with at least this score instead of bounding false alarms.
    #[param(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
    /// Flag so many rows, those with the highest scores.
    #[param(minimum = 1, maximum = 100_000)]
    top: Option<u32>,
    /// Flag at most this share of a file without anomalies.
    #[param(exclusive_minimum = 0, maximum = 1, default = 0.005)]
    max_false_alarms: Option<f64>,
    /// How many flagged rows the answer may hold; all of them are counted.
    #[param(minimum = 0, maximum = 100_000, default = 1000)]
    limit: Option<u32>,
    /// The sheet of a workbook; by default the first that has rows.
    #[param(max_length = 256)]
    sheet: Option<String>,
    /// A column to leave out, by name; may be repeated.
    ignore: Option<Vec<String>>,
    /// The name of a baseline that is to say what is ordinary, instead of the file itself.
    #[param(pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$")]
    baseline: Option<String>,
    /// Answer at once, and scan when its turn comes.
    #[param(default = false)]
    r#async: Option<bool>,
}

/// Takes the options of a scan; faults stay with the query.
pub(super) fn read(query: &mut Query) -> ScanOptions {
    let default = ScanOptions::default();
    let reading = of_reading(query);
    ScanOptions {
        cutoff: cutoff(query),
        limit: query.take("limit", within(0, 100_000)).unwrap_or(default.limit),
        ..reading
    }
}

/// Takes the options that say how a file is read and learned from; faults stay with the query.
pub(super) fn of_reading(query: &mut Query) -> ScanOptions {
    let default = ScanOptions::default();
    ScanOptions {
        engine: query.take("engine", engine).unwrap_or(default.engine),
        sheet: query.take("sheet", |text| Ok(text.to_owned())),
        ignore: query.take_all("ignore"),
        ..default
    }
}

fn engine(text: &str) -> Result<EngineChoice, String> {
    match text {
        "auto" => Ok(EngineChoice::Auto),
        "autoencoder" => Ok(EngineChoice::Autoencoder),
        "statistical" => Ok(EngineChoice::Statistical),
        _ => Err("must be auto, autoencoder or statistical".to_owned()),
    }
}

/// The three ways to say what is flagged exclude each other.
fn cutoff(query: &mut Query) -> Cutoff {
    let asked = [
        query.take("threshold", threshold).map(Cutoff::Score),
        query.take("top", within(1, 100_000)).map(|rows| Cutoff::Top(rows as u64)),
        query.take("max_false_alarms", share).map(Cutoff::FalseAlarms),
    ];
    let mut asked = asked.into_iter().flatten();
    let cutoff = asked.next();
    if asked.next().is_some() {
        query.fault("threshold", "is one of threshold, top and max_false_alarms, of which one may be given");
    }
    cutoff.unwrap_or_default()
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "must be a number above 0 and at most 1".to_owned())
}

fn threshold(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}
