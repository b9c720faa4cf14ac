//! Text of strangers, fit for a person to read.

/// Tells whether a character steers a terminal or turns the direction of text (Unicode's `Bidi_Control`).
pub fn misleads(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns
}
