//! Loads exports of generated tables back, and compares the tables.
//!
//! `DOWNPIPE_TABLES=10000 cargo xtask test -- fidelity::generated` tries more tables;
//! `DOWNPIPE_SEED` sets the first seed.

use std::env;

use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::export;
use downpipe_tests::generate;
use downpipe_tests::readers::{ParquetReader, parquet};

use super::round_trip::assert_round_trip;
use super::server_values::{self, Column, assert_read, form, server_values};
use super::tables::{as_parquet, assert_json_lines};

/// The number of tables in every run of the tests.
const TABLES: u64 = 60;

/// The number of tables for readers that take a second to start.
const READ_BY_OTHERS: u64 = 8;

/// The number of tables at the same time.
const CONCURRENCY: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

#[expect(clippy::print_stdout, reason = "what was tried is to be tried again")]
async fn assert_random_tables_load_back(server: Server) {
    let (tables, seed) = (number("DOWNPIPE_TABLES", TABLES), number("DOWNPIPE_SEED", 1));
    println!("{tables} tables on {server:?} from seed {seed}");
    let workers = (0..CONCURRENCY).map(|worker| {
        tokio::spawn(async move {
            let database = TestDatabase::create_on(server).await;
            let mut rows = 0;
            for seed in (seed + worker..seed + tables).step_by(usize::try_from(CONCURRENCY).unwrap()) {
                rows += assert_loads_back(&database, seed).await;
            }
            rows
        })
    });
    let mut rows = 0;
    for worker in workers.collect::<Vec<_>>() {
        rows += worker.await.unwrap();
    }
    println!("{tables} tables with {rows} rows came back");
}

/// Exports one table and loads it back. The table's name has the seed, and so has every error.
async fn assert_loads_back(database: &TestDatabase, seed: u64) -> usize {
    let name = format!("seed_{seed}");
    let table = generate::table(seed, &name, database.server);
    database.execute(&table.statements).await;
    let format = if seed.is_multiple_of(5) { "tsv" } else { "csv" };
    assert_round_trip(database, &name, &table.columns, format).await;
    database.execute(&format!("DROP TABLE {name}, {name}_copy")).await;
    table.rows
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_loaded_into_mysql_are_equal() {
    assert_random_tables_load_back(Server::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_loaded_into_mariadb_are_equal() {
    assert_random_tables_load_back(Server::MariaDb).await;
}

/// Reads generated tables with other programs, in the formats that hold every value.
#[tokio::test]
async fn random_tables_read_by_other_programs_are_equal() {
    let database = TestDatabase::create().await;
    let first = number("DOWNPIPE_SEED", 1);
    for seed in first..first + READ_BY_OTHERS {
        let name = format!("seed_{seed}");
        let table = generate::table(seed, &name, database.server);
        database.execute(&table.statements).await;
        let columns =
            server_values::columns(&database, &name, &format!("id, {}", table.names.join(", "))).await;
        let said = server_values(&database, &columns, &name).await;
        let sql = server_values::select(&columns, &name);
        let exported = export(&database, &sql, "format = \"jsonl\"").await;
        if table.rows > 0 {
            assert_json_lines(&columns, &said, exported.file());
        }
        let exported = export(&database, &sql, "format = \"parquet\"").await;
        let read = parquet(exported.file(), ParquetReader::PyArrow).unwrap();
        assert_read(
            &name,
            &columns,
            &said,
            &read.rows,
            |column, _, said| {
                let text = said.filter(|text| is_date(column, text))?;
                Some(shortened(column, &as_parquet(column, text)))
            },
            |column, _, read| read.as_deref().map(|text| shortened(column, &form(&column.kind, text))),
        );
    }
}

/// Removes zeros at the end of a decimal number. A column of only bare zeros does not show its
/// scale, so its type is wider.
fn shortened(column: &Column, text: &str) -> String {
    match text.contains('.') && column.kind == "decimal" {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// Returns whether a value is a real date. MySQL also has dates that do not exist.
fn is_date(column: &Column, text: &str) -> bool {
    let has_date = ["date", "datetime", "timestamp"].contains(&column.kind.as_str());
    !has_date || text.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok())
}
