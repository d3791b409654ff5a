//! Tests definitions: one with every key, and how wrong ones are refused.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use downpipe_core::catalog::{
    Catalog, Definition, DefinitionFile, Limits, Param, ParamType, Throttle, Value,
};
use downpipe_core::store::Retention;
use downpipe_format::{ColumnOptions, Compression, Format, Layout, Profile, Style, TreatAs};
use insta::assert_snapshot;

use crate::samples::definition;

const EVERYTHING: &str = r#"title = "Orders"
description = "Every order of a period."
sql = """
SELECT id, created_at, customer, total, memo FROM orders
WHERE created_at >= :from AND created_at < :to AND status = :status AND paid = :paid
  AND total >= :least AND note <=> :note AND updated_at < :before AND owner = :requested_by AND id > :after
ORDER BY id"""

[params.from]
type = "date"
label = "開始日"
help = "The first day."
[params.to]
type = "date"
default = 2026-12-31
[params.status]
type = "string"
one_of = ["open", "closed"]
default = "open"
max_length = 10
[params.paid]
type = "boolean"
default = true
[params.least]
type = "decimal"
default = "12.50"
[params.note]
type = "integer"
required = false
locked = true
[params.before]
type = "datetime"
default = 2026-12-31T23:59:59

[resume]
column = "id"
start = "0"

[columns.total]
label = "合計"
as = "number"
[columns.memo]
as = "text"
[columns.id]
hide = true

[limits]
rows = 1_000_000
bytes = 2_000_000_000
seconds = 600

[throttle]
rows_per_second = 20_000
bytes_per_second = 5_000_000
max_threads_running = 30
max_replica_lag = 10

[access]
requesters = ["*@example.com", "operator"]

[output]
profile = "excel"
format = "csv"
compression = "none"
filename = "orders-{from}-{to}.csv"
retention = "30d"
"#;

#[test]
fn definition_with_every_key_is_read() {
    let definition = definition(EVERYTHING);
    assert_eq!((definition.name.as_str(), definition.title.as_str()), ("orders", "Orders"));
    assert_eq!(definition.description.as_deref(), Some("Every order of a period."));
    let date = |text: &str| Value::Date(text.parse().unwrap());
    let param = |kind, required, default| Param {
        kind,
        required,
        default,
        one_of: Vec::new(),
        label: None,
        help: None,
        locked: false,
        max_length: None,
    };
    let text = |text: &str| Value::String(text.to_owned());
    let params: BTreeMap<String, Param> = [
        (
            "from",
            Param {
                label: Some("開始日".to_owned()),
                help: Some("The first day.".to_owned()),
                ..param(ParamType::Date, true, None)
            },
        ),
        ("to", param(ParamType::Date, false, Some(date("2026-12-31")))),
        (
            "status",
            Param {
                one_of: vec![text("open"), text("closed")],
                max_length: Some(10),
                ..param(ParamType::String, false, Some(text("open")))
            },
        ),
        ("paid", param(ParamType::Boolean, false, Some(Value::Boolean(true)))),
        ("least", param(ParamType::Decimal, false, Some(Value::Decimal("12.50".to_owned())))),
        ("note", Param { locked: true, ..param(ParamType::Integer, false, None) }),
        (
            "before",
            param(ParamType::DateTime, false, Some(Value::DateTime("2026-12-31T23:59:59".parse().unwrap()))),
        ),
    ]
    .map(|(name, param)| (name.to_owned(), param))
    .into();
    assert_eq!(definition.params, params);
    let resume = definition.resume.as_ref().unwrap();
    assert_eq!(
        (resume.column.as_str(), &resume.start),
        ("id", &Value::String("0".to_owned())),
        "TOML says which it is: a text key must not be compared with a number"
    );
    let options = [
        (
            "total",
            ColumnOptions {
                label: Some("合計".to_owned()),
                treat_as: Some(TreatAs::Number),
                ..ColumnOptions::default()
            },
        ),
        ("memo", ColumnOptions { treat_as: Some(TreatAs::Text), ..ColumnOptions::default() }),
        ("id", ColumnOptions { hide: true, ..ColumnOptions::default() }),
    ];
    assert_eq!(
        definition.layout,
        Layout::new(options.map(|(name, options)| (name.to_owned(), options)).into())
    );
    let throttle = Throttle {
        rows_per_second: NonZeroU64::new(20_000),
        bytes_per_second: NonZeroU64::new(5_000_000),
        max_threads_running: Some(30),
        max_replica_lag: Some(10),
    };
    assert_eq!(definition.throttle, throttle);
    let limits = Limits { rows: Some(1_000_000), bytes: Some(2_000_000_000), seconds: Some(600) };
    assert_eq!(definition.limits, limits);
    let output = &definition.output;
    assert_eq!(
        (output.style.clone(), output.retention),
        (Style::new(Profile::EXCEL, Format::Csv, Compression::None).unwrap(), Retention::Days30)
    );
    assert_snapshot!(definition.sha256, @"c9bb1cc64cc140cb8b419079e49ed645991459effcd72ee91f93aecb3ea51670");
}

