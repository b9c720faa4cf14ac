//! Lists of an operator: the files of a folder are for every tenant, those in its folders `tenants/NAME` for one each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sentinelflow_detect::indicators::{Indicators, ListReport, Reader, Reading};
use sentinelflow_domain::time::Timestamp;

/// Ten million SHA-256 take some 650 MB.
const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;

const TENANTS: &str = "tenants";

/// What a folder holds.
pub struct Lists {
    pub indicators: Indicators,
    pub reports: Vec<ListReport>,
}

impl Lists {
    /// Returns the indicators if every file is of use.
    pub fn whole(self) -> anyhow::Result<Indicators> {
        match self.reports.iter().find(|report| report.is_unusable()) {
            Some(report) => anyhow::bail!("nothing of {} can be used", report.file),
            None => Ok(self.indicators),
        }
    }

    /// Returns how many entries and files can't be used.
    pub fn fault_count(&self) -> u64 {
        self.reports.iter().map(|report| report.fault_count).sum()
    }
}

/// Reads the lists of a folder, or one; what can't be used is told and costs only itself.
pub fn load(folder: &Path, now: Timestamp) -> anyhow::Result<Lists> {
    let mut reading = Reading::new(now);
    let mut reports = Vec::new();
    for (reader, path) in files(folder)? {
        let file = path.display().to_string();
        let text = reader.and_then(|reader| Ok((reader, text(&path)?)));
        reports.push(match text {
            Ok((reader, text)) => reading.add(&reader, &file, &text),
            Err(error) => ListReport::unreadable(&file, &format!("{error:#}")),
        });
    }
    Ok(Lists { indicators: reading.finish(), reports })
}

/// Whom a file is for, or why for nobody.
type ListFile = (anyhow::Result<Reader>, PathBuf);

fn files(root: &Path) -> anyhow::Result<Vec<ListFile>> {
    if root.is_file() {
        return Ok(vec![(Ok(Reader::Everybody), root.to_owned())]);
    }
    let mut files: Vec<ListFile> = Vec::new();
    for path in members(root)? {
        if !path.is_dir() {
            files.push((Ok(Reader::Everybody), path));
        } else if path.file_name().is_some_and(|name| name == TENANTS) {
            add_tenants(&path, &mut files)?;
        } else {
            files.push((Err(anyhow::anyhow!("is a folder; only {TENANTS}/NAME may hold lists")), path));
        }
    }
    Ok(files)
}

fn add_tenants(folder: &Path, files: &mut Vec<ListFile>) -> anyhow::Result<()> {
    for path in members(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            files.push((Err(anyhow::anyhow!("is for no tenant; {TENANTS}/NAME holds those for one")), path));
            continue;
        }
        match name.parse() {
            Ok(name) => {
                let reader = Reader::Tenant(name);
                files.extend(members(&path)?.into_iter().map(|path| (Ok(reader.clone()), path)));
            }
            Err(error) => files.push((Err(anyhow::anyhow!("is the name of no tenant: it {error}")), path)),
        }
    }
    Ok(())
}

/// Returns what a folder holds, by name, without what is hidden.
fn members(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", folder.display());
    let mut members = Vec::new();
    for member in fs::read_dir(folder).with_context(context)? {
        let member = member.with_context(context)?;
        if !member.file_name().to_string_lossy().starts_with('.') {
            members.push(member.path());
        }
    }
    members.sort();
    Ok(members)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(path).context("cannot be read")?.len();
    anyhow::ensure!(bytes <= MOST_BYTES, "has {bytes} bytes; a list has at most {MOST_BYTES}");
    String::from_utf8(fs::read(path).context("cannot be read")?).context("is not UTF-8")
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::time::Timestamp;
    use tempfile::TempDir;

    use super::*;

    /// Makes the files, and returns what each is reported as: its faults' first words, or how many entries are used.
    fn loaded(files: &[(&str, &[u8])]) -> (bool, Vec<String>) {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let lists = load(folder.path(), Timestamp::from_millis(0)).unwrap();
        let root = format!("{}/", folder.path().display());
        let told = lists.reports.iter().map(|report| {
            let file = report.file.strip_prefix(&root).unwrap_or(&report.file);
            let fault = report.faults.first();
            format!("{file}: {}", fault.map_or(report.used_count().to_string(), |fault| fault.what.clone()))
        });
        let told = told.collect();
        (lists.whole().is_ok(), told)
    }

    #[test]
    fn files_are_for_everybody_and_those_of_a_tenants_folder_for_one() {
        let (is_whole, told) = loaded(&[
            ("b.txt", b"203.0.113.4\n"),
            (".hidden", b"\xff"),
            ("tenants/Acme/a.csv", b"ip\n203.0.113.5\n"),
        ]);
        assert_eq!(told, ["b.txt: 1", "tenants/Acme/a.csv: 1"]);
        assert!(is_whole);
    }

    #[test]
    fn what_can_not_be_used_is_told_and_costs_only_itself_but_the_whole() {
        let bad: [(&str, &[u8], &str); 5] = [
            ("bad.txt", b"\xff\xfe", "is not UTF-8"),
            ("page.txt", b"<html>\n", "'<html>' is no domain"),
            ("more/a.txt", b"203.0.113.4\n", "is a folder"),
            ("tenants/a.txt", b"203.0.113.4\n", "is for no tenant"),
            ("tenants/_/a.txt", b"203.0.113.4\n", "is the name of no tenant"),
        ];
        for (file, text, why) in bad {
            let (is_whole, told) = loaded(&[(file, text), ("zz.txt", b"203.0.113.4\n10.0.0.1\n")]);
            assert!(!is_whole, "{file}");
            assert!(told.iter().any(|told| told.contains(why)), "{why} is missing: {told:?}");
            assert!(told.iter().any(|told| told.starts_with("zz.txt: '10.0.0.1' is private")), "{told:?}");
        }
        assert!(
            loaded(&[("zz.txt", b"203.0.113.4\n10.0.0.1\n")]).0,
            "a fault in a list leaves the rest of use"
        );
    }
}
