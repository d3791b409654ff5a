//! What a spreadsheet would do to a text, and what keeps it from doing so.

/// The significant digits Excel keeps of a number; the rest become zeros.
/// <https://support.microsoft.com/office/1672db73-8c91-4bb8-b25c-4e50d2f2b0f5> (specifications and limits).
const EXCEL_DIGITS: usize = 15;

/// What a formula begins with (OWASP, "CSV Injection"), full-width forms and the minus sign that becomes one included: Japanese
/// spreadsheets take them for the same.
const FORMULA_SIGNS: [&str; 12] =
    ["=", "+", "-", "@", "\t", "\r", "\n", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}", "\u{2212}"];

/// Whether a spreadsheet would run this text as a formula.
pub(crate) fn runs_as_formula(text: &[u8]) -> bool {
    FORMULA_SIGNS.iter().any(|sign| text.starts_with(sign.as_bytes()))
}

/// Whether this is a number with more digits than a spreadsheet keeps. A whole number counts with all its digits (an order
/// number is to be read, not to be reckoned with), a fraction with those that carry its value.
pub(crate) fn loses_digits(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], without_trailing_zeros(&digits[point + 1..])),
        None => (digits, &b""[..]),
    };
    if digits.len() <= EXCEL_DIGITS || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return false;
    }
    if whole.len() > EXCEL_DIGITS {
        return true;
    }
    let leading_zeros = whole.iter().chain(fraction).take_while(|digit| **digit == b'0').count();
    whole.len() + fraction.len() - leading_zeros > EXCEL_DIGITS
}

/// Zeros at the end of a fraction carry no value.
fn without_trailing_zeros(fraction: &[u8]) -> &[u8] {
    let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
    &fraction[..fraction.len() - zeros]
}

/// Whether a spreadsheet may take this text for a number and rewrite it: a telephone number, a postcode, a code like `12E4`.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let signs = digits.iter().filter(|b| !b.is_ascii_digit()).count();
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E'))
        && signs <= 2
}

/// Whether this is a whole number with zeros in front, which a spreadsheet drops: a postcode, a telephone number.
pub(crate) fn has_leading_zeros(text: &[u8]) -> bool {
    text.len() > 1 && text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit)
}
