//! Tests how SQL is split at placeholders, and which statements are refused.

use downpipe_core::catalog::{Definition, QuoteMode, SqlPiece, Value};
use downpipe_core::request::ExportRequest;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{catalog, definition, message};

/// Builds a definition with this SQL and string parameters of these names. The SQL starts on line
/// 2.
fn toml(sql: &str, params: &[&str]) -> String {
    let sql = serde_json::Value::from(sql).to_string().replace('\u{7f}', "\\u007f");
    let params: String = params.iter().map(|name| format!("[params.{name}]\ntype = \"string\"\n")).collect();
    format!("title = \"T\"\nsql = {sql}\n{params}")
}

/// Returns the pieces of a request's SQL, each value as its placeholder, such as `:a`.
fn pieces(sql: &str, params: &[&str]) -> Vec<String> {
    let catalog = catalog(&toml(sql, params));
    let values: Vec<String> = params.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
    let message = message(&format!(
        r#"{{"export":"orders","requested_by":"requested_by@example.com","params":{{{}}}}}"#,
        values.join(",")
    ));
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    request.sql(None).into_iter().map(piece).collect()
}

fn piece(piece: SqlPiece) -> String {
    match piece {
        SqlPiece::Text(text) => text,
        SqlPiece::Value(Value::String(name)) => format!(":{}", name.trim_end_matches("@example.com")),
        SqlPiece::Value(other) => panic!("expected a string, got {other:?}"),
    }
}

fn refused(sql: &str) -> String {
    let error =
        Definition::parse("orders.toml", &format!("title = \"T\"\nsql = '''\n{sql}'''\n")).unwrap_err();
    error.to_string()
}

#[test]
fn placeholder_becomes_a_value() {
    let sql = "SELECT * FROM t WHERE a=:a AND b IN (:b,:a) AND c = :requested_by";
    assert_eq!(
        pieces(sql, &["a", "b"]),
        ["SELECT * FROM t WHERE a=", ":a", " AND b IN (", ":b", ",", ":a", ") AND c = ", ":requested_by", ""]
    );
}

#[test]
fn text_that_resembles_a_placeholder_stays_text() {
    let texts = [
        "SELECT ':x', \":x\", `:x`",
        "SELECT 'it''s :x', \"a\"\":x\", `a``:x`",
        r"SELECT 'it\'s :x', '\\', ':x', `\`",
        "SELECT 1 -- :x 'unclosed\n, 2",
        "SELECT 1 # :x ; ?\n, 2",
        "SELECT 1 /* :x ; ? ' */, 2",
        "SELECT 1 /*/ :x */, 2",
        "SELECT 1 --",
        "SELECT 1 --\t:x",
        "SELECT @a:=1, @b := 2",
        "SELECT '12:30:00', '?', ';'",
        "SELECT '日本:x', `列:名`, 🧾",
        "SELECT : , 1",
    ];
    for sql in texts {
        assert_eq!(pieces(sql, &[]), [sql]);
    }
}

#[test]
fn placeholder_in_text_that_mysql_does_not_skip_is_found() {
    assert_eq!(pieces("SELECT 1--:a", &["a"]), ["SELECT 1--", ":a", ""], "two minus signs without a space");
    assert_eq!(
        pieces("SELECT 1 --\u{a0}:a", &["a"]),
        ["SELECT 1 --\u{a0}", ":a", ""],
        "a no-break space is no space"
    );
    assert_eq!(pieces("SELECT /*!80000 1, */ :a", &["a"]), ["SELECT /*!80000 1, */ ", ":a", ""]);
    assert_eq!(
        pieces("SELECT /*+ MAX_EXECUTION_TIME(9) */ :a", &["a"]),
        ["SELECT /*+ MAX_EXECUTION_TIME(9) */ ", ":a", ""]
    );
}

#[test]
fn semicolon_at_the_end_is_accepted() {
    assert_eq!(pieces("SELECT 1 ;  -- done\n", &[]), ["SELECT 1   -- done\n"]);
}

