//! A scan as one page to hand to somebody.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use sentinelflow_domain::store::ScanState;
use sentinelflow_forensic::report::html;

use super::{id_of, no_such_scan, not_done};
use crate::{
    app::App,
    http::{
        caller::Caller,
        docs::{NotDoneProblem, ReadProblems},
        error::ApiError,
    },
};

/// The page looks for no more rows than this, however many the answer shows.
const MOST_ROWS: usize = 1_000;
/// The page brings its style and pictures along; nothing in it may run or be fetched.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; sandbox";

/// Fetch the report on a scan: one page of HTML that needs nothing else, to hand to somebody.
#[utoipa::path(get, path = "/audit/scan/{scan_id}/report", tag = "Audit",
    params(("scan_id" = String, Path, description = "24 hex digits")),
    responses((status = 200, body = String, content_type = "text/html"), ReadProblems, NotDoneProblem))]
pub(super) async fn report(
    State(app): State<App>,
    Caller(tenant): Caller,
    Path(scan_id): Path<String>,
) -> Result<Response, ApiError> {
    let id = id_of(&scan_id)?;
    let scan = app.store.scan(tenant.id, id).await?.ok_or_else(no_such_scan)?;
    let ScanState::Done(mut report) = scan.state else { return Err(not_done(scan.state.as_str())) };
    let rows = app.store.scan_threats(tenant.id, id, 0, MOST_ROWS).await?.ok_or_else(no_such_scan)?;
    if let ScanState::Done(page) = rows {
        report.threats = page.items;
    }
    let finished_at = scan.finished_at.unwrap_or(scan.created_at).to_string();
    let written = tokio::task::spawn_blocking(move || html(&scan.filename, &finished_at, &report));
    let page = written.await.map_err(ApiError::damaged)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    Ok((headers, page).into_response())
}
