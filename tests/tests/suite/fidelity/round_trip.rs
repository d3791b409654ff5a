//! Proves the profile `lossless`: exports a table, loads it back with the statement in the receipt,
//! and compares row by row and by `CHECKSUM TABLE`.

use downpipe_tests::all_types;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::export;
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row as _};

/// Exports columns of a table, loads them into a copy, and compares the two.
pub(super) async fn assert_round_trip(database: &TestDatabase, table: &str, columns: &str, format: &str) {
    let sql = format!("SELECT {columns} FROM {table}");
    let exported = export(database, &sql, &format!("profile = \"lossless\"\nformat = \"{format}\"")).await;
    let receipt = &exported.receipt;
    database.execute(&format!("CREATE TABLE {table}_copy LIKE {table}")).await;
    let statement =
        format!("{};\n{};", receipt.load_session.as_ref().unwrap(), receipt.load_data.as_ref().unwrap());
    let loaded = database.load_data(&statement, exported.file(), &format!("{table}_copy")).await.unwrap();
    assert_eq!(loaded.warnings, [""; 0], "{table}: {statement}");
    assert!(loaded.counts.contains(&format!("Records: {} ", receipt.rows)), "{table}: {}", loaded.counts);
    assert_same(database, table, columns).await;
}

/// Compares row by row first, which shows where the tables differ.
async fn assert_same(database: &TestDatabase, table: &str, columns: &str) {
    let rows = async |table: &str| {
        let rows = database.query(&format!("SELECT {columns} FROM {table} ORDER BY 1")).await;
        // sqlx decodes a zero date as NULL, but not as bytes.
        let bytes = |row: &MySqlRow, at| {
            <&[u8] as Decode<MySql>>::decode(row.try_get_raw(at).unwrap()).ok().map(<[u8]>::to_vec)
        };
        let row =
            |row: MySqlRow| -> Vec<Option<Vec<u8>>> { (0..row.len()).map(|at| bytes(&row, at)).collect() };
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let (original, copy) = (rows(table).await, rows(&format!("{table}_copy")).await);
    assert_eq!(original.len(), copy.len(), "{table}");
    for (original, copy) in original.iter().zip(&copy) {
        for (at, (original, copy)) in original.iter().zip(copy).enumerate() {
            assert_eq!(original, copy, "{table}: column {at} of {columns}");
        }
    }
    let checksums = database.query(&format!("CHECKSUM TABLE {table}, {table}_copy")).await;
    let checksums: Vec<i64> = checksums.iter().map(|row| row.get(1)).collect();
    assert_eq!(checksums[0], checksums[1], "{table}");
}

async fn assert_all_types_load_back(server: Server) {
    let database = TestDatabase::create_on(server).await;
    database.execute(&all_types::statements(server)).await;
    assert_round_trip(&database, "all_types", &all_types::names(server), "csv").await;
    database.execute("DROP TABLE all_types_copy").await;
    assert_round_trip(&database, "all_types", &all_types::names(server), "tsv").await;
}

#[tokio::test]
async fn every_type_loaded_into_mysql_is_equal() {
    assert_all_types_load_back(Server::MySql).await;
}

#[tokio::test]
async fn every_type_loaded_into_mariadb_is_equal() {
    assert_all_types_load_back(Server::MariaDb).await;
}
