//! A small seeded generator (`SplitMix64`), so that the same file gives the same draws on every machine.

/// Draws numbers that depend on the seed alone.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Returns a number below `bound`; the bias of the multiplication is below 2⁻³² here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).expect("a product shifted by 64 is below the bound")
    }

    /// Returns a number from 0 (included) to 1 (excluded).
    #[cfg(any(test, feature = "autoencoder"))]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws `count` distinct numbers below `bound` (Floyd's algorithm), in rising order.
    pub(crate) fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut drawn = std::collections::BTreeSet::new();
        for top in bound - count..bound {
            let candidate = self.below(top + 1);
            if !drawn.insert(candidate) {
                drawn.insert(top);
            }
        }
        drawn.into_iter().collect()
    }
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
    fn the_same_seed_draws_the_same_distinct_numbers() {
        let draw = || Random::new(7).distinct(16, 40);
        let drawn = draw();
        assert_eq!(drawn, draw());
        assert_eq!(drawn.len(), 16);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]) && drawn[15] < 40);
    }

    #[test]
    fn every_number_is_drawn_when_all_are_asked_for() {
        assert_eq!(Random::new(1).distinct(9, 9), (0..9).collect::<Vec<_>>());
    }
}
