//! What a caller sent, kept for tests to look at.

use std::collections::BTreeSet;

use hyper::http::{HeaderValue, header::AUTHORIZATION, request::Parts};
use serde_json::Value;

const API_KEY_HEADER: &str = "x-goog-api-key";

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case; of a credential only its length, such as `<39 bytes>`.
    pub headers: Vec<(String, String)>,
    /// The first credential, without the word `Bearer`.
    pub credential: Option<String>,
    pub body: Vec<u8>,
    /// The same number for requests that came over the same TCP connection.
    pub connection: usize,
    /// The records in the prompt, as they arrived. Empty where the request was refused for its form.
    pub records: Vec<Value>,
}

impl Received {
    pub(crate) fn new(head: &Parts, body: &[u8], connection: usize, records: Vec<Value>) -> Self {
        let headers = head.headers.iter().map(|(name, value)| {
            let is_credential = name == API_KEY_HEADER || name == AUTHORIZATION;
            (name.as_str().to_owned(), if is_credential { only_its_length(value) } else { readable(value) })
        });
        Self {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: headers.collect(),
            credential: credentials(head).into_iter().next().map(|credential| credential.value),
            body: body.to_vec(),
            connection,
            records,
        }
    }

    /// Returns the body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the value of the header with this name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Everything received since the start or since it was last forgotten.
#[derive(Default)]
pub(crate) struct Records {
    received: Vec<Received>,
    closed: bool,
}

impl Records {
    pub(crate) fn add(&mut self, received: impl FnOnce() -> Received) {
        if !self.closed {
            self.received.push(received());
        }
    }

    pub(crate) fn all(&self) -> &[Received] {
        &self.received
    }

    pub(crate) fn connections(&self) -> usize {
        self.received.iter().map(|received| received.connection).collect::<BTreeSet<_>>().len()
    }

    pub(crate) fn forget(&mut self) {
        self.received.clear();
    }

    pub(crate) fn close(&mut self) {
        self.forget();
        self.closed = true;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    ApiKeyHeader,
    Bearer,
    /// An `authorization` header of another scheme.
    OtherAuthorization,
    Query,
}

/// Something that proves who the caller is, and where it stood.
pub(crate) struct Credential {
    pub(crate) place: Place,
    pub(crate) value: String,
}

/// Returns every credential in the request, also where none belongs.
pub(crate) fn credentials(head: &Parts) -> Vec<Credential> {
    let api_keys = head.headers.get_all(API_KEY_HEADER).into_iter();
    let api_keys = api_keys.map(|value| Credential { place: Place::ApiKeyHeader, value: readable(value) });

    let authorizations = head.headers.get_all(AUTHORIZATION).into_iter().map(|value| {
        let value = readable(value);
        match value.strip_prefix("Bearer ") {
            Some(token) => Credential { place: Place::Bearer, value: token.to_owned() },
            None => Credential { place: Place::OtherAuthorization, value },
        }
    });

    let query = head.uri.query().unwrap_or_default().split('&');
    let in_query = query.filter_map(|pair| pair.strip_prefix("key="));
    let in_query = in_query.map(|value| Credential { place: Place::Query, value: value.to_owned() });

    api_keys.chain(authorizations).chain(in_query).collect()
}

fn only_its_length(value: &HeaderValue) -> String {
    match readable(value).strip_prefix("Bearer ") {
        Some(token) => format!("Bearer <{} bytes>", token.len()),
        None => format!("<{} bytes>", value.len()),
    }
}

fn readable(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
