//! Keeps the floors of the house: who may depend on whom, and what a room must never do.
//! A new line here is a design decision: say why in docs/decisions/.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

struct Room {
    name: &'static str,
    /// Rooms below that it may see.
    sees: &'static [&'static str],
    /// Libraries that would break the room's promise.
    never: &'static [&'static str],
    /// Words that may not stand in its source, with the reason.
    unspoken: &'static [(&'static str, &'static str)],
}

const ASYNC_AND_NETWORK: [&str; 8] =
    ["tokio", "axum", "hyper", "reqwest", "rusqlite", "mongodb", "tower", "async-std"];

const HOUSE: [Room; 8] = [
    Room {
        name: "domain",
        sees: &[],
        never: &ASYNC_AND_NETWORK,
        unspoken: &[
            ("std::fs", "domain does no I/O"),
            ("std::net", "domain does no I/O"),
            ("Gemini", "domain names no provider"),
        ],
    },
    Room {
        name: "detect",
        sees: &["domain"],
        never: &ASYNC_AND_NETWORK,
        unspoken: &[
            ("async fn", "judging is pure"),
            ("std::net::Tcp", "judging has no network"),
            ("SystemTime::now", "judging has no clock"),
        ],
    },
    Room {
        name: "forensic",
        sees: &["domain"],
        never: &ASYNC_AND_NETWORK,
        unspoken: &[
            ("async fn", "scanning is pure"),
            ("std::net::Tcp", "scanning has no network"),
            ("SystemTime::now", "scanning has no clock"),
        ],
    },
    Room {
        name: "store",
        sees: &["domain"],
        never: &["axum", "hyper", "reqwest", "utoipa"],
        unspoken: &[("http::", "the store knows no HTTP")],
    },
    Room {
        name: "llm",
        sees: &["domain"],
        never: &["axum", "rusqlite", "mongodb", "utoipa"],
        unspoken: &[
            ("sentinelflow_detect", "a model does not match"),
            ("raised_by", "what an opinion does to an analysis is decided in domain"),
            ("SELECT ", "SQL belongs to the store"),
            ("SystemTime::now", "asking has no clock of its own"),
        ],
    },
    Room {
        name: "fakes",
        sees: &[],
        never: &["reqwest", "axum", "rusqlite", "mongodb"],
        unspoken: &[("std::fs", "a fake keeps nothing")],
    },
    Room {
        name: "mongod",
        sees: &[],
        never: &["reqwest", "axum", "rusqlite"],
        unspoken: &[("Command::new(\"mongod\")", "a keeper runs mongod, so that none outlives the tests")],
    },
    Room {
        name: "server",
        sees: &["domain", "detect", "forensic", "store", "llm"],
        never: &["rusqlite", "mongodb", "burn", "rsigma-parser", "calamine"],
        unspoken: &[("INSERT INTO", "SQL belongs to the store"), ("SELECT *", "SQL belongs to the store")],
    },
];

fn root() -> PathBuf {
    // Cargo runs tests in their package's folder; where it compiled them may have been another clone.
    PathBuf::from("../..")
}

fn manifest(path: &Path) -> toml::Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dependencies(room: &Room) -> BTreeSet<String> {
    let manifest = manifest(&root().join("crates").join(room.name).join("Cargo.toml"));
    manifest["dependencies"].as_table().expect("a table").keys().cloned().collect()
}

/// The Rust sources of a room, without its tests.
fn sources(room: &Room) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let code = text.split("#[cfg(test)]").next().expect("at least one part").to_owned();
                found.push((path, code));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("crates").join(room.name).join("src"), &mut found);
    assert!(!found.is_empty(), "{} has no sources", room.name);
    found
}

#[test]
fn every_crate_is_on_the_plan() {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> =
        members.iter().filter_map(|member| member.as_str()?.strip_prefix("crates/")).collect();
    let planned: BTreeSet<&str> = HOUSE.iter().map(|room| room.name).collect();
    assert_eq!(
        members, planned,
        "a crate was added or removed: put it on the plan above and into docs/ARCHITECTURE.md"
    );
}

#[test]
fn arrows_point_down() {
    for room in &HOUSE {
        let allowed: BTreeSet<String> =
            room.sees.iter().map(|below| format!("sentinelflow-{below}")).collect();
        let rooms: Vec<String> =
            dependencies(room).into_iter().filter(|name| name.starts_with("sentinelflow-")).collect();
        for seen in &rooms {
            assert!(
                allowed.contains(seen),
                "{} must not see {seen}: rooms of one floor share only words of domain",
                room.name
            );
        }
    }
}

#[test]
fn no_room_depends_on_what_would_break_its_promise() {
    for room in &HOUSE {
        let dependencies = dependencies(room);
        for never in room.never {
            assert!(!dependencies.contains(*never), "{} must never depend on {never}", room.name);
        }
    }
}

#[test]
fn no_room_does_what_belongs_elsewhere() {
    for room in &HOUSE {
        for (path, code) in sources(room) {
            for (word, reason) in room.unspoken {
                assert!(!code.contains(word), "{} says '{word}': {reason}", path.display());
            }
        }
    }
}

#[test]
fn only_boot_names_a_store_or_who_asks_a_model() {
    let server = HOUSE.iter().find(|room| room.name == "server").unwrap();
    for (path, code) in sources(server) {
        let is_boot = path.ends_with("boot.rs");
        for part in ["SqliteStore", "Consultant"] {
            assert!(is_boot || !code.contains(part), "{} names {part}; only boot.rs may", path.display());
        }
    }
}

#[test]
fn nothing_that_is_shipped_depends_on_what_is_for_tests() {
    for room in &HOUSE {
        for for_tests in ["sentinelflow-fakes", "sentinelflow-mongod"] {
            assert!(!dependencies(room).contains(for_tests), "{} ships {for_tests}", room.name);
        }
    }
}

#[test]
fn the_toolchain_is_pinned_where_the_manifest_says() {
    let toolchain = manifest(&root().join("rust-toolchain.toml"));
    let workspace = manifest(&root().join("Cargo.toml"));
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let rust_version = workspace["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(
        channel.starts_with(rust_version),
        "rust-toolchain.toml says {channel}, Cargo.toml {rust_version}"
    );
}
