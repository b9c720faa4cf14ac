//! The forms that a rule's text takes before it is looked for: Base64 and UTF-16.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rsigma_parser::Modifier;

/// Returns the forms that a text takes when its encodings are applied one after the other.
pub(super) fn encoded_forms(plain: &str, encodings: &[Modifier]) -> Result<Vec<String>, String> {
    let mut forms = vec![plain.as_bytes().to_vec()];
    for encoding in encodings {
        let mut encoded = Vec::new();
        for form in &forms {
            match encoding {
                Modifier::Base64 => encoded.push(STANDARD.encode(form).into_bytes()),
                Modifier::Base64Offset => encoded.extend(base64_at_every_offset(form)),
                _ => encoded.push(utf16(form, *encoding)?),
            }
        }
        forms = encoded;
    }
    let texts = forms.into_iter().map(String::from_utf8);
    texts.map(|text| text.map_err(|_| "this encoding of the text is no text".to_owned())).collect()
}

fn utf16(form: &[u8], encoding: Modifier) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(form).map_err(|_| "this text can't be encoded twice".to_owned())?;
    let units = text.encode_utf16();
    Ok(match encoding {
        Modifier::Utf16be => units.flat_map(u16::to_be_bytes).collect(),
        Modifier::Utf16 => [0xFF, 0xFE].into_iter().chain(units.flat_map(u16::to_le_bytes)).collect(),
        _ => units.flat_map(u16::to_le_bytes).collect(),
    })
}

/// Returns what of the text's Base64 does not depend on the neighbours, for each place in a group of three bytes.
fn base64_at_every_offset(form: &[u8]) -> Vec<Vec<u8>> {
    let at_offset = |offset: usize| {
        let mut shifted = vec![b' '; offset];
        shifted.extend_from_slice(form);
        let encoded = STANDARD.encode(&shifted).into_bytes();
        // The first characters mix in what stands before, the last what comes after.
        let skipped = [0, 2, 3][offset];
        let cut = [0, 3, 2][shifted.len() % 3];
        encoded.get(skipped..encoded.len().saturating_sub(cut)).unwrap_or_default().to_vec()
    };
    (0..3).map(at_offset).collect()
}
