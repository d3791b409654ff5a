//! CSV and TSV, read by DuckDB and Python.

use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::export;
use downpipe_tests::readers::{csv_with_duckdb, csv_with_python};

use super::AllTypes;
use crate::fidelity::server_values::{self, Column, assert_read, changes, form};

/// Returns the expected text in CSV: the server's own.
fn in_csv(column: &Column, said: Option<&str>) -> Option<String> {
    said.map(|text| form(&column.kind, text))
}

async fn assert_csv_holds_every_type(format: &str, delimiter: char) {
    let all_types = AllTypes::new().await;
    let exported = all_types.export(&format!("format = \"{format}\"")).await;
    assert_eq!(changes(&exported.receipt), [""; 0]);

    let read = csv_with_duckdb(exported.file(), delimiter, "").unwrap();
    assert_eq!(read.columns, all_types.names());
    let read_as = |column: &Column, read: Option<&str>| read.map(|text| form(&column.kind, text));
    assert_read(
        "DuckDB",
        &all_types.columns,
        &all_types.said,
        &read.rows,
        |column, _, said| in_csv(column, said),
        |column, _, read| read_as(column, read.as_deref()),
    );
    // Python reads NULL as the empty text. This is the only difference.
    let read = csv_with_python(exported.file(), delimiter, "utf-8").unwrap();
    assert_eq!(read.columns, all_types.names());
    assert_read(
        "Python",
        &all_types.columns,
        &all_types.said,
        &read.rows,
        |column, _, said| in_csv(column, said).unwrap_or_default(),
        |column, _, read| {
            read_as(column, read.as_deref().filter(|text| !text.is_empty())).unwrap_or_default()
        },
    );
}

#[tokio::test]
async fn csv_holds_every_type() {
    assert_csv_holds_every_type("csv", ',').await;
}

#[tokio::test]
async fn tsv_holds_every_type() {
    assert_csv_holds_every_type("tsv", '\t').await;
}

/// The server shows six digits of a `FLOAT`, fewer than some have. The file has the shortest text
/// that reads back as the same number, and uses exponents at other limits.
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
    let shown = server_values::texts(&database, sql).await;
    let exact = server_values::texts(&database, "SELECT CAST(f AS DOUBLE), d FROM n ORDER BY id").await;
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
