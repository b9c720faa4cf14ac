//! What the database says of the questions that requests put to it: each is answered by an index, without sorting, and
//! looks at no more than it tells.

use sentinelflow_mongod::bson::{Document, doc, oid::ObjectId};
use serde_json::json;

use crate::{
    clients::entry,
    given::{Database, Set, on},
    harness::{Answer, TestServer},
};

const TENANTS: usize = 4;
const LOGS_OF_EACH: usize = 1_000;
const MINUTES_OF_EACH: i64 = 3_000;

/// The database, and a node with several tenants on it.
struct Asked {
    database: Database<'static>,
    server: TestServer,
    keys: Vec<String>,
}

impl Asked {
    fn new() -> Self {
        let database = Set::shared().fresh_database();
        let server = TestServer::started(on("serve", &database.url()));
        let keys = (0..TENANTS).map(|tenant| server.sign_up(&name(tenant))).collect();
        Self { database, server, keys }
    }

    fn analyze(&self, tenant: usize, number: usize, key: Option<&str>) -> Answer {
        let authorization = format!("Bearer {}", self.keys[tenant]);
        let mut headers =
            vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let path = format!("/security/analyze/{}", name(tenant));
        self.server.send("POST", &path, &headers, entry(number).to_string().into_bytes()).assert_status(200)
    }

    /// Fills the store with logs of all tenants, in turns and in as few transactions as may be.
    fn fill(&self) {
        std::thread::scope(|scope| {
            for tenant in 0..TENANTS {
                for part in 0..4 {
                    scope.spawn(move || {
                        for number in (part..LOGS_OF_EACH).step_by(4) {
                            self.analyze(tenant, number, None);
                        }
                    });
                }
            }
        });
        for tenant in 0..TENANTS {
            self.add_minutes(tenant);
        }
    }

    /// Adds counters of the past, which no request can.
    fn add_minutes(&self, tenant: usize) {
        let named = doc! { "find": "tenants", "filter": { "folded": name(tenant) } };
        let id = first_batch(&self.database.ask(named))[0].get_object_id("_id").unwrap();
        let any = doc! { "find": "minute_counts", "filter": { "_id.tenant": id }, "limit": 1 };
        let any = first_batch(&self.database.ask(any)).remove(0);
        let now = any.get_document("_id").unwrap().get_i64("minute").unwrap();
        let run = ObjectId::from_bytes([7; 12]);
        let minutes = (1..=MINUTES_OF_EACH).map(|ago| {
            let mut minute = any.clone();
            minute.insert("_id", doc! { "tenant": id, "minute": now - ago, "run": run });
            minute
        });
        self.database.ask(doc! { "insert": "minute_counts", "documents": minutes.collect::<Vec<_>>() });
    }

    /// Makes requests and returns what the database did for them.
    fn profile(&self, requests: impl FnOnce()) -> Vec<Question> {
        // The usual one is so small that it would forget the first of them.
        self.database.ask(doc! { "create": "system.profile", "capped": true, "size": 16 << 20 });
        self.database.ask(doc! { "profile": 2 });
        requests();
        self.database.ask(doc! { "profile": 0 });
        let of_nodes = doc! { "appName": "sentinelflow" };
        let all = doc! { "find": "system.profile", "filter": of_nodes, "batchSize": 10_000 };
        let questions = first_batch(&self.database.ask(all)).into_iter().map(Question).collect::<Vec<_>>();
        self.database.ask(doc! { "drop": "system.profile" });
        for question in &questions {
            question.assert_uses_an_index();
        }
        questions
    }
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

fn first_batch(answer: &Document) -> Vec<Document> {
    let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch.unwrap().iter().map(|document| document.as_document().unwrap().clone()).collect()
}

/// What the profiler says of one.
#[derive(Debug)]
struct Question(Document);

impl Question {
    fn collection(&self) -> &str {
        self.0.get_str("ns").unwrap().split_once('.').unwrap().1
    }

    fn documents(&self) -> i64 {
        let number = self.0.get("docsExamined");
        number.and_then(|number| number.as_i64().or(number.as_i32().map(i64::from))).unwrap_or(0)
    }

