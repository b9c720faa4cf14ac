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

/// Returns a cell that a spreadsheet won't take for a formula; numbers stay as they are.
pub fn harmless(cell: &str) -> String {
    let is_number = || cell.parse().is_ok_and(f64::is_finite);
    let may_be_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number();
    if may_be_formula { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_become_a_formula() {
        for cell in ["=1+1", "@x", "+cmd|' /C calc'!A0", "-a", "\t=1", "\r=1", "\n=1", "-inf", "+NaN"] {
            assert_eq!(harmless(cell), format!("'{cell}"));
        }
        for cell in ["-5.2", "+1e3", "plain", "", "a=b", "'=1"] {
            assert_eq!(harmless(cell), cell);
        }
    }
}
