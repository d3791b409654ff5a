//! Tests that files give other programs no occasion to change values silently.

use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::export;
use downpipe_tests::readers::{
    Import, Kind, ParquetReader, RowCounts, Value, XlsxReader, csv_row_counts, decompressed_with_python,
    jsonl_with_duckdb, parquet, shown_in_office, xlsx,
};

use super::server_values::changes;

/// pandas, Arrow and Python's csv skip blank lines. A `NULL` or a text of blanks in the only column
/// would be one.
#[tokio::test]
async fn single_column_keeps_all_rows_in_every_reader() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE one (id INT PRIMARY KEY, v VARCHAR(10), n INT);
             INSERT INTO one VALUES (1, 'a', 1), (2, NULL, NULL), (3, '', 3), (4, NULL, NULL), (5, 'b', 5), (6, NULL, NULL), (7, '  ', 7)",
        )
        .await;
    let seven = RowCounts { pandas: 7, pyarrow: 7, dict_reader: 7 };
    for (profile, encoding) in [("plain", "utf-8"), ("excel", "utf-8"), ("excel-cp932", "cp932")] {
        for (format, delimiter) in [("csv", ','), ("tsv", '\t')] {
            for column in ["v", "n"] {
                let output = format!("profile = \"{profile}\"\nformat = \"{format}\"");
                let sql = format!("SELECT {column} FROM one ORDER BY id");
                let exported = export(&database, &sql, &output).await;
                let counts = csv_row_counts(exported.file(), delimiter, encoding).unwrap();
                assert_eq!(counts, seven, "{output} {column}");
                assert_eq!(changes(&exported.receipt), [format!("{column}: nulls_as_empty 3")]);
            }
        }
    }
    // With the others hidden, one column is left.
    let hidden = "[columns.id]\nhide = true\n[columns.n]\nhide = true";
    let exported = export(&database, "SELECT * FROM one ORDER BY id", hidden).await;
    assert_eq!(csv_row_counts(exported.file(), ',', "utf-8"), Ok(seven));
    // `lossless` writes NULL as text, and two columns have a delimiter between them.
    for (sql, output) in [("SELECT v FROM one", "profile = \"lossless\""), ("SELECT v, n FROM one", "")] {
        let exported = export(&database, sql, output).await;
        assert_eq!(csv_row_counts(exported.file(), ',', "utf-8"), Ok(seven), "{sql}");
        assert_eq!(changes(&exported.receipt), [""; 0]);
    }
}

/// Excel reads a file that begins with an unquoted `ID` as SYLK, and refuses it.
#[tokio::test]
async fn csv_that_begins_with_id_is_not_read_as_sylk() {
    let database = TestDatabase::create().await;
    let sql = "SELECT 1 AS ID, 'x' AS name";
    let no_mark = "profile = \"p\"\n[profiles.p]\nbase = \"excel\"\nbyte_order_mark = false";
    for output in ["profile = \"excel-cp932\"", no_mark] {
        let exported = export(&database, sql, output).await;
        assert_eq!(String::from_utf8(exported.bytes()).unwrap(), "\"ID\",name\r\n1,x\r\n");
        let shown = shown_in_office(exported.file(), Import::ByName).unwrap();
        assert_eq!(shown.columns, ["ID", "name"]);
    }
}

/// Every reader rounds a workbook's times, to the millisecond at best.
#[tokio::test]
async fn last_instant_of_a_day_is_shown_in_its_day() {
    let database = TestDatabase::create().await;
    let sql = "SELECT CAST('2026-02-28 23:59:59.999999' AS DATETIME(6)) AS d, CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)) AS last, \
               CAST('23:59:59.999999' AS TIME(6)) AS t";
    let exported = export(&database, sql, "format = \"xlsx\"").await;
    assert_eq!(
        changes(&exported.receipt),
        ["d: microseconds_hidden 1", "last: microseconds_hidden 1", "t: microseconds_hidden 1"]
    );
    let shown = shown_in_office(exported.file(), Import::ByName).unwrap();
    let expected = ["2026-02-28 23:59:59.999", "9999-12-31 23:59:59.999", "23:59:59.999"];
    assert_eq!(shown.rows[0], expected.map(|text| Some(text.to_owned())));
    for reader in [XlsxReader::Openpyxl, XlsxReader::Pandas] {
        let sheet = &xlsx(exported.file(), reader).unwrap()[0];
        let Value(kind, text) = &sheet.rows[0][0];
        assert_eq!((*kind, text.as_str()), (Kind::DateTime, "2026-02-28T23:59:59.999000"), "{reader:?}");
        assert_eq!(sheet.rows[0][1].1, "9999-12-31T23:59:59.999000", "{reader:?}");
    }
}

/// Spark refuses a file with two names that differ only in case, and `DuckDB` renames one.
#[tokio::test]
async fn names_that_differ_in_case_only_are_made_distinct() {
    let database = TestDatabase::create().await;
    let sql = "SELECT 1 AS id, 2 AS ID, 3 AS Id";
    let distinct = ["id", "ID (2)", "Id (3)"];
    let exported = export(&database, sql, "format = \"parquet\"").await;
    for reader in [ParquetReader::DuckDb, ParquetReader::PyArrow, ParquetReader::Pandas] {
        assert_eq!(parquet(exported.file(), reader).unwrap().columns, distinct, "{reader:?}");
    }
    let exported = export(&database, sql, "format = \"jsonl\"").await;
    assert_eq!(jsonl_with_duckdb(exported.file()).unwrap().columns, distinct);
}

/// Values that Excel would cut or leave as text are in the receipt.
#[tokio::test]
async fn csv_values_that_excel_would_change_are_in_the_receipt() {
    let database = TestDatabase::create().await;
    let sql = "SELECT REPEAT('x', 32768) AS long_text, REPEAT('x', 32767) AS fits, REPEAT(x'AB', 16384) AS bytes, \
               CAST('2026-02-28 23:59:59.5' AS DATETIME(6)) AS micros, CAST('2026-02-28 23:59:59.5' AS DATETIME(3)) AS millis";
    for profile in ["excel", "excel-cp932"] {
        let exported = export(&database, sql, &format!("profile = \"{profile}\"")).await;
        assert_eq!(
            changes(&exported.receipt),
            ["bytes: texts_too_long 1", "long_text: texts_too_long 1", "micros: times_as_text 1"]
        );
    }
    assert_eq!(changes(&export(&database, sql, "").await.receipt), [""; 0]);
}

/// A file of several parts has as many gzip members or Zstandard frames. The documents name the
/// Python calls that stop after the first.
#[tokio::test]
async fn decompressors_that_stop_after_a_frame_are_those_documented() {
    let database = TestDatabase::create().await;
    // The 12 MB of noise do not compress, and a part has 8 MiB.
    let rows = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 110) \
                SELECT a.id, HEX(RANDOM_BYTES(1024)) AS noise FROM n AS a JOIN n AS b";
    for compression in ["gzip", "zstd"] {
        let exported = export(&database, rows, &format!("compression = \"{compression}\"")).await;
        let read = decompressed_with_python(exported.file()).unwrap();
        let whole = *read.whole.values().next().unwrap();
        assert!(whole > 20 << 20 && read.whole.values().all(|bytes| *bytes == whole), "{read:?}");
        assert!(read.first_only.values().all(|bytes| *bytes < whole), "{read:?}");
    }
}
