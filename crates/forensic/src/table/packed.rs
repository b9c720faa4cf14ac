//! The bytes of a text, from a file as it stands or from what a packed one expands to; never held as a whole.

use std::{
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use sentinelflow_domain::scan::ScanProgress;

use super::watched::{Watch, Watched};
use crate::{Limits, ScanError};

/// A file whose text can be read from its first byte, as often as asked.
pub(crate) struct TextFile<'p> {
    path: PathBuf,
    size: u64,
    packing: Packing,
    most_bytes: u64,
    most_times: u64,
    watch: Watch<'p>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Expanding to this much is harmless however well a text was packed.
const UNSUSPICIOUS_BYTES: u64 = 64 << 20;
/// Two to this power is the largest window (128 MiB) that a packer may ask us to remember; `zstd --ultra` needs it.
const LARGEST_WINDOW: u32 = 27;

impl Packing {
    /// Returns how a file that begins so was packed.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B, ..] => Self::Gzip,
            // A frame, or one that is to be skipped, as packers of blocks write it first.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "text",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl<'p> TextFile<'p> {
    pub(crate) fn new(
        path: &Path,
        packing: Packing,
        limits: &Limits,
        progress: &'p dyn ScanProgress,
    ) -> Result<Self, ScanError> {
        Ok(Self {
            path: path.to_owned(),
            size: path.metadata()?.len(),
            packing,
            most_bytes: limits.bytes,
            most_times: limits.packing_ratio,
            watch: Watch::new(progress),
        })
    }

    /// Begins at the first byte of the text.
    pub(crate) fn open(&self) -> Result<TextStream<'_, 'p>, ScanError> {
        let file = self.watch.open(&self.path)?;
        let expander = match self.packing {
            Packing::None => Expander::None(file),
            Packing::Gzip => Expander::Gzip(Box::new(MultiGzDecoder::new(file))),
            Packing::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(file)?;
                decoder.window_log_max(LARGEST_WINDOW)?;
                Expander::Zstd(Box::new(decoder))
            }
        };
        Ok(TextStream { text: self, expander, expanded: 0 })
    }

    /// Returns the first bytes of the text, up to a number.
    pub(crate) fn head(&self, most: usize) -> Result<Vec<u8>, ScanError> {
        let mut head = Vec::new();
        self.open()?.take(most as u64).read_to_end(&mut head).map_err(fault)?;
        Ok(head)
    }
}

type WatchedFile<'p> = BufReader<Watched<'p>>;

enum Expander<'p> {
    None(WatchedFile<'p>),
    Gzip(Box<MultiGzDecoder<WatchedFile<'p>>>),
    Zstd(Box<zstd::Decoder<'static, WatchedFile<'p>>>),
}

/// One reading of a text. Its faults carry a [`ScanError`], which [`fault`] takes out again.
pub(crate) struct TextStream<'t, 'p> {
    text: &'t TextFile<'p>,
    expander: Expander<'p>,
    expanded: u64,
}

impl TextStream<'_, '_> {
    /// Returns the share of the file that was read (0 to 1).
    pub(crate) fn share(&self) -> f64 {
        let read = match &self.expander {
            Expander::None(_) => self.expanded,
            Expander::Gzip(decoder) => decoder.get_ref().get_ref().position(),
            Expander::Zstd(decoder) => decoder.get_ref().get_ref().position(),
        };
        (read as f64 / self.text.size.max(1) as f64).min(1.0)
    }

    /// Says what a fault of reading comes from: nobody waits any more, the disk, or the packed bytes.
    fn explained(&self, error: io::Error) -> io::Error {
        if self.text.watch.look().is_err() {
            return io::Error::other(ScanError::Cancelled);
        }
        // What the operating system says has a number of its own; what a decoder says has none.
        if self.text.packing == Packing::None || error.raw_os_error().is_some() {
            return error;
        }
        let packing = self.text.packing.name();
        let expanded = self.expanded;
        io::Error::other(ScanError::not_a_table(if error.kind() == io::ErrorKind::UnexpectedEof {
            format!("the {packing} file was cut off: it ends in the midst, after {expanded} bytes of text")
        } else {
            format!("the {packing} file is damaged after {expanded} bytes of text: {error}")
        }))
    }

    fn check_size(&self) -> Result<(), ScanError> {
        if self.text.packing == Packing::None || self.expanded <= UNSUSPICIOUS_BYTES {
            return Ok(());
        }
        let most = self.text.most_times;
        if self.expanded / self.text.size.max(1) > most {
            let packing = self.text.packing.name();
            return Err(ScanError::too_large(
                format!("the {packing} file expands more than {most} times"),
                most,
            ));
        }
        Ok(())
    }
}

impl Read for TextStream<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.expander {
            Expander::None(file) => file.read(into),
            Expander::Gzip(decoder) => decoder.read(into),
            Expander::Zstd(decoder) => decoder.read(into),
        }
        .map_err(|error| self.explained(error))?;
        self.expanded += read as u64;
        if self.expanded > self.text.most_bytes {
            let what = format!("the text has more than {} bytes", self.text.most_bytes);
            return Err(io::Error::other(ScanError::too_large(what, self.text.most_bytes)));
        }
        self.check_size().map_err(io::Error::other)?;
        Ok(read)
    }
}

/// Returns what a fault of a [`TextStream`] says.
pub(crate) fn fault(error: io::Error) -> ScanError {
    error.downcast::<ScanError>().unwrap_or_else(ScanError::Unreadable)
}
