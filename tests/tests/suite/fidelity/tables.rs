//! Every type in every format, read by other people's software and compared value by value with what the server says.
//!
//! Where a value cannot arrive as it is, because the format or its reader has no such value, the test says which and why.

use std::path::Path;

use downpipe_core::failure::chain;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::{Exported, export, try_export};
use downpipe_tests::readers::{
    Kind, ParquetReader, Sheet, Table, Value, XlsxReader, csv_with_duckdb, csv_with_python,
    jsonl_with_duckdb, jsonl_with_python, parquet, parquet_layout, value, xlsx,
};
use downpipe_tests::zoo;

use super::said::{
    self, Column, Rows, assert_read, changes, form, is_binary, microseconds, moment, said, without_zeros,
};

/// Dates that are none, by column and row: `0000-00-00`, `2026-02-31`, `2026-02-00`.
const NO_DATES: [(&str, usize); 6] =
    [("day", 0), ("day", 2), ("at", 0), ("at", 2), ("at6", 0), ("stamp6", 0)];

struct Zoo {
    database: TestDatabase,
    columns: Vec<Column>,
    said: Rows,
}

impl Zoo {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The zoo, but with something made from these columns instead of them; `{}` is the column.
    async fn with(expressions: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        database.execute(&zoo::statements(Server::MySql)).await;
        let names = format!("{}, doubled, stored_", zoo::names(Server::MySql));
        let mut columns = said::columns(&database, "zoo", &names).await;
        for (name, expression) in expressions {
            let column = columns.iter_mut().find(|column| column.name == *name).unwrap();
            column.expression = expression.replace("{}", name);
        }
        let said = said(&database, &columns, "zoo").await;
        Self { database, columns, said }
    }

