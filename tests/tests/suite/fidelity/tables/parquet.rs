//! Parquet, read by Arrow, DuckDB and pandas.

use downpipe_tests::export::export;
use downpipe_tests::readers::{ParquetReader, Table, parquet, parquet_layout};

use super::{AllTypes, is_integer};
use crate::fidelity::server_values::{Column, assert_read, changes, form, is_binary, moment, without_zeros};

/// The dates that do not exist, by column and row: `0000-00-00`, `2026-02-31`, `2026-02-00`.
const NO_DATES: [(&str, usize); 6] =
    [("day", 0), ("day", 2), ("at", 0), ("at", 2), ("at6", 0), ("stamp6", 0)];

#[tokio::test]
async fn parquet_holds_every_type() {
    let all_types = AllTypes::new().await;
    let exported = all_types.export("format = \"parquet\"").await;
    assert_eq!(
        changes(&exported.receipt),
        [
            "at: zero_dates_as_null 2",
            "at6: zero_dates_as_null 1",
            "day: zero_dates_as_null 2",
            "stamp6: zero_dates_as_null 1",
        ]
    );
    let table = parquet(exported.file(), ParquetReader::PyArrow).unwrap();
    let typed: Vec<(&str, &str)> =
        table.columns.iter().map(String::as_str).zip(table.types.iter().map(String::as_str)).collect();
    assert_eq!(typed, ARROW_TYPES);
    assert_parquet(&all_types, "PyArrow", &table);

    // DuckDB's decimals have at most 38 digits, and its doubles are not the nearest ones.
    let table = parquet(exported.file(), ParquetReader::DuckDb).unwrap();
    let exact = all_types.names().iter().position(|name| *name == "exact").unwrap();
    assert_eq!(table.types[exact], "DOUBLE");
    let expected = [Some("-1e+35"), Some("1e+35"), Some("9.999999999999999e-31"), None];
    assert_eq!(table.rows.iter().map(|row| row[exact].as_deref()).collect::<Vec<_>>(), expected);
    let mut without =
        AllTypes { columns: all_types.columns.clone(), said: all_types.said.clone(), ..all_types };
    let mut table = table;
    without.columns.remove(exact);
    table.columns.remove(exact);
    table.types.remove(exact);
    for rows in [&mut without.said, &mut table.rows] {
        rows.iter_mut().for_each(|row| drop(row.remove(exact)));
    }
    assert_parquet(&without, "DuckDB", &table);
}

/// The expected Arrow types. `BIT` is a number. `TIME` is text, because Parquet's is a time of day.
/// `ENUM` and `SET` are text.
const ARROW_TYPES: &[(&str, &str)] = &[
    ("id", "int64"),
    ("tiny", "int8"),
    ("utiny", "uint8"),
    ("flag", "int8"),
    ("small", "int16"),
    ("usmall", "uint16"),
    ("medium", "int32"),
    ("umedium", "uint32"),
    ("i", "int32"),
    ("ui", "uint32"),
    ("big", "int64"),
    ("ubig", "uint64"),
    ("filled", "uint32"),
    ("bigfilled", "uint64"),
    ("exact", "decimal256(65, 30)"),
    ("money", "decimal128(12, 2)"),
    ("whole", "decimal128(20, 0)"),
    ("udecimal", "decimal128(10, 4)"),
    ("f", "float"),
    ("d", "double"),
    ("b1", "uint64"),
    ("b17", "uint64"),
    ("b64", "uint64"),
    ("day", "date32[day]"),
    ("at", "timestamp[us]"),
    ("at3", "timestamp[us]"),
    ("at6", "timestamp[us]"),
    ("stamp", "timestamp[us, tz=UTC]"),
    ("stamp6", "timestamp[us, tz=UTC]"),
    ("t", "string"),
    ("t6", "string"),
    ("y", "uint16"),
    ("c", "string"),
    ("v", "string"),
    ("vbin", "string"),
    ("latin", "string"),
    ("sj", "string"),
    ("cp", "string"),
    ("u16", "string"),
    ("u32", "string"),
    ("asc_", "string"),
    ("fixed", "binary"),
    ("bytes", "binary"),
    ("tinyt", "string"),
    ("words", "string"),
    ("mediumt", "string"),
    ("longt", "string"),
    ("tinyb", "binary"),
    ("data", "binary"),
    ("mediumb", "binary"),
    ("longb", "binary"),
    ("e", "string"),
    ("s", "string"),
    ("j", "extension<arrow.json>"),
    ("g", "binary"),
    ("p", "binary"),
    ("hidden_", "int32"),
    ("gb", "string"),
    ("doubled", "int64"),
    ("stored_", "int64"),
];

