//! Ids as row numbers: the ids of one database share their origin, or have one of a few, so that second, place of the
//! origin and counter fit an `INTEGER PRIMARY KEY` and no index is needed to find a row by its id.

use std::sync::Arc;

use sentinelflow_domain::{
    id::{IdMint, ObjectId},
    time::Timestamp,
};

const COUNTER_BITS: u32 = 24;
const COUNTER_MASK: i64 = (1 << COUNTER_BITS) - 1;
/// What is left of a row number's 63 bits beside second and counter.
const PLACE_BITS: u32 = 7;
/// As many origins can the ids of one database have.
pub(super) const MOST_ORIGINS: usize = 1 << PLACE_BITS;

/// The five bytes that ids have in the middle: one for all that a database has minted; several where it was copied from
/// one that many nodes minted ids for. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origins {
    /// In order, so that rows stand in the order of their ids.
    known: Arc<[[u8; 5]]>,
    place_bits: u32,
}

impl Origins {
    pub(super) fn one(origin: [u8; 5]) -> Self {
        Self { known: Arc::new([origin]), place_bits: 0 }
    }

    /// Returns the origins that a database has written down; `None` if there can't be such.
    pub(super) fn several(bytes: &[u8]) -> Option<Self> {
        let known: Arc<[[u8; 5]]> = bytes.as_chunks().0.into();
        let is_possible = bytes.len() == 5 * known.len()
            && (2..=MOST_ORIGINS).contains(&known.len())
            && known.is_sorted_by(|before, after| before < after);
        is_possible.then_some(Self { known, place_bits: PLACE_BITS })
    }

    pub(super) fn all(&self) -> &[[u8; 5]] {
        &self.known
    }

    pub(super) fn id(&self, row: i64) -> ObjectId {
        let counter = u32::try_from(row & COUNTER_MASK).expect("24 bits fit");
        let place = (row >> COUNTER_BITS) & ((1 << self.place_bits) - 1);
        // A place beyond the end is in no row that was written here.
        let origin = usize::try_from(place).ok().and_then(|place| self.known.get(place));
        let second = row >> self.shift();
        ObjectId::from_parts(
            u32::try_from(second).unwrap_or(u32::MAX),
            *origin.unwrap_or(&[u8::MAX; 5]),
            counter,
        )
    }

    /// Returns the row an id stands for; `None` if the id was minted elsewhere.
    pub(super) fn row(&self, id: ObjectId) -> Option<i64> {
        let place = self.known.binary_search(&id.origin()).ok()?;
        Some(self.first_row_at(id.seconds(), place) + i64::from(id.counter()))
    }

    /// Returns the row above which exactly the rows with ids newer than `id` lie, also for an id minted elsewhere.
    pub(super) fn row_up_to(&self, id: ObjectId) -> i64 {
        self.row(id).unwrap_or_else(|| self.rows_before(id) - 1)
    }

    /// Returns the row that exactly the rows with ids older than `id` lie below, also for an id minted elsewhere.
    pub(super) fn rows_before(&self, id: ObjectId) -> i64 {
        match self.known.binary_search(&id.origin()) {
            Ok(place) => self.first_row_at(id.seconds(), place) + i64::from(id.counter()),
            Err(place) => self.first_row_at(id.seconds(), place),
        }
    }

    /// Returns the lowest row whose id can carry the second.
    pub(super) fn first_row_of(&self, second: u32) -> i64 {
        self.first_row_at(second, 0)
    }

    /// Returns by how many bits a row's second is shifted.
    pub(super) fn shift(&self) -> u32 {
        COUNTER_BITS + self.place_bits
    }

    fn first_row_at(&self, second: u32, place: usize) -> i64 {
        let place = i64::try_from(place).expect("origins are few") << COUNTER_BITS;
        (i64::from(second) << self.shift()).saturating_add(place)
    }
}

/// Returns the moment's second as ids carry it, within 1970 to 2106.
pub(super) fn second_of(moment: Timestamp) -> u32 {
    let second = moment.as_millis().div_euclid(1000).clamp(0, i64::from(u32::MAX));
    u32::try_from(second).expect("the range was clamped")
}

/// Mints the ids of one database, and knows how far they run ahead of the clock.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) origins: Origins,
    mint: IdMint,
    /// The most seconds that the id of a log was ever ahead of its receipt. The clock can step back, ids can't.
    pub(super) lead_s: u32,
}

