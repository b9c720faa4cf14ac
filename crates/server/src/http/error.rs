//! The closed list of statuses and sentences: every error of every room becomes a problem (RFC 9457) here.

use std::{borrow::Cow, io::ErrorKind};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sentinelflow_domain::store::StoreError;
use sentinelflow_forensic::ScanError;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use super::request_id;
use crate::{
    credentials::CredentialsError, hunts::HuntError, live::LiveError, reload::ReloadError,
    triage::TriageError,
};

/// A failure as the caller will read it.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body, or `?name` for a query parameter; of a reload, into its answer.
    #[schema(example = "/metadata/ip")]
    pub pointer: String,
    pub message: String,
}

/// The body of every failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    #[serde(rename = "type")]
    #[schema(example = "urn:sentinelflow:problem:invalid_input")]
    kind: String,
    #[schema(example = "Unprocessable Entity")]
    title: &'a str,
    #[schema(example = 422)]
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Fault],
}

impl ApiError {
    /// A failure of the caller, told in the room's own sentence.
    pub fn client(status: StatusCode, kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, detail: detail.into(), faults: Vec::new(), headers: Vec::new() }
    }

    /// A failure of ours: the cause is logged here, once, and the caller gets a constant sentence.
    fn server(cause: &dyn std::error::Error) -> Self {
        error!(request.id = %request_id::current(), error = %Chain(cause), "A request failed inside: {}", Chain(cause));
        Self::client(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed inside the server; it was logged under this request id.",
        )
    }

    /// A dependency is down; the request was not acknowledged and may be sent again.
    fn unavailable(cause: &dyn std::error::Error) -> Self {
        error!(request.id = %request_id::current(), error = %Chain(cause), "A dependency is unavailable: {}", Chain(cause));
        Self::client(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The store gives no answer now; nothing was acknowledged. Try again; an Idempotency-Key stores an event once.",
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("2"))
    }

    /// The disk is full; nothing of the request was kept.
    fn no_room(cause: &std::io::Error) -> Self {
        error!(request.id = %request_id::current(), error = %cause, "There is no room on the disk: {cause}");
        Self::client(
            StatusCode::INSUFFICIENT_STORAGE,
            "insufficient_storage",
            "There is no room for this on the server's disk; nothing was kept.",
        )
    }

    pub fn not_found(detail: &'static str) -> Self {
        Self::client(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::client(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub fn invalid(faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [only] if only.pointer.is_empty() => format!("The body {}.", only.message),
            [only] => format!("{} {}.", only.pointer, only.message),
            _ => format!("{} things are wrong with the input; see errors.", faults.len()),
        };
        Self { faults, ..Self::client(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", detail) }
    }

    pub fn unauthenticated() -> Self {
        Self::challenge(
            "Bearer realm=\"sentinelflow\", Basic realm=\"sentinelflow\", charset=\"UTF-8\"",
            "This call needs credentials: an API key (Authorization: Bearer sf_…) or name and password (HTTP Basic).",
        )
    }

    pub fn no_operator() -> Self {
        Self::challenge(
            "Bearer realm=\"sentinelflow operator\"",
            "This call needs the operator's token (Authorization: Bearer …).",
        )
    }

    fn challenge(challenge: &'static str, detail: &'static str) -> Self {
        Self::client(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    pub fn forbidden(detail: &'static str) -> Self {
        Self::client(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Something stored can't be read back.
    pub fn damaged(cause: impl std::error::Error) -> Self {
        Self::server(&cause)
    }

    pub fn panicked() -> Self {
        Self::client(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed inside the server; it was logged under this request id.",
        )
    }

    /// The problem of an answer that the framework made by itself, such as 405.
    pub fn of_status(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::NOT_FOUND => {
                ("not_found", "There is nothing at this address; /docs lists what there is.")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "This address does not take this method; see the Allow header.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The request is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "The body's media type is not supported here.")
            }
            status if status.is_server_error() => {
                ("internal", "Something failed inside the server; it was logged under this request id.")
            }
            _ => ("malformed", "The request can't be understood."),
        };
        Self::client(status, kind, detail)
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Writes the problem into `response`, whose other headers stay.
    pub fn write_into(&self, response: &mut Response, request_id: &str) {
        let problem = Problem {
            kind: format!("urn:sentinelflow:problem:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            request_id,
            errors: &self.faults,
        };
        let body = serde_json::to_vec(&problem).expect("a problem is plain strings and numbers");
        *response.body_mut() = Body::from(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// The body is written by the envelope (`http.rs`), which knows the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::client(StatusCode::CONFLICT, "conflict", "This name is taken."),
            StoreError::Unavailable(_) => Self::unavailable(&error),
            StoreError::Damaged(_) => Self::server(&error),
        }
    }
}

impl From<TriageError> for ApiError {
    fn from(error: TriageError) -> Self {
        match error {
            TriageError::KeyOfAnotherEntry => Self::client(
                StatusCode::CONFLICT,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another log entry; nothing was stored.",
            ),
            TriageError::Store(error) => error.into(),
            TriageError::BrokeOff(_) => Self::server(&error),
        }
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::TooMany(error) => Self::client(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_streams",
                format!("{error}; close one, or try again when one has ended."),
            )
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("10")),
            LiveError::Store(error) => error.into(),
        }
    }
}

impl From<CredentialsError> for ApiError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::Store(error) => error.into(),
            CredentialsError::Hashing(_) => Self::server(&error),
        }
    }
}

impl From<getrandom::Error> for ApiError {
    fn from(error: getrandom::Error) -> Self {
        Self::server(&error)
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        if is_disk_full(&error) {
            return Self::no_room(&error);
        }
        Self::server(&error)
    }
}

impl From<HuntError> for ApiError {
    fn from(error: HuntError) -> Self {
        match error {
            HuntError::Scan(error) => error.into(),
            HuntError::Store(error) => error.into(),
            HuntError::Busy => Self::client(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Other scans take all the time there is; nothing was kept. Try again.",
            )
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("30")),
            HuntError::Spool(error) => error.into(),
            HuntError::NoSuchBaseline(_) => {
                let fault = Fault { pointer: "?baseline".to_owned(), message: error.to_string() };
                Self::invalid(vec![fault])
            }
            HuntError::Baseline(_) => {
                Self::client(StatusCode::UNPROCESSABLE_ENTITY, "baseline_unusable", format!("{error}."))
            }
            HuntError::BaselineTooLarge => {
                Self::client(StatusCode::UNPROCESSABLE_ENTITY, "baseline_too_large", format!("{error}."))
            }
            HuntError::NameTaken | HuntError::TooManyBaselines => {
                Self::client(StatusCode::CONFLICT, "conflict", format!("{error}."))
            }
            HuntError::QueueFull(full) => Self::client(
                StatusCode::TOO_MANY_REQUESTS,
                "queue_full",
                format!("{full}; nothing was kept. Try again when some of them have ended."),
            )
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("30")),
            HuntError::BrokeOff | HuntError::NoThread(_) => Self::server(&error),
        }
    }
}

impl From<ReloadError> for ApiError {
    fn from(error: ReloadError) -> Self {
        let detail = format!("{error}; see errors.");
        match error {
            ReloadError::Kept(told) => {
                let kept = told.kept.into_iter().map(|kept| Fault {
                    pointer: format!("/{}", kept.what),
                    message: format!("stay as they were: {}", kept.why),
                });
                let of_files = told
                    .faults
                    .into_iter()
                    .map(|fault| Fault { pointer: "/faults".to_owned(), message: fault.to_string() });
                let more = (told.more_faults > 0).then(|| Fault {
                    pointer: "/more_faults".to_owned(),
                    message: format!("{} more are not used", told.more_faults),
                });
                let faults = kept.chain(of_files).chain(more).collect();
                Self { faults, ..Self::client(StatusCode::UNPROCESSABLE_ENTITY, "reload_refused", detail) }
            }
            ReloadError::BrokeOff(_) => Self::server(&error),
        }
    }
}

impl From<ScanError> for ApiError {
    fn from(error: ScanError) -> Self {
        let (status, kind) = match &error {
            ScanError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            ScanError::NotATable { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "not_a_table"),
            ScanError::TooFewRows { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_few_rows"),
            ScanError::NothingToLearn { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "nothing_to_learn"),
            ScanError::NoSuchSheet { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "no_such_sheet"),
            ScanError::NoSuchColumn { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "no_such_column"),
            ScanError::EngineUnavailable { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "engine_unavailable"),
            // Nobody waits for this answer any more.
            ScanError::Cancelled => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            ScanError::BaselineMismatch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "baseline_mismatch"),
            ScanError::Unreadable(cause) | ScanError::Unwritten(cause) if is_disk_full(cause) => {
                return Self::no_room(cause);
            }
            ScanError::Unreadable(_) | ScanError::Unwritten(_) => return Self::server(&error),
        };
        Self::client(status, kind, format!("{error}."))
    }
}

fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// An error with its sources, on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_wherever_it_is_noticed() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let noticed = [
            ApiError::from(HuntError::Spool(full())),
            ApiError::from(HuntError::Scan(ScanError::Unreadable(full()))),
            ApiError::from(HuntError::Scan(ScanError::Unwritten(full()))),
        ];
        for error in noticed {
            assert_eq!((error.status.as_u16(), error.kind), (507, "insufficient_storage"));
        }
        assert_eq!(ApiError::from(HuntError::Spool(ErrorKind::NotFound.into())).status.as_u16(), 500);
    }
}
