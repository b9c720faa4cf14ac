//! The doors: routes, and the envelope that every request and answer passes through.

mod accounts;
mod audit;
mod docs;
mod health;
mod live;
mod metrics;
mod operator;
mod opinion;
mod security;
mod stats;

mod caller;
mod error;
mod extract;
mod head_timer;
mod joined_writes;
mod leftover;
mod listen;
mod request_id;

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Incoming;
use tower::Service as _;
use tracing::error;

use self::{error::ApiError, leftover::SharedBody};
use crate::{app::App, config::Mode};

pub use docs::openapi;
pub use listen::serve;

/// The whole API of `API.md`. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    router: Router,
    mode: Mode,
}

impl Api {
    pub fn new(app: &App) -> Self {
        let (routes, openapi) = docs::routes().split_for_parts();
        let router = routes.merge(docs::pages(openapi)).with_state(app.clone());
        Self { router, mode: app.mode }
    }

    /// The envelope: gives the request its id, turns strangers away from `dev`, and writes every failure as a problem.
    // As layers of the router these would be boxed and copied for each request.
    async fn answer(self, request: Request<Incoming>) -> Response {
        let id = request_id::of(request.headers());
        let (request, body) = share_body(request);
        let refused = if self.mode == Mode::Dev { refuse_strangers(&request).err() } else { None };
        let mut response = match refused {
            Some(refusal) => refusal.into_response(),
            None => request_id::scope(id.clone(), routed(self.router, request)).await,
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
}

/// Keeps a hand on the request's body, if it has one.
fn share_body(request: Request<Incoming>) -> (Request, Option<SharedBody>) {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(parts, Body::empty()), None);
    }
    let body = SharedBody::new(body);
    (Request::from_parts(parts, Body::new(body.clone())), Some(body))
}

/// Returns the answer of the request's handler; a panic there is an answer too.
async fn routed(mut router: Router, request: Request) -> Response {
    let mut answer = pin!(async move { router.call(request).await });
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(answer) => answer.map(|Ok(response)| response),
        Err(panic) => Poll::Ready(panicked(&*panic)),
    })
    .await
}

/// A web page elsewhere can make a browser call loopback; its `Origin`, or a `Host` of its own making, tells.
fn refuse_strangers(request: &Request) -> Result<(), ApiError> {
    let refusal =
        || ApiError::forbidden("dev answers only requests whose Host is loopback, from its own pages.");
    let mut hosts = texts(request.headers(), header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(refusal()) };
    let is_authority_loopback =
        request.uri().authority().is_none_or(|authority| is_loopback(authority.as_str()));
    if !(is_loopback(host) && is_authority_loopback) {
        return Err(refusal());
    }
    let is_own = |origin: &str| origin.strip_prefix("http://") == Some(host);
    if texts(request.headers(), header::ORIGIN).all(is_own) { Ok(()) } else { Err(refusal()) }
}

/// Returns each value of a header; what is no text becomes an empty one.
fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or(""))
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

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(request.id = %request_id::current(), panic = message.unwrap_or("unknown"), "A request panicked");
    ApiError::panicked().into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_answers_with_a_failure() {
        async fn broken() -> StatusCode {
            tokio::task::yield_now().await;
            panic!("broken")
        }
        let router = Router::new().route("/", get(broken));
        let mut response = routed(router, Request::new(Body::empty())).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(problem_of(&mut response).is_some());
    }

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
