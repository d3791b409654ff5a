//! Resolves the type of a `DECIMAL` column.
//!
//! A Parquet column has one scale, the digits behind the point, which the driver drops. But the values show it: every value of a
//! `DECIMAL(10,2)` comes with two. So the first row group decides the type, unless the definition does.

use super::unsupported_value::UnsupportedValue;
use crate::model::{DecimalType, Digits};

/// The digits of the largest type that any reader knows: 256 bits, as Arrow has it.
pub(super) const MAX_PRECISION: usize = 76;

/// The digits of the largest type that every reader knows: 128 bits. Spark and polars refuse more, and `DuckDB` reads doubles.
const READABLE_PRECISION: usize = 38;

/// The widest value that MySQL has, in characters without the sign, and the most digits behind the point.
/// <https://dev.mysql.com/doc/refman/9.7/en/precision-math-decimal-characteristics.html>
const MYSQL_WIDTH: usize = 66;
const MYSQL_SCALE: usize = 30;

/// The least digits behind the point where no value has shown any: more than amounts, rates and quantities usually have.
const MIN_UNKNOWN_SCALE: usize = 10;

/// The type of a column, as far as it is known.
#[derive(Debug)]
pub(super) struct DecimalColumn {
    /// Characters of the longest value without its sign, as the server declares them.
    width: usize,
    /// The most digits before the point that were seen, zeros in front not counted.
    integer: usize,
    /// The most digits behind the point that were seen. A bare `0` shows none: it may be that of `IF(paid, amount, 0)`.
    scale: Option<usize>,
    resolved: Option<DecimalType>,
    /// Whether the definition decides the type.
    is_given: bool,
}

impl DecimalColumn {
    /// Creates a column from the width that the server declares.
    pub(super) fn of_width(width: u8) -> Self {
        let width = usize::from(width).clamp(1, MYSQL_WIDTH);
        Self { width, integer: 0, scale: None, resolved: None, is_given: false }
    }

    /// Creates a column from the type in the definition.
    pub(super) fn of_type(decimal: DecimalType) -> Self {
        let width = usize::from(decimal.width());
        Self { width, integer: 0, scale: None, resolved: Some(decimal), is_given: true }
    }

    /// Checks that the type has room for a value, or lets the value decide the type while that is open.
    ///
    /// Zeros at the end need no room, and nothing is ever rounded.
    pub(super) fn check(&mut self, text: &[u8]) -> Result<(), UnsupportedValue> {
        let value = Digits::read(text).ok_or_else(|| UnsupportedValue {
            expected: "decimal numbers".to_owned(),
            actual: "something else".to_owned(),
        })?;
        if let Some(decimal) = self.resolved {
            return if decimal.holds(&value) { Ok(()) } else { Err(self.unsupported_value(decimal, &value)) };
        }
        let integer = self.integer.max(value.integer.len());
        let shows_scale = value.integer.len() + value.fraction.len() > 0;
        let scale = if shows_scale { self.scale.max(Some(value.fraction.len())) } else { self.scale };
        if integer + scale.unwrap_or_default() > MAX_PRECISION {
            let expected = format!("at most {MAX_PRECISION} digits");
            return Err(UnsupportedValue { expected, actual: value.describe() });
        }
        (self.integer, self.scale) = (integer, scale);
        Ok(())
    }

    /// Resolves the type, which stays from the first call on.
    ///
    /// The scale is the most digits behind the point that a value had; the precision is the column's own. Where no value has shown
    /// the scale, any may follow. Then the type is wider than the column, but not wider than every reader knows.
    pub(super) fn resolve(&mut self) -> DecimalType {
        let Self { width, integer, scale, .. } = *self;
        *self.resolved.get_or_insert_with(|| match scale {
            Some(scale) => declared(width, integer, scale),
            None => for_any_scale(width),
        })
    }

    /// Explains why a value does not fit, and names the type that would have room for it.
    #[cold]
    fn unsupported_value(&self, decimal: DecimalType, value: &Digits<'_>) -> UnsupportedValue {
        if self.is_given {
            return UnsupportedValue { expected: format!("numbers of {decimal}"), actual: value.describe() };
        }
        let scale = self.scale.unwrap_or_default().max(value.fraction.len());
        // The new type keeps the room before the point.
        let integer = if decimal.scale > 0 { decimal.precision - decimal.scale } else { self.integer };
        let integer = integer.max(value.integer.len());
        let cure = if decimal.scale > 0 {
            DecimalType { precision: integer + scale, scale }
        } else {
            declared(self.width, integer, scale)
        };
        UnsupportedValue {
            expected: format!("numbers of {decimal}, which is what the first rows have"),
            actual: format!(
                "{}; the option as = \"{cure}\" of the column, or a CAST in the query, settles the type beforehand",
                value.describe()
            ),
        }
    }
}

/// Returns the column's own type for a known scale. Its width includes the point, if there is one.
///
/// The server may declare less for an expression than it sends.
fn declared(width: usize, integer: usize, scale: usize) -> DecimalType {
    let digits = width - usize::from(scale > 0);
    DecimalType { precision: digits.max(integer + scale).max(1), scale }
}

