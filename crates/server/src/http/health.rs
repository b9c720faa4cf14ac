//! `GET /healthz` and `GET /readyz`: for whoever restarts or routes.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{docs::ReadProblems, error::ApiError};
use crate::app::App;

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
}

const HEALTHY: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Tells that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "Health", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(HEALTHY)
}

/// Tells that the store reads and writes.
#[utoipa::path(get, path = "/readyz", tag = "Health", responses((status = 200, body = Health), ReadProblems))]
async fn readyz(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    app.store.ping().await?;
    Ok(Json(HEALTHY))
}
