//! What is copied: kinds of records as plain fields, whichever store keeps them, and the bytes that are hashed of them.

use std::fmt;

use sentinelflow_domain::id::ObjectId;
use sha2::{Digest as _, Sha256};

/// The kinds of records. Tables and collections have the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How far ids ever ran ahead of the receipt of their logs: one record.
    Lead,
    /// With their API keys.
    Tenants,
    Logs,
    IdempotencyKeys,
    MinuteCounts,
    Exchanges,
    Verdicts,
    Spends,
    Scans,
    ScanThreats,
    /// Without what was learned.
    Baselines,
    /// What was learned, piece by piece.
    BaselinePieces,
}

/// How long a piece of a baseline is; the last may be shorter.
pub(crate) const BASELINE_PIECE_BYTES: usize = 8 << 20;

/// A record: what it is found by, and the rest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Vec<Value>,
    pub(crate) fields: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Nothing,
    Int(i64),
    /// The bits of a number with a fraction.
    Real(u64),
    Text(String),
    Bytes(Vec<u8>),
    Id(ObjectId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) is_optional: bool,
}

/// How a field is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Id,
    Int,
    /// A whole number that 32 bits hold.
    Small,
    /// Milliseconds since 1970.
    Moment,
    Real,
    Text,
    Bytes,
}

const fn must(name: &'static str, form: Form) -> Field {
    Field { name, form, is_optional: false }
}

const fn may(name: &'static str, form: Form) -> Field {
    Field { name, form, is_optional: true }
}

impl Kind {
    /// In the order in which they are copied: what others belong to comes first.
    pub const ALL: [Self; 12] = [
        Self::Lead,
        Self::Tenants,
        Self::Logs,
        Self::IdempotencyKeys,
        Self::MinuteCounts,
        Self::Exchanges,
        Self::Verdicts,
        Self::Spends,
        Self::Scans,
        Self::ScanThreats,
        Self::Baselines,
        Self::BaselinePieces,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead of ids",
            Self::Tenants => "tenants",
            Self::Logs => "logs",
            Self::IdempotencyKeys => "idempotency keys",
            Self::MinuteCounts => "minute counts",
            Self::Exchanges => "exchanges",
            Self::Verdicts => "verdicts",
            Self::Spends => "spends",
            Self::Scans => "scans",
            Self::ScanThreats => "scan threats",
            Self::Baselines => "baselines",
            Self::BaselinePieces => "baseline pieces",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns where its records are kept.
    pub(crate) fn table(self) -> String {
        match self {
            Self::Lead => "meta".to_owned(),
            _ => self.as_str().replace(' ', "_"),
        }
    }

    /// Returns what its records are found by and stand in order of.
    pub(crate) const fn key(self) -> &'static [Field] {
        const TENANT: Field = must("tenant", Form::Id);
        match self {
            Self::Lead => &const { [must("key", Form::Text)] },
            Self::Tenants | Self::Logs | Self::Scans => &const { [must("id", Form::Id)] },
            Self::IdempotencyKeys => &const { [TENANT, must("key", Form::Text)] },
            Self::MinuteCounts => &const { [TENANT, must("minute", Form::Int)] },
            Self::Exchanges => &const { [must("id", Form::Bytes)] },
            Self::Verdicts => &const { [TENANT, must("key", Form::Bytes)] },
            Self::Spends => &const { [TENANT, must("day", Form::Int)] },
            Self::ScanThreats => &const { [must("scan", Form::Id), must("rank", Form::Int)] },
            Self::Baselines => &const { [TENANT, must("name", Form::Text)] },
            Self::BaselinePieces => &const { [TENANT, must("name", Form::Text), must("place", Form::Int)] },
        }
    }

    pub(crate) const fn fields(self) -> &'static [Field] {
        use Form::{Bytes, Id, Int, Moment, Real, Small, Text};
        match self {
            Self::Lead => &const { [must("value", Int)] },
            Self::Tenants => {
                &const {
                    [
                        must("username", Text),
                        must("plan", Text),
                        must("ask", Text),
                        may("password", Text),
                        must("created_at", Moment),
                        // The hashes one after the other, in order.
                        must("api_keys", Bytes),
                    ]
                }
            }
            Self::Logs => {
                &const {
                    [
                        must("tenant", Id),
                        must("received_at", Moment),
                        may("resolved_at", Moment),
                        may("timestamp", Moment),
                        must("event_id", Int),
                        must("score", Small),
                        must("category", Text),
                        must("severity_level", Text),
                        must("source", Text),
                        must("message", Text),
                        must("metadata", Text),
                        must("summary", Text),
                        must("analysis", Text),
                    ]
                }
            }
            Self::IdempotencyKeys => &const { [must("log", Id)] },
            Self::MinuteCounts => {
                &const { [must("events", Int), must("threats", Int), must("max_score", Small)] }
            }
            Self::Exchanges => {
                &const {
                    [
                        must("tenant", Id),
                        must("asked_at", Moment),
                        must("duration_ms", Int),
                        must("tokens", Int),
                        must("nano_usd", Int),
                        may("model", Text),
                        may("failure", Text),
                        must("url", Text),
                        must("sent", Text),
                        may("answer", Text),
                    ]
                }
            }
            Self::Verdicts => &const { [must("expires_at", Moment), must("verdict", Text)] },
            Self::Spends => &const { [must("tokens", Int), must("nano_usd", Int)] },
            Self::Scans => {
                &const {
                    [
                        must("tenant", Id),
                        must("status", Text),
                        must("attempts", Int),
                        must("created_at", Moment),
                        may("finished_at", Moment),
                        must("duration_ms", Int),
                        may("engine", Text),
                        may("total_scanned", Int),
                        may("threats_detected", Int),
                        may("threshold_used", Real),
                        must("shown_rows", Int),
                        must("filename", Text),
                        may("baseline", Text),
                        may("error", Text),
                        may("options", Text),
                        may("report", Text),
                    ]
                }
            }
            Self::ScanThreats => &const { [must("threat", Text)] },
            Self::Baselines => {
                &const {
                    [
                        must("created_at", Moment),
                        must("rows", Int),
                        must("size_bytes", Int),
                        must("filename", Text),
                    ]
                }
            }
            Self::BaselinePieces => &const { [must("bytes", Bytes)] },
        }
    }
}

