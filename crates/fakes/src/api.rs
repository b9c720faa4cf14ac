//! What both APIs have in common: they check a request strictly, then carry what the model says.

use hyper::{Method, http::request::Parts};
use serde_json::{Map, Value};

use crate::{
    Answer,
    asked::{Asked, Said},
    gemini::Gemini,
    openai::OpenAi,
    reply::Reply,
};

/// The models that both APIs list. They answer for others too.
pub(crate) const MODELS: [&str; 5] = [
    "gemini-3.5-flash-lite",
    "gemini-3.1-flash-lite",
    "gemini-3.6-flash",
    "gemini-3.8-flash",
    "gemini-4-hydrogen",
];

/// What a request wants.
pub(crate) enum Errand {
    ListModels,
    Grade(Asked),
}

pub(crate) trait Api: Sync {
    /// Returns what the request wants, or the refusal where anything about it is wrong.
    fn errand(&self, head: &Parts, body: &[u8]) -> Result<Errand, Reply>;

    /// Returns the refusal that the answer stands for; `None` where the model speaks.
    fn refusal(&self, answer: &Answer, model: &str) -> Option<Reply>;

    fn models(&self) -> Reply;

    fn said(&self, asked: &Asked, said: &Said) -> Reply;
}

/// Returns the API that the path belongs to.
pub(crate) fn of_path(path: &str) -> &'static dyn Api {
    if path.starts_with("/v1/") { &OpenAi } else { &Gemini }
}

pub(crate) fn is_get(head: &Parts, path: &str) -> bool {
    head.method == Method::GET && head.uri.path() == path
}

pub(crate) fn is_json(head: &Parts) -> bool {
    let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with("application/json"))
}

/// Returns the first member that isn't among the known ones.
pub(crate) fn unknown_member<'o>(object: &'o Map<String, Value>, known: &[&str]) -> Option<&'o str> {
    object.keys().map(String::as_str).find(|name| !known.contains(name))
}
