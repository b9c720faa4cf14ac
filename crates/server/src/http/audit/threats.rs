//! All kept rows of a scan: page by page, or as one table.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::channel::{Channel, Sender};
use sentinelflow_domain::{
    scan::ColumnProfile,
    store::{ScanId, ScanState, Store, StoreError},
    tenant::TenantId,
};
use tracing::error;
use utoipa::IntoParams;

use super::{answer::AnomalyShape, id_of, no_such_scan, not_done, table};
use crate::{
    app::App,
    http::{
        caller::Caller,
        docs::{NotDoneProblem, ReadProblems},
        error::ApiError,
        extract::{Query, next_link, within},
    },
};

/// How many rows are read from the store at once for a table.
const ROWS_AT_ONCE: usize = 500;
/// How many of such pieces may wait for a slow reader.
const PIECES_AHEAD: usize = 2;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `threats` reads it")]
struct ThreatsQuery {
    /// How many rows a page holds; a table holds all of them.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    /// Where the page begins: taken from the `Link` of the page before.
    #[param(pattern = "^[0-9]{1,6}$")]
    cursor: Option<String>,
}

/// List the flagged rows that were kept, at most 100,000, by falling score. `Link` leads to the next page.
///
/// With `Accept: text/csv` all of them are one table: row, score, reasons, and the columns of the file. No cell of it is
/// a formula to a spreadsheet.
#[utoipa::path(get, path = "/audit/scan/{scan_id}/threats", tag = "Audit",
    params(("scan_id" = String, Path, description = "24 hex digits"), ThreatsQuery),
    responses(
        (status = 200, content(([AnomalyShape] = "application/json"), (String = "text/csv"))),
        ReadProblems, NotDoneProblem,
    ))]
pub(super) async fn threats(
    State(app): State<App>,
    Caller(tenant): Caller,
    Path(scan_id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let id = id_of(&scan_id)?;
    let mut query = Query::of(&uri);
    let limit = query.take("limit", within(1, 1000)).unwrap_or(100);
    let after = query.take("cursor", within(0, 999_999)).unwrap_or(0) as u64;
    query.finish()?;
    if wants_table(&headers) {
        let scan = app.store.scan(tenant.id, id).await?.ok_or_else(no_such_scan)?;
        let ScanState::Done(report) = scan.state else { return Err(not_done(scan.state.as_str())) };
        return Ok(as_table(&app, tenant.id, id, report.columns, after));
    }
    match app.store.scan_threats(tenant.id, id, after, limit).await?.ok_or_else(no_such_scan)? {
        ScanState::Done(page) => Ok((next_link(&uri, page.next), Json(page.items)).into_response()),
        state => Err(not_done(state.as_str())),
    }
}

/// Tells whether a table is named before JSON.
fn wants_table(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    let mut known = kinds.map(|kind| kind.trim().to_ascii_lowercase());
    known.find(|kind| ["text/csv", "application/json", "*/*"].contains(&kind.as_str())).as_deref()
        == Some("text/csv")
}

/// Writes the table while it is read, so that neither end holds all of it.
fn as_table(app: &App, tenant: TenantId, scan: ScanId, columns: Vec<ColumnProfile>, after: u64) -> Response {
    let (sender, body) = Channel::<Bytes, StoreError>::new(PIECES_AHEAD);
    let store = Arc::clone(&app.store);
    tokio::spawn(async move {
        let columns: Vec<String> = columns.into_iter().map(|column| column.name).collect();
        write_table(&*store, (tenant, scan), &columns, after, sender).await;
    });
    let attachment = HeaderValue::try_from(format!("attachment; filename=\"scan-{scan}.csv\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, attachment.expect("an id is hex digits")),
    ];
    (headers, Body::new(body)).into_response()
}

async fn write_table(
    store: &dyn Store,
    (tenant, scan): (TenantId, ScanId),
    columns: &[String],
    mut after: u64,
    mut sender: Sender<Bytes, StoreError>,
) {
    let mut piece = table::header(columns);
    // Whoever went away doesn't want the rest.
    while sender.send_data(piece.into()).await.is_ok() {
        let page = match store.scan_threats(tenant, scan, after, ROWS_AT_ONCE).await {
            Ok(Some(ScanState::Done(page))) => page,
            // It was removed meanwhile.
            Ok(_) => return sender.abort(StoreError::Conflict),
            Err(error) => {
                error!(scan.id = %scan, error = %error, "The table of scan {scan} broke off");
                return sender.abort(error);
            }
        };
        piece = table::rows(columns, &page.items);
        let Some(next) = page.next else {
            // As above.
            return drop(sender.send_data(piece.into()).await);
        };
        after = next;
    }
}
