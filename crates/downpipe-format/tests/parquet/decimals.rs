//! Tests the types and digits of `DECIMAL`.

use downpipe_format::{Cell, ColumnKind, Layout, TreatAs};
use insta::assert_snapshot;
use parquet::data_type::Decimal;
use parquet::record::Field;
use proptest::prelude::*;

use crate::{INTEGER, Written, column, layout, write};

/// Returns a column of this width, which includes the point.
fn decimal(width: u8) -> ColumnKind {
    ColumnKind::Decimal { width }
}

/// Returns the unscaled numbers, which have at most 128 bits in these tests, with the scale.
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

fn read_back(width: u8, values: &[Option<&str>]) -> Vec<Option<(i128, i32)>> {
    let rows =
        values.iter().map(|value| vec![value.map_or(Cell::Null, |value| Cell::Decimal(value.as_bytes()))]);
    numbers(&write(&Layout::default(), &[column("d", decimal(width))], rows).unwrap())
}

#[test]
fn schema_has_the_declared_types_of_columns_with_values() {
    // DECIMAL(9,2), (10,2), (18,0), (19,1), (38,10) and (65,30).
    let columns = [10, 11, 18, 20, 39, 66].map(|width| column(&format!("d{width}"), decimal(width)));
    let longest = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
    let values = ["1.50", "1.50", "-1", "1.5", "0.0000000001", &longest];
    let row = values.map(|value| Cell::Decimal(value.as_bytes())).to_vec();
    let written = write(&Layout::default(), &columns, [row]).unwrap();
    assert_snapshot!(written.schema(), @r"
    message schema {
      OPTIONAL INT32 d10 (DECIMAL(9,2));
      OPTIONAL INT64 d11 (DECIMAL(10,2));
      OPTIONAL INT64 d18 (DECIMAL(18,0));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (9) d20 (DECIMAL(19,1));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d39 (DECIMAL(38,10));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (28) d66 (DECIMAL(65,30));
    }
    ");
}

/// Without rows, with `NULL` only, and with only the bare zeros of `IF(paid, amount, 0)`.
#[test]
fn schema_without_a_known_scale_stays_within_38_digits() {
    let columns = [11, 21, 39, 66].map(|width| column(&format!("d{width}"), decimal(width)));
    let all = |cell| write(&Layout::default(), &columns, [vec![cell; 4]]).unwrap().schema();
    let empty = write(&Layout::default(), &columns, []).unwrap().schema();
    assert_snapshot!(empty, @r"
    message schema {
      OPTIONAL FIXED_LEN_BYTE_ARRAY (9) d11 (DECIMAL(21,10));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d21 (DECIMAL(38,17));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d39 (DECIMAL(38,10));
      OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d66 (DECIMAL(38,10));
    }
    ");
    assert_eq!(all(Cell::Null), empty);
    assert_eq!(all(Cell::Decimal(b"0")), empty);
}

/// `as = "decimal(12,2)"` decides the type of every column and for all rows.
#[test]
fn schema_has_the_type_of_the_definition() {
    let as_decimal = layout("d", TreatAs::Decimal("decimal(12,2)".parse().unwrap()));
    let kinds = [decimal(11), INTEGER, ColumnKind::Bit];
    let rows = [
        vec![],
        vec![Cell::Null],
        vec![Cell::Int(-7)],
        vec![Cell::Decimal(b"0")],
        vec![Cell::Decimal(b"1.5")],
    ];
    for (kind, cells) in kinds.into_iter().flat_map(|kind| rows.iter().map(move |row| (kind, row))) {
        let rows = cells.iter().map(|cell| vec![*cell]);
        let written = write(&as_decimal, &[column("d", kind)], rows).unwrap();
        assert!(written.schema().contains("OPTIONAL INT64 d (DECIMAL(12,2));"), "{}", written.schema());
        let expected = cells.iter().map(|cell| match cell {
            Cell::Int(-7) => Some((-700, 2)),
            Cell::Decimal(b"0") => Some((0, 2)),
            Cell::Decimal(_) => Some((150, 2)),
            _ => None,
        });
        assert_eq!(numbers(&written), expected.collect::<Vec<_>>());
    }
}

#[test]
fn values_keep_every_digit() {
    assert_eq!(
        read_back(10, &[Some("9999999.99"), None, Some("-0.01")]),
        [Some((999_999_999, 2)), None, Some((-1, 2))]
    );
    let eighteen = Some((-999_999_999_999_999_999, 0));
    assert_eq!(read_back(18, &[Some("-999999999999999999"), Some("0")]), [eighteen, Some((0, 0))]);
    let wide = ["-99999999999999999999999999999999.999999", "0.000001", "-0.000001"].map(Some);
    let nines = -99_999_999_999_999_999_999_999_999_999_999_999_999;
    assert_eq!(read_back(39, &wide), [Some((nines, 6)), Some((1, 6)), Some((-1, 6))]);
}

/// `IF(paid, amount, 0)` sends some values with two digits behind the point and others with none.
#[test]
fn values_with_fewer_digits_are_padded() {
    assert_eq!(
        read_back(11, &[Some("1.25"), Some("0"), Some("0.5")]),
        [125, 0, 50].map(|number| Some((number, 2)))
    );
}

/// Eight rows fill a row group, so the type is resolved before the ninth.
fn after_the_first_group(
    width: u8,
    first: Cell<'_>,
    later: &str,
) -> Result<Vec<Option<(i128, i32)>>, String> {
    let filler = "x".repeat(1024 * 1024);
    let columns = [column("d", decimal(width)), column("filler", ColumnKind::Text)];
    let mut rows = vec![vec![first, Cell::Text(filler.as_bytes())]; 8];
    rows.push(vec![Cell::Decimal(later.as_bytes()), Cell::Null]);
    let written = write(&Layout::default(), &columns, rows).map_err(|error| error.to_string())?;
    assert_eq!(written.groups(), [8, 1]);
    Ok(numbers(&written).split_off(8))
}

#[test]
fn later_value_with_more_digits_is_refused_with_a_wider_type() {
    let first = Cell::Decimal(b"1.50");
    assert_eq!(after_the_first_group(6, first, "7").unwrap(), [Some((700, 2))]);
    assert_eq!(after_the_first_group(6, first, "999.990").unwrap(), [Some((99_999, 2))]);
    assert_snapshot!(after_the_first_group(6, first, "1.501").unwrap_err(), @r#"row 9, column "d": parquet takes numbers of decimal(5,2), which is what the first rows have, got 1 digit before the point and 3 behind; the option as = "decimal(6,3)" of the column, or a CAST in the query, settles the type beforehand"#);
    assert_snapshot!(after_the_first_group(6, first, "1000").unwrap_err(), @r#"row 9, column "d": parquet takes numbers of decimal(5,2), which is what the first rows have, got 4 digits before the point and 0 behind; the option as = "decimal(6,2)" of the column, or a CAST in the query, settles the type beforehand"#);
    assert_snapshot!(after_the_first_group(6, first, "1,5").unwrap_err(), @r#"row 9, column "d": parquet takes decimal numbers, got something else"#);
}

/// `IF(status = 'cancelled', 0, amount)`, with a first row group of cancelled orders only.
#[test]
fn amounts_after_a_group_of_zeros_fit() {
    assert_eq!(
        after_the_first_group(11, Cell::Decimal(b"0"), "12345678.90").unwrap(),
        [Some((123_456_789_000_000_000, 10))]
    );
    assert!(after_the_first_group(33, Cell::Decimal(b"0"), &format!("{}.99", "9".repeat(28))).is_ok());
}

#[test]
fn values_up_to_19_digits_after_a_group_of_nulls_fit() {
    for (precision, scale) in
        [(1, 0), (1, 1), (10, 0), (10, 2), (10, 10), (18, 9), (19, 0), (20, 2), (38, 10)]
    {
        let digits = "9".repeat(precision);
        let (whole, fraction) = digits.split_at(precision - scale);
        let value = if scale == 0 { whole.to_owned() } else { format!("-0{whole}.{fraction}") };
        let width = u8::try_from(precision + usize::from(scale > 0)).unwrap();
        assert!(after_the_first_group(width, Cell::Null, &value).is_ok(), "{value}");
    }
}

proptest! {
    #[test]
    fn any_decimal_is_read_back(precision in 1_u8..=38, scale in 0_u8..=30, numbers in prop::collection::vec(any::<i128>(), 1..20)) {
        let scale = scale.min(precision);
        let numbers = numbers.into_iter().map(|number| number % 10_i128.pow(precision.into()));
        let texts: Vec<(i128, String)> = numbers.map(|number| {
            let sign = if number < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            (number, format!("{sign}{whole}{}{fraction}", if scale > 0 { "." } else { "" }))
        }).collect();
        // A bare zero does not show that there is no scale.
        prop_assume!(scale > 0 || texts.iter().any(|(number, _)| *number != 0));
        let values: Vec<Option<&str>> = texts.iter().map(|(_, text)| Some(text.as_str())).collect();
        let expected: Vec<_> = texts.iter().map(|(number, _)| Some((*number, i32::from(scale)))).collect();
        let width = precision + u8::from(scale > 0);
        prop_assert_eq!(read_back(width, &values), expected);
    }
}
