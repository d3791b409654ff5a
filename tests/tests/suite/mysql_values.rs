//! Tests which errors the requester can correct. An unusable value is the requester's; an error of
//! the rows or the definition is the operator's.

use downpipe_core::failure::of_export;
use downpipe_core::job::Failure;
use downpipe_core::language::Language;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::try_export_with;

const TABLE: &str = "
    CREATE TABLE t (
        id INT PRIMARY KEY, name VARCHAR(50) CHARACTER SET latin1, other VARCHAR(50) CHARACTER SET cp932,
        d DATE, u BIGINT UNSIGNED, doc LONGTEXT);
    INSERT INTO t VALUES (1, 'abc', 'abc', '2026-01-01', 5, '{\"a\": 1}')";

const PARAMS: &str = "
    params.q.type = 'string'
    params.r = { type = 'string', default = 'abc' }
    params.n = { type = 'integer', default = 1 }";

async fn table_on(server: Server) -> TestDatabase {
    let database = TestDatabase::create_on(server).await;
    database.execute(TABLE).await;
    database
}

/// Returns the failure of an export with this parameter.
async fn failure(database: &TestDatabase, sql: &str, (name, value): (&str, &str)) -> Failure {
    let params: String = PARAMS
        .lines()
        .filter(|line| {
            let name = line.trim_start().trim_start_matches("params.").chars().next();
            name.is_some_and(|name| sql.contains(&format!(":{name}")))
        })
        .fold(String::new(), |text, line| text + line.trim_start() + "\n");
    let definition = format!("title = 'T'\nsql = '''{sql}'''\n{params}");
    let mut values = vec![(name, value)];
    if name != "q" && sql.contains(":q") {
        values.push(("q", "abc"));
    }
    of_export(&try_export_with(database, &definition, &values).await.unwrap_err()).1
}

#[tokio::test]
async fn value_unusable_in_mysql_is_refused_with_its_parameters_name() {
    let database = table_on(Server::MySql).await;
    for (sql, param, expected) in [
        (
            "SELECT id FROM t WHERE name = :q",
            ("q", "😀"),
            "characters that the column in the database can hold",
        ),
        ("SELECT id FROM t WHERE name LIKE :q AND id > :n", ("q", "😀%"), "characters that"),
        ("SELECT CONCAT(name, :q) FROM t WHERE name = :r", ("q", "日本"), "characters that"),
        ("SELECT id FROM t WHERE name REGEXP :q", ("q", "("), "a regular expression that"),
        ("SELECT id FROM t WHERE name REGEXP :q", ("q", "a{2,1}"), "a regular expression that"),
        ("SELECT JSON_EXTRACT(doc, :q) FROM t", ("q", "a.b"), "valid JSON, or a valid path into it"),
        ("SELECT ST_AsText(ST_GeomFromText(:q))", ("q", "POINT("), "a geometry that"),
        ("SELECT ST_AsText(ST_GeomFromText(:q, 4326))", ("q", "POINT(500 500)"), "a geometry that"),
        ("SELECT HEX(UUID_TO_BIN(:q)), :r AS r", ("q", "nope"), "a value that the query's functions take"),
        ("SELECT id FROM t WHERE name LIKE 'a' ESCAPE :q", ("q", "ab"), "a value that"),
        ("SELECT u - :n FROM t", ("n", "9"), "a number with which the query can compute"),
        ("SELECT id FROM t LIMIT :n", ("n", "-1"), "a number with"),
        ("SELECT EXP(:n)", ("n", "10000"), "a number with"),
    ] {
        let failure = failure(&database, sql, param).await;
        let message = format!("The request was refused: params.{}: expected {expected}", param.0);
        assert!(failure.words(Language::En).message.starts_with(&message), "{sql}: {failure:?}");
        assert!(failure.words(Language::En).message.contains(param.1), "{sql}: {failure:?}");
        assert_eq!((failure.code.as_str(), failure.for_operator), ("rejected", false), "{sql}");
        assert!(failure.detail.is_some_and(|detail| !detail.is_empty()), "{sql}");
    }
}

#[tokio::test]
async fn value_unusable_in_mariadb_is_refused_with_its_parameters_name() {
    let database = table_on(Server::MariaDb).await;
    for (sql, param) in [
        ("SELECT id FROM t WHERE name = :q", ("q", "😀")),
        ("SELECT id FROM t WHERE name IN (:q, :r)", ("q", "日本")),
        ("SELECT id FROM t WHERE name REGEXP :q", ("q", "(")),
        ("SELECT u - :n FROM t", ("n", "9")),
    ] {
        let failure = failure(&database, sql, param).await;
        let message = format!("The request was refused: params.{}: expected ", param.0);
        assert!(
            failure.words(Language::En).message.starts_with(&message) && !failure.for_operator,
            "{sql}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn error_no_parameter_can_cause_is_for_the_operator() {
    let database = table_on(Server::MySql).await;
    for (sql, param) in [
        // The rows exceed the range for any value of the parameter.
        ("SELECT u - 9 AS x FROM t WHERE id = :n", ("n", "1")),
        ("SELECT u - 9 AS x FROM t WHERE name = :q", ("q", "abc")),
        // Neither the row's text nor a number is JSON.
        ("SELECT JSON_EXTRACT(name, '$.a') FROM t WHERE id = :n", ("n", "1")),
        // MySQL reports the error before any value is bound.
        ("SELECT id FROM t WHERE name = other AND name <> :q", ("q", "日本")),
        ("SELECT nothing FROM t WHERE name = :q", ("q", "日本")),
    ] {
        let failure = failure(&database, sql, param).await;
        assert_eq!(
            (failure.code.as_str(), failure.for_operator),
            ("query_failed", true),
            "{sql}: {failure:?}"
        );
    }
    let error = try_export_with(&database, "title = 'T'\nsql = 'SELECT u - 9 AS x FROM t'", &[]).await;
    assert!(of_export(&error.unwrap_err()).1.for_operator);
}
