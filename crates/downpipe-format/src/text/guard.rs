//! Recognises texts that a spreadsheet would change.

/// The significant digits that Excel keeps of a number. The others become zeros.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
const EXCEL_DIGITS: usize = 15;

/// The most characters of a cell in Excel, in UTF-16 code units. Excel cuts longer CSV fields.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
pub(crate) const CELL_UNITS: usize = 32_767;

/// Returns whether a text has more characters than a cell of Excel takes.
pub(crate) fn overflows_cell(text: &[u8]) -> bool {
    // A character has at least as many bytes as code units.
    text.len() > CELL_UNITS && String::from_utf8_lossy(text).encode_utf16().count() > CELL_UNITS
}

/// The beginnings of a formula (OWASP, "CSV Injection"). Japanese spreadsheets take full-width forms for the same, and the minus
/// sign that becomes one.
const FORMULA_SIGNS: [&str; 12] =
    ["=", "+", "-", "@", "\t", "\r", "\n", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}", "\u{2212}"];

/// Returns whether a spreadsheet would run this text as a formula.
pub(crate) fn runs_as_formula(text: &[u8]) -> bool {
    FORMULA_SIGNS.iter().any(|sign| text.starts_with(sign.as_bytes()))
}

/// Returns whether this is a number with more digits than a spreadsheet keeps. Of a whole number all digits count, because it may
/// be an order number. Of a fraction, those count that carry its value.
pub(crate) fn loses_digits(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], without_trailing_zeros(&digits[point + 1..])),
        None => (digits, &b""[..]),
    };
    if digits.len() <= EXCEL_DIGITS || !integer.iter().chain(fraction).all(u8::is_ascii_digit) {
        return false;
    }
    if integer.len() > EXCEL_DIGITS {
        return true;
    }
    let leading_zeros = integer.iter().chain(fraction).take_while(|digit| **digit == b'0').count();
    integer.len() + fraction.len() - leading_zeros > EXCEL_DIGITS
}

/// Cuts the zeros at the end of a fraction, which carry no value.
fn without_trailing_zeros(fraction: &[u8]) -> &[u8] {
    let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
    &fraction[..fraction.len() - zeros]
}

/// Returns whether a spreadsheet may take this text for a number and rewrite it: a telephone number, a postcode, `12E4`.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let signs = digits.iter().filter(|b| !b.is_ascii_digit()).count();
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E'))
        && signs <= 2
}

/// Returns whether this is a whole number with zeros in front, which a spreadsheet drops: a postcode, a telephone number.
pub(crate) fn has_leading_zeros(text: &[u8]) -> bool {
    text.len() > 1 && text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit)
}
