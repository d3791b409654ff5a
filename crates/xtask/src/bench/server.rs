//! The MySQL server that is measured, with its settings and its account for that time.

use std::{str::FromStr, thread, time::Duration};

use anyhow::{Context, Result, bail};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions,
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::tables;
use crate::stack::{self, Paths, StackEnv};

/// All tables fit in it, because disks are not measured.
const BUFFER_POOL: u64 = 4 << 30;

/// The account that reads. It has no password, so a login costs one packet with every program's method.
pub(super) const USER: &str = "downpipe_bench";

/// The server, with a large buffer pool until this is dropped.
pub(super) struct Server {
    runtime: Runtime,
    url: Url,
    /// Without the user who may do everything.
    pub(super) address: String,
    pub(super) version: String,
    /// None of a server that was given from outside.
    pub(super) pid: Option<i32>,
    buffer_pool_before: u64,
}

impl Server {
    /// Makes the server, its account and the tables ready.
    pub(super) fn prepare(paths: &Paths, env: &StackEnv, orders: u64) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
        let url = Url::parse(&env.database_url).context("DATABASE_URL is none")?;
        let host = url.host_str().context("DATABASE_URL names no host")?;
        let address = format!("{host}:{}", url.port().unwrap_or(3306));
        let settings = "SELECT VERSION(), CAST(@@innodb_buffer_pool_size AS UNSIGNED)";
        let (version, buffer_pool_before) = runtime.block_on(async {
            let mut connection = connect(&url).await?;
            Ok::<(String, u64), anyhow::Error>(sqlx::query_as(settings).fetch_one(&mut connection).await?)
        })?;
        let parts = stack::status(paths)?.parts;
        let pid = parts.iter().find(|part| part.name == "mysql").and_then(|part| part.pid);
        // From here on, dropping the value restores the server.
        let server = Self { runtime, url, address, version, pid, buffer_pool_before };
        server.runtime.block_on(server.set_up(orders))?;
        Ok(server)
    }

    async fn set_up(&self, orders: u64) -> Result<()> {
        let mut connection = connect(&self.url).await?;
        set_buffer_pool(&mut connection, self.buffer_pool_before.max(BUFFER_POOL)).await?;
        tables::load(&mut connection, orders).await?;
        let account = format!(
            "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY ''; GRANT SELECT ON {}.* TO '{USER}'@'%'",
            tables::DATABASE
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(account))).await?;
        Ok(connection.close().await?)
    }

    /// How programs that take a URL reach the tables.
    pub(super) fn url(&self) -> String {
        format!("mysql://{USER}@{}/{}", self.address, tables::DATABASE)
    }

    /// Restores the buffer pool and drops the account.
    fn restore(&self) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = connect(&self.url).await?;
            let drop = format!("DROP USER IF EXISTS '{USER}'@'%'");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(drop))).await?;
            set_buffer_pool(&mut connection, self.buffer_pool_before).await?;
            Ok(connection.close().await?)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!("the server keeps its large buffer pool until it is started again: {error:#}");
        }
    }
}

async fn connect(url: &Url) -> Result<MySqlConnection> {
    // sqlx logs statements that take long; these are long, and expected to be.
    let options = MySqlConnectOptions::from_str(url.as_str())?.disable_statement_logging();
    options.connect().await.context("cannot connect to MySQL")
}

/// Sets the size of the buffer pool and waits until the server has resized it, which happens in the background.
async fn set_buffer_pool(connection: &mut MySqlConnection, bytes: u64) -> Result<()> {
    const MAX_POLLS: u32 = 600;
    let set = format!("SET GLOBAL innodb_buffer_pool_size = {bytes}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(set))).await?;
    let status = "SELECT variable_value FROM performance_schema.global_status
                  WHERE variable_name = 'Innodb_buffer_pool_resize_status_code'";
    for _ in 0..MAX_POLLS {
        let code: Option<String> = sqlx::query_scalar(status).fetch_optional(&mut *connection).await?;
        if code.is_none_or(|code| code == "0") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("the buffer pool is still being resized")
}