#[test]
fn statement_that_reads_is_accepted() {
    for sql in [
        "select 1",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "TABLE t",
        "VALUES ROW(1)",
        "/* c */ SELECT 1",
        "SELECT `offset`, (SELECT 1 LIMIT 1), 2 FROM t LIMIT 3",
        "\n\n  SELECT 1",
        "SELECT rows, examined, SUM(a) OVER (ORDER BY b ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT /*+ SET_VAR(sort_buffer_size = 16M) */ @@sql_select_limit, @@time_zone",
    ] {
        assert_eq!(pieces(sql, &[]), [sql]);
    }
}

#[test]
fn statement_of_any_other_kind_is_refused_with_its_line() {
    assert_snapshot!(refused("DELETE FROM t"), @r#"orders.toml:3: sql: expected a statement that reads (SELECT, WITH, TABLE, VALUES), got "DELETE""#);
    assert_snapshot!(refused("\n\nSET @a = 1"), @r#"orders.toml:5: sql: expected a statement that reads (SELECT, WITH, TABLE, VALUES), got "SET""#);
    assert_snapshot!(refused(""), @"orders.toml:3: sql: expected a statement that reads (SELECT, WITH, TABLE, VALUES), got none");
    assert_snapshot!(refused("-- nothing"), @"orders.toml:3: sql: expected a statement that reads (SELECT, WITH, TABLE, VALUES), got none");
    assert_snapshot!(refused("SELECT 1;\nSELECT 2"), @"orders.toml:4: sql: there is more after the `;`; a definition is one statement");
    assert_snapshot!(refused("SELECT 1;;"), @"orders.toml:3: sql: there is more after the `;`; a definition is one statement");
    assert_snapshot!(refused("SELECT 1; /*! DELETE FROM t */"), @"orders.toml:3: sql: there is more after the `;`; a definition is one statement");
    assert_snapshot!(refused("SELECT *\nFROM t\nWHERE a = ?"), @"orders.toml:5: sql: `?` has no name; write parameters as `:name`");
    assert_snapshot!(refused("SELECT \"a\n"), @"orders.toml:3: sql: a string is not closed");
    assert_snapshot!(refused("SELECT 1,\n`a"), @"orders.toml:4: sql: a quoted name is not closed");
    assert_snapshot!(refused("SELECT 1,\n 2 /* a\n"), @"orders.toml:4: sql: a comment is not closed");
    assert_snapshot!(refused("SELECT \"a\\\""), @r#"orders.toml:3: sql: a string is not closed; if the server's sql_mode has NO_BACKSLASH_ESCAPES, add sql_mode = "NO_BACKSLASH_ESCAPES" to the definition"#);
    assert_snapshot!(refused("SELECT SQL_CALC_FOUND_ROWS 1"), @"orders.toml:3: sql: SQL_CALC_FOUND_ROWS changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT /*! sql_calc_found_rows */ 1"), @"orders.toml:3: sql: SQL_CALC_FOUND_ROWS changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t\nLIMIT 5 offset 3"), @"orders.toml:4: sql: OFFSET changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t LIMIT 3 , 5"), @"orders.toml:3: sql: LIMIT with two numbers changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t\nLIMIT 10 rows /* of t */ examined 5"), @"orders.toml:4: sql: LIMIT ROWS EXAMINED ends a result early; leave it out");
    assert_snapshot!(refused("SELECT a FROM t LIMIT ROWS EXAMINED 5"), @"orders.toml:3: sql: LIMIT ROWS EXAMINED ends a result early; leave it out");
    assert_snapshot!(refused("SELECT /*+ set_var ( sql_select_limit = 5) */ a FROM t"), @"orders.toml:3: sql: SET_VAR(sql_select_limit) changes a setting that every export has on purpose; leave it out");
    assert_snapshot!(refused("SELECT :a"), @"orders.toml:2: sql: `:a` is not declared in [params]");
    assert_snapshot!(refused("SELECT :after"), @"orders.toml:2: sql: `:after` needs a [resume]");
    assert_snapshot!(refused("SELECT a::text"), @"orders.toml:2: sql: `:text` is not declared in [params]");
    assert_snapshot!(refused("SELECT :日付"), @"orders.toml:2: sql: `:日付` is not declared in [params]");
}

