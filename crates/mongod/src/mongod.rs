//! One mongod process on a loopback port, with a folder of its own.

use std::{
    fs,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use mongodb::{
    Client,
    bson::{Document, doc},
    error,
    options::{ClientOptions, Credential, ServerAddress},
};
use tokio::net::TcpStream;

use crate::{binary, keeper::Keeper, ports, wait::wait_for};

/// How long one question to one member may take; who is stopped never answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

const LINES_OF_LOG_SHOWN: usize = 20;

/// A running mongod. Dropping it kills it and removes its folder.
pub struct Mongod {
    port: u16,
    folder: PathBuf,
    keeper: Mutex<Keeper>,
    /// By which the members of a set know each other, and this crate them; without it anybody may do anything.
    key: Option<String>,
}

impl Mongod {
    /// Starts a mongod that is no member of a replica set, and returns once it accepts connections.
    pub async fn standalone() -> Self {
        let mongod = Self::spawn(&[], None);
        mongod.accepts_connections().await;
        mongod
    }

    /// Starts a mongod with these arguments besides the usual ones, and doesn't wait for it.
    pub(crate) fn spawn(arguments: &[String], key: Option<String>) -> Self {
        let mut command = Command::new(binary::find());
        let port = ports::free();
        let folder = tempfile::Builder::new().prefix("sentinelflow-mongod-").tempdir();
        // From here on the keeper removes it: a static is never dropped.
        let folder = folder.expect("the temporary folder can be written").keep();
        command
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet", "--port", &port.to_string()])
            .args(["--wiredTigerCacheSizeGB", "0.25"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .arg("--dbpath")
            .arg(&folder)
            .args(arguments);
        if let Some(key) = &key {
            let path = folder.join("key");
            let mut file = fs::OpenOptions::new();
            let file = file.write(true).create_new(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(key.as_bytes())).expect("the folder can be written");
            command.arg("--keyFile").arg(path);
        }
        let mut keeper = Keeper::of(&command, &folder, &folder.join("log"));
        keeper.start();
        Self { port, folder, keeper: Mutex::new(keeper), key }
    }

    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address())
    }

    pub fn pid(&self) -> u32 {
        self.keeper().pid()
    }

    /// Kills it by SIGKILL and returns once it is gone.
    pub fn kill(&self) {
        self.keeper().kill();
    }

    /// Stops it by SIGSTOP: its connections stay open and nobody answers.
    pub fn stop(&self) {
        self.keeper().signal("STOP");
    }

    /// Lets it go on after a stop.
    pub fn resume(&self) {
        self.keeper().signal("CONT");
    }

    /// Starts it again after it was killed, and returns once it accepts connections.
    pub async fn restart(&self) {
        self.keeper().start();
        self.accepts_connections().await;
    }

    pub(crate) async fn accepts_connections(&self) {
        let connect = async || {
            assert!(!self.has_ended(), "mongod ended by itself\n{}", self.end_of_log());
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.ok()
        };
        wait_for("a connection to mongod", || self.end_of_log(), connect).await;
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns what this very mongod answers to a command.
    pub(crate) async fn ask(&self, database: &str, command: Document) -> error::Result<Document> {
        let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(self.port) };
        let mut options = ClientOptions::builder()
            .hosts(vec![address])
            .direct_connection(true)
            .connect_timeout(ANSWER_TIMEOUT)
            .server_selection_timeout(ANSWER_TIMEOUT)
            .build();
        options.credential = self.key.as_ref().map(|key| {
            let member = Credential::builder().username("__system".to_owned()).source("local".to_owned());
            member.password(key.clone()).build()
        });
        // A client belongs to the runtime it was made in, and each test has its own: none is kept.
        let client = Client::with_options(options)?;
        client.database(database).run_command(command).await
    }

    pub(crate) async fn hello(&self) -> error::Result<Document> {
        self.ask("admin", doc! { "hello": 1 }).await
    }

    pub(crate) fn end_of_log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines.len().saturating_sub(LINES_OF_LOG_SHOWN);
        format!("--- mongod on {}:\n{}\n", self.address(), lines[shown..].join("\n"))
    }

    /// Tells on Linux whether it ended without a kill; elsewhere patience must end first.
    fn has_ended(&self) -> bool {
        // Until the keeper looks after it, it is a zombie.
        fs::read_to_string(format!("/proc/{}/stat", self.pid())).is_ok_and(|stat| stat.contains(") Z "))
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().expect("nobody panics while giving orders")
    }
}
