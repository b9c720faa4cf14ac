//! Reads the fields of stored documents, and makes them.

use mongodb::bson::{
    Binary, DateTime, RawBsonRef, RawDocument, Timestamp as ClusterTime, spec::BinarySubtype,
};
use sentinelflow_domain::{id::ObjectId, store::StoreError, time::Timestamp};
use thiserror::Error;

use super::{errors::damaged, ids::from_bson};

/// A document and its fields by name; whatever is missing or of another type is damage.
#[derive(Clone, Copy)]
pub(super) struct Fields<'d>(pub(super) &'d RawDocument);

#[derive(Debug, Error)]
#[error("the field {0:?} is not as it was stored")]
pub(super) struct OddField(pub(super) String);

impl<'d> Fields<'d> {
    pub(super) fn text(self, name: &str) -> Result<&'d str, StoreError> {
        self.text_if_any(name)?.ok_or_else(|| odd(name))
    }

    pub(super) fn text_if_any(self, name: &str) -> Result<Option<&'d str>, StoreError> {
        self.get(name)?.map(|value| value.as_str().ok_or_else(|| odd(name))).transpose()
    }

    /// Returns a whole number of either size.
    pub(super) fn int(self, name: &str) -> Result<i64, StoreError> {
        self.int_if_any(name)?.ok_or_else(|| odd(name))
    }

    pub(super) fn int_if_any(self, name: &str) -> Result<Option<i64>, StoreError> {
        let int = |value: RawBsonRef<'_>| value.as_i64().or_else(|| value.as_i32().map(i64::from));
        self.get(name)?.map(|value| int(value).ok_or_else(|| odd(name))).transpose()
    }

    pub(super) fn count(self, name: &str) -> Result<u64, StoreError> {
        u64::try_from(self.int(name)?).map_err(damaged)
    }

    pub(super) fn double(self, name: &str) -> Result<f64, StoreError> {
        self.double_if_any(name)?.ok_or_else(|| odd(name))
    }

    pub(super) fn double_if_any(self, name: &str) -> Result<Option<f64>, StoreError> {
        self.get(name)?.map(|value| value.as_f64().ok_or_else(|| odd(name))).transpose()
    }

    pub(super) fn id(self, name: &str) -> Result<ObjectId, StoreError> {
        self.id_if_any(name)?.ok_or_else(|| odd(name))
    }

    pub(super) fn id_if_any(self, name: &str) -> Result<Option<ObjectId>, StoreError> {
        let id = |value: RawBsonRef<'_>| value.as_object_id().map(from_bson).ok_or_else(|| odd(name));
        self.get(name)?.map(id).transpose()
    }

    /// Returns a moment by the clock of the database's replication.
    pub(super) fn cluster_time(self, name: &str) -> Result<ClusterTime, StoreError> {
        self.get(name)?.and_then(RawBsonRef::as_timestamp).ok_or_else(|| odd(name))
    }

    pub(super) fn moment(self, name: &str) -> Result<Timestamp, StoreError> {
        self.moment_if_any(name)?.ok_or_else(|| odd(name))
    }

    pub(super) fn moment_if_any(self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        let moment = |value: RawBsonRef<'_>| value.as_datetime().map(DateTime::timestamp_millis);
        let millis = self.get(name)?.map(|value| moment(value).ok_or_else(|| odd(name))).transpose()?;
        Ok(millis.map(Timestamp::from_millis))
    }

    pub(super) fn bytes(self, name: &str) -> Result<&'d [u8], StoreError> {
        self.get(name)?.and_then(RawBsonRef::as_binary).map(|binary| binary.bytes).ok_or_else(|| odd(name))
    }

    pub(super) fn document(self, name: &str) -> Result<Fields<'d>, StoreError> {
        self.get(name)?.and_then(RawBsonRef::as_document).map(Fields).ok_or_else(|| odd(name))
    }

    fn get(self, name: &str) -> Result<Option<RawBsonRef<'d>>, StoreError> {
        let value = self.0.get(name).map_err(damaged)?;
        Ok(value.filter(|value| *value != RawBsonRef::Null))
    }
}

pub(super) fn odd(name: &str) -> StoreError {
    damaged(OddField(name.to_owned()))
}

pub(super) fn millis(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.as_millis())
}

/// Returns a moment by the clock of this machine, for what the server itself is to remove then.
pub(super) fn from_now(millis: i64) -> DateTime {
    DateTime::from_millis(DateTime::now().timestamp_millis().saturating_add(millis))
}

pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// The database has no greater whole numbers.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
