//! The sample database that the demo exports from: a shop with some thousand customers and 300,000 orders.

use std::str::FromStr;

use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions,
};

/// The database's name.
pub const DATABASE: &str = "downpipe_demo";
const SAMPLE: &str = include_str!("sample.sql");
/// The ledger of the demo is in the same database.
const LEDGER: &str = include_str!("../../../../migrations/0001_jobs.sql");

/// Whether the sample had to be loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loaded {
    /// It was there, whole and in this version.
    Already,
    /// It has been created, or created anew.
    Now,
}

/// Makes sure that the sample is there. A database of that name that holds anything else is dropped.
///
/// `server_url` is `mysql://USER:PASSWORD@HOST:PORT`, without a database.
pub fn load(server_url: &str) -> Result<Loaded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .context("cannot start a runtime")?
        .block_on(load_into(server_url))
        .with_context(|| format!("cannot load the sample database {DATABASE}"))
}

/// Returns how to reach the sample on this server.
pub fn url(server_url: &str) -> String {
    let (server, options) = server_url.split_once('?').unwrap_or((server_url, ""));
    let separator = if options.is_empty() { "" } else { "?" };
    format!("{server}/{DATABASE}{separator}{options}")
}

/// Returns how many statements MySQL has seen of connections to the sample, as far as it remembers their texts. With `query`, only those
/// whose text has this in it.
pub fn statements(server_url: &str, query: &str) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(async {
        let options = MySqlConnectOptions::from_str(server_url)?.disable_statement_logging();
        let mut connection = options.connect().await?;
        let count = "SELECT CAST(COALESCE(SUM(count_star), 0) AS UNSIGNED)
                     FROM performance_schema.events_statements_summary_by_digest
                     WHERE schema_name = ? AND INSTR(digest_text, ?) > 0";
        let counted = sqlx::query_scalar(count).bind(DATABASE).bind(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(counted)
    })
}

async fn load_into(server_url: &str) -> Result<Loaded> {
    // sqlx logs statements that take long; this one is long, and expected to be.
    let options = MySqlConnectOptions::from_str(server_url)?.disable_statement_logging();
    let mut connection = options.connect().await?;
    if is_loaded(&mut connection).await? {
        connection.close().await?;
        return Ok(Loaded::Already);
    }
    let create = format!(
        "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; USE {DATABASE}"
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(create))).await?;
    connection.execute(sqlx::raw_sql(SAMPLE)).await?;
    // Marked last, so that an interrupted load is repeated.
    let mark = format!("ALTER TABLE orders COMMENT = '{}'", mark());
    connection.execute(sqlx::raw_sql(AssertSqlSafe(mark))).await?;
    connection.close().await?;
    Ok(Loaded::Now)
}

async fn is_loaded(connection: &mut MySqlConnection) -> Result<bool> {
    let comment = "SELECT COUNT(*) FROM information_schema.tables
                   WHERE table_schema = ? AND table_name = 'orders' AND table_comment = ?";
    let found: i64 = sqlx::query_scalar(comment).bind(DATABASE).bind(mark()).fetch_one(connection).await?;
    Ok(found == 1)
}

/// Names this version of the sample and of the ledger's tables beside it, so that a changed one is made again.
fn mark() -> String {
    let text = [SAMPLE, LEDGER].concat();
    let version = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, text.as_bytes());
    format!("downpipe sample {version:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_of_the_sample_has_the_database_before_the_options() {
        assert_eq!(url("mysql://u:p@h:1"), "mysql://u:p@h:1/downpipe_demo");
        assert_eq!(url("mysql://u:p@h:1?ssl-mode=a/b"), "mysql://u:p@h:1/downpipe_demo?ssl-mode=a/b");
    }
}
