//! Files: uploaded, scanned for the rows that don't belong, and remembered.

mod answer;
mod baselines;
mod history;
mod options;
mod report;
mod table;
mod threats;
mod upload;

use axum::{
    Json,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use sentinelflow_domain::store::{Discarded, NewScan, ScanId, ScanState};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::info;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    answer::{ResultShape, ScanAnswer},
    options::ScanQuery,
    upload::{Upload, UploadShape},
};
use super::{
    caller::Caller,
    docs::{ReadProblems, UploadProblems},
    error::ApiError,
    extract::{parsed, truth},
    request_id,
};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    // An upload counts its bytes itself.
    let uploads = OpenApiRouter::new()
        .routes(routes!(scan))
        .routes(routes!(baselines::learn, baselines::list))
        .layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .merge(uploads)
        .routes(routes!(one, discard))
        .routes(routes!(threats::threats))
        .routes(routes!(report::report))
        .routes(routes!(history::history))
        .routes(routes!(baselines::remove))
}

#[derive(Serialize, ToSchema)]
struct Accepted {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    #[schema(example = "queued")]
    status: &'static str,
}

/// Find the rows of a table that don't belong. The same file, options and version give the same answer.
///
/// With `async=true` the file is kept and scanned when its turn comes, also after a restart; `Location` tells where to
/// ask for the result. Without it the answer is the result, and whoever hangs up stops the scan.
#[utoipa::path(post, path = "/audit/scan", tag = "Audit", params(ScanQuery),
    request_body(content = UploadShape, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = ResultShape<'static>),
        (status = 202, body = Accepted, description = "Kept, and scanned when its turn comes",
            headers(("Location" = String, description = "Where to ask for the result"))),
        UploadProblems,
    ))]
async fn scan(
    State(app): State<App>,
    Caller(tenant): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let Upload { path, filename, options: mut query } = Upload::receive(request, &app, tenant.id).await?;
    let options = options::read(&mut query);
    let baseline = query.take("baseline", parsed);
    let is_async = query.take("async", truth).unwrap_or(false);
    query.finish()?;
    let created_at = app.clock.now();
    let order = NewScan { tenant: tenant.id, filename, options, baseline, created_at };
    if is_async {
        return Ok(accepted(app.hunts.enqueue(path, order).await?));
    }
    let scan = app.hunts.scan(path, order).await?;
    if let ScanState::Done(report) = &scan.state {
        info!(
            request.id = %request_id::current(), scan.id = %scan.id, scan.rows = report.total_scanned,
            duration_ms = scan.duration_ms,
            "Scan {} flagged {} of {} rows", scan.id, report.threats_detected, report.total_scanned
        );
    }
    Ok(Json(ScanAnswer::of(&scan, None).written()?).into_response())
}

fn accepted(id: ScanId) -> Response {
    info!(request.id = %request_id::current(), scan.id = %id, "Scan {id} was accepted");
    let location = HeaderValue::try_from(format!("/audit/scan/{id}")).expect("an id is hex digits");
    let answer = Accepted { id: id.to_string(), status: "queued" };
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(answer)).into_response()
}

/// Tell how far a scan is, and what it found once it is done.
#[utoipa::path(get, path = "/audit/scan/{scan_id}", tag = "Audit",
    params(("scan_id" = String, Path, description = "24 hex digits")),
    responses((status = 200, body = ScanAnswer<'static>), ReadProblems))]
async fn one(
    State(app): State<App>,
    Caller(tenant): Caller,
    Path(scan_id): Path<String>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let id = id_of(&scan_id)?;
    let progress = app.hunts.progress(id);
    let scan = app.store.scan(tenant.id, id).await?.ok_or_else(no_such_scan)?;
    Ok(Json(ScanAnswer::of(&scan, progress).written()?))
}

#[derive(Serialize, ToSchema)]
struct DiscardedScan {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    /// `cancelled`: it had not ended, and stays in the history. `removed`: it had, and nothing of it is left.
    #[schema(example = "cancelled", pattern = "^(cancelled|removed)$")]
    status: &'static str,
}

/// Cancel a scan that waits or runs; remove one that has ended.
#[utoipa::path(delete, path = "/audit/scan/{scan_id}", tag = "Audit",
    params(("scan_id" = String, Path, description = "24 hex digits")),
    responses((status = 200, body = DiscardedScan), ReadProblems))]
async fn discard(
    State(app): State<App>,
    Caller(tenant): Caller,
    Path(scan_id): Path<String>,
) -> Result<Json<DiscardedScan>, ApiError> {
    let id = id_of(&scan_id)?;
    let status = match app.hunts.discard(tenant.id, id).await?.ok_or_else(no_such_scan)? {
        Discarded::Cancelled => "cancelled",
        Discarded::Removed => "removed",
    };
    Ok(Json(DiscardedScan { id: id.to_string(), status }))
}

fn id_of(scan_id: &str) -> Result<ScanId, ApiError> {
    scan_id.parse().map_err(|_| no_such_scan())
}

fn not_done(status: &str) -> ApiError {
    ApiError::client(StatusCode::CONFLICT, "scan_not_done", format!("The scan is {status}; it has no rows."))
}

fn no_such_scan() -> ApiError {
    ApiError::not_found("This tenant has no scan of this id.")
}
