//! Strings and whole JSON values.

use serde::de::IgnoredAny;

use crate::text::push_hex;

/// Appends a string in quotes, with as few escapes as possible: text in any script stays readable in the file.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut clean = text.as_bytes();
    while let Some(at) = clean.iter().position(|byte| MUST_ESCAPE[usize::from(*byte)]) {
        out.extend_from_slice(&clean[..at]);
        push_escape(out, clean[at]);
        clean = &clean[at + 1..];
    }
    out.extend_from_slice(clean);
    out.push(b'"');
}

/// The bytes that a string cannot have: control characters, the quote and the backslash (RFC 8259, section 7).
static MUST_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            return push_hex(out, &[byte]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Returns whether the text is one JSON value.
///
/// The server has checked what it stores as JSON. But a text that is none would make the whole line unreadable, and checking it
/// costs less than fetching it did.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Appends a JSON value on one line.
///
/// MySQL sends none with line breaks. They could only be white space between tokens, because strings have them escaped.
pub(super) fn push_json(out: &mut Vec<u8>, value: &str) {
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    if memchr::memchr2(b'\n', b'\r', value.as_bytes()).is_some() {
        for byte in out[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}
