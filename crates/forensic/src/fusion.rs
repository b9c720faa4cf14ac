//! Makes one score of the detectors' numbers, whatever measures they come in.

/// Returns Σ −ln(1 − u) over the parts, where u is the row's rank in the part as a share.
pub(crate) fn fuse(parts: &[Vec<f64>]) -> Vec<f64> {
    let rows = parts[0].len();
    let mut fused = vec![0.0; rows];
    for part in parts {
        for (score, rank) in fused.iter_mut().zip(middle_ranks(part)) {
            let share = (rank - 0.5) / rows as f64;
            *score += -(1.0 - share).ln();
        }
    }
    fused
}

/// Returns each number's rank from 1; equal numbers share the middle of their ranks.
pub(crate) fn middle_ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, u32)> = numbers.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut ranks = vec![0.0; numbers.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let middle = before as f64 + (equal.len() + 1) as f64 / 2.0;
        for (_, row) in equal {
            ranks[*row as usize] = middle;
        }
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_share_the_middle_of_their_ranks() {
        assert_eq!(middle_ranks(&[5.0, 1.0, 5.0, 9.0]), [2.5, 1.0, 2.5, 4.0]);
    }

    #[test]
    fn a_row_that_all_parts_find_strange_comes_first() {
        let fused = fuse(&[vec![1.0, 2.0, 3.0], vec![10.0, 5.0, 30.0]]);
        assert!(fused[2] > fused[0] && fused[2] > fused[1]);
    }
}
