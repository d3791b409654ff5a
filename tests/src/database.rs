//! A database of one's own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use downpipe_aws::SecretLogin;
use downpipe_core::login::Account;
use downpipe_mysql::{Authorities, Database};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
pub use xtask::stack::Server;
use xtask::stack::{Client, Paths};

use crate::{STACK, unique};

/// A database that goes when its test ends.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// `mysql://user:password@host:port/name`
    pub url: String,
    /// The server it is on.
    pub server: Server,
}

/// What a client said of the rows it loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0`
    pub counts: String,
    /// `Warning (Code 1366): Incorrect integer value: …`
    pub warnings: Vec<String>,
}

impl TestDatabase {
    /// An empty database.
    pub async fn create() -> Self {
        Self::create_on(Server::MySql).await
    }

    /// An empty database on one of the servers.
    pub async fn create_on(server: Server) -> Self {
        let name = unique("test").replace('-', "_");
        let url = url_of(server);
        execute(url, &format!("CREATE DATABASE {name}")).await;
        Self { url: format!("{url}/{name}"), name, server }
    }

    /// A database with the ledger's tables.
    pub async fn migrated() -> Self {
        let database = Self::create().await;
        downpipe_mysql::migrate(&database.database()).await.unwrap();
        database
    }

    /// How Downpipe connects to it.
    pub fn database(&self) -> Database<SecretLogin> {
        Database::at_url(&self.url).unwrap()
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> MySqlConnection {
        connect(&self.url).await
    }

    /// Runs statements, separated by semicolons.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// The rows of a query, in the text protocol: an independent way to look.
    pub async fn query(&self, sql: &str) -> Vec<MySqlRow> {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap()
    }

    /// Runs a `LOAD DATA LOCAL INFILE` as people do, with the server's own client. In the statement, `{file}` stands for
    /// the file's path and `{table}` for the table's name; what comes before it, such as a `SET`, is run too.
    ///
    /// # Errors
    /// With the client's words, when the statement fails.
    pub async fn load_data(&self, statement: &str, file: &Path, table: &str) -> Result<Loaded, String> {
        let client = Client::find(&Paths::of_workspace(), self.server).unwrap();
        // A client in a root of its own sees only what is in there.
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

    /// Ids of the connections on which a statement that contains this text is running.
    pub async fn running(&self, text: &str) -> Vec<u64> {
        self.connections("command IN ('Query', 'Execute') AND info LIKE ?", text).await
    }

    /// Ids of the connections, but for the test's own, that have this database open.
    pub async fn opened_by(&self) -> Vec<u64> {
        self.connections("db LIKE ?", &self.name).await
    }

    async fn connections(&self, condition: &'static str, text: &str) -> Vec<u64> {
        use sqlx::Row as _;
        let connections = match self.server {
            // Not from the process list: it knows only three-byte characters, and fails while another test runs a query
            // that has others in it.
            Server::MySql => {
                "SELECT processlist_id AS id, processlist_command AS command, processlist_info AS info, \
                 processlist_db AS db FROM performance_schema.threads"
            }
            // The other table does not show here what runs as a prepared statement.
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
        let url = url_of(self.server);
        // The test's own runtime may be on its way out; this thread brings one along.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(url, &sql));
        });
        drop(dropping.join());
    }
}

/// A user of the stack's MySQL, with no database open.
pub fn account(username: &str) -> Account {
    let stack: MySqlConnectOptions = STACK.database_url.parse().unwrap();
    let (host, port) = (stack.get_host().to_owned(), stack.get_port());
    Account { host, port, username: username.to_owned(), database: None }
}

/// Who has issued the certificate of the stack's MySQL.
pub fn authorities() -> Authorities {
    Authorities::from_pem(&std::fs::read(authorities_file()).unwrap()).unwrap()
}

/// The file with [`authorities`].
pub fn authorities_file() -> &'static Path {
    STACK.database_ca.as_deref().expect("a MySQL that was given needs DOWNPIPE_TEST_MYSQL_CA besides")
}

/// How to reach a server, without a database.
pub fn url_of(server: Server) -> &'static str {
    STACK.url(server).expect("`cargo xtask stack up` starts MariaDB, too")
}

fn run_client(command: &mut Command, sql: &str) -> Result<String, String> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Short enough for a pipe, whether the client reads it or not.
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

async fn execute(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
