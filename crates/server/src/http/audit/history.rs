//! The history of scans.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
};
use sentinelflow_domain::store::{ScanState, ScanSummary};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    http::{
        caller::Caller,
        docs::ReadProblems,
        error::ApiError,
        extract::{Query, next_link, parsed, within},
    },
};

#[derive(Serialize, ToSchema)]
#[schema(as = ScanSummary)]
pub(super) struct SummaryShape {
    id: String,
    /// When it ended; until then, when it was asked for.
    #[schema(format = DateTime)]
    timestamp: String,
    filename: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    #[schema(example = "done", pattern = "^(queued|running|done|failed|cancelled)$")]
    status: &'static str,
    /// Null until the scan is done, as are the next three.
    total_scanned: Option<u64>,
    threats_detected: Option<u64>,
    threshold_used: Option<f64>,
    #[schema(example = "autoencoder")]
    engine: Option<&'static str>,
    duration_ms: u64,
}

impl From<ScanSummary> for SummaryShape {
    fn from(scan: ScanSummary) -> Self {
        let figures = if let ScanState::Done(figures) = &scan.state { Some(figures) } else { None };
        Self {
            id: scan.id.to_string(),
            timestamp: scan.finished_at.unwrap_or(scan.created_at).to_string(),
            filename: scan.filename,
            status: scan.state.as_str(),
            total_scanned: figures.map(|figures| figures.total_scanned),
            threats_detected: figures.map(|figures| figures.threats_detected),
            threshold_used: figures.map(|figures| figures.threshold_used),
            engine: figures.map(|figures| figures.engine.as_str()),
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

/// List scans, newest first. `Link` leads to the next page.
#[utoipa::path(get, path = "/audit/logs", tag = "Audit", params(HistoryQuery),
    responses((status = 200, body = [SummaryShape]), ReadProblems))]
pub(super) async fn history(
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
