//! Rule files of an operator: every YAML file below a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sentinelflow_detect::rules::{FILE_MAX_BYTES, RuleFileError, RuleSet};

/// A checkout of the largest public collection has some 4,000.
const MOST_FILES: usize = 50_000;

/// Names and texts of rule files, by name.
pub type RuleFiles = Vec<(String, String)>;

/// Returns the rules that come with the program and those in the folder, if there is one, and what can't be used.
pub fn load(folder: Option<&Path>) -> anyhow::Result<(RuleSet, Vec<RuleFileError>)> {
    let Some(folder) = folder else { return Ok((RuleSet::built_in(), Vec::new())) };
    let (files, mut errors) = read(folder)?;
    let (rules, faults) = RuleSet::built_in_and(files.into_iter());
    errors.extend(faults);
    Ok((rules, errors))
}

/// Reads the rule files below a folder, or one file; a file that can't be used is told and costs only itself.
pub fn read(path: &Path) -> anyhow::Result<(RuleFiles, Vec<RuleFileError>)> {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for path in paths(path)? {
        let file = path.display().to_string();
        match text(&path) {
            Ok(text) => files.push((file, text)),
            Err(error) => errors.push(RuleFileError { file, line: 1, what: format!("{error:#}") }),
        }
    }
    Ok((files, errors))
}

fn paths(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let path = entry.path();
            // A link to a folder may lead in a circle, so only links to files are followed.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yml" || end == "yaml") && path.is_file() {
                anyhow::ensure!(found.len() < MOST_FILES, "{} holds over {MOST_FILES} files", root.display());
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(path).context("cannot be read")?.len();
    anyhow::ensure!(
        bytes <= FILE_MAX_BYTES as u64,
        "has {bytes} bytes; a rule file has at most {FILE_MAX_BYTES}"
    );
    String::from_utf8(fs::read(path).context("cannot be read")?).context("is not UTF-8")
}
