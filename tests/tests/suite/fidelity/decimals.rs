//! Tests the types of decimal columns in Parquet, as other programs read them.

use downpipe_core::failure::{self, Disposition};
use downpipe_core::language::Language;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::{export, try_export};
use downpipe_tests::readers::{
    Kind, ParquetReader, XlsxReader, csv_with_python, jsonl_with_python, parquet, value, xlsx,
};

use super::server_values::texts;

const PARQUET: &str = "format = \"parquet\"";

/// Exports a query, and returns the types that `DuckDB` reads: `DECIMAL(10,2)`, or `DOUBLE` for a
/// type beyond its range.
async fn types(database: &TestDatabase, sql: &str, output: &str) -> Vec<String> {
    let exported = export(database, sql, output).await;
    let arrow = parquet(exported.file(), ParquetReader::PyArrow).unwrap();
    // Spark and polars read 128 bits.
    let narrow = arrow
        .types
        .iter()
        .filter(|kind| kind.starts_with("decimal"))
        .all(|kind| kind.starts_with("decimal128"));
    let types = parquet(exported.file(), ParquetReader::DuckDb).unwrap().types;
    assert_eq!(narrow, !types.contains(&"DOUBLE".to_owned()), "{types:?} {:?}", arrow.types);
    types
}

/// Returns the types of the table that the server creates from the query, in `DuckDB`'s notation.
async fn declared(database: &TestDatabase, sql: &str) -> Vec<String> {
    database.execute(&format!("CREATE TABLE declared AS {sql}")).await;
    let types = "SELECT column_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'declared' \
                 ORDER BY ordinal_position";
    let types = texts(database, types).await;
    database.execute("DROP TABLE declared").await;
    types
        .into_iter()
        .map(|row| row[0].clone().unwrap().to_uppercase().replace(" UNSIGNED", "").replace(" ZEROFILL", ""))
        .collect()
}

const AMOUNTS: &str = "CREATE TABLE amounts (id INT PRIMARY KEY, paid BOOL, a DECIMAL(10,2), b DECIMAL(38,10), c DECIMAL(20,2), \
                       u DECIMAL(12,4) UNSIGNED, z DECIMAL(8,3) ZEROFILL, f DECIMAL(5,5), w DECIMAL(30,0));
     INSERT INTO amounts VALUES (1, 1, 12.50, 1.5, -7.25, 0.5, 1.5, 0.125, 7), (2, 0, -99999999.99, -0.0000000001, 0, 3, 4, 0, -1), \
     (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

/// Checks that columns and expressions have exactly the types that the server declares.
async fn types_are_the_declared_ones(server: Server) {
    let database = TestDatabase::create_on(server).await;
    database.execute(AMOUNTS).await;
    let columns = "SELECT a, b, c, u, z, f, w FROM amounts ORDER BY id";
    let found = types(&database, columns, PARQUET).await;
    assert_eq!(
        found,
        [
            "DECIMAL(10,2)",
            "DECIMAL(38,10)",
            "DECIMAL(20,2)",
            "DECIMAL(12,4)",
            "DECIMAL(8,3)",
            "DECIMAL(5,5)",
            "DECIMAL(30,0)"
        ]
    );
    assert_eq!(declared(&database, columns).await, found);
    let expressions = "SELECT IF(paid, a, 0) AS x1, a + u AS x2, a * 2 AS x3, ABS(a) AS x4, COALESCE(a, c) AS x5, ROUND(c, 1) AS x6, \
                       a * 1.05 AS x7, a / 3 AS x8, CAST(id AS DECIMAL(12,2)) AS x9, 1.50 AS x10, -1.50 AS x11 FROM amounts";
    assert_eq!(types(&database, expressions, PARQUET).await, declared(&database, expressions).await);
    // MariaDB declares a width with room for a second sign.
    if server == Server::MySql {
        let negated = "SELECT -a AS x FROM amounts";
        assert_eq!(types(&database, negated, PARQUET).await, declared(&database, negated).await);
    }
    let sums = "SELECT SUM(a) AS s1, AVG(a) AS s2, MAX(u) AS s3, SUM(IF(paid, a, 0)) AS s4, SUM(paid) AS s5 FROM amounts";
    assert_eq!(types(&database, sums, PARQUET).await, declared(&database, sums).await);
    let both = "SELECT a AS x FROM amounts UNION ALL SELECT c FROM amounts";
    assert_eq!(types(&database, both, PARQUET).await, declared(&database, both).await);
}

#[tokio::test]
async fn decimal_types_on_mysql_equal_those_it_declares() {
    types_are_the_declared_ones(Server::MySql).await;
}

#[tokio::test]
async fn decimal_types_on_mariadb_equal_those_it_declares() {
    types_are_the_declared_ones(Server::MariaDb).await;
}

/// Without a value the scale is unknown, but the file must be readable by every reader.
#[tokio::test]
async fn decimal_columns_without_values_are_readable() {
    let database = TestDatabase::create().await;
    database.execute(AMOUNTS).await;
    for rows in ["id = 0", "id = 3"] {
        let sql = format!("SELECT a, b, c, w, CAST(a AS DECIMAL(65,30)) AS x FROM amounts WHERE {rows}");
        let found = types(&database, &sql, PARQUET).await;
        assert_eq!(
            found,
            ["DECIMAL(21,10)", "DECIMAL(38,10)", "DECIMAL(38,17)", "DECIMAL(38,10)", "DECIMAL(38,10)"]
        );
        let said =
            "format = \"parquet\"\n[columns.a]\nas = \"decimal(10,2)\"\n[columns.c]\nas = \"decimal(20,2)\"";
        let found = types(&database, &sql, said).await;
        assert_eq!([&found[0], &found[2]], ["DECIMAL(10,2)", "DECIMAL(20,2)"]);
    }
}

/// `IF` gives 120,000 bare zeros, which fill the first row group. The amounts come after them.
#[tokio::test]
async fn amounts_after_a_group_of_zeros_are_written() {
    let database = TestDatabase::create().await;
    let numbers = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 130000)";
    database
        .execute(&format!(
            "SET SESSION cte_max_recursion_depth = 200000;
             CREATE TABLE sales (id INT PRIMARY KEY, status VARCHAR(10), amount DECIMAL(10,2), pad CHAR(64));
             INSERT INTO sales {numbers} SELECT id, IF(id <= 120000, 'cancelled', 'paid'), id / 100, REPEAT('p', 64) FROM n"
        ))
        .await;
    let sql = "SELECT id, IF(status = 'cancelled', 0, amount) AS amount, pad FROM sales ORDER BY id";
    let exported = export(&database, sql, PARQUET).await;
    let read = parquet(exported.file(), ParquetReader::DuckDb).unwrap();
    assert_eq!((read.rows.len(), read.types[1].as_str()), (130_000, "DECIMAL(21,10)"));
    let amount = |row: usize| read.rows[row][1].as_deref().unwrap().trim_end_matches('0').to_owned();
    assert_eq!([119_999, 120_000, 129_999].map(amount), ["0.", "1200.01", "1300."]);
    let said = "format = \"parquet\"\n[columns.amount]\nas = \"decimal(10,2)\"";
    assert_eq!(types(&database, sql, said).await[1], "DECIMAL(10,2)");

    // Where the first rows have another scale, the failure names the fix.
    let ones = sql.replace("0, amount", "1, amount");
    let (next, failure) = failure::of_export(&try_export(&database, &ones, PARQUET).await.unwrap_err());
    assert_eq!((next, failure.code.as_str()), (Disposition::Fail, "does_not_fit"));
    assert!(
        failure.words(Language::En).message.contains("row 120001, column \"amount\""),
        "{}",
        failure.words(Language::En).message
    );
    assert!(
        failure.words(Language::En).message.contains("as = \"decimal(10,2)\""),
        "{}",
        failure.words(Language::En).message
    );
    assert_eq!(types(&database, &ones, said).await[1], "DECIMAL(10,2)");
}

