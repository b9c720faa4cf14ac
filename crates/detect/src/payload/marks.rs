//! Which bytes with a meaning in some language a text uses: one cheap pass that lets most texts go unexamined.

/// A set of byte classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks(u32);

impl Marks {
    pub(crate) const SINGLE_QUOTE: Self = Self(1);
    pub(crate) const DOUBLE_QUOTE: Self = Self(1 << 1);
    pub(crate) const BACKTICK: Self = Self(1 << 2);
    pub(crate) const LESS: Self = Self(1 << 3);
    pub(crate) const GREATER: Self = Self(1 << 4);
    pub(crate) const EQUALS: Self = Self(1 << 5);
    pub(crate) const ROUND: Self = Self(1 << 6);
    pub(crate) const CURLY: Self = Self(1 << 7);
    pub(crate) const SQUARE: Self = Self(1 << 8);
    pub(crate) const SEMICOLON: Self = Self(1 << 9);
    pub(crate) const PIPE: Self = Self(1 << 10);
    pub(crate) const AMPERSAND: Self = Self(1 << 11);
    pub(crate) const DOLLAR: Self = Self(1 << 12);
    pub(crate) const HASH: Self = Self(1 << 13);
    pub(crate) const DASH: Self = Self(1 << 14);
    pub(crate) const STAR: Self = Self(1 << 15);
    pub(crate) const SLASH: Self = Self(1 << 16);
    pub(crate) const BACKSLASH: Self = Self(1 << 17);
    pub(crate) const COLON: Self = Self(1 << 19);
    pub(crate) const AT: Self = Self(1 << 20);
    pub(crate) const LINE_BREAK: Self = Self(1 << 21);
    pub(crate) const CONTROL: Self = Self(1 << 22);
    pub(crate) const OTHER_OPERATOR: Self = Self(1 << 23);
    pub(crate) const DIGIT: Self = Self(1 << 24);

    pub(crate) const QUOTES: Self = Self::SINGLE_QUOTE.or(Self::DOUBLE_QUOTE).or(Self::BACKTICK);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn of(text: &str) -> Self {
        Self(text.bytes().fold(0, |marks, byte| marks | TABLE[usize::from(byte)].0))
    }

    /// Whether any of the others is among these.
    pub(crate) fn any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

static TABLE: [Marks; 256] = table();

const fn table() -> [Marks; 256] {
    let mut table = [Marks(0); 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = class(byte);
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn class(byte: u8) -> Marks {
    match byte {
        b'\'' => Marks::SINGLE_QUOTE,
        b'"' => Marks::DOUBLE_QUOTE,
        b'`' => Marks::BACKTICK,
        b'<' => Marks::LESS,
        b'>' => Marks::GREATER,
        b'=' => Marks::EQUALS,
        b'(' | b')' => Marks::ROUND,
        b'{' | b'}' => Marks::CURLY,
        b'[' | b']' => Marks::SQUARE,
        b';' => Marks::SEMICOLON,
        b'|' => Marks::PIPE,
        b'&' => Marks::AMPERSAND,
        b'$' => Marks::DOLLAR,
        b'#' => Marks::HASH,
        b'-' => Marks::DASH,
        b'*' => Marks::STAR,
        b'/' => Marks::SLASH,
        b'\\' => Marks::BACKSLASH,
        b':' => Marks::COLON,
        b'@' => Marks::AT,
        b'\n' | b'\r' => Marks::LINE_BREAK,
        0..=8 | 11 | 12 | 14..=31 | 127 => Marks::CONTROL,
        b'^' | b'~' | b'!' | b'%' | b'+' => Marks::OTHER_OPERATOR,
        b'0'..=b'9' => Marks::DIGIT,
        _ => Marks(0),
    }
}
