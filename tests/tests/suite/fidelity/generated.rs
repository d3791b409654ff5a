//! Tables that nobody has thought of come back as they were.
//!
//! `DOWNPIPE_TABLES=10000 cargo xtask test -- fidelity::generated` tries more of them; `DOWNPIPE_SEED` begins with another.

use std::env;

use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::generate;

use super::round_trip::assert_round_trip;

/// What is tried in every run of the tests.
const TABLES: u64 = 60;

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
