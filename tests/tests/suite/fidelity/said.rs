//! What the server itself says of a query's values: in the text protocol, which Downpipe does not use, and with MySQL's own
//! `HEX()` and `CAST()`.

use std::fmt::Debug;

use downpipe_core::receipt::Receipt;
use downpipe_tests::database::TestDatabase;
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row as _};

/// Values in the server's words, row by row; `None` is `NULL`.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// A column of a query.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// `DATA_TYPE` of the server's own catalogue: `int`, `varchar`, …
    pub(super) kind: String,
    /// What the query selects: the column, or something of the same type made from it.
    pub(super) expression: String,
}

/// The columns of a table that have these names, in this order.
pub(super) async fn columns(database: &TestDatabase, table: &str, names: &str) -> Vec<Column> {
    let sql = format!(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND table_name = '{table}'"
    );
    let known = texts(database, &sql).await;
    let column = |name: &str| {
        let row = known.iter().find(|row| row[0].as_deref() == Some(name)).unwrap();
        Column { name: name.to_owned(), kind: row[1].clone().unwrap(), expression: quoted(name) }
    };
    names.split(", ").map(column).collect()
}

/// The query for an export of these columns.
pub(super) fn select(columns: &[Column], table: &str) -> String {
    let item = |column: &Column| match column.expression == quoted(&column.name) {
        true => column.expression.clone(),
        false => format!("{} AS {}", column.expression, quoted(&column.name)),
    };
    let items: Vec<String> = columns.iter().map(item).collect();
    format!("SELECT {} FROM {table} ORDER BY id", items.join(", "))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What the server says of them. Bytes are hexadecimal, `BIT` is a number, and a `FLOAT` is the very number that is stored: its
/// text has only six digits of it.
pub(super) async fn said(database: &TestDatabase, columns: &[Column], table: &str) -> Rows {
    let item = |column: &Column| match (is_binary(column), column.kind.as_str()) {
        (true, _) => format!("HEX({})", column.expression),
        (_, "bit") => format!("CAST({} AS UNSIGNED)", column.expression),
        (_, "float") => format!("CAST({} AS DOUBLE)", column.expression),
        _ => column.expression.clone(),
    };
    let items: Vec<String> = columns.iter().map(item).collect();
    texts(database, &format!("SELECT {} FROM {table} ORDER BY id", items.join(", "))).await
}

/// A query's values as the server writes them.
pub(super) async fn texts(database: &TestDatabase, sql: &str) -> Rows {
    // sqlx takes a zero date for NULL, but not when it is asked for the bytes.
    let text = |row: &MySqlRow, at| {
        let bytes = <&[u8] as Decode<MySql>>::decode(row.try_get_raw(at).unwrap()).ok()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    };
    let rows = database.query(sql).await;
    rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
}

/// Whether a column's values have no character set.
pub(super) fn is_binary(column: &Column) -> bool {
    ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point"]
        .contains(&column.kind.as_str())
}

/// A value in a form in which the same values are the same text. The server, JSON and Python write a number in different ways,
/// and JSON does not mind blanks.
pub(super) fn form(kind: &str, text: &str) -> String {
    match kind {
        "float" => format!("{:e}", text.parse::<f32>().unwrap()),
        "double" => format!("{:e}", text.parse::<f64>().unwrap()),
        "json" => serde_json::from_str::<serde_json::Value>(text).unwrap().to_string(),
        _ => text.to_owned(),
    }
}

/// A whole number without the zeros that `ZEROFILL` has put in front.
pub(super) fn without_zeros(text: &str) -> &str {
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// `2026-01-31 23:59:59.5` as the readers write moments: `2026-01-31T23:59:59.500000`.
pub(super) fn moment(text: &str) -> String {
    let (date, time) = text.split_once(' ').unwrap();
    format!("{date}T{}", microseconds(time))
}

/// `23:59:59.5` with all six digits of the fraction.
pub(super) fn microseconds(time: &str) -> String {
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds}.{fraction:0<6}")
}

/// The receipt's changes: `column: what 2`.
pub(super) fn changes(receipt: &Receipt) -> Vec<String> {
    let of_column = |(column, counts): (&String, &serde_json::Value)| {
        let counts = counts.as_object().unwrap();
        counts.iter().map(|(what, count)| format!("{column}: {what} {count}")).collect::<Vec<_>>()
    };
    receipt.changes.iter().flat_map(of_column).collect()
}

/// Compares what a reader has read with what must be there, value by value. Both closures are told the row, from 0.
pub(super) fn assert_read<T, E: PartialEq + Debug>(
    what: &str,
    columns: &[Column],
    said: &Rows,
    read: &[Vec<T>],
    expected: impl Fn(&Column, usize, Option<&str>) -> E,
    read_as: impl Fn(&Column, usize, &T) -> E,
) {
    assert_eq!(read.len(), said.len(), "{what}: rows");
    let mut wrong = Vec::new();
    for (row, (said, read)) in said.iter().zip(read).enumerate() {
        assert_eq!(read.len(), columns.len(), "{what}: row {row}");
        for ((column, said), read) in columns.iter().zip(said).zip(read) {
            let (expected, read) = (expected(column, row, said.as_deref()), read_as(column, row, read));
            if expected != read {
                // Some values are long.
                let show = |value: &E| format!("{value:?}").chars().take(300).collect::<String>();
                let (expected, read) = (show(&expected), show(&read));
                wrong.push(format!("row {row}, {} {}: {expected}, read {read}", column.name, column.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{what}: expected\n{}", wrong.join("\n"));
}
