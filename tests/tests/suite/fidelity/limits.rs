//! Tests the limits: the longest cell, the most columns, columns without names, and a type that
//! cannot be read.

use downpipe_core::error_chain::error_chain;
use downpipe_core::export::ExportError;
use downpipe_core::failure::{self, Disposition};
use downpipe_core::language::Language;
use downpipe_core::source::SourceError;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::{export, try_export};
use downpipe_tests::readers::{
    Kind, ParquetReader, Value, XlsxReader, csv_with_duckdb, csv_with_python, gunzip, jsonl_with_duckdb,
    jsonl_with_python, parquet, value, xlsx,
};
use sqlx::Row as _;

/// Exports a query losslessly, loads the file into an empty copy of the table, and compares the
/// two.
async fn assert_round_trip(database: &TestDatabase, sql: &str, table: &str) {
    let exported = export(database, sql, "profile = \"lossless\"").await;
    let receipt = &exported.receipt;
    database.execute(&format!("CREATE TABLE {table}_copy LIKE {table}")).await;
    let [session, load] = [&receipt.load_session, &receipt.load_data].map(|sql| sql.as_ref().unwrap());
    let loaded =
        database.load_data(&format!("{session};\n{load};"), exported.file(), &format!("{table}_copy")).await;
    let counts = format!("Records: {}  Deleted: 0  Skipped: 0  Warnings: 0", receipt.rows);
    assert_eq!(loaded.unwrap().counts, counts);
    let sums = database.query(&format!("CHECKSUM TABLE {table}, {table}_copy")).await;
    let [original, copy] = [0, 1].map(|at| sums[at].get::<i64, _>(1));
    assert_eq!(original, copy);
}

/// Checks that a text is 64 MiB of `x`.
fn assert_long(text: &str) {
    assert_eq!(text.len(), 64 * 1024 * 1024);
    assert!(text.bytes().all(|byte| byte == b'x'));
}

/// A value of 64 MiB, the longest by the server's default. The stack's server allows packets of a
/// gigabyte.
const LONG: &str = "SELECT 1 AS id, REPEAT('x', 64 * 1024 * 1024) AS x UNION ALL SELECT 2, 'short'";

#[tokio::test]
async fn long_cell_in_csv_is_whole() {
    let exported = export(&TestDatabase::create().await, LONG, "compression = \"gzip\"").await;
    let unpacked = exported.folder.path().join("unpacked.csv");
    std::fs::write(&unpacked, gunzip(exported.file()).unwrap()).unwrap();
    let read = csv_with_python(&unpacked, ',', "utf-8").unwrap();
    assert_long(read.rows[0][1].as_deref().unwrap());
    assert_eq!(read.rows[1][1].as_deref(), Some("short"));
}

#[tokio::test]
async fn long_cell_in_json_lines_is_whole() {
    let exported = export(&TestDatabase::create().await, LONG, "format = \"jsonl\"").await;
    let read = jsonl_with_python(exported.file()).unwrap();
    assert_eq!(read.rows[0][1].0, Kind::Text);
    assert_long(&read.rows[0][1].1);
    assert_eq!(read.rows[1][1], value(Kind::Text, "short"));
}

#[tokio::test]
async fn long_cell_in_parquet_is_whole() {
    let exported = export(&TestDatabase::create().await, LONG, "format = \"parquet\"").await;
    let read = parquet(exported.file(), ParquetReader::PyArrow).unwrap();
    assert_long(read.rows[0][1].as_deref().unwrap());
    assert_eq!(read.rows[1][1].as_deref(), Some("short"));
}

#[tokio::test]
async fn long_cell_loaded_back_is_equal() {
    let database = TestDatabase::create().await;
    let table =
        format!("CREATE TABLE long_cells (id INT PRIMARY KEY, x LONGTEXT); INSERT INTO long_cells {LONG}");
    database.execute(&table).await;
    assert_round_trip(&database, "SELECT id, x FROM long_cells ORDER BY id", "long_cells").await;
}

