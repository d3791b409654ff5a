//! What sqlx knows of a column, turned into what we need to know: how its values lie on the wire, and what they are.

use downpipe_format::{Column, ColumnKind};
use sqlx::mysql::{MySqlColumn, MySqlTypeInfo};
use sqlx::{Column as _, MySql, TypeInfo as _};

/// How a column's values lie on the wire, in the binary protocol.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Signed, little-endian, of 1, 2, 4 or 8 bytes.
    Int,
    /// Unsigned, likewise.
    UInt,
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// ASCII digits.
    Decimal,
    /// UTF-8, transcoded by the server.
    Text,
    /// Bytes as stored.
    Bytes,
    /// Up to 8 bytes, big-endian.
    Bit,
    /// Length byte, year, month, day.
    Date,
    /// Length byte, date, time, microseconds; zero fields at the end are left out.
    DateTime,
    /// Length byte, sign, days, time, microseconds; likewise.
    Time,
}

/// A column, for the sink and for our own reading.
pub(crate) fn describe(column: &MySqlColumn) -> (Column, Wire) {
    let info = column.type_info();
    let declared = Declared::of(info);
    let integer = |bits, unsigned| ColumnKind::Integer { bits, unsigned, zerofill: declared.zerofill };
    let (kind, wire) = match info.name() {
        "YEAR" => (integer(16, true), Wire::UInt),
        "BIT" => (ColumnKind::Bit, Wire::Bit),
        "FLOAT" => (ColumnKind::Float, Wire::Float),
        "DOUBLE" => (ColumnKind::Double, Wire::Double),
        "DECIMAL" => (ColumnKind::Decimal { precision: declared.precision() }, Wire::Decimal),
        "DATE" => (ColumnKind::Date, Wire::Date),
        "DATETIME" => (ColumnKind::DateTime { fraction: declared.fraction_after(19) }, Wire::DateTime),
        "TIMESTAMP" => (ColumnKind::Timestamp { fraction: declared.fraction_after(19) }, Wire::DateTime),
        "TIME" => (ColumnKind::Time { fraction: declared.fraction_after(10) }, Wire::Time),
        // MySQL says that JSON has no character set, and sends UTF-8.
        "JSON" => (ColumnKind::Json, Wire::Text),
        "ENUM" | "SET" | "NULL" => (ColumnKind::Text, Wire::Text),
        name if name == "BOOLEAN" || name.contains("INT") => {
            // The name of a BOOLEAN does not say it.
            let unsigned = name.ends_with("UNSIGNED") || declared.unsigned;
            (integer(bits(name), unsigned), if unsigned { Wire::UInt } else { Wire::Int })
        }
        // True for texts of every character set, and false for what has none.
        _ if <str as sqlx::Type<MySql>>::compatible(info) => (ColumnKind::Text, Wire::Text),
        _ => (ColumnKind::Bytes, Wire::Bytes),
    };
    (Column { name: column.name().to_owned(), kind }, wire)
}

/// The width of an integer type. MEDIUMINT's 24 bits lie in 32 on the wire, and nobody else has such a type.
fn bits(name: &str) -> u8 {
    match name.split(' ').next() {
        Some("BOOLEAN" | "TINYINT") => 8,
        Some("SMALLINT") => 16,
        Some("MEDIUMINT" | "INT") => 32,
        _ => 64,
    }
}

/// What the column definition on the wire says besides the type. sqlx reads it but shows it in no method; its `Debug`
/// form is the one place where it can be seen, so that is where we look, once a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Declared {
    unsigned: bool,
    zerofill: u8,
    /// The display width in characters.
    width: Option<u32>,
}

impl Declared {
    fn of(info: &MySqlTypeInfo) -> Self {
        Self::read(&format!("{info:?}"))
    }

    /// Reads `MySqlTypeInfo { type: Long, flags: ColumnFlags(UNSIGNED | ZEROFILL), …, max_size: Some(10) }`.
    fn read(debug: &str) -> Self {
        let between = |open: &str| {
            let (_, rest) = debug.split_once(open)?;
            rest.split_once(')').map(|(inside, _)| inside)
        };
        let flags = between("ColumnFlags(").unwrap_or_default();
        let has = |flag: &str| flags.split('|').any(|name| name.trim() == flag);
        let width: Option<u32> = between("max_size: Some(").and_then(|width| width.parse().ok());
        let zerofill = width.filter(|_| has("ZEROFILL")).and_then(|width| u8::try_from(width).ok());
        Self { unsigned: has("UNSIGNED"), zerofill: zerofill.unwrap_or_default(), width }
    }

    /// The most digits of a decimal: its width without the sign. (A point may be in it too, so it can be one less.)
    fn precision(self) -> u8 {
        let width = self.width.unwrap_or(65).saturating_sub(u32::from(!self.unsigned));
        u8::try_from(width).unwrap_or(65).clamp(1, 65)
    }

    /// The digits after the seconds: the width beyond that of whole seconds is a point and the digits.
    fn fraction_after(self, whole_seconds: u32) -> u8 {
        let digits = self.width.unwrap_or_default().saturating_sub(whole_seconds + 1);
        u8::try_from(digits).unwrap_or(u8::MAX).min(6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_flags_and_width() {
        let declared = Declared::read(
            "MySqlTypeInfo { type: Long, flags: ColumnFlags(NOT_NULL | UNSIGNED | ZEROFILL | NUM), \
             collation: Collation(63), max_size: Some(10) }",
        );
        assert_eq!(declared, Declared { unsigned: true, zerofill: 10, width: Some(10) });
    }

    #[test]
    fn reads_fractions_of_a_second() {
        let of_width = |width| Declared { unsigned: false, zerofill: 0, width: Some(width) };
        assert_eq!([19, 21, 23, 26].map(|width| of_width(width).fraction_after(19)), [0, 1, 3, 6]);
        assert_eq!([8, 10, 12, 17].map(|width| of_width(width).fraction_after(10)), [0, 0, 1, 6]);
    }
}
