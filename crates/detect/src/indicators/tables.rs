//! The entries of many lists in compact tables, and what is in them. A match is always exact: texts are found by a
//! hash and then compared.

use std::{cmp::Reverse, collections::HashMap, hash::BuildHasher as _, net::IpAddr, sync::Arc};

use hashbrown::HashTable;
use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::{
    entry::{Hash, Indicator, Kind},
    table::{Key, Sorted},
};

/// What a list says of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Note {
    pub list: Arc<str>,
    pub description: Option<Arc<str>>,
    /// From 0 to 100, as in STIX.
    pub confidence: Option<u8>,
}

impl Note {
    /// By how much the note counts where lists disagree. Silence counts as the middle.
    pub(super) fn weight(&self) -> u8 {
        self.confidence.unwrap_or(50)
    }
}

/// The tables for one reader: all tenants, or one. Immutable.
#[derive(Debug)]
pub(super) struct Tables {
    v4: Ranges<u32>,
    v6: Ranges<[u8; 16]>,
    md5: Sorted<[u8; 16], u32>,
    sha1: Sorted<[u8; 20], u32>,
    sha256: Sorted<[u8; 32], u32>,
    domains: Texts,
    urls: Texts,
    notes: Vec<Note>,
    hash: [u8; 32],
}

/// Ranges that don't overlap: first → last and note.
type Ranges<K> = Sorted<K, (K, u32)>;

/// Texts, each once. What is not among them is mostly known from one place of memory, so that the names above a host's
/// own, which are looked up as well, cost little.
#[derive(Debug)]
struct Texts {
    /// Where a text begins, and its note.
    places: HashTable<(u32, u32)>,
    /// The texts, each ended by a line feed, which none of them holds.
    bytes: Box<[u8]>,
    hasher: foldhash::quality::RandomState,
}

const END: u8 = b'\n';

