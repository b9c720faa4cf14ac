//! Names of hosts as lists and events write them → one form: ASCII, lower case, no dot at the end.

/// The longest name that DNS carries, and the longest part of one.
pub(super) const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Registries sell names below these, so one of them stands for a whole country's companies or schools.
const SHARED_SECOND_LEVELS: [&str; 13] =
    ["ac", "co", "com", "edu", "go", "gob", "gov", "mil", "ne", "net", "nom", "or", "org"];

/// Names that mean another machine in every network (RFC 6761, 6762 and 9476).
const PRIVATE_TOPS: [&str; 8] = ["alt", "arpa", "home", "internal", "invalid", "lan", "local", "localhost"];

/// Returns the one form of a listed domain, or why it can't be listed.
pub(super) fn listed(raw: &str) -> Result<String, &'static str> {
    let bare = raw.strip_prefix("*.").or_else(|| raw.strip_prefix('.')).unwrap_or(raw);
    let name = canonical(bare).ok_or("is no domain, address, hash or URL")?;
    let mut labels = name.rsplit('.');
    let (top, second) = (labels.next().unwrap_or_default(), labels.next());
    let Some(second) = second else { return Err("is one word; a domain has a name before its top level") };
    if PRIVATE_TOPS.contains(&top) {
        return Err("is a name of private networks");
    }
    if top.len() == 2 && labels.next().is_none() && SHARED_SECOND_LEVELS.contains(&second) {
        return Err("is shared by everybody who has a name in that country");
    }
    Ok(name)
}

/// Returns the one form of a host's name, if it is one that DNS could carry.
pub(super) fn canonical(raw: &str) -> Option<String> {
    let raw = raw.strip_suffix('.').unwrap_or(raw);
    let mut name = String::with_capacity(raw.len());
    for label in raw.split('.') {
        if !name.is_empty() {
            name.push('.');
        }
        push_label(label, &mut name)?;
    }
    let top = name.rsplit('.').next()?;
    // Otherwise it is an address, or a version.
    let is_named = top.bytes().any(|b| b.is_ascii_alphabetic());
    (name.len() <= LONGEST && is_named).then_some(name)
}

fn push_label(label: &str, name: &mut String) -> Option<()> {
    let start = name.len();
    if label.is_ascii() {
        name.push_str(label);
        name.get_mut(start..)?.make_ascii_lowercase();
    } else {
        let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
        name.push_str("xn--");
        punycode(&lower, name)?;
    }
    let label = name.as_bytes().get(start..)?;
    let is_valid = (1..=LONGEST_LABEL).contains(&label.len())
        && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_valid.then_some(())
}

/// Writes a label in Punycode (RFC 3492).
fn punycode(label: &[char], into: &mut String) -> Option<()> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    // The work grows with the square of the length, which DNS bounds.
    if label.len() > LONGEST_LABEL {
        return None;
    }
    // The digits are a to z, then 0 to 9.
    let written = |value: u32| char::from_digit((value + 10) % BASE, BASE);
    let basic = label.iter().filter(|c| c.is_ascii()).count();
    into.extend(label.iter().filter(|c| c.is_ascii()));
    if basic > 0 {
        into.push('-');
    }
    let (mut n, mut delta, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut handled = u32::try_from(basic).ok()?;
    let total = u32::try_from(label.len()).ok()?;
    let mut is_first = true;
    while handled < total {
        let next = label.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in label.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c != n {
                continue;
            }
            let mut rest = delta;
            for k in (BASE..).step_by(BASE as usize) {
                let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                if rest < t {
                    break;
                }
                into.push(written(t + (rest - t) % (BASE - t))?);
                rest = (rest - t) / (BASE - t);
            }
            into.push(written(rest)?);
            bias = adapted(delta, handled + 1, is_first);
            is_first = false;
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

fn adapted(delta: u32, points: u32, is_first: bool) -> u32 {
    const BASE: u32 = 36;
    const SKEW: u32 = 38;
    const DAMP: u32 = 700;
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - 1) * 26 / 2 {
        delta /= BASE - 1;
        k += BASE;
    }
    k + BASE * delta / (delta + SKEW)
}
