//! A Parquet file as the foreign reader of pages sees it: what a page's header claims is checked before the reader
//! takes room for it.

use std::{
    fs::File,
    io::{Cursor, Read, Seek, SeekFrom},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use parquet::{
    basic::Compression,
    errors::Result,
    file::reader::{ChunkReader, Length},
};

use super::{
    pages::{odd, refusal},
    thrift::{Event, Fault, Walk},
};
use crate::ScanError;

/// Writers aim at 1 MiB; some make one page of a whole column of a row group.
const MOST_PAGE_BYTES: u64 = 128 << 20;
const HEADER_BYTES: u64 = 1 << 10;
/// A header may quote the least and the greatest value.
const LONGEST_HEADER: u64 = 1 << 20;

/// The file as the foreign reader of pages sees it: it asks for a page's header and then for its bytes.
pub(super) struct Chunk {
    file: Arc<File>,
    size: u64,
    compression: Compression,
    header: Mutex<Header>,
}

/// What the header read last says.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    expanded: u64,
    packed: u64,
    level_bytes: u64,
    is_packed: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> std::result::Result<Self, Fault> {
        let mut header = Self { is_packed: true, ..Self::default() };
        Walk::over(bytes, &mut |event| {
            let Event::Integer(path, value) = event else { return Ok(()) };
            let size = u64::try_from(value);
            match path {
                2 => header.expanded = size.map_err(|_| "a page has less than no bytes")?,
                3 => header.packed = size.map_err(|_| "a page has less than no bytes")?,
                0x0805 | 0x0806 => {
                    let bytes = size.map_err(|_| "a page has less than no levels")?;
                    header.level_bytes = header.level_bytes.saturating_add(bytes);
                }
                0x0807 => header.is_packed = value == 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(header)
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Chunk {
    type T = Cursor<Vec<u8>>;

    /// Returns a page's header, if it is harmless.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut most = HEADER_BYTES;
        loop {
            let length = most.min(self.size.saturating_sub(start));
            let bytes = self.bytes(start, length)?;
            match Header::read(&bytes) {
                Ok(header) if header.expanded.max(header.packed) > MOST_PAGE_BYTES => {
                    let what = format!(
                        "a page of the Parquet file has {} bytes",
                        header.expanded.max(header.packed)
                    );
                    return Err(refusal(ScanError::too_large(what, MOST_PAGE_BYTES)));
                }
                Ok(header) => {
                    *self.header.lock().map_err(|_| odd("it cannot be decoded"))? = header;
                    return Ok(Cursor::new(bytes));
                }
                Err(Fault::Short) if length == most && most < LONGEST_HEADER => most *= 8,
                Err(Fault::Short) => return Err(odd("the header of a page does not end")),
                Err(Fault::Odd(what)) => return Err(odd(what)),
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.bytes(start, length as u64)?;
        self.check_expansion(&bytes)?;
        Ok(bytes.into())
    }
}

impl Chunk {
    pub(super) fn new(file: &Arc<File>, compression: Compression) -> std::io::Result<Self> {
        Ok(Self {
            size: file.metadata()?.len(),
            file: Arc::clone(file),
            compression,
            header: Mutex::default(),
        })
    }

    fn bytes(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        if length > MOST_PAGE_BYTES || start.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(odd("a page lies beyond the end of the file"));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Some decoders go on beyond the size that a page claims, so that size is tried first.
    fn check_expansion(&self, page: &[u8]) -> Result<()> {
        let header = *self.header.lock().map_err(|_| odd("it cannot be decoded"))?;
        let levels = usize::try_from(header.level_bytes)?;
        let packed = page.get(levels..).ok_or_else(|| odd("a page has more levels than bytes"))?;
        let expander: Box<dyn Read + '_> = match self.compression {
            _ if !header.is_packed || header.expanded <= header.level_bytes => return Ok(()),
            Compression::GZIP(_) => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Compression::BROTLI(_) => Box::new(brotli_decompressor::Decompressor::new(packed, 4_096)),
            _ => return Ok(()),
        };
        let most = header.expanded - header.level_bytes;
        let expanded = std::io::copy(&mut expander.take(most + 1), &mut std::io::sink())?;
        if expanded > most { Err(odd("a page expands to more than it claims")) } else { Ok(()) }
    }
}
