//! A request is held against the catalog; keys and file names follow from it.

use downpipe_core::catalog::Catalog;
use downpipe_core::pipeline::Order;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::WriteToken;
use downpipe_format::Profile;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{NOW, accept, catalog, job_id, message};

const ORDERS: &str = r#"title = "Orders"
sql = "SELECT * FROM orders WHERE day >= :from AND n = :count"
[params.from]
type = "date"
[params.count]
type = "integer"
default = 5
[access]
requesters = ["*@example.com"]
[output]
filename = "orders-{from}"
"#;

fn refused(catalog: &Catalog, body: &str) -> String {
    accept(catalog, body).unwrap_err()
}

#[test]
fn a_request_takes_what_it_does_not_say_from_the_definition() {
    let catalog = catalog(ORDERS);
    let body = r#"{"export":"orders","requested_by":"alice@example.com","params":{"from":"2026-01-01"}}"#;
    let request = accept(&catalog, body).unwrap();
    assert_eq!(*request.style.profile(), Profile::PLAIN);
    assert_eq!(request.params["count"].to_string(), "5");
    let body = body.replace("\"export\"", "\"profile\":\"excel\",\"export\"");
    assert_eq!(accept(&catalog, &body).unwrap().style.profile(), &Profile::EXCEL);
}

#[test]
fn everything_wrong_is_named_at_once() {
    let catalog = catalog(ORDERS);
    let by = r#""requested_by":"alice@example.com""#;
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"ordres",{by}}}"#)), @r#"export: expected one of orders, got "ordres""#);
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"orders",{by}}}"#)), @"params.from: expected a date such as 2026-01-31, got nothing");
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"orders",{by},"params":{{"from":5,"count":"x","form":"2026-01-01"}},"profile":"tsv","format":"xml","compression":"rar"}}"#)), @r#"params.count: expected a whole number between -9223372036854775808 and 9223372036854775807, got "x"; params.from: expected a date such as 2026-01-31, got 5; params.form: expected one of count, from, got an unknown parameter; profile: expected one of plain, excel, excel-cp932, lossless, got "tsv"; format: expected one of csv, tsv, jsonl, xlsx, parquet, got "xml"; compression: expected one of none, gzip, zstd, zip, got "rar""#);
    assert_snapshot!(refused(&Catalog::default(), r#"{"export":"orders"}"#), @r#"export: expected no export: there are none, got "orders""#);
}

#[test]
fn who_may_not_ask_learns_nothing_else() {
    let catalog = catalog(ORDERS);
    assert_snapshot!(refused(&catalog, r#"{"export":"orders","requested_by":"eve@evil.org","params":{"what":1}}"#), @r#"requested_by: expected somebody who may ask for "orders", got eve@evil.org"#);
    let body = r#"{"export":"orders","requested_by":"eve@evil.org","params":{"from":"2026-01-01"}}"#;
    assert!(ExportRequest::accept_unrestricted(&message(body), &catalog).is_ok());
}

/// The file name for a parameter's text, in a template that has nothing else.
fn file_name(value: &str) -> String {
    let catalog = catalog(
        "title = \"T\"\nsql = \"SELECT :x\"\n[params.x]\ntype = \"string\"\n[output]\nfilename = \"{x}\"",
    );
    let value = serde_json::Value::from(value);
    accept(&catalog, &format!(r#"{{"export":"orders","params":{{"x":{value}}}}}"#)).unwrap().file_name()
}

#[test]
fn file_names_can_be_saved_anywhere() {
    for (value, expected) in [
        ("orders", "orders.csv"),
        ("注文 2026", "注文 2026.csv"),
        ("../../etc/passwd", "-..-etc-passwd.csv"),
        ("..\\..\\x", "-..-x.csv"),
        (".hidden", "hidden.csv"),
        (" . ", "export.csv"),
        ("", "export.csv"),
        ("a:b*c?d\"e<f>g|h", "a-b-c-d-e-f-g-h.csv"),
        ("a\r\nb\0c\u{85}d", "a--b-c-d.csv"),
        ("{x}", "{x}.csv"),
    ] {
        assert_eq!(file_name(value), expected, "{value:?}");
    }
    assert_eq!(file_name(&"x".repeat(1_000)), format!("{}.csv", "x".repeat(200)));
    assert_eq!(file_name(&"あ".repeat(1_000)), format!("{}.csv", "あ".repeat(66)), "cut between characters");
}

#[test]
fn a_file_name_may_name_parameters() {
    let name = |filename: &str, params: &str| {
        let catalog = catalog(&format!(
            "title = \"T\"\nsql = \"SELECT :at, :n\"\n[params.at]\ntype = \"datetime\"\n[params.n]\ntype = \"integer\"\nrequired = false\n[output]\nfilename = \"{filename}\""
        ));
        accept(&catalog, &format!(r#"{{"export":"orders","params":{params}}}"#)).unwrap().file_name()
    };
    let params = r#"{"at":"2026-01-31T09:30:00","n":-5}"#;
    assert_eq!(name("a-{at}-{n}{n}.csv", params), "a-2026-01-31T09-30-00--5-5.csv");
    assert_eq!(name("a}b", params), "a}b.csv");
    assert_eq!(name("a-{n}", r#"{"at":"2026-01-31T09:30:00"}"#), "a-.csv", "what is left out is empty");
}

#[test]
fn an_object_key_has_day_and_job() {
    let catalog = catalog(ORDERS);
    let body = r#"{"export":"orders","requested_by":"a@example.com","params":{"from":"2026-01-01"}}"#;
    let request = accept(&catalog, body).unwrap();
    let key = |prefix: &str| request.object_key(prefix, &job_id(), NOW);
    let path = "orders/2026/01/02/0123456789abcdef01234567/orders-2026-01-01.csv";
    assert_eq!(key(""), path);
    assert_eq!(key("downpipe"), format!("downpipe/{path}"));
    assert_eq!(key("/a/b/"), format!("a/b/{path}"));
}

#[tokio::test]
async fn an_order_ends_at_the_earlier_of_deadline_and_limit() {
    let now = tokio::time::Instant::now();
    let hour = now + std::time::Duration::from_secs(3600);
    let deadline = |limits: &str| {
        let catalog = catalog(&format!("title = \"T\"\nsql = \"SELECT 1\"\n[limits]\n{limits}"));
        let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
        let token = WriteToken { job: job_id(), attempt: 1 };
        Order::new(&request, "key".to_owned(), token, hour).query.deadline
    };
    assert_eq!(deadline(""), hour);
    assert_eq!(deadline("seconds = 7200"), hour);
    assert!(deadline("seconds = 60") < hour);
    assert_eq!(deadline(&format!("seconds = {}", i64::MAX)), hour, "a limit beyond the end of time is none");
}

proptest! {
    #[test]
    fn no_value_leaves_its_folder(value in any::<String>()) {
        let name = file_name(&value);
        prop_assert!(name.ends_with(".csv") && name.len() <= 204 && !name.starts_with('.'), "{:?}", name);
        prop_assert!(!name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)), "{:?}", name);
    }
}
