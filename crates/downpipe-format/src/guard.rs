//! What a spreadsheet would do to a text, and what keeps it from doing so.

/// The significant digits Excel keeps of a number; the rest become zeros.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
const EXCEL_DIGITS: usize = 15;

/// Whether a spreadsheet would run this text as a formula (OWASP, "CSV Injection").
pub(crate) fn runs_as_formula(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
}

/// Whether this is a whole number with more digits than a spreadsheet keeps: an order number, a tracking id.
pub(crate) fn is_long_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.len() > EXCEL_DIGITS && digits.iter().all(u8::is_ascii_digit)
}

/// Whether a spreadsheet may take this text for a number and rewrite it: a telephone number, a postcode, a code like `12E4`.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let signs = digits.iter().filter(|b| !b.is_ascii_digit()).count();
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E'))
        && signs <= 2
}
