//! The tables that are measured, in a database of their own.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Executor, MySqlConnection};

/// The database's name.
pub(super) const DATABASE: &str = "downpipe_bench";

/// Columns of the wide table besides its key.
const WIDE: u32 = 199;

/// Makes sure that the tables are there, with so many rows in `orders`. A database of that name that holds anything else is
/// dropped.
pub(super) async fn load(connection: &mut MySqlConnection, orders: u64) -> Result<()> {
    let sql = sql(orders);
    let digest = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, sql.as_bytes());
    let mark = format!("downpipe bench {digest:016x}");
    let comment = "SELECT COUNT(*) FROM information_schema.tables
                   WHERE table_schema = ? AND table_name = 'orders' AND table_comment = ?";
    let found: i64 =
        sqlx::query_scalar(comment).bind(DATABASE).bind(&mark).fetch_one(&mut *connection).await?;
    if found == 1 {
        return Ok(());
    }
    let script = format!(
        "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; USE {DATABASE};\n{sql}"
    );
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(script)))
        .await
        .with_context(|| format!("cannot make the tables of {DATABASE}"))?;
    // Last of all: an interrupted load has no mark and is done again.
    let mark = format!("ALTER TABLE {DATABASE}.orders COMMENT = '{mark}'");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(mark))).await?;
    Ok(())
}

/// Returns the SQL that makes the tables, with so many rows in `orders`.
pub(super) fn sql(orders: u64) -> String {
    let (mut columns, mut values) = (String::new(), String::new());
    for n in 1..=WIDE {
        let (of_type, value) = match n % 5 {
            0 => ("INT NOT NULL", format!("customer_id + {n}")),
            1 => ("DECIMAL(12, 2) NULL", format!("IF(customer_id % {n} = 0, NULL, total + {n})")),
            2 => (
                "VARCHAR(40) NOT NULL",
                (if n % 2 == 0 { "customer_name" } else { "order_number" }).to_owned(),
            ),
            3 => ("DATE NOT NULL", format!("DATE(created_at) + INTERVAL {n} DAY")),
            _ => ("SMALLINT NOT NULL", "quantity".to_owned()),
        };
        let comma = if n == WIDE { "" } else { ",\n" };
        // Writing into a string cannot fail.
        let _ = write!(columns, "    c{n} {of_type}{comma}");
        let _ = write!(values, ", {value}");
    }
    let tables = include_str!("../../../../bench/tables.sql");
    let tables = tables.replace("{wide_columns}", &columns).replace("{wide_values}", &values);
    format!("SET @orders = {orders};\n{tables}")
}
