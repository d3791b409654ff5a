//! Tests the words of failures: every code has them, in both languages.

use std::collections::BTreeSet;

use downpipe_core::export::{ExportError, NotResumable};
use downpipe_core::failure::{of_crash, of_export, of_last_attempt, of_rejection, of_too_many_runs};
use downpipe_core::job::{Failure, FailureWords, KeyError};
use downpipe_core::language::Language;
use downpipe_core::message::Message;
use downpipe_core::source::{SinkError, SourceError};
use insta::assert_snapshot;

use crate::failure::{encode_errors, ledger_errors, source_errors, store_errors};

/// Returns every failure that there can be.
fn all_failures() -> Vec<Failure> {
    use NotResumable::{Format, Key, NoProgress, NoResume, Stalled};
    let sink = |error| ExportError::from(SourceError::Sink(SinkError::Encode(error)));
    let null = SinkError::Key { row: 18, column: "id".to_owned(), reason: KeyError::Null };
    let errors = source_errors().into_iter().map(ExportError::from);
    let errors = errors.chain(encode_errors().into_iter().map(sink));
    let errors = errors.chain(store_errors().into_iter().map(ExportError::from));
    let errors = errors.chain([SourceError::Sink(null).into()]);
    let errors = errors.chain([NoResume, Format, Key, NoProgress, Stalled].map(ExportError::RunEnded));
    let errors = errors.chain(ledger_errors().into_iter().map(|error| SinkError::from(error).into()));
    let mut failures: Vec<Failure> = errors.map(|error| of_export(&error).1).collect();
    let fields: Vec<String> = (0..25).map(|number| format!("\"f{number}\":1")).collect();
    let rejections = Message::parse(&format!("{{{}}}", fields.join(","))).unwrap_err();
    failures.extend([of_crash(), of_too_many_runs(96), of_rejection(&rejections)]);
    failures.push(of_last_attempt(Failure::new("storage"), 4));
    failures
}

#[test]
fn failure_of_every_code_has_words_with_all_its_arguments_in_both_languages() {
    for failure in all_failures() {
        for language in [Language::En, Language::Ja] {
            let FailureWords { message, advice } = failure.words(language);
            let words = format!("{message} {advice}");
            assert!(!message.is_empty() && !advice.is_empty(), "{failure:?}");
            assert!(!words.contains("{$") && !words.contains("{ $"), "an argument is missing: {words}");
            let other = failure.clone().in_case("no-such-case").words(language);
            assert_ne!(message, other.message, "{failure:?} has words of its own");
            for (name, value) in &failure.args {
                let texts = match value {
                    // What was expected is said in Japanese where it is known.
                    serde_json::Value::Array(_) if language == Language::Ja => Vec::new(),
                    serde_json::Value::Array(fields) => fields
                        .iter()
                        .flat_map(|field| ["field", "expected", "actual"].map(|key| &field[key]))
                        .map(|text| text.as_str().unwrap().to_owned())
                        .collect(),
                    serde_json::Value::String(text) => vec![text.clone()],
                    number => vec![number.to_string()],
                };
                let plain = words.replace(',', "");
                for text in texts {
                    let is_said = words.contains(&text) || plain.contains(&text);
                    assert!(is_said, "{language}: {name} of {} is not said: {words}", failure.code);
                }
            }
        }
    }
}

#[test]
fn words_of_every_failure_are_used() {
    let failures = all_failures();
    let used = |name: &str| {
        failures.iter().any(|failure| {
            let case = failure.case.as_ref().map(|case| format!("-{case}")).unwrap_or_default();
            name == format!("{}{case}", failure.code)
        })
    };
    let parts = ["tried", "unknown", "rejection", "rejection-separator", "rejection-more"];
    for line in include_str!("../../locales/en/failure.ftl").lines() {
        let Some((name, _)) = line.strip_prefix("failure-").and_then(|line| line.split_once(" =")) else {
            continue;
        };
        assert!(used(name) || parts.contains(&name), "no failure has the words of {name}");
    }
}

#[test]
fn failure_of_an_unknown_code_has_words_of_no_particular_failure() {
    let words = |language| Failure::new("of_next_year").with("x", 1).words(language);
    assert_snapshot!(words(Language::En).message, @"The export could not be prepared.");
    assert_snapshot!(words(Language::Ja).message, @"ファイルを作成できませんでした。");
}

/// The words are Japanese of their own, not a translation word by word: a change of them is read here.
#[test]
fn failure_of_every_code_in_japanese() {
    let mut seen = BTreeSet::new();
    let failures = all_failures().into_iter().filter(|failure| failure.code != "rejected");
    let lines: Vec<String> = failures
        .map(|failure| {
            let FailureWords { message, advice } = failure.words(Language::Ja);
            format!("{}: {message} {advice}\n", failure.code)
        })
        .filter(|line| seen.insert(line.clone()))
        .collect();
    assert_snapshot!(lines.concat());
}

#[test]
fn rejection_in_japanese_says_what_is_expected_in_japanese() {
    let words = |body: &str| of_rejection(&Message::parse(body).unwrap_err()).words(Language::Ja).message;
    assert_snapshot!(words("{}"), @"指定内容に誤りがあるため、受け付けられませんでした。export にはエクスポートの名前を指定してください（受け取った値：なし）。");
    assert_snapshot!(words(r#"{"export":"a","colour":1}"#), @"指定内容に誤りがあるため、受け付けられませんでした。colour には次の項目のいずれか（export, params, requested_by, request_id, profile, format, compression, language）を指定してください（受け取った値：存在しない項目）。");
}