#[test]
fn definition_with_only_title_and_sql_has_the_defaults() {
    let definition = definition("title = \"T\"\nsql = \"SELECT 1\"");
    assert_eq!(definition.limits, Limits::default());
    assert_eq!(*definition.output.style.profile(), Profile::PLAIN);
    assert_eq!(definition.output.retention, Retention::Days7);
    assert!(
        definition.access.allows(&"alice@example.com".parse().unwrap()),
        "without [access] everyone may ask"
    );
}

/// Returns the error of a definition with this text after title and SQL, which take two lines.
fn refused(rest: &str) -> String {
    let text = format!("title = \"T\"\nsql = \"SELECT :x\"\n{rest}");
    Definition::parse("exports/orders.toml", &text).unwrap_err().to_string()
}

fn refused_param(body: &str) -> String {
    refused(&format!("[params.x]\n{body}"))
}

fn refused_output(body: &str) -> String {
    refused(&format!("[params.x]\ntype = \"date\"\n[output]\n{body}"))
}

fn refused_text(text: &str) -> String {
    Definition::parse("exports/orders.toml", text).unwrap_err().to_string()
}

#[test]
fn definition_without_title_or_sql_is_refused() {
    assert_snapshot!(refused_text(""), @"exports/orders.toml:1: missing field `title`");
    assert_snapshot!(refused_text("title = \"T\""), @"exports/orders.toml:1: missing field `sql`");
    assert_snapshot!(refused_text("title = \"T\"\nsql = 5"), @"exports/orders.toml:2: sql: invalid type: integer `5`, expected a string");
    assert_snapshot!(refused_text("sql = \"SELECT 1\"\ntitle = \"  \""), @"exports/orders.toml:2: title: expected some text, got none");
    assert_snapshot!(refused_text("title = \"T\"\nsql = \"SELECT 1\"\nsql = \"SELECT 2\""), @"exports/orders.toml:3: duplicate key");
    assert_snapshot!(refused_text("title = \"T\"\nsql = \"\"\"\nSELECT 1\n"), @r#"exports/orders.toml:4: invalid multi-line basic string, expected `"`"#);
    assert_snapshot!(refused_text("title = \"T\"\nsql = \"\"\"\nSELECT 1,\n2;\nSELECT 3\"\"\""), @"exports/orders.toml:5: sql: there is more after the `;`; a definition is one statement");
    assert_snapshot!(refused_text("title = \"T\"\nsql = '''SELECT 1,\n?'''"), @"exports/orders.toml:3: sql: `?` has no name; write parameters as `:name`");
}

#[test]
fn unknown_key_in_any_section_is_refused() {
    assert_snapshot!(refused("query = \"x\""), @"exports/orders.toml:3: query: unknown field `query`, expected one of `title`, `description`, `time_zone`, `sql`, `sql_mode`, `params`, `resume`, `columns`, `profiles`, `limits`, `throttle`, `access`, `output`, `ja`");
    assert_snapshot!(refused_param("typ = \"date\""), @"exports/orders.toml:4: params.x.typ: unknown field `typ`, expected one of `type`, `required`, `default`, `one_of`, `label`, `help`, `locked`, `max_length`");
    assert_snapshot!(refused("[params.x]\ntype = \"date\"\n[limits]\nrow = 5"), @"exports/orders.toml:6: limits.row: unknown field `row`, expected one of `rows`, `bytes`, `seconds`");
    assert_snapshot!(refused("[columns.a]\nheading = \"x\""), @"exports/orders.toml:4: columns.a.heading: unknown field `heading`, expected one of `label`, `hide`, `position`, `as`, `mask`");
    assert_snapshot!(refused("[access]\nrequester = []"), @"exports/orders.toml:4: access.requester: unknown field `requester`, expected one of `requesters`, `shared`, `link`");
    assert_snapshot!(refused_output("file = \"x\""), @"exports/orders.toml:6: output.file: unknown field `file`, expected one of `profile`, `format`, `compression`, `filename`, `retention`, `reuse`");
    assert_snapshot!(refused("[resume]\ncolumn = \"id\"\nstart = 0\nend = 5"), @"exports/orders.toml:6: resume.end: unknown field `end`, expected `column` or `start`");
}

#[test]
fn impossible_parameter_is_refused() {
    assert_snapshot!(refused_param(""), @"exports/orders.toml:3: params.x: missing field `type`");
    assert_snapshot!(refused_param("type = \"float\""), @"exports/orders.toml:4: params.x.type: unknown variant `float`, expected one of `string`, `integer`, `decimal`, `boolean`, `date`, `datetime`");
    assert_snapshot!(refused_param("type = \"date\"\ndefault = \"soon\""), @r#"exports/orders.toml:5: params.x.default: expected a date such as 2026-01-31, got "soon""#);
    assert_snapshot!(refused_param("type = \"date\"\ndefault = 10:30:00"), @r#"exports/orders.toml:5: params.x.default: expected a date such as 2026-01-31, got "10:30:00""#);
    assert_snapshot!(refused_param("type = \"decimal\"\ndefault = 12.50"), @"exports/orders.toml:5: params.x.default: expected a string, a whole number, a boolean or a date (a decimal number is written as a string), got 12.50");
    assert_snapshot!(refused_param("type = \"integer\"\ndefault = [1]"), @"exports/orders.toml:5: params.x.default: expected a string, a whole number, a boolean or a date (a decimal number is written as a string), got [1]");
    assert_snapshot!(refused_param("type = \"integer\"\none_of = [1, 2]\ndefault = 3"), @"exports/orders.toml:6: params.x.default: expected one of 1, 2, got 3");
    assert_snapshot!(refused_param("type = \"integer\"\none_of = [\n  1,\n  \"two\"\n]"), @r#"exports/orders.toml:7: params.x.one_of: expected a whole number between -9223372036854775808 and 9223372036854775807, got "two""#);
    assert_snapshot!(refused_param("type = \"string\"\nmax_length = 2\ndefault = \"abc\""), @"exports/orders.toml:6: params.x.default: expected at most 2 characters, got 3 characters");
    assert_snapshot!(refused_param("type = \"integer\"\nmax_length = 2"), @"exports/orders.toml:5: params.x.max_length: only a string has a length");
    assert_snapshot!(refused_param("type = \"string\"\nmax_length = -1"), @"exports/orders.toml:5: params.x.max_length: invalid value: integer `-1`, expected usize");
    assert_snapshot!(refused("[params.after]\ntype = \"date\""), @"exports/orders.toml:3: params.after: this name is built in");
    assert_snapshot!(refused("[params.requested_by]\ntype = \"date\""), @"exports/orders.toml:3: params.requested_by: this name is built in");
    assert_snapshot!(refused("[params.\"from-day\"]\ntype = \"date\""), @r#"exports/orders.toml:3: params: expected a name of letters, digits and _, got "from-day""#);
    assert_snapshot!(refused("[params.\"\"]\ntype = \"date\""), @r#"exports/orders.toml:3: params: expected a name of letters, digits and _, got """#);
}

#[test]
fn parameter_missing_in_sql_or_in_params_is_refused() {
    assert_snapshot!(refused(""), @"exports/orders.toml:2: sql: `:x` is not declared in [params]");
    assert_snapshot!(refused("[params.x]\ntype = \"date\"\n[params.y]\ntype = \"date\""), @"exports/orders.toml:2: sql: the parameter `y` is not used");
    assert_snapshot!(refused_text("title = \"T\"\nsql = \"SELECT :after\""), @"exports/orders.toml:2: sql: `:after` needs a [resume]");
}

#[test]
fn resume_section_without_after_or_start_is_refused() {
    let resume = |rest: &str| refused(&format!("[params.x]\ntype = \"date\"\n[resume]\n{rest}"));
    assert_snapshot!(resume("column = \"id\"\nstart = 0"), @"exports/orders.toml:5: resume: the SQL must filter on `:after`, or a continued export would start over");
    assert_snapshot!(resume("column = \"id\""), @"exports/orders.toml:5: resume: missing field `start`");
    let start = |start: &str| {
        refused_text(&format!(
            "title = \"T\"\nsql = \"SELECT :after\"\n[resume]\ncolumn = \"id\"\nstart = {start}"
        ))
    };
    assert_snapshot!(start("true"), @"exports/orders.toml:3: resume.start: expected a string or a whole number, got true");
    assert_snapshot!(start("1.5"), @"exports/orders.toml:5: resume.start: expected a string, a whole number, a boolean or a date (a decimal number is written as a string), got 1.5");
}

#[test]
fn unknown_choice_is_refused_with_the_choices() {
    assert_snapshot!(refused_output("profile = \"csv\""), @r#"exports/orders.toml:6: output.profile: expected one of plain, excel, excel-cp932, lossless, got "csv""#);
    assert_snapshot!(refused_output("format = \"xml\""), @r#"exports/orders.toml:6: output.format: expected one of csv, tsv, jsonl, xlsx, parquet, got "xml""#);
    assert_snapshot!(refused_output("compression = \"rar\""), @r#"exports/orders.toml:6: output.compression: expected one of none, gzip, zstd, zip, got "rar""#);
    assert_snapshot!(refused_output("retention = \"2d\""), @r#"exports/orders.toml:6: output.retention: expected one of 1d, 3d, 7d, 14d, 30d, 90d, got "2d""#);
    assert_snapshot!(refused_output("filename = \"a-{y}\""), @"exports/orders.toml:6: output.filename: `{y}` is not a parameter of this definition");
    assert_snapshot!(refused_output("filename = \"a-{x\""), @r#"exports/orders.toml:6: output.filename: expected a `}` after the `{` in "a-{x""#);
    assert_snapshot!(refused_output("filename = \".csv\""), @"exports/orders.toml:6: output.filename: expected a name, got nothing");
    assert_snapshot!(refused("[columns.a]\nas = \"date\""), @r#"exports/orders.toml:4: columns.a.as: expected one of "text", "number", "timestamp", "decimal(precision,scale)", got "date""#);
    assert_snapshot!(refused("[columns.a]\nas = \"decimal(2,3)\""), @r#"exports/orders.toml:4: columns.a.as: expected "decimal(precision,scale)" with 1 to 65 digits in all, of which up to 30 behind the point, got "decimal(2,3)""#);
    assert_snapshot!(refused("[limits]\nrows = 0"), @"exports/orders.toml:4: limits.rows: invalid value: integer `0`, expected a nonzero u64");
    assert_snapshot!(refused("[throttle]\nrows_per_second = 0"), @"exports/orders.toml:4: throttle.rows_per_second: invalid value: integer `0`, expected a nonzero u64");
    assert_snapshot!(refused("[throttle]\nbytes_per_second = 1.5"), @"exports/orders.toml:4: throttle.bytes_per_second: invalid type: floating point `1.5`, expected a nonzero u64");
    assert_snapshot!(refused_text("title = \"T\"\nsql = \"SELECT 1\"\n[throttle]\nrows_per_second = 1\nmax_threads_running = 2"), @"exports/orders.toml:5: throttle.max_threads_running: expected at least 3, because an export's own are among them, got 2");
    assert_snapshot!(refused("[throttle]\nmax_replica_lag = \"10s\""), @r#"exports/orders.toml:4: throttle.max_replica_lag: invalid type: string "10s", expected u64"#);
    assert_snapshot!(refused("[throttle]\nmax_replica_lag = -1"), @"exports/orders.toml:4: throttle.max_replica_lag: invalid value: integer `-1`, expected u64");
    assert_snapshot!(refused("[throttle]\nrows = 10"), @"exports/orders.toml:4: throttle.rows: unknown field `rows`, expected one of `rows_per_second`, `bytes_per_second`, `max_threads_running`, `max_replica_lag`");
    assert_snapshot!(refused("[limits]\nseconds = -1"), @"exports/orders.toml:4: limits.seconds: invalid value: integer `-1`, expected a nonzero u64");
}

#[test]
fn definition_is_named_by_its_file() {
    let refused =
        |file: &str| Definition::parse(file, "title = \"T\"\nsql = \"SELECT 1\"").unwrap_err().to_string();
    assert_snapshot!(refused("exports/Orders.toml"), @r#"exports/Orders.toml:1: expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got "Orders""#);
    assert_snapshot!(refused("-orders.toml"), @r#"-orders.toml:1: expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got "-orders""#);
    assert_snapshot!(refused(".toml"), @r#".toml:1: expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got """#);
    assert_snapshot!(refused("注文.toml"), @r#"注文.toml:1: expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got "注文""#);
    assert_snapshot!(refused(&format!("{}.toml", "a".repeat(65))), @r#"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.toml:1: expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#);
    let named = |file: &str| Definition::parse(file, "title = \"T\"\nsql = \"SELECT 1\"").unwrap().name;
    assert_eq!(named("s3://bucket/exports/0rders_by-day.toml"), "0rders_by-day");
    assert_eq!(named(&format!("{}.toml", "a".repeat(64))), "a".repeat(64));
}

#[test]
fn catalog_with_wrong_definitions_names_them_all() {
    let file = |file: &str, text: &str| DefinitionFile { file: file.to_owned(), text: text.to_owned() };
    let good = "title = \"T\"\nsql = \"SELECT 1\"";
    let files =
        [file("a.toml", good), file("b.toml", "sql = 5"), file("c.toml", ""), file("old/a.toml", good)];
    assert_snapshot!(Catalog::parse(&files).unwrap_err(), @r#"
    b.toml:1: sql: invalid type: integer `5`, expected a string
    c.toml:1: missing field `title`
    old/a.toml:1: there is another definition of the name "a"
    "#);
    let catalog = Catalog::parse(&[file("b.toml", good), file("a.toml", good)]).unwrap();
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["a", "b"]);
    assert!(catalog.get("c").is_none() && !catalog.is_empty() && Catalog::default().is_empty());
}

#[test]
fn access_pattern_matches_whole_addresses_in_any_case() {
    let allows = |patterns: &str, requester: &str| {
        definition(&format!("title = \"T\"\nsql = \"SELECT 1\"\n[access]\nrequesters = {patterns}"))
            .access
            .allows(&requester.parse().unwrap())
    };
    for (patterns, requester, expected) in [
        ("[]", "alice@example.com", false),
        (r#"["alice@example.com"]"#, "alice@example.com", true),
        (r#"["alice@example.com"]"#, "ALICE@Example.com", true),
        (r#"["Alice@Example.com"]"#, "alice@example.com", true),
        (r#"["alice@example.com"]"#, "alice@example.com.evil.org", false),
        (r#"["alice@example.com"]"#, "malice@example.com", false),
        (r#"["*@example.com"]"#, "alice@example.com", true),
        (r#"["*@example.com"]"#, "alice@example.com.evil.org", false),
        (r#"["*@example.com"]"#, "alice@example_com", false),
        (r#"["*@HR.example.com"]"#, "alice@hr.example.com", true),
        (r#"["*@example.com"]"#, "operator", false),
        (r#"["alice@*"]"#, "alice@anywhere", true),
        (r#"["a*@*.example.com"]"#, "abc@x.y.example.com", true),
        (r#"["a*b*c@*"]"#, "abxbc@x", true),
        (r#"["a*b*c@*"]"#, "acb@x", false),
        (r#"["*"]"#, "operator", true),
        (r#"["**"]"#, "a@b", true),
        (r#"["bob@example.com", "operator"]"#, "operator", true),
    ] {
        assert_eq!(allows(patterns, requester), expected, "{patterns} {requester}");
    }
}

/// Returns the warnings about a definition whose SQL is this TOML value, on line 2.
fn warned(sql: &str) -> Vec<String> {
    definition(&format!("title = \"T\"\nsql = {sql}")).warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn backslash_that_toml_reads_gives_a_warning_with_its_line() {
    let warning = |line: usize| {
        [format!(
            "exports/orders.toml:{line}: sql: TOML reads the backslash itself, and MySQL gets the SQL without it; put the SQL between \'\'\' and \'\'\', where every character stays as it is"
        )]
    };
    assert_eq!(warned("\"\"\"\nSELECT 1\nWHERE a REGEXP '^\\\\d+$'\"\"\""), warning(4));
    assert_eq!(warned("\"SELECT '\\n'\""), warning(2));
    let no_warning: [String; 0] = [];
    assert_eq!(warned("'''\nSELECT 1\nWHERE a REGEXP '^\\d+$''''"), no_warning);
    assert_eq!(warned("'SELECT \"\\n\"'"), no_warning);
    assert_eq!(warned("\"SELECT \\\"a\\\"\""), no_warning, "TOML itself asks for this one");
}

#[test]
fn access_pattern_that_no_requester_matches_is_refused() {
    let refused = |patterns: &str| {
        let text = format!("title = \"T\"\nsql = \"SELECT 1\"\n[access]\nrequesters = [{patterns}]");
        refused_text(&text)
    };
    assert_snapshot!(refused("\"*@example.com\",\n  \"*@exämple.com\""), @r#"exports/orders.toml:5: access.requesters: expected "operator", an e-mail address in ASCII, or one with * for any text, got "*@exämple.com""#);
    for pattern in ["bob", "* @example.com", "a@x,b@y", ""] {
        let said = refused(&format!("\"{pattern}\""));
        assert!(said.contains("access.requesters: expected"), "{said}");
    }
}

#[test]
fn file_name_with_a_hidden_character_is_refused() {
    assert_snapshot!(refused_output("filename = \"a\\u202eb\""), @r#"exports/orders.toml:6: output.filename: expected no invisible character and no line break, got "a\u{202e}b""#);
    let text = "title = \"T\"\nsql = \"SELECT :x\"\n[params.x]\ntype = \"string\"\ndefault = \"a\\uffff\"\n[output]\nfilename = \"{x}\"";
    assert_snapshot!(refused_text(text), @"exports/orders.toml:7: output.filename: the default of `x` has an invisible character or a line break");
}

#[test]
fn shared_results_with_the_requester_in_the_sql_are_refused() {
    let parse = |sql: &str, shared: bool| {
        let text = format!("title = \"T\"\nsql = \"{sql}\"\n[access]\nshared = {shared}");
        Definition::parse("exports/orders.toml", &text).map_err(|error| error.to_string())
    };
    assert!(parse("SELECT 1", true).unwrap().access.shares_results());
    assert!(!parse("SELECT 1", false).unwrap().access.shares_results());
    let own = "SELECT 1 FROM orders WHERE owner = :requested_by";
    assert!(!parse(own, false).unwrap().access.shares_results());
    assert_snapshot!(parse(own, true).unwrap_err(), @"exports/orders.toml:4: access.shared: expected no `:requested_by` in the SQL, whose result differs between requesters, or shared = false");
}
