//! Stands in for a mongod that can't be had: one of an old release, and one that falls silent. Speaks as much of the
//! wire protocol (`OP_MSG`) as is said before a store is open.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use sentinelflow_mongod::bson::{DateTime, Document, doc, oid::ObjectId};

/// The number of `OP_MSG` in a message's head.
const MESSAGE: i32 = 2013;
/// Length, number, what it answers, kind; and then the flags and the kind of the first section.
const HEAD_BYTES: usize = 16;
const BEFORE_DOCUMENT_BYTES: usize = HEAD_BYTES + 5;

/// What it is like.
#[derive(Clone, Copy)]
pub struct Nature {
    /// What it says its release is; without one it says hello, and never a word more.
    pub release: Option<&'static str>,
    /// How a server of that release calls what it speaks.
    pub wire_version: i32,
}

/// Starts one, which ends with the tests, and returns its address.
pub fn start(nature: Nature) -> String {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
    let address = listener.local_addr().expect("it has one").to_string();
    let name = address.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let name = name.clone();
            // Whoever breaks off has heard enough.
            thread::spawn(move || converse(stream, &name, nature).ok());
        }
    });
    format!("mongodb://{address}/?replicaSet=rs0")
}

fn converse(mut stream: TcpStream, name: &str, nature: Nature) -> io::Result<()> {
    loop {
        let (number, command) = read(&mut stream)?;
        if let Some(answer) = answer(&command, name, nature) {
            write(&mut stream, number, &answer)?;
        }
    }
}

fn answer(command: &Document, name: &str, nature: Nature) -> Option<Document> {
    let command = command.keys().next().map_or("", String::as_str);
    if command.eq_ignore_ascii_case("hello") || command.eq_ignore_ascii_case("isMaster") {
        return Some(hello(name, nature.wire_version));
    }
    let release = nature.release?;
    if command == "buildInfo" {
        return Some(doc! { "version": release, "ok": 1.0 });
    }
    Some(doc! { "ok": 0.0, "code": 59, "codeName": "CommandNotFound", "errmsg": "no such command" })
}

/// It is the primary of a replica set of one.
fn hello(name: &str, wire_version: i32) -> Document {
    doc! {
        "helloOk": true,
        "ismaster": true,
        "isWritablePrimary": true,
        "setName": "rs0",
        "setVersion": 1,
        "electionId": ObjectId::from_bytes([1; 12]),
        "hosts": [name],
        "me": name,
        "primary": name,
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "logicalSessionTimeoutMinutes": 30,
        "localTime": DateTime::from_millis(0),
        "minWireVersion": 0,
        "maxWireVersion": wire_version,
        "ok": 1.0,
    }
}

fn read(stream: &mut TcpStream) -> io::Result<(i32, Document)> {
    let odd = || io::Error::from(io::ErrorKind::InvalidData);
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head)?;
    let word = |at: usize| i32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = usize::try_from(word(0)).map_err(|_| odd())?;
    let mut message = vec![0; length.checked_sub(HEAD_BYTES).ok_or_else(odd)?];
    stream.read_exact(&mut message)?;
    let document = message.get(BEFORE_DOCUMENT_BYTES - HEAD_BYTES..).filter(|_| word(12) == MESSAGE);
    let command = Document::from_reader(document.ok_or_else(odd)?).map_err(|_| odd())?;
    Ok((word(4), command))
}

fn write(stream: &mut TcpStream, answered: i32, answer: &Document) -> io::Result<()> {
    let document = answer.to_vec().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let length = i32::try_from(BEFORE_DOCUMENT_BYTES + document.len()).expect("answers are short");
    let mut message = Vec::new();
    for word in [length, 0, answered, MESSAGE, 0] {
        message.extend(word.to_le_bytes());
    }
    message.push(0);
    message.extend(document);
    stream.write_all(&message)
}