/// Checks a given decimal type from the definition to other programs, in every format.
#[tokio::test]
async fn given_decimal_type_holds_in_every_format() {
    let database = TestDatabase::create().await;
    database.execute(AMOUNTS).await;
    let sql = "SELECT IF(paid, a, 0) AS x, id AS n FROM amounts ORDER BY id";
    let output = |format: &str| {
        format!(
            "format = \"{format}\"\n[columns.x]\nas = \"decimal(12,3)\"\n[columns.n]\nas = \"decimal(5,1)\""
        )
    };
    let texts = [["12.500", "1.0"], ["0.000", "2.0"], ["0.000", "3.0"]];
    let csv = export(&database, sql, &output("csv")).await;
    let read = csv_with_python(csv.file(), ',', "utf-8").unwrap();
    assert_eq!(read.rows, texts.map(|row| row.map(|text| Some(text.to_owned())).to_vec()));
    let jsonl = export(&database, sql, &output("jsonl")).await;
    let read = jsonl_with_python(jsonl.file()).unwrap();
    assert_eq!(read.rows, texts.map(|row| row.map(|text| value(Kind::Number, text)).to_vec()));
    let workbook = export(&database, sql, &output("xlsx")).await;
    let sheet = &xlsx(workbook.file(), XlsxReader::Openpyxl).unwrap()[0];
    assert_eq!(sheet.formats, ["0.000", "0.0"].map(|format| Some(format.to_owned())));
    assert_eq!(types(&database, sql, &output("parquet")).await, ["DECIMAL(12,3)", "DECIMAL(5,1)"]);

    for (wrong, words) in [
        ("[columns.x]\nas = \"decimal(3,2)\"", "row 1, column \"x\": expected a number of decimal(3,2)"),
        ("[columns.t]\nas = \"decimal(3,2)\"", "columns.t.as: expected a column of whole or decimal numbers"),
    ] {
        let sql = "SELECT IF(paid, a, 0) AS x, 'text' AS t FROM amounts ORDER BY id";
        let (next, failure) = failure::of_export(&try_export(&database, sql, wrong).await.unwrap_err());
        assert_eq!(
            (next, failure.code.as_str(), failure.for_operator),
            (Disposition::Fail, "definition", true)
        );
        assert!(
            failure.words(Language::En).message.contains(words),
            "{}",
            failure.words(Language::En).message
        );
    }
}
