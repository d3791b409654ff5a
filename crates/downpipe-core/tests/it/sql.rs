//! Placeholders are found where they are, and nowhere else.

use downpipe_core::definition::Definition;
use downpipe_core::params::Value;
use downpipe_core::request::ExportRequest;
use downpipe_core::sql::SqlPiece;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{catalog, message};

/// A definition around this SQL, with string parameters of these names. The SQL starts on line 2.
fn toml(sql: &str, params: &[&str]) -> String {
    let sql = serde_json::Value::from(sql).to_string().replace('\u{7f}', "\\u007f");
    let params: String = params.iter().map(|name| format!("[params.{name}]\ntype = \"string\"\n")).collect();
    format!("title = \"T\"\nsql = {sql}\n{params}")
}

/// The pieces as they would run, each value a placeholder again: `:a`.
fn pieces(sql: &str, params: &[&str]) -> Vec<String> {
    let catalog = catalog(&toml(sql, params));
    let values: Vec<String> = params.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
    let message = message(&format!(
        r#"{{"export":"orders","requested_by":"requested_by","params":{{{}}}}}"#,
        values.join(",")
    ));
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    request.sql(None).into_iter().map(piece).collect()
}

fn piece(piece: SqlPiece) -> String {
    match piece {
        SqlPiece::Text(text) => text,
        SqlPiece::Value(Value::String(name)) => format!(":{name}"),
        SqlPiece::Value(other) => panic!("expected a string, got {other:?}"),
    }
}

fn refused(sql: &str) -> String {
    let error =
        Definition::parse("orders.toml", &format!("title = \"T\"\nsql = '''\n{sql}'''\n")).unwrap_err();
    error.to_string()
}

#[test]
fn placeholders_take_values() {
    let sql = "SELECT * FROM t WHERE a=:a AND b IN (:b,:a) AND c = :requested_by";
    assert_eq!(
        pieces(sql, &["a", "b"]),
        ["SELECT * FROM t WHERE a=", ":a", " AND b IN (", ":b", ",", ":a", ") AND c = ", ":requested_by", ""]
    );
}

#[test]
fn what_only_looks_like_a_placeholder_is_text() {
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
fn what_mysql_does_not_skip_is_searched() {
    assert_eq!(pieces("SELECT 1--:a", &["a"]), ["SELECT 1--", ":a", ""], "two minus signs without a space");
    assert_eq!(
        pieces("SELECT 1 --\u{a0}:a", &["a"]),
        ["SELECT 1 --\u{a0}", ":a", ""],
        "a no-break space is no space"
    );
    assert_eq!(pieces("SELECT /*!80000 :a, */ 1", &["a"]), ["SELECT /*!80000 ", ":a", ", */ 1"]);
    assert_eq!(
        pieces("SELECT /*+ MAX_EXECUTION_TIME(9) */ :a", &["a"]),
        ["SELECT /*+ MAX_EXECUTION_TIME(9) */ ", ":a", ""]
    );
}

#[test]
fn a_semicolon_may_end_it() {
    assert_eq!(pieces("SELECT 1 ;  -- done\n", &[]), ["SELECT 1   -- done\n"]);
}

#[test]
fn reads_are_taken() {
    for sql in [
        "select 1",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "TABLE t",
        "VALUES ROW(1)",
        "/* c */ SELECT 1",
        "SELECT `offset`, (SELECT 1 LIMIT 1), 2 FROM t LIMIT 3",
        "\n\n  SELECT 1",
    ] {
        assert_eq!(pieces(sql, &[]), [sql]);
    }
}

#[test]
fn everything_else_is_refused_with_its_line() {
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
    assert_snapshot!(refused("SELECT \"a\\\""), @"orders.toml:3: sql: a string is not closed");
    assert_snapshot!(refused("SELECT SQL_CALC_FOUND_ROWS 1"), @"orders.toml:3: sql: SQL_CALC_FOUND_ROWS changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT /*! sql_calc_found_rows */ 1"), @"orders.toml:3: sql: SQL_CALC_FOUND_ROWS changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t\nLIMIT 5 offset 3"), @"orders.toml:4: sql: OFFSET changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT a FROM t LIMIT 3 , 5"), @"orders.toml:3: sql: LIMIT with two numbers changes the row count that proves a file complete; leave it out (a name can be put in backticks)");
    assert_snapshot!(refused("SELECT :a"), @"orders.toml:2: sql: `:a` is not declared in [params]");
    assert_snapshot!(refused("SELECT :after"), @"orders.toml:2: sql: `:after` needs a [resume]");
    assert_snapshot!(refused("SELECT a::text"), @"orders.toml:2: sql: `:text` is not declared in [params]");
    assert_snapshot!(refused("SELECT :日付"), @"orders.toml:2: sql: `:日付` is not declared in [params]");
}

/// Pieces of SQL with the placeholder that each is, if it is one.
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
    fn pieces_make_up_the_input(fragments in proptest::collection::vec(fragment(), 0..20)) {
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
    fn no_sql_makes_it_panic(sql in "(SELECT )?([\\PC\n]|['\"`:?;#/*-]){0,30}") {
        let _ = Definition::parse("orders.toml", &toml(&sql, &[]));
    }
}
