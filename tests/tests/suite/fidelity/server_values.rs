//! Reads a query's values from the server independently of Downpipe: in the text protocol, and with
//! MySQL's own `HEX()` and `CAST()`.

use std::fmt::Debug;

use downpipe_core::job::Receipt;
use downpipe_tests::database::TestDatabase;
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row as _};

/// The server's text of each value, row by row; `None` is `NULL`.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// A column of a query.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The `DATA_TYPE` in the server's catalogue: `int`, `varchar`, …
    pub(super) kind: String,
    /// The selected expression: the column, or an expression of the same type.
    pub(super) expression: String,
}

/// Returns the columns of a table with these names, in this order.
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

/// Builds the query for an export of these columns.
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

/// Reads the server's values of these columns. Bytes are hexadecimal and `BIT` is a number. A
/// `FLOAT` is read as a double, because its text has only six digits.
pub(super) async fn server_values(database: &TestDatabase, columns: &[Column], table: &str) -> Rows {
    let item = |column: &Column| match (is_binary(column), column.kind.as_str()) {
        (true, _) => format!("HEX({})", column.expression),
        (_, "bit") => format!("CAST({} AS UNSIGNED)", column.expression),
        (_, "float") => format!("CAST({} AS DOUBLE)", column.expression),
        _ => column.expression.clone(),
    };
    let items: Vec<String> = columns.iter().map(item).collect();
    texts(database, &format!("SELECT {} FROM {table} ORDER BY id", items.join(", "))).await
}

/// Reads a query's values as the server writes them.
pub(super) async fn texts(database: &TestDatabase, sql: &str) -> Rows {
    // sqlx decodes a zero date as NULL, but not as bytes.
    let text = |row: &MySqlRow, at| {
        let bytes = <&[u8] as Decode<MySql>>::decode(row.try_get_raw(at).unwrap()).ok()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    };
    let rows = database.query(sql).await;
    rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
}

/// Returns whether a column's values have no character set.
pub(super) fn is_binary(column: &Column) -> bool {
    ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point"]
        .contains(&column.kind.as_str())
}

/// Returns a canonical form of a value. The server, JSON and Python write numbers in different
/// ways, and blanks have no meaning in JSON.
pub(super) fn form(kind: &str, text: &str) -> String {
    match kind {
        "float" => format!("{:e}", text.parse::<f32>().unwrap()),
        "double" => format!("{:e}", text.parse::<f64>().unwrap()),
        "json" => serde_json::from_str::<serde_json::Value>(text).unwrap().to_string(),
        _ => text.to_owned(),
    }
}

/// Removes the zeros that `ZEROFILL` puts in front of a number.
pub(super) fn without_zeros(text: &str) -> &str {
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// Converts `2026-01-31 23:59:59.5` to the readers' form `2026-01-31T23:59:59.500000`.
pub(super) fn moment(text: &str) -> String {
    let (date, time) = text.split_once(' ').unwrap();
    format!("{date}T{}", microseconds(time))
}

/// Extends the fraction of `23:59:59.5` to six digits.
pub(super) fn microseconds(time: &str) -> String {
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds}.{fraction:0<6}")
}

/// Returns the receipt's changes as lines such as `column: what 2`.
pub(super) fn changes(receipt: &Receipt) -> Vec<String> {
    let of_column = |(column, counts): (&String, &serde_json::Value)| {
        let counts = counts.as_object().unwrap();
        counts.iter().map(|(what, count)| format!("{column}: {what} {count}")).collect::<Vec<_>>()
    };
    receipt.changes.iter().flat_map(of_column).collect()
}

/// Compares a reader's values with the expected ones. Both closures get the row's number, from 0.
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
                // Long values are cut.
                let show = |value: &E| format!("{value:?}").chars().take(300).collect::<String>();
                let (expected, read) = (show(&expected), show(&read));
                wrong.push(format!("row {row}, {} {}: {expected}, read {read}", column.name, column.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{what}: expected\n{}", wrong.join("\n"));
}
