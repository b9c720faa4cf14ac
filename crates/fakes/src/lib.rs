//! Stands in for what lives on the internet: the API of a language model, faithful or hostile.
//! Speaks plain HTTP on a thread of its own, so that tests with and without async can use it.

mod received;
mod script;
mod serve;

mod api;
mod asked;
mod faults;
mod gemini;
mod openai;
mod reply;

mod mind;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use serve::{Server, Stage};

pub use mind::{Judge, Mind};
pub use received::Received;
pub use script::Answer;

/// A model behind a local HTTP server, which speaks Gemini's API and `OpenAI`'s. Dropping it stops it.
pub struct FakeModel {
    address: SocketAddr,
    stage: Arc<Stage>,
    server: Mutex<Option<Server>>,
}

impl FakeModel {
    /// Starts an honest model on a free port.
    pub fn start() -> Self {
        Self::start_with(Mind::honest())
    }

    /// Starts a model of this mind on a free port.
    pub fn start_with(mind: Mind) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(any_port, mind).expect("the loopback interface has a free port")
    }

    /// Starts a model of this mind on an address of the caller's choice.
    pub fn start_on(address: SocketAddr, mind: Mind) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage::new(mind));
        let server = Server::start(listener, Arc::clone(&stage))?;
        Ok(Self { address, stage, server: Mutex::new(Some(server)) })
    }

    /// Returns the base for Gemini's API, without a slash at its end. `OpenAI`'s is this and `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Appends to the queue of answers. Each well-formed request takes one; after the last, luck and then
    /// the mind decide.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.stage.script().append(answers);
    }

    /// Answers each request from now on, with this probability, with one of the faults.
    /// The same seed gives the same order.
    pub fn at_random(&self, seed: u64, share: f64, faults: Vec<Answer>) {
        self.stage.script().trust_to_luck(seed, share, faults);
    }

    /// Makes everything that the model says wait this long. Refusals don't wait.
    pub fn delay(&self, latency: Duration) {
        self.stage.script().latency = latency;
    }

    /// Returns everything received so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.stage.records().all().to_vec()
    }

    pub fn request_count(&self) -> usize {
        self.stage.records().all().len()
    }

    /// Returns how many TCP connections carried what was received.
    pub fn connections(&self) -> usize {
        self.stage.records().connections()
    }

    /// Forgets what was received. What was scripted stays.
    pub fn forget(&self) {
        self.stage.records().forget();
    }

    /// Records nothing from now on, so that a benchmark doesn't fill the memory.
    pub fn record_nothing(&self) {
        self.stage.records().close();
    }

    /// Closes the listener and all connections: who connects from now on is refused.
    pub fn stop(&self) {
        let server = self.server.lock().expect("nobody panics while stopping").take();
        if let Some(server) = server {
            server.stop();
        }
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.stop();
    }
}
