//! What only whoever runs the server may do.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{caller::Operator, docs::ReadProblems, error::ApiError, request_id};
use crate::{app::App, reload};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(reload))
}

#[derive(Serialize, ToSchema)]
struct InForce {
    /// Hash of the rules.
    #[schema(example = "9f3c0d1b5a7e4c26")]
    rule_set: String,
    /// How many rules events are judged by, those that come with the program included.
    rules: usize,
    indicators: u64,
    /// What of the files is not used, and why: the first 50 faults of rules, and the first 50 of lists.
    faults: Vec<FileFault>,
    /// How many more there are.
    more_faults: u64,
}

#[derive(Serialize, ToSchema)]
struct FileFault {
    #[schema(example = "/etc/sentinelflow/rules/mine.yml")]
    file: String,
    #[schema(minimum = 1, example = 7)]
    line: usize,
    reason: String,
}

impl From<reload::InForce> for InForce {
    fn from(in_force: reload::InForce) -> Self {
        let told = in_force.told;
        Self {
            rule_set: in_force.rule_set.to_string(),
            rules: in_force.rule_count,
            indicators: in_force.indicator_count,
            faults: told.faults.into_iter().map(FileFault::from).collect(),
            more_faults: told.more_faults,
        }
    }
}

impl From<reload::FileFault> for FileFault {
    fn from(fault: reload::FileFault) -> Self {
        Self { file: fault.file, line: fault.line, reason: fault.what }
    }
}

/// Read rules and lists of indicators again, as SIGHUP does; events are judged meanwhile.
///
/// A rule or an entry that can't be used is told and costs only itself. 422 says that the rules or the lists of before
/// stay in force: a folder can't be read, or nothing of a list can be used.
#[utoipa::path(post, path = "/operator/reload", tag = "Operator", security((), ("operator_token" = [])),
    responses((status = 200, body = InForce), ReadProblems))]
async fn reload(State(app): State<App>, _: Operator) -> Result<Json<InForce>, ApiError> {
    let in_force = app.reload.run(format!("Request {}", request_id::current())).await?;
    Ok(Json(in_force.into()))
}
