//! The doors: routes, and the envelope that every request and answer passes through.

mod accounts;
mod audit;
mod docs;
mod health;
mod security;
mod stats;

mod caller;
mod error;
mod extract;
mod leftover;
mod listen;
mod request_id;

use std::any::Any;

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use self::{error::ApiError, leftover::SharedBody};
use crate::{app::App, config::Mode};

pub use docs::openapi;
pub use listen::serve;

/// Returns the whole API of `API.md` as one service.
pub fn router(app: &App) -> Router {
    let (routes, openapi) = docs::routes().split_for_parts();
    routes
        .merge(docs::pages(openapi))
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), envelope))
}

/// Gives the request its id, turns strangers away from `dev`, and writes every failure as a problem.
async fn envelope(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id::of(request.headers());
    let (request, body) = share_body(request);
    let refused = if app.mode == Mode::Dev { refuse_strangers(&request).err() } else { None };
    let mut response = match refused {
        Some(refusal) => refusal.into_response(),
        None => request_id::scope(id.clone(), next.run(request)).await,
    };
    if let Some(problem) = problem_of(&mut response) {
        problem.write_into(&mut response, request_id::text(&id));
        if let Some(body) = body {
            body.discard().await;
        }
    }
    let headers = response.headers_mut();
    headers.insert(request_id::HEADER, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Keeps a hand on the request's body, if it has one.
fn share_body(request: Request) -> (Request, Option<SharedBody>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    let body = SharedBody::new(body);
    (Request::from_parts(parts, Body::new(body.clone())), Some(body))
}

/// A web page elsewhere can make a browser call loopback; its `Origin`, or a `Host` of its own making, tells.
fn refuse_strangers(request: &Request) -> Result<(), ApiError> {
    let refusal =
        || ApiError::forbidden("dev answers only requests whose Host is loopback, from its own pages.");
    let [host] = texts(request.headers(), &header::HOST)[..] else { return Err(refusal()) };
    let authority = request.uri().authority().map_or(host, |authority| authority.as_str());
    if !(is_loopback(host) && is_loopback(authority)) {
        return Err(refusal());
    }
    let is_own = |origin: &str| origin.strip_prefix("http://") == Some(host);
    let origins = texts(request.headers(), &header::ORIGIN);
    if origins.into_iter().all(is_own) { Ok(()) } else { Err(refusal()) }
}

/// Returns each value of a header; what is no text becomes an empty one.
fn texts<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Vec<&'r str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect()
}

/// Tells whether a `Host` header names this machine: `localhost`, 127.0.0.0/8 or `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Returns the failure that an answer stands for, also where the framework made the answer.
fn problem_of(response: &mut Response) -> Option<ApiError> {
    if let Some(problem) = response.extensions_mut().remove::<ApiError>() {
        return Some(problem);
    }
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    (is_failure && status != StatusCode::NOT_MODIFIED).then(|| ApiError::of_status(status))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer gives the panic away")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(request.id = %request_id::current(), panic = message.unwrap_or("unknown"), "A request panicked");
    ApiError::panicked().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_local() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1:8000",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
