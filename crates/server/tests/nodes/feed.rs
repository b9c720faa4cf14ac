//! What a tenant's feed and statistics tell, whichever node is asked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::TestServer;

/// A log as the feed tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub message: String,
    minute: String,
    score: u64,
}

impl Listed {
    pub fn is_threat(&self) -> bool {
        const LOWEST_SCORE: u64 = 20;
        self.score >= LOWEST_SCORE
    }
}

/// What is counted of a minute.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counted {
    events: u64,
    threats: u64,
    max_score: u64,
}

/// Returns all logs of the tenant `admin`, benign ones too, newest first; each page is fetched from the next node.
pub fn walk(nodes: &[&TestServer]) -> Vec<Listed> {
    let mut logs = Vec::new();
    let mut next = Some("/security/logs/admin?status=all&limit=500".to_owned());
    for node in nodes.iter().cycle() {
        let Some(path) = next else { break };
        let page = node.get(&path).assert_status(200);
        logs.extend(page.body.as_array().expect("a list").iter().map(listed));
        next = page.next_page();
    }
    logs
}

fn listed(log: &Value) -> Listed {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Listed {
        id: text(&log["id"]),
        message: text(&log["message"]),
        minute: text(&log["received_at"]).split(':').take(2).collect(),
        score: log["analysis"]["score"].as_u64().expect("a number"),
    }
}

/// Returns what a node counts of each minute in which anything came, the oldest first.
pub fn counts(node: &TestServer) -> Vec<Counted> {
    let stats = node.get("/security/stats/admin?window=120&buckets=120").assert_status(200).body;
    let numbers = |name: &str| -> Vec<u64> {
        stats[name].as_array().expect("a list").iter().map(|number| number.as_u64().unwrap()).collect()
    };
    let minutes = numbers("counts").into_iter().zip(numbers("threats")).zip(numbers("max_scores"));
    let minutes = minutes.map(|((events, threats), max_score)| Counted { events, threats, max_score });
    minutes.filter(|minute| minute.events > 0).collect()
}

/// Returns what must have been counted of these logs.
pub fn recount(logs: &[Listed]) -> Vec<Counted> {
    let mut minutes: BTreeMap<&str, Counted> = BTreeMap::new();
    for log in logs {
        let minute = minutes.entry(&log.minute).or_default();
        minute.events += 1;
        minute.threats += u64::from(log.is_threat());
        minute.max_score = minute.max_score.max(log.score);
    }
    minutes.into_values().collect()
}
