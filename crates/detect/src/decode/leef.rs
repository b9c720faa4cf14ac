//! Log Event Extended Format 1.0 and 2.0: `LEEF:2.0|vendor|product|version|id|^|key=value^key=value`.

use crate::decode::{Decoded, attributes, cef, header::Header};

const HEADER: [&str; 4] = ["deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId"];

/// Pushes the fields of a LEEF event; false if the text is none.
pub(super) fn decode<'a>(header: &Header<'a>, decoded: &mut Decoded<'a>) -> bool {
    let Some((before, rest)) = header.text.split_once('|') else { return false };
    let Some(host) = cef::host_before("LEEF", before, header) else { return false };
    let mut parts = rest.splitn(5, '|');
    let (Some(vendor), Some(product), Some(version), Some(id)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    decoded.event.push_piece("host", host);
    for (name, part) in HEADER.into_iter().zip([vendor, product, version, id]) {
        decoded.event.push_piece(name, part);
    }
    let text = parts.next().unwrap_or("");
    let (delimiter, text) = if before.ends_with("2.0") { stated_delimiter(text) } else { (None, text) };
    let delimiter = delimiter.unwrap_or('\t');
    // A collector may have turned tabs into spaces.
    let is_parted = delimiter != '\t' || text.contains('\t');
    let pairs = if is_parted { attributes::split_at(text, delimiter) } else { attributes::split(text) };
    attributes::push(pairs, decoded);
    decoded.event.log_source = attributes::log_source(vendor, product, &decoded.event);
    true
}

/// Reads `^|`, `x5E|`, `0x5e|` or `|` before the attributes.
fn stated_delimiter(text: &str) -> (Option<char>, &str) {
    let Some((stated, rest)) = text.split_once('|') else { return (None, text) };
    let code = stated.strip_prefix("0x").or_else(|| stated.strip_prefix('x')).filter(|code| !code.is_empty());
    let mut chars = stated.chars();
    match (chars.next(), chars.next()) {
        (None, _) => (None, rest),
        (Some(only), None) => (Some(only), rest),
        _ => match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => (Some(char::from(byte)), rest),
            // No delimiter was stated; the bar stands in a value.
            None => (None, text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::header;

    #[test]
    fn every_delimiter_is_understood() {
        let lines = [
            "LEEF:1.0|Acme|Gate|1|login|src=203.0.113.9\tdstPort=443\tusrName=anna b\tact=denied",
            "LEEF:1.0|Acme|Gate|1|login|src=203.0.113.9 dstPort=443 usrName=anna b act=denied",
            "Jan  2 03:04:05 gw LEEF:2.0|Acme|Gate|1|login|^|src=203.0.113.9^dstPort=443^usrName=anna b^act=denied",
            "LEEF:2.0|Acme|Gate|1|login|0x7c|src=203.0.113.9|dstPort=443|usrName=anna b|act=denied",
            "LEEF:2.0|Acme|Gate|1|login|x5E|src=203.0.113.9^dstPort=443^usrName=anna b^act=denied",
            "LEEF:2.0|Acme|Gate|1|login||src=203.0.113.9\tdstPort=443\tusrName=anna b\tact=denied",
            "LEEF:2.0|Acme|Gate|1|login|src=203.0.113.9\tdstPort=443\tusrName=anna b\tact=denied\tnote=a|b",
        ];
        for line in lines {
            let mut decoded = Decoded::default();
            assert!(decode(&header::split(line), &mut decoded), "{line}");
            let event = decoded.event;
            let told =
                [event.text("src_ip"), event.text("user"), event.text("action"), event.text("dstPort")];
            assert_eq!(told, [Some("203.0.113.9"), Some("anna b"), Some("denied"), Some("443")], "{line}");
        }
        assert!(!decode(&header::split("LEEF:1.0|a|b"), &mut Decoded::default()));
    }
}
