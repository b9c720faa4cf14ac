//! A MongoDB that goes away and comes back.

use crate::{
    given::{Set, node},
    harness::{Answer, TestServer, reference_entry, until},
};

fn readiness(server: &TestServer) -> Answer {
    let answer = server.get("/readyz");
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        return answer.assert_problem(503);
    }
    answer.assert_status(200)
}

#[test]
fn a_node_says_that_it_is_not_ready_while_its_mongodb_is_away_and_goes_on_by_itself() {
    let set = Set::start(1, sentinelflow_mongod::Options::default());
    let server = node(&set.fresh_database().url());
    let write =
        || server.post("/security/analyze/admin", &reference_entry()).assert_status(200).text("log_id");
    let mut written = vec![write()];
    let mut endures = |goes_away: &dyn Fn(), comes_back: &dyn Fn()| {
        readiness(&server).assert_status(200);
        goes_away();
        readiness(&server).assert_status(503);
        server.get("/healthz").assert_status(200);
        comes_back();
        until(|| readiness(&server), |answer| answer.status == 200);
        written.push(write());
    };
    endures(&|| set.kill(0), &|| set.restart(0));
    endures(&|| set.stop(0), &|| set.resume(0));
    let stored = server.get("/security/logs/admin").assert_status(200);
    let stored = stored.body.as_array().unwrap().iter().map(|log| log["id"].as_str().unwrap().to_owned());
    written.reverse();
    assert_eq!(stored.collect::<Vec<_>>(), written);
}
