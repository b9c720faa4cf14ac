//! Ids as row numbers: all ids of one database share their origin, so second and counter fit an `INTEGER PRIMARY KEY`
//! and no index is needed to find a row by its id.

use sentinelflow_domain::{
    id::{IdMint, ObjectId},
    time::Timestamp,
};

const COUNTER_BITS: u32 = 24;
const COUNTER_MASK: i64 = (1 << COUNTER_BITS) - 1;

/// The five bytes that the ids of one database have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(pub(super) [u8; 5]);

impl Origin {
    pub(super) fn id(self, row: i64) -> ObjectId {
        let counter = u32::try_from(row & COUNTER_MASK).expect("24 bits fit");
        let second = row >> COUNTER_BITS;
        ObjectId::from_parts(u32::try_from(second).unwrap_or(u32::MAX), self.0, counter)
    }

    /// Returns the row an id stands for; `None` if the id was minted elsewhere.
    pub(super) fn row(self, id: ObjectId) -> Option<i64> {
        (id.origin() == self.0).then(|| first_row_of(id.seconds()) + i64::from(id.counter()))
    }

    /// Returns the row above which exactly the rows with ids newer than `id` lie, also for an id minted elsewhere.
    pub(super) fn row_up_to(self, id: ObjectId) -> i64 {
        self.row(id).unwrap_or_else(|| self.rows_before(id) - 1)
    }

    /// Returns the row that exactly the rows with ids older than `id` lie below, also for an id minted elsewhere.
    pub(super) fn rows_before(self, id: ObjectId) -> i64 {
        match self.0.cmp(&id.origin()) {
            std::cmp::Ordering::Less => first_row_of(id.seconds()) + COUNTER_MASK + 1,
            std::cmp::Ordering::Equal => first_row_of(id.seconds()) + i64::from(id.counter()),
            std::cmp::Ordering::Greater => first_row_of(id.seconds()),
        }
    }
}

/// Returns the lowest row whose id can carry the second.
pub(super) fn first_row_of(second: u32) -> i64 {
    i64::from(second) << COUNTER_BITS
}

/// Returns the moment's second as ids carry it, within 1970 to 2106.
pub(super) fn second_of(moment: Timestamp) -> u32 {
    let second = moment.as_millis().div_euclid(1000).clamp(0, i64::from(u32::MAX));
    u32::try_from(second).expect("the range was clamped")
}

/// Mints the ids of one database, and knows how far they run ahead of the clock.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) origin: Origin,
    mint: IdMint,
    /// The most seconds that the id of a log was ever ahead of its receipt. The clock can step back, ids can't.
    pub(super) lead_s: u32,
}

impl Ids {
    pub(super) fn new(origin: Origin, newest_row: Option<i64>, lead_s: u32) -> Self {
        Self { origin, mint: IdMint::new(origin.0, newest_row.map(|row| origin.id(row))), lead_s }
    }

    /// Returns the row of a new id, greater than every one before it and never behind `now`.
    pub(super) fn mint(&mut self, now: Timestamp) -> i64 {
        let second = second_of(now);
        let id = self.mint.mint(Timestamp::from_millis(i64::from(second) * 1000));
        self.lead_s = self.lead_s.max(id.seconds() - second);
        first_row_of(id.seconds()) + i64::from(id.counter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_and_ids_are_the_same_thing(seconds: u32, origin: [u8; 5], counter in 0_u32..1 << 24) {
            let id = ObjectId::from_parts(seconds, origin, counter);
            let origin = Origin(origin);
            prop_assert_eq!(origin.row(id).map(|row| origin.id(row)), Some(id));
        }

        #[test]
        fn older_ids_have_lower_rows_whoever_minted_them(
            here in (0_u32..4, 0_u32..4),
            there in (0_u32..4, 0_u8..3, 0_u32..4),
        ) {
            let origin = Origin([1; 5]);
            let id = ObjectId::from_parts(here.0, origin.0, here.1);
            let other = ObjectId::from_parts(there.0, [there.1; 5], there.2);
            prop_assert_eq!(id < other, origin.row(id).unwrap() < origin.rows_before(other));
            prop_assert_eq!(id > other, origin.row(id).unwrap() > origin.row_up_to(other));
        }

        #[test]
        fn no_id_is_behind_its_moment_and_the_lead_bounds_the_rest(
            clock in prop::collection::vec(-10_000_i64..10_000, 1..100),
        ) {
            let mut ids = Ids::new(Origin([1; 5]), None, 0);
            let minted: Vec<_> = clock.iter().map(|ms| ids.mint(Timestamp::from_millis(*ms))).collect();
            for (row, ms) in minted.iter().zip(clock) {
                let second = second_of(Timestamp::from_millis(ms));
                prop_assert!(*row >= first_row_of(second) && *row < first_row_of(second + ids.lead_s + 1));
            }
        }
    }
}
