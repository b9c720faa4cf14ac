//! Text of strangers, fit for a person to read.

/// Tells whether a character steers a terminal or turns the direction of text (Unicode's `Bidi_Control`).
pub fn misleads(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns
}

/// How much of a stranger's text is shown.
const SHOWN_CHARS: usize = 80;

/// Returns a stranger's text, cut, and so that it can neither steer a terminal nor turn the direction of text.
pub fn shown(text: &str) -> String {
    let replaced = text.chars().map(|char| if misleads(char) { '\u{fffd}' } else { char });
    let mut shown: String = replaced.take(SHOWN_CHARS).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
