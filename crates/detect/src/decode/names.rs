//! Names and what they mean, whatever their case. Nearly all others are passed over by their length and two letters.

/// A fixed list of names in ASCII. Of names that are given twice the first counts.
pub(super) struct Names<T> {
    by_shape: Vec<Vec<(&'static str, T)>>,
    /// By the last letter, which letters stand before it, as bits.
    endings: [u32; 32],
}

/// So many that most have no name or one.
const SHAPES: usize = 512;

impl<T: Copy> Names<T> {
    pub(super) fn new(names: impl Iterator<Item = (&'static str, T)>) -> Self {
        let mut by_shape = Vec::new();
        by_shape.resize_with(SHAPES, Vec::new);
        let mut endings = [0; 32];
        for (name, meaning) in names {
            if let [.., before, last] = name.as_bytes() {
                endings[letter(*last)] |= 1 << letter(*before);
            }
            let shape = shape(name).expect("a name is not empty");
            by_shape[shape].push((name, meaning));
        }
        Self { by_shape, endings }
    }

    pub(super) fn get(&self, name: &str) -> Option<T> {
        let alike = &self.by_shape[shape(name)?];
        let found = alike.iter().find(|(known, _)| *known == name || known.eq_ignore_ascii_case(name));
        found.map(|(_, meaning)| *meaning)
    }

    /// Looks up a name, or else its last part if it is nested and that is at least so long.
    pub(super) fn get_whole_or_last_part(&self, name: &str, shortest: usize) -> Option<T> {
        // Few names end alike, and looking further takes longer.
        if let [.., before, last] = name.as_bytes()
            && self.endings[letter(*last)] & (1 << letter(*before)) == 0
        {
            return None;
        }
        let is_long = |last: &&str| last.len() >= shortest;
        self.get(name).or_else(|| last_part(name).filter(is_long).and_then(|last| self.get(last)))
    }
}

/// Returns the place of a letter in the alphabet, whatever its case; another character may share it.
fn letter(byte: u8) -> usize {
    usize::from(byte & 0x1f)
}

/// Returns a number that a name shares with itself in another case, and with few others; `None` if it is empty.
fn shape(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    let (first, last) = (letter(*bytes.first()?), letter(*bytes.last()?));
    Some((first + 32 * last + 5 * name.len()) % SHAPES)
}

/// Returns what follows the last dot of a nested name.
pub(super) fn last_part(name: &str) -> Option<&str> {
    let dot = name.bytes().rposition(|b| b == b'.')?;
    name.get(dot + 1..)
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

    #[test]
    fn a_nested_name_is_known_by_its_last_part_if_that_is_long_enough() {
        let names = Names::new([("user", 1), ("uname", 2), ("q", 3), ("b.user", 4)].into_iter());
        let get = |name| names.get_whole_or_last_part(name, 4);
        for (name, meaning) in [("a.user", 1), ("a.b.UNAME", 2), (".user", 1), ("q", 3), ("b.user", 4)] {
            assert_eq!(get(name), Some(meaning), "{name}");
        }
        for name in ["", ".", "r", "er", "a.q", "a.xuser", "user.", "é.usér"] {
            assert_eq!(get(name), None, "{name}");
        }
        assert_eq!(names.get_whole_or_last_part("a.user", 5), None);
    }
}
