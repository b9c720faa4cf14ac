//! How numbers are read off the cells of one column, learned from a sample and the same for every later row.

use std::{borrow::Cow, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    rarity::Rarity,
    table::{Cell, Form, Meaning, decode, word_of},
};

/// Reads numbers off a cell: always as many, NaN where there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Encoder {
    /// The number itself, the median where it is missing; and whether it is missing, where that happens.
    Number { may_be_missing: bool },
    /// Hour and weekday as points on two circles; and whether the time is missing, where that happens.
    Time { may_be_missing: bool },
    /// How rare the word is.
    Nominal(Rarity),
    /// How rare the address is, and its networks, from the widest to the address itself; and whether it is private.
    Address { networks: [Rarity; 4], is_private: Rarity },
    /// Length, kinds of characters, and how rare the pattern is.
    Text { masks: Rarity },
}

/// What a cell of a column holds, given the column's form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held<'a> {
    /// NaN where missing.
    Number(f64),
    /// Seconds since 1970, NaN where missing.
    Time(f64),
    Word(Option<Cow<'a, [u8]>>),
}

impl<'a> Held<'a> {
    /// Returns what a cell holds in a column of a form.
    pub(crate) fn of(cell: Cell<'a>, meaning: Meaning, form: Form, word_bytes: usize) -> Self {
        match form {
            Form::Numbers => Self::Number(form.number(meaning)),
            Form::Times => Self::Time(form.number(meaning)),
            Form::Words if meaning == Meaning::Missing => Self::Word(None),
            Form::Words => Self::Word(word_of(cell, word_bytes)),
        }
    }
}

/// What counts as one unit at least, in the measure of a number read off a cell. Rarities are in nats: with less, the
/// noise between equally common words would count as much as rarity.
const ONE_NAT: f64 = 1.0;
const ONE_UNIT_OF_LENGTH: f64 = 0.1;
const ONE_UNIT_OF_SHARE: f64 = 0.02;

impl Encoder {
    /// Returns how many numbers are read off a cell.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Number { may_be_missing } => 1 + usize::from(*may_be_missing),
            Self::Time { may_be_missing } => 4 + usize::from(*may_be_missing),
            Self::Nominal(_) => 1,
            Self::Address { .. } => 5,
            Self::Text { .. } => 6,
        }
    }

    /// Returns the least scale of a number.
    pub(crate) fn least_scale(&self, number: usize) -> f64 {
        match self {
            Self::Number { .. } | Self::Time { .. } => 0.0,
            Self::Nominal(_) | Self::Address { .. } => ONE_NAT,
            Self::Text { .. } => match number {
                0 => ONE_UNIT_OF_LENGTH,
                5 => ONE_NAT,
                _ => ONE_UNIT_OF_SHARE,
            },
        }
    }

    /// Writes the numbers of a cell.
    pub(crate) fn encode(&self, held: &Held<'_>, numbers: &mut Vec<f64>) {
        match (self, held) {
            (Self::Number { may_be_missing }, Held::Number(value)) => {
                numbers.push(*value);
                numbers.extend(may_be_missing.then(|| f64::from(u8::from(value.is_nan()))));
            }
            (Self::Time { may_be_missing }, Held::Time(seconds)) => {
                numbers.extend(clock(*seconds));
                numbers.extend(may_be_missing.then(|| f64::from(u8::from(seconds.is_nan()))));
            }
            (Self::Nominal(rarity), Held::Word(word)) => numbers.push(rarity.of(word.as_deref())),
            (Self::Address { networks, is_private }, Held::Word(word)) => {
                let address = word.as_deref().and_then(address);
                for (octets, rarity) in (1..).zip(networks) {
                    numbers
                        .push(rarity.of(address.as_ref().map(|address| network(address, octets)).as_deref()));
                }
                numbers.push(is_private.of(Some(&[u8::from(address.as_ref().is_some_and(is_inside))])));
            }
            (Self::Text { masks }, Held::Word(word)) => text(word.as_deref(), masks, numbers),
            _ => numbers.extend(std::iter::repeat_n(f64::NAN, self.width())),
        }
    }
}

/// Returns a time as points on two circles, so that midnight lies beside 23:59 and Sunday beside Monday.
fn clock(seconds: f64) -> [f64; 4] {
    let day = (seconds / 86_400.0).rem_euclid(1.0) * std::f64::consts::TAU;
    let week = ((seconds / 86_400.0).floor() / 7.0).rem_euclid(1.0) * std::f64::consts::TAU;
    [day.sin(), day.cos(), week.sin(), week.cos()]
}

pub(crate) fn address(word: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Returns the beginning of an address: a site has a /48, a network a /64; the ends of an address are often random.
pub(crate) fn network(address: &IpAddr, octets: usize) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets()[..octets].to_vec(),
        IpAddr::V6(address) => address.octets()[..[0, 2, 6, 8, 16][octets]].to_vec(),
    }
}

/// Whether an address is of a private network.
pub(crate) fn is_inside(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

fn text(word: Option<&[u8]>, masks: &Rarity, numbers: &mut Vec<f64>) {
    let Some(word) = word else {
        numbers.extend([f64::NAN; 5]);
        return numbers.push(masks.of(None));
    };
    let word = decode(word);
    let mut counts = [0_usize; 5];
    for c in word.chars() {
        let kinds = [true, c.is_ascii_digit(), c.is_uppercase(), c.is_ascii_punctuation(), !c.is_ascii()];
        for (count, is_kind) in counts.iter_mut().zip(kinds) {
            *count += usize::from(is_kind);
        }
    }
    let [length, kinds @ ..] = counts.map(|count| count as f64);
    numbers.push(length.ln_1p());
    numbers.extend(kinds.map(|count| count / length.max(1.0)));
    numbers.push(masks.of(Some(mask(&word).as_bytes())));
}

/// Returns the pattern of a text: runs of digits, letters and spaces each as one sign, at most 40 of them.
pub(crate) fn mask(text: &str) -> String {
    let mut mask = String::new();
    for sign in text.chars().map(|c| match c {
        '0'..='9' => '0',
        c if c.is_alphabetic() => 'a',
        c if c.is_whitespace() => ' ',
        c if c.is_ascii() => c,
        _ => '?',
    }) {
        if !mask.ends_with(sign) {
            mask.push(sign);
        }
        if mask.len() >= 40 {
            break;
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_shape_share_a_mask() {
        assert_eq!(mask("user 17 logged in"), mask("root 4 signed out"));
        assert_ne!(mask("user 17 logged in"), mask("' OR 1=1 --"));
    }

    #[test]
    fn midnight_lies_beside_a_minute_before() {
        let near = clock(86_399.0)[0] - clock(86_400.0)[0];
        assert!(near.abs() < 1e-3);
    }
}
