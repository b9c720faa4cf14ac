//! A small seeded generator (`SplitMix64`), so that the same file gives the same draws on every machine.

/// Draws numbers that depend on the seed alone.
#[cfg(any(test, feature = "autoencoder"))]
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

#[cfg(any(test, feature = "autoencoder"))]
impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Returns a number from 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Draws rows by their keys: which rows are drawn depends on their content and the seed, not on where they stand, and
/// another row in the table changes one draw at most. Returns at most `count` of them, rising.
pub(crate) fn draw(keys: &[u64], among: &[usize], count: usize, seed: u64) -> Vec<usize> {
    let mut drawn: Vec<(u64, usize)> = among.iter().map(|row| (mix(keys[*row] ^ seed), *row)).collect();
    if count < drawn.len() {
        drawn.select_nth_unstable(count);
        drawn.truncate(count);
    }
    let mut rows: Vec<usize> = drawn.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows
}

/// Scrambles a number so that neighbours end up far apart.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_more_changes_one_draw_at_most() {
        let mut random = Random::new(7);
        let keys: Vec<u64> = (0..500).map(|_| random.next()).collect();
        let all: Vec<usize> = (0..500).collect();
        let (without, with) = (draw(&keys, &all[1..], 16, 3), draw(&keys, &all, 16, 3));
        assert_eq!(without.len(), 16);
        assert!(without.iter().filter(|row| !with.contains(row)).count() <= 1);
        assert_ne!(with, draw(&keys, &all, 16, 4));
        assert_eq!(draw(&keys, &all[..9], 16, 3), all[..9]);
    }
}
