//! Tests `downpipe check`.

use downpipe_tests::aws;
use downpipe_tests::database::{Server, TestDatabase};
use serde_json::json;

use super::{DEFINITIONS, Shell};

#[test]
fn check_lists_every_definition() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.run(&["check"]).printed(), @"
    EXPORT  RESULT  TITLE   PARAMETERS
    broken  right   Broken
    large   right   Large
    orders  right   注文    from, to
    ");
    insta::assert_snapshot!(shell.run(&["check", "orders"]).printed(), @"
    EXPORT  RESULT  TITLE  PARAMETERS
    orders  right   注文   from, to
    ");
    let checked = shell.run(&["check", "--json"]).json();
    assert_eq!(
        checked[2],
        json!({ "export": "orders", "title": "注文", "params": ["from", "to"], "warnings": [], "errors": [] })
    );
}

#[test]
fn check_definition_with_eaten_backslash_warns_on_stderr_and_in_json() {
    let shell = Shell::new();
    let text = "title = \"T\"\nsql = \"\"\"\nSELECT 1 AS a\nWHERE '1' REGEXP '^\\\\d$'\"\"\"\n";
    std::fs::write(shell.path("exports/eaten.toml"), text).unwrap();
    let check = shell.run(&["check", "eaten"]);
    assert!(
        check.stderr.starts_with("warning: exports/eaten.toml:4: sql: TOML reads the backslash"),
        "{check:?}"
    );
    assert!(!check.stdout.contains("warning"), "{check:?}");
    let json = shell.run(&["check", "eaten", "--json"]).json();
    assert_eq!(json[0]["warnings"][0]["line"], 4);
    assert_eq!(json[0]["warnings"][0]["file"], "exports/eaten.toml");
}

#[tokio::test]
async fn check_of_a_catalog_in_s3_lists_its_definitions() {
    let config = aws::localstack().await;
    let bucket = aws::bucket(&config).await;
    let put = aws::s3(&config).put_object().bucket(&bucket).key("defs/numbers.toml");
    put.body(DEFINITIONS[1].1.as_bytes().to_vec().into()).send().await.unwrap();
    let shell = Shell::new().with("DOWNPIPE_CATALOG", &format!("s3://{bucket}/defs"));
    assert_eq!(shell.run(&["check", "--json"]).json()[0]["export"], "numbers");
    let missing = shell.run(&["check", "--catalog", "s3://no-such-bucket-anywhere/defs"]).refused(1);
    assert!(missing.contains("could not list s3://no-such-bucket-anywhere/defs/"), "{missing}");
}

const SHOP: &str = "
    CREATE TABLE shop (
        id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40), price DOUBLE, at DATETIME NOT NULL, KEY (at));
    INSERT INTO shop VALUES (1, 'a', 1.5, '2026-01-01')";

/// Writes a definition with this name, SQL and further sections.
fn define(shell: &Shell, name: &str, sql: &str, rest: &str) {
    let text = format!("title = 'T'\nsql = '''\n{sql}'''\n{rest}");
    std::fs::write(shell.path("exports").join(name).with_extension("toml"), text).unwrap();
}

/// Checks one definition against the database, and returns the exit status and standard error.
fn checked(shell: &Shell, name: &str) -> (Option<i32>, String) {
    let check = shell.run(&["check", name, "--database"]);
    (check.code, check.stderr)
}

async fn shop_on(server: Server) -> (TestDatabase, Shell) {
    let database = TestDatabase::create_on(server).await;
    database.execute(SHOP).await;
    let shell = Shell::on(&database);
    (database, shell)
}

#[tokio::test]
async fn check_database_of_a_fitting_definition_shows_its_columns() {
    for server in [Server::MySql, Server::MariaDb] {
        let (database, shell) = shop_on(server).await;
        define(
            &shell,
            "shop",
            "SELECT id, name, at FROM shop WHERE at >= :from AND name <=> :name AND id > :after ORDER BY id",
            "params.from.type = 'date'\nparams.name = { type = 'string', required = false }\n\
             resume = { column = 'id', start = 0 }\ncolumns.NAME.label = 'Name'",
        );
        let (code, stderr) = checked(&shell, "shop");
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        let json = shell.run(&["check", "shop", "--database", "--json"]).json();
        assert_eq!(
            json[0]["columns"],
            json!([
                { "name": "id", "type": "BIGINT UNSIGNED", "nullable": false },
                { "name": "name", "type": "VARCHAR", "nullable": true },
                { "name": "at", "type": "DATETIME", "nullable": false },
            ])
        );
        drop(database);
    }
}

