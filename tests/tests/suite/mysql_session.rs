//! Tests settings that a server's owner makes for every session, globally or by `init_connect`.
//! They change no row and no value, or the export fails and says why.

use downpipe_core::source::SourceError;
use downpipe_tests::database::{SERVERS, Server, TestDatabase};
use downpipe_tests::export::export;
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::rows::{csv, query, read};
use sqlx::Row as _;

/// Twenty rows, and as many in a table with system versioning, where the server has it.
const ROWS: &str = "
    CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40));
    INSERT INTO t (note) VALUES ('é1'), ('é2'), ('é3'), ('é4'), ('é5'), ('é6'), ('é7'), ('é8'), ('é9'), ('é10');
    INSERT INTO t (note) SELECT CONCAT(note, ' again') FROM t ORDER BY id;
    CREATE TABLE v (id INT PRIMARY KEY) /*M! WITH SYSTEM VERSIONING */;
    INSERT INTO v SELECT id FROM t";

/// A variable with a value that changes the result of a query in a plain client.
struct Disturbance {
    on: &'static [Server],
    set: &'static str,
    /// Whether the variable can be set globally.
    globally: bool,
    /// Whether `init_connect` can set the variable for a user without privileges.
    by_init_connect: bool,
    sql: &'static str,
}

const DISTURBANCES: [Disturbance; 12] = [
    both("sql_select_limit = 3", "SELECT id, note FROM t ORDER BY id"),
    both("sql_select_limit = 0", "SELECT id, note FROM t ORDER BY id"),
    both("group_concat_max_len = 4", "SELECT GROUP_CONCAT(note ORDER BY id) AS notes FROM t"),
    by_init_connect("sql_auto_is_null = 1, last_insert_id = 5", "SELECT id FROM t WHERE id IS NULL"),
    Disturbance { by_init_connect: false, ..both("max_error_count = 0", "SELECT id FROM t ORDER BY id") },
    Disturbance {
        on: &[Server::MariaDb],
        ..both("max_error_count = 0", "SELECT note + 0 AS n FROM t ORDER BY id")
    },
    by_init_connect("character_set_results = latin1", "SELECT note, '日本' AS constant FROM t ORDER BY id"),
    both(
        "time_zone = '+09:00'",
        "SELECT FROM_UNIXTIME(0) AS epoch, HOUR(NOW()) - HOUR(UTC_TIMESTAMP()) AS hours",
    ),
    by_init_connect("timestamp = 1000000000", "SELECT YEAR(NOW()) > 2020 AS today"),
    Disturbance {
        on: &[Server::MariaDb],
        ..both("system_versioning_asof = '2001-01-01'", "SELECT id FROM v ORDER BY id")
    },
    Disturbance {
        on: &[Server::MariaDb],
        ..both(
            "max_recursive_iterations = 5",
            "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 2000) SELECT a FROM n",
        )
    },
    both("autocommit = 0, completion_type = 1", "SELECT id FROM t ORDER BY id"),
];

const fn both(set: &'static str, sql: &'static str) -> Disturbance {
    Disturbance { on: &SERVERS, set, globally: true, by_init_connect: true, sql }
}

const fn by_init_connect(set: &'static str, sql: &'static str) -> Disturbance {
    Disturbance { globally: false, ..both(set, sql) }
}

fn with_scope(scope: &str, set: &str) -> String {
    let each: Vec<String> = set.split(", ").map(|assignment| format!("{scope} {assignment}")).collect();
    format!("SET {}", each.join(", "))
}

fn back_to_default(set: &str) -> String {
    let name = |assignment: &str| assignment.split(' ').next().unwrap().to_owned();
    let each: Vec<String> = set.split(", ").map(|one| format!("GLOBAL {} = DEFAULT", name(one))).collect();
    format!("SET {}", each.join(", "))
}

async fn by_init_connect_of(server: &PrivateServer, statements: &str) {
    server.execute(&format!("SET GLOBAL init_connect = \"{statements}\"")).await;
}

#[tokio::test]
async fn rows_under_disturbed_variables_equal_undisturbed_ones() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        let database = server.create_limited_database().await;
        database.execute(ROWS).await;
        for disturbance in DISTURBANCES.iter().filter(|it| it.on.contains(&kind)) {
            let Disturbance { set, sql, .. } = disturbance;
            let file = async || text(export(&database, sql, "profile = \"plain\"").await.bytes());
            let undisturbed = file().await;
            if disturbance.globally {
                server.execute(&with_scope("GLOBAL", set)).await;
                assert_eq!(file().await, undisturbed, "{kind:?}: {set}, globally");
                server.execute(&back_to_default(set)).await;
            }
            if disturbance.by_init_connect {
                by_init_connect_of(&server, &with_scope("SESSION", set)).await;
                assert_eq!(file().await, undisturbed, "{kind:?}: {set}, by init_connect");
                by_init_connect_of(&server, "").await;
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A plain client of the same user proves that the disturbances have an effect.
#[tokio::test]
async fn plain_client_under_a_select_limit_gets_three_rows() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        let database = server.create_limited_database().await;
        database.execute(ROWS).await;
        server.execute("SET GLOBAL sql_select_limit = 3").await;
        assert_eq!(database.query("SELECT id FROM t").await.len(), 3, "{kind:?}");
        assert_eq!(read(&database, &query("SELECT id FROM t")).await.unwrap().1.rows, 20, "{kind:?}");
    }
}

