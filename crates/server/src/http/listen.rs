//! Accepts connections, bounded in number and patience, and drains them at the end.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderValue, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, warn};

use super::{Api, head_timer::HeadTimer, joined_writes::JoinedWrites};

/// How long a client may take over a request's head, and how long a kept connection may idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How long requests under way may take once the server is told to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How long connections on which nothing is under way stay open then: what a client was about to send is still answered.
const FAREWELL: Duration = Duration::from_secs(1);
/// After a failed accept (too many open files, say) the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is ready, then lets the requests under way finish.
pub async fn serve(listener: TcpListener, api: Api, max_connections: usize, stop: impl Future<Output = ()>) {
    let seats = Arc::new(Semaphore::new(max_connections));
    let connections = Connections { api, open: GracefulShutdown::new(), is_closing: Arc::default() };
    tokio::pin!(stop);
    loop {
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await.expect("the seats are never closed");
            (accept(&listener).await, seat)
        };
        tokio::select! {
            (stream, seat) = next => connections.open(stream, seat),
            () = &mut stop => break,
        }
    }
    connections.is_closing.store(true, Ordering::Relaxed);
    // Who is in the queue was promised an answer: the system has told him that he is connected.
    match listener.into_std() {
        Ok(queue) => {
            while let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
                match waiting(&queue) {
                    Ok(stream) => connections.open(stream, seat),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(_) => break,
                }
            }
        }
        Err(error) => warn!(error = %error, "Who waits to be accepted is not"),
    }
    connections.close().await;
}

/// What is connected.
struct Connections {
    api: Api,
    open: GracefulShutdown,
    /// Each answer is the last on its connection.
    is_closing: Arc<AtomicBool>,
}

impl Connections {
    fn open(&self, stream: TcpStream, seat: OwnedSemaphorePermit) {
        let (api, is_closing) = (self.api.clone(), Arc::clone(&self.is_closing));
        let service = service_fn(move |request| {
            let (api, is_closing) = (api.clone(), Arc::clone(&is_closing));
            async move {
                let mut answer = api.answer(request).await;
                if is_closing.load(Ordering::Relaxed) {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let mut http = http1::Builder::new();
        http.timer(HeadTimer::new()).header_read_timeout(HEAD_DEADLINE);
        let stream = TokioIo::new(JoinedWrites(stream));
        let connection = self.open.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(error = %error, "A connection ended early");
            }
            drop(seat);
        });
    }

    async fn close(self) {
        // A proxy may be sending a request just now: closed under its hands, it could not tell whether that was heard.
        let farewell = Instant::now() + FAREWELL;
        while self.open.count() > 0 && Instant::now() < farewell {
            sleep(FAREWELL / 50).await;
        }
        if timeout(DRAIN_DEADLINE, self.open.shutdown()).await.is_err() {
            let seconds = DRAIN_DEADLINE.as_secs();
            warn!("Some requests were still under way {seconds} s after the signal to stop");
        }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await.and_then(|(stream, _)| without_delay(stream)) {
            Ok(stream) => return stream,
            Err(error) => {
                warn!(error = %error, "A connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns a connection that waits to be accepted; fails if there is none.
fn waiting(queue: &std::net::TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = queue.accept()?;
    stream.set_nonblocking(true)?;
    without_delay(TcpStream::from_std(stream)?)
}

/// Answers are small and must not wait for more bytes.
fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
