//! The HTTP server under the model: connections, and the path of one request through the house.

use std::{
    io,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{runtime, sync::oneshot, time::sleep};

use crate::{
    Answer, Mind, Received,
    api::{self, Api, Errand},
    asked::{Asked, Ending, Said},
    faults,
    received::Records,
    reply::{FILLING, Paced, Reply},
    script::Script,
};

/// What the server and its owner share.
pub(crate) struct Stage {
    mind: Mind,
    script: Mutex<Script>,
    records: Mutex<Records>,
}

impl Stage {
    pub(crate) fn new(mind: Mind) -> Self {
        Self { mind, script: Mutex::default(), records: Mutex::default() }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody panics while holding the script")
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().expect("nobody panics while holding the records")
    }
}

/// A running server, on a thread of its own.
pub(crate) struct Server {
    stopping: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, stage: Arc<Stage>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stopping, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("fake-model".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, stage) => {}
                    // An error here means that the owner is gone, which is a reason to stop too.
                    _ = stopped => {}
                }
            });
            // The runtime goes here, and with it all connections.
        })?;
        Ok(Self { stopping, thread })
    }

    /// Returns when the listener and all connections are closed.
    pub(crate) fn stop(self) {
        drop(self.stopping);
        self.thread.join().expect("a panic while answering stays within its connection");
    }
}

async fn accept(listener: TcpListener, stage: Arc<Stage>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener doesn't block");
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: let some connections end.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without this an answer may wait for an acknowledgement; it does no harm where it fails.
        stream.set_nodelay(true).ok();
        let stage = Arc::clone(&stage);
        let service = service_fn(move |request| serve(Arc::clone(&stage), connection, request));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A connection that ends badly ends alone.
        tokio::spawn(async { serving.await.ok() });
    }
}

/// Check, record, take an answer, wait, reply.
async fn serve(
    stage: Arc<Stage>,
    connection: usize,
    request: Request<Incoming>,
) -> hyper::Result<Response<Paced>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let api = api::of_path(head.uri.path());
    let errand = api.errand(&head, &body);

    stage.records().add(|| {
        let records = match &errand {
            Ok(Errand::Grade(asked)) => asked.records.clone(),
            _ => Vec::new(),
        };
        Received::new(&head, &body, connection, records)
    });

    let errand = match errand {
        Ok(errand) => errand,
        Err(refusal) => return Ok(refusal.paced(&Answer::Ok)),
    };
    let (answer, latency) = {
        let mut script = stage.script();
        (script.next(), script.latency)
    };
    let (reply, silence) = reply(api, &errand, &answer, &stage.mind, latency);
    if !silence.is_zero() {
        sleep(silence).await;
    }
    Ok(reply.paced(&answer))
}

/// Returns the reply, and how long the caller waits for it.
fn reply(
    api: &dyn Api,
    errand: &Errand,
    answer: &Answer,
    mind: &Mind,
    latency: Duration,
) -> (Reply, Duration) {
    let model = match errand {
        Errand::Grade(asked) => asked.model.as_str(),
        Errand::ListModels => api::MODELS[0],
    };
    if let Some(refusal) = api.refusal(answer, model) {
        return (refusal, Duration::ZERO);
    }
    let silence = if let Answer::Hang(silence) = answer { *silence } else { latency };
    let reply = match errand {
        Errand::ListModels => api.models(),
        Errand::Grade(asked) => api.said(asked, &said(asked, answer, mind)),
    };
    (reply, silence)
}

fn said(asked: &Asked, answer: &Answer, mind: &Mind) -> Said {
    let complete = |text| Said { text, ending: Ending::Complete, model: asked.model.clone() };
    let ending_so = |ending| Said { text: String::new(), ending, model: asked.model.clone() };
    match answer {
        Answer::PromptBlocked => return ending_so(Ending::PromptBlocked),
        Answer::EmptyCandidates => return ending_so(Ending::NoCandidates),
        Answer::Huge { .. } => return complete(FILLING.to_owned()),
        Answer::TextNotJson => {
            return complete("I looked at the records and nothing in them worries me.".to_owned());
        }
        Answer::Verdicts(verdicts) => return complete(verdicts.to_string()),
        _ => {}
    }
    let verdicts = faults::spoil(mind.verdicts(asked), answer);
    let said = complete(verdicts.to_string());
    match answer {
        Answer::MaxTokens => said.half(Ending::OutOfTokens),
        Answer::AnswerBlocked => said.half(Ending::AnswerBlocked),
        Answer::Rerouted { model } => Said { model: (*model).to_owned(), ..said },
        _ if mind.keeps_limits() => said.within(asked.max_output_tokens),
        _ => said,
    }
}