#[tokio::test]
async fn long_cell_in_a_workbook_is_refused() {
    let database = TestDatabase::create().await;
    let error = try_export(&database, LONG, "format = \"xlsx\"").await.unwrap_err();
    let words = "row 1, column \"x\": xlsx takes at most 32767 characters in a cell, got 67108864";
    assert_eq!(error_chain(&error), words);
    let (next, failure) = failure::of_export(&error);
    assert_eq!((next, failure.code.as_str()), (Disposition::Fail, "does_not_fit"));
    assert_eq!(
        failure.words(Language::En).message,
        format!("The result cannot be written in this format: {words}.")
    );
    assert_eq!(
        failure.words(Language::En).advice,
        "Ask for another format, such as csv, which takes every value."
    );
}

/// Builds a query of so many columns, each with its number as value. MySQL's limit of 4,096 applies
/// to tables only.
fn wide_query(columns: usize) -> String {
    let items: Vec<String> = (1..=columns).map(|number| format!("{number} AS c{number}")).collect();
    format!("SELECT {}", items.join(","))
}

#[tokio::test]
async fn result_of_4096_columns_is_whole_in_every_format() {
    const COLUMNS: usize = 4096;
    let database = TestDatabase::create().await;
    let sql = wide_query(COLUMNS);
    let names: Vec<String> = (1..=COLUMNS).map(|number| format!("c{number}")).collect();
    let numbers: Vec<String> = (1..=COLUMNS).map(|number| number.to_string()).collect();
    let texts: Vec<Option<String>> = numbers.iter().cloned().map(Some).collect();
    let values: Vec<Value> = numbers.iter().map(|number| value(Kind::Number, number)).collect();

    let read = csv_with_python(export(&database, &sql, "").await.file(), ',', "utf-8").unwrap();
    assert!(read.columns == names && read.rows == [texts.clone()]);
    let read = jsonl_with_python(export(&database, &sql, "format = \"jsonl\"").await.file()).unwrap();
    assert!(read.columns == names && read.rows == [values.clone()]);
    let exported = export(&database, &sql, "format = \"parquet\"").await;
    let read = parquet(exported.file(), ParquetReader::PyArrow).unwrap();
    assert!(read.columns == names && read.rows == [texts]);
    let exported = export(&database, &sql, "format = \"xlsx\"").await;
    let read = xlsx(exported.file(), XlsxReader::Openpyxl).unwrap();
    assert!(read[0].columns == names && read[0].rows == [values]);
}

/// MySQL's protocol counts columns in 16 bits.
#[tokio::test]
async fn result_beyond_the_column_limit_is_refused() {
    let database = TestDatabase::create().await;
    let exported = export(&database, &wide_query(65_535), "").await;
    let line = String::from_utf8(exported.bytes()).unwrap();
    assert!(line.ends_with(",65534,65535\n"));
    let error = try_export(&database, &wide_query(65_536), "").await.unwrap_err();
    assert_eq!(failure::of_export(&error).0, Disposition::Fail, "{error:?}");

    let error = try_export(&database, &wide_query(16_385), "format = \"xlsx\"").await.unwrap_err();
    assert_eq!(error_chain(&error), "columns: xlsx takes at most 16384, got 16385");
    assert_eq!(failure::of_export(&error).1.code, "does_not_fit");
}

/// An `InnoDB` table has at most 1,017 columns.
#[tokio::test]
async fn widest_table_loaded_back_is_equal() {
    let database = TestDatabase::create().await;
    let columns: Vec<String> = (2..=1017).map(|number| format!("c{number} INT")).collect();
    let values: Vec<String> = (2..=1017).map(|number| format!("{number}")).collect();
    let (columns, values) = (columns.join(","), values.join(","));
    database
        .execute(&format!(
            "CREATE TABLE wide (id INT PRIMARY KEY, {columns}); INSERT INTO wide VALUES (1, {values}), (2, {values});
             INSERT INTO wide (id) VALUES (3)"
        ))
        .await;
    assert_round_trip(&database, "SELECT * FROM wide ORDER BY id", "wide").await;
}

