//! What a language model said of a log, and every byte that it was told.

use axum::{
    Json,
    extract::{Path, State},
};
use sentinelflow_domain::{
    analysis::ModelOpinion,
    second_opinion::{AskedIn, Exchange},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{caller::PathTenant, docs::ReadProblems, error::ApiError};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(opinion))
}

/// A model's part in an analysis: its own words, which no rule has verified.
#[derive(Serialize, ToSchema)]
#[schema(as = Opinion)]
pub struct OpinionShape<'a> {
    /// The model's own grading, which can raise the analysis's score to at most 89 where no rule detected anything grave.
    #[schema(minimum = 0, maximum = 100, example = 75)]
    score: u8,
    #[schema(example = "HIGH")]
    severity: &'static str,
    summary: &'a str,
    prevention_measures: Option<&'a str>,
    /// A MITRE ATT&CK technique.
    #[schema(example = "T1110")]
    technique: Option<&'a str>,
    /// The model makes light of what the rules detected; its grading is kept as a fact and not applied.
    contested: bool,
    /// It was given for an earlier log about which the very same had been asked.
    remembered: bool,
}

impl<'a> From<&'a ModelOpinion> for OpinionShape<'a> {
    fn from(opinion: &'a ModelOpinion) -> Self {
        let verdict = &opinion.verdict;
        Self {
            score: verdict.score.value(),
            severity: verdict.score.severity().as_str(),
            summary: &verdict.summary,
            prevention_measures: verdict.prevention_measures.as_deref(),
            technique: verdict.technique.as_deref(),
            contested: opinion.is_contested,
            remembered: opinion.is_remembered,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct OpinionOnLog {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    log_id: String,
    /// Null if the model gave none.
    #[schema(value_type = Option<OpinionShape<'static>>)]
    opinion: Option<serde_json::Value>,
    /// Why there is none.
    #[schema(example = "model_timeout")]
    degraded: Option<&'static str>,
    /// The request in which the model was asked; null if nothing was sent.
    exchange: Option<ExchangeShape>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Exchange)]
struct ExchangeShape {
    /// 32 hex digits.
    id: String,
    /// Which of the records that were sent is this log's.
    #[schema(example = "r1-3f9a02")]
    record: String,
    #[schema(format = DateTime)]
    asked_at: String,
    url: String,
    /// The body of the request, byte for byte.
    sent: String,
    /// The text of the model's answer.
    answer: Option<String>,
    /// What was wrong with the answer, if anything.
    failure: Option<String>,
    /// The model that answered.
    model: Option<String>,
    duration_ms: u64,
    tokens: u64,
    cost_usd: f64,
}

impl ExchangeShape {
    fn new(exchange: Exchange, asked: &AskedIn) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an amount for people")]
        let cost_usd = exchange.spent.nano_usd as f64 / 1e9;
        Self {
            id: exchange.id.to_string(),
            record: asked.record.to_string(),
            asked_at: exchange.asked_at.to_string(),
            url: exchange.url,
            sent: exchange.sent,
            answer: exchange.answer,
            failure: exchange.failure,
            model: exchange.model,
            duration_ms: exchange.duration_ms,
            tokens: exchange.spent.tokens,
            cost_usd,
        }
    }
}

/// Read what a language model said of a log, and what exactly it had been sent.
#[utoipa::path(get, path = "/security/logs/{username}/{log_id}/opinion", tag = "Security",
    params(
        ("username" = String, Path, description = "The tenant", example = "admin"),
        ("log_id" = String, Path, description = "24 hex digits"),
    ),
    responses((status = 200, body = OpinionOnLog), ReadProblems))]
async fn opinion(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    Path(path): Path<(String, String)>,
) -> Result<Json<OpinionOnLog>, ApiError> {
    let no_such_log = || ApiError::not_found("This tenant has no log of this id.");
    let (_, log_id) = path;
    let log_id = log_id.parse().map_err(|_| no_such_log())?;
    let log = app.store.find(tenant.id, log_id).await?.ok_or_else(no_such_log)?;
    let opinion = log.analysis.opinion.as_deref();
    let asked = opinion.map(|opinion| &opinion.verdict.asked).or(log.analysis.asked.as_ref());
    let exchange = match asked {
        Some(asked) => {
            let exchange = app.store.exchange(tenant.id, asked.exchange).await?;
            exchange.map(|exchange| ExchangeShape::new(exchange, asked))
        }
        None => None,
    };
    let opinion = opinion.map(|opinion| serde_json::to_value(OpinionShape::from(opinion))).transpose();
    Ok(Json(OpinionOnLog {
        log_id: log_id.to_string(),
        opinion: opinion.map_err(ApiError::damaged)?,
        degraded: log.analysis.degraded.map(sentinelflow_domain::analysis::Degraded::as_str),
        exchange,
    }))
}