/// Returns how people are told of the record with a key.
pub(crate) fn called(key: &[Value]) -> String {
    let words = key.iter().map(ToString::to_string);
    words.collect::<Vec<_>>().join(" ")
}

impl Record {
    /// Returns the field of that name; there is one.
    pub(crate) fn field(&self, kind: Kind, name: &str) -> &Value {
        let place = kind.fields().iter().position(|field| field.name == name);
        &self.fields[place.expect("the name is one of the kind's fields")]
    }

    /// Returns about how many bytes of memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.key.iter().chain(&self.fields).map(|value| size(value) + size_of::<Value>()).sum()
    }

    /// Adds it to a hash: its values one after the other.
    pub(crate) fn hash_into(&self, hash: &mut Sha256) {
        for value in self.key.iter().chain(&self.fields) {
            let (mark, payload) = value.encoded();
            hash.update([mark]);
            hash.update((payload.len() as u64).to_be_bytes());
            hash.update(payload);
        }
    }
}

impl Value {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(crate) fn id(&self) -> Option<ObjectId> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }

    /// Returns it as bytes that tell it from every other: a mark of what it is, and the rest.
    fn encoded(&self) -> (u8, std::borrow::Cow<'_, [u8]>) {
        match self {
            Self::Nothing => (b'-', (&[]).into()),
            Self::Int(number) => (b'i', number.to_be_bytes().to_vec().into()),
            Self::Real(bits) => (b'r', bits.to_be_bytes().to_vec().into()),
            Self::Text(text) => (b't', text.as_bytes().into()),
            Self::Bytes(bytes) => (b'b', bytes.into()),
            Self::Id(id) => (b'o', id.to_bytes().to_vec().into()),
        }
    }
}

/// As people read it: texts that a terminal would obey are shown, not obeyed.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("-"),
            Self::Int(number) => number.fmt(f),
            Self::Real(bits) => f64::from_bits(*bits).fmt(f),
            Self::Text(text) => text.escape_debug().fmt(f),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// Writes a key down, so that a copy finds its place again.
pub(crate) fn key_to_bytes(key: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in key {
        let (mark, payload) = value.encoded();
        bytes.push(mark);
        bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    bytes
}

/// Reads a key that was written down; `None` if it is none.
pub(crate) fn key_from_bytes(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut key = Vec::new();
    while let Some((mark, rest)) = bytes.split_first() {
        let (len, rest) = rest.split_first_chunk()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*len)).ok()?)?;
        key.push(match mark {
            b'i' => Value::Int(i64::from_be_bytes(payload.try_into().ok()?)),
            b't' => Value::Text(String::from_utf8(payload.to_vec()).ok()?),
            b'b' => Value::Bytes(payload.to_vec()),
            b'o' => Value::Id(ObjectId::from_bytes(payload.try_into().ok()?)),
            _ => return None,
        });
        bytes = rest;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_it_went() {
        let id = ObjectId::from_parts(9, [1; 5], 7);
        for key in [
            vec![],
            vec![Value::Id(id), Value::Text("a\0b".into()), Value::Int(-3)],
            vec![Value::Bytes(vec![0, 255]), Value::Text(String::new())],
        ] {
            let bytes = key_to_bytes(&key);
            assert_eq!(key_from_bytes(&bytes), Some(key.clone()));
            if let Some((_, cut)) = bytes.split_last() {
                assert_ne!(key_from_bytes(cut), Some(key));
            }
        }
    }

    #[test]
    fn no_two_records_have_the_same_bytes() {
        let hash = |fields: &[Value]| {
            let mut hash = Sha256::new();
            Record { key: Vec::new(), fields: fields.to_vec() }.hash_into(&mut hash);
            hash.finalize()
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let records = [
            vec![Value::Nothing],
            vec![text("")],
            vec![Value::Bytes(Vec::new())],
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![text("abc")],
            vec![Value::Int(1)],
            vec![Value::Real(1)],
        ];
        for (place, record) in records.iter().enumerate() {
            for other in &records[place + 1..] {
                assert_ne!(hash(record), hash(other), "{record:?} {other:?}");
            }
        }
    }

    #[test]
    fn kinds_have_names_and_tables() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::IdempotencyKeys.table(), "idempotency_keys");
    }
}
