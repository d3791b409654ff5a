//! Tests definitions on servers whose `sql_mode` changes the meaning of quotes.

use downpipe_core::source::SourceError;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::rows::{query_of, read};

/// Builds a definition with one parameter, `q`.
fn definition(head: &str, sql: &str) -> String {
    format!("title = 'T'\n{head}\nsql = '''{sql}'''\nparams.q.type = 'string'")
}

/// A pattern for servers on which a backslash is a plain character.
const PLAIN_BACKSLASH: &str = r"SELECT 'C:\temp' AS p WHERE '50%' LIKE :q ESCAPE '\'";

/// A string for MySQL's default mode.
const ESCAPED_QUOTE: &str = r"SELECT 'it\'s' AS p, :q AS q";

async fn mode_error(database: &TestDatabase, definition: &str) -> String {
    match read(database, &query_of(definition, &[("q", "x")])).await.unwrap_err() {
        error @ SourceError::SqlMode { .. } => error.to_string(),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn definition_runs_only_on_servers_of_its_sql_mode() {
    for kind in [Server::MySql, Server::MariaDb] {
        let server = PrivateServer::start(kind, &["--sql-mode=NO_BACKSLASH_ESCAPES"]).await;
        let database = server.create_database().await;
        let plain = definition("sql_mode = 'NO_BACKSLASH_ESCAPES'", PLAIN_BACKSLASH);
        let params = [("q", r"50\%")];
        assert_eq!(read(&database, &query_of(&plain, &params)).await.unwrap().0, "p\nC:\\temp\n");
        let error = mode_error(&database, &definition("", ESCAPED_QUOTE)).await;
        assert!(error.contains("the server's sql_mode has NO_BACKSLASH_ESCAPES"), "{error}");

        let usual = TestDatabase::create_on(kind).await;
        let error = mode_error(&usual, &plain).await;
        assert!(error.contains("neither NO_BACKSLASH_ESCAPES nor ANSI_QUOTES"), "{error}");
        let escaped = query_of(&definition("", ESCAPED_QUOTE), &params);
        assert_eq!(read(&usual, &escaped).await.unwrap().0, "p,q\nit's,50\\%\n");
        drop(database);
    }
}

#[tokio::test]
async fn quoted_name_with_a_backslash_needs_the_mode_only_where_it_ends_elsewhere() {
    let server = PrivateServer::start(Server::MySql, &["--sql-mode=ANSI_QUOTES"]).await;
    let database = server.create_database().await;
    let named = definition("sql_mode = 'ANSI_QUOTES'", r#"SELECT 1 AS "a\", :q AS "q""#);
    assert_eq!(read(&database, &query_of(&named, &[("q", "x")])).await.unwrap().0, "a\\,q\n1,x\n");
    let alike = definition("", r#"SELECT :q AS "q", 'it''s' AS "a""b""#);
    assert_eq!(read(&database, &query_of(&alike, &[("q", "x")])).await.unwrap().0, "q,\"a\"\"b\"\nx,it's\n");
    drop(database);
}