impl Tables {
    /// Whether there is anything of a kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Address => !self.v4.is_empty() || !self.v6.is_empty(),
            Kind::Domain => !self.domains.places.is_empty(),
            Kind::Hash => !self.md5.is_empty() || !self.sha1.is_empty() || !self.sha256.is_empty(),
            Kind::Url => !self.urls.places.is_empty(),
        }
    }

    pub(super) fn address(&self, address: IpAddr) -> Option<&Note> {
        match address {
            IpAddr::V4(v4) => self.range(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => self.range(&self.v6, v6.octets()),
        }
    }

    fn range<K: Key>(&self, ranges: &Ranges<K>, key: K) -> Option<&Note> {
        let (_, (last, note)) = ranges.floor(&key)?;
        (key <= *last).then(|| self.note(*note))
    }

    pub(super) fn hash_of_file(&self, hash: &Hash) -> Option<&Note> {
        let note = match hash {
            Hash::Md5(bytes) => self.md5.get(bytes),
            Hash::Sha1(bytes) => self.sha1.get(bytes),
            Hash::Sha256(bytes) => self.sha256.get(bytes),
        };
        note.map(|note| self.note(*note))
    }

    /// Returns what is said of a domain in its one form, or of one that it belongs to: the note that counts most.
    pub(super) fn domain(&self, domain: &str) -> Option<&Note> {
        let mut best: Option<&Note> = None;
        let mut rest = Some(domain);
        while let Some(name) = rest.filter(|name| name.contains('.')) {
            if let Some(note) = self.domains.get(name).map(|note| self.note(note)) {
                best = best.filter(|best| best.weight() >= note.weight()).or(Some(note));
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        best
    }

    /// Returns what is said of a URL in its one form.
    pub(super) fn url(&self, url: &str) -> Option<&Note> {
        self.urls.get(url).map(|note| self.note(note))
    }

    /// Changes whenever an entry does, or what is said of it.
    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub(super) fn bytes(&self) -> usize {
        self.domains.bytes()
            + self.urls.bytes()
            + self.v4.bytes()
            + self.v6.bytes()
            + self.md5.bytes()
            + self.sha1.bytes()
            + self.sha256.bytes()
            + size_of_val(&*self.notes)
    }

    fn note(&self, number: u32) -> &Note {
        &self.notes[number as usize]
    }
}

impl Texts {
    fn get(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text.as_bytes());
        let place = self.places.find(hash, |(start, _)| text_at(&self.bytes, *start) == text.as_bytes());
        place.map(|(_, note)| *note)
    }

    fn bytes(&self) -> usize {
        self.places.allocation_size() + self.bytes.len()
    }
}

fn text_at(bytes: &[u8], start: u32) -> &[u8] {
    bytes[start as usize..].split(|byte| *byte == END).next().unwrap_or_default()
}

/// First address → last and note.
type Networks<K> = Vec<(K, (K, u32))>;

/// Tables in the making.
#[derive(Default)]
pub(super) struct Builder {
    v4: Networks<u32>,
    v6: Networks<[u8; 16]>,
    md5: Vec<([u8; 16], u32)>,
    sha1: Vec<([u8; 20], u32)>,
    sha256: Vec<([u8; 32], u32)>,
    domains: TextsBuilder,
    urls: TextsBuilder,
    notes: Vec<Note>,
    numbers: HashMap<Note, u32>,
    last: u32,
    hasher: Sha256,
    len: usize,
}

#[derive(Default)]
struct TextsBuilder {
    /// Where each begins, and its note.
    places: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

/// Far more than fits into most machines; places are numbers of 32 bits.
const MOST_ENTRIES: usize = 200_000_000;

/// Why an entry finds no room.
pub(super) const FULL: &str = "is one too many: there are 200,000,000 entries, or 4 GiB of names";

impl Builder {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn add(&mut self, indicator: &Indicator, note: &Note) -> Result<(), &'static str> {
        if self.len >= MOST_ENTRIES {
            return Err(FULL);
        }
        let number = self.number(note);
        match indicator {
            Indicator::Network(IpNet::V4(v4)) => {
                self.v4.push((v4.network().to_bits(), (v4.broadcast().to_bits(), number)));
                self.hasher.update([4, v4.prefix_len()]);
                self.hasher.update(v4.network().octets());
            }
            Indicator::Network(IpNet::V6(v6)) => {
                self.v6.push((v6.network().octets(), (v6.broadcast().octets(), number)));
                self.hasher.update([6, v6.prefix_len()]);
                self.hasher.update(v6.network().octets());
            }
            Indicator::Hash(hash) => self.add_hash(hash, number),
            Indicator::Domain(domain) => {
                self.domains.add(domain, number)?;
                self.hash_text(b"d", domain);
            }
            Indicator::Url(url) => {
                self.urls.add(url, number)?;
                self.hash_text(b"u", url);
            }
        }
        self.hasher.update(number.to_le_bytes());
        self.len += 1;
        Ok(())
    }

    fn add_hash(&mut self, hash: &Hash, number: u32) {
        match hash {
            Hash::Md5(bytes) => self.md5.push((*bytes, number)),
            Hash::Sha1(bytes) => self.sha1.push((*bytes, number)),
            Hash::Sha256(bytes) => self.sha256.push((*bytes, number)),
        }
        let bytes: &[u8] = match hash {
            Hash::Md5(bytes) => bytes,
            Hash::Sha1(bytes) => bytes,
            Hash::Sha256(bytes) => bytes,
        };
        self.hasher.update(b"h");
        self.hasher.update(bytes);
    }

    fn hash_text(&mut self, kind: &[u8], text: &str) {
        self.hasher.update(kind);
        self.hasher.update(text);
        self.hasher.update([END]);
    }

    /// Returns the number of a note; most entries of a list have the same one.
    fn number(&mut self, note: &Note) -> u32 {
        if self.notes.get(self.last as usize) == Some(note) {
            return self.last;
        }
        self.last = if let Some(number) = self.numbers.get(note) {
            *number
        } else {
            let number = u32::try_from(self.notes.len()).expect("there are fewer notes than entries");
            self.hasher.update(format!("{note:?}"));
            self.numbers.insert(note.clone(), number);
            self.notes.push(note.clone());
            number
        };
        self.last
    }

    pub(super) fn finish(self) -> Tables {
        let notes = self.notes;
        let weight = |note: u32| Reverse(notes[note as usize].weight());
        Tables {
            v4: disjoint(self.v4, &weight, |key| key.checked_add(1), |key| key.saturating_sub(1)),
            v6: disjoint(self.v6, &weight, next, before),
            md5: once(self.md5, &weight),
            sha1: once(self.sha1, &weight),
            sha256: once(self.sha256, &weight),
            domains: self.domains.finish(&weight),
            urls: self.urls.finish(&weight),
            hash: self.hasher.finalize().into(),
            notes,
        }
    }
}

impl TextsBuilder {
    fn add(&mut self, text: &str, note: u32) -> Result<(), &'static str> {
        let start = u32::try_from(self.bytes.len()).map_err(|_| FULL)?;
        self.places.push((start, note));
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(END);
        Ok(())
    }

    fn finish(self, weight: &impl Fn(u32) -> Reverse<u8>) -> Texts {
        let bytes = self.bytes.into_boxed_slice();
        let hasher = foldhash::quality::RandomState::default();
        let hash = |start: u32| hasher.hash_one(text_at(&bytes, start));
        let mut places = HashTable::with_capacity(self.places.len());
        for (start, note) in self.places {
            let is_same = |(other, _): &(u32, u32)| text_at(&bytes, *other) == text_at(&bytes, start);
            let place = places.entry(hash(start), is_same, |(start, _)| hash(*start));
            let place = place.or_insert((start, note)).into_mut();
            if (weight(note), note) < (weight(place.1), place.1) {
                *place = (start, note);
            }
        }
        Texts { places, bytes, hasher }
    }
}

