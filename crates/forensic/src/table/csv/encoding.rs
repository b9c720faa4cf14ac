//! What the first bytes of a text say of how it was written down.

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};
use std::io::Read;

use super::super::packed::{TextStream, fault};
use crate::ScanError;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Encoding {
    /// UTF-8 or Windows-1252: they share the bytes that shape a table, and cells are decoded one by one.
    Bytes {
        mark: usize,
    },
    Utf16(&'static encoding_rs::Encoding),
}

/// Of a text's pairs of bytes, at least this share has a zero where Latin letters have one in UTF-16, and at most the
/// other share has one where they have none.
const MOSTLY: f64 = 0.7;
const HARDLY: f64 = 0.05;
const RAW_BYTES: usize = 64 << 10;

impl Encoding {
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0xEF, 0xBB, 0xBF, ..] => return Self::Bytes { mark: 3 },
            [0xFF, 0xFE, ..] => return Self::Utf16(UTF_16LE),
            [0xFE, 0xFF, ..] => return Self::Utf16(UTF_16BE),
            _ => {}
        }
        let (pairs, _) = head.as_chunks::<2>();
        let share = |zeros: usize| zeros as f64 / pairs.len().max(1) as f64;
        let first = share(pairs.iter().filter(|pair| pair[0] == 0).count());
        let second = share(pairs.iter().filter(|pair| pair[1] == 0).count());
        if second >= MOSTLY && first <= HARDLY {
            Self::Utf16(UTF_16LE)
        } else if first >= MOSTLY && second <= HARDLY {
            Self::Utf16(UTF_16BE)
        } else {
            Self::Bytes { mark: 0 }
        }
    }
}

/// A stream of bytes that shape a table, whatever the file's encoding.
pub(super) enum Input<'t, 'p> {
    Bytes(TextStream<'t, 'p>),
    Utf16 { stream: TextStream<'t, 'p>, decoder: Decoder, raw: Vec<u8>, ended: bool, finished: bool },
}

impl<'t, 'p> Input<'t, 'p> {
    pub(super) fn new(stream: TextStream<'t, 'p>, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Bytes { .. } => Self::Bytes(stream),
            Encoding::Utf16(encoding) => Self::Utf16 {
                stream,
                decoder: encoding.new_decoder_with_bom_removal(),
                raw: Vec::new(),
                ended: false,
                finished: false,
            },
        }
    }

    pub(super) fn share(&self) -> f64 {
        match self {
            Self::Bytes(stream) | Self::Utf16 { stream, .. } => stream.share(),
        }
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, ScanError> {
        match self {
            Self::Bytes(stream) => stream.read(into).map_err(fault),
            // A decoder must not be asked again once it has taken the end of the text.
            Self::Utf16 { finished: true, .. } => Ok(0),
            Self::Utf16 { stream, decoder, raw, ended, finished } => loop {
                if raw.is_empty() && !*ended {
                    Read::by_ref(stream).take(RAW_BYTES as u64).read_to_end(raw).map_err(fault)?;
                    *ended = raw.is_empty();
                }
                let (result, taken, written, _) = decoder.decode_to_utf8(raw, into, *ended);
                raw.drain(..taken);
                *finished = *ended && result == CoderResult::InputEmpty;
                if written > 0 || *finished {
                    return Ok(written);
                }
            },
        }
    }
}
