//! A database of one's own.

use downpipe_aws::SecretLogin;
use downpipe_mysql::Database;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::{STACK, unique};

/// A database that goes when its test ends.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// `mysql://user:password@host:port/name`
    pub url: String,
}

impl TestDatabase {
    /// An empty database.
    pub async fn create() -> Self {
        let name = unique("test").replace('-', "_");
        execute(&STACK.database_url, &format!("CREATE DATABASE {name}")).await;
        Self { url: format!("{}/{name}", STACK.database_url), name }
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

    /// Ids of the connections on which a statement that contains this text is running.
    pub async fn running(&self, text: &str) -> Vec<u64> {
        self.connections("processlist_command IN ('Query', 'Execute') AND processlist_info LIKE ?", text)
            .await
    }

    /// Ids of the connections, but for the test's own, that have this database open.
    pub async fn opened_by(&self) -> Vec<u64> {
        self.connections("processlist_db LIKE ?", &self.name).await
    }

    /// Not from the process list: it knows only three-byte characters, and fails while another test runs a query that
    /// has others in it.
    async fn connections(&self, condition: &'static str, text: &str) -> Vec<u64> {
        use sqlx::Row as _;
        let sql = format!(
            "SELECT processlist_id FROM performance_schema.threads \
             WHERE {condition} AND processlist_id <> CONNECTION_ID()"
        );
        let mut connection = self.connect().await;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(format!("%{text}%"));
        query.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {}", self.name);
        // The test's own runtime may be on its way out; this thread brings one along.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&STACK.database_url, &sql));
        });
        drop(dropping.join());
    }
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
