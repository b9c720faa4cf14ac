//! A data folder as one process has it, and its name. The name stays the same over restarts, so that where many nodes
//! share a database each finds its own scans again.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use crate::private::{create_private_directory, open_private};

/// The file in a node's data folder that holds its name: ten hex digits.
const FILE_NAME: &str = "node";

/// A node's name, which no other process uses while this value or a copy lives.
#[derive(Debug, Clone)]
pub struct Node {
    id: [u8; 5],
    _lock: Arc<File>,
}

/// Why a node has no name. For the operator.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error("cannot create, read or write {}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("{} is used by another process: each server needs a data folder of its own", path.display())]
    InUse { path: PathBuf },
    #[error("{} does not hold the name of a node: ten hex digits", path.display())]
    NoName { path: PathBuf },
    #[error("there is no randomness to name a node with")]
    NoRandomness,
}

impl Node {
    /// Returns the node whose data folder this is; it gets a name if it is new.
    pub fn claim(folder: &Path) -> Result<Self, NodeError> {
        let path = folder.join(FILE_NAME);
        let unreachable = |source| NodeError::Unreachable { path: path.clone(), source };
        create_private_directory(folder).map_err(unreachable)?;
        let mut file = open_private(&path).map_err(unreachable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NodeError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(unreachable(source)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreachable)?;
        let id = if text.is_empty() {
            let mut id = [0; 5];
            getrandom::fill(&mut id).map_err(|_| NodeError::NoRandomness)?;
            writeln!(file, "{}", Hex(id)).map_err(unreachable)?;
            file.sync_all().map_err(unreachable)?;
            id
        } else {
            named(text.trim_end()).ok_or(NodeError::NoName { path })?
        };
        Ok(Self { id, _lock: Arc::new(file) })
    }

    pub(crate) fn id(&self) -> [u8; 5] {
        self.id
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(self.id).fmt(f)
    }
}

struct Hex([u8; 5]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn named(text: &str) -> Option<[u8; 5]> {
    let is_name = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_name.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
    let [_, _, _, id @ ..] = number.to_be_bytes();
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name_and_lends_it_once() {
        let folder = tempfile::TempDir::new().unwrap();
        let node = Node::claim(folder.path()).unwrap();
        assert!(matches!(Node::claim(folder.path()), Err(NodeError::InUse { .. })));
        let id = node.id;
        drop(node);
        assert_eq!(Node::claim(folder.path()).unwrap().id, id);
        std::fs::write(folder.path().join(FILE_NAME), "nobody").unwrap();
        assert!(matches!(Node::claim(folder.path()), Err(NodeError::NoName { .. })));
    }
}
