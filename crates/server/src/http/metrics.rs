//! `GET /metrics`: what the server counts, in Prometheus' text format.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{caller::Operator, docs::ReadProblems};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Tell what was counted since the start, for Prometheus. Under `serve` it is the operator's.
#[utoipa::path(get, path = "/metrics", tag = "Health", security((), ("operator_token" = [])),
    responses((status = 200, body = String, content_type = "text/plain"), ReadProblems))]
async fn metrics(State(app): State<App>, _: Operator) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], app.metrics.render())
}