#[tokio::test]
async fn check_database_names_what_does_not_fit_with_file_and_line() {
    let (database, shell) = shop_on(Server::MySql).await;
    define(&shell, "gone", "SELECT id, name\nFROM shops", "");
    define(&shell, "option", "SELECT id, name FROM shop", "[columns.total]\nlabel = 'ObjectDigest'");
    let resume = |column: &str| format!("[resume]\ncolumn = '{column}'\nstart = 0");
    let after = "SELECT id, name, price FROM shop WHERE id > :after ORDER BY id";
    define(&shell, "nokey", after, &resume("number"));
    define(&shell, "float", after, &resume("price"));
    define(&shell, "nullable", after, &resume("name"));
    define(&shell, "twice", "SELECT id, name AS ID FROM shop", "");
    define(&shell, "one", "SELECT name FROM shop", "");
    define(&shell, "vector", "SELECT id, STRING_TO_VECTOR('[1,2]') AS v FROM shop", "");
    define(&shell, "words", "SELECT id, name FROM shop WHERE \u{e0}x = 1", "");
    let mut reported = String::new();
    for name in ["gone", "option", "nokey", "float", "nullable", "twice", "one", "vector"] {
        let (code, stderr) = checked(&shell, name);
        reported += &format!("{} {stderr}", code.unwrap());
    }
    let reported = reported.replace(&database.name, "DATABASE");
    insta::assert_snapshot!(reported, @r#"
    1 error: exports/gone.toml:2: sql: the database says: 1146 (42S02): Table 'DATABASE.shops' doesn't exist
    downpipe: 1 of 1 definitions are wrong
    1 error: exports/option.toml:4: columns.total: the query returns no such column; it returns id, name
    downpipe: 1 of 1 definitions are wrong
    1 error: exports/nokey.toml:4: resume.column: expected a column of the query (id, name, price), got "number"
    downpipe: 1 of 1 definitions are wrong
    1 warning: exports/float.toml:4: resume.column: price may be NULL, and a row whose key is NULL fails the export
    error: exports/float.toml:4: resume.column: expected a whole number, a decimal, a date, bytes or a text, got price (DOUBLE)
    downpipe: 1 of 1 definitions are wrong
    0 warning: exports/nullable.toml:4: resume.column: name may be NULL, and a row whose key is NULL fails the export
    0 warning: exports/twice.toml:2: sql: two columns are called "ID"; what the definition says of one it says of both
    0 warning: exports/one.toml:2: sql: the file has one column, in which NULL and the empty text look alike unless the profile is lossless; a second column, such as the key, tells them apart
    1 error: exports/vector.toml:2: sql: a column has a type that cannot be read, such as VECTOR; convert it: VECTOR_TO_STRING(column) for people, CAST(column AS BINARY) for the bytes
    downpipe: 1 of 1 definitions are wrong
    "#);
    // All definitions share one connection, also after the definition at which the driver fails.
    let all = shell.run(&["check", "--database"]);
    assert_eq!(all.code, Some(1), "{all:?}");
    assert!(all.stderr.contains("exports/words.toml:2: sql: the database says"), "{all:?}");
    assert!(all.stdout.contains("id BIGINT UNSIGNED, name VARCHAR"), "{all:?}");
}

#[tokio::test]
async fn check_database_warns_of_a_large_table_read_from_end_to_end() {
    for server in [Server::MySql, Server::MariaDb] {
        let (database, shell) = shop_on(server).await;
        match server {
            // The check reads the server's estimate, which can be set.
            Server::MySql => {
                database.execute("ALTER TABLE shop STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0").await;
                database.execute("ANALYZE TABLE shop").await;
                let estimate = format!(
                    "UPDATE mysql.innodb_table_stats SET n_rows = 5000000, clustered_index_size = 90000 \
                     WHERE database_name = '{0}' AND table_name = 'shop'; FLUSH TABLE {0}.shop",
                    database.name
                );
                database.execute(&estimate).await;
            }
            Server::MariaDb => {
                database
                    .execute("DROP TABLE shop; CREATE VIEW shop AS SELECT seq AS id, 'a' AS name FROM seq_1_to_5000000")
                    .await;
            }
        }
        define(&shell, "scan", "SELECT id, name\nFROM shop WHERE name = :q", "params.q.type = 'string'");
        define(&shell, "seek", "SELECT id, name FROM shop WHERE id = :q", "params.q.type = 'integer'");
        let (code, stderr) = checked(&shell, "scan");
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.starts_with("warning: exports/scan.toml:2: sql: the query reads all of "), "{stderr}");
        assert_eq!(checked(&shell, "seek"), (Some(0), String::new()));
    }
}

#[tokio::test]
async fn run_and_check_of_one_definition_ignore_wrong_others() {
    let (_database, shell) = shop_on(Server::MySql).await;
    define(&shell, "shop", "SELECT id, name FROM shop", "");
    define(&shell, "wrong", "SELECT :x", "");
    std::fs::write(shell.path("exports/bytes.toml"), b"title = '\xff'").unwrap();
    assert_eq!(shell.run(&["run", "shop"]).printed(), "id,name\n1,a\n");
    insta::assert_snapshot!(shell.run(&["check", "shop"]).printed(), @"
    EXPORT  RESULT  TITLE  PARAMETERS
    shop    right   T
    ");
    insta::assert_snapshot!(shell.run(&["run", "wrong"]).refused(2), @r"
    downpipe: the catalog has definitions that are wrong:
    exports/wrong.toml:2: sql: `:x` is not declared in [params]
    ");
    let (code, stderr) = checked(&shell, "bytes");
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error: exports/bytes.toml:1: the file cannot be read: "), "{stderr}");
}