    async fn export(&self, output: &str) -> Exported {
        export(&self.database, &said::select(&self.columns, "zoo"), output).await
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

fn is_integer(column: &Column) -> bool {
    ["tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"].contains(&column.kind.as_str())
}

/// What CSV has of a value: the server's own text.
fn in_csv(column: &Column, said: Option<&str>) -> Option<String> {
    said.map(|text| form(&column.kind, text))
}

async fn csv_holds_the_zoo(format: &str, delimiter: char) {
    let zoo = Zoo::new().await;
    let exported = zoo.export(&format!("format = \"{format}\"")).await;
    assert_eq!(changes(&exported.receipt), [""; 0]);

    let read = csv_with_duckdb(exported.file(), delimiter, "").unwrap();
    assert_eq!(read.columns, zoo.names());
    let read_as = |column: &Column, read: Option<&str>| read.map(|text| form(&column.kind, text));
    assert_read(
        "DuckDB",
        &zoo.columns,
        &zoo.said,
        &read.rows,
        |column, _, said| in_csv(column, said),
        |column, _, read| read_as(column, read.as_deref()),
    );
    // Python does not tell NULL from the empty text; there is nothing else that it cannot.
    let read = csv_with_python(exported.file(), delimiter, "utf-8").unwrap();
    assert_eq!(read.columns, zoo.names());
    assert_read(
        "Python",
        &zoo.columns,
        &zoo.said,
        &read.rows,
        |column, _, said| in_csv(column, said).unwrap_or_default(),
        |column, _, read| {
            read_as(column, read.as_deref().filter(|text| !text.is_empty())).unwrap_or_default()
        },
    );
}

#[tokio::test]
async fn csv_holds_every_type() {
    csv_holds_the_zoo("csv", ',').await;
}

#[tokio::test]
async fn tsv_holds_every_type() {
    csv_holds_the_zoo("tsv", '\t').await;
}

/// The server shows six digits of a `FLOAT`, which is less than some have. The file has the shortest text that reads back as the
/// very same number, and goes over to exponents elsewhere.
#[tokio::test]
async fn binary_numbers_are_written_in_full() {
    let database = TestDatabase::create().await;
    let values = ["0.1", "1234567.9", "16777216", "0.00001", "0.00000123", "1e15", "1e17", "-2.5"];
    let rows: Vec<String> =
        values.iter().enumerate().map(|(at, value)| format!("({at}, {value}, {value})")).collect();
    database
        .execute(&format!(
            "CREATE TABLE n (id INT, f FLOAT, d DOUBLE); INSERT INTO n VALUES {}",
            rows.join(",")
        ))
        .await;
    let sql = "SELECT f, d FROM n ORDER BY id";
    let shown = said::texts(&database, sql).await;
    let exact = said::texts(&database, "SELECT CAST(f AS DOUBLE), d FROM n ORDER BY id").await;
    let exported = export(&database, sql, "").await;
    let written = csv_with_python(exported.file(), ',', "utf-8").unwrap().rows;
    let mut different = Vec::new();
    for ((shown, exact), written) in
        shown.iter().flatten().zip(exact.iter().flatten()).zip(written.iter().flatten())
    {
        let [shown, exact, written] = [shown, exact, written].map(|text| text.as_deref().unwrap());
        let is_same = written.parse::<f64>() == exact.parse::<f64>()
            || written.parse::<f32>().map(f64::from) == exact.parse::<f64>();
        assert!(is_same, "{written} for {exact}");
        if written != shown {
            different.push((shown, written));
        }
    }
    assert_eq!(
        different,
        [
            ("1234570", "1234567.9"),
            ("16777200", "16777216"),
            ("0.00000123", "1.23e-6"),
            ("0.00000123", "1.23e-6"),
            ("1e15", "1000000000000000"),
            ("1e15", "1000000000000000"),
        ]
    );
}

#[tokio::test]
async fn json_lines_hold_every_type() {
    let zoo = Zoo::new().await;
    let exported = zoo.export("format = \"jsonl\"").await;
    assert_eq!(changes(&exported.receipt), [""; 0]);

    assert_json_lines(&zoo.columns, &zoo.said, exported.file());

    let read = jsonl_with_duckdb(exported.file()).unwrap();
    assert_eq!(read.columns, zoo.names());
    let type_of = |column: &Column| {
        read.types[zoo.names().iter().position(|name| *name == column.name).unwrap()].as_str()
    };
    assert_read(
        "DuckDB",
        &zoo.columns,
        &zoo.said,
        &read.rows,
        |column, _, said| {
            let said = said?;
            Some(match type_of(column) {
                // It takes every number with a point or with more digits than 128 bits have for a double.
                "DOUBLE" => form("double", &form(&column.kind, said)),
                // What looks like a moment in all rows is one to it.
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
    let doubles: Vec<&str> =
        zoo.columns.iter().filter(|column| type_of(column) == "DOUBLE").map(|c| c.name.as_str()).collect();
    assert_eq!(doubles, ["exact", "money", "whole", "udecimal", "f", "d"]);
}

/// What Python reads of a file is what the server says.
pub(super) fn assert_json_lines(columns: &[Column], said: &Rows, file: &Path) {
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

/// What JSON has of a value: numbers without the zeros that `ZEROFILL` puts in front, for no number of JSON begins with one.
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
            // JSON's own null is that of a column without a value.
            serde_json::Value::Null => value(Kind::Null, ""),
            _ => value(Kind::Json, &form("json", said)),
        },
        _ => value(Kind::Text, said),
    }
}

/// A cell takes 32,767 characters, and these columns have more.
const CUT: [(&str, &str); 4] = [
    ("mediumt", "LEFT({}, 32767)"),
    ("longt", "LEFT({}, 32767)"),
    ("mediumb", "LEFT({}, 16383)"),
    ("longb", "LEFT({}, 16383)"),
];

/// Dates that a spreadsheet cannot count: those that are none, those before March 1900, and the last microsecond of 9999.
const NO_SHEET_DATES: [(&str, usize); 9] = [
    ("day", 0),
    ("day", 2),
    ("at", 0),
    ("at", 2),
    ("at3", 0),
    ("at3", 2),
    ("at6", 0),
    ("at6", 1),
    ("stamp6", 0),
];

/// Times of which openpyxl, as a spreadsheet, shows no more than milliseconds.
const ROUNDED: [(&str, usize, &str); 4] = [
    ("at6", 2, "2026-06-15T12:34:56.000000"),
    ("stamp6", 1, "2038-01-19T03:14:08.000000"),
    ("stamp6", 2, "1970-01-01T00:00:01.000000"),
    ("t6", 1, "838:59:59.000000"),
];

#[tokio::test]
async fn workbooks_hold_every_type() {
    let zoo = Zoo::new().await;
    let refused = try_export(&zoo.database, &said::select(&zoo.columns, "zoo"), "format = \"xlsx\"").await;
    assert_eq!(
        chain(&refused.unwrap_err()),
        "row 2, column \"mediumt\": xlsx takes at most 32767 characters in a cell, got 70000"
    );

    let zoo = Zoo::with(&CUT).await;
    let exported = zoo.export("format = \"xlsx\"").await;
    assert_eq!(
        changes(&exported.receipt),
        [
            "at: dates_as_text 2",
            "at3: dates_as_text 2",
            "at6: dates_as_text 2",
            "at6: microseconds_hidden 1",
            "b64: numbers_as_text 2",
            "big: numbers_as_text 2",
            "bigfilled: numbers_as_text 3",
            "day: dates_as_text 2",
            "exact: numbers_as_text 2",
            "stamp6: dates_as_text 1",
            "stamp6: microseconds_hidden 2",
            "t: dates_as_text 2",
            "t6: dates_as_text 2",
            "t6: microseconds_hidden 1",
            "ubig: numbers_as_text 1",
            "whole: numbers_as_text 2",
        ]
    );
    for reader in [XlsxReader::Openpyxl, XlsxReader::Pandas] {
        let sheet = the_sheet(&exported, reader);
        assert_eq!(sheet.columns, zoo.names());
        assert_read(
            &format!("{reader:?}"),
            &zoo.columns,
            &zoo.said,
            &sheet.rows,
            |column, row, said| match in_sheet(column, row, said) {
                // It knows no days, only moments.
                Value(Kind::Date, day) if reader == XlsxReader::Pandas => {
                    value(Kind::DateTime, &format!("{day}T00:00:00.000000"))
                }
                value => value,
            },
            |column, _, Value(kind, text)| match kind {
                Kind::Number => {
                    value(*kind, &form(if column.kind == "float" { "float" } else { "double" }, text))
                }
                _ => value(*kind, text),
            },
        );
    }
}

/// What a sheet has of a value.
fn in_sheet(column: &Column, row: usize, said: Option<&str>) -> Value {
    // An empty text is an empty cell; the two are the same to whoever looks at a sheet.
    let Some(said) = said.filter(|text| !text.is_empty()) else { return value(Kind::Null, "") };
    if let Some((.., shown)) = ROUNDED.iter().find(|(name, at, _)| column.name == *name && row == *at) {
        return value(if column.kind == "time" { Kind::Duration } else { Kind::DateTime }, shown);
    }
    let is_no_date = NO_SHEET_DATES.contains(&(column.name.as_str(), row));
    match column.kind.as_str() {
        "date" if !is_no_date => value(Kind::Date, said),
        "datetime" | "timestamp" if !is_no_date => value(Kind::DateTime, &moment(said)),
        // Excel shows a negative time as ######.
        "time" if !said.starts_with('-') => value(Kind::Duration, &microseconds(said)),
        "float" => value(Kind::Number, &form("float", said)),
        "double" => value(Kind::Number, &form("double", said)),
        // Excel keeps 15 digits. Zeros in front are digits of an integer, as ZEROFILL wants it, but not of a fraction.
        "decimal" if significant(said) <= 15 => value(Kind::Number, &form("double", said)),
        _ if is_integer(column) && said.trim_start_matches('-').len() <= 15 => {
            value(Kind::Number, &form("double", said))
        }
        // XML has no control characters; Excel and LibreOffice read these escapes, openpyxl shows them.
        "varchar" => value(
            Kind::Text,
            &said.replace('\r', "_x000D_").replace('\0', "_x0000_").replace('\u{7}', "_x0007_"),
        ),
        _ => value(Kind::Text, said),
    }
}

fn significant(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').len()
}

fn the_sheet(exported: &Exported, reader: XlsxReader) -> Sheet {
    let mut sheets = xlsx(exported.file(), reader).unwrap();
    assert_eq!(sheets.len(), 1);
    sheets.remove(0)
}

#[tokio::test]
async fn workbooks_are_made_to_be_looked_at() {
    let zoo = Zoo::new().await;
    let names = "id, big, filled, y, money, udecimal, d, day, at, at3, at6, stamp, t, t6, v";
    let sql = format!("SELECT {names}, v AS `見出しの幅は見出しの文字の幅で決まる` FROM zoo WHERE id = 2");
    let exported = export(&zoo.database, &sql, "format = \"xlsx\"").await;
    let sheet = the_sheet(&exported, XlsxReader::Openpyxl);
    assert_eq!((sheet.name.as_str(), sheet.frozen.as_deref()), ("Export", Some("A2")));
    let formats: Vec<(&str, &str)> = sheet
        .columns
        .iter()
        .zip(&sheet.formats)
        .map(|(column, format)| (column.as_str(), format.as_deref().unwrap()))
        .collect();
    assert_eq!(
        formats[..14],
        [
            ("id", "0"),
            ("big", "General"),
            ("filled", "000000"),
            ("y", "0000"),
            ("money", "0.00"),
            ("udecimal", "0.0000"),
            ("d", "General"),
            ("day", "yyyy-mm-dd"),
            ("at", "yyyy-mm-dd hh:mm:ss"),
            ("at3", "yyyy-mm-dd hh:mm:ss.000"),
            ("at6", "General"),
            ("stamp", "yyyy-mm-dd hh:mm:ss"),
            ("t", "[h]:mm:ss"),
            ("t6", "[h]:mm:ss.000"),
        ]
    );
    let width = |column: u32| {
        let (.., width) =
            sheet.widths.iter().find(|(first, last, _)| (*first..=*last).contains(&column)).unwrap();
        // The file has the room for the cell's edges in it.
        width.floor()
    };
    let widths: Vec<f64> = (1..=16).map(width).collect();
    // The last is a heading of 18 characters that are twice as wide as a digit.
    assert_eq!(widths, [20., 20., 11., 8., 15., 13., 16., 11., 20., 23., 26., 20., 11., 17., 20., 38.]);
}

#[tokio::test]
async fn parquet_holds_every_type() {
    let zoo = Zoo::new().await;
    let exported = zoo.export("format = \"parquet\"").await;
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
    assert_parquet(&zoo, "PyArrow", &table);

    // DuckDB's decimals end at 38 digits, and its doubles are not the nearest ones.
    let table = parquet(exported.file(), ParquetReader::DuckDb).unwrap();
    let exact = zoo.names().iter().position(|name| *name == "exact").unwrap();
    assert_eq!(table.types[exact], "DOUBLE");
    let expected = [Some("-1e+35"), Some("1e+35"), Some("9.999999999999999e-31"), None];
    assert_eq!(table.rows.iter().map(|row| row[exact].as_deref()).collect::<Vec<_>>(), expected);
    let mut without = Zoo { columns: zoo.columns.clone(), said: zoo.said.clone(), ..zoo };
    let mut table = table;
    without.columns.remove(exact);
    table.columns.remove(exact);
    table.types.remove(exact);
    for rows in [&mut without.said, &mut table.rows] {
        rows.iter_mut().for_each(|row| drop(row.remove(exact)));
    }
    assert_parquet(&without, "DuckDB", &table);
}

/// Beside the types themselves: a `DECIMAL` with a point may be one digit wider than in MySQL, for the server counts the point
/// in; `BIT` is a number; `TIME` is text, for Parquet's is a time of day; `ENUM` and `SET` are text.
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
    ("money", "decimal128(13, 2)"),
    ("whole", "decimal128(20, 0)"),
    ("udecimal", "decimal128(11, 4)"),
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

fn assert_parquet(zoo: &Zoo, what: &str, table: &Table) {
    assert_eq!(table.columns, zoo.names());
    assert_read(what, &zoo.columns, &zoo.said, &table.rows, in_parquet, |column, _, read| {
        read.as_deref().map(|text| form(&column.kind, text))
    });
}

/// What Parquet has of a value of the zoo. A date that is none is `NULL`.
fn in_parquet(column: &Column, row: usize, said: Option<&str>) -> Option<String> {
    let said = said.filter(|_| !NO_DATES.contains(&(column.name.as_str(), row)))?;
    Some(as_parquet(column, said))
}

/// What Parquet has of a value, in the readers' words.
pub(super) fn as_parquet(column: &Column, said: &str) -> String {
    match column.kind.as_str() {
        _ if is_integer(column) => without_zeros(said).to_owned(),
        "datetime" => moment(said),
        "timestamp" => format!("{}Z", moment(said)),
        kind => form(kind, said),
    }
}

/// What a person with a notebook has: the same, but for integers with a `NULL` among them. pandas makes doubles of these, and
/// only a column without any keeps all digits.
#[tokio::test]
async fn notebooks_read_parquet() {
    let zoo = Zoo::new().await;
    let exported = zoo.export("format = \"parquet\"").await;
    let table = parquet(exported.file(), ParquetReader::Pandas).unwrap();
    assert_eq!(table.columns, zoo.names());
    let is_float = |column: &Column| is_integer(column) && column.name != "id";
    assert_read(
        "pandas",
        &zoo.columns,
        &zoo.said,
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
    let sql = "SELECT big, ubig, bigfilled, b64 FROM zoo WHERE id = 2";
    let exported = export(&zoo.database, sql, "format = \"parquet\"").await;
    let table = parquet(exported.file(), ParquetReader::Pandas).unwrap();
    assert_eq!(table.types, ["int64", "uint64", "uint64", "uint64"]);
    assert_eq!(
        table.rows,
        [["9223372036854775807", "18446744073709551615", "18446744073709551615", "18446744073709551615"]
            .map(|text| Some(text.to_owned()))]
    );
}

/// The schema as the file has it, and not as a reader shows it: DuckDB and Spark know JSON by it.
#[tokio::test]
async fn parquet_says_what_its_columns_are() {
    let zoo = Zoo::new().await;
    let exported = zoo.export("format = \"parquet\"").await;
    let layout = parquet_layout(exported.file()).unwrap();
    assert!(layout.created_by.starts_with("downpipe version "), "{}", layout.created_by);
    for (column, kept) in zoo.columns.iter().zip(&layout.schema) {
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