fn assert_parquet(all_types: &AllTypes, what: &str, table: &Table) {
    assert_eq!(table.columns, all_types.names());
    assert_read(what, &all_types.columns, &all_types.said, &table.rows, in_parquet, |column, _, read| {
        read.as_deref().map(|text| form(&column.kind, text))
    });
}

/// Returns the expected value in Parquet of the table `all_types`. A date that does not exist is
/// `NULL`.
fn in_parquet(column: &Column, row: usize, said: Option<&str>) -> Option<String> {
    let said = said.filter(|_| !NO_DATES.contains(&(column.name.as_str(), row)))?;
    Some(as_parquet(column, said))
}

/// Returns the expected value in Parquet, in the readers' notation.
pub(in crate::fidelity) fn as_parquet(column: &Column, said: &str) -> String {
    match column.kind.as_str() {
        _ if is_integer(column) => without_zeros(said).to_owned(),
        "datetime" => moment(said),
        "timestamp" => format!("{}Z", moment(said)),
        kind => form(kind, said),
    }
}

/// In a notebook pandas turns integers with a `NULL` among them into doubles. Only a column without
/// `NULL` keeps all digits.
#[tokio::test]
async fn parquet_in_pandas_keeps_all_but_nullable_integers() {
    let all_types = AllTypes::new().await;
    let exported = all_types.export("format = \"parquet\"").await;
    let table = parquet(exported.file(), ParquetReader::Pandas).unwrap();
    assert_eq!(table.columns, all_types.names());
    let is_float = |column: &Column| is_integer(column) && column.name != "id";
    assert_read(
        "pandas",
        &all_types.columns,
        &all_types.said,
        &table.rows,
        |column, row, said| {
            let expected = in_parquet(column, row, said)?;
            Some(if is_float(column) { form("double", &expected) } else { expected })
        },
        |column, _, read| {
            let kind = if is_float(column) { "double" } else { &column.kind };
            read.as_deref().map(|text| form(kind, text))
        },
    );
    let sql = "SELECT big, ubig, bigfilled, b64 FROM all_types WHERE id = 2";
    let exported = export(&all_types.database, sql, "format = \"parquet\"").await;
    let table = parquet(exported.file(), ParquetReader::Pandas).unwrap();
    assert_eq!(table.types, ["int64", "uint64", "uint64", "uint64"]);
    assert_eq!(
        table.rows,
        [["9223372036854775807", "18446744073709551615", "18446744073709551615", "18446744073709551615"]
            .map(|text| Some(text.to_owned()))]
    );
}

/// Checks the schema in the file, by which DuckDB and Spark recognize JSON.
#[tokio::test]
async fn parquet_schema_names_the_logical_types() {
    let all_types = AllTypes::new().await;
    let exported = all_types.export("format = \"parquet\"").await;
    let layout = parquet_layout(exported.file()).unwrap();
    assert!(layout.created_by.starts_with("downpipe version "), "{}", layout.created_by);
    for (column, kept) in all_types.columns.iter().zip(&layout.schema) {
        let logical = kept.logical.as_str();
        let expected = match column.kind.as_str() {
            "json" => "JSON",
            _ if is_binary(column) => "None",
            "float" | "double" => "None",
            "date" => "Date",
            "datetime" => "Timestamp(isAdjustedToUTC=false, timeUnit=microseconds",
            "timestamp" => "Timestamp(isAdjustedToUTC=true, timeUnit=microseconds",
            "decimal" => "Decimal(",
            _ if is_integer(column) => "Int(",
            _ => "String",
        };
        assert!(logical.starts_with(expected), "{} {}: {logical}", column.name, column.kind);
        assert!(kept.optional, "{}", column.name);
    }
}
