//! Accepts connections, bounded in number and patience, and drains them at the end.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tracing::{debug, warn};

use super::{Api, head_timer::HeadTimer, joined_writes::JoinedWrites};

/// How long a client may take over a request's head, and how long a kept connection may idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How long requests under way may take once the server is told to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// After a failed accept (too many open files, say) the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is ready, then lets the requests under way finish.
pub async fn serve(listener: TcpListener, api: Api, max_connections: usize, stop: impl Future<Output = ()>) {
    let seats = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let seat = Arc::clone(&seats).acquire_owned().await.expect("the seats are never closed");
        let stream = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut stop => break,
        };
        let service = service_fn({
            let api = api.clone();
            move |request| {
                let api = api.clone();
                async { Ok::<_, Infallible>(api.answer(request).await) }
            }
        });
        let mut http = http1::Builder::new();
        http.timer(HeadTimer::new()).header_read_timeout(HEAD_DEADLINE);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(JoinedWrites(stream)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(error = %error, "A connection ended early");
            }
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_DEADLINE, graceful.shutdown()).await.is_err() {
        warn!("Some requests were still under way {} s after the signal to stop", DRAIN_DEADLINE.as_secs());
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await.and_then(|(stream, _)| without_delay(stream)) {
            Ok(stream) => return stream,
            Err(error) => {
                warn!(error = %error, "A connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers are small and must not wait for more bytes.
fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
