//! Ids of one node: they carry its name, so that no two nodes mint the same one.

use std::sync::{Mutex, PoisonError};

use mongodb::bson::oid;
use sentinelflow_domain::{
    id::{IdMint, ObjectId},
    time::Timestamp,
};

pub(super) fn to_bson(id: ObjectId) -> oid::ObjectId {
    oid::ObjectId::from_bytes(id.to_bytes())
}

pub(super) fn from_bson(id: oid::ObjectId) -> ObjectId {
    ObjectId::from_bytes(id.bytes())
}

/// Returns the lowest id that can carry the moment's second.
pub(super) fn first_of_second(moment: Timestamp) -> ObjectId {
    ObjectId::from_parts(second_of(moment), [0; 5], 0)
}

fn second_of(moment: Timestamp) -> u32 {
    let second = moment.as_millis().div_euclid(1000).clamp(0, i64::from(u32::MAX));
    u32::try_from(second).expect("the range was clamped")
}

/// Mints ids, each greater than those before it and none behind the moment that it is minted for.
#[derive(Debug)]
pub(super) struct Ids(Mutex<IdMint>);

/// A new id, and how many seconds it is ahead of its moment: the clock can step back, ids can't.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minted {
    pub(super) id: ObjectId,
    pub(super) lead_s: u32,
}

impl Ids {
    /// Goes on after the newest id of the whole store, so that a restart mints no older one; a second after it and after
    /// `now`, because a process of the same name that was killed may have left a transaction open with ids up to then.
    pub(super) fn new(origin: [u8; 5], newest: Option<ObjectId>, now: Timestamp) -> Self {
        let last = newest.map(|newest| {
            let second = newest.seconds().max(second_of(now)).saturating_add(1);
            ObjectId::from_parts(second, origin, 0)
        });
        Self(Mutex::new(IdMint::new(origin, last)))
    }

    pub(super) fn mint(&self, moment: Timestamp) -> Minted {
        let second = second_of(moment);
        let mut mint = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = mint.mint(Timestamp::from_millis(i64::from(second) * 1000));
        Minted { id, lead_s: id.seconds() - second }
    }
}
