//! Sigma's text values: plain text with `*`, `?` and dashes of any kind. Matching takes no backtracking.

use std::ops::Range;

/// A pattern over a whole text. It is compared as it stands: who wants case folded, folds both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// What stands between the stars; a chunk has a fixed number of characters.
    chunks: Vec<Vec<Piece>>,
    starts_text: bool,
    ends_text: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// `?`: any one character.
    Char,
    /// A character that Windows programs take for the dash of an option.
    Dash,
    /// `*`: any characters, line breaks too, or none.
    Star,
}

/// What Windows command lines accept where `-` is meant: `-`, `/`, en dash, em dash, horizontal bar.
pub(super) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

impl Glob {
    pub(super) fn new(pieces: &[Piece]) -> Self {
        let starts_text = pieces.first() != Some(&Piece::Star);
        let ends_text = pieces.last() != Some(&Piece::Star);
        let mut chunks: Vec<Vec<Piece>> =
            pieces.split(|piece| *piece == Piece::Star).map(<[Piece]>::to_vec).collect();
        if chunks.len() > 1 {
            chunks.retain(|chunk| !chunk.is_empty());
        }
        Self { chunks, starts_text, ends_text }
    }

    /// Returns where the pattern lies in the text, without what the outermost stars stand for.
    pub(super) fn find(&self, text: &str) -> Option<Range<usize>> {
        let mut found: Option<Range<usize>> = None;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let from = found.as_ref().map_or(0, |range| range.end);
            let is_pinned = index == 0 && self.starts_text;
            let is_last = index + 1 == self.chunks.len() && self.ends_text;
            let start = match (is_pinned, is_last) {
                (true, _) => 0,
                (false, true) => start_of_tail(chunk, text).filter(|start| *start >= from)?,
                (false, false) => find_chunk(chunk, text, from)?,
            };
            let end = end_of_chunk(chunk, text, start)?;
            if is_last && end != text.len() {
                return None;
            }
            found = Some(found.map_or(start, |range| range.start)..end);
        }
        Some(found.unwrap_or(0..text.len()))
    }

    /// Returns the longest text that every match holds.
    pub(super) fn longest_text(&self) -> Option<&str> {
        let texts = self.chunks.iter().flatten().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.max_by_key(|text| text.len())
    }
}

/// Returns where the chunk ends if it stands at `start`.
fn end_of_chunk(chunk: &[Piece], text: &str, start: usize) -> Option<usize> {
    let mut rest = text.get(start..)?;
    for piece in chunk {
        rest = match piece {
            Piece::Text(wanted) => rest.strip_prefix(wanted.as_str())?,
            Piece::Dash => rest.strip_prefix(DASHES)?,
            Piece::Char | Piece::Star => {
                let mut chars = rest.chars();
                chars.next()?;
                chars.as_str()
            }
        };
    }
    Some(text.len() - rest.len())
}

/// Returns the first place from `from` on where the chunk stands.
fn find_chunk(chunk: &[Piece], text: &str, from: usize) -> Option<usize> {
    let mut start = from;
    loop {
        let rest = text.get(start..)?;
        start += match chunk.first() {
            Some(Piece::Text(wanted)) => rest.find(wanted.as_str())?,
            Some(Piece::Dash) => rest.find(DASHES)?,
            _ => 0,
        };
        if end_of_chunk(chunk, text, start).is_some() {
            return Some(start);
        }
        start += text.get(start..)?.chars().next()?.len_utf8();
    }
}

/// Returns where a chunk must start to reach the end of the text.
fn start_of_tail(chunk: &[Piece], text: &str) -> Option<usize> {
    let chars: usize = chunk.iter().map(Piece::chars).sum();
    if chars == 0 {
        return Some(text.len());
    }
    text.char_indices().rev().nth(chars - 1).map(|(start, _)| start)
}

impl Piece {
    fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Char | Self::Dash => 1,
            Self::Star => 0,
        }
    }
}
