//! New threats as Server-Sent Events.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Uri},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::{self, StreamExt as _};
use sentinelflow_domain::store::{LogId, LogRecord};
use tracing::error;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::PathTenant,
    docs::{ReadProblems, TooManyProblem},
    error::ApiError,
    extract::{Query, parsed},
    request_id,
    security::LogShape,
};
use crate::{
    app::App,
    live::{Live, News},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(threats))
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx, and who follows it, not to hold events back.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
/// After so long without an event a comment is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client is asked to wait before it comes back.
const RETRY: Duration = Duration::from_secs(3);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `last_event_id` reads it")]
struct StreamQuery {
    /// As the header `Last-Event-ID`, which goes before it, for clients that can't send headers.
    #[param(pattern = "^[0-9A-Fa-f]{24}$")]
    last_event_id: Option<String>,
}

/// Follow new threats (severity LOW and above) as Server-Sent Events, each once and in the order of recording.
///
/// Each `event: threat` has the log's id as its `id` and, as its `data`, what `GET /security/logs/{username}` tells of
/// it. Without `Last-Event-ID` the stream begins now; with it, it goes on behind that log, whatever was recorded
/// meanwhile. The first message names in its `id` where the stream begins, and a comment comes at least every 15 s.
///
/// A log that a language model's late opinion makes a threat is told at once while the stream is open; if newer threats
/// were told before, without an `id`, as it is no place to go on from. Whoever comes back later may find it in the list
/// only. `event: missed` says that some threats from the log `from` on may not be told.
///
/// Where several servers share a MongoDB the stream tells what any of them records, in the order of the commits.
#[utoipa::path(get, path = "/security/stream/{username}", tag = "Security",
    params(
        ("username" = String, Path, description = "The tenant", example = "admin"),
        ("Last-Event-ID" = Option<String>, Header,
            description = "The id of the last event that was received", pattern = "^[0-9A-Fa-f]{24}$"),
        StreamQuery,
    ),
    responses((status = 200, body = String, content_type = "text/event-stream"), ReadProblems, TooManyProblem))]
async fn threats(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    headers: HeaderMap,
    uri: Uri,
) -> Result<impl IntoResponse, ApiError> {
    let after = last_event_id(&headers, Query::of(&uri))?;
    let live =
        Live::open(app.store.clone(), app.feed.as_deref(), &app.triage.listeners, tenant.id, after).await?;
    let opening = Event::default().comment("open").retry(RETRY).id(live.start().to_string());
    let request_id = request_id::current();
    let events = stream::unfold(live, move |mut live| {
        let request_id = request_id.clone();
        async move {
            let news = live.next().await?;
            Some((event(news, &request_id), live))
        }
    });
    let events = stream::once(std::future::ready(opening)).chain(events).map(Ok::<_, Infallible>);
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).event(Event::default().comment(""));
    Ok(([UNBUFFERED], Sse::new(events).keep_alive(heartbeat)))
}

/// Returns where the client wants to go on. A browser that comes back sends the header beside its old query.
fn last_event_id(headers: &HeaderMap, mut query: Query) -> Result<Option<LogId>, ApiError> {
    let asked = query.take("last_event_id", parsed);
    query.finish()?;
    let Some(header) = headers.get(LAST_EVENT_ID) else { return Ok(asked) };
    let last = header.to_str().ok().and_then(|text| text.parse().ok());
    last.map(Some)
        .ok_or_else(|| ApiError::malformed("Last-Event-ID must be 24 hex digits, as an event's id is."))
}

fn event(news: News, request_id: &str) -> Event {
    match news {
        News::Threat(log) => match threat(&log) {
            Ok(event) => event.id(log.id.to_string()),
            Err(_) => missed(log.id).id(log.id.to_string()),
        },
        News::Late(log) => threat(&log).unwrap_or_else(|_| missed(log.id)),
        News::Missed(from) => missed(from),
        News::Trouble(error) => {
            error!(request.id = %request_id, error = ?error, "A stream can't read the store; it tries again");
            Event::default().comment("the store gives no answer; it is asked again, and nothing is skipped")
        }
    }
}

fn threat(log: &LogRecord) -> Result<Event, ApiError> {
    let json = serde_json::to_string(&LogShape::of(log)?).map_err(ApiError::damaged)?;
    // Metadata stand as they were sent, maybe in several lines. In a JSON text a line ends only between two tokens.
    let line = json.replace(['\n', '\r'], " ");
    Ok(Event::default().event("threat").data(line))
}

fn missed(from: LogId) -> Event {
    Event::default().event("missed").data(format!("{{\"from\":\"{from}\"}}"))
}
