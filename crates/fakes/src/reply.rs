//! An HTTP answer on its way out: whole, slow, broken or huge.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    http::header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::{Sleep, sleep};

use crate::Answer;

/// Text that a huge answer puts in place of this.
pub(crate) const FILLING: &str = "FILLING";

static FILLING_CHUNK: [u8; 64 * 1024] = [b'a'; 64 * 1024];

/// Longer than a client should quote.
const BAD_GATEWAY_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>502 Bad Gateway</title>\
    <style>body { font-family: sans-serif; margin: 4em auto; max-width: 40em; color: #333 }</style></head>\n\
    <body>\n<h1>502 Bad Gateway</h1>\n<p>The server encountered a temporary error and could not complete \
    your request.</p>\n<p>Please try again in 30 seconds.</p>\n<hr><address>edge-proxy/1.9 at upstream \
    port 443</address>\n</body>\n</html>\n";

/// Status, headers and body, before anything is done to its pace.
pub(crate) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    retry_after: Option<&'static str>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, content_type: &'static str, body: &Value) -> Self {
        Self { status, content_type, retry_after: None, body: body.to_string().into_bytes() }
    }

    pub(crate) fn bad_gateway() -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            content_type: "text/html; charset=UTF-8",
            retry_after: None,
            body: BAD_GATEWAY_PAGE.as_bytes().to_vec(),
        }
    }

    pub(crate) fn with_retry_after(self, retry_after: Option<&'static str>) -> Self {
        Self { retry_after, ..self }
    }

    /// Returns the response, paced as the answer says.
    pub(crate) fn paced(self, answer: &Answer) -> Response<Paced> {
        let body = Bytes::from(self.body);
        let steps = match *answer {
            Answer::DropMidBody => broken(&body),
            Answer::SlowDrip { bytes_per_second } => dripping(&body, bytes_per_second),
            Answer::Huge { bytes } => huge(&body, bytes),
            _ => VecDeque::from([Step::Send(body)]),
        };
        let mut response = Response::builder().status(self.status).header(CONTENT_TYPE, self.content_type);
        if let Some(retry_after) = self.retry_after {
            response = response.header(RETRY_AFTER, retry_after);
        }
        response.body(Paced { steps, waiting: None }).expect("all headers are plain text")
    }
}

enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Lets go out what was sent so far.
    Flush,
    Break {
        missing_bytes: u64,
    },
}

/// A body that takes its steps one after the other.
pub(crate) struct Paced {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
}

fn broken(body: &Bytes) -> VecDeque<Step> {
    let half = body.slice(..body.len() / 2);
    let missing_bytes = (body.len() - half.len()) as u64;
    VecDeque::from([Step::Send(half), Step::Flush, Step::Break { missing_bytes }])
}

/// Ten drops a second, or one byte each where that would be less than a byte.
fn dripping(body: &Bytes, bytes_per_second: u32) -> VecDeque<Step> {
    let bytes_per_second = bytes_per_second.max(1);
    let drop_bytes = (bytes_per_second / 10).max(1);
    let pause = Duration::from_secs(1) * drop_bytes / bytes_per_second;
    let drops = body.chunks(drop_bytes as usize).map(|drop| Step::Send(body.slice_ref(drop)));
    drops.flat_map(|drop| [drop, Step::Wait(pause)]).collect()
}

fn huge(body: &Bytes, bytes: usize) -> VecDeque<Step> {
    let at = body.windows(FILLING.len()).position(|window| window == FILLING.as_bytes());
    let (head, tail) = match at {
        Some(at) => (body.slice(..at), body.slice(at + FILLING.len()..)),
        None => (body.clone(), Bytes::new()),
    };
    let mut left = bytes.saturating_sub(head.len() + tail.len());
    let mut steps = VecDeque::from([Step::Send(head)]);
    while left > 0 {
        let chunk = left.min(FILLING_CHUNK.len());
        steps.push_back(Step::Send(Bytes::from_static(&FILLING_CHUNK).slice(..chunk)));
        left -= chunk;
    }
    steps.push_back(Step::Send(tail));
    steps
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(pause)) => self.waiting = Some(Box::pin(sleep(pause))),
                Some(Step::Flush) => {
                    // Hyper writes out what it has whenever the body isn't ready.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Break { .. }) => {
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let promised = self.steps.iter().map(|step| match step {
            Step::Send(bytes) => bytes.len() as u64,
            Step::Break { missing_bytes } => *missing_bytes,
            Step::Wait(_) | Step::Flush => 0,
        });
        SizeHint::with_exact(promised.sum())
    }
}