/// Settings that the author of a definition may rely on, each with a query that shows it.
const CHOICES: [(&str, &str, &str); 7] = [
    ("sql_mode", "PIPES_AS_CONCAT", "SELECT 'a' || 'b' AS x"),
    ("sql_mode", "ANSI", "SELECT 'a' || 'b' AS x FROM t AS \"T\" LIMIT 1"),
    ("div_precision_increment", "9", "SELECT CAST(1/3 AS CHAR) AS x"),
    ("default_week_format", "3", "SELECT CAST(WEEK('2027-01-01') AS CHAR) AS x"),
    ("lc_time_names", "ja_JP", "SELECT MONTHNAME('2026-01-01') AS x"),
    ("max_sort_length", "64", "SELECT 'the order of long texts' AS x"),
    ("max_join_size", "1000000", "SELECT 'refused or all' AS x"),
];

#[tokio::test]
async fn server_settings_left_to_the_owner_are_kept_and_in_the_receipt() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        let database = server.create_limited_database().await;
        database.execute(ROWS).await;
        for (name, value, sql) in CHOICES {
            let quoted = if value.parse::<u32>().is_ok() { value.to_owned() } else { format!("'{value}'") };
            for way in ["globally", "by init_connect"] {
                match way {
                    "globally" => server.execute(&format!("SET GLOBAL {name} = {quoted}")).await,
                    _ => by_init_connect_of(&server, &format!("SET SESSION {name} = {quoted}")).await,
                }
                let context = format!("{kind:?}: {name} = {value}, {way}");
                let exported = export(&database, sql, "profile = \"plain\"").await;
                let session = &exported.receipt.session;
                assert!(session.get(name).unwrap().ends_with(value), "{context}: {session:?}");
                assert_eq!(session.get("sql_select_limit"), Some("18446744073709551615"), "{context}");
                assert_eq!(session.get("time_zone"), Some("+00:00"), "{context}");
                let shown: String = database.query(sql).await[0].get(0);
                assert_eq!(text(exported.bytes()), format!("x\n{shown}\n"), "{context}");
                server.execute(&format!("SET GLOBAL {name} = DEFAULT")).await;
                by_init_connect_of(&server, "").await;
            }
        }
    }
}

/// The driver adds IGNORE_SPACE, which Downpipe removes unless the server has set it.
#[tokio::test]
async fn ignore_space_is_in_sql_mode_only_where_the_server_sets_it() {
    for (option, expected) in [("--sql-mode=NO_UNSIGNED_SUBTRACTION", "0"), ("--sql-mode=IGNORE_SPACE", "1")]
    {
        let server = PrivateServer::start(Server::MySql, &[option]).await;
        let database = server.create_limited_database().await;
        let text =
            csv(&database, "SELECT @@sql_mode = @@GLOBAL.sql_mode AS a, @@sql_mode = 'IGNORE_SPACE' AS b")
                .await;
        assert_eq!(text, format!("a,b\n1,{expected}\n"));
    }
}

/// Only a function that the query calls can set a variable during the query.
#[tokio::test]
async fn variable_changed_during_the_query_fails_the_export() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1").await;
        let database = server.create_limited_database().await;
        database.execute(ROWS).await;
        for (name, expected) in
            [("div_precision_increment", "4"), ("sql_select_limit", "18446744073709551615")]
        {
            let create = format!(
                "CREATE FUNCTION f_{name}(n INT) RETURNS INT BEGIN SET SESSION {name} = 9; RETURN n; END"
            );
            database.execute(&create).await;
            let sql = format!("SELECT f_{name}(id) AS id FROM t ORDER BY id");
            match read(&database, &query(&sql)).await.unwrap_err() {
                SourceError::Session(changed) => assert_eq!(
                    (changed.variable.as_str(), changed.expected.as_str(), changed.actual.as_str()),
                    (name, expected, "9"),
                    "{kind:?}"
                ),
                error => panic!("{kind:?}: {error:?}"),
            }
        }
    }
}

