//! A file whose reading ends when nobody waits for the scan any more.

use std::{
    cell::Cell as Flag,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    rc::Rc,
};

use sentinelflow_domain::scan::ScanProgress;

use crate::ScanError;

/// Foreign code reads through this: it stops at the next block, wherever it is.
pub(crate) struct Watched<'p> {
    file: File,
    position: u64,
    watch: Watch<'p>,
}

/// Remembers that the reading was ended, since whoever reads only hears of a fault.
#[derive(Clone)]
pub(crate) struct Watch<'p> {
    progress: &'p dyn ScanProgress,
    ended: Rc<Flag<bool>>,
}

impl<'p> Watch<'p> {
    pub(crate) fn new(progress: &'p dyn ScanProgress) -> Self {
        Self { progress, ended: Rc::new(Flag::new(false)) }
    }

    pub(crate) fn open(&self, file: &Path) -> io::Result<BufReader<Watched<'p>>> {
        Ok(BufReader::new(Watched { file: File::open(file)?, position: 0, watch: self.clone() }))
    }

    /// Fails if the scan has been cancelled.
    pub(crate) fn look(&self) -> Result<(), ScanError> {
        if self.ended.get() || self.progress.is_cancelled() {
            self.ended.set(true);
            return Err(ScanError::Cancelled);
        }
        Ok(())
    }

    /// Says that the scan was cancelled where that is why the reading failed.
    pub(crate) fn explain<T>(&self, read: Result<T, ScanError>) -> Result<T, ScanError> {
        if read.is_err() && self.ended.get() { Err(ScanError::Cancelled) } else { read }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.watch.look().map_err(io::Error::other)?;
        let read = self.file.read(into)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Watched<'_> {
    /// Returns where the next block begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}
