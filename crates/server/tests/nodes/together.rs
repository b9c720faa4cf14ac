//! Two nodes that serve one tenant at the same time.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    clients::{Client, entry},
    feed::{counts, recount, walk},
    given::{Set, node},
};

#[test]
fn two_nodes_tell_the_same_of_a_tenant_that_both_serve() {
    const EVENTS: usize = 10_000;
    const CONNECTIONS: usize = 8;
    let url = Set::shared().fresh_database().url();
    let nodes = [node(&url), node(&url)];
    let given_out = AtomicUsize::new(0);
    let write = |base: &str| {
        let client = Client::default();
        let mut acknowledged = Vec::new();
        loop {
            let number = given_out.fetch_add(1, Ordering::Relaxed);
            if number >= EVENTS {
                return acknowledged;
            }
            let entry = entry(number);
            let answer = client.analyze(base, &entry, None).unwrap().assert_status(200);
            acknowledged.push((answer.text("log_id"), entry["message"].as_str().unwrap().to_owned()));
        }
    };
    let acknowledged: BTreeMap<String, String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let base = &nodes[connection % nodes.len()].base;
                scope.spawn(move || write(base))
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(acknowledged.len(), EVENTS, "no two events share an id");

    let [one, other] = &nodes;
    let seen = walk(&[one]);
    assert!(seen.iter().filter(|log| log.is_threat()).count() >= EVENTS / 2);
    assert!(seen.is_sorted_by(|newer, older| newer.id > older.id));
    let stored: BTreeMap<String, String> =
        seen.iter().map(|log| (log.id.clone(), log.message.clone())).collect();
    assert_eq!(seen.len(), EVENTS);
    assert!(stored == acknowledged, "the feed differs from what was acknowledged");
    assert!(walk(&[other]) == seen, "the nodes' feeds differ");
    assert!(walk(&[one, other]) == seen, "a cursor of one node leads to something else on the other");
    for node in &nodes {
        assert_eq!(counts(node), recount(&seen));
    }
}
