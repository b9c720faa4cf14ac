//! Files: uploaded, scanned for the rows that don't belong, and remembered.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, StatusCode, Uri},
};
use sentinelflow_domain::{
    scan::{Anomaly, ColumnProfile, Cutoff, EngineChoice, ScanOptions},
    store::{ScanRecord, ScanSummary},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;
use tracing::info;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::Caller,
    docs::{ReadProblems, WriteProblems},
    error::ApiError,
    extract::{Query, next_link, parsed, within},
    request_id,
};
use crate::{app::App, printable::misleads};

pub fn routes() -> OpenApiRouter<App> {
    // `spool` counts the bytes itself.
    let uploads = OpenApiRouter::new().routes(routes!(scan)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().merge(uploads).routes(routes!(history))
}

/// How long the next piece of an upload may take.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);
const FORM_TEXT_MAX_BYTES: usize = 4096;
const FILENAME_MAX_CHARS: usize = 255;

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; `Upload` reads it")]
struct UploadShape {
    /// A table: CSV (also with tabs, semicolons or bars), JSON lines, Parquet, XLS or XLSX. The content decides, not the name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `options` reads it")]
struct ScanQuery {
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
}

/// An upload in a temporary file, which goes when this does.
struct Upload {
    path: TempPath,
    filename: String,
    options: ScanOptions,
}

impl Upload {
    /// Streams the body to disk. Options come from the query and from the form's other fields.
    async fn receive(request: Request, app: &App) -> Result<Self, ApiError> {
        let mut options = Query::pairs_of(request.uri());
        let mut form = Multipart::from_request(request, app).await.map_err(|rejection| {
            ApiError::client(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                format!(
                    "The body must be a form with a file (Content-Type: multipart/form-data): {rejection}."
                ),
            )
        })?;
        let mut file = None;
        let mut bytes_left = app.max_upload_bytes;
        while let Some(field) = in_time(form.next_field()).await? {
            match field.name().unwrap_or("").to_owned().as_str() {
                "file" if file.is_some() => {
                    return Err(ApiError::malformed("The form holds more than one file."));
                }
                "file" => {
                    let filename = printable(field.file_name().unwrap_or("upload"));
                    file = Some((spool(field, app, &mut bytes_left).await?, filename));
                }
                name => options.push((name.to_owned(), text(field).await?)),
            }
        }
        let options = scan_options(Query::from_pairs(options))?;
        let (path, filename) = file.ok_or_else(|| ApiError::malformed("The form has no field 'file'."))?;
        Ok(Self { path, filename, options })
    }
}

async fn in_time<T>(
    piece: impl Future<Output = Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(PIECE_DEADLINE, piece).await {
        Ok(read) => read
            .map_err(|error| ApiError::malformed(format!("The form can't be read: {}.", error.body_text()))),
        Err(_) => Err(ApiError::client(StatusCode::REQUEST_TIMEOUT, "timeout", "The upload stalled.")),
    }
}

async fn spool(mut field: Field<'_>, app: &App, bytes_left: &mut u64) -> Result<TempPath, ApiError> {
    let (file, path) = tempfile::NamedTempFile::new_in(&app.spool)?.into_parts();
    let mut file = tokio::io::BufWriter::with_capacity(1 << 18, tokio::fs::File::from_std(file));
    while let Some(piece) = in_time(field.chunk()).await? {
        *bytes_left = bytes_left.checked_sub(piece.len() as u64).ok_or_else(|| {
            ApiError::client(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("The file is larger than {} bytes.", app.max_upload_bytes),
            )
        })?;
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(path)
}

async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(field.chunk()).await? {
        if bytes.len() + piece.len() > FORM_TEXT_MAX_BYTES {
            return Err(ApiError::malformed(format!(
                "A form field is longer than {FORM_TEXT_MAX_BYTES} bytes."
            )));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::malformed("A form field is not UTF-8."))
}

/// Returns the name a file was sent under, without characters that could mislead whoever reads it.
fn printable(filename: &str) -> String {
    filename.chars().filter(|char| !misleads(*char)).take(FILENAME_MAX_CHARS).collect()
}

fn scan_options(mut query: Query) -> Result<ScanOptions, ApiError> {
    let default = ScanOptions::default();
    let options = ScanOptions {
        engine: query.take("engine", engine).unwrap_or(default.engine),
        cutoff: cutoff(&mut query),
        limit: query.take("limit", within(0, 100_000)).unwrap_or(default.limit),
        sheet: query.take("sheet", |text| Ok(text.to_owned())),
        ignore: query.take_all("ignore"),
    };
    query.finish().map(|()| options)
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

#[derive(Serialize, ToSchema)]
#[schema(as = ScanResult)]
struct ScanShape<'a> {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(example = "audit_log.csv")]
    filename: &'a str,
    total_scanned: u64,
    /// All flagged rows, also those beyond the limit.
    threats_detected: u64,
    /// The cut-off applied, on the scale of `score`.
    threshold_used: f64,
    /// How the cut-off came about.
    threshold_method: &'a str,
    #[schema(example = "autoencoder")]
    engine: &'static str,
    /// Why this engine.
    engine_reason: &'a str,
    duration_ms: u64,
    #[schema(value_type = Vec<ColumnShape>)]
    columns: &'a [ColumnProfile],
    /// What the reader had to put up with.
    #[schema(value_type = Vec<String>)]
    notes: &'a [String],
    /// The flagged rows by falling score.
    #[schema(value_type = Vec<AnomalyShape>)]
    threats: &'a [Anomaly],
}

#[derive(ToSchema)]
#[schema(as = Column)]
#[expect(dead_code, reason = "describes `ColumnProfile`")]
struct ColumnShape {
    name: String,
    #[schema(example = "numeric")]
    kind: String,
    used: bool,
    /// Why the column was taken for this kind, or why it was not used.
    reason: String,
}

#[derive(ToSchema)]
#[schema(as = Anomaly)]
#[expect(dead_code, reason = "describes `Anomaly`")]
struct AnomalyShape {
    /// Counted from 1 over data rows; a header is not counted.
    #[schema(minimum = 1)]
    row: u64,
    /// The calibrated probability that a normal row scores lower.
    #[schema(minimum = 0, maximum = 1)]
    score: f64,
    reasons: Vec<ReasonShape>,
    /// The row's cells by column name; a text of more than 1,024 characters is cut and ends in “…”.
    #[schema(value_type = Object)]
    record: serde_json::Value,
}

#[derive(ToSchema)]
#[schema(as = Reason)]
#[expect(dead_code, reason = "describes `ColumnReason`")]
struct ReasonShape {
    column: String,
    /// The cell as it stands in the file.
    value: serde_json::Value,
    /// What would have been ordinary here.
    #[schema(example = "1.2e3 – 8.8e4")]
    typical: String,
    /// The column's part of the anomaly.
    #[schema(minimum = 0, maximum = 1)]
    share: f64,
}

impl<'a> From<&'a ScanRecord> for ScanShape<'a> {
    fn from(scan: &'a ScanRecord) -> Self {
        let report = &scan.report;
        Self {
            id: scan.id.to_string(),
            timestamp: scan.finished_at.to_string(),
            filename: &scan.filename,
            total_scanned: report.total_scanned,
            threats_detected: report.threats_detected,
            threshold_used: report.threshold_used,
            threshold_method: &report.threshold_method,
            engine: report.engine.as_str(),
            engine_reason: &report.engine_reason,
            duration_ms: scan.duration_ms,
            columns: &report.columns,
            notes: &report.notes,
            threats: &report.threats,
        }
    }
}

/// Find the rows of a table that don't belong. The same file, options and version give the same answer.
#[utoipa::path(post, path = "/audit/scan", tag = "Audit", params(ScanQuery),
    request_body(content = UploadShape, content_type = "multipart/form-data"),
    responses((status = 200, body = ScanShape<'static>), WriteProblems))]
async fn scan(
    State(app): State<App>,
    Caller(tenant): Caller,
    request: Request,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let Upload { path, filename, options } = Upload::receive(request, &app).await?;
    let scan = app.hunts.scan(tenant.id, path, filename, options).await?;
    info!(
        request.id = %request_id::current(), scan.id = %scan.id, scan.rows = scan.report.total_scanned,
        duration_ms = scan.duration_ms,
        "Scan {} flagged {} of {} rows", scan.id, scan.report.threats_detected, scan.report.total_scanned
    );
    let answer = serde_json::value::to_raw_value(&ScanShape::from(&scan)).map_err(ApiError::damaged)?;
    Ok(Json(answer))
}

#[derive(Serialize, ToSchema)]
#[schema(as = ScanSummary)]
struct SummaryShape {
    id: String,
    #[schema(format = DateTime)]
    timestamp: String,
    filename: String,
    /// `done`: scans that failed leave nothing behind.
    #[schema(example = "done")]
    status: &'static str,
    total_scanned: u64,
    threats_detected: u64,
    threshold_used: f64,
    #[schema(example = "autoencoder")]
    engine: &'static str,
    duration_ms: u64,
}

impl From<ScanSummary> for SummaryShape {
    fn from(scan: ScanSummary) -> Self {
        Self {
            id: scan.id.to_string(),
            timestamp: scan.finished_at.to_string(),
            filename: scan.filename,
            status: "done",
            total_scanned: scan.total_scanned,
            threats_detected: scan.threats_detected,
            threshold_used: scan.threshold_used,
            engine: scan.engine.as_str(),
            duration_ms: scan.duration_ms,
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `history` reads it")]
struct HistoryQuery {
    /// How many scans a page holds.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u16>,
    /// Where the page begins: taken from the `Link` of the page before.
    #[param(pattern = "^[0-9A-Fa-f]{24}$")]
    cursor: Option<String>,
}

/// List earlier scans, newest first. `Link` leads to the next page.
#[utoipa::path(get, path = "/audit/logs", tag = "Audit", params(HistoryQuery),
    responses((status = 200, body = [SummaryShape]), ReadProblems))]
async fn history(
    State(app): State<App>,
    Caller(tenant): Caller,
    uri: Uri,
) -> Result<(HeaderMap, Json<Vec<SummaryShape>>), ApiError> {
    let mut query = Query::of(&uri);
    let limit = query.take("limit", within(1, 500)).unwrap_or(50);
    let before = query.take("cursor", parsed);
    query.finish()?;
    let page = app.store.scans(tenant.id, limit, before).await?;
    Ok((next_link(&uri, page.next), Json(page.items.into_iter().map(SummaryShape::from).collect())))
}
