//! Ids of 24 hex digits in time order, laid out like a BSON ObjectId:
//! 4 bytes of seconds, 5 bytes that name the minting store, 3 bytes of counter, all big-endian.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::time::Timestamp;

/// The text form's length: 24 lower-case hex digits.
pub const ID_HEX_LEN: usize = 24;

const COUNTER_MAX: u32 = 0x00FF_FFFF;

/// An id that sorts by the moment it was minted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 12]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id is 24 hex digits")]
pub struct InvalidId;

impl ObjectId {
    /// No minted id is older.
    pub const LOWEST: Self = Self([0; 12]);

    /// Assembles an id; `counter` keeps its lowest 24 bits.
    pub fn from_parts(seconds: u32, origin: [u8; 5], counter: u32) -> Self {
        let [s0, s1, s2, s3] = seconds.to_be_bytes();
        let [o0, o1, o2, o3, o4] = origin;
        let [_, c0, c1, c2] = counter.to_be_bytes();
        Self([s0, s1, s2, s3, o0, o1, o2, o3, o4, c0, c1, c2])
    }

    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the id as databases keep it.
    pub fn to_bytes(self) -> [u8; 12] {
        self.0
    }

    /// Returns the second the id was minted in, since 1970.
    pub fn seconds(self) -> u32 {
        let [s0, s1, s2, s3, ..] = self.0;
        u32::from_be_bytes([s0, s1, s2, s3])
    }

    /// Returns the five bytes that name the store which minted the id.
    pub fn origin(self) -> [u8; 5] {
        let [_, _, _, _, o0, o1, o2, o3, o4, ..] = self.0;
        [o0, o1, o2, o3, o4]
    }

    /// Returns the counter within the second, 0 to 2²⁴ − 1.
    pub fn counter(self) -> u32 {
        let [.., c0, c1, c2] = self.0;
        u32::from_be_bytes([0, c0, c1, c2])
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0_u8; ID_HEX_LEN];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(str::from_utf8(&hex).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl FromStr for ObjectId {
    type Err = InvalidId;

    fn from_str(raw: &str) -> Result<Self, InvalidId> {
        if raw.len() != ID_HEX_LEN {
            return Err(InvalidId);
        }
        let mut bytes = [0_u8; 12];
        for (byte, pair) in bytes.iter_mut().zip(raw.as_bytes().chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn hex_value(digit: u8) -> Result<u8, InvalidId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InvalidId),
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Mints strictly increasing ids for one store, also when the clock steps back or a second overflows.
#[derive(Debug)]
pub struct IdMint {
    origin: [u8; 5],
    seconds: u32,
    counter: u32,
}

impl IdMint {
    /// Starts after `last`, the newest id the store holds, so that a restart never mints an older one.
    pub fn new(origin: [u8; 5], last: Option<ObjectId>) -> Self {
        let (seconds, counter) = last.map_or((0, 0), |id| (id.seconds(), id.counter()));
        Self { origin, seconds, counter }
    }

    /// Returns an id greater than every one before it.
    pub fn mint(&mut self, now: Timestamp) -> ObjectId {
        let second = u32::try_from(now.as_millis().div_euclid(1000)).unwrap_or(0);
        if second > self.seconds {
            (self.seconds, self.counter) = (second, 0);
        } else if self.counter == COUNTER_MAX {
            (self.seconds, self.counter) = (self.seconds.saturating_add(1), 0);
        } else {
            self.counter += 1;
        }
        ObjectId::from_parts(self.seconds, self.origin, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_parts_come_back_as_they_went(seconds: u32, origin: [u8; 5], counter in 0..=COUNTER_MAX) {
            let id = ObjectId::from_parts(seconds, origin, counter);
            prop_assert_eq!(id.to_string().parse::<ObjectId>(), Ok(id));
            prop_assert_eq!((id.seconds(), id.origin(), id.counter()), (seconds, origin, counter));
        }

        #[test]
        fn ids_rise_whatever_the_clock_does(clock in prop::collection::vec(0_i64..5_000, 1..200)) {
            let mut mint = IdMint::new([7; 5], None);
            let ids: Vec<_> = clock.into_iter().map(|ms| mint.mint(Timestamp::from_millis(ms))).collect();
            prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn a_full_second_spills_into_the_next() {
        let last = ObjectId::from_parts(100, [0; 5], COUNTER_MAX);
        let next = IdMint::new([0; 5], Some(last)).mint(Timestamp::from_millis(100_000));
        assert!(next > last);
    }

    #[test]
    fn what_is_not_24_hex_digits_is_refused() {
        for raw in
            ["", "65b", "65b2000000000000000000zz", "65b200000000000000000000f", "65b2é00000000000000000"]
        {
            assert_eq!(raw.parse::<ObjectId>(), Err(InvalidId), "{raw}");
        }
    }
}
