use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    accounts::all_log_ids,
    harness::{TestServer, reference_entry, until},
};

const WRITERS: usize = 12;
const KILLS: usize = 5;
const WRITES_BEFORE_A_KILL: usize = 200;

#[test]
fn every_acknowledged_log_survives_sigkill_under_twelve_writers_five_times() {
    let mut server = TestServer::dev();
    let acknowledged = Mutex::new(BTreeSet::new());
    for round in 1..=KILLS {
        let written = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    let headers = [("content-type", "application/json")];
                    let body = reference_entry().to_string().into_bytes();
                    // The killed server gives no answer: that ends the writer.
                    while let Ok(answer) =
                        server.try_send("POST", "/security/analyze/admin", &headers, body.clone())
                    {
                        let id = answer.assert_status(200).text("log_id");
                        acknowledged.lock().unwrap().insert(id);
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while written.load(Ordering::Relaxed) < WRITES_BEFORE_A_KILL {
                std::thread::sleep(Duration::from_millis(1));
            }
            let killed =
                std::process::Command::new("kill").args(["-KILL", &server.process_id().to_string()]).status();
            assert!(killed.is_ok_and(|status| status.success()));
        });
        server.kill_and_restart();
        let stored: BTreeSet<String> = all_log_ids(&server, "admin").into_iter().collect();
        let acknowledged = acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(
            lost.is_empty(),
            "round {round}: {} of {} acknowledged logs are lost",
            lost.len(),
            acknowledged.len()
        );
        let unanswered = stored.len() - acknowledged.len();
        assert!(unanswered <= round * WRITERS, "round {round}: {unanswered} logs that nobody sent");
    }
}

#[test]
fn who_was_connected_when_sigterm_came_is_still_answered_once() {
    let mut server = TestServer::dev();
    let request = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let connect = || TcpStream::connect(&address);
    let (mut fresh, mut kept) = (connect().unwrap(), connect().unwrap());
    kept.write_all(request).unwrap();
    let answer = read_answer(&mut kept);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"), "{answer}");
    server.signal("TERM");
    assert!(until(connect, Result::is_err).is_err());
    for stream in [&mut fresh, &mut kept] {
        stream.write_all(request).unwrap();
        let answer = read_answer(stream);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it was the last answer here");
    }
    assert_eq!(server.wait(), Some(0));
}

/// Returns an answer up to the end of its head, in lower case but for the version.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"}") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection was closed: {}", head.escape_ascii());
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn sigterm_finishes_what_is_under_way() {
    let mut server = TestServer::dev();
    let acknowledged: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let headers = [("content-type", "application/json")];
                    let body = reference_entry().to_string().into_bytes();
                    let mut count = 0;
                    while let Ok(answer) =
                        server.try_send("POST", "/security/analyze/admin", &headers, body.clone())
                    {
                        answer.assert_status(200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        while server.get("/security/logs/admin?limit=100").body.as_array().map_or(0, Vec::len) < 100 {}
        let told =
            std::process::Command::new("kill").args(["-TERM", &server.process_id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(server.wait(), Some(0));
    server.kill_and_restart();
    assert_eq!(all_log_ids(&server, "admin").len(), acknowledged);
}
