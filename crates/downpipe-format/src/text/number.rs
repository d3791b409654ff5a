//! Writes numbers, dates and bytes as text. Every function appends to `out`, and allocates nothing else.

use std::io::Write as _;

use crate::model::{Date, Time};

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b"0123456789"[number / 10], b"0123456789"[number % 10]];
        number += 1;
    }
    pairs
};

/// Appends an integer, padded with zeros to `width` digits (`ZEROFILL`; 0 pads nothing).
pub(crate) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer, width: u8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    if digits.len() < usize::from(width) {
        out.resize(out.len() + usize::from(width) - digits.len(), b'0');
    }
    out.extend_from_slice(digits);
}

/// Appends the shortest decimal text that reads back as the same number: `0.1`, `1234567.9`, `1.5e-7`, `1e300`. The
/// exponent appears below 1e-5 and from 1e17 on. (MySQL's own text is of the same value, but not always of the same form.)
pub(crate) fn push_float(out: &mut Vec<u8>, value: impl Float) {
    if value.needs_exponent() {
        return push_display(out, format_args!("{value:e}"));
    }
    let mut buffer = zmij::Buffer::new();
    match buffer.format(value).as_bytes() {
        // zmij writes whole numbers like this.
        [integer @ .., b'.', b'0'] => out.extend_from_slice(integer),
        text if memchr::memchr(b'e', text).is_none() => out.extend_from_slice(text),
        // zmij writes an exponent earlier.
        _ => push_display(out, format_args!("{value}")),
    }
}

/// Appends a very small or very large number. These are few, so it need not be fast.
#[cold]
fn push_display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing into memory cannot fail");
}

/// A binary number of either precision. Each has bounds of its own, because 1e-5 as a single is less than as a double.
pub(crate) trait Float: Copy + std::fmt::Display + std::fmt::LowerExp + zmij::Float {
    /// Returns whether the number is written with an exponent.
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
pub(crate) fn push_date(out: &mut Vec<u8>, Date { year, month, day }: Date) {
    let [y0, y1] = pair(year / 100);
    let [y2, y3] = pair(year % 100);
    let [m0, m1] = pair(month.into());
    let [d0, d1] = pair(day.into());
    // In one call, because every call checks the capacity.
    out.extend_from_slice(&[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1]);
}

/// Appends `-838:59:59.123`, with `fraction` digits after the seconds. A value that has more gets all six: some functions
/// return more than MySQL declares, and no digit may be lost.
pub(crate) fn push_time(out: &mut Vec<u8>, time: Time, fraction: u8) {
    if time.negative {
        out.push(b'-');
    }
    push_integer(out, time.hours, 2);
    let [m0, m1] = pair(time.minutes.into());
    let [s0, s1] = pair(time.seconds.into());
    out.extend_from_slice(&[b':', m0, m1, b':', s0, s1]);
    push_fraction(out, time.microseconds, fraction);
}

/// Appends the point and the digits behind it, or nothing.
fn push_fraction(out: &mut Vec<u8>, microseconds: u32, fraction: u8) {
    /// Microseconds of the last digit, by the number of digits.
    const LAST_DIGIT: [u32; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let fraction = fraction.min(6);
    if fraction == 0 && microseconds == 0 {
        return;
    }
    let fits = microseconds.is_multiple_of(LAST_DIGIT[usize::from(fraction)]);
    let digits = if fits { usize::from(fraction) } else { 6 };
    out.push(b'.');
    let start = out.len();
    push_integer(out, microseconds, 6);
    out.truncate(start + digits);
}

/// Returns the two digits of a number of a [`Date`] or a [`Time`], whose limits leave no more.
fn pair(number: u16) -> [u8; 2] {
    PAIRS[usize::from(number)]
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
