//! What the markup of a workbook's part would take in memory, found out without keeping any of it.

use std::{
    cell::Cell as Count,
    io::{self, BufReader, Read},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::ScanError;

/// What a part holds, as far as its reader would keep it.
#[derive(Debug, Default)]
pub(super) struct Weight {
    /// Bytes, about, that the reader of the workbook takes for its lists.
    pub(super) held: u64,
    pub(super) sheets: usize,
    pub(super) longest_tag: usize,
    /// A relationship whose target is written oddly, or is a sheet where a workbook should be.
    pub(super) names_a_sheet: bool,
}

/// A list entry and its text, in calamine 0.38; lists grow by doubling.
const STRING_BYTES: u64 = 72;
/// Fonts, fills, borders and number formats, each with its name.
const STYLE_PART_BYTES: u64 = 160;
const STYLE_BYTES: u64 = 480;
/// Three texts in a map; also defined names, which are two.
const NAMED_BYTES: u64 = 256;

/// Reads a part as its reader would, and stops where it would stop.
///
/// Refuses a text, a tag or a string longer than `most_text`: each is gathered as a whole before anything can look
/// at its length.
pub(super) fn weigh(part: impl Read, name: &str, most_text: u64) -> Result<Weight, ScanError> {
    let left = Count::new(most_text);
    let mut reader = Reader::from_reader(BufReader::new(Metered { part, left: &left }));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    let mut weight = Weight::default();
    let mut styles = 0_u64;
    let mut buffer = Vec::new();
    // The element whose whole text becomes one string.
    let mut text_of: Option<String> = None;
    loop {
        buffer.clear();
        if text_of.is_none() {
            left.set(most_text);
        }
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => break,
            Ok(Event::Empty(tag)) => weight.add(&tag, &mut styles),
            Ok(Event::Start(tag)) => {
                weight.add(&tag, &mut styles);
                if text_of.is_none() && matches!(tag.local_name().as_ref(), "si" | "is" | "t" | "v" | "f") {
                    text_of = Some(tag.name().as_ref().to_owned());
                }
            }
            Ok(Event::End(tag)) if text_of.as_deref() == Some(tag.name().as_ref()) => text_of = None,
            Ok(_) => {}
            Err(_) if left.get() == 0 => {
                let what = format!("part {name} of the workbook holds a text of more than {most_text} bytes");
                return Err(ScanError::too_large(what, most_text));
            }
            // Whoever needs this part will stumble over the same place and say so.
            Err(_) => break,
        }
    }
    // Every style gets a copy of its font's and its format's text, neither of which is longer than a tag.
    weight.held += styles * (STYLE_BYTES + 2 * weight.longest_tag as u64);
    Ok(weight)
}

impl Weight {
    fn add(&mut self, tag: &BytesStart<'_>, styles: &mut u64) {
        self.longest_tag = self.longest_tag.max(tag.len());
        match tag.local_name().as_ref() {
            "si" => self.held += STRING_BYTES,
            "xf" => *styles += 1,
            "font" | "fill" | "border" | "numFmt" => self.held += STYLE_PART_BYTES,
            "definedName" => self.held += NAMED_BYTES,
            "Relationship" => {
                self.held += NAMED_BYTES;
                let tag = tag.to_ascii_lowercase();
                self.names_a_sheet |= tag.contains("worksheets") || tag.contains("&#");
            }
            "sheet" => {
                self.held += NAMED_BYTES;
                self.sheets += 1;
            }
            _ => {}
        }
    }
}

/// Reads no further than it has been allowed to since it was last asked for an event.
struct Metered<'l, R> {
    part: R,
    left: &'l Count<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(io::Error::other("a text is too long"));
        }
        let read = self.part.read(into)?;
        self.left.set(self.left.get().saturating_sub(read as u64));
        Ok(read)
    }
}
