//! Checks that Downpipe allocates nothing for a row, from MySQL's packets to a file's bytes, beyond
//! what the driver allocates. The test counts allocations and measures no time. It is a separate
//! program, because the counter replaces the allocator.
//!
//! `cargo xtask test -- --test allocations -- --nocapture` shows the counts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test, a panic is the message, and so are the counts"
)]

use allocation_counter::measure;
use downpipe_core::source::RowSource as _;
use downpipe_mysql::MySqlSource;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::rows::{CsvSink, query};
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::runtime::{Builder, Runtime};

/// The allocations that growing buffers add, shared by many rows.
const MAX_PER_ROW: f64 = 0.01;

/// The numbers of rows whose difference is counted. Connecting and preparing cost the same for
/// both.
const FEW: u32 = 2_000;
const MANY: u32 = 22_000;

/// A table with the types of an export of orders.
const ORDERS: &str = "
    SET cte_max_recursion_depth = 100000;
    CREATE TABLE orders (
        id BIGINT UNSIGNED PRIMARY KEY, order_number CHAR(14) CHARACTER SET ascii, customer_id INT UNSIGNED,
        status ENUM('new', 'paid', 'shipped'), quantity SMALLINT, unit_price DECIMAL(10, 2), discount DECIMAL(5, 2),
        weight DOUBLE, created_at DATETIME, updated_at DATETIME(3), shipped_at TIMESTAMP NULL, day DATE, took TIME,
        customer_name VARCHAR(100), note VARCHAR(500), attributes JSON) CHARACTER SET utf8mb4;
    INSERT INTO orders
    WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
    SELECT n, CONCAT('JP-', LPAD(n, 11, '0')), n % 400000, ELT(1 + n % 3, 'new', 'paid', 'shipped'), n % 12, n / 7,
           IF(n % 4 = 0, n % 500 / 100, NULL), n / 3, '2026-01-31 09:05:07', '2026-01-31 09:05:07.123',
           IF(n % 5 = 0, NULL, '2026-01-31 09:05:07'), '2026-01-31', '25:01:00', '髙橋 さくら',
           ELT(1 + n % 3, NULL, 'She said \"no plastic\", I agree', '午前中、\n不在なら宅配ボックスへ'),
           JSON_OBJECT('gift', n % 2 = 0, 'points', n % 1000)
    FROM numbers;";

fn select(rows: u32) -> String {
    format!("SELECT * FROM orders ORDER BY id LIMIT {rows}")
}

/// Counts what the row source and the encoder allocate, from the connection to the proven end.
fn allocations_of_downpipe(runtime: &Runtime, database: &TestDatabase, rows: u32) -> u64 {
    let (source, mut sink) = (MySqlSource::new(database.database()), CsvSink::new());
    let query = runtime.block_on(async { query(&select(rows)) });
    let mut read = 0;
    let counted = measure(|| read = runtime.block_on(source.read(&query, &mut sink)).unwrap().rows);
    assert_eq!(read, u64::from(rows));
    counted.count_total
}

/// Counts what sqlx allocates for the same rows when their values are not read.
fn allocations_of_sqlx(runtime: &Runtime, database: &TestDatabase, rows: u32) -> u64 {
    let sql = select(rows);
    let mut read = 0;
    let counted = measure(|| {
        runtime.block_on(async {
            let mut connection = database.connect().await;
            let mut stream = sqlx::query(AssertSqlSafe(sql)).fetch(&mut connection);
            while stream.try_next().await.unwrap().is_some() {
                read += 1;
            }
            drop(stream);
            connection.close().await.unwrap();
        });
    });
    assert_eq!(read, rows);
    counted.count_total
}

#[test]
fn row_allocates_no_more_than_its_driver() {
    // The counter sees one thread, so everything runs on this one.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::create());
    runtime.block_on(database.execute(&ORDERS.replace("{rows}", &MANY.to_string())));
    let per_row = |name: &str, count: fn(&Runtime, &TestDatabase, u32) -> u64| {
        let [few, many] = [FEW, MANY].map(|rows| count(&runtime, &database, rows));
        let per_row = (many as f64 - few as f64) / f64::from(MANY - FEW);
        println!("{name}: {few} allocations for {FEW} rows, {many} for {MANY}, {per_row:.5} a row");
        per_row
    };
    let (sqlx, downpipe) =
        (per_row("sqlx", allocations_of_sqlx), per_row("downpipe", allocations_of_downpipe));
    assert!(
        downpipe - sqlx <= MAX_PER_ROW,
        "expected at most {MAX_PER_ROW} allocations a row more than sqlx's {sqlx}, got {downpipe}"
    );
}
