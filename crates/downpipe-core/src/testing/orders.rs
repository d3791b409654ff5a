//! Rows like those that people export: ids, an enum, decimals, dates, JSON, and Japanese text with quotes and line breaks.

use downpipe_format::{Column, ColumnKind, Date, Time};

use super::OwnedCell;

const CUSTOMERS: [&str; 8] = [
    "佐藤 陽菜",
    "鈴木 蓮",
    "髙橋 さくら",
    "渡邊 ﾊﾅｺ",
    "𠮷田 健一",
    "Zoë Müller",
    "Anna O'Connor",
    "田中 大翔",
];

const NOTES: [Option<&str>; 7] = [
    None,
    Some("領収書をお願いします。"),
    Some("午前中、\n不在なら宅配ボックスへ"),
    Some("She said \"no plastic\", I agree"),
    Some("宛名は「株式会社 青空」で、\"至急\""),
    Some("Ring twice,\r\nthen leave it at the back door."),
    Some("Gift wrap please"),
];

/// The columns of `orders`, the table that is measured, as MySQL describes them.
#[must_use]
pub fn order_columns() -> Vec<Column> {
    let integer = |bits, unsigned| ColumnKind::Integer { bits, unsigned, zerofill: 0 };
    let columns = [
        ("id", integer(64, true)),
        ("order_number", ColumnKind::Text),
        ("customer_id", integer(32, true)),
        ("status", ColumnKind::Text),
        ("quantity", integer(16, false)),
        ("unit_price", ColumnKind::Decimal { width: 11 }),
        ("total", ColumnKind::Decimal { width: 15 }),
        ("discount", ColumnKind::Decimal { width: 6 }),
        ("created_at", ColumnKind::DateTime { fraction: 0 }),
        ("updated_at", ColumnKind::DateTime { fraction: 3 }),
        ("shipped_at", ColumnKind::Timestamp { fraction: 0 }),
        ("customer_name", ColumnKind::Text),
        ("note", ColumnKind::Text),
        ("attributes", ColumnKind::Json),
    ];
    columns.map(|(name, kind)| Column { name: name.to_owned(), kind }).into()
}

/// The row of this id. The same for the same id.
#[must_use]
pub fn order_row(id: u32) -> Vec<OwnedCell> {
    // Knuth's multiplicative hash: neighbours have nothing in common.
    let drawn = id.wrapping_mul(2_654_435_761);
    let one_of = |texts: &[&str]| OwnedCell::from(texts[drawn as usize % texts.len()]);
    let cents = |cents: u32| OwnedCell::Decimal(format!("{}.{:02}", cents / 100, cents % 100));
    let (quantity, price) = (1 + drawn % 12, 100 + drawn % 4_999_900);
    let small = |value: u32| u8::try_from(value).unwrap_or_default();
    let date =
        Date { year: 2024 + u16::from(small(id % 3)), month: small(1 + drawn % 12), day: small(1 + id % 28) };
    let (hours, minutes, seconds) = (drawn % 24, small(drawn % 60), small(id % 60));
    let time = Time { hours, minutes, seconds, ..Time::default() };
    let updated = Time { microseconds: drawn % 1000 * 1000, ..time };
    let channel = ["web", "app", "shop"][id as usize % 3];
    vec![
        OwnedCell::UInt(id.into()),
        OwnedCell::Text(format!("JP-{drawn:011}")),
        OwnedCell::UInt(u64::from(1 + drawn % 400_000)),
        one_of(&["new", "paid", "shipped", "cancelled", "returned"]),
        OwnedCell::Int(quantity.into()),
        cents(price),
        cents(price * quantity),
        if id.is_multiple_of(4) { cents(drawn % 5000) } else { OwnedCell::Null },
        OwnedCell::DateTime(date, time),
        OwnedCell::DateTime(date, updated),
        if id.is_multiple_of(5) { OwnedCell::Null } else { OwnedCell::DateTime(date, time) },
        one_of(&CUSTOMERS),
        NOTES[id as usize % NOTES.len()].map_or(OwnedCell::Null, OwnedCell::from),
        OwnedCell::Text(format!(
            r#"{{"gift": {}, "points": {}, "channel": "{channel}"}}"#,
            id.is_multiple_of(2),
            drawn % 1000
        )),
    ]
}
