//! Payment cards and bank accounts: numbers that prove themselves by their check digits.

use std::ops::Range;

use crate::redact::{
    Finds, Kind,
    written::{Writing, read_before, run, run_before},
};

/// The shortest card numbers have so many digits.
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// The shortest account numbers are Norwegian.
const SHORTEST_IBAN: usize = 15;
const LONGEST_IBAN: usize = 34;
/// Some countries' have letters in them.
const FEWEST_DIGITS: usize = 6;

/// Adds the numbers of cards and accounts. A run of what they are made of covers one of every 13 places.
pub(super) fn each(bytes: &[u8], finds: &mut Finds) {
    let mut at = SHORTEST - 1;
    let mut from = 0;
    while at < bytes.len() {
        if !is_of_number(bytes[at]) {
            at += SHORTEST;
            continue;
        }
        let start = at - run_before(bytes, at, at - from, is_of_number);
        let end = at + run(bytes, at, usize::MAX, is_of_number);
        if end - start >= SHORTEST {
            look(bytes, start..end, finds);
        }
        from = end;
        at = end + SHORTEST;
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b' ' | b'-' | b'.' | b'+' | b'%')
}

fn look(bytes: &[u8], area: Range<usize>, finds: &mut Finds) {
    let count = |is_it: fn(&u8) -> bool| bytes[area.clone()].iter().filter(|byte| is_it(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let may_be_account = digits >= FEWEST_DIGITS && digits + count(u8::is_ascii_uppercase) >= SHORTEST_IBAN;
    if digits < SHORTEST && !may_be_account {
        return;
    }
    let mut at = area.start;
    while at < area.end {
        let letters = run(bytes, at, area.end - at, |byte| byte.is_ascii_uppercase());
        if let Some(end) = iban_end(bytes, at, area.end) {
            add(finds, Kind::Iban, at..end);
            at = end;
        } else if let Some(number) = card(bytes, at, area.end) {
            at = number.end;
            add(finds, Kind::Card, number);
        } else if letters > 0 {
            // An account's number begins with two letters, a card's with a digit.
            at += if letters > 2 { letters - 2 } else { 1 };
        } else {
            at += run(bytes, at, area.end - at, |byte| byte.is_ascii_digit()).max(1);
        }
    }
    // In lower case, the letters before the digits are outside.
    if let Some(start) = area.start.checked_sub(2)
        && let Some(end) = iban_end(bytes, start, bytes.len())
    {
        add(finds, Kind::Iban, start..end);
    }
}

fn add(finds: &mut Finds, kind: Kind, range: Range<usize>) {
    if !finds.hold(range.start) {
        finds.add(kind, range);
    }
}

/// A number in groups of digits.
#[derive(Default)]
struct Grouped {
    digits: [u8; LONGEST],
    count: usize,
    /// How many digits each group has.
    groups: [usize; MOST_GROUPS],
    group_count: usize,
}

const MOST_GROUPS: usize = 5;

/// Returns the card number that begins there, if one does: the longest, if there are several.
fn card(bytes: &[u8], start: usize, area_end: usize) -> Option<Range<usize>> {
    let start = after_escape(bytes, start);
    let begins = bytes.get(start).is_some_and(|byte| (b'2'..=b'9').contains(byte)) && may_begin(bytes, start);
    if !begins {
        return None;
    }
    let mut number = Grouped::default();
    let mut divider: Option<&[u8]> = None;
    let mut found = None;
    let mut at = start;
    while let Some(group) = bytes[..area_end].get(at..).filter(|_| at < area_end) {
        let length = run(group, 0, LONGEST + 1, |byte| byte.is_ascii_digit());
        if number.add(&group[..length]).is_none() {
            break;
        }
        let end = at + length;
        if number.is_card() && !goes_on(bytes, end, divider.is_some()) {
            found = Some(start..end);
        }
        let next = divider_at(bytes, end).filter(|next| divider.is_none_or(|divider| divider == *next));
        let Some(next) = next else { break };
        at = end + next.len();
        divider = Some(next);
    }
    found
}

/// Whether what follows a number shows that it is a part of something else.
fn goes_on(bytes: &[u8], end: usize, is_grouped: bool) -> bool {
    match bytes.get(end) {
        Some(b'.' | b'-') if !is_grouped => bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
        Some(next) => next.is_ascii_hexdigit() || *next == b'_',
        None => false,
    }
}

/// Skips the `%20` that a run of digits may begin with.
fn after_escape(bytes: &[u8], start: usize) -> usize {
    let is_escape = bytes.get(start) == Some(&b'%')
        && bytes.get(start + 1) != Some(&b'B')
        && bytes.get(start + 1..start + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if is_escape { start + 3 } else { start }
}

/// Whether what comes before does not make it a part of something else.
fn may_begin(bytes: &[u8], start: usize) -> bool {
    let before = read_before(bytes, start);
    if before.is_end() || before.writing != Writing::Plain {
        return true;
    }
    match before.byte {
        b'_' | b'.' | b'/' | b'+' => false,
        b'-' => start > 1 && bytes[start - 2] == b' ',
        // A card's first track is read as `%B4…`.
        b'B' if start > 1 && bytes[start - 2] == b'%' => true,
        byte => !byte.is_ascii_hexdigit(),
    }
}

impl Grouped {
    fn add(&mut self, group: &[u8]) -> Option<()> {
        let end = self.count + group.len();
        self.digits.get_mut(self.count..end).filter(|_| !group.is_empty())?.copy_from_slice(group);
        *self.groups.get_mut(self.group_count)? = group.len();
        self.count = end;
        self.group_count += 1;
        Some(())
    }

    fn is_card(&self) -> bool {
        let digits = &self.digits[..self.count];
        let is_grouped_so = matches!(
            self.groups[..self.group_count],
            [SHORTEST..=LONGEST]
                | [4, 4, 4, 1..=7]
                | [4, 4, 4, 4, 1..=3]
                | [4, 6, 4 | 5]
                | [6, 7..=13]
                | [8, 8]
                | [4, 4, 5]
        );
        is_grouped_so && is_of_issuer(digits) && has_check_digit(digits)
    }
}

fn divider_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    const DIVIDERS: [&[u8]; 5] = [b" ", b"-", b".", b"+", b"%20"];
    let rest = bytes.get(at..)?;
    DIVIDERS.into_iter().find(|divider| rest.starts_with(divider))
}

/// Whether an issuer's numbers begin so and are so long.
fn is_of_issuer(digits: &[u8]) -> bool {
    let first_digits =
        |count: usize| digits.iter().take(count).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let (two, three, four) = (first_digits(2), first_digits(3), first_digits(4));
    match digits.len() {
        13 => two / 10 == 4,
        14 => matches!(two, 36 | 38) || matches!(three, 300..=305),
        15 => matches!(two, 34 | 37),
        16 => {
            let is_visa_or_mastercard =
                two / 10 == 4 || matches!(two, 51..=55) || matches!(four, 2221..=2720);
            let is_discover = matches!(two, 60 | 64 | 65 | 62 | 81 | 82) || matches!(four, 3528..=3589);
            is_visa_or_mastercard || is_discover || is_maestro(four) || matches!(four, 2200..=2204 | 9792)
        }
        17 | 18 => two == 62 || is_maestro(four),
        LONGEST => two / 10 == 4 || matches!(two, 62 | 65) || four == 6011 || is_maestro(four),
        _ => false,
    }
}

fn is_maestro(four: u32) -> bool {
    matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 | 6767)
}

/// Luhn's sum.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum =
        digits.iter().rev().zip([false, true].into_iter().cycle()).fold(0, |sum, (digit, is_doubled)| {
            let value = u32::from(digit - b'0');
            sum + match value * 2 {
                doubled if is_doubled => doubled / 10 + doubled % 10,
                _ => value,
            }
        });
    sum.is_multiple_of(10) && digits.iter().any(|digit| digit != &digits[0])
}

