//! Tests a definition against the columns of its query, and a catalog with a wrong definition.

use downpipe_core::catalog::{Catalog, DefinitionFile, ParamType, SqlPiece, Value};
use downpipe_core::export::ResultColumn;
use downpipe_format::{Column, ColumnKind};
use insta::assert_snapshot;
use tokio::time::Instant;

use crate::samples::definition;

const RESUMED: &str = "title = 'T'
sql = 'SELECT id, price, name FROM t WHERE id > :after'
[resume]
column = 'ID'
start = 0
[columns.name]
as = 'timestamp'
";

fn column(name: &str, kind: ColumnKind, nullable: bool) -> ResultColumn {
    ResultColumn { column: Column { name: name.to_owned(), kind }, type_name: "TYPE".to_owned(), nullable }
}

/// Returns the errors and warnings about a definition whose query returns these columns.
fn fit(text: &str, columns: &[ResultColumn]) -> String {
    let fit = definition(text).check_columns(columns);
    let errors = fit.errors.iter().map(|error| format!("error: {error}"));
    let warnings = fit.warnings.iter().map(|warning| format!("warning: {warning}"));
    errors.chain(warnings).collect::<Vec<_>>().join("\n")
}

#[test]
fn columns_that_do_not_fit_are_named_with_their_line() {
    let id = column("id", ColumnKind::Integer { bits: 64, unsigned: true, zerofill: 0 }, false);
    let name = column("name", ColumnKind::DateTime { fraction: 0 }, true);
    assert_eq!(fit(RESUMED, &[id.clone(), name.clone()]), "");
    let texts = [id.clone(), column("name", ColumnKind::Text, true)];
    assert_snapshot!(fit(RESUMED, &texts), @"error: exports/orders.toml:6: columns.name.as: expected a DATETIME column to be a timestamp, got text");
    assert_snapshot!(fit(RESUMED, &[id.clone(), column("other", ColumnKind::Text, true)]), @"error: exports/orders.toml:6: columns.name: the query returns no such column; it returns id, other");
    assert_snapshot!(fit(RESUMED, &[name.clone(), column("total", ColumnKind::Text, true)]), @r#"error: exports/orders.toml:3: resume.column: expected a column of the query (name, total), got "ID""#);
    assert_snapshot!(fit(RESUMED, &[column("id", ColumnKind::Double, true), name.clone()]), @r"
    error: exports/orders.toml:3: resume.column: expected a whole number, a decimal, a date, bytes or a text, got id (TYPE)
    warning: exports/orders.toml:3: resume.column: id may be NULL, and a row whose key is NULL fails the export
    ");
    assert_snapshot!(fit(RESUMED, &[id.clone(), name, id]), @r#"warning: exports/orders.toml:2: sql: two columns are called "id"; what the definition says of one it says of both"#);
    let one = "title = 'T'\nsql = 'SELECT a FROM t'";
    assert_snapshot!(fit(one, &[column("a", ColumnKind::Text, true)]), @"warning: exports/orders.toml:2: sql: the file has one column, in which NULL and the empty text look alike unless the profile is lossless; a second column, such as the key, tells them apart");
}

#[test]
fn example_of_a_parameter_is_its_default_or_an_allowed_value() {
    let text = "title = 'T'
sql = 'SELECT :a, :b, :c, :d, :requested_by'
params.a = { type = 'integer', default = 7 }
params.b = { type = 'string', one_of = ['x', 'y'] }
params.c = { type = 'date', required = false }
params.d = { type = 'decimal' }";
    let query = definition(text).example_query(Instant::now());
    let values: Vec<Value> = query
        .sql
        .into_iter()
        .filter_map(|piece| match piece {
            SqlPiece::Value(value) => Some(value),
            SqlPiece::Text(_) => None,
        })
        .collect();
    let expected = [
        Value::Integer(7),
        Value::String("x".to_owned()),
        Value::Null(ParamType::Date),
        Value::Decimal("1".to_owned()),
        Value::String("operator".to_owned()),
    ];
    assert_eq!(values, expected);
}

#[test]
fn wrong_definition_leaves_the_others_usable() {
    let file = |file: &str, text: &str| DefinitionFile { file: file.to_owned(), text: text.to_owned() };
    let right = "title = 'T'\nsql = 'SELECT 1'";
    let files = [file("a.toml", right), file("d/b.toml", "title = 1"), file("d/No Name.toml", right)];
    let mut catalog = Catalog::read(&files);
    catalog.add_wrong("d/c.toml", "the file cannot be read".to_owned());
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["a"]);
    assert!(catalog.verify("a").is_ok() && catalog.verify("unknown").is_ok());
    assert!(catalog.verify("b").unwrap_err().to_string().starts_with("d/b.toml:1: "));
    assert_eq!(catalog.verify("c").unwrap_err().to_string(), "d/c.toml:1: the file cannot be read");
    let wrong: Vec<&str> = catalog.errors().iter().map(|error| error.definition()).collect();
    assert_eq!(wrong, ["b", "No Name", "c"]);
    assert_eq!(catalog.complete().unwrap_err().0.len(), 3);
}
