//! Numbers, dates and bytes as text. Every function appends to `out` and allocates nothing else.

use std::io::Write as _;

use crate::cell::{Date, Time};

/// Appends an integer, padded with zeros to `width` digits (`ZEROFILL`; 0 pads nothing).
pub(crate) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer, width: u8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', usize::from(width).saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

/// Appends the shortest decimal text that reads back as the same number: `0.1`, `1234567.9`, `1.5e-7`, `1e300`. The
/// exponent appears below 1e-5 and from 1e17 on. (MySQL's own text is of the same value, but not always of the same form.)
pub(crate) fn push_float(out: &mut Vec<u8>, value: impl Float) {
    let written = if value.needs_exponent() { write!(out, "{value:e}") } else { write!(out, "{value}") };
    debug_assert!(written.is_ok(), "writing into memory cannot fail");
}

/// A binary number of either precision. The bounds are each precision's own: 1e-5 as a single is less than as a double.
pub(crate) trait Float: Copy + std::fmt::Display + std::fmt::LowerExp {
    /// Whether the number is too small or too large to be written out.
    fn needs_exponent(self) -> bool;
}

impl Float for f32 {
    fn needs_exponent(self) -> bool {
        self != 0.0 && !(1e-5..1e17).contains(&self.abs())
    }
}

impl Float for f64 {
    fn needs_exponent(self) -> bool {
        self != 0.0 && !(1e-5..1e17).contains(&self.abs())
    }
}

/// Appends `2026-01-31`, or `0000-00-00` where MySQL has no date.
pub(crate) fn push_date(out: &mut Vec<u8>, date: Date) {
    push_integer(out, date.year, 4);
    out.push(b'-');
    push_integer(out, date.month, 2);
    out.push(b'-');
    push_integer(out, date.day, 2);
}

/// Appends `-838:59:59.123`, with `fraction` digits after the seconds. A value that has more gets all six: some functions
/// return more than MySQL declares, and no digit may be lost.
pub(crate) fn push_time(out: &mut Vec<u8>, time: Time, fraction: u8) {
    let fraction = fraction.min(6);
    let declared = 10_u32.pow(6 - u32::from(fraction));
    let fraction = if time.microseconds.is_multiple_of(declared) { fraction } else { 6 };
    if time.negative {
        out.push(b'-');
    }
    push_integer(out, time.hours, 2);
    out.push(b':');
    push_integer(out, time.minutes, 2);
    out.push(b':');
    push_integer(out, time.seconds, 2);
    if fraction > 0 {
        out.push(b'.');
        let start = out.len();
        push_integer(out, time.microseconds, 6);
        out.truncate(start + usize::from(fraction));
    }
}

/// Appends bytes as upper-case hexadecimal, the form of MySQL's `HEX()`.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 0xF)]);
    }
}
