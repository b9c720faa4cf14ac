//! The id of a request: the caller's own or a new one. It stands in every error and every log line of the request.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// Returns the caller's id if it is 1 to 128 visible ASCII characters, else a new one.
pub fn of(headers: &HeaderMap) -> HeaderValue {
    let is_usable = |id: &&HeaderValue| {
        (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(HEADER).filter(is_usable).cloned().unwrap_or_else(fresh)
}

/// Does `work` as part of the request of this id.
pub async fn scope<T>(id: HeaderValue, work: impl Future<Output = T>) -> T {
    CURRENT.scope(id, work).await
}

/// Returns the id of the request that is being answered, `-` outside of any.
pub fn current() -> String {
    CURRENT.try_with(|id| text(id).to_owned()).unwrap_or_else(|_| "-".to_owned())
}

/// Returns an id as text.
pub fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or("-")
}

/// Numbers the requests of this process, from a start that differs from process to process.
fn fresh() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or(u64::from(std::process::id())));
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let id = START.wrapping_add(REQUESTS.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from(id)
}
