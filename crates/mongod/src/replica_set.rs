//! Some mongod that are one database.

use mongodb::{
    bson::{Document, doc, oid::ObjectId},
    error,
};

use crate::{Mongod, wait::wait_for};

const NAME: &str = "rs0";

/// What a set that asks for credentials knows its members by; it lives as long as the tests and on loopback only.
const KEY: &str = "members+of+the+tests+know+each+other";

// A secondary that copies from a member that was stopped leaves it sooner; with the defaults a minute may pass.
const QUICK_TO_LEAVE: [&str; 2] = ["oplogInitialFindMaxSeconds=5", "oplogNetworkTimeoutBufferSeconds=2"];

/// What a replica set may be started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long members wait for a silent primary before they elect another; mongod's default is 10 s.
    pub election_timeout_ms: Option<u32>,
    /// For each mongod, besides the usual ones.
    pub arguments: Vec<String>,
    /// Who has no credentials may do nothing. There are no users yet; `ask` may do everything.
    pub asks_for_credentials: bool,
}

/// A running replica set. Dropping it kills its members and removes their folders.
pub struct ReplicaSet {
    members: Vec<Mongod>,
}

impl ReplicaSet {
    /// Starts a replica set and returns once a primary takes writes and all members are in service.
    pub async fn start(members: usize) -> Self {
        Self::start_with(members, Options::default()).await
    }

    pub async fn start_with(members: usize, options: Options) -> Self {
        let mut arguments: Vec<String> = ["--replSet", NAME, "--oplogSize", "64"].map(str::to_owned).to_vec();
        arguments.extend(
            QUICK_TO_LEAVE.iter().flat_map(|parameter| ["--setParameter", parameter]).map(str::to_owned),
        );
        arguments.extend(options.arguments);
        let spawn = |_| Mongod::spawn(&arguments, options.asks_for_credentials.then(|| KEY.to_owned()));
        let set = Self { members: (0..members).map(spawn).collect() };
        for member in &set.members {
            member.accepts_connections().await;
        }
        set.initiate(options.election_timeout_ms).await;
        set
    }

    pub fn uri(&self) -> String {
        let addresses: Vec<String> = self.members.iter().map(Mongod::address).collect();
        format!("mongodb://{}/?replicaSet={NAME}", addresses.join(","))
    }

    /// Returns the address of one member, for a client that doesn't look at the others.
    pub fn member_uri(&self, member: usize) -> String {
        self.members[member].uri()
    }

    /// Returns the member that is primary, once there is one.
    pub async fn primary(&self) -> usize {
        let elected = async || {
            let mut elected = Vec::new();
            for (member, mongod) in self.members.iter().enumerate() {
                let hello = mongod.hello().await.unwrap_or_default();
                elected.extend(election(&hello).map(|id| (id, member)));
            }
            // One that was stopped takes itself for the primary a while longer; ids of elections ascend.
            elected.into_iter().max().map(|(_, member)| member)
        };
        wait_for("a primary", || self.end_of_logs(), elected).await
    }

    /// Returns what this very member answers to a command.
    pub async fn ask(&self, member: usize, database: &str, command: Document) -> error::Result<Document> {
        self.members[member].ask(database, command).await
    }

    pub fn pid(&self, member: usize) -> u32 {
        self.members[member].pid()
    }

    /// Kills a member by SIGKILL and returns once it is gone.
    pub fn kill(&self, member: usize) {
        self.members[member].kill();
    }

    /// Stops a member by SIGSTOP: its connections stay open and nobody answers. Where it was the primary, another is
    /// elected, and half a minute may pass before a majority has a write again: that long a secondary may wait for it.
    pub fn stop(&self, member: usize) {
        self.members[member].stop();
    }

    /// Lets a member go on after a stop.
    pub fn resume(&self, member: usize) {
        self.members[member].resume();
    }

    /// Starts a killed member again, where it was, and returns once it is primary or secondary.
    pub async fn restart(&self, member: usize) {
        self.members[member].restart().await;
        self.in_service(&self.members[member]).await;
    }

    async fn initiate(&self, election_timeout_ms: Option<u32>) {
        let first = &self.members[0];
        let configuration = self.configuration(election_timeout_ms);
        let elected = async || {
            let hello = first.hello().await.ok()?;
            let step = if hello.contains_key("setName") {
                // Otherwise the members would let an election's timeout pass. Refused until they know each other.
                doc! { "replSetStepUp": 1 }
            } else {
                doc! { "replSetInitiate": configuration.clone() }
            };
            let election = election(&hello);
            if election.is_none() {
                // What is wrong stands in the log; here, the next look tells.
                first.ask("admin", step).await.ok();
            }
            election
        };
        wait_for("the first primary", || self.end_of_logs(), elected).await;
        for member in &self.members {
            self.in_service(member).await;
        }
        let note = doc! {
            "appendOplogNote": 1,
            "data": { "ready": true },
            "writeConcern": { "w": "majority", "j": true },
        };
        let written = async || self.members[self.primary().await].ask("admin", note.clone()).await.ok();
        wait_for("the first write", || self.end_of_logs(), written).await;
    }

    fn configuration(&self, election_timeout_ms: Option<u32>) -> Document {
        let members = self.members.iter().zip(0..);
        let members: Vec<Document> =
            members.map(|(mongod, id)| doc! { "_id": id, "host": mongod.address() }).collect();
        let settings = election_timeout_ms.map(|timeout_ms| doc! { "electionTimeoutMillis": timeout_ms });
        doc! { "_id": NAME, "members": members, "settings": settings.unwrap_or_default() }
    }

    async fn in_service(&self, member: &Mongod) {
        let in_service = async || {
            let hello = member.hello().await.ok()?;
            let says = |state| hello.get_bool(state).unwrap_or_default();
            (says("isWritablePrimary") || says("secondary")).then_some(())
        };
        wait_for("a member to be primary or secondary", || self.end_of_logs(), in_service).await;
    }

    fn end_of_logs(&self) -> String {
        self.members.iter().map(Mongod::end_of_log).collect()
    }
}

/// Returns which election a member owes its office to, if it takes itself for the primary.
fn election(hello: &Document) -> Option<ObjectId> {
    let is_primary = hello.get_bool("isWritablePrimary").unwrap_or_default();
    if is_primary { hello.get_object_id("electionId").ok() } else { None }
}