/// Returns the end of the account number that begins there, if one does.
fn iban_end(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let [first, second, check, digit] = *bytes.get(start..start + 4)? else { return None };
    let is_country = first.is_ascii_alphabetic() && second.is_ascii_alphabetic();
    let is_in_a_word = start > 0
        && (bytes[start - 1].is_ascii_alphanumeric() && read_before(bytes, start).writing == Writing::Plain
            || bytes[start - 1] == b'_');
    if !is_country || !check.is_ascii_digit() || !digit.is_ascii_digit() || is_in_a_word {
        return None;
    }
    let length = iban_length([first.to_ascii_uppercase(), second.to_ascii_uppercase()])?;
    let mut account = [0; LONGEST_IBAN];
    let mut count = 0;
    let mut at = start;
    while count < length {
        let divider = if count > 0 { divider_at(bytes, at).map_or(0, <[u8]>::len) } else { 0 };
        let byte = *bytes[..end].get(at + divider)?;
        let is_grouped = divider == 0 || count % 4 == 0 || count == 2;
        if !byte.is_ascii_alphanumeric() || !is_grouped {
            return None;
        }
        account[count] = byte.to_ascii_uppercase();
        count += 1;
        at += divider + 1;
    }
    let goes_on = bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    (!goes_on && is_97(&account[..length])).then_some(at)
}

/// Whether the account, with its first four characters moved to the end, leaves 1 when divided by 97.
fn is_97(account: &[u8]) -> bool {
    let (head, tail) = account.split_at(4);
    let rest = tail.iter().chain(head).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1 && account.len() >= SHORTEST_IBAN
}

/// Returns how long a country's account numbers are.
fn iban_length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL" | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
