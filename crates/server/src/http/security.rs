//! Log entries: analysed as they arrive, listed, resolved.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
};
use sentinelflow_domain::{
    analysis::{Analysis, Category, Degraded, Detection, Evidence, Judge, Level, Score, Severity},
    log_entry::{LogEntry, Metadata, SeverityLevel, Source},
    store::{LogFilter, LogId, LogRecord, StatusFilter},
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type, schema::AnyOfBuilder},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::{IdempotencyHeader, PathTenant, Reach},
    docs::{ReadProblems, WriteProblems},
    error::ApiError,
    extract::{Body, FromJson, JsonObject, Query, integer_of, next_link, parsed, within},
    opinion::OpinionShape,
};
use crate::{app::App, triage::Triaged};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(analyze))
        .routes(routes!(recent))
        .routes(routes!(one))
        .routes(routes!(resolve))
}

/// One log event. Any other member is kept in `metadata`.
#[derive(ToSchema)]
#[schema(as = LogEntry)]
#[expect(dead_code, reason = "describes the body; `FromJson` reads it")]
struct LogEntryShape {
    /// Where the event comes from.
    #[schema(min_length = 1, max_length = 256, example = "Nginx Gateway")]
    source: String,
    /// The event's id in the origin system.
    #[schema(example = 90210)]
    event_id: i64,
    /// `INFO`, `WARNING` or `CRITICAL` in any case; the syslog names `DEBUG`, `NOTICE`, `ERROR`, `ALERT` and `EMERGENCY` are mapped.
    #[schema(
        pattern = "^([Ii][Nn][Ff][Oo]|[Ww][Aa][Rr][Nn][Ii][Nn][Gg]|[Cc][Rr][Ii][Tt][Ii][Cc][Aa][Ll]|[Dd][Ee][Bb][Uu][Gg]|[Nn][Oo][Tt][Ii][Cc][Ee]|[Ee][Rr][Rr][Oo][Rr]|[Aa][Ll][Ee][Rr][Tt]|[Ee][Mm][Ee][Rr][Gg][Ee][Nn][Cc][Yy])$",
        example = "WARNING"
    )]
    severity_level: String,
    /// The raw log text: at most 64 KiB of UTF-8.
    #[schema(min_length = 1, max_length = 65536, example = "SQL Injection pattern detected in header")]
    message: String,
    /// Context: at most 64 KiB of JSON, at most 32 deep.
    #[schema(value_type = Option<Object>, example = json!({"ip": "45.22.19.11", "path": "/api/v1/users"}))]
    metadata: Option<serde_json::Value>,
    /// When it happened: RFC 3339 with an offset, or seconds or milliseconds since 1970.
    #[schema(schema_with = event_time, required = false)]
    timestamp: Option<String>,
}

/// RFC 3339 text, an epoch number, or nothing.
fn event_time() -> Schema {
    let number = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(-62_135_596_800.0))
        .maximum(Some(253_402_207_200_000.0));
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-01-31T08:00:00Z"]);
    AnyOfBuilder::new().item(text).item(number).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}

impl FromJson for LogEntry {
    fn from_json(object: &mut JsonObject<'_>) -> Option<Self> {
        let source: Option<Source> = object.required("source");
        let event_id = object.required_integer("event_id");
        let severity_level = object.required("severity_level").map(|Graded(level)| level);
        let message = object.required("message");
        let timestamp = timestamp(object);
        let metadata = metadata(object);
        Some(Self {
            source: source?,
            event_id: event_id?,
            severity_level: severity_level?,
            message: message?,
            metadata: metadata?,
            timestamp,
        })
    }
}

/// Lets `JsonObject` read a level.
struct Graded(SeverityLevel);

impl TryFrom<String> for Graded {
    type Error = sentinelflow_domain::log_entry::InvalidSeverityLevel;

    fn try_from(raw: String) -> Result<Self, Self::Error> {
        raw.parse().map(Self)
    }
}

fn timestamp(object: &mut JsonObject<'_>) -> Option<Timestamp> {
    let raw = object.take("timestamp")?;
    let read = match serde_json::from_str(raw.get()) {
        Ok(serde_json::Value::String(text)) => text.parse(),
        Ok(serde_json::Value::Number(_)) => {
            let number = integer_of(raw).map_or_else(|| raw.get().parse(), |whole| whole.to_string().parse());
            Timestamp::from_epoch(number.unwrap_or(f64::NAN))
        }
        _ => Err(sentinelflow_domain::time::InvalidTimestamp),
    };
    read.map_err(|error| object.fault("timestamp", error.to_string())).ok()
}