    #[track_caller]
    fn assert_uses_an_index(&self) {
        let plan = self.0.get_str("planSummary").unwrap_or_default();
        assert!(!plan.contains("COLLSCAN"), "{self:#?}");
        assert!(!self.0.contains_key("hasSortStage"), "{self:#?}");
    }
}

/// Asserts that the collection was asked just so often, and that each time so many documents were looked at, at most.
#[track_caller]
fn assert_looks_at(questions: &[Question], collection: &str, times: usize, documents: i64) {
    let asked: Vec<&Question> = questions.iter().filter(|asked| asked.collection() == collection).collect();
    assert_eq!(asked.len(), times, "{collection}: {asked:#?}");
    for question in asked {
        assert!(question.documents() <= documents, "{question:#?}");
    }
}

#[test]
fn pages_and_statistics_look_at_no_more_than_they_tell() {
    let asked = Asked::new();
    asked.fill();
    let key = &asked.keys[1];
    let get = |path: &str| asked.server.get_as(key, path).assert_status(200);
    for log in get("/security/logs/tenant-1?limit=40").body.as_array().unwrap() {
        let id = log["id"].as_str().unwrap();
        asked.server.delete_as(key, &format!("/security/issue/{id}")).assert_status(200);
    }

    for (status, limit) in [("active", 10), ("active", 100), ("resolved", 10), ("all", 10), ("all", 400)] {
        let mut page = format!("/security/logs/tenant-1?status={status}&limit={limit}");
        for _ in 0..2 {
            let mut next = None;
            let questions = asked.profile(|| next = get(&page).next_page());
            assert_looks_at(&questions, "logs", 1, limit + 1);
            page = next.expect("there are more of each");
        }
    }
    for (window, minutes) in [("30m", 30), ("24h", 1_440), ("48h", 2_880)] {
        let path = format!("/security/stats/tenant-1?window={window}&buckets=15");
        let questions = asked.profile(|| drop(get(&path)));
        let of_minutes = questions.iter().filter(|asked| asked.collection() == "minute_counts");
        let documents: i64 = of_minutes.map(Question::documents).sum();
        assert!((1..=minutes).contains(&documents), "{window}: {documents} documents");
    }
}

#[test]
fn no_request_and_no_start_reads_a_collection_through() {
    let asked = Asked::new();
    asked.fill();
    let (server, key) = (&asked.server, &asked.keys[2]);
    let get = |path: &str| server.get_as(key, path).assert_status(200);

    let mut id = String::new();
    let questions = asked.profile(|| id = asked.analyze(2, LOGS_OF_EACH, Some("once")).text("log_id"));
    assert_looks_at(&questions, "logs", 1, 0);
    let questions = asked.profile(|| {
        assert_eq!(asked.analyze(2, LOGS_OF_EACH, Some("once")).text("log_id"), id);
    });
    assert_looks_at(&questions, "idempotency_keys", 1, 1);
    assert_looks_at(&questions, "logs", 1, 1);
    let questions = asked.profile(|| drop(get(&format!("/security/logs/tenant-2/{id}"))));
    assert_looks_at(&questions, "logs", 1, 1);
    let questions = asked.profile(|| {
        server.delete_as(key, &format!("/security/issue/{id}")).assert_status(200);
    });
    assert_looks_at(&questions, "logs", 1, 1);

    // Nobody remembers who was never found.
    let questions = asked.profile(|| drop(server.get_as("sf_unknown", "/audit/logs").assert_status(401)));
    assert_looks_at(&questions, "tenants", 1, 0);
    let by_password = [("authorization", "Basic bm9ib2R5OmEtUGFzc3cwcmQ=")]; // nobody:a-Passw0rd
    let questions = asked.profile(|| {
        server.send("GET", "/audit/logs", &by_password, Vec::new()).assert_status(401);
    });
    assert_looks_at(&questions, "tenants", 1, 0);

    asked.profile(|| {
        let own = server.sign_up("newcomer");
        let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {own}"))];
        let change = json!({"new_username": "renamed"}).to_string().into_bytes();
        server.send("PATCH", "/security/user/update/newcomer", &headers, change).assert_status(200);
    });
    asked.profile(|| {
        let rows: Vec<String> = (0..60).map(|row| format!("{},{}", row * 7 % 31, row * 5 % 23)).collect();
        let file = format!("a,b\n{}\n", rows.join("\n"));
        let scanned = server.scan_as(key, "?engine=statistical", "t.csv", file.as_bytes()).assert_status(200);
        let scan = scanned.text("id");
        get(&format!("/audit/scan/{scan}"));
        get(&format!("/audit/scan/{scan}/threats"));
        get("/audit/logs");
        server.delete_as(key, &format!("/audit/scan/{scan}"));
    });
    asked.profile(|| {
        let started = TestServer::started(on("serve", &asked.database.url()));
        started.get("/readyz").assert_status(200);
    });
}