/// Returns a type for a column whose scale no value has shown: with room for every scale if possible, otherwise for likely ones.
fn for_any_scale(width: usize) -> DecimalType {
    let scale =
        READABLE_PRECISION.saturating_sub(width).max(MIN_UNKNOWN_SCALE).min(width - 1).min(MYSQL_SCALE);
    DecimalType { precision: (width + scale).min(READABLE_PRECISION), scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(width: u8, values: &[&str]) -> DecimalColumn {
        let mut column = DecimalColumn::of_width(width);
        values.iter().for_each(|value| column.check(value.as_bytes()).unwrap());
        column
    }

    fn resolved(width: u8, values: &[&str]) -> (usize, usize) {
        let DecimalType { precision, scale } = column(width, values).resolve();
        assert!(scale <= precision && precision <= MAX_PRECISION);
        (precision, scale)
    }

    #[test]
    fn column_with_values_has_its_own_type() {
        assert_eq!(resolved(11, &["1.50", "-123.45", "0.00"]), (10, 2));
        assert_eq!(resolved(39, &["0.0000000000"]), (38, 10));
        assert_eq!(resolved(66, &["1.000000000000000000000000000000"]), (65, 30));
        assert_eq!(resolved(31, &["0.000000000000000000000000000000"]), (30, 30));
        assert_eq!(resolved(32, &["7"]), (32, 0));
        assert_eq!(resolved(1, &["7"]), (1, 0));
        assert_eq!(resolved(2, &["0.7"]), (1, 1));
        // ZEROFILL pads the digits that the column has.
        assert_eq!(resolved(11, &["00000001.50"]), (10, 2));
        // IF(paid, amount, 0) sends some with two digits behind the point and others with none.
        assert_eq!(resolved(11, &["0", "12.50", "0"]), (10, 2));
    }

    #[test]
    fn expression_with_more_digits_than_declared_gets_room_for_them() {
        assert_eq!(resolved(4, &["12345.67"]), (7, 2));
        assert_eq!(resolved(0, &["5"]), (1, 0));
        let integer = "9".repeat(65);
        assert_eq!(resolved(66, &[&integer, "0.5"]), (66, 1));
        assert_eq!(resolved(66, &[&integer, "0.12345678901"]), (76, 11));
        let refused = column(66, &[&integer]).check(b"0.123456789012").unwrap_err();
        assert_eq!(refused.expected, "at most 76 digits");
    }

    /// No value shows the scale: there are none, or only the bare zeros of `IF(paid, amount, 0)`.
    #[test]
    fn column_without_known_scale_gets_a_type_that_every_reader_knows() {
        for width in 1..=66 {
            for values in [&[][..], &["0"], &["-0", "000"]] {
                let (precision, scale) = resolved(width, values);
                assert!(precision <= 38 && scale <= 30, "{width}: {precision}, {scale}");
                // There is room for every type of this width up to 19 digits and every scale.
                let width = usize::from(width);
                if width <= 19 {
                    assert_eq!((precision - scale, scale), (width, width - 1));
                } else {
                    assert!(scale >= MIN_UNKNOWN_SCALE && precision == 38, "{width}: {precision}, {scale}");
                }
            }
        }
        // DECIMAL(10,2), DECIMAL(20,2), DECIMAL(38,10).
        assert_eq!([11, 21, 39].map(|width| resolved(width, &[])), [(21, 10), (38, 17), (38, 10)]);
    }

    #[test]
    fn value_with_more_digits_than_the_type_is_refused_with_a_wider_type() {
        let mut decimal = column(6, &["0.00"]);
        decimal.resolve();
        for fits in ["999.99", "-999.99", "0", "1.5", "0001.50", "1.500", "-0.00"] {
            assert_eq!(decimal.check(fits.as_bytes()), Ok(()), "{fits}");
        }
        for refused in ["1000", "0.001", "1.234", "-1000.00", "abc", "", "1,5"] {
            assert!(decimal.check(refused.as_bytes()).is_err(), "{refused}");
        }
        let error = decimal.check(b"1234.567").unwrap_err();
        assert_eq!(error.expected, "numbers of decimal(5,2), which is what the first rows have");
        assert_eq!(
            error.actual,
            "4 digits before the point and 3 behind; the option as = \"decimal(7,3)\" of the column, or a CAST in the query, \
             settles the type beforehand"
        );
        // IF(quantity > 1, price, 1) as DECIMAL(10,2), whose first row group has only ones.
        let mut ones = column(11, &["1"]);
        assert_eq!(ones.resolve(), DecimalType { precision: 11, scale: 0 });
        let cure = ones.check(b"12.50").unwrap_err().actual;
        assert!(cure.contains("as = \"decimal(10,2)\""), "{cure}");
    }

    #[test]
    fn type_of_the_definition_stays_for_all_values() {
        let given = DecimalType { precision: 12, scale: 2 };
        for values in [&[][..], &["0"], &["1.5"], &["9999999999.99"]] {
            let mut column = DecimalColumn::of_type(given);
            values.iter().for_each(|value| column.check(value.as_bytes()).unwrap());
            assert_eq!(column.resolve(), given);
            let error = column.check(b"0.123").unwrap_err();
            assert_eq!(error.expected, "numbers of decimal(12,2)");
            assert_eq!(error.actual, "0 digits before the point and 3 behind");
        }
    }
}