fn metadata(object: &mut JsonObject<'_>) -> Option<Metadata> {
    let raw = object.take("metadata").map_or("{}", RawValue::get);
    let rest = object.take_rest();
    let extra: Vec<(&str, &RawValue)> = rest.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
    Metadata::with_extra(raw, &extra).map_err(|error| object.fault("metadata", error.to_string())).ok()
}

#[derive(Serialize, ToSchema)]
struct Analyzed<'a> {
    #[schema(value_type = String, example = "65b21f3e9c1d4a0007f3a1b2")]
    log_id: LogId,
    analysis: AnalysisShape<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Analysis)]
struct AnalysisShape<'a> {
    #[schema(minimum = 0, maximum = 100, example = 85)]
    score: u8,
    /// A function of the score: NONE below 20, LOW below 40, MEDIUM below 70, HIGH below 90, CRITICAL.
    #[schema(example = "HIGH")]
    severity: &'static str,
    summary: &'a str,
    prevention_measures: &'a str,
    #[schema(example = "sql_injection")]
    category: &'static str,
    #[schema(value_type = String, example = "rules")]
    engine: Judge,
    /// The language model that gave its opinion, in its provider's words.
    #[schema(example = "gemini-3.5-flash-lite")]
    model: Option<&'a str>,
    /// What a language model said; null if none did.
    opinion: Option<OpinionShape<'a>>,
    /// MITRE ATT&CK techniques.
    #[schema(value_type = Vec<String>, example = json!(["T1190"]))]
    techniques: &'a [std::sync::Arc<str>],
    #[serde(serialize_with = "each_as::<DetectionShape<'_>, _, _>")]
    #[schema(value_type = Vec<DetectionShape<'a>>)]
    detections: &'a [Detection],
    /// Why the analysis stands without the model's part, null if it has it.
    #[schema(value_type = Option<String>, example = "model_off")]
    degraded: Option<Degraded>,
    engine_version: &'a str,
    /// The hash of the rules that judged; where lists of indicators were looked in, a `+` and theirs.
    rule_set: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Detection)]
struct DetectionShape<'a> {
    id: &'a str,
    title: &'a str,
    #[schema(value_type = String, example = "high")]
    level: Level,
    #[serde(serialize_with = "each_as::<EvidenceShape<'_>, _, _>")]
    #[schema(value_type = Vec<EvidenceShape<'a>>)]
    evidence: &'a [Evidence],
    /// Ids of earlier logs of the tenant that this rests on, the latest last; of many, the latest 16. Absent if none.
    #[serde(skip_serializing_if = "<[LogId]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    events: &'a [LogId],
}

#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
struct EvidenceShape<'a> {
    field: &'a str,
    /// A piece of the field; control and bidirectional characters are written as escapes.
    excerpt: &'a str,
}

/// Writes each item as its shape; a list of the shapes would be made only to be written.
fn each_as<'a, Shape, Item, S>(items: &&'a [Item], serializer: S) -> Result<S::Ok, S::Error>
where
    Shape: From<&'a Item> + Serialize,
    S: Serializer,
{
    serializer.collect_seq(items.iter().map(Shape::from))
}

impl<'a> From<&'a Analysis> for AnalysisShape<'a> {
    fn from(analysis: &'a Analysis) -> Self {
        Self {
            score: analysis.score.value(),
            severity: analysis.score.severity().as_str(),
            summary: &analysis.summary,
            prevention_measures: &analysis.prevention_measures,
            category: analysis.category.as_str(),
            engine: analysis.judge(),
            model: analysis.opinion.as_deref().map(|opinion| &*opinion.verdict.model),
            opinion: analysis.opinion.as_deref().map(OpinionShape::from),
            techniques: &analysis.techniques,
            detections: &analysis.detections,
            degraded: analysis.degraded,
            engine_version: &analysis.engine_version,
            rule_set: &analysis.rule_set,
        }
    }
}

impl<'a> From<&'a Detection> for DetectionShape<'a> {
    fn from(detection: &'a Detection) -> Self {
        Self {
            id: &detection.id,
            title: &detection.title,
            level: detection.level,
            evidence: &detection.evidence,
            events: &detection.events,
        }
    }
}

