//! Describes a column: what its values are, and how they lie on the wire.

use downpipe_format::{Column, ColumnKind};
use sqlx::mysql::{MySqlColumn, MySqlTypeInfo};
use sqlx::{Column as _, MySql, TypeInfo as _};

/// How a column's values lie on the wire, in the binary protocol.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    /// Signed, little-endian, of 1, 2, 4 or 8 bytes.
    Int,
    /// Unsigned, little-endian, of 1, 2, 4 or 8 bytes.
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
    /// Length byte, sign, days, time, microseconds; zero fields at the end are left out.
    Time,
}

/// Describes a column for the sink, and says how to read it.
pub(crate) fn describe(column: &MySqlColumn) -> (Column, WireType) {
    let info = column.type_info();
    let flags = ColumnFlags::of(info);
    let integer = |bits, unsigned| ColumnKind::Integer { bits, unsigned, zerofill: flags.zerofill };
    let (kind, wire) = match info.name() {
        "YEAR" => (integer(16, true), WireType::UInt),
        "BIT" => (ColumnKind::Bit, WireType::Bit),
        "FLOAT" => (ColumnKind::Float, WireType::Float),
        "DOUBLE" => (ColumnKind::Double, WireType::Double),
        "DECIMAL" => (ColumnKind::Decimal { width: flags.decimal_width() }, WireType::Decimal),
        "DATE" => (ColumnKind::Date, WireType::Date),
        "DATETIME" => (ColumnKind::DateTime { fraction: flags.fraction_after(19) }, WireType::DateTime),
        "TIMESTAMP" => (ColumnKind::Timestamp { fraction: flags.fraction_after(19) }, WireType::DateTime),
        "TIME" => (ColumnKind::Time { fraction: flags.fraction_after(10) }, WireType::Time),
        // MySQL says that JSON has no character set, and sends UTF-8.
        "JSON" => (ColumnKind::Json, WireType::Text),
        "ENUM" | "SET" | "NULL" => (ColumnKind::Text, WireType::Text),
        name if name == "BOOLEAN" || name.contains("INT") => {
            // A BOOLEAN's name does not say whether it is unsigned.
            let unsigned = name.ends_with("UNSIGNED") || flags.unsigned;
            (integer(bits(name), unsigned), if unsigned { WireType::UInt } else { WireType::Int })
        }
        // True for texts of every character set, and false for what has none.
        _ if <str as sqlx::Type<MySql>>::compatible(info) => (ColumnKind::Text, WireType::Text),
        _ => (ColumnKind::Bytes, WireType::Bytes),
    };
    (Column { name: column.name().to_owned(), kind }, wire)
}

/// Returns whether a column may be `NULL`, as far as the server knows before the query runs.
pub(crate) fn is_nullable(column: &MySqlColumn) -> bool {
    !ColumnFlags::of(column.type_info()).not_null
}

/// Returns the width of an integer type. MEDIUMINT has 24 bits, and lies in 32 on the wire.
fn bits(name: &str) -> u8 {
    match name.split(' ').next() {
        Some("BOOLEAN" | "TINYINT") => 8,
        Some("SMALLINT") => 16,
        Some("MEDIUMINT" | "INT") => 32,
        _ => 64,
    }
}

/// What the column definition on the wire says besides the type. sqlx reads it, but shows it only in its `Debug` form, which is
/// read here once a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ColumnFlags {
    not_null: bool,
    unsigned: bool,
    zerofill: u8,
    /// The display width in characters.
    width: Option<u32>,
}

impl ColumnFlags {
    /// Reads `MySqlTypeInfo { type: Long, flags: ColumnFlags(UNSIGNED | ZEROFILL), …, max_size: Some(10) }`, the form of the one
    /// version of sqlx that `Cargo.toml` allows.
    fn of(info: &MySqlTypeInfo) -> Self {
        let debug = format!("{info:?}");
        let inside = |open: &str| {
            let (_, rest) = debug.split_once(open)?;
            rest.split_once(')').map(|(inside, _)| inside)
        };
        let flags = inside("ColumnFlags(").unwrap_or_default();
        let has = |flag: &str| flags.split('|').any(|name| name.trim() == flag);
        let width: Option<u32> = inside("max_size: Some(").and_then(|width| width.parse().ok());
        let zerofill = width.filter(|_| has("ZEROFILL")).and_then(|width| u8::try_from(width).ok());
        Self {
            not_null: has("NOT_NULL"),
            unsigned: has("UNSIGNED"),
            zerofill: zerofill.unwrap_or_default(),
            width,
        }
    }

    /// Returns the width of a decimal without the character for the sign. It includes the point of a column with a scale, which sqlx
    /// drops.
    fn decimal_width(self) -> u8 {
        let width = self.width.unwrap_or(66).saturating_sub(u32::from(!self.unsigned));
        u8::try_from(width).unwrap_or(66).clamp(1, 66)
    }

    /// Returns the digits after the seconds. The width beyond that of whole seconds is a point and the digits.
    fn fraction_after(self, whole_seconds: u32) -> u8 {
        let digits = self.width.unwrap_or_default().saturating_sub(whole_seconds + 1);
        u8::try_from(digits).unwrap_or(u8::MAX).min(6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_of_time_gives_digits_after_seconds() {
        let of_width =
            |width| ColumnFlags { not_null: false, unsigned: false, zerofill: 0, width: Some(width) };
        assert_eq!([19, 21, 23, 26].map(|width| of_width(width).fraction_after(19)), [0, 1, 3, 6]);
        assert_eq!([8, 10, 12, 17].map(|width| of_width(width).fraction_after(10)), [0, 0, 1, 6]);
    }
}
