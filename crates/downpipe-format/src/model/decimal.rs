//! Decimal types, and the digits of decimal numbers.

use std::fmt;
use std::str::FromStr;

use super::cell::Cell;

/// MySQL's own limits. <https://dev.mysql.com/doc/refman/9.7/en/precision-math-decimal-characteristics.html>
const MYSQL_PRECISION: usize = 65;

const MYSQL_SCALE: usize = 30;

/// The type of a decimal column: `decimal(12,2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalType {
    /// Digits in all, at least 1.
    pub(crate) precision: usize,
    /// Digits behind the point.
    pub(crate) scale: usize,
}

impl DecimalType {
    /// Returns the characters of its longest value without the sign: the digits, and the point if there is one.
    pub(crate) fn width(self) -> u8 {
        u8::try_from(self.precision + usize::from(self.scale > 0)).unwrap_or(u8::MAX)
    }

    /// Returns whether it has room for the value. Zeros at the end need none.
    pub(crate) fn holds(self, value: &Digits<'_>) -> bool {
        let rest = value.fraction.get(self.scale..).unwrap_or_default();
        value.integer.len() <= self.precision - self.scale && rest.iter().all(|digit| *digit == b'0')
    }

    /// Appends a whole or decimal number with all of the type's digits behind the point, and never rounds.
    ///
    /// # Errors
    /// When the type has no room for the value. Says what came instead.
    pub(crate) fn push(self, out: &mut Vec<u8>, cell: &Cell<'_>) -> Result<(), String> {
        let mut number = itoa::Buffer::new();
        let text = match *cell {
            Cell::Decimal(text) => text,
            Cell::Int(value) => number.format(value).as_bytes(),
            Cell::UInt(value) => number.format(value).as_bytes(),
            _ => return Err("a value of another kind".to_owned()),
        };
        let value = Digits::read(text).ok_or_else(|| "a value that is no number".to_owned())?;
        if !self.holds(&value) {
            return Err(value.describe());
        }
        if value.negative {
            out.push(b'-');
        }
        out.extend_from_slice(if value.integer.is_empty() { b"0" } else { value.integer });
        if self.scale > 0 {
            out.push(b'.');
            let kept = value.fraction.len().min(self.scale);
            out.extend_from_slice(&value.fraction[..kept]);
            out.extend(std::iter::repeat_n(b'0', self.scale - kept));
        }
        Ok(())
    }
}

impl fmt::Display for DecimalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decimal({},{})", self.precision, self.scale)
    }
}

/// A text that is no decimal type of MySQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected \"decimal(precision,scale)\" with 1 to 65 digits in all, of which up to 30 behind the point, got {0:?}"
)]
pub struct InvalidDecimalType(pub String);

impl FromStr for DecimalType {
    type Err = InvalidDecimalType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let numbers = text.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = numbers.split_once(',')?;
            let number = |text: &str| text.trim().parse::<usize>().ok();
            Some(Self { precision: number(precision)?, scale: number(scale)? })
        };
        parse()
            .filter(|DecimalType { precision, scale }| {
                (1..=MYSQL_PRECISION).contains(precision) && *scale <= MYSQL_SCALE.min(*precision)
            })
            .ok_or_else(|| InvalidDecimalType(text.to_owned()))
    }
}

/// The digits of a decimal number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits<'a> {
    pub(crate) negative: bool,
    /// Before the point, without zeros in front.
    pub(crate) integer: &'a [u8],
    /// Behind the point.
    pub(crate) fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    /// Reads a number as MySQL writes it; `None` for any other text.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
        let (integer, fraction) = digits.split_at(point);
        let fraction = fraction.strip_prefix(b".").unwrap_or(fraction);
        if integer.len() + fraction.len() == 0 || !integer.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = integer.iter().take_while(|digit| **digit == b'0').count();
        Some(Self { negative: digits.len() < text.len(), integer: &integer[zeros..], fraction })
    }

    /// Says how many digits the number has, without the number itself.
    pub(crate) fn describe(&self) -> String {
        let integer = self.integer.len();
        let digits = if integer == 1 { "digit" } else { "digits" };
        format!("{integer} {digits} before the point and {} behind", self.fraction.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_type_beyond_mysqls_limits_is_refused() {
        for (text, precision, scale) in [
            ("decimal(12,2)", 12, 2),
            ("decimal(1, 0)", 1, 0),
            ("decimal(65,30)", 65, 30),
            ("decimal(2,2)", 2, 2),
        ] {
            assert_eq!(text.parse(), Ok(DecimalType { precision, scale }), "{text}");
        }
        for text in [
            "decimal",
            "decimal()",
            "decimal(12)",
            "decimal(0,0)",
            "decimal(66,2)",
            "decimal(40,31)",
            "decimal(2,3)",
            "decimal(-1,0)",
            "Decimal(12,2)",
            "decimal(12,2",
            "decimal(1,2,3)",
            "",
        ] {
            assert_eq!(text.parse::<DecimalType>(), Err(InvalidDecimalType(text.to_owned())));
        }
    }

    #[test]
    fn number_is_written_with_every_digit_of_its_type_or_refused() {
        let decimal = DecimalType { precision: 5, scale: 2 };
        let written = |cell| {
            let mut out = Vec::new();
            decimal.push(&mut out, &cell).map(|()| String::from_utf8(out).unwrap())
        };
        for (sent, expected) in [
            ("0", "0.00"),
            ("-0.5", "-0.50"),
            (".5", "0.50"),
            ("999.99", "999.99"),
            ("1.5000", "1.50"),
            ("007.1", "7.10"),
        ] {
            assert_eq!(written(Cell::Decimal(sent.as_bytes())).as_deref(), Ok(expected), "{sent}");
        }
        assert_eq!(written(Cell::Int(-7)).as_deref(), Ok("-7.00"));
        assert_eq!(written(Cell::UInt(999)).as_deref(), Ok("999.00"));
        for refused in ["1000", "0.001", "1.999"] {
            assert!(written(Cell::Decimal(refused.as_bytes())).is_err(), "{refused}");
        }
        assert_eq!(written(Cell::Int(1234)).unwrap_err(), "4 digits before the point and 0 behind");
        assert_eq!(written(Cell::Decimal(b"1,5")).unwrap_err(), "a value that is no number");
        assert_eq!(written(Cell::Text(b"1.5")).unwrap_err(), "a value of another kind");
    }
}
