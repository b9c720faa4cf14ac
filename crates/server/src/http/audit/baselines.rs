//! Baselines: what is ordinary, learned from a file that is known to be clean.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use sentinelflow_domain::store::BaselineSummary;
use serde::Serialize;
use tracing::info;
use utoipa::{IntoParams, ToSchema};

use super::{
    options,
    upload::{Upload, UploadShape},
};
use crate::{
    app::App,
    http::{
        caller::Caller,
        docs::{ReadProblems, UploadProblems},
        error::ApiError,
        extract::parsed,
        request_id,
    },
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `learn` reads it")]
struct BaselineQuery {
    /// The name to keep it under; it may also be a field of the form.
    #[param(pattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$", example = "2026-10")]
    name: String,
    /// `auto`, `autoencoder` or `statistical`.
    #[param(pattern = "^(auto|autoencoder|statistical)$")]
    engine: Option<String>,
    /// The sheet of a workbook; by default the first that has rows.
    #[param(max_length = 256)]
    sheet: Option<String>,
    /// A column to leave out, by name; may be repeated.
    ignore: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Baseline)]
pub(super) struct BaselineShape {
    #[schema(example = "2026-10")]
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// How many rows were learned from.
    rows: u64,
    /// The name of the file that was learned from.
    #[schema(example = "october.csv")]
    filename: String,
    size_bytes: u64,
}

impl From<BaselineSummary> for BaselineShape {
    fn from(baseline: BaselineSummary) -> Self {
        Self {
            name: baseline.name.to_string(),
            created_at: baseline.created_at.to_string(),
            rows: baseline.rows,
            filename: baseline.filename,
            size_bytes: baseline.size_bytes,
        }
    }
}

/// Learn what is ordinary from a file without anomalies, and keep it to judge others: `baseline` of a scan.
///
/// A tenant may have 100 baselines. One is never replaced: remove it first.
#[utoipa::path(post, path = "/audit/baselines", tag = "Audit", params(BaselineQuery),
    request_body(content = UploadShape, content_type = "multipart/form-data"),
    responses((status = 201, body = BaselineShape), UploadProblems))]
pub(super) async fn learn(
    State(app): State<App>,
    Caller(tenant): Caller,
    request: Request,
) -> Result<(StatusCode, Json<BaselineShape>), ApiError> {
    let Upload { path, filename, options: mut query } = Upload::receive(request, &app, tenant.id).await?;
    let name = query.take_required("name", parsed);
    let options = options::of_reading(&mut query);
    let name = query.finish_with(name)?;
    let baseline = app.hunts.learn(tenant.id, path, name, filename, options).await?;
    info!(
        request.id = %request_id::current(), baseline.rows = baseline.rows,
        "Baseline {} was learned from {} rows", baseline.name, baseline.rows
    );
    Ok((StatusCode::CREATED, Json(baseline.into())))
}

/// List the baselines by name.
#[utoipa::path(get, path = "/audit/baselines", tag = "Audit",
    responses((status = 200, body = [BaselineShape]), ReadProblems))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(tenant): Caller,
) -> Result<Json<Vec<BaselineShape>>, ApiError> {
    let baselines = app.store.baselines(tenant.id).await?;
    Ok(Json(baselines.into_iter().map(BaselineShape::from).collect()))
}

/// Forget a baseline.
#[utoipa::path(delete, path = "/audit/baselines/{name}", tag = "Audit",
    params(("name" = String, Path, description = "The name it was kept under", example = "2026-10")),
    responses((status = 204, description = "It is gone"), ReadProblems))]
pub(super) async fn remove(
    State(app): State<App>,
    Caller(tenant): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let no_such_baseline = || ApiError::not_found("This tenant has no baseline of this name.");
    let name = name.parse().map_err(|_| no_such_baseline())?;
    let is_removed = app.store.remove_baseline(tenant.id, &name).await?;
    if is_removed { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_baseline()) }
}
