//! Walks over a structure of Thrift's compact protocol, in which Parquet writes its metadata, without keeping any of it:
//! what is claimed there can be checked before it is believed.

/// One thing that was come by. A path holds the numbers of the fields down to it, a byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Struct(u64),
    /// How many elements a list has.
    List(u64, u64),
    Integer(u64, i64),
    /// How long a text is.
    Bytes(u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end before the structure does.
    Short,
    Odd(&'static str),
}

/// Parquet's own structures are six deep.
const DEEPEST: u32 = 8;

pub(super) struct Walk<'b, 's> {
    bytes: &'b [u8],
    at: usize,
    see: &'s mut dyn FnMut(Event) -> Result<(), &'static str>,
}

impl<'b, 's> Walk<'b, 's> {
    /// Walks over the structure that the bytes begin with, and returns its length.
    pub(super) fn over(
        bytes: &'b [u8],
        see: &'s mut dyn FnMut(Event) -> Result<(), &'static str>,
    ) -> Result<usize, Fault> {
        let mut walk = Self { bytes, at: 0, see };
        walk.structure(0, 0)?;
        Ok(walk.at)
    }

    fn see(&mut self, event: Event) -> Result<(), Fault> {
        (self.see)(event).map_err(Fault::Odd)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Odd("a number in its metadata does not end"))
    }

    fn integer(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        let left = (self.bytes.len() - self.at) as u64;
        if length > left {
            return Err(Fault::Short);
        }
        self.at += usize::try_from(length).map_err(|_| Fault::Short)?;
        Ok(())
    }

    fn structure(&mut self, path: u64, depth: u32) -> Result<(), Fault> {
        if depth >= DEEPEST {
            return Err(Fault::Odd("its metadata is nested too deeply"));
        }
        self.see(Event::Struct(path))?;
        let mut last = 0_i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Ok(());
            }
            let field = match header >> 4 {
                0 => self.integer()?,
                step => last + i64::from(step),
            };
            // Writers go upwards; whoever does not may say one thing twice, and mean the second.
            if field <= last || field > 255 {
                return Err(Fault::Odd("the fields of its metadata are out of order"));
            }
            last = field;
            let path = path << 8 | field.cast_unsigned();
            match header & 0x0F {
                truth @ (1 | 2) => self.see(Event::Integer(path, i64::from(truth == 1)))?,
                kind => self.value(kind, path, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, path: u64, depth: u32) -> Result<(), Fault> {
        match kind {
            // In a list, a truth is a byte of its own, as is a small number.
            1..=3 => self.byte().map(drop),
            4..=6 => {
                let value = self.integer()?;
                self.see(Event::Integer(path, value))
            }
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.see(Event::Bytes(path, length))?;
                self.skip(length)
            }
            9 | 10 => self.list(path, depth),
            12 => self.structure(path, depth + 1),
            _ => Err(Fault::Odd("its metadata holds what Parquet does not have")),
        }
    }

    fn list(&mut self, path: u64, depth: u32) -> Result<(), Fault> {
        let header = self.byte()?;
        let length = match header >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        let kind = header & 0x0F;
        if matches!(kind, 9 | 10) {
            return Err(Fault::Odd("its metadata holds lists of lists"));
        }
        self.see(Event::List(path, length))?;
        for _ in 0..length {
            self.value(kind, path, depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_come_by_is_told_with_its_path() {
        // 1: 7, 2: [{3: "ab"}, {}], 4: true
        let bytes = [0x15, 14, 0x19, 0x2C, 0x38, 2, b'a', b'b', 0, 0, 0x21, 0, 99];
        let mut events = Vec::new();
        let length = Walk::over(&bytes, &mut |event| {
            events.push(event);
            Ok(())
        });
        assert_eq!(length, Ok(12));
        assert_eq!(
            events,
            [
                Event::Struct(0),
                Event::Integer(1, 7),
                Event::List(2, 2),
                Event::Struct(2),
                Event::Bytes(0x203, 2),
                Event::Struct(2),
                Event::Integer(4, 1),
            ]
        );
        assert_eq!(Walk::over(&bytes[..11], &mut |_| Ok(())), Err(Fault::Short));
        assert!(matches!(Walk::over(&[0x15, 2, 0x05, 2, 2, 0], &mut |_| Ok(())), Err(Fault::Odd(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_on(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(length) = Walk::over(&bytes, &mut |_| Ok(())) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
