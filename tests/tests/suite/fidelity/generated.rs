//! Tables that nobody has thought of come back as they were.
//!
//! `DOWNPIPE_TABLES=10000 cargo xtask test -- fidelity::generated` tries more of them; `DOWNPIPE_SEED` begins with another.

use std::env;

use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::export;
use downpipe_tests::generate;
use downpipe_tests::readers::{ParquetReader, parquet};

use super::round_trip::assert_round_trip;
use super::said::{self, Column, assert_read, form, said};
use super::tables::{as_parquet, assert_json_lines};

/// What is tried in every run of the tests.
const TABLES: u64 = 60;

/// What is read by programs that take a second to start.
const READ_BY_OTHERS: u64 = 8;

/// Tables that are tried at once.
const AT_ONCE: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

#[expect(clippy::print_stdout, reason = "what was tried is to be tried again")]
async fn random_tables_come_back(server: Server) {
    let (tables, seed) = (number("DOWNPIPE_TABLES", TABLES), number("DOWNPIPE_SEED", 1));
    println!("{tables} tables on {server:?} from seed {seed}");
    let workers = (0..AT_ONCE).map(|worker| {
        tokio::spawn(async move {
            let database = TestDatabase::create_on(server).await;
            let mut rows = 0;
            for seed in (seed + worker..seed + tables).step_by(usize::try_from(AT_ONCE).unwrap()) {
                rows += comes_back(&database, seed).await;
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

/// The seed is in the table's name, and so in every error.
async fn comes_back(database: &TestDatabase, seed: u64) -> usize {
    let name = format!("seed_{seed}");
    let table = generate::table(seed, &name, database.server);
    database.execute(&table.statements).await;
    let format = if seed.is_multiple_of(5) { "tsv" } else { "csv" };
    assert_round_trip(database, &name, &table.columns, format).await;
    database.execute(&format!("DROP TABLE {name}, {name}_copy")).await;
    table.rows
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_come_back_to_mysql() {
    random_tables_come_back(Server::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_come_back_to_mariadb() {
    random_tables_come_back(Server::MariaDb).await;
}

/// A table that nobody has thought of, in the formats that hold every value, read by other people's software.
#[tokio::test]
async fn random_tables_are_read_by_others() {
    let database = TestDatabase::create().await;
    let first = number("DOWNPIPE_SEED", 1);
    for seed in first..first + READ_BY_OTHERS {
        let name = format!("seed_{seed}");
        let table = generate::table(seed, &name, database.server);
        database.execute(&table.statements).await;
        let columns = said::columns(&database, &name, &format!("id, {}", table.names.join(", "))).await;
        let said = said(&database, &columns, &name).await;
        let sql = said::select(&columns, &name);
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
            |column, _, said| said.filter(|text| is_date(column, text)).map(|text| as_parquet(column, text)),
            |column, _, read| read.as_deref().map(|text| form(&column.kind, text)),
        );
    }
}

/// Whether a value is what its column says: MySQL has dates that are none.
fn is_date(column: &Column, text: &str) -> bool {
    let has_date = ["date", "datetime", "timestamp"].contains(&column.kind.as_str());
    !has_date || text.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok())
}
