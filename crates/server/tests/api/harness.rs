//! Starts the built binary and speaks HTTP with it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sentinelflow_mongod::ReplicaSet;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{
    Agent, Body,
    http::{HeaderMap, Request, Response},
};

const BINARY: &str = env!("CARGO_BIN_EXE_sentinelflow");

/// Returns the binary as a command that neither a key nor a setting of the developer's environment reaches.
pub fn command() -> Command {
    let mut command = Command::new(BINARY);
    #[expect(clippy::disallowed_methods, reason = "only names are read, to keep their values out")]
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text == "GEMINI_API_KEY" || text.starts_with("SENTINELFLOW_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// How a server is started.
#[derive(Default)]
pub struct Start {
    /// `dev` or `serve`.
    pub mode: &'static str,
    /// In TOML.
    pub settings: String,
    /// Besides those that every server gets.
    pub flags: Vec<&'static str>,
    pub environment: Vec<(&'static str, String)>,
    /// Where its store is; otherwise it has one of its own.
    pub store: Option<String>,
}

/// A running `sentinelflow` on a port of its own, with a data folder that lives as long as this does.
pub struct TestServer {
    start: Start,
    data: TempDir,
    process: Child,
    pub base: String,
    agent: Agent,
    said: Said,
}

impl TestServer {
    /// Starts `sentinelflow dev`.
    pub fn dev() -> Self {
        Self::start("dev", "")
    }

    /// Starts `sentinelflow serve`.
    pub fn serve() -> Self {
        Self::start("serve", "")
    }

    /// Starts `sentinelflow dev` or `serve` with settings in TOML.
    pub fn start(mode: &'static str, settings: &str) -> Self {
        Self::started(Start { mode, settings: settings.to_owned(), ..Start::default() })
    }

    pub fn started(start: Start) -> Self {
        Self::started_in(TempDir::new().expect("a temporary folder"), start)
    }

    /// Starts on a data folder that is there already.
    pub fn started_in(data: TempDir, start: Start) -> Self {
        std::fs::write(data.path().join("sentinelflow.toml"), &start.settings)
            .expect("the folder can be written to");
        let mut said = Said::default();
        let (process, base) = spawn(&start, &data, &mut said);
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        Self { start, data, process, base, agent, said }
    }

    /// Ends the process as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        self.process.wait().expect("the process ends");
        (self.process, self.base) = spawn(&self.start, &self.data, &mut self.said);
    }

    /// Returns what the server has written to its log so far; of the very latest a part may be missing.
    pub fn said(&self) -> String {
        self.said.so_far()
    }

    /// Asks the process to end and returns its whole log, that of former processes included.
    pub fn end(&mut self) -> String {
        // Whoever answers is ready to be told to end, too.
        self.get("/healthz").assert_status(200);
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.said());
        self.said.hear_out();
        self.said()
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn data_folder(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Returns how many uploads lie on the disk, under way or kept.
    pub fn spooled_files(&self) -> usize {
        let files_in =
            |name| std::fs::read_dir(self.data.path().join(name)).expect("the folder is there").count();
        files_in("uploads") + files_in("scans")
    }

    /// Sends the process a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([&format!("-{name}"), &self.process_id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
    }

    /// Waits for the process to end by itself and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait().expect("the process ends").code()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Vec::new())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// Signs a tenant up and returns its API key.
    pub fn sign_up(&self, username: &str) -> String {
        let body = json!({"username": username, "password": "a-Passw0rd"});
        self.post("/security/signup", &body).assert_status(201).text("api_key")
    }

    /// Uploads a file to `/audit/scan`; `query` begins with `?` or is empty.
    pub fn scan(&self, query: &str, filename: &str, content: &[u8]) -> Answer {
        self.send(
            "POST",
            &format!("/audit/scan{query}"),
            &[("content-type", MULTIPART)],
            form(filename, content),
        )
    }

    /// Hands in a file to learn from; `query` begins with `?`.
    pub fn learn(&self, query: &str, filename: &str, content: &[u8]) -> Answer {
        let path = format!("/audit/baselines{query}");
        self.send("POST", &path, &[("content-type", MULTIPART)], form(filename, content))
    }

    /// As `scan`, with credentials.
    pub fn scan_as(&self, key: &str, query: &str, filename: &str, content: &[u8]) -> Answer {
        let headers = [("content-type", MULTIPART), ("authorization", &format!("Bearer {key}"))];
        self.send("POST", &format!("/audit/scan{query}"), &headers, form(filename, content))
    }

    pub fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &format!("Bearer {key}"))], Vec::new())
    }

    pub fn delete_as(&self, key: &str, path: &str) -> Answer {
        self.send("DELETE", path, &[("authorization", &format!("Bearer {key}"))], Vec::new())
    }

    /// Asks for what may never end, and returns once it begins.
    pub fn open(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a valid request");
        self.agent.run(request).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request; an error says that no answer came, as from a killed server.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, ureq::Error> {
        exchange(&self.agent, &self.base, method, path, headers, body)
    }
}

