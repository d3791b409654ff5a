//! Any cell at all comes back as it was.

use downpipe_format::{Cell, ColumnKind, Layout};
use proptest::prelude::*;
use serde_json::Value;

use crate::{DECIMAL, INTEGER, column, encode};

/// What a reader makes of the only cell of a row. The file must be exactly one line.
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
    fn text_under_any_name(name in any::<String>(), text in any::<String>()) {
        prop_assert_eq!(read_back(&name, ColumnKind::Text, Cell::Text(text.as_bytes())), Value::from(text));
    }

    #[test]
    fn bytes_in_place_of_text(bytes: Vec<u8>) {
        let expected = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(read_back("v", ColumnKind::Text, Cell::Text(&bytes)), Value::from(expected));
    }

    #[test]
    fn bytes(bytes: Vec<u8>) {
        let expected: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        prop_assert_eq!(read_back("v", ColumnKind::Bytes, Cell::Bytes(&bytes)), Value::from(expected));
    }

    /// Whatever a JSON column sends, the line can be read, and what is JSON stays so. (No exponents: those that are too large for
    /// this reader are JSON all the same.)
    #[test]
    fn json(bytes in prop_oneof![any::<Vec<u8>>(), "[\\[\\]{},:\"\\\\0-9a-d.\n\r -]{0,12}".prop_map(String::into_bytes)]) {
        let sent = String::from_utf8_lossy(&bytes);
        let expected = serde_json::from_str(&sent).unwrap_or_else(|_| Value::from(sent.as_ref()));
        let read = read_back("v", ColumnKind::Json, Cell::Text(&bytes));
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn numbers(signed: i64, unsigned: u64, double in proptest::num::f64::NORMAL, single in proptest::num::f32::NORMAL) {
        prop_assert_eq!(read_back("v", INTEGER, Cell::Int(signed)), Value::from(signed));
        prop_assert_eq!(read_back("v", ColumnKind::Bit, Cell::UInt(unsigned)), Value::from(unsigned));
        // Not `read_back`: serde_json rounds the last digit unless it is told not to.
        let (file, _) = encode(&Layout::default(), &[column("v", ColumnKind::Double)], &[vec![Cell::Double(double)]]);
        prop_assert_eq!(file[5..file.len() - 2].parse(), Ok(double));
        let (file, _) = encode(&Layout::default(), &[column("v", ColumnKind::Float)], &[vec![Cell::Float(single)]]);
        prop_assert_eq!(file[5..file.len() - 2].parse(), Ok(single));
        prop_assert!(serde_json::from_str::<Value>(&file).is_ok());
    }

    #[test]
    fn decimals(digits in "-?[0-9]{1,35}(\\.[0-9]{1,30})?") {
        let (file, _) = encode(&Layout::default(), &[column("v", DECIMAL)], &[vec![Cell::Decimal(digits.as_bytes())]]);
        prop_assert!(serde_json::from_str::<Value>(&file).is_ok());
        let without_zeros = |text: &str| {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            format!("{sign}{}", digits.trim_start_matches('0'))
        };
        prop_assert_eq!(without_zeros(&file[5..file.len() - 2]), without_zeros(&digits));
    }
}
