//! Quotes texts, and writes the texts that a spreadsheet leaves as they are.

use crate::model::Profile;

/// The characters that Excel takes between quotes in a formula. None of them has less than a byte.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5>
pub(super) const LITERAL_BYTES: usize = 255;

/// Texts that are quoted although they have no character that asks for it.
#[derive(Debug)]
pub(super) struct ReservedTexts {
    texts: Vec<Vec<u8>>,
    longest: usize,
}

impl ReservedTexts {
    pub(super) fn of(profile: &Profile) -> Self {
        // Bare, the empty text could be `NULL`. Alone on its line, `\.` is the end of the data to PostgreSQL's COPY.
        let mut texts = vec![Vec::new(), profile.null.as_bytes().to_vec(), b"\\.".to_vec()];
        if profile.escape {
            // LOAD DATA reads it as NULL.
            texts.push(b"NULL".to_vec());
        }
        let longest = texts.iter().map(Vec::len).max().unwrap_or_default();
        Self { texts, longest }
    }

    pub(super) fn contain(&self, text: &[u8]) -> bool {
        // Most texts are longer than all of these.
        text.len() <= self.longest && self.texts.iter().any(|reserved| reserved == text)
    }
}

/// Returns whether Excel takes the text between quotes in a formula.
pub(super) fn is_literal(text: &[u8]) -> bool {
    (1..=LITERAL_BYTES).contains(&text.len()) && !text.iter().any(u8::is_ascii_control)
}

/// Appends `="123"`, the one form in which Excel takes a text as it is and shows no stray character.
pub(super) fn push_formula_text(out: &mut Vec<u8>, text: &[u8], quote: u8) {
    out.push(quote);
    push_doubling(out, b"=\"", quote);
    // Quotes are doubled for the formula, and again for CSV.
    for (index, piece) in text.split(|byte| *byte == b'"').enumerate() {
        if index > 0 {
            push_doubling(out, b"\"\"", quote);
        }
        push_doubling(out, piece, quote);
    }
    push_doubling(out, b"\"", quote);
    out.push(quote);
}

/// Appends a text with its quotes doubled.
pub(super) fn push_doubling(out: &mut Vec<u8>, mut text: &[u8], quote: u8) {
    while let Some(at) = memchr::memchr(quote, text) {
        out.extend_from_slice(&text[..=at]);
        out.push(quote);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

/// Appends a text with its backslashes doubled, and its quotes too where there is one around the field.
pub(super) fn push_escaping(out: &mut Vec<u8>, text: &[u8], quote: Option<u8>) {
    for &byte in text {
        if byte == b'\\' || Some(byte) == quote {
            out.push(byte);
        }
        out.push(byte);
    }
}
