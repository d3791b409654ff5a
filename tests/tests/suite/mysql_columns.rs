//! What the driver knows of a column. It shows flags and widths in its `Debug` form only, so that form is held against a real server:
//! these tests fail when a new version of sqlx writes it otherwise.

use downpipe_format::ColumnKind;
use downpipe_mysql::MySqlSource;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::rows::query;
use sqlx::{Column as _, Row as _};

const TABLE: &str = "
    CREATE TABLE t (
        a INT(10) UNSIGNED ZEROFILL NOT NULL, b BIGINT NULL, c DECIMAL(10, 2) NOT NULL, d DECIMAL(10, 2) UNSIGNED NULL,
        e DATETIME(3) NOT NULL, f TIMESTAMP(6) NULL, g TIME NULL, h BOOLEAN NOT NULL) CHARACTER SET utf8mb4";

const SELECT: &str = "SELECT a, b, c, d, e, f, g, h FROM t";

#[tokio::test]
async fn column_flags_and_widths_are_read_from_the_driver() {
    let database = TestDatabase::create().await;
    database.execute(TABLE).await;
    let source = MySqlSource::new(database.database());
    let inspected = source.inspect(&[query(SELECT)]).await.unwrap().remove(0).unwrap();
    let found: Vec<(ColumnKind, bool)> =
        inspected.columns.into_iter().map(|column| (column.column.kind, column.nullable)).collect();
    let integer = |bits, unsigned, zerofill| ColumnKind::Integer { bits, unsigned, zerofill };
    let expected = vec![
        (integer(32, true, 10), false),
        (integer(64, false, 0), true),
        (ColumnKind::Decimal { width: 11 }, false),
        (ColumnKind::Decimal { width: 11 }, true),
        (ColumnKind::DateTime { fraction: 3 }, false),
        (ColumnKind::Timestamp { fraction: 6 }, true),
        (ColumnKind::Time { fraction: 0 }, true),
        (integer(8, false, 0), false),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn debug_form_of_a_column_has_its_flags_and_its_width() {
    let database = TestDatabase::create().await;
    database
        .execute(&format!("{TABLE}; INSERT INTO t VALUES (1, 1, 1, 1, NOW(), NOW(), '00:00', TRUE)"))
        .await;
    let rows = database.query(SELECT).await;
    let form = |column: usize| format!("{:?}", rows[0].columns()[column].type_info());
    let (number, date_time) = (form(0), form(4));
    assert!(
        number.starts_with("MySqlTypeInfo { type: Long, flags: ColumnFlags(NOT_NULL | UNSIGNED | ZEROFILL"),
        "{number}"
    );
    assert!(number.ends_with("max_size: Some(10) }"), "{number}");
    assert!(date_time.ends_with("max_size: Some(23) }"), "{date_time}");
}