impl Ids {
    /// Mints with the origin `own`, which is one of the known ones.
    pub(super) fn new(origins: Origins, own: [u8; 5], newest_row: Option<i64>, lead_s: u32) -> Self {
        let newest = newest_row.map(|row| origins.id(row)).map(|newest| {
            // Within a second another's ids may be the greater ones.
            let is_own = newest.origin() == own;
            if is_own { newest } else { ObjectId::from_parts(newest.seconds().saturating_add(1), own, 0) }
        });
        Self { mint: IdMint::new(own, newest), origins, lead_s }
    }

    /// Returns the row of a new id, greater than every one before it and never behind `now`.
    pub(super) fn mint(&mut self, now: Timestamp) -> i64 {
        let second = second_of(now);
        let id = self.mint.mint(Timestamp::from_millis(i64::from(second) * 1000));
        self.lead_s = self.lead_s.max(id.seconds() - second);
        self.origins.row(id).expect("the own origin is known")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(known: &[u8]) -> Origins {
        match known {
            [one] => Origins::one([*one; 5]),
            several => {
                let bytes: Vec<u8> = several.iter().flat_map(|origin| [*origin; 5]).collect();
                Origins::several(&bytes).unwrap()
            }
        }
    }

    fn some_origins() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::btree_set(any::<u8>(), 1..MOST_ORIGINS)
            .prop_map(|known| known.into_iter().collect())
    }

    proptest! {
        #[test]
        fn rows_and_ids_are_the_same_thing(
            seconds: u32,
            known in some_origins(),
            place: prop::sample::Index,
            counter in 0_u32..1 << 24,
        ) {
            let id = ObjectId::from_parts(seconds, [*place.get(&known); 5], counter);
            let origins = origins(&known);
            let row = origins.row(id);
            prop_assert_eq!(row.map(|row| origins.id(row)), Some(id));
            prop_assert!(row >= Some(0));
        }

        #[test]
        fn older_ids_have_lower_rows_whoever_minted_them(
            here in (0_u32..4, 0_usize..3, 0_u32..4),
            there in (0_u32..4, 0_u8..8, 0_u32..4),
            known in prop::sample::select(vec![vec![1], vec![1, 3, 5]]),
        ) {
            let id = ObjectId::from_parts(here.0, [known[here.1 % known.len()]; 5], here.2);
            let other = ObjectId::from_parts(there.0, [there.1; 5], there.2);
            let origins = origins(&known);
            prop_assert_eq!(id < other, origins.row(id).unwrap() < origins.rows_before(other));
            prop_assert_eq!(id > other, origins.row(id).unwrap() > origins.row_up_to(other));
        }

        #[test]
        fn no_id_is_behind_its_moment_and_the_lead_bounds_the_rest(
            clock in prop::collection::vec(-10_000_i64..10_000, 1..100),
            known in prop::sample::select(vec![vec![1], vec![1, 3, 5]]),
            newest in prop::option::of((0_u32..20, 0_usize..3)),
        ) {
            let origins = origins(&known);
            let newest = newest.map(|(second, place)| origins.first_row_at(second, place % known.len()) + 7);
            let mut ids = Ids::new(origins.clone(), [1; 5], newest, 0);
            let minted: Vec<_> = clock.iter().map(|ms| ids.mint(Timestamp::from_millis(*ms))).collect();
            prop_assert!(newest.is_none_or(|newest| newest < minted[0]));
            prop_assert!(minted.is_sorted_by(|before, after| before < after));
            for (row, ms) in minted.iter().zip(clock) {
                let second = second_of(Timestamp::from_millis(ms));
                let end = origins.first_row_of(second + ids.lead_s + 1);
                prop_assert!(*row >= origins.first_row_of(second) && *row < end);
            }
        }
    }

    #[test]
    fn what_can_not_be_a_list_of_origins_is_none() {
        let too_many: Vec<u8> = (0..=128).flat_map(|origin| [origin; 5]).collect();
        for bytes in [&[][..], &[1; 5], &[1; 10], &[2, 2, 2, 2, 2, 1, 1, 1, 1, 1], &[1; 7], &too_many] {
            assert_eq!(Origins::several(bytes), None, "{bytes:?}");
        }
        assert_eq!(Origins::several(&too_many[..640]).unwrap().all().len(), MOST_ORIGINS);
    }
}