#[test]
fn statement_that_locks_or_keeps_its_rows_is_refused_with_its_line() {
    assert_snapshot!(refused("SELECT a\nINTO @x FROM t"), @"orders.toml:4: sql: INTO keeps the rows on the server, and there would be nothing to export; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t\n into outfile '/tmp/x'"), @"orders.toml:4: sql: INTO keeps the rows on the server, and there would be nothing to export; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("TABLE t INTO DUMPFILE 'x'"), @"orders.toml:3: sql: INTO keeps the rows on the server, and there would be nothing to export; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t\nFOR -- all\n UPDATE SKIP LOCKED"), @"orders.toml:5: sql: FOR UPDATE locks the rows that are exported; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM (SELECT a FROM t FOR SHARE) u"), @"orders.toml:3: sql: FOR SHARE locks the rows that are exported; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t LOCK IN SHARE MODE"), @"orders.toml:3: sql: LOCK IN SHARE MODE locks the rows that are exported; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t PROCEDURE ANALYSE()"), @"orders.toml:3: sql: PROCEDURE returns something else than the rows of the query; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("WITH x AS (SELECT 1)\nDELETE FROM t"), @"orders.toml:4: sql: DELETE removes rows, and a definition only reads; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("WITH x AS (SELECT 1) UPDATE t SET a = 1"), @"orders.toml:3: sql: UPDATE changes rows, and a definition only reads; leave it out (a name can be put in backticks)");
}

#[test]
fn comment_that_some_servers_run_hides_nothing() {
    assert_snapshot!(refused("SELECT 1 /*! INTO @x */"), @"orders.toml:3: sql: INTO keeps the rows on the server, and there would be nothing to export; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT 1 /*!80000 FOR */ UPDATE"), @"orders.toml:3: sql: FOR UPDATE locks the rows that are exported; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT 1\n/*M!100100 INTO OUTFILE 'x' */"), @"orders.toml:4: sql: INTO keeps the rows on the server, and there would be nothing to export; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t LIMIT /*!80000 5, */ 3"), @"orders.toml:3: sql: LIMIT with two numbers changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t LIMIT 5 /*!80000 , 3 */"), @"orders.toml:3: sql: LIMIT with two numbers changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT 1\n/*!80000 + :a */"), @"orders.toml:4: sql: `:a` stands in a comment that some servers run and others skip; write it outside");
    assert_snapshot!(refused("SELECT 1 /*! , '*/ :a' */"), @"orders.toml:3: sql: `*/` ends this comment for some servers and not for others");
    assert_snapshot!(refused("SELECT 1 /*! -- */ :a\n */"), @"orders.toml:3: sql: `*/` ends this comment for some servers and not for others");
    assert_snapshot!(refused("SELECT 1\n/*! , 2"), @"orders.toml:4: sql: a comment is not closed");
    assert_snapshot!(refused("SELECT 1 /*! /*! 2 */ */"), @"orders.toml:3: sql: a comment stands within a comment that some servers run");
}

#[test]
fn reserved_word_used_as_a_name_is_accepted() {
    for sql in [
        "SELECT t.into, t.update, `delete`, @into, t.offset FROM t",
        "SELECT SUBSTRING(a FROM 1 FOR 3), updated_at, REPLACE(a, 'x', 'y') FROM t USE INDEX FOR JOIN (x)",
        "SELECT 'into', 'FOR UPDATE' -- INTO @x\nFROM locks",
        "SELECT * FROM t FOR SYSTEM_TIME ALL",
    ] {
        assert_eq!(pieces(sql, &[]), [sql]);
    }
}

/// Parses a definition with this SQL, for a server of this mode.
fn in_mode(sql_mode: &str, sql: &str) -> Result<Definition, String> {
    let text =
        format!("title = \"T\"\nsql_mode = \"{sql_mode}\"\nsql = '''{sql}'''\nparams.q.type = \"string\"");
    Definition::parse("orders.toml", &text).map_err(|error| error.to_string())
}

