//! What the members of a JSON object become: cells of columns.
//!
//! * An object in an object is flattened: `{"a": {"b": 1}}` has the column `a.b`.
//! * An array becomes one text, its values joined by `, `: arrays have no fixed length and a place in one rarely means
//!   the same in each row, so a column for each place would say less and could be thousands. Objects and arrays inside
//!   of it are written as they would be in JSON, but without quotation marks.
//! * Of members with the same name, the last counts, as for `serde_json` and browsers.

use std::collections::HashMap;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::{Cell, held::Held};
use crate::ScanError;
use joined::Joined;

mod joined;

/// The columns seen so far, in the order in which they were.
pub(super) struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize, foldhash::fast::RandomState>,
    name_bytes: usize,
    most: usize,
    most_name_bytes: usize,
}

impl Columns {
    pub(super) fn up_to(most: usize, most_name_bytes: usize) -> Self {
        Self { names: Vec::new(), places: HashMap::default(), name_bytes: 0, most, most_name_bytes }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the place of a column, which is new where the name is. Rows often have their members in the same order,
    /// so the place after the last one is looked at first.
    fn place(&mut self, name: &str, likely: usize, row: u64) -> Result<usize, ScanError> {
        if self.names.get(likely).is_some_and(|next| next == name) {
            return Ok(likely);
        }
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let place = self.names.len();
        self.name_bytes += name.len();
        if place >= self.most {
            let what = format!("row {row} brings the members to more than {}", self.most);
            return Err(ScanError::too_large(what, self.most as u64));
        }
        if self.name_bytes > self.most_name_bytes {
            let what = format!("row {row} brings the names of the members to {} bytes", self.name_bytes);
            return Err(ScanError::too_large(what, self.most_name_bytes as u64));
        }
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }
}

/// The row at hand.
#[derive(Default)]
pub(super) struct Row {
    number: u64,
    cells: Vec<Held>,
    text: Vec<u8>,
    /// The name of the member at hand, those that it lies in before it.
    path: String,
    next: usize,
    /// Why the reading was ended, where the reason is none of the parser's.
    pub(super) fault: Option<ScanError>,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.number += 1;
        self.cells.clear();
        self.text.clear();
        self.path.clear();
        self.next = 0;
    }

    pub(super) fn cells(&self, columns: &Columns) -> Vec<Cell<'_>> {
        let mut cells: Vec<Cell<'_>> = self.cells.iter().map(|held| held.cell(&self.text)).collect();
        cells.resize(columns.names.len(), Cell::Missing);
        cells
    }

    /// Reads one object into the row.
    pub(super) fn filler<'r>(&'r mut self, columns: &'r mut Columns) -> Object<'r> {
        Object { row: self, columns }
    }

    /// Reads one object, or an array of them, and shows each; the reading ends where that is answered with false.
    pub(super) fn stream<'r, 't>(
        &'r mut self,
        columns: &'r mut Columns,
        take: &'r mut TakeRow<'t>,
    ) -> ObjectOrArray<'r, 't> {
        ObjectOrArray { row: self, columns, take }
    }

    fn set(&mut self, columns: &mut Columns, held: Held) -> Result<(), ScanError> {
        let place = columns.place(&self.path, self.next, self.number)?;
        if self.cells.len() <= place {
            self.cells.resize(place + 1, Held::Missing);
        }
        self.cells[place] = held;
        self.next = place + 1;
        Ok(())
    }

    fn hold(&mut self, text: &str) -> Held {
        let from = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Held::Text(from..self.text.len())
    }
}

pub(super) type TakeRow<'t> = dyn FnMut(&Row, &Columns) -> bool + 't;

pub(super) struct Object<'r> {
    row: &'r mut Row,
    columns: &'r mut Columns,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.row, self.columns, map)
    }
}

pub(super) struct ObjectOrArray<'r, 't> {
    row: &'r mut Row,
    columns: &'r mut Columns,
    take: &'r mut TakeRow<'t>,
}

impl ObjectOrArray<'_, '_> {
    fn shown<E: Error>(&mut self) -> Result<(), E> {
        if (self.take)(self.row, self.columns) { Ok(()) } else { Err(E::custom("enough was read")) }
    }
}

impl<'de> DeserializeSeed<'de> for ObjectOrArray<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectOrArray<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object, or an array of them")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        self.row.clear();
        members(self.row, self.columns, map)?;
        self.shown()
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut objects: A) -> Result<(), A::Error> {
        loop {
            self.row.clear();
            let object = Object { row: self.row, columns: self.columns };
            if objects.next_element_seed(object)?.is_none() {
                return Ok(());
            }
            self.shown()?;
        }
    }
}

fn members<'de, A: MapAccess<'de>>(row: &mut Row, columns: &mut Columns, mut map: A) -> Result<(), A::Error> {
    let outer = row.path.len();
    let is_nested = outer > 0;
    while map.next_key_seed(Name { path: &mut row.path, is_nested })?.is_some() {
        map.next_value_seed(Member { row, columns })?;
        row.path.truncate(outer);
    }
    Ok(())
}

/// Adds a member's name to the path.
struct Name<'r> {
    path: &'r mut String,
    is_nested: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if self.is_nested {
            self.path.push('.');
        }
        self.path.push_str(name);
        Ok(())
    }
}

/// The value of the member that the path names.
struct Member<'r> {
    row: &'r mut Row,
    columns: &'r mut Columns,
}

impl Member<'_> {
    fn set<E: Error>(self, held: Held) -> Result<(), E> {
        self.row.set(self.columns, held).map_err(|fault| {
            self.row.fault = Some(fault);
            E::custom("the columns are too many")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.set(Held::Missing)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        let held = self.row.hold(if truth { "true" } else { "false" });
        self.set(held)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.set(Held::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.set(Held::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.set(Held::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let held = self.row.hold(text);
        self.set(held)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.row, self.columns, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let from = self.row.text.len();
        let mut separator = "";
        while values.next_element_seed(Joined { text: &mut self.row.text, before: separator })?.is_some() {
            separator = ", ";
        }
        let joined = from..self.row.text.len();
        self.set(if joined.is_empty() { Held::Missing } else { Held::Text(joined) })
    }
}
