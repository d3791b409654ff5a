//! JSON lines, read by DuckDB and Python.

use std::path::Path;

use downpipe_tests::readers::{Kind, Value, jsonl_with_duckdb, jsonl_with_python, value};

use super::{AllTypes, is_integer};
use crate::fidelity::server_values::{Column, Rows, assert_read, changes, form, moment, without_zeros};

#[tokio::test]
async fn json_lines_hold_every_type() {
    let all_types = AllTypes::new().await;
    let exported = all_types.export("format = \"jsonl\"").await;
    assert_eq!(changes(&exported.receipt), [""; 0]);

    assert_json_lines(&all_types.columns, &all_types.said, exported.file());

    let read = jsonl_with_duckdb(exported.file()).unwrap();
    assert_eq!(read.columns, all_types.names());
    let type_of = |column: &Column| {
        read.types[all_types.names().iter().position(|name| *name == column.name).unwrap()].as_str()
    };
    assert_read(
        "DuckDB",
        &all_types.columns,
        &all_types.said,
        &read.rows,
        |column, _, said| {
            let said = said?;
            Some(match type_of(column) {
                // DuckDB reads a number as a double if it has a point or more than 128 bits.
                "DOUBLE" => form("double", &form(&column.kind, said)),
                // DuckDB reads a column as moments if all its texts look like moments.
                "TIMESTAMP" => moment(said),
                _ if is_integer(column) => without_zeros(said).to_owned(),
                _ => form(&column.kind, said),
            })
        },
        |column, _, read| {
            let kind = if type_of(column) == "DOUBLE" { "double" } else { &column.kind };
            read.as_deref().map(|text| form(kind, text))
        },
    );
    let doubles: Vec<&str> = all_types
        .columns
        .iter()
        .filter(|column| type_of(column) == "DOUBLE")
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(doubles, ["exact", "money", "whole", "udecimal", "f", "d"]);
}

/// Checks that Python reads the server's values from a file of JSON lines.
pub(in crate::fidelity) fn assert_json_lines(columns: &[Column], said: &Rows, file: &Path) {
    let read = jsonl_with_python(file).unwrap();
    assert_eq!(read.columns, columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
    assert_read(
        "Python",
        columns,
        said,
        &read.rows,
        |column, _, said| in_json(column, said),
        |column, _, Value(kind, text)| match column.kind.as_str() {
            "float" | "double" if *kind == Kind::Number => value(*kind, &form(&column.kind, text)),
            "json" if *kind == Kind::Json => value(*kind, &form("json", text)),
            _ => value(*kind, text),
        },
    );
}

/// Returns the expected value in JSON. Numbers lose the zeros of `ZEROFILL`, which JSON does not
/// allow.
fn in_json(column: &Column, said: Option<&str>) -> Value {
    let Some(said) = said else { return value(Kind::Null, "") };
    match column.kind.as_str() {
        _ if is_integer(column) => value(Kind::Number, without_zeros(said)),
        "decimal" => value(Kind::Number, said),
        "float" | "double" => value(Kind::Number, &form(&column.kind, said)),
        "json" => match serde_json::from_str(said).unwrap() {
            serde_json::Value::String(text) => value(Kind::Text, &text),
            serde_json::Value::Number(_) => value(Kind::Number, said),
            serde_json::Value::Bool(_) => value(Kind::Bool, said),
            // JSON's null equals a missing value.
            serde_json::Value::Null => value(Kind::Null, ""),
            _ => value(Kind::Json, &form("json", said)),
        },
        _ => value(Kind::Text, said),
    }
}