impl<'a> From<&'a Evidence> for EvidenceShape<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Self { field: &evidence.field, excerpt: &evidence.excerpt }
    }
}

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Analyse one log event. The answer is sent once the event is stored durably.
#[utoipa::path(post, path = "/security/analyze/{username}", tag = "Security", request_body = LogEntryShape,
    params(
        ("username" = String, Path, description = "The tenant", example = "admin"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A retry under the same key stores nothing new and gets the first answer",
            min_length = 1, max_length = 128, pattern = "^[!-~]{1,128}$"),
    ),
    responses((status = 200, body = Analyzed<'static>), WriteProblems))]
async fn analyze(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    IdempotencyHeader(key): IdempotencyHeader,
    Body(entry): Body<LogEntry>,
) -> Result<(HeaderMap, JsonText), ApiError> {
    let Triaged { log_id, analysis, is_replay } = app.triage.analyze(&tenant, entry, key).await?;
    let mut headers = HeaderMap::new();
    if is_replay {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok((headers, json(&Analyzed { log_id, analysis: (&*analysis).into() })))
}

/// An answer that is written already.
type JsonText = ([(HeaderName, HeaderValue); 1], Vec<u8>);

/// Writes an answer that borrows from what it tells.
fn json(answer: &impl Serialize) -> JsonText {
    // What an analysis usually takes: growing to it would copy it three times.
    let mut text = Vec::with_capacity(2 * 1024);
    serde_json::to_writer(&mut text, answer).expect("answers have string keys and finite numbers");
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text)
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogRecord)]
pub struct LogShape<'a> {
    #[schema(example = "65b21f3e9c1d4a0007f3a1b2")]
    id: String,
    #[schema(example = "Nginx Gateway")]
    source: &'a str,
    event_id: i64,
    #[schema(example = "WARNING")]
    severity_level: &'static str,
    message: &'a str,
    #[schema(value_type = Object)]
    metadata: &'a RawValue,
    /// When the origin says that it happened.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    #[schema(format = DateTime)]
    received_at: String,
    /// `active` or `resolved`.
    #[schema(example = "active")]
    status: &'static str,
    #[schema(format = DateTime)]
    resolved_at: Option<String>,
    analysis: AnalysisShape<'a>,
}

