//! The naive twin: `serde_json` reads, a visitor pushes.

use std::{borrow::Cow, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Flattened, MAX_DEPTH, MAX_FIELDS};
use crate::event::{Event, Origin, Value};

pub(super) fn flatten<'a>(json: &'a str, origin: Origin, event: &mut Event<'a>) -> Flattened {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let room = MAX_FIELDS;
    let mut sink = Sink { event, origin, room };
    let member = Member { sink: &mut sink, name: Name::Root, depth: 0 };
    let is_read = member.deserialize(&mut deserializer).and_then(|()| deserializer.end()).is_ok();
    if is_read && sink.room > 0 { Flattened::Whole } else { Flattened::InPart }
}

struct Sink<'s, 'a> {
    event: &'s mut Event<'a>,
    origin: Origin,
    room: usize,
}

/// Where in the object we are. The outermost names are borrowed from the text, deeper ones are joined.
#[derive(Clone)]
enum Name<'a> {
    Root,
    Member(Cow<'a, str>),
}

struct Member<'m, 's, 'a> {
    sink: &'m mut Sink<'s, 'a>,
    name: Name<'a>,
    depth: u8,
}

impl<'a> Member<'_, '_, 'a> {
    fn push(self, value: Value<'a>) {
        let origin = self.sink.origin;
        self.push_as(value, origin);
    }

    fn push_as(self, value: Value<'a>, origin: Origin) {
        if let Name::Member(name) = self.name
            && self.sink.room > 0
        {
            self.sink.room -= 1;
            self.sink.event.push(name, value, origin);
        }
    }

    fn joined(&self, name: Cow<'a, str>) -> Name<'a> {
        match &self.name {
            Name::Root => Name::Member(name),
            Name::Member(outer) => Name::Member(Cow::Owned([outer, ".", &name].concat())),
        }
    }
}

impl<'a> DeserializeSeed<'a> for Member<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Member<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Value::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Value::Bool(value));
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rule compares numbers as floats; the raw text is kept whole"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Value::Number(value as f64));
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rule compares numbers as floats; the raw text is kept whole"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(Value::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.push(Value::Number(value));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<(), E> {
        self.push(Value::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        // Its escapes are undone, so the entry does not hold it as it is.
        self.push_as(Value::Text(Cow::Owned(value.to_owned())), Origin::Decoded { rounds: 1 });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = deeper::<A::Error>(self.depth)?;
        while let Some(()) =
            seq.next_element_seed(Member { sink: &mut *self.sink, name: self.name.clone(), depth })?
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = deeper::<A::Error>(self.depth)?;
        while let Some(name) = map.next_key_seed(BorrowedName)? {
            let name = self.joined(name);
            map.next_value_seed(Member { sink: &mut *self.sink, name, depth })?;
        }
        Ok(())
    }
}

fn deeper<E: de::Error>(depth: u8) -> Result<u8, E> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(E::custom("nested too deep")) }
}

/// Reads a member's name without copying it, unless it has escapes.
struct BorrowedName;

impl<'a> DeserializeSeed<'a> for BorrowedName {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for BorrowedName {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
