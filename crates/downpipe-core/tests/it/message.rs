//! Tests how messages are parsed, and how they are refused.

use downpipe_core::language::Language;
use downpipe_core::message::{ExportMessage, MAX_BODY_BYTES, Message, RawParam};
use downpipe_core::requester::Requester;
use downpipe_core::untrusted_text::is_hidden;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{job_id, message};

fn refused(body: &str) -> String {
    Message::parse(body).unwrap_err().to_string()
}

#[test]
fn message_with_only_an_export_is_accepted() {
    let message = message(r#"{"export":"orders"}"#);
    assert_eq!(message.requested_by, Requester::operator());
    assert!(message.params.is_empty());
    let optional = [&message.request_id, &message.profile, &message.format, &message.compression];
    assert_eq!(optional, [&None; 4]);
}

#[test]
fn message_with_every_field_is_read_as_sent() {
    let message = message(
        r#" { "export": "orders", "requested_by": "Hanako@Example.com", "request_id": "r 1", "profile": "excel",
            "format": "csv", "compression": "none", "params": { "text": "a\"b\n日本 \ud83e\uddfe", "big": 9007199254740993,
            "exact": 0.10, "odd": -1E5, "yes": true, "no": false, "nothing": null } } "#,
    );
    assert_eq!(message.requested_by.as_str(), "hanako@example.com", "folded once");
    assert_eq!(message.request_id.as_deref(), Some("r 1"));
    assert_eq!(message.profile.as_deref(), Some("excel"));
    let number = |digits: &str| RawParam::Number(digits.to_owned());
    let expected = [
        ("text", RawParam::Text("a\"b\n日本 🧾".to_owned())),
        ("big", number("9007199254740993")),
        ("exact", number("0.10")),
        ("odd", number("-1E5")),
        ("yes", RawParam::Boolean(true)),
        ("no", RawParam::Boolean(false)),
    ];
    assert_eq!(message.params, expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[test]
fn null_field_equals_a_missing_one() {
    let nulls = r#"{"export":"orders","params":null,"requested_by":null,"request_id":null,"profile":null}"#;
    assert_eq!(message(nulls), message(r#"{"export":"orders"}"#));
}

#[test]
fn continuation_names_a_job() {
    let parsed = Message::parse(r#"{"continue":"0123456789abcdef01234567"}"#);
    assert_eq!(parsed, Ok(Message::Continue(job_id())));
    assert_snapshot!(refused(r#"{"continue":"0123456789ABCDEF01234567"}"#), @r#"continue: expected a job id of 24 hexadecimal digits, got "0123456789ABCDEF01234567""#);
    assert_snapshot!(refused(r#"{"continue":5}"#), @"continue: expected a string, got the number 5");
    assert_snapshot!(refused(r#"{"continue":null}"#), @"continue: expected a string, got null");
    assert_snapshot!(refused(r#"{"continue":"0123456789abcdef01234567","export":"orders"}"#), @"export: expected no other field beside `continue`, got one");
}

#[test]
fn body_that_is_no_json_object_is_refused() {
    assert_snapshot!(refused("test"), @r#"message: expected a JSON object, got "test", which is not JSON (expected ident at line 1 column 2)"#);
    assert_snapshot!(refused(""), @"message: expected a JSON object, got an empty body");
    assert_snapshot!(refused(" \n "), @"message: expected a JSON object, got an empty body");
    assert_snapshot!(refused("[]"), @"message: expected a JSON object, got the array []");
    assert_snapshot!(refused("\"orders\""), @r#"message: expected a JSON object, got the string "orders""#);
    assert_snapshot!(refused("5"), @"message: expected a JSON object, got the number 5");
    assert_snapshot!(refused("null"), @"message: expected a JSON object, got null");
    assert_snapshot!(refused("true"), @"message: expected a JSON object, got the boolean true");
    assert_snapshot!(refused(r#"{"export":"orders""#), @r#"message: expected a JSON object, got "{\"export\":\"orders\"", which is not JSON (EOF while parsing an object at line 1 column 18)"#);
    assert_snapshot!(refused(r#"{"export":"orders"} {}"#), @r#"message: expected a JSON object, got "{\"export\":\"orders\"} {}", which is not JSON (trailing characters at line 1 column 21)"#);
    assert_snapshot!(refused(&"[".repeat(1_000)), @r#"message: expected a JSON object, got "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…", which is not JSON (EOF while parsing a list at line 1 column 1000)"#);
    assert_snapshot!(refused(&format!("[\"{}\"]", "日".repeat(1_000))), @r#"message: expected a JSON object, got the array ["日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日…"#);
}

#[test]
fn message_without_an_export_is_refused() {
    assert_snapshot!(refused("{}"), @"export: expected the name of an export, got nothing");
    assert_snapshot!(refused(r#"{"export":null}"#), @"export: expected the name of an export, got nothing");
    assert_snapshot!(refused(r#"{"export":""}"#), @r#"export: expected 1 to 128 characters and none of them a control character, got """#);
    assert_snapshot!(refused(r#"{"export":["orders"]}"#), @r#"export: expected a string, got the array ["orders"]"#);
    assert_snapshot!(refused(&format!(r#"{{"export":"{}"}}"#, "x".repeat(129))), @"export: expected 1 to 128 characters and none of them a control character, got 129 characters");
}

#[test]
fn field_unknown_or_of_wrong_type_is_refused() {
    assert_snapshot!(refused(r#"{"export":"orders","sql":"SELECT 1"}"#), @"sql: expected one of the fields export, params, requested_by, request_id, profile, format, compression, language, got an unknown field");
    assert_snapshot!(refused(r#"{"export":"orders","requested_by":5}"#), @"requested_by: expected a string, got the number 5");
    assert_snapshot!(refused(r#"{"export":"orders","params":["a"]}"#), @r#"params: expected an object of parameters by name, got the array ["a"]"#);
    assert_snapshot!(refused(r#"{"export":"orders","params":{"from":{"a":1}}}"#), @r#"params.from: expected a string, a number or a boolean, got the object {"a":1}"#);
    assert_snapshot!(refused(r#"{"export":"orders","params":{"from":["a"]}}"#), @r#"params.from: expected a string, a number or a boolean, got the array ["a"]"#);
    assert_snapshot!(refused(r#"{"export":"orders","profile":true}"#), @"profile: expected a string, got the boolean true");
    assert_snapshot!(refused(r#"{"export":5,"params":5,"format":[],"what":1}"#), @"what: expected one of the fields export, params, requested_by, request_id, profile, format, compression, language, got an unknown field; export: expected a string, got the number 5; format: expected a string, got the array []; params: expected an object of parameters by name, got the number 5");
}

#[test]
fn text_with_half_a_character_is_refused() {
    assert_snapshot!(refused(r#"{"export":"orders","params":{"name":"\ud800"}}"#), @r#"params.name: expected a string of whole characters, got the string "\ud800""#);
    assert_snapshot!(refused(r#"{"export":"\ud800"}"#), @r#"export: expected a string of whole characters, got the string "\ud800""#);
}

#[test]
fn language_is_read_and_any_other_is_refused() {
    let message = |language: &str| format!(r#"{{"export":"orders","language":{language}}}"#);
    for (text, language) in [("\"ja\"", Some(Language::Ja)), ("\"en\"", Some(Language::En)), ("null", None)] {
        let Ok(Message::Export(export)) = Message::parse(&message(text)) else { panic!("{text}") };
        assert_eq!(export.language, language);
    }
    assert_snapshot!(refused(&message("\"fr\"")), @r#"language: expected "en" or "ja", got "fr""#);
    assert_snapshot!(refused(&message("\"JA\"")), @r#"language: expected "en" or "ja", got "JA""#);
    assert_snapshot!(refused(&message("1")), @"language: expected a string, got the number 1");
}

#[test]
fn requester_or_request_id_long_or_unprintable_is_refused() {
    for requester in ["", "alice", "a,b@x", r"a\r\nBcc: b@x", "alice@exämple.com", "alice@example.com "] {
        let said = refused(&format!(r#"{{"export":"orders","requested_by":"{requester}"}}"#));
        assert!(said.starts_with(r#"requested_by: expected "operator" or an e-mail address: "#), "{said}");
    }
    assert_snapshot!(refused(r#"{"export":"orders","requested_by":"a\r\nBcc: b@x"}"#), @r#"requested_by: expected "operator" or an e-mail address: at most 254 characters of printable ASCII, exactly one @, no space and none of ()<>[]:;,\", got "a\r\nBcc: b@x""#);
    assert_snapshot!(refused(r#"{"export":"orders","request_id":"a\u0000b"}"#), @r#"request_id: expected 1 to 128 characters and none of them a control character, got "a\0b""#);
    assert_snapshot!(refused(r#"{"export":"orders","request_id":""}"#), @r#"request_id: expected 1 to 128 characters and none of them a control character, got """#);
    let long = |field: &str, length| format!(r#"{{"export":"orders","{field}":"{}"}}"#, "あ".repeat(length));
    assert_snapshot!(refused(&long("request_id", 129)), @"request_id: expected 1 to 128 characters and none of them a control character, got 129 characters");
    assert!(Message::parse(&long("request_id", 128)).is_ok());
}

#[test]
fn body_beyond_the_largest_size_is_refused() {
    let body = |length| {
        let frame = r#"{"export":"orders","params":{"x":""}}"#.len();
        format!(r#"{{"export":"orders","params":{{"x":"{}"}}}}"#, "x".repeat(length - frame))
    };
    assert!(Message::parse(&body(MAX_BODY_BYTES)).is_ok());
    assert_snapshot!(refused(&body(MAX_BODY_BYTES + 1)), @"message: expected at most 65536 bytes, got 65537 bytes");
}

proptest! {
    #[test]
    fn message_written_as_json_reads_back_equal(
        export in "[a-z]{1,9}",
        params in proptest::collection::btree_map("\\PC{0,5}", raw_param(), 0..4),
        requested_by in "operator|[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,9}@[a-z0-9.-]{1,9}",
        optional in proptest::option::of("[a-z\"\\\\]{1,9}"),
        language in proptest::option::of(prop_oneof![Just(Language::En), Just(Language::Ja)]),
    ) {
        let message = ExportMessage {
            export,
            params,
            requested_by: requested_by.parse().unwrap(),
            request_id: optional.clone(),
            profile: optional.clone(),
            format: None,
            compression: optional,
            language,
        };
        let json = message.to_json();
        prop_assert!(!json.contains(is_hidden), "SQS refuses some of {:?}", json);
        prop_assert_eq!(Message::parse(&json), Ok(Message::Export(message)));
    }

    #[test]
    fn body_of_any_text_causes_no_panic(body in "\\PC{0,40}|[\\[\\]{}\",:a-z0-9\\\\]{0,40}") {
        let _ = Message::parse(&body);
    }
}

fn raw_param() -> impl Strategy<Value = RawParam> {
    prop_oneof![
        any::<String>().prop_map(RawParam::Text),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?".prop_map(RawParam::Number),
        any::<bool>().prop_map(RawParam::Boolean),
    ]
}
