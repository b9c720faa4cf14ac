//! A value in an array, written to the one text that the array becomes.

use std::io::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub(super) struct Joined<'t> {
    pub(super) text: &'t mut Vec<u8>,
    pub(super) before: &'static str,
}

impl Joined<'_> {
    fn add<E: Error>(self, value: std::fmt::Arguments<'_>) -> Result<(), E> {
        write!(self.text, "{}{value}", self.before).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Joined<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Joined<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.add(format_args!("null"))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.add(format_args!("{truth}"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.add(format_args!("{number}"))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.add(format_args!("{number}"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // The shortest text that means the number; `{number}` would write 1e300 with all of its zeros.
        self.add(format_args!("{number:?}"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.add(format_args!("{text}"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.text.extend_from_slice(self.before.as_bytes());
        self.text.push(b'[');
        let mut separator = "";
        while values.next_element_seed(Joined { text: self.text, before: separator })?.is_some() {
            separator = ", ";
        }
        self.text.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.text.extend_from_slice(self.before.as_bytes());
        self.text.push(b'{');
        let mut separator = "";
        while map.next_key_seed(Joined { text: self.text, before: separator })?.is_some() {
            map.next_value_seed(Joined { text: self.text, before: ": " })?;
            separator = ", ";
        }
        self.text.push(b'}');
        Ok(())
    }
}
