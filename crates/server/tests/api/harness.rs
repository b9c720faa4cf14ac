//! Starts the built binary and speaks HTTP with it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_sentinelflow");

/// A running `sentinelflow` on a port of its own, with a data folder that lives as long as this does.
pub struct TestServer {
    mode: &'static str,
    data: TempDir,
    process: Child,
    pub base: String,
    agent: Agent,
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
        let data = TempDir::new().expect("a temporary folder");
        std::fs::write(data.path().join("sentinelflow.toml"), settings)
            .expect("the folder can be written to");
        let (process, base) = spawn(mode, &data);
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        Self { mode, data, process, base, agent }
    }

    /// Ends the process as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        self.process.wait().expect("the process ends");
        (self.process, self.base) = spawn(self.mode, &self.data);
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
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let has_body = !body.is_empty();
        let request = request.body(body).expect("a valid request");
        let mut response = if has_body || matches!(method, "POST" | "PUT" | "PATCH") {
            self.agent.run(request)?
        } else {
            self.agent.run(request.map(|_| ()))?
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
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts the binary and waits until it says where it listens.
#[expect(clippy::zombie_processes, reason = "whoever gets the process waits for it")]
fn spawn(mode: &str, data: &TempDir) -> (Child, String) {
    let mut process = Command::new(BINARY)
        .args([mode, "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .current_dir(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut said = BufReader::new(process.stderr.take().expect("it is piped"));
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        let length = said.read_line(&mut line).expect("the server's log is text");
        assert!(length > 0, "the server ended before it listened: {heard}");
        if let Some((_, rest)) = line.split_once("Listening on ") {
            let base = rest.split([',', ' ', '\n', '\u{1b}']).next().expect("an address").to_owned();
            // The rest of the log is read so that the server never waits for a full pipe.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return (process, base);
        }
        heard.push_str(&line);
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
        std::thread::yield_now();
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
