//! Reads back random cells.

use downpipe_format::{Cell, ColumnKind, Layout};
use proptest::prelude::*;
use serde_json::Value;

use crate::{DECIMAL, INTEGER, column, encode};

/// Reads back the only cell of a row. The file must be exactly one line.
fn read_back(name: &str, kind: ColumnKind, cell: Cell<'_>) -> Value {
    let (file, _) = encode(&Layout::default(), &[column(name, kind)], &[vec![cell]]);
    let line = file.strip_suffix('\n').unwrap();
    assert!(!line.contains(['\n', '\r']), "{line:?}");
    let mut object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    assert_eq!(object.len(), 1);
    object.remove(if name.is_empty() { "column 1" } else { name }).unwrap()
}

proptest! {
    #[test]
    fn any_text_under_any_name_is_read_back(name in any::<String>(), text in any::<String>()) {
        prop_assert_eq!(read_back(&name, ColumnKind::Text, Cell::Text(text.as_bytes())), Value::from(text));
    }

    #[test]
    fn any_bytes_as_text_are_read_back_with_replacements(bytes: Vec<u8>) {
        let expected = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(read_back("v", ColumnKind::Text, Cell::Text(&bytes)), Value::from(expected));
    }

    #[test]
    fn any_bytes_are_read_back_as_hexadecimal(bytes: Vec<u8>) {
        let expected: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        prop_assert_eq!(read_back("v", ColumnKind::Bytes, Cell::Bytes(&bytes)), Value::from(expected));
    }

    /// Every line can be read, and JSON stays JSON. Without exponents, because JSON allows larger ones than this reader.
    #[test]
    fn any_json_or_other_text_makes_a_readable_line(bytes in prop_oneof![any::<Vec<u8>>(), "[\\[\\]{},:\"\\\\0-9a-d.\n\r -]{0,12}".prop_map(String::into_bytes)]) {
        let sent = String::from_utf8_lossy(&bytes);
        let expected = serde_json::from_str(&sent).unwrap_or_else(|_| Value::from(sent.as_ref()));
        let read = read_back("v", ColumnKind::Json, Cell::Text(&bytes));
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_number_is_read_back(signed: i64, unsigned: u64, double in proptest::num::f64::NORMAL, single in proptest::num::f32::NORMAL) {
        prop_assert_eq!(read_back("v", INTEGER, Cell::Int(signed)), Value::from(signed));
        prop_assert_eq!(read_back("v", ColumnKind::Bit, Cell::UInt(unsigned)), Value::from(unsigned));
        // Not `read_back`, because serde_json rounds the last digit by default.
        let (file, _) = encode(&Layout::default(), &[column("v", ColumnKind::Double)], &[vec![Cell::Double(double)]]);
        prop_assert_eq!(file[5..file.len() - 2].parse(), Ok(double));
        let (file, _) = encode(&Layout::default(), &[column("v", ColumnKind::Float)], &[vec![Cell::Float(single)]]);
        prop_assert_eq!(file[5..file.len() - 2].parse(), Ok(single));
        prop_assert!(serde_json::from_str::<Value>(&file).is_ok());
    }

    #[test]
    fn any_decimal_is_read_back_with_its_digits(digits in "-?[0-9]{1,35}(\\.[0-9]{1,30})?") {
        let (file, _) = encode(&Layout::default(), &[column("v", DECIMAL)], &[vec![Cell::Decimal(digits.as_bytes())]]);
        prop_assert!(serde_json::from_str::<Value>(&file).is_ok());
        let without_zeros = |text: &str| {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            format!("{sign}{}", digits.trim_start_matches('0'))
        };
        prop_assert_eq!(without_zeros(&file[5..file.len() - 2]), without_zeros(&digits));
    }
}
