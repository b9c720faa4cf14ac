//! What these tests begin with: a MongoDB, and nodes on it.

use std::sync::LazyLock;

use sentinelflow_mongod::{
    Options, ReplicaSet,
    bson::{Document, doc},
    fresh_database_name,
};
use tokio::runtime::Runtime;

use crate::harness::{Start, TestServer};

/// A replica set, for tests that are no futures.
pub struct Set {
    runtime: Runtime,
    set: ReplicaSet,
}

impl Set {
    pub fn start(members: usize, options: Options) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let set = runtime.block_on(ReplicaSet::start_with(members, options));
        Self { runtime, set }
    }

    /// Returns a set of one member, which all tests share and nobody disturbs.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Set> = LazyLock::new(|| Set::start(1, Options::default()));
        &SHARED
    }

    /// Returns the address of a database that no other test has.
    pub fn fresh_database(&self) -> Database<'_> {
        Database { set: self, name: fresh_database_name() }
    }

    pub fn primary(&self) -> usize {
        self.runtime.block_on(self.set.primary())
    }

    pub fn kill(&self, member: usize) {
        self.set.kill(member);
    }

    pub fn stop(&self, member: usize) {
        self.set.stop(member);
    }

    pub fn resume(&self, member: usize) {
        self.set.resume(member);
    }

    pub fn restart(&self, member: usize) {
        self.runtime.block_on(self.set.restart(member));
    }

    /// Returns what a member answers to a command.
    #[track_caller]
    pub fn ask(&self, member: usize, database: &str, command: Document) -> Document {
        let answer = self.runtime.block_on(self.set.ask(member, database, command));
        answer.unwrap_or_else(|error| panic!("a member refuses: {error}"))
    }

    pub fn is_secondary(&self, member: usize) -> bool {
        self.ask(member, "admin", doc! { "hello": 1 }).get_bool("secondary").unwrap_or_default()
    }
}

/// A database of a set.
pub struct Database<'s> {
    set: &'s Set,
    pub name: String,
}

impl Database<'_> {
    pub fn url(&self) -> String {
        self.set.set.uri().replace("/?", &format!("/{}?", self.name))
    }

    /// Returns the address for a client that looks at no other member.
    pub fn url_of_member(&self, member: usize) -> String {
        self.set.set.member_uri(member).replace("/?", &format!("/{}?", self.name))
    }

    /// Returns the address with a user's credentials in it, which lie in the database itself.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url().replace("mongodb://", &format!("mongodb://{user}:{password}@"))
    }

    pub fn add_user(&self, user: &str, password: &str, role: &str) {
        let roles = vec![doc! { "role": role, "db": &self.name }];
        self.ask(doc! { "createUser": user, "pwd": password, "roles": roles });
    }

    /// Returns what the primary answers to a command.
    #[track_caller]
    pub fn ask(&self, command: Document) -> Document {
        self.set.ask(self.set.primary(), &self.name, command)
    }
}

/// Returns how `sentinelflow` is started on a store.
pub fn on(mode: &'static str, store: &str) -> Start {
    Start { mode, store: Some(store.to_owned()), ..Start::default() }
}

/// Starts a node with a data folder of its own.
pub fn node(store: &str) -> TestServer {
    TestServer::started(on("dev", store))
}
