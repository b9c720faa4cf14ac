//! Uploads on the disk: under way in one folder, those that were acknowledged in another, named by their scans.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sentinelflow_domain::store::ScanId;
use sentinelflow_store::Node;
use tempfile::{NamedTempFile, TempPath};
use tracing::warn;

pub struct Spool {
    uploads: PathBuf,
    scans: PathBuf,
    /// Keeps the data folder this process's own.
    _node: Node,
}

impl Spool {
    /// Makes the folders; uploads that a killed process left are removed.
    pub fn open(data: &Path, node: Node) -> anyhow::Result<Self> {
        let spool = Self { uploads: data.join("uploads"), scans: data.join("scans"), _node: node };
        for folder in [&spool.uploads, &spool.scans] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        remove_files(&spool.uploads, |_| true)?;
        Ok(spool)
    }

    /// Returns an empty file for an upload, which is removed with its path.
    pub fn new_upload(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(&self.uploads)
    }

    pub fn file_of(&self, scan: ScanId) -> PathBuf {
        self.scans.join(scan.to_string())
    }

    /// Makes an upload the file of a scan; it then survives a power cut if `sync` did its part before. It blocks.
    pub fn keep(&self, upload: TempPath, scan: ScanId) -> io::Result<()> {
        upload.persist(self.file_of(scan)).map_err(|error| error.error)?;
        File::open(&self.scans)?.sync_all()
    }

    /// Removes the file of a scan that has ended.
    pub fn remove(&self, scan: ScanId) {
        if let Err(error) = fs::remove_file(self.file_of(scan))
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(scan.id = %scan, error = %error, "The file of scan {scan} could not be removed");
        }
    }

    /// Removes every file that belongs to none of these scans.
    pub fn remove_others(&self, scans: &HashSet<ScanId>) -> anyhow::Result<()> {
        let kept: HashSet<String> = scans.iter().map(ToString::to_string).collect();
        remove_files(&self.scans, |name| !kept.contains(name))
    }
}

/// Writes an upload to the disk, out of the system's cache. It blocks.
pub fn sync(upload: &Path) -> io::Result<()> {
    File::open(upload)?.sync_all()
}

fn remove_files(folder: &Path, is_left_over: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if is_left_over(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
