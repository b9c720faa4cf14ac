//! An air-gapped server opens no connection to anywhere: looked at from outside, at the sockets that its process holds.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use sentinelflow_fakes::FakeModel;

use super::{environment, fresh_event};
use crate::harness::{Start, TestServer, reference_entry, until};

/// A socket that can carry something to another machine.
#[derive(Debug)]
struct Socket {
    protocol: &'static str,
    local_port: u16,
    remote_port: u16,
}

/// Returns the sockets of one process, by what Linux tells of it.
fn sockets(process_id: u32) -> Vec<Socket> {
    let descriptors = fs::read_dir(format!("/proc/{process_id}/fd")).expect("the process runs, on Linux");
    // Some may be closed while they are looked at.
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
    let own: BTreeSet<String> = targets
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut sockets = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        // A machine without IPv6 has no such table.
        let table = fs::read_to_string(format!("/proc/{process_id}/net/{protocol}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if own.contains(columns[9]) {
                let (local_port, remote_port) = (port(columns[1]), port(columns[2]));
                sockets.push(Socket { protocol, local_port, remote_port });
            }
        }
    }
    sockets
}

/// Reads the port of an address such as `0100007F:1F90`.
fn port(address: &str) -> u16 {
    let (_, port) = address.split_once(':').unwrap();
    u16::from_str_radix(port, 16).unwrap()
}

fn port_of(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// Looks at a server's sockets a hundred times while it analyses events.
fn look_while_it_works(server: &TestServer, mut look: impl FnMut(&[Socket])) {
    let key = server.sign_up("ana");
    let (analyzed, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let authorization = format!("Bearer {key}");
                let headers = [("authorization", &*authorization), ("content-type", "application/json")];
                let mut events = [fresh_event, reference_entry].into_iter().cycle();
                while !is_done.load(Ordering::Relaxed) {
                    let body = events.next().unwrap()().to_string().into_bytes();
                    server.send("POST", "/security/analyze/ana", &headers, body).assert_status(200);
                    analyzed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let stop = StopWhenDropped(&is_done);
        until(|| analyzed.load(Ordering::Relaxed), |analyzed| *analyzed > 0);
        for _ in 0..100 {
            look(&sockets(server.process_id()));
        }
        drop(stop);
    });
    assert!(analyzed.into_inner() > 10);
}

/// Lets the senders end also where the look fails.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn serve(model: &FakeModel, flags: Vec<&'static str>) -> TestServer {
    let environment = environment(model);
    TestServer::started(Start { mode: "serve", flags, environment, ..Start::default() })
}

#[test]
fn an_air_gapped_server_opens_no_connection_whatever_is_configured() {
    let model = FakeModel::start();
    let server = serve(&model, vec!["--air-gapped"]);
    let listening = port_of(&server.base);
    let mut most = 0;
    look_while_it_works(&server, |sockets| {
        let outbound: Vec<&Socket> = sockets
            .iter()
            .filter(|socket| !socket.protocol.starts_with("tcp") || socket.local_port != listening)
            .collect();
        assert!(outbound.is_empty(), "{outbound:?}");
        most = most.max(sockets.len());
    });
    assert!(most > 1, "the connections of its callers are seen");
    assert_eq!(model.request_count(), 0);
    assert!(server.said().contains("air-gapped, no language model"), "{}", server.said());
}

/// The test above is worth something only if the same look finds a connection where there is one.
#[test]
fn the_look_at_the_sockets_finds_a_connection_to_a_model() {
    let model = FakeModel::start();
    model.delay(Duration::from_millis(50));
    let server = serve(&model, Vec::new());
    let (listening, asked) = (port_of(&server.base), port_of(&model.url()));
    let mut is_found = false;
    look_while_it_works(&server, |sockets| {
        is_found |=
            sockets.iter().any(|socket| socket.remote_port == asked && socket.local_port != listening);
    });
    assert!(is_found);
    until(|| model.request_count(), |count| *count > 0);
}