/// A header repeats the query's names. In formats that need unique names, later duplicates are
/// numbered.
#[tokio::test]
async fn columns_of_the_same_or_no_name_are_numbered_where_names_must_differ() {
    const NAMES: &str = "SELECT 1 AS a, 2 AS a, 3 AS ``, 4 AS ``, 5 AS A, 6 AS `a (2)`, 7 AS '日本'";
    let database = TestDatabase::create().await;
    let exported_as = async |format: &str| export(&database, NAMES, &format!("format = \"{format}\"")).await;
    let texts = ["1", "2", "3", "4", "5", "6", "7"].map(|text| Some(text.to_owned()));
    let values = texts.clone().map(|text| value(Kind::Number, &text.unwrap()));

    let csv = exported_as("csv").await;
    let as_they_are = ["a", "a", "", "", "A", "a (2)", "日本"];
    // DuckDB and Spark treat `a` and `A` as the same name.
    let unique = ["a", "a (2)", "column 3", "column 4", "A (3)", "a (2) (2)", "日本"];
    assert_eq!(csv.receipt.columns, as_they_are);
    let read = csv_with_python(csv.file(), ',', "utf-8").unwrap();
    assert_eq!(
        (read.columns.as_slice(), &read.rows[0][..]),
        (&as_they_are.map(str::to_owned)[..], &texts[..])
    );

    let file = exported_as("jsonl").await;
    let read = jsonl_with_python(file.file()).unwrap();
    assert_eq!(read.columns, unique);
    assert_eq!(read.rows[0], values);
    let read = jsonl_with_duckdb(file.file()).unwrap();
    assert_eq!(read.columns, unique);
    assert_eq!(read.rows[0], texts);

    let workbook = exported_as("xlsx").await;
    let sheet = &xlsx(workbook.file(), XlsxReader::Openpyxl).unwrap()[0];
    assert_eq!(sheet.columns, as_they_are);
    assert_eq!(sheet.rows[0], values);

    let file = exported_as("parquet").await;
    let read = parquet(file.file(), ParquetReader::PyArrow).unwrap();
    assert_eq!(read.columns, unique);
    assert_eq!(read.rows[0], texts);
    let read = parquet(file.file(), ParquetReader::DuckDb).unwrap();
    assert_eq!(read.columns, unique);
    assert_eq!(read.rows[0], texts);
}

#[tokio::test]
async fn vector_column_is_refused_unless_the_query_converts_it() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE embeddings (id INT PRIMARY KEY, v VECTOR(4));
             INSERT INTO embeddings VALUES (1, STRING_TO_VECTOR('[1, 2.5, -3e10, 0]')), (2, NULL)",
        )
        .await;
    let error = try_export(&database, "SELECT id, v FROM embeddings", "").await.unwrap_err();
    assert!(matches!(error, ExportError::Source(SourceError::UnknownType(_))), "{error:?}");
    let (next, failure) = failure::of_export(&error);
    assert_eq!((next, failure.code.as_str()), (Disposition::Fail, "unknown_type"));
    assert_eq!(
        failure.words(Language::En).message,
        "The query returns a column of a type that cannot be read, such as VECTOR."
    );
    assert!(
        failure.words(Language::En).advice.contains("VECTOR_TO_STRING(column)"),
        "{}",
        failure.words(Language::En).advice
    );
    assert!(
        failure.words(Language::En).advice.contains("CAST(column AS BINARY)"),
        "{}",
        failure.words(Language::En).advice
    );

    let sql = "SELECT id, VECTOR_TO_STRING(v) AS v FROM embeddings ORDER BY id";
    let exported = export(&database, sql, "").await;
    let read = csv_with_duckdb(exported.file(), ',', "").unwrap();
    let shown = "[1.00000e+00,2.50000e+00,-3.00000e+10,0.00000e+00]";
    let rows = [[Some("1"), Some(shown)], [Some("2"), None]];
    assert_eq!(read.rows, rows.map(|row| row.map(|text| text.map(str::to_owned))));
    // The bytes as stored by the server: four numbers of four bytes each.
    assert_round_trip(
        &database,
        "SELECT id, CAST(v AS BINARY) AS v FROM embeddings ORDER BY id",
        "embeddings",
    )
    .await;
}
