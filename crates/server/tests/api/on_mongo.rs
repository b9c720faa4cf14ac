//! The same API, asked of servers whose store is a MongoDB. There is no stream of threats yet.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]
#![expect(dead_code, reason = "the tests of the stream are not among these")]
#![expect(unreachable_pub, reason = "a test has no outside")]

mod harness;

mod accounts;
mod audit;
mod baselines;
mod command_line;
mod durability;
mod errors;
mod indicators;
mod moving;
mod operator;
mod scans;
mod second_opinion;
mod security;

#[test]
fn who_asks_for_the_stream_is_told_what_to_do_instead() {
    let server = harness::TestServer::dev();
    let refused = server.get("/security/stream/admin").assert_status(501);
    assert!(refused.text("detail").contains("/security/logs/"), "{refused:?}");
}
