//! `DECIMAL` to the last digit.

use downpipe_format::{Cell, ColumnKind, Layout};
use insta::assert_snapshot;
use parquet::data_type::Decimal;
use parquet::record::Field;
use proptest::prelude::*;

use crate::{Written, column, write};

fn decimal(precision: u8) -> ColumnKind {
    ColumnKind::Decimal { precision }
}

/// The unscaled numbers, which are no longer than 128 bits in these tests, with the scale.
fn numbers(written: &Written) -> Vec<Option<(i128, i32)>> {
    let number = |field| match field {
        Field::Decimal(decimal @ (Decimal::Int32 { .. } | Decimal::Int64 { .. } | Decimal::Bytes { .. })) => {
            let bytes = decimal.data();
            let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
            let number = bytes.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte));
            Some((number, decimal.scale()))
        }
        _ => None,
    };
    written.column().into_iter().map(number).collect()
}

fn read_back(precision: u8, values: &[Option<&str>]) -> Vec<Option<(i128, i32)>> {
    let rows =
        values.iter().map(|value| vec![value.map_or(Cell::Null, |value| Cell::Decimal(value.as_bytes()))]);
    numbers(&write(&Layout::default(), &[column("d", decimal(precision))], rows).unwrap())
}

#[test]
fn the_schema_follows_the_values() {
    let columns =
        [9, 10, 18, 19, 38, 65, 10, 65].map(|precision| column(&format!("d{precision}"), decimal(precision)));
    let longest = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
    let values =
        ["1.50", "1.50", "-1", "1.5", "0.000001", &longest].map(|value| Cell::Decimal(value.as_bytes()));
    let row = values.into_iter().chain([Cell::Null; 2]).collect();
    let written = write(&Layout::default(), &columns, [row]).unwrap();
    assert_snapshot!(written.schema(), @r"
    message schema {
      OPTIONAL INT32 d9 (DECIMAL(9,2));
      OPTIONAL INT64 d10 (DECIMAL(10,2));
      OPTIONAL INT64 d18 (DECIMAL(18,0));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (9) d19 (DECIMAL(19,1));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d38 (DECIMAL(38,6));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (28) d65 (DECIMAL(65,30));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (9) d10 (2) (DECIMAL(20,10));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (32) d65 (2) (DECIMAL(76,30));
    }
    ");
}

#[test]
fn values_keep_every_digit() {
    assert_eq!(
        read_back(9, &[Some("9999999.99"), None, Some("-0.01")]),
        [Some((999_999_999, 2)), None, Some((-1, 2))]
    );
    let eighteen = Some((-999_999_999_999_999_999, 0));
    assert_eq!(read_back(18, &[Some("-999999999999999999"), Some("0")]), [eighteen, Some((0, 0))]);
    let wide = ["-99999999999999999999999999999999.999999", "0.000001", "-0.000001"].map(Some);
    let nines = -99_999_999_999_999_999_999_999_999_999_999_999_999;
    assert_eq!(read_back(38, &wide), [Some((nines, 6)), Some((1, 6)), Some((-1, 6))]);
}

/// `IF(paid, amount, 0)` sends some values with two digits behind the point and others with none.
#[test]
fn values_with_fewer_digits_are_padded() {
    assert_eq!(
        read_back(5, &[Some("1.25"), Some("3"), Some("0.5")]),
        [125_000, 300_000, 50_000].map(|n| Some((n, 5)))
    );
}

/// Eight rows fill a row group, so the ninth comes when the type is settled.
fn after_the_first_group(
    precision: u8,
    first: Cell<'_>,
    later: &str,
) -> Result<Vec<Option<(i128, i32)>>, String> {
    let filler = "x".repeat(1024 * 1024);
    let columns = [column("d", decimal(precision)), column("filler", ColumnKind::Text)];
    let mut rows = vec![vec![first, Cell::Text(filler.as_bytes())]; 8];
    rows.push(vec![Cell::Decimal(later.as_bytes()), Cell::Null]);
    let written = write(&Layout::default(), &columns, rows).map_err(|error| error.to_string())?;
    assert_eq!(written.groups(), [8, 1]);
    Ok(numbers(&written).split_off(8))
}

#[test]
fn a_later_value_with_more_digits_is_refused_and_never_rounded() {
    let first = Cell::Decimal(b"1.50");
    assert_eq!(after_the_first_group(5, first, "7").unwrap(), [Some((700, 2))]);
    assert_eq!(after_the_first_group(5, first, "999.990").unwrap(), [Some((99_999, 2))]);
    assert_snapshot!(after_the_first_group(5, first, "1.501").unwrap_err(), @r#"row 9, column "d": parquet takes the digits of DECIMAL(5,2), as in the first rows, got 1 before the point and 3 behind"#);
    assert_snapshot!(after_the_first_group(5, first, "1000").unwrap_err(), @r#"row 9, column "d": parquet takes the digits of DECIMAL(5,2), as in the first rows, got 4 before the point and 0 behind"#);
    assert_snapshot!(after_the_first_group(5, first, "1,5").unwrap_err(), @r#"row 9, column "d": parquet takes decimal numbers, got something else"#);
}

#[test]
fn whatever_follows_a_group_of_nulls_fits() {
    for (precision, scale) in [(1, 0), (1, 1), (10, 0), (10, 2), (10, 10), (38, 0), (38, 30)] {
        let digits = "9".repeat(usize::from(precision));
        let (whole, fraction) = digits.split_at(usize::from(precision) - scale);
        let value = if scale == 0 { whole.to_owned() } else { format!("-0{whole}.{fraction}") };
        assert!(after_the_first_group(precision, Cell::Null, &value).is_ok(), "{value}");
    }
}

proptest! {
    #[test]
    fn any_value(precision in 1_u8..=38, scale in 0_u8..=30, numbers in prop::collection::vec(any::<i128>(), 1..20)) {
        let scale = scale.min(precision);
        let numbers = numbers.into_iter().map(|number| number % 10_i128.pow(precision.into()));
        let texts: Vec<(i128, String)> = numbers.map(|number| {
            let sign = if number < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            (number, format!("{sign}{whole}{}{fraction}", if scale > 0 { "." } else { "" }))
        }).collect();
        let values: Vec<Option<&str>> = texts.iter().map(|(_, text)| Some(text.as_str())).collect();
        let expected: Vec<_> = texts.iter().map(|(number, _)| Some((*number, i32::from(scale)))).collect();
        prop_assert_eq!(read_back(precision, &values), expected);
    }
}
