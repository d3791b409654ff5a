//! Starts a database server for one test, with settings that would disturb every other test.

use xtask::stack::{Paths, PrivateServer as Process, Server};

use crate::database::{TestDatabase, execute};
use crate::unique;

/// A running server. It stops when it is dropped, so it must outlive its databases.
#[derive(Debug)]
pub struct PrivateServer {
    process: Process,
    kind: Server,
}

impl PrivateServer {
    /// Starts a server with these options in addition to the stack's own, such as
    /// `--sql-mode=ANSI_QUOTES`. This takes a second.
    ///
    /// When the server does not start. The message has the end of its log.
    pub async fn start(kind: Server, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let start = move || {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Process::start(&Paths::of_workspace(), kind, &options).unwrap()
        };
        Self { process: tokio::task::spawn_blocking(start).await.unwrap(), kind }
    }

    /// Returns `mysql://USER:PASSWORD@HOST:PORT`, without a database. The user has every privilege.
    pub fn url(&self) -> &str {
        self.process.url()
    }

    /// Runs statements, separated by semicolons, with every privilege.
    pub async fn execute(&self, sql: &str) {
        execute(self.url(), sql).await;
    }

    /// Creates a database whose user has every privilege there and none beyond, so that
    /// `init_connect` applies.
    pub async fn create_limited_database(&self) -> TestDatabase {
        let mut database = self.create_database().await;
        let (user, name) = (unique("u").replace('-', ""), &database.name);
        self.execute(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'p'; GRANT ALL ON {name}.* TO '{user}'@'%'"
        ))
        .await;
        let address = self.url().rsplit('@').next().unwrap();
        database.url = format!("mysql://{user}:p@{address}/{name}");
        database
    }

    /// Creates an empty database on the server.
    pub async fn create_database(&self) -> TestDatabase {
        TestDatabase::create_at(self.url(), self.kind).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;

    #[tokio::test]
    async fn private_server_started_with_options_has_them_and_stops_when_dropped() {
        for (kind, option) in
            [(Server::MySql, "--sql-mode=ANSI_QUOTES"), (Server::MariaDb, "--sql-mode=ANSI_QUOTES")]
        {
            let server = PrivateServer::start(kind, &[option]).await;
            let database = server.create_database().await;
            let row = &database.query("SELECT @@GLOBAL.sql_mode").await[0];
            assert_eq!(row.get::<String, _>(0), "ANSI_QUOTES");
            drop(database);
            let address = server.url().rsplit('@').next().unwrap().to_owned();
            drop(server);
            assert!(std::net::TcpStream::connect(&address).is_err(), "{address} still answers");
        }
    }
}
