//! Texts of strangers, and numbers, as a report shows them.

use maud::{Markup, html};
use serde_json::Value;

/// How many characters of a text are shown, by what it is.
pub(super) const NAME: usize = 40;
pub(super) const VALUE: usize = 80;
pub(super) const LONG: usize = 160;
pub(super) const PARAGRAPH: usize = 500;

/// What `"` takes as an entity, the longest of them.
const ESCAPED_QUOTE: usize = 6;
/// Bytes of the page to one character shown: enough for every script, and a bound on texts full of quotes.
const BYTES_TO_A_CHAR: usize = 3;

/// Returns the text so that nothing in it is invisible or turns the direction of what follows, cut to so many
/// characters. For attributes and titles; elsewhere `quoted` also keeps its letters' direction to itself.
pub(super) fn cut(text: &str, most_chars: usize) -> String {
    let mut bytes_left = most_chars * BYTES_TO_A_CHAR;
    let mut shown = String::new();
    for (place, char) in text.chars().map(visible).enumerate() {
        let bytes = if matches!(char, '"' | '&' | '<' | '>') { ESCAPED_QUOTE } else { char.len_utf8() };
        if place == most_chars || bytes > bytes_left {
            shown.push('…');
            break;
        }
        bytes_left -= bytes;
        shown.push(char);
    }
    shown
}

/// Returns a character that is seen: for a control character its picture, for one that turns the direction of text
/// (Unicode's `Bidi_Control`) and for separators of lines the replacement character.
fn visible(char: char) -> char {
    match char {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        _ => char,
    }
}

pub(super) fn quoted(text: &str, most_chars: usize) -> Markup {
    html! { bdi { (cut(text, most_chars)) } }
}

pub(super) fn name(name: &str) -> Markup {
    html! { bdi.name { @if name.is_empty() { "(no name)" } @else { (cut(name, NAME)) } } }
}

/// Returns a cell as it stands in the file, so that it can be searched for: without separators of thousands.
pub(super) fn cell(value: &Value) -> Markup {
    let text = match value {
        Value::Null => return html! { em { "empty" } },
        Value::String(text) if text.is_empty() => return html! { em { "an empty text" } },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    html! { bdi.value { (cut(&text, VALUE)) } }
}

/// Returns what is said below a list that was cut off; nothing where it was not.
pub(super) fn left_out(count: u64, what: &str) -> Markup {
    html! { @if count > 0 { p.quiet { "And " (number(count)) " more of the " (what) ", not shown here." } } }
}

/// Returns a count with separators of thousands.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns “1 row” or “5,000 rows”.
pub(super) fn rows(count: u64) -> String {
    format!("{} {}", number(count), if count == 1 { "row" } else { "rows" })
}

/// Returns a share of 0 to 1 as a percentage with two digits or more.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * in_unit(share);
    let decimals = match percent {
        0.0 | 9.95.. => 0,
        0.995.. => 1,
        0.0995.. => 2,
        0.001.. => 3,
        _ => return "below 0.001\u{a0}%".to_owned(),
    };
    format!("{}\u{a0}%", decimal(percent, decimals))
}

/// Returns a number with at most so many decimals.
fn decimal(number: f64, decimals: usize) -> String {
    let digits = format!("{number:.decimals$}");
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.').to_owned() } else { digits }
}

/// Returns the number within 0 to 1, 0 if it is none.
pub(super) fn in_unit(share: f64) -> f64 {
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

/// The surprise beyond which a score is only called rarer: the end of `ScoreHistogram`.
pub(super) const MOST_SURPRISE: f64 = 8.0;

/// Returns how surprising a score is, −log₁₀(1 − score), 0 to `MOST_SURPRISE`.
pub(super) fn surprise(score: f64) -> f64 {
    (-(1.0 - in_unit(score)).max(f64::MIN_POSITIVE).log10()).clamp(0.0, MOST_SURPRISE)
}

/// Returns which part of ordinary rows scores as high, such as “1 in 200”.
pub(super) fn one_in(surprise: f64) -> String {
    if surprise >= MOST_SURPRISE {
        return "1 in 100 million or fewer".to_owned();
    }
    let rows = 10_f64.powf(surprise);
    // Two digits: the third of so rare an event can't be known.
    let digits = 10_f64.powf((surprise.floor() - 1.0).max(0.0));
    let rounded = whole((rows / digits).round() * digits);
    match rounded {
        ..=1 => "all".to_owned(),
        1_000_000.. if rounded.is_multiple_of(1_000_000) => format!("1 in {} million", rounded / 1_000_000),
        _ => format!("1 in {}", number(rounded)),
    }
}

/// Returns a score with up to six decimals, and never as the certainty that it isn't.
pub(super) fn score(score: f64) -> String {
    let score = in_unit(score);
    if score > 0.999_999 && score < 1.0 { "above 0.999999".to_owned() } else { decimal(score, 6) }
}

/// Returns the whole part of a number, 0 of one below.
#[expect(clippy::cast_sign_loss, reason = "what is below 0 becomes 0, as said")]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

/// Returns a coordinate of a drawing, within 0 and `most`.
pub(super) fn at(coordinate: f64, most: f64) -> String {
    let drawn = if coordinate.is_nan() { 0.0 } else { coordinate.clamp(0.0, most) };
    format!("{drawn:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_its_characters_and_by_what_they_take_on_the_page() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "longe…");
        assert_eq!(cut("日本語日本語", 5), "日本語日本…");
        assert_eq!(cut("\"\"\"\"\"", 4), "\"\"…");
    }

    #[test]
    fn nothing_in_a_text_is_invisible_or_turns_it_around() {
        assert_eq!(cut("a\0b\n\u{1b}[2J\u{7f}", 80), "a␀b␊␛[2J␡");
        assert_eq!(
            cut("\u{85}\u{202e}gpj.exe\u{2066}\u{2028}", 80),
            "\u{fffd}\u{fffd}gpj.exe\u{fffd}\u{fffd}"
        );
        assert_eq!(cut("שלום 👩\u{200d}💻", 80), "שלום 👩\u{200d}💻");
    }

    #[test]
    fn numbers_are_written_for_people() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (count, written) in numbers {
            assert_eq!(number(count), written);
        }
        let shares =
            [(0.0, "0"), (0.71, "71"), (1.0, "100"), (0.005, "0.5"), (0.0525, "5.2"), (0.000_24, "0.024")];
        for (share, written) in shares {
            assert_eq!(percent(share), format!("{written}\u{a0}%"));
        }
        let rarities =
            [(0.0, "all"), (0.995, "1 in 200"), (0.999_934, "1 in 15,000"), (0.999_999, "1 in 1 million")];
        for (score, written) in rarities {
            assert_eq!(one_in(surprise(score)), written);
        }
        assert_eq!(one_in(surprise(1.0)), "1 in 100 million or fewer");
        assert_eq!(score(0.999_999_99), "above 0.999999");
    }

    #[test]
    fn a_number_that_is_none_is_drawn_inside() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            assert!(at(number, 10.0).parse::<f64>().is_ok_and(|drawn| (0.0..=10.0).contains(&drawn)));
            assert!((0.0..=MOST_SURPRISE).contains(&surprise(number)));
            assert!(percent(number).len() < 10);
        }
    }
}