/// Texts that are no numbers, each with a warning, and a last value that is too long for a packet.
const WARNINGS: &str = "
    CREATE TABLE d (id INT PRIMARY KEY, age VARCHAR(10), doc LONGBLOB);
    INSERT INTO d (id, age)
        SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n, 'n/a'
        FROM (SELECT id - 1 AS n FROM t LIMIT 10) a, (SELECT id - 1 AS n FROM t LIMIT 10) b,
             (SELECT id - 1 AS n FROM t LIMIT 10) c, (SELECT 0 AS n UNION SELECT 1) d
        WHERE a.n + 10 * b.n + 100 * c.n + 1000 * d.n BETWEEN 1 AND 1100;
    UPDATE d SET doc = REPEAT('x', 3900000) WHERE id = 1100";

async fn with_warnings(server: &PrivateServer) -> TestDatabase {
    let database = server.create_limited_database().await;
    database.execute(ROWS).await;
    database.execute(WARNINGS).await;
    database
}

const CUT_AT_THE_END: &str = "SELECT id, age + 0 AS age, TO_BASE64(doc) AS doc FROM d ORDER BY id";
const HARMLESS: &str = "SELECT id, age + 0 AS age FROM d ORDER BY id";

/// Returns the same database with a user that has every privilege.
fn privileged(
    server: &PrivateServer,
    database: &TestDatabase,
) -> downpipe_mysql::Database<downpipe_aws::SecretLogin> {
    downpipe_mysql::Database::at_url(&format!("{}/{}", server.url(), database.name)).unwrap()
}

async fn read_privileged(
    server: &PrivateServer,
    database: &TestDatabase,
    sql: &str,
) -> Result<u64, SourceError> {
    use downpipe_core::source::RowSource as _;
    let source = downpipe_mysql::MySqlSource::new(privileged(server, database));
    Ok(source.read(&query(sql), &mut downpipe_tests::rows::CsvSink::new()).await?.rows)
}

#[tokio::test]
async fn cut_value_behind_1100_warnings_fails_the_export() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &["--max-allowed-packet=4M"]).await;
        let database = with_warnings(&server).await;
        let seen = |error: &SourceError| matches!(error, SourceError::QueryFailed { code: 1301, .. });
        let alone = format!("{CUT_AT_THE_END} LIMIT 1");
        let alone = alone.replace("ORDER BY", "WHERE id = 1100 ORDER BY");
        let error = read(&database, &query(&alone)).await.unwrap_err();
        assert!(seen(&error), "{kind:?}: {error:?}");
        let error = read_privileged(&server, &database, CUT_AT_THE_END).await.unwrap_err();
        assert!(seen(&error), "{kind:?}, with privileges: {error:?}");
        match (kind, read(&database, &query(CUT_AT_THE_END)).await.unwrap_err()) {
            (Server::MySql, SourceError::UnseenWarnings { counted: 1101, listed: 1024 }) => {}
            (Server::MariaDb, error) if seen(&error) => {}
            (_, error) => panic!("{kind:?}, without privileges: {error:?}"),
        }
    }
}

#[tokio::test]
async fn harmless_warnings_pass_as_long_as_all_are_seen() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        let database = with_warnings(&server).await;
        let within = HARMLESS.replace("ORDER BY", "WHERE id <= 1000 ORDER BY");
        assert_eq!(read(&database, &query(&within)).await.unwrap().1.rows, 1000, "{kind:?}");
        assert_eq!(read_privileged(&server, &database, HARMLESS).await.unwrap(), 1100, "{kind:?}");
        let one = HARMLESS.replace("ORDER BY", "WHERE id = 7 ORDER BY");
        server.execute("SET GLOBAL max_error_count = 0").await;
        let none = "SELECT id FROM d ORDER BY id";
        assert_eq!(read(&database, &query(none)).await.unwrap().1.rows, 1100, "{kind:?}: nothing to see");
        assert_eq!(read_privileged(&server, &database, HARMLESS).await.unwrap(), 1100, "{kind:?}");
        match (kind, read(&database, &query(&one)).await) {
            (Server::MySql, Err(SourceError::UnseenWarnings { counted: 1, listed: 0 })) => {}
            (Server::MariaDb, Ok((_, end))) => assert_eq!(end.rows, 1),
            (_, result) => panic!("{kind:?}: {result:?}"),
        }
    }
}

/// The catalog refuses such a query. If one runs all the same, the server's warning reveals it.
#[tokio::test]
async fn result_ended_by_limit_rows_examined_is_refused() {
    let server = PrivateServer::start(Server::MariaDb, &[]).await;
    let database = with_warnings(&server).await;
    let sql = "SELECT id FROM d ORDER BY id LIMIT ROWS EXAMINED 50";
    match read(&database, &query(sql)).await.unwrap_err() {
        SourceError::QueryFailed { code, .. } => assert_eq!(code, 1931),
        error => panic!("{error:?}"),
    }
}