#[test]
fn quotes_end_as_in_the_definitions_sql_mode() {
    let escape = r"SELECT a FROM t WHERE a LIKE :q ESCAPE '\'";
    let definition = in_mode("NO_BACKSLASH_ESCAPES", escape).unwrap();
    let has = |sql_mode: &str| definition.sql.modes().contains(QuoteMode::of_sql_mode(sql_mode));
    assert!(has("STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES") && has("ANSI_QUOTES,NO_BACKSLASH_ESCAPES"));
    assert!(!has("") && !has("ANSI_QUOTES"));

    let name = r#"SELECT "a\" FROM t WHERE a = :q"#;
    let definition = in_mode("ANSI_QUOTES", name).unwrap();
    let has = |sql_mode: &str| definition.sql.modes().contains(QuoteMode::of_sql_mode(sql_mode));
    assert!(has("ANSI_QUOTES") && has("NO_BACKSLASH_ESCAPES") && !has("STRICT_TRANS_TABLES"));

    assert!(in_mode("NO_BACKSLASH_ESCAPES, ANSI_QUOTES", escape).is_ok());
    assert_snapshot!(in_mode("STRICT_TRANS_TABLES", escape).unwrap_err(), @r#"orders.toml:2: sql_mode: expected NO_BACKSLASH_ESCAPES, ANSI_QUOTES, or both with a comma, got "STRICT_TRANS_TABLES""#);
    assert_snapshot!(in_mode("", escape).unwrap_err(), @r#"orders.toml:2: sql_mode: expected NO_BACKSLASH_ESCAPES, ANSI_QUOTES, or both with a comma, got """#);
}

#[test]
fn quotes_that_end_alike_in_every_mode_need_no_mode() {
    for sql in [r"SELECT a REGEXP '^\\d+$', 'it''s', 'C:\temp', `a\`", "SELECT 1", "SELECT \"a\"\"b\""] {
        assert!(definition(&toml(sql, &[])).sql.modes().is_any(), "{sql}");
    }
    for sql in [r"SELECT 'it\'s'", r#"SELECT "a\"b""#] {
        let modes = definition(&toml(sql, &[])).sql.modes();
        assert!(!modes.is_any() && modes.contains(QuoteMode::default()), "{sql}");
    }
}

#[test]
fn string_closed_only_in_another_mode_is_refused_with_the_fix() {
    assert_snapshot!(refused(r"SELECT a FROM t WHERE a LIKE 'x' ESCAPE '\'"), @r#"orders.toml:3: sql: a string is not closed; if the server's sql_mode has NO_BACKSLASH_ESCAPES, add sql_mode = "NO_BACKSLASH_ESCAPES" to the definition"#);
    assert_snapshot!(refused(r#"SELECT "a\" FROM t"#), @r#"orders.toml:3: sql: a string is not closed; if the server's sql_mode has NO_BACKSLASH_ESCAPES, add sql_mode = "NO_BACKSLASH_ESCAPES" to the definition"#);
}

/// Generates pieces of SQL, each with its placeholder if it is one.
fn fragment() -> impl Strategy<Value = (&'static str, Option<&'static str>)> {
    prop::sample::select(vec![
        (":a", Some("a")),
        (":b_1", Some("b_1")),
        (":requested_by", Some("requested_by")),
        ("'it''s :x'", None),
        (r"'\':x'", None),
        ("\":x\"\"\"", None),
        ("`:x``;`", None),
        ("-- :x ' ` \"\n", None),
        ("# :x /*\n", None),
        ("/* :x ? ; -- */", None),
        ("@v:=1", None),
        ("日本語", None),
        ("🧾", None),
        ("1.5", None),
        ("(", None),
        (",", None),
        ("\\", None),
        ("\n", None),
        ("-", None),
        ("/", None),
        ("*", None),
        ("\u{7f}", None),
    ])
}

proptest! {
    #[test]
    fn pieces_of_any_sql_make_up_the_input(fragments in proptest::collection::vec(fragment(), 0..20)) {
        let sql: String = std::iter::once("SELECT").chain(fragments.iter().flat_map(|(text, _)| [" ", text])).collect();
        let names: Vec<&str> = fragments.iter().filter_map(|(_, name)| *name).collect();
        let mut params = names.clone();
        params.sort_unstable();
        params.dedup();
        params.retain(|name| *name != "requested_by");
        let pieces = pieces(&sql, &params);
        let found: Vec<&str> = pieces.iter().skip(1).step_by(2).map(|piece| &piece[1..]).collect();
        prop_assert_eq!(found, names);
        prop_assert_eq!(pieces.concat(), sql);
    }

    #[test]
    fn sql_of_any_text_causes_no_panic(sql in "(SELECT )?([\\PC\n]|['\"`:?;#/*-]){0,30}") {
        let _ = Definition::parse("orders.toml", &toml(&sql, &[]));
    }
}
