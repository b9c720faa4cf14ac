//! Whoever sends events: each has connections of its own and waits for an answer for a minute at most.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::harness::{Answer, benign_entry, exchange, reference_entry};

/// A client; no two share a connection.
pub struct Client(Agent);

impl Default for Client {
    fn default() -> Self {
        let agent = Agent::config_builder().http_status_as_error(false);
        Self(agent.timeout_global(Some(Duration::from_mins(1))).build().into())
    }
}

impl Client {
    /// Sends an event to the node at this base; an error says that no answer came.
    pub fn analyze(&self, base: &str, entry: &Value, key: Option<&str>) -> Result<Answer, ureq::Error> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = entry.to_string().into_bytes();
        exchange(&self.0, base, "POST", "/security/analyze/admin", &headers, body)
    }

    pub fn get(&self, base: &str, path: &str) -> Result<Answer, ureq::Error> {
        exchange(&self.0, base, "GET", path, &[], Vec::new())
    }
}

/// Returns the event of this number; no two have the same message, and every second one is a threat.
pub fn entry(number: usize) -> Value {
    let mut entry = if number.is_multiple_of(2) { benign_entry() } else { reference_entry() };
    entry["message"] = json!(format!("{number}: {}", entry["message"].as_str().expect("a text")));
    entry
}
