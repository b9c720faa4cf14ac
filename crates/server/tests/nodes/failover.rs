//! Primaries and nodes that die under load.

use std::{collections::BTreeMap, thread, time::Duration};

use sentinelflow_mongod::Options;

use crate::{
    feed::{counts, recount, walk},
    given::{Set, node},
    load::{Load, Phase},
};

const WRITERS: usize = 6;

/// What a node waits for a majority before it answers 503 (docs/OPERATIONS.md), and an election on a busy machine.
const LONGEST_GAP: Duration = Duration::from_secs(20 + 15);
/// What a node waits for a read, and what a busy machine adds.
const LONGEST_READ: Duration = Duration::from_secs(25);

fn assert_bounds(what: &str, phase: &Phase) {
    eprintln!("{what}: {phase:.1?}");
    assert!(phase.longest_gap < LONGEST_GAP, "{what}: {phase:?}");
    assert!(phase.longest_read < LONGEST_READ, "{what}: {phase:?}");
}

#[test]
fn what_is_acknowledged_is_stored_once_whichever_primary_or_node_dies() {
    const KILLS: usize = 5;
    const HANGS_FOR: Duration = Duration::from_secs(15);
    // What a killed node has left open holds its keys for so long; a minute by default.
    let forgets = ["--setParameter", "transactionLifetimeLimitSeconds=10"].map(str::to_owned).to_vec();
    let options = Options { election_timeout_ms: Some(2_000), arguments: forgets, ..Options::default() };
    let set = Set::start(3, options);
    let url = set.fresh_database().url();
    let mut nodes = [node(&url), node(&url)];
    let load = Load::on(&nodes);
    thread::scope(|scope| {
        let load = &load;
        let _ends = load.end_with();
        for writer in 0..WRITERS {
            scope.spawn(move || load.write(writer));
        }
        for reader in 0..2 {
            scope.spawn(move || load.read(reader));
        }
        let goes_on = || load.goes_on_for(20 * WRITERS);
        assert_bounds("before", &load.during(goes_on));
        for kill in 1..=KILLS {
            let phase = load.during(|| {
                let primary = set.primary();
                set.kill(primary);
                goes_on();
                set.restart(primary);
                goes_on();
            });
            assert_bounds(&format!("SIGKILL of a primary, {kill}"), &phase);
        }
        let phase = load.during(|| {
            let primary = set.primary();
            set.stop(primary);
            // That it hangs for so long is what is asked about.
            thread::sleep(HANGS_FOR);
            set.resume(primary);
            goes_on();
        });
        assert_bounds("SIGSTOP of a primary for 15 s", &phase);
        for node in [0, 1, 0] {
            let phase = load.during(|| {
                load.while_dead(node, || {
                    nodes[node].signal("KILL");
                    // The other one goes on.
                    goes_on();
                    nodes[node].kill_and_restart();
                    nodes[node].base.clone()
                });
                goes_on();
            });
            assert_bounds(&format!("SIGKILL of node {node}"), &phase);
            assert!(phase.broken > 0, "no request was under way");
        }
    });

    let (acknowledged, faults) = load.result();
    assert!(faults.is_empty(), "{} faults, such as {}", faults.len(), faults[0]);
    let [one, other] = &nodes;
    let stored = walk(&[one, other]);
    let ids: BTreeMap<String, String> =
        stored.iter().map(|log| (log.message.clone(), log.id.clone())).collect();
    assert_eq!(ids.len(), stored.len(), "an event is stored twice");
    let lost = acknowledged.iter().find(|(message, id)| ids.get(*message) != Some(id));
    assert_eq!(lost, None, "an acknowledged event is lost, or stored under another id");
    assert_eq!(ids.len(), acknowledged.len(), "there is an event that nobody sent");
    for node in &nodes {
        assert_eq!(counts(node), recount(&stored), "the counters differ from the logs");
    }
}