/// Sends a request to the server at this base; an error says that no answer came.
pub fn exchange(
    agent: &Agent,
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let has_body = !body.is_empty();
    let request = request.body(body).expect("a valid request");
    let mut response = if has_body || matches!(method, "POST" | "PUT" | "PATCH") {
        agent.run(request)?
    } else {
        agent.run(request.map(|_| ()))?
    };
    let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
    Ok(Answer {
        request: format!("{method} {path}"),
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        bytes,
    })
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What one process after the other writes to its log.
#[derive(Default)]
struct Said {
    text: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Said {
    fn so_far(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads on, so that the server never waits for a full pipe.
    fn listen(&mut self, mut log: BufReader<ChildStderr>) {
        self.hear_out();
        let text = Arc::clone(&self.text);
        self.listener = Some(thread::spawn(move || while read_line(&mut log, &text).is_some() {}));
    }

    /// Returns when everything is read that an ended process has written.
    fn hear_out(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("reading does not panic");
        }
    }
}

/// Adds a line to the text and returns it; `None` at the end.
fn read_line(log: &mut BufReader<ChildStderr>, text: &Mutex<String>) -> Option<String> {
    let mut line = Vec::new();
    log.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
    Some(line)
}

/// The replica set that all tests share.
static SHARED: LazyLock<ReplicaSet> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(ReplicaSet::start(1))
});

/// Returns the address of a database of that name.
pub fn database(name: &str) -> String {
    SHARED.uri().replace("/?", &format!("/{name}?"))
}

/// Returns where a server keeps its store: beside its data, or, where this is compiled as `api_on_mongo`, in a database
/// that is called like the data folder.
fn store_flags(start: &Start, data: &TempDir) -> Vec<String> {
    if let Some(store) = &start.store {
        return vec!["--store".to_owned(), store.clone()];
    }
    if env!("CARGO_CRATE_NAME") == "api" || start.flags.contains(&"--air-gapped") {
        return Vec::new();
    }
    let folder = data.path().file_name().expect("it has a name").to_string_lossy();
    vec!["--store".to_owned(), database(&folder.replace('.', "_"))]
}

/// Starts the binary and waits until it says where it listens.
#[expect(clippy::zombie_processes, reason = "whoever gets the process waits for it")]
fn spawn(start: &Start, data: &TempDir, said: &mut Said) -> (Child, String) {
    let mut process = command()
        .args([start.mode, "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .args(store_flags(start, data))
        .args(&start.flags)
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut log = BufReader::new(process.stderr.take().expect("it is piped"));
    loop {
        let Some(line) = read_line(&mut log, &said.text) else {
            panic!("the server ended before it listened: {}", said.so_far());
        };
        if let Some((_, rest)) = line.split_once("Listening on ") {
            let base = rest.split([',', ' ', '\n', '\u{1b}']).next().expect("an address").to_owned();
            said.listen(log);
            return (process, base);
        }
    }
}

/// Asks again and again until the answer is as it shall be.
#[track_caller]
pub fn until<T: std::fmt::Debug>(ask: impl Fn() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_mins(2), "it never came: {answer:?}");
        thread::yield_now();
    }
}

pub const MULTIPART: &str = "multipart/form-data; boundary=sentinelflow-test-boundary";

pub fn form(filename: &str, content: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--sentinelflow-test-boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--sentinelflow-test-boundary--\r\n");
    body
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as JSON, null if it is none.
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.request, String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Asserts a failure in the form that every failure has.
    #[track_caller]
    pub fn assert_problem(self, status: u16) -> Self {
        let answer = self.assert_status(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.request);
        assert_eq!(answer.body["status"], status, "{}", answer.request);
        assert_eq!(answer.body["request_id"].as_str(), answer.header("x-request-id"), "{}", answer.request);
        for member in ["type", "title", "detail"] {
            assert!(
                answer.body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{}: {member}",
                answer.request
            );
        }
        answer
    }

    /// Returns a text inside the body; `path` is like `analysis.severity`.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        let found = path.split('.').fold(&self.body, |value, name| &value[name]);
        found
            .as_str()
            .unwrap_or_else(|| panic!("{}: no text at {path}: {}", self.request, self.body))
            .to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the path of the list's next page.
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        assert!(link.ends_with("; rel=\"next\""), "{}: {link}", self.request);
        Some(link.trim_start_matches('<').split('>').next()?.to_owned())
    }

    /// Returns the pointers of all faults that a 422 names.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.body["errors"].as_array().cloned().unwrap_or_default();
        faults.iter().filter_map(|fault| Some(fault["pointer"].as_str()?.to_owned())).collect()
    }
}

/// The reference's own example.
pub fn reference_entry() -> Value {
    json!({
        "source": "Nginx Gateway",
        "event_id": 90210,
        "severity_level": "WARNING",
        "message": "SQL Injection pattern detected in header",
        "metadata": {"ip": "45.22.19.11", "path": "/api/v1/users"}
    })
}

/// Nothing an analyst should be woken for.
pub fn benign_entry() -> Value {
    json!({"source": "cron", "event_id": 1, "severity_level": "INFO", "message": "backup finished in 12 s"})
}