impl<'a> LogShape<'a> {
    pub fn of(log: &'a LogRecord) -> Result<Self, ApiError> {
        Ok(Self {
            id: log.id.to_string(),
            source: log.entry.source.as_str(),
            event_id: log.entry.event_id,
            severity_level: log.entry.severity_level.as_str(),
            message: log.entry.message.as_str(),
            metadata: serde_json::from_str(log.entry.metadata.as_str()).map_err(ApiError::damaged)?,
            timestamp: log.entry.timestamp.map(|moment| moment.to_string()),
            received_at: log.received_at.to_string(),
            status: if log.resolved_at.is_some() { "resolved" } else { "active" },
            resolved_at: log.resolved_at.map(|moment| moment.to_string()),
            analysis: (&*log.analysis).into(),
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `filter` reads it")]
struct LogQuery {
    /// How many logs a page holds.
    #[param(minimum = 1, maximum = 500, default = 10)]
    limit: Option<u16>,
    /// Where the page begins: taken from the `Link` of the page before.
    #[param(pattern = "^[0-9A-Fa-f]{24}$")]
    cursor: Option<String>,
    /// `active` (threats nobody resolved), `resolved`, or `all` (benign logs too).
    #[param(pattern = "^(active|resolved|all)$")]
    status: Option<String>,
    #[param(minimum = 0, maximum = 100)]
    min_score: Option<u8>,
    /// Only this severity.
    #[param(pattern = "^(NONE|LOW|MEDIUM|HIGH|CRITICAL)$")]
    severity: Option<String>,
    /// Only this source, exactly.
    #[param(max_length = 256)]
    source: Option<String>,
    /// Only this category, such as `sql_injection`.
    #[param(
        pattern = "^(none|sql_injection|xss|path_traversal|remote_code_execution|brute_force|auth_failure|scanner|privilege_escalation|malware|policy|other)$"
    )]
    category: Option<String>,
    /// A piece of the message, the source or the summary.
    #[param(min_length = 1, max_length = 256)]
    q: Option<String>,
    /// Received at or after this moment.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Received before this moment.
    #[param(format = DateTime)]
    until: Option<String>,
}

fn filter(mut query: Query) -> Result<LogFilter, ApiError> {
    let default = LogFilter::default();
    let filter = LogFilter {
        limit: query.take("limit", within(1, 500)).unwrap_or(default.limit),
        before: query.take("cursor", parsed),
        status: query.take("status", status_filter).unwrap_or(default.status),
        min_score: query.take("min_score", |text| {
            within(0, 100)(text).map(|score| Score::saturating(u8::try_from(score).unwrap_or(u8::MAX)))
        }),
        severity: query.take("severity", severity),
        source: query.take("source", |text| bounded(text, 0)),
        category: query.take("category", category),
        text: query.take("q", |text| bounded(text, 1)),
        since: query.take("since", parsed),
        until: query.take("until", parsed),
    };
    query.finish().map(|()| filter)
}

fn status_filter(text: &str) -> Result<StatusFilter, String> {
    match text {
        "active" => Ok(StatusFilter::Active),
        "resolved" => Ok(StatusFilter::Resolved),
        "all" => Ok(StatusFilter::All),
        _ => Err("must be active, resolved or all".to_owned()),
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    let found = Severity::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "must be NONE, LOW, MEDIUM, HIGH or CRITICAL".to_owned())
}

fn category(text: &str) -> Result<Category, String> {
    let names = || Category::ALL.map(Category::as_str).join(", ");
    Category::ALL
        .into_iter()
        .find(|category| category.as_str() == text)
        .ok_or_else(|| format!("must be one of {}", names()))
}

fn bounded(text: &str, least: usize) -> Result<String, String> {
    let is_bounded = (least..=256).contains(&text.chars().count());
    if is_bounded { Ok(text.to_owned()) } else { Err(format!("must be {least} to 256 characters")) }
}

/// List logs, newest first; by default the ten most recent active threats. `Link` leads to the next page.
#[utoipa::path(get, path = "/security/logs/{username}", tag = "Security",
    params(("username" = String, Path, description = "The tenant", example = "admin"), LogQuery),
    responses((status = 200, body = [LogShape<'static>]), ReadProblems))]
async fn recent(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    uri: Uri,
) -> Result<(HeaderMap, JsonText), ApiError> {
    let page = app.store.recent(tenant.id, filter(Query::of(&uri))?).await?;
    let logs: Vec<LogShape<'_>> = page.items.iter().map(LogShape::of).collect::<Result<_, _>>()?;
    Ok((next_link(&uri, page.next), json(&logs)))
}

/// Fetch one log, whole.
#[utoipa::path(get, path = "/security/logs/{username}/{log_id}", tag = "Security",
    params(
        ("username" = String, Path, description = "The tenant", example = "admin"),
        ("log_id" = String, Path, description = "24 hex digits"),
    ),
    responses((status = 200, body = LogShape<'static>), ReadProblems))]
async fn one(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    Path(path): Path<(String, String)>,
) -> Result<JsonText, ApiError> {
    let no_such_log = || ApiError::not_found("This tenant has no log of this id.");
    let (_, log_id) = path;
    let log_id = log_id.parse().map_err(|_| no_such_log())?;
    let log = app.store.find(tenant.id, log_id).await?.ok_or_else(no_such_log)?;
    Ok(json(&LogShape::of(&log)?))
}

#[derive(Serialize, ToSchema)]
struct Resolution {
    id: String,
    #[schema(example = "resolved")]
    status: &'static str,
    /// When it was first resolved.
    #[schema(format = DateTime)]
    resolved_at: String,
}

/// Mark a threat as resolved: it leaves the feed and stays in the statistics. Doing it again changes nothing.
#[utoipa::path(delete, path = "/security/issue/{issue_id}", tag = "Security",
    params(("issue_id" = String, Path, description = "The log's id: 24 hex digits")),
    responses((status = 200, body = Resolution), ReadProblems))]
async fn resolve(
    State(app): State<App>,
    Reach(owner): Reach,
    Path(issue_id): Path<String>,
) -> Result<Json<Resolution>, ApiError> {
    let no_such_issue = || ApiError::not_found("There is no issue of this id.");
    let id = issue_id.parse().map_err(|_| no_such_issue())?;
    let resolved_at = app.store.resolve(owner, id, app.clock.now()).await?.ok_or_else(no_such_issue)?;
    Ok(Json(Resolution { id: id.to_string(), status: "resolved", resolved_at: resolved_at.to_string() }))
}
