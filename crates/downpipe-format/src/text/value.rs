//! Writes a value as text, in the same way for every format.

use super::number::{push_date, push_float, push_hex, push_integer, push_time};
use crate::model::{Cell, ColumnKind};

/// Appends the value as MySQL shows it, neither quoted nor escaped: bytes in hexadecimal, nothing for `NULL`.
pub(crate) fn push_value(out: &mut Vec<u8>, cell: &Cell<'_>, kind: ColumnKind) {
    let zerofill = match kind {
        ColumnKind::Integer { zerofill, .. } => zerofill,
        _ => 0,
    };
    match *cell {
        Cell::Null => {}
        Cell::Int(value) => push_integer(out, value, zerofill),
        Cell::UInt(value) => push_integer(out, value, zerofill),
        Cell::Float(value) => push_float(out, value),
        Cell::Double(value) => push_float(out, value),
        Cell::Decimal(text) | Cell::Text(text) => out.extend_from_slice(text),
        Cell::Bytes(bytes) => push_hex(out, bytes),
        Cell::Date(date) => push_date(out, date),
        Cell::DateTime(date, time) => {
            push_date(out, date);
            out.push(b' ');
            push_time(out, time, kind.fraction());
        }
        Cell::Time(time) => push_time(out, time, kind.fraction()),
    }
}
