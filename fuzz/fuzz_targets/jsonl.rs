//! Checks JSON Lines: every line is an object with a member for every column, and every value is
//! the one that was written.

#![no_main]

use std::fmt;

use downpipe_format::{ColumnKind, Compression, Format, Profile, Style, TreatAs};
use downpipe_fuzz::{Table, TableColumn, Value, write};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

fuzz_target!(|table: Table| {
    let style =
        Style::new(Profile::PLAIN, Format::Jsonl, Compression::None).expect("JSON Lines may be as they are");
    let written = write(&style, &table).expect("JSON takes every value");
    let text = String::from_utf8(written.bytes).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), table.rows.len());
    for (row, line) in table.rows.iter().zip(lines) {
        let Members(members) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(members.len(), table.columns.len());
        for (at, (name, _)) in members.iter().enumerate() {
            let is_other = |(other, _): &(String, _)| other.to_lowercase() != name.to_lowercase();
            assert!(members[..at].iter().all(is_other), "{name:?} is there twice");
            let label = table.labels()[at];
            // An empty name is replaced, and a repeated one gets a number.
            let wished = if label.is_empty() { format!("column {}", at + 1) } else { label.to_owned() };
            assert!(name.starts_with(&wished), "{label:?} became {name:?}");
        }
        for ((column, value), (_, read)) in table.columns.iter().zip(row).zip(&members) {
            assert!(is_same(column, value, read.get()), "{value:?} was read as {read}");
        }
    }
});

fn is_same(column: &TableColumn, value: &Value, read: &str) -> bool {
    let kind = column.column.kind;
    let string = || serde_json::from_str::<String>(read).ok();
    let is_string = || string().is_some_and(|read| value.is(&read, kind));
    match value {
        Value::Null => read == "null",
        Value::Text(text) if column.treat_as == Some(TreatAs::Number) && read == text => {
            // The text was parsed as JSON, so its first character shows whether it is a number.
            read.starts_with(|c: char| c.is_ascii_digit() || c == '-') || kind == ColumnKind::Json
        }
        Value::Text(text) if kind == ColumnKind::Json && column.treat_as != Some(TreatAs::Text) => {
            let value = |json| serde_json::from_str::<serde_json::Value>(json).expect("JSON");
            value(text) == value(read)
        }
        Value::Text(_) | Value::Bytes(_) | Value::Date(_) | Value::DateTime(..) | Value::Time(_) => {
            is_string()
        }
        _ if column.treat_as == Some(TreatAs::Text) => is_string(),
        Value::Int(number) => read == number.to_string(),
        Value::UInt(number) => read == number.to_string(),
        Value::Float(_) | Value::Double(_) | Value::Decimal(_) => value.is(read, kind),
    }
}

/// The members of an object in order, duplicates included.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
