//! Checks requests: any message is refused, or keeps the rules of the definition.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use downpipe_core::catalog::{Catalog, DefinitionFile, Param, ParamType, Value};
use downpipe_core::message::{ExportMessage, Message, RawParam};
use downpipe_core::request::ExportRequest;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 9] = ["text", "word", "whole", "few", "decimal", "truth", "day", "moment", "left_out"];

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let text = r#"
title = "Everything"
sql = """
SELECT 1 AS id WHERE :text <> :word AND :whole <> :few AND :decimal <> 0 AND :truth AND :day < :moment AND :left_out IS NULL"""
[params.text]
type = "string"
max_length = 8
[params.word]
type = "string"
one_of = ["new", "paid", "送付済"]
default = "new"
[params.whole]
type = "integer"
default = 0
[params.few]
type = "integer"
one_of = [-1, 0, 9007199254740993]
default = 0
[params.decimal]
type = "decimal"
default = "0.10"
[params.truth]
type = "boolean"
default = true
[params.day]
type = "date"
default = "2026-01-31"
[params.moment]
type = "datetime"
default = "2026-01-31T23:59:59"
[params.left_out]
type = "date"
required = false
[access]
requesters = ["*"]
"#;
    let file = DefinitionFile { file: "exports/everything.toml".to_owned(), text: text.to_owned() };
    Catalog::parse(&[file]).unwrap_or_else(|error| panic!("{error}"))
});

#[derive(Debug, Arbitrary)]
enum Body {
    Any(String),
    /// A request with these members of `params`, by number or by name.
    Export(Vec<(Result<u8, String>, Json)>, Option<String>),
}

#[derive(Debug, Arbitrary)]
enum Json {
    Text(String),
    Whole(i64),
    Float(f64),
    Truth(bool),
    Null,
    /// A text in the form of a date.
    Day(u16, u8, u8),
    Moment(u16, u8, u8, u8, u8, u8, String),
    Digits(bool, u128, u64),
    Raw(String),
}

impl Body {
    fn json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (params, requester) = match self {
            Self::Any(text) => return text.clone(),
            Self::Export(params, requester) => (params, requester),
        };
        let members = params.iter().map(|(name, value)| {
            let name = match name {
                Ok(number) => NAMES[usize::from(*number) % NAMES.len()],
                Err(name) => name,
            };
            let value = match value {
                Json::Text(text) => quoted(text),
                Json::Whole(number) => number.to_string(),
                Json::Float(number) => serde_json::Value::from(*number).to_string(),
                Json::Truth(truth) => truth.to_string(),
                Json::Null => "null".to_owned(),
                Json::Day(year, month, day) => format!("\"{year:04}-{month:02}-{day:02}\""),
                Json::Moment(y, m, d, h, min, s, rest) => {
                    quoted(&format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}{rest}"))
                }
                Json::Digits(text, whole, fraction) => {
                    let digits = format!("{whole}.{fraction}");
                    if *text { quoted(&digits) } else { digits }
                }
                Json::Raw(text) => text.clone(),
            };
            format!("{}:{value}", quoted(name))
        });
        let members = members.collect::<Vec<_>>().join(",");
        let requester = requester.as_ref().map(|who| format!(",\"requested_by\":{}", quoted(&format!("{who}@example.com"))));
        format!("{{\"export\":\"everything\",\"params\":{{{members}}}{}}}", requester.unwrap_or_default())
    }
}

fuzz_target!(|body: Body| {
    let Ok(Message::Export(message)) = Message::parse(&body.json()) else { return };
    assert_eq!(Message::parse(&message.to_json()).ok(), Some(Message::Export(message.clone())));
    let Ok(request) = ExportRequest::accept(&message, &CATALOG) else { return };
    assert_eq!(request.params.len(), NAMES.len());
    for (name, value) in &request.params {
        let param = &request.definition.params[name];
        check(param, message.params.get(name), value);
    }
    assert!(message.params.keys().all(|name| request.params.contains_key(name)));
    // An accepted request has SQL and a valid file name.
    assert!(!request.sql(None).is_empty());
    check_name(&message, &request.file_name());
});

fn check(param: &Param, sent: Option<&RawParam>, value: &Value) {
    let Some(sent) = sent else {
        assert_eq!(*value, param.default.clone().unwrap_or(Value::Null(param.kind)));
        return;
    };
    assert!(param.one_of.is_empty() || param.one_of.contains(value));
    let sent = match sent {
        RawParam::Text(text) => text.clone(),
        RawParam::Number(number) => {
            assert_ne!(param.kind, ParamType::String);
            number.clone()
        }
        RawParam::Boolean(truth) => truth.to_string(),
    };
    match (param.kind, value) {
        (ParamType::String, Value::String(text)) => {
            assert_eq!(*text, sent);
            assert!(text.chars().count() <= param.max_length.unwrap_or(usize::MAX));
        }
        (ParamType::Integer, Value::Integer(number)) => assert_eq!(sent.parse(), Ok(*number)),
        (ParamType::Decimal, Value::Decimal(digits)) => {
            assert_eq!(*digits, sent);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            let whole = whole.strip_prefix('-').unwrap_or(whole);
            assert!((1..=65).contains(&(whole.len() + fraction.len())) && fraction.len() <= 30, "{digits}");
            assert!(
                [whole, fraction]
                    .iter()
                    .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            );
        }
        (ParamType::Boolean, Value::Boolean(truth)) => assert_eq!(sent, truth.to_string()),
        (ParamType::Date, Value::Date(date)) => {
            assert_eq!(sent, format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()));
            assert!((1000..=9999).contains(&date.year()));
        }
        (ParamType::DateTime, Value::DateTime(moment)) => {
            assert!((1000..=9999).contains(&moment.year()));
            assert_eq!(moment.subsec_nanosecond() % 1000, 0);
            // Without an offset the day is unchanged.
            if !sent[10..].contains(['Z', 'z', '+', '-']) {
                assert_eq!(sent[..10], moment.date().to_string());
            }
        }
        _ => panic!("{value:?} is no {:?}", param.kind),
    }
}

fn check_name(message: &ExportMessage, name: &str) {
    assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']), "{message:?} is called {name:?}");
}
