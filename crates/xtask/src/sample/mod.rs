//! The sample database that the demo exports from: a shop with some thousand customers and 300,000 orders.

use std::str::FromStr;

use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions,
};

/// The database's name.
pub const DATABASE: &str = "downpipe_demo";
const SAMPLE: &str = include_str!("sample.sql");

/// What loading it meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loaded {
    /// It was there already, whole and in this version.
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

/// How to reach the sample on this server.
pub fn url(server_url: &str) -> String {
    let (server, options) = server_url.split_once('?').unwrap_or((server_url, ""));
    let separator = if options.is_empty() { "" } else { "?" };
    format!("{server}/{DATABASE}{separator}{options}")
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
    // Last of all: an interrupted load has no mark and is done again.
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

/// Names this version of the sample, so that a changed one is loaded again.
fn mark() -> String {
    let version = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, SAMPLE.as_bytes());
    format!("downpipe sample {version:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_goes_between_server_and_options() {
        assert_eq!(url("mysql://u:p@h:1"), "mysql://u:p@h:1/downpipe_demo");
        assert_eq!(url("mysql://u:p@h:1?ssl-mode=a/b"), "mysql://u:p@h:1/downpipe_demo?ssl-mode=a/b");
    }
}
