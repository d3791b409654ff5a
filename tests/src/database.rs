//! Creates databases for one test, and reads and loads them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use downpipe_aws::SecretLogin;
use downpipe_core::login::Account;
use downpipe_mysql::{Database, RootCertificates};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use xtask::stack::{Client, Paths};

use crate::{STACK, unique};

pub use xtask::stack::Server;

/// Both servers, for tests that behave alike on them.
pub const SERVERS: [Server; 2] = [Server::MySql, Server::MariaDb];

/// A database that is dropped when its test ends.
#[derive(Debug)]
pub struct TestDatabase {
    /// The database's name.
    pub name: String,
    /// `mysql://user:password@host:port/name`
    pub url: String,
    /// The kind of server.
    pub server: Server,
    server_url: String,
}

/// The client's report about loaded rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0`
    pub counts: String,
    /// `Warning (Code 1366): Incorrect integer value: …`
    pub warnings: Vec<String>,
}

/// The tables of the ledger, in the order in which they are created.
pub const LEDGER_TABLES: [&str; 4] =
    ["downpipe_jobs", "downpipe_job_aliases", "downpipe_downloads", "downpipe_ended_sessions"];

impl TestDatabase {
    /// Deletes every row of the ledger.
    pub async fn empty_ledger(&self) {
        let deletions = LEDGER_TABLES.map(|table| format!("DELETE FROM {table}; "));
        self.execute(&format!("{}COMMIT", deletions.concat())).await;
    }

    /// Creates an empty database on MySQL.
    pub async fn create() -> Self {
        Self::create_on(Server::MySql).await
    }

    /// Creates an empty database on one of the servers.
    pub async fn create_on(server: Server) -> Self {
        Self::create_at(url_of(server), server).await
    }

    /// Creates an empty database on the server at this URL, which names no database.
    pub async fn create_at(server_url: &str, server: Server) -> Self {
        let name = unique("test").replace('-', "_");
        execute(server_url, &format!("CREATE DATABASE {name}")).await;
        Self { url: format!("{server_url}/{name}"), server_url: server_url.to_owned(), name, server }
    }

    /// Creates a database with the ledger's tables.
    pub async fn migrated() -> Self {
        let database = Self::create().await;
        downpipe_mysql::migrate(&database.database()).await.unwrap();
        database
    }

    /// Returns the database as Downpipe connects to it.
    pub fn database(&self) -> Database<SecretLogin> {
        Database::at_url(&self.url).unwrap()
    }

    /// Opens a connection for the test itself.
    pub async fn connect(&self) -> MySqlConnection {
        connect(&self.url).await
    }

    /// Runs statements, separated by semicolons.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// Runs a query in the text protocol, which is independent of Downpipe's row source.
    pub async fn query(&self, sql: &str) -> Vec<MySqlRow> {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap()
    }

    /// Returns how many rows of a table MySQL has read for any query, by its own counter.
    pub async fn rows_read(&self, table: &str) -> u64 {
        let sql = format!(
            "SELECT count_read FROM performance_schema.table_io_waits_summary_by_table \
             WHERE object_schema = '{}' AND object_name = '{table}'",
            self.name
        );
        self.query(&sql).await[0].get("count_read")
    }

