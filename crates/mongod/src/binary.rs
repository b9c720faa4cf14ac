//! Where mongod lies.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Returns the mongod that the environment names, the one on the PATH, or the one that `make mongod` fetched.
pub(crate) fn find() -> PathBuf {
    if let Some(named) = env::var_os("TEST_MONGOD").map(PathBuf::from) {
        assert!(named.is_file(), "no mongod is at {} (`make mongod` fetches one)", named.display());
        return named;
    }
    let searched = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&searched).map(|folder| folder.join("mongod"));
    on_path
        .chain(in_target_folder())
        .find(|path| path.is_file())
        .expect("no mongod is there: `make mongod` fetches one, TEST_MONGOD names another")
}

fn in_target_folder() -> Vec<PathBuf> {
    let fetched = |target: &Path| target.join("mongod/mongod");
    // The running test lies in the target folder, wherever that is.
    let test = env::current_exe().expect("a test has a path");
    let beside_the_test = test.ancestors().skip(1).map(fetched);
    // Cargo runs tests in their package's folder.
    beside_the_test.chain([fetched(Path::new("../../target"))]).collect()
}