/// Returns each key once, with the note that counts most.
fn once<K: Key>(mut entries: Vec<(K, u32)>, weight: &impl Fn(u32) -> Reverse<u8>) -> Sorted<K, u32> {
    entries.sort_unstable_by_key(|(key, note)| (*key, weight(*note), *note));
    entries.dedup_by_key(|(key, _)| *key);
    Sorted::new(entries)
}

/// Returns networks, which lie beside or within each other, as ranges that don't overlap: each with the note that
/// counts most of all around it.
fn disjoint<K: Key>(
    mut networks: Networks<K>,
    weight: &impl Fn(u32) -> Reverse<u8>,
    next: impl Fn(K) -> Option<K>,
    before: impl Fn(K) -> K,
) -> Ranges<K> {
    networks.sort_unstable_by_key(|(first, (last, note))| (*first, Reverse(*last), weight(*note), *note));
    let mut ranges = Vec::with_capacity(networks.len());
    // What is open, the outermost first, and from where on the innermost is not told yet.
    let mut open: Vec<(K, u32)> = Vec::new();
    let mut from = None;
    let mut close = |open: &mut Vec<(K, u32)>, from: &mut Option<K>| {
        if let (Some((last, note)), Some(first)) = (open.pop(), *from)
            && first <= last
        {
            ranges.push((first, (last, note)));
            *from = next(last);
        }
    };
    for (first, (last, note)) in networks {
        while open.last().is_some_and(|(last, _)| *last < first) {
            close(&mut open, &mut from);
        }
        let note = match open.last() {
            Some((_, outer)) if weight(*outer) < weight(note) => *outer,
            _ => note,
        };
        if let (Some((_, outer)), Some(start)) = (open.last().copied(), from)
            && start < first
        {
            open.push((before(first), outer));
            close(&mut open, &mut from);
        }
        from = Some(first);
        open.push((last, note));
    }
    while !open.is_empty() {
        close(&mut open, &mut from);
    }
    Sorted::new(ranges)
}

fn next(key: [u8; 16]) -> Option<[u8; 16]> {
    u128::from_be_bytes(key).checked_add(1).map(u128::to_be_bytes)
}

fn before(key: [u8; 16]) -> [u8; 16] {
    u128::from_be_bytes(key).saturating_sub(1).to_be_bytes()
}