    /// Runs a `LOAD DATA LOCAL INFILE` with the server's own client. In the statement, `{file}`
    /// stands for the file's path and `{table}` for the table's name. Statements before it, such as
    /// a `SET`, run too.
    ///
    /// Returns the client's output when the statement fails.
    pub async fn load_data(&self, statement: &str, file: &Path, table: &str) -> Result<Loaded, String> {
        let client = Client::find(&Paths::of_workspace(), self.server).unwrap();
        // A client in its own root directory sees only files in that directory.
        let (outside, inside) = client.folder();
        let folder = tempfile::tempdir_in(outside).unwrap();
        let path = folder.path().join("file");
        std::fs::copy(file, &path).unwrap();
        let seen = inside.join(folder.path().file_name().unwrap()).join("file");
        let sql = statement.replace("{file}", seen.to_str().unwrap()).replace("{table}", table);
        let mut command = client.command(&self.url).unwrap();
        let said = tokio::task::spawn_blocking(move || run_client(&mut command, &sql)).await.unwrap()?;
        let counts = said.lines().find(|line| line.starts_with("Records: "));
        let counts = counts.ok_or_else(|| format!("nothing was loaded: {said}"))?.trim_end().to_owned();
        let is_warning = |line: &&str| line.starts_with("Warning (Code") || line.starts_with("Note (Code");
        Ok(Loaded { counts, warnings: said.lines().filter(is_warning).map(str::to_owned).collect() })
    }

    /// Lists the connections on which a statement that contains this text runs.
    pub async fn running(&self, text: &str) -> Vec<u64> {
        self.connections("command IN ('Query', 'Execute') AND info LIKE ?", text).await
    }

    /// Counts the statements with this text that still run, once they have had 10 s to end. A query
    /// whose connection is gone ends when the server next checks it.
    pub async fn queries_left(&self, text: &str) -> usize {
        let began = Instant::now();
        loop {
            let running = self.running(text).await.len();
            if running == 0 || began.elapsed() > Duration::from_secs(10) {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lists the connections that have this database open, except the one that asks.
    pub async fn opened_by(&self) -> Vec<u64> {
        self.connections("db LIKE ?", &self.name).await
    }

    async fn connections(&self, condition: &'static str, text: &str) -> Vec<u64> {
        let connections = match self.server {
            // The process list knows only three-byte characters. It fails while another test runs a
            // query with longer ones.
            Server::MySql => {
                "SELECT processlist_id AS id, processlist_command AS command, processlist_info AS info, \
                 processlist_db AS db FROM performance_schema.threads"
            }
            // MariaDB's `performance_schema` does not show prepared statements.
            Server::MariaDb => "SELECT id, command, info, db FROM information_schema.processlist",
        };
        let sql = format!(
            "SELECT CAST(id AS UNSIGNED) FROM ({connections}) AS c WHERE {condition} AND id <> CONNECTION_ID()"
        );
        let mut connection = self.connect().await;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(format!("%{text}%"));
        query.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {}", self.name);
        let url = std::mem::take(&mut self.server_url);
        // The test's runtime may be shutting down, so the thread creates its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&url, &sql));
        });
        drop(dropping.join());
    }
}

/// Returns the account of a user of the stack's MySQL, without a database.
pub fn account(username: &str) -> Account {
    let stack: MySqlConnectOptions = STACK.database_url.parse().unwrap();
    let (host, port) = (stack.get_host().to_owned(), stack.get_port());
    Account { host, port, username: username.to_owned(), database: None }
}

/// Returns the root certificates of the stack's MySQL.
pub fn root_certificates() -> RootCertificates {
    RootCertificates::from_pem(&std::fs::read(root_certificates_file()).unwrap()).unwrap()
}

/// Returns the file with the [`root_certificates`].
pub fn root_certificates_file() -> &'static Path {
    STACK.database_ca.as_deref().expect("a MySQL that was given needs DOWNPIPE_TEST_MYSQL_CA besides")
}

/// Returns a server's URL, without a database.
pub fn url_of(server: Server) -> &'static str {
    STACK.url(server).expect("`cargo xtask stack up` starts MariaDB, too")
}

fn run_client(command: &mut Command, sql: &str) -> Result<String, String> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The statement fits into the pipe's buffer, whether the client reads it or not.
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() { Ok(said) } else { Err(said) }
}

async fn connect(url: &str) -> MySqlConnection {
    let options: MySqlConnectOptions = url.parse().unwrap();
    options.pipes_as_concat(false).disable_statement_logging().connect().await.unwrap()
}

pub(crate) async fn execute(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
