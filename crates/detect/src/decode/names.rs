//! Names and what they mean, whatever their case. Most are told apart by their length and their first letter.

/// A fixed list of names in ASCII. Of names that are given twice the first counts.
pub(super) struct Names<T> {
    /// By length; each with its first byte in lower case.
    by_length: Vec<Vec<(u8, &'static str, T)>>,
    /// The first letters of the names of each length, as bits: most others are passed over by a look at them.
    letters: Vec<u32>,
}

impl<T: Copy> Names<T> {
    pub(super) fn new(names: impl Iterator<Item = (&'static str, T)>) -> Self {
        let mut all = Self { by_length: Vec::new(), letters: Vec::new() };
        for (name, meaning) in names {
            let first = name.as_bytes()[0].to_ascii_lowercase();
            if all.letters.len() <= name.len() {
                all.by_length.resize_with(name.len() + 1, Vec::new);
                all.letters.resize(name.len() + 1, 0);
            }
            all.by_length[name.len()].push((first, name, meaning));
            all.letters[name.len()] |= bit(first);
        }
        all
    }

    pub(super) fn get(&self, name: &str) -> Option<T> {
        let first = *name.as_bytes().first()?;
        if self.letters.get(name.len())? & bit(first) == 0 {
            return None;
        }
        let first = first.to_ascii_lowercase();
        let found = self.by_length[name.len()]
            .iter()
            .find(|(letter, known, _)| *letter == first && known.eq_ignore_ascii_case(name));
        found.map(|(_, _, meaning)| *meaning)
    }
}

/// Returns the bit of a letter, whatever its case; another character may share it.
fn bit(byte: u8) -> u32 {
    1 << (byte & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_any_case_and_never_by_a_part() {
        let names = Names::new([("user", 1), ("uname", 2), ("User", 3), ("q", 4)].into_iter());
        for (name, meaning) in [("user", 1), ("USER", 1), ("uName", 2), ("Q", 4)] {
            assert_eq!(names.get(name), Some(meaning), "{name}");
        }
        for name in ["", "u", "use", "users", "5ser", "usér", "1", "a much longer name than any"] {
            assert_eq!(names.get(name), None, "{name}");
        }
    }
}
