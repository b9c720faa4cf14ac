//! What a handler leaves unread of a body. A failure that is answered before the body has arrived would reset the
//! connection under the sender, who then never reads why; so a bounded rest is read and thrown away first.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Whoever has more than this left to send is cut off.
const LEFTOVER_MAX_BYTES: usize = 8 << 20;
const LEFTOVER_DEADLINE: Duration = Duration::from_secs(5);

/// A body that two can read: first the handler, then whoever clears up.
#[derive(Clone)]
pub struct SharedBody(Arc<Mutex<Incoming>>);

impl SharedBody {
    pub fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads what is left and throws it away, within bounds.
    pub async fn discard(mut self) {
        let discarded = async {
            let mut bytes_left = LEFTOVER_MAX_BYTES;
            while let Some(Ok(frame)) = self.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = bytes_left.checked_sub(length) else { return };
                bytes_left = left;
            }
        };
        // Whoever is slower is cut off, as is whoever sends more.
        drop(tokio::time::timeout(LEFTOVER_DEADLINE, discarded).await);
    }

    fn with<T>(&self, read: impl FnOnce(&mut Incoming) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
