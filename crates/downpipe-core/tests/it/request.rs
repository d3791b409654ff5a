//! Tests how a request is checked against the catalog, and its keys and file names.

use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::export::ExportPlan;
use downpipe_core::job::JobAttempt;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::CancellationToken;
use downpipe_core::untrusted_text::is_hidden;
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
fn request_without_a_field_takes_it_from_the_definition() {
    let catalog = catalog(ORDERS);
    let body = r#"{"export":"orders","requested_by":"alice@example.com","params":{"from":"2026-01-01"}}"#;
    let request = accept(&catalog, body).unwrap();
    assert_eq!(*request.style.profile(), Profile::PLAIN);
    assert_eq!(request.params["count"].to_string(), "5");
    let body = body.replace("\"export\"", "\"profile\":\"excel\",\"export\"");
    assert_eq!(accept(&catalog, &body).unwrap().style.profile(), &Profile::EXCEL);
}

#[test]
fn request_with_several_errors_names_them_all() {
    let catalog = catalog(ORDERS);
    let by = r#""requested_by":"alice@example.com""#;
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"ordres",{by}}}"#)), @r#"export: expected one of orders, got "ordres""#);
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"orders",{by}}}"#)), @"params.from: expected a date such as 2026-01-31, got nothing");
    assert_snapshot!(refused(&catalog, &format!(r#"{{"export":"orders",{by},"params":{{"from":5,"count":"x","form":"2026-01-01"}},"profile":"tsv","format":"xml","compression":"rar"}}"#)), @r#"params.count: expected a whole number between -9223372036854775808 and 9223372036854775807, got "x"; params.from: expected a date such as 2026-01-31, got 5; params.form: expected one of count, from, got an unknown parameter; profile: expected one of plain, excel, excel-cp932, lossless, got "tsv"; format: expected one of csv, tsv, jsonl, xlsx, parquet, got "xml"; compression: expected one of none, gzip, zstd, zip, got "rar""#);
    assert_snapshot!(refused(&Catalog::default(), r#"{"export":"orders"}"#), @r#"export: expected no export: there are none, got "orders""#);
}

#[test]
fn requester_without_access_learns_nothing_else() {
    let catalog = catalog(ORDERS);
    assert_snapshot!(refused(&catalog, r#"{"export":"orders","requested_by":"eve@evil.org","params":{"what":1}}"#), @r#"requested_by: expected a requester who may ask for "orders", got eve@evil.org"#);
    let body = r#"{"export":"orders","requested_by":"eve@evil.org","params":{"from":"2026-01-01"}}"#;
    assert!(ExportRequest::accept_unrestricted(&message(body), &catalog).is_ok());
}

/// Returns the file name for a parameter's text, in a template of only the parameter.
fn file_name(value: &str) -> String {
    file_name_or_refusal(value).unwrap()
}

fn file_name_or_refusal(value: &str) -> Result<String, String> {
    let catalog = catalog(
        "title = \"T\"\nsql = \"SELECT :x\"\n[params.x]\ntype = \"string\"\n[output]\nfilename = \"{x}\"",
    );
    let value = serde_json::Value::from(value);
    accept(&catalog, &format!(r#"{{"export":"orders","params":{{"x":{value}}}}}"#))
        .map(|request| request.file_name())
}

/// S3 lists keys in XML, and people must see names as they are.
#[test]
fn value_with_a_hidden_character_in_a_file_name_is_refused() {
    for hidden in
        ['\0', '\n', '\u{85}', '\u{200b}', '\u{202e}', '\u{2028}', '\u{feff}', '\u{fffe}', '\u{ffff}']
    {
        let said = file_name_or_refusal(&format!("a{hidden}b")).unwrap_err();
        let expected =
            "params.x: expected no invisible character and no line break, as a file is named after it, got ";
        assert!(said.starts_with(expected), "{said}");
    }
    let elsewhere = catalog("title = \"T\"\nsql = \"SELECT :x\"\n[params.x]\ntype = \"string\"");
    let body = r#"{"export":"orders","params":{"x":"a\uffff\u202eb\n"}}"#;
    assert_eq!(accept(&elsewhere, body).unwrap().file_name(), "orders.csv", "it is only a value");
}

#[test]
fn unknown_export_lists_only_what_the_requester_may_use() {
    let file = |name: &str, requester: &str| DefinitionFile {
        file: format!("{name}.toml"),
        text: format!("title = \"T\"\nsql = \"SELECT 1\"\n[access]\nrequesters = [\"{requester}\"]"),
    };
    let mut files: Vec<DefinitionFile> =
        (0..30).map(|number| file(&format!("public-{number:02}"), "*")).collect();
    files.push(file("salaries", "*@HR.example.com"));
    let catalog = Catalog::parse(&files).unwrap();
    let said = refused(&catalog, r#"{"export":"x","requested_by":"alice@example.com"}"#);
    assert!(said.contains("public-19 and 10 more") && !said.contains("salaries"), "{said}");
    let said = refused(&catalog, r#"{"export":"x","requested_by":"Bob@hr.Example.com"}"#);
    assert!(said.contains("and 11 more"), "{said}");
    let none = Catalog::parse(&files[30..]).unwrap();
    let said = refused(&none, r#"{"export":"x","requested_by":"alice@example.com"}"#);
    assert_eq!(said, r#"export: expected no export: there are none, got "x""#);
}

#[test]
fn rejection_of_one_among_thousands_is_short() {
    let values: Vec<String> = (0..5_000).map(|number| format!("\"{number:0>90}\"")).collect();
    let catalog = catalog(&format!(
        "title = \"T\"\nsql = \"SELECT :x\"\n[params.x]\ntype = \"string\"\none_of = [{}]",
        values.join(",")
    ));
    let said = refused(&catalog, r#"{"export":"orders","params":{"x":"y"}}"#);
    assert!(said.len() < 600, "{said}");
}

#[test]
fn file_name_of_any_value_can_be_saved_anywhere() {
    for (value, expected) in [
        ("orders", "orders.csv"),
        ("注文 2026", "注文 2026.csv"),
        ("../../etc/passwd", "-..-etc-passwd.csv"),
        ("..\\..\\x", "-..-x.csv"),
        (".hidden", "hidden.csv"),
        (" . ", "export.csv"),
        ("", "export.csv"),
        ("a:b*c?d\"e<f>g|h", "a-b-c-d-e-f-g-h.csv"),
        ("CON", "_CON.csv"),
        ("aux .2026", "_aux .2026.csv"),
        ("com1", "_com1.csv"),
        ("LPT³", "_LPT³.csv"),
        ("nul . ", "_nul.csv"),
        ("conserve", "conserve.csv"),
        ("com10", "com10.csv"),
        ("2026-con", "2026-con.csv"),
        ("{x}", "{x}.csv"),
    ] {
        assert_eq!(file_name(value), expected, "{value:?}");
    }
    assert_eq!(file_name(&"x".repeat(1_000)), format!("{}.csv", "x".repeat(200)));
    assert_eq!(file_name(&"あ".repeat(1_000)), format!("{}.csv", "あ".repeat(66)), "cut between characters");
}

#[test]
fn file_name_with_parameters_has_their_values() {
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
fn object_key_has_day_and_job() {
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
async fn plan_ends_at_the_earlier_of_deadline_and_limit() {
    let now = tokio::time::Instant::now();
    let hour = now + std::time::Duration::from_secs(3600);
    let deadline = |limits: &str| {
        let catalog = catalog(&format!("title = \"T\"\nsql = \"SELECT 1\"\n[limits]\n{limits}"));
        let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
        let token = JobAttempt { job: job_id(), attempt: 1 };
        ExportPlan::new(&request, "key".to_owned(), token, hour, CancellationToken::new()).query.deadline
    };
    assert_eq!(deadline(""), hour);
    assert_eq!(deadline("seconds = 7200"), hour);
    assert!(deadline("seconds = 60") < hour);
    assert_eq!(deadline(&format!("seconds = {}", i64::MAX)), hour, "a limit beyond the end of time is none");
}

proptest! {
    #[test]
    fn file_name_of_any_value_stays_in_its_folder(value in any::<String>()) {
        let Ok(name) = file_name_or_refusal(&value) else {
            prop_assert!(value.contains(is_hidden), "{:?}", value);
            return Ok(());
        };
        prop_assert!(name.ends_with(".csv") && name.len() <= 204 && !name.starts_with('.'), "{:?}", name);
        prop_assert!(!name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)), "{:?}", name);
    }
}

#[test]
fn shared_fingerprint_omits_the_requester_and_is_there_only_if_results_are_shared() {
    let fingerprints = |access: &str, who: &str, count: u32| {
        let catalog = catalog(&ORDERS.replace("requesters", &format!("{access}requesters")));
        let body = format!(
            r#"{{"export":"orders","requested_by":"{who}@example.com","params":{{"from":"2026-01-01","count":{count}}}}}"#
        );
        let request = accept(&catalog, &body).unwrap();
        (request.fingerprint(), request.shared_fingerprint())
    };
    let shared = "shared = true\n";
    let (alices, bobs) = (fingerprints(shared, "alice", 5), fingerprints(shared, "bob", 5));
    assert_eq!(alices.1, bobs.1);
    assert_ne!(alices.0, bobs.0);
    assert!(alices.1.as_ref().is_some_and(|fingerprint| *fingerprint != alices.0));
    assert_ne!(alices.1, fingerprints(shared, "alice", 6).1, "another parameter");
    for access in ["", "shared = false\n"] {
        assert_eq!(fingerprints(access, "alice", 5).1, None, "{access:?}");
    }
}
