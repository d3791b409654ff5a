//! Tests servers that refuse work: which errors are transient, and their messages.

use downpipe_aws::DatabaseLogin;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::NewJob;
use downpipe_core::ledger::LedgerError;
use downpipe_core::message::Message;
use downpipe_core::source::{RowSource as _, SourceError};
use downpipe_mysql::{Database, MySqlSource, migrate};
use downpipe_tests::database::{Server, TestDatabase, url_of};
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::rows::{CsvSink, query, read};
use downpipe_tests::unique;
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;

#[tokio::test]
async fn server_without_room_for_a_statement_is_busy() {
    let server = PrivateServer::start(Server::MySql, &["--max-prepared-stmt-count=0"]).await;
    let database = server.create_database().await;
    let error = read(&database, &query("SELECT 1")).await.unwrap_err();
    assert!(matches!(error, SourceError::Busy { code: 1461 }), "{error:?}");
    drop(database);
}

#[tokio::test]
async fn account_without_room_for_a_connection_is_busy() {
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        let user = unique("u").replace('-', "");
        database
            .execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'p' WITH MAX_USER_CONNECTIONS 1"))
            .await;
        let url = format!("mysql://{user}:p@{}", url_of(server).rsplit('@').next().unwrap());
        let held = MySqlConnection::connect(&url).await.unwrap();
        let source = MySqlSource::new(Database::<DatabaseLogin>::at_url(&url).unwrap());
        let error = source.read(&query("SELECT 1"), &mut CsvSink::new()).await.unwrap_err();
        assert!(matches!(error, SourceError::Busy { code: 1203 | 1226 }), "{error:?}");
        held.close().await.unwrap();
        database.execute(&format!("DROP USER '{user}'@'%'")).await;
    }
}

#[tokio::test]
async fn ledger_on_a_read_only_server_is_unavailable_with_a_clear_message() {
    let server = PrivateServer::start(Server::MySql, &[]).await;
    let database = server.create_database().await;
    migrate(&database.database()).await.unwrap();
    let user = unique("u").replace('-', "");
    // `read_only` does not apply to the test's user, who has every privilege.
    let grant = format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'p'; GRANT SELECT, INSERT, UPDATE ON {}.* TO '{user}'@'%'",
        database.name
    );
    database.execute(&grant).await;
    let address = server.url().rsplit('@').next().unwrap();
    let url = format!("mysql://{user}:p@{address}/{}", database.name);
    let ledger = downpipe_mysql::ledger(Database::<DatabaseLogin>::at_url(&url).unwrap());
    for option in ["read_only", "super_read_only"] {
        database.execute(&format!("SET GLOBAL {option} = ON")).await;
        let body = r#"{"export":"orders"}"#;
        let job = NewJob::of(&Message::parse(body), &unique("m"), body).unwrap();
        let error = ledger.accept(&job).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error:?}");
        let words = error_chain(&error);
        assert!(words.contains("this is a read-only server (MySQL error 1290)"), "{words}");
    }
    database.execute("SET GLOBAL read_only = OFF").await;
    drop(database);
}

#[tokio::test]
async fn statement_without_columns_has_its_own_error() {
    let database = TestDatabase::create().await;
    let error = read(&database, &query("SELECT 1 INTO @x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the statement returns no columns");
}
