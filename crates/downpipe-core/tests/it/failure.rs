//! Tests each error's disposition and the failure that the requester sees.

use std::io::{self, ErrorKind};

use downpipe_core::catalog::QuoteMode;
use downpipe_core::error_chain::error_chain;
use downpipe_core::export::{ExportError, ExportFailed, NotResumable};
use downpipe_core::failure::{
    Disposition, of_crash, of_export, of_follower, of_last_attempt, of_ledger, of_rejection,
};
use downpipe_core::job::{ChangedSetting, Failure, FailureWords, KeyError};
use downpipe_core::language::Language;
use downpipe_core::ledger::LedgerError;
use downpipe_core::login::LoginError;
use downpipe_core::message::{Message, Rejection};
use downpipe_core::source::{SinkError, SourceError, ValueFault};
use downpipe_core::store::StoreError;
use downpipe_format::{EncodeError, LayoutError};
use insta::assert_snapshot;

use crate::samples::job_id;

fn cause() -> Box<io::Error> {
    Box::new(io::Error::other("the cause"))
}

pub(crate) fn store_errors() -> Vec<StoreError> {
    vec![
        StoreError::Unavailable { operation: "storing a part", source: cause() },
        StoreError::Refused { operation: "storing a part", source: cause() },
        StoreError::Exists { holder: "job 1".to_owned() },
        StoreError::SizeMismatch { expected: 2, actual: 1 },
        StoreError::ChecksumMismatch { expected: "A".to_owned(), actual: "B".to_owned() },
    ]
}

pub(crate) fn ledger_errors() -> Vec<LedgerError> {
    vec![
        LedgerError::Unavailable(cause()),
        LedgerError::Failed(cause()),
        LedgerError::LeaseLost { job: job_id(), attempt: 1 },
    ]
}

fn changed_setting() -> ChangedSetting {
    ChangedSetting {
        variable: "sql_select_limit".to_owned(),
        expected: "18446744073709551615".to_owned(),
        actual: "1000".to_owned(),
    }
}

pub(crate) fn source_errors() -> Vec<SourceError> {
    let limit = |what, most| SourceError::Sink(SinkError::Limit { what, most });
    let layout = LayoutError::UnknownColumn {
        column: "x".to_owned(),
        available: vec!["a".to_owned(), "b".to_owned()],
    };
    vec![
        SourceError::Disconnected(cause()),
        SourceError::Untrusted(cause()),
        SourceError::LoginRefused(cause()),
        LoginError::Unavailable(cause()).into(),
        LoginError::Invalid("no password in it".to_owned()).into(),
        SourceError::QueryFailed { code: 1054, message: "Unknown column 'secret'".to_owned() },
        SourceError::ValueRefused {
            fault: ValueFault::Pattern,
            code: 3685,
            message: "Illegal argument to a regular expression: 'secret'".to_owned(),
        },
        SourceError::TimedOut,
        SourceError::HeldBack { key: "throttle.rows_per_second", seconds: 312 },
        SourceError::LoadUnknown { key: "throttle.max_replica_lag", reason: "expected a replica" },
        SourceError::Killed,
        SourceError::Short("3 of 4 rows".to_owned()),
        SourceError::Sink(SinkError::Encode(layout.into())),
        limit("rows", 10),
        limit("bytes", 10),
        SourceError::Sink(SinkError::SheetFull { most: 1_048_575 }),
        SourceError::Session(changed_setting()),
        SourceError::UnseenWarnings { counted: 1_100, listed: 1_024 },
        SourceError::Sink(SinkError::SessionChanged(changed_setting())),
        SourceError::Sink(SinkError::NoResumeColumn { column: "id".to_owned() }),
        SourceError::Sink(SinkError::NotOneInstant {
            column: "at".to_owned(),
            zone: "Europe/Berlin".to_owned(),
        }),
        SourceError::Sink(SinkError::Key {
            row: 17,
            column: "id".to_owned(),
            reason: KeyError::NotAscending,
        }),
        SourceError::Sink(SinkError::ColumnsChanged {
            expected: vec!["id".to_owned(), "total".to_owned()],
            actual: vec!["id".to_owned()],
        }),
        SourceError::UnknownType("unknown column type 0xf2".to_owned()),
        SourceError::Busy { code: 1461 },
        SourceError::Locked { detail: "connection 13 holds shop.orders".to_owned() },
        SourceError::ParamRefused {
            rejection: Rejection {
                field: "params.q".to_owned(),
                expected: "characters that the column in the database can hold".to_owned(),
                actual: "\"😀\"".to_owned(),
            },
            detail: "3988: Conversion impossible".to_owned(),
        },
        SourceError::NoColumns,
        SourceError::SqlMode { actual: QuoteMode::of_sql_mode("NO_BACKSLASH_ESCAPES") },
        SourceError::TimeZone { reason: "expected a time zone that the server knows".to_owned() },
        SourceError::Stopped,
    ]
}

pub(crate) fn encode_errors() -> Vec<EncodeError> {
    vec![
        EncodeError::DoesNotFit {
            format: "xlsx",
            place: "row 17, column \"note\"".to_owned(),
            expected: "at most 32767 characters".to_owned(),
            actual: "40000".to_owned(),
        },
        EncodeError::Decimal {
            row: 17,
            column: "total".to_owned(),
            expected: "decimal(5,2)".parse().unwrap(),
            actual: "1 digit before the point and 3 behind".to_owned(),
        },
        EncodeError::Compress(io::Error::other("no memory")),
        EncodeError::Disk(io::Error::other("broken")),
        EncodeError::Disk(ErrorKind::StorageFull.into()),
    ]
}

/// Returns an error's line in the table: disposition, whether the operator is notified, code,
/// message, advice, and the operator's detail.
fn line(error: &ExportError) -> String {
    let (next, failure) = of_export(error);
    let detail = failure.detail.as_ref().map(|detail| format!("      {detail}\n")).unwrap_or_default();
    let operator = if failure.for_operator { " (operator)" } else { "" };
    let words = failure.words(Language::En);
    format!("{next:?}{operator} {}: {} {}\n{detail}", failure.code, words.message, words.advice)
}

/// The failures of a run whose time is up and that cannot be resumed.
#[test]
fn run_end_of_each_reason_has_its_failure() {
    use NotResumable::{Format, Key, NoProgress, NoResume, Stalled};
    let reasons = [NoResume, Format, Key, NoProgress, Stalled];
    let table: String = reasons.map(|reason| line(&ExportError::RunEnded(reason))).concat();
    assert_snapshot!(table, @r"
    Fail timed_out: The export took longer than one run may, and it cannot be continued in another run. Ask for less at once, for example a shorter period. Or the people who run this export can make it resumable: a [resume] in its definition.
          the run's time was up: the definition has no [resume]
    Fail timed_out: The export took longer than one run may, and a file of this format cannot be continued in another run. Ask for csv, tsv or jsonl, and no zip, which can be continued; or for less at once.
          the run's time was up: a file of this format can only be written in one run
    Fail timed_out: The export took longer than one run may, and its resume column has values after which it cannot be resumed. Ask for less at once. The people who run this export can choose another resume column: whole numbers, decimals, dates, bytes, or texts of plain letters, digits and hyphens.
          the run's time was up: the resume column is neither a whole number, a decimal, a date, bytes nor a plain text
    Fail timed_out: The export took longer than one run may, and it had not written enough to be continued. Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [throttle].
          the run's time was up: the run did not get as far as the end of a part of the file
    Retry timed_out: The export took longer than one run may, and it had not written enough to be continued. Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [throttle].
          the run's time was up: the run wrote no part of the file, as runs before had
    ");
}

#[test]
fn failure_that_refers_to_the_operator_notifies_the_operator() {
    let encode = encode_errors().into_iter().map(|error| SourceError::Sink(SinkError::Encode(error)));
    let source = source_errors().into_iter().chain(encode).map(ExportError::from);
    for error in source.chain(store_errors().into_iter().map(ExportError::from)) {
        let (_, failure) = of_export(&error);
        let advice = failure.words(Language::En).advice;
        let sent = advice.starts_with("Asking again will not help.");
        assert_eq!(failure.for_operator, sent, "{}: {advice}", failure.code);
    }
    assert!(of_crash().for_operator);
}

#[test]
fn failure_in_the_ledger_has_no_sentences() {
    let plain = r#"{"code":"storage"}"#;
    let failure: Failure = serde_json::from_str(plain).unwrap();
    assert_eq!((failure.for_operator, &failure), (false, &Failure::new("storage")));
    assert_eq!(serde_json::to_string(&failure).unwrap(), plain);
    let (_, held_back) =
        of_export(&SourceError::HeldBack { key: "throttle.rows_per_second", seconds: 312 }.into());
    let held_back = Failure { detail: None, ..of_last_attempt(held_back, 2) };
    assert_snapshot!(serde_json::to_string(&held_back).unwrap(), @r#"{"code":"timed_out","case":"held_back","args":{"attempts":2,"key":"throttle.rows_per_second","seconds":312}}"#);
}

#[test]
fn encode_error_of_each_kind_has_its_failure() {
    let sink = |error| SourceError::Sink(SinkError::Encode(error));
    let table: String = encode_errors().into_iter().map(|error| line(&sink(error).into())).collect();
    assert_snapshot!(table, @r#"
    Fail does_not_fit: The result cannot be written in this format: row 17, column "note": xlsx takes at most 32767 characters, got 40000. Ask for another format, such as csv, which takes every value.
    Fail (operator) definition: The export's definition does not fit its data: row 17, column "total": expected a number of decimal(5,2), as the definition says, got 1 digit before the point and 3 behind. Asking again will not help. Tell the people who run this export the job number.
    Retry (operator) compression: The file could not be compressed. Asking again will not help. Tell the people who run this export the job number.
          no memory
    Retry (operator) disk: The file could not be put together on the worker's disk. Asking again will not help. Tell the people who run this export the job number.
          the file could not be put together on the local disk: broken
    Fail disk_full: The file is too large for the worker's disk, on which a workbook is put together. Ask for less at once, or for another format, such as csv.
          the file could not be put together on the local disk: no storage space
    "#);
}

#[test]
fn source_error_of_each_kind_has_its_failure() {
    let table: String = source_errors().into_iter().map(|error| line(&error.into())).collect();
    assert_snapshot!(table, @r#"
    Retry database_unavailable: The database could not be reached. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the database could not be reached, or the connection to it broke: the cause
    Fail (operator) database_untrusted: The database did not prove that it is the right one. Asking again will not help. Tell the people who run this export the job number.
          the cause
    Retry (operator) login_refused: The database refused the login. Asking again will not help. Tell the people who run this export the job number.
          the cause
    Retry database_unavailable: The database could not be reached. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the database could not be reached, or the connection to it broke: the database login could not be fetched: the cause
    Retry (operator) login_refused: The database refused the login. Asking again will not help. Tell the people who run this export the job number.
          the database login cannot be used: no password in it
    Fail (operator) query_failed: The database could not answer the query (error 1054). Asking again will not help. Tell the people who run this export the job number.
          Unknown column 'secret'
    Fail (operator) query_failed: The database could not answer the query (error 3685). Asking again will not help. Tell the people who run this export the job number.
          Illegal argument to a regular expression: 'secret'
    Fail timed_out: The query took longer than it may. Ask for less at once, for example a shorter period.
          the query did not end in time
    Fail timed_out: The query took longer than it may. For 312 s of that time, throttle.rows_per_second held it back. Ask for less at once, for example a shorter period. Or ask the people who run this export to change throttle.rows_per_second.
          the query did not end in time; throttle.rows_per_second held it back for 312 s
    Fail (operator) definition: The export's definition does not fit its database: throttle.max_replica_lag cannot be kept: expected a replica. Asking again will not help. Tell the people who run this export the job number.
    Fail killed: The query was stopped in the database. Please ask for it again. If that fails too, tell the people who run this export the job number.
    Retry short_result: The database's answer ended before its end. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the result ended early: 3 of 4 rows
    Fail (operator) definition: The export's definition does not fit its query: columns.x: the query returns no such column; it returns a, b. Asking again will not help. Tell the people who run this export the job number.
    Fail too_large: The result is larger than allowed: more than 10 rows. Ask for less at once, for example a shorter period.
    Fail too_large: The result is larger than allowed: more than 10 bytes. Ask for less at once, for example a shorter period.
    Fail sheet_full: The result has more than the 1,048,575 rows that a sheet takes, and only one file may be written. Ask for less at once, for the compression "zip", which takes several sheets, or for the profile "plain".
          more than 1048575 rows, which is all that a sheet takes
    Fail (operator) session: The result cannot be trusted: the database's session is not as it must be: sql_select_limit: expected "18446744073709551615", got "1000". Asking again will not help. Tell the people who run this export the job number.
    Fail (operator) unseen_warnings: A value may have been cut: the server counted 1100 warnings of the query, and kept 1024 of them. Asking again will not help. The people who run this export can change its query so that it warns less, raise max_error_count on the server, or grant SESSION_VARIABLES_ADMIN to its user.
    Fail session_changed: The export was not finished: the database's settings have changed since the file was begun: sql_select_limit: expected "18446744073709551615", got "1000". Please ask for it again.
    Fail (operator) definition: The export's definition does not fit its query: resume.column: expected a column of the query, got "id". Asking again will not help. Tell the people who run this export the job number.
    Fail (operator) definition: The export's definition does not fit its query: resume.column: expected a column that is no TIMESTAMP, because the clocks of Europe/Berlin have been changed and the same local time can be two instants, got "at". Set time_zone = "UTC", or resume by UNIX_TIMESTAMP(at). Asking again will not help. Tell the people who run this export the job number.
    Fail (operator) resume_key: The rows do not come in the order by which the export could be continued: row 17, resume column "id": it is not greater than the key of the row before. Asking again will not help. The query must order by the resume column, ascending, and no value of it may come twice.
    Fail columns_changed: The columns were changed in the database while the export was on its way. Please ask for it again.
          the columns have changed since the file was begun: expected ["id", "total"], got ["id"]
    Fail (operator) unknown_type: The query returns a column of a type that cannot be read, such as VECTOR. Asking again will not help. Its definition must convert the column: VECTOR_TO_STRING(column) for people, CAST(column AS BINARY) for the bytes.
          a column has a type that cannot be read: unknown column type 0xf2
    Retry database_busy: The database cannot take the export at the moment (error 1461). Please ask for it again. If that fails too, tell the people who run this export the job number.
          the database cannot take it at the moment (error 1461)
    Retry locked: A table that the export reads is locked by another session, which did not give it back in time. Please ask for it again. If that fails too, tell the people who run this export the job number.
          a table is locked by another session: connection 13 holds shop.orders
    Fail rejected: The request was refused: params.q: expected characters that the column in the database can hold, got "😀". Correct the request and send it again.
          3988: Conversion impossible
    Fail (operator) definition: The export's definition does not fit its purpose: its statement returns no columns, so there is nothing to write. Asking again will not help. Tell the people who run this export the job number.
          the statement returns no columns
    Fail (operator) definition: The export's definition does not fit its database: sql: the server's sql_mode has NO_BACKSLASH_ESCAPES, and with that the quotes in the SQL end elsewhere; its definition must say which mode it is written for (sql_mode). Asking again will not help. Tell the people who run this export the job number.
    Fail (operator) definition: The export's definition does not fit its database: time_zone: expected a time zone that the server knows. Asking again will not help. Tell the people who run this export the job number.
    Fail stopped: The export was stopped. Ask for it again when you need it.
          the query was stopped on request
    "#);
}

#[test]
fn store_error_of_each_kind_has_its_failure() {
    let direct = store_errors().into_iter().map(ExportError::from);
    let through_the_sink = store_errors().into_iter().map(|error| SinkError::from(error).into());
    let table: Vec<String> = direct.map(|error| line(&error)).collect();
    assert_snapshot!(table.concat(), @"
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          storing a part: the store could not be reached or did not answer in time: the cause
    Fail (operator) storage: The file could not be stored. Asking again will not help. Tell the people who run this export the job number.
          storing a part: the store refused: the cause
    Retry (operator) storage: The file could not be stored. Asking again will not help. Tell the people who run this export the job number.
          the key holds an object of job 1 already
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the stored object has 1 bytes, expected 2
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the stored object has the checksum B, expected A
    ");
    let sorted = |error: &ExportError| (of_export(error).0, of_export(error).1.code);
    let through: Vec<_> = through_the_sink.map(|error| sorted(&error)).collect();
    let expected: Vec<_> = store_errors().into_iter().map(|error| sorted(&error.into())).collect();
    assert_eq!(through, expected, "it does not matter when the store failed");
}

#[test]
fn ledger_error_of_each_kind_has_its_failure() {
    let table: Vec<String> =
        ledger_errors().into_iter().map(|error| line(&SinkError::from(error).into())).collect();
    assert_snapshot!(table.concat(), @"
    Retry ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: the ledger could not be reached: the cause
    Retry ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: the ledger reported an error: the cause
    LeaseLost ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: attempt 1 has lost its lease on job 0123456789abcdef01234567
    ");
    let direct: Vec<Disposition> = ledger_errors().iter().map(|error| of_ledger(error).0).collect();
    assert_eq!(direct, [Disposition::Retry, Disposition::Retry, Disposition::LeaseLost]);
}

/// Checks that a list has every variant of an error. The match has no wildcard, so a new variant does not compile until it is named.
macro_rules! assert_has_every_variant {
    ($errors:expr, $error:ident { $($variant:ident),+ $(,)? }) => {{
        let errors: Vec<$error> = $errors.into_iter().collect();
        for error in &errors {
            match error {
                $($error::$variant { .. } => {})+
            }
        }
        $(assert!(
            errors.iter().any(|error| matches!(error, $error::$variant { .. })),
            "the list has no {}",
            stringify!($variant)
        );)+
    }};
}

#[test]
fn tables_of_errors_have_every_variant() {
    assert_has_every_variant!(
        source_errors(),
        SourceError {
            Disconnected,
            Untrusted,
            LoginRefused,
            QueryFailed,
            ValueRefused,
            ParamRefused,
            Busy,
            Locked,
            NoColumns,
            SqlMode,
            UnknownType,
            TimedOut,
            HeldBack,
            LoadUnknown,
            TimeZone,
            Stopped,
            Killed,
            Short,
            Session,
            UnseenWarnings,
            Sink,
        }
    );
    let sink = source_errors().into_iter().filter_map(|error| match error {
        SourceError::Sink(error) => Some(error),
        _ => None,
    });
    let store = store_errors().into_iter().map(SinkError::from);
    let ledger = ledger_errors().into_iter().map(SinkError::from);
    assert_has_every_variant!(
        sink.chain(store).chain(ledger),
        SinkError {
            Encode,
            Limit,
            SheetFull,
            NoResumeColumn,
            NotOneInstant,
            Key,
            ColumnsChanged,
            SessionChanged,
            Store,
            Ledger,
        }
    );
    let layout = EncodeError::Layout(LayoutError::NothingLeft);
    assert_has_every_variant!(
        encode_errors().into_iter().chain([layout]),
        EncodeError { Layout, DoesNotFit, Decimal, Compress, Disk }
    );
    assert_has_every_variant!(
        store_errors(),
        StoreError { Unavailable, Refused, Exists, SizeMismatch, ChecksumMismatch }
    );
    assert_has_every_variant!(ledger_errors(), LedgerError { Unavailable, Failed, LeaseLost });
}

#[test]
fn database_message_is_only_in_the_detail() {
    let (_, failure) =
        of_export(&SourceError::QueryFailed { code: 1054, message: "secret".to_owned() }.into());
    let FailureWords { message, advice } = failure.words(Language::En);
    assert!(!message.contains("secret") && !advice.contains("secret"));
    assert_eq!(failure.detail.as_deref(), Some("secret"));
}

#[test]
fn rejection_says_what_to_correct() {
    let failure = of_rejection(&Message::parse("{}").unwrap_err());
    let FailureWords { message, advice } = failure.words(Language::En);
    assert_snapshot!(format!("{}: {message} {advice}", failure.code), @"rejected: The request was refused: export: expected the name of an export, got nothing. Correct the request and send it again.");
}

#[test]
fn failure_of_the_last_attempt_says_how_many_there_were() {
    let (_, failure) = of_export(&SourceError::Disconnected(cause()).into());
    assert_snapshot!(of_last_attempt(failure.clone(), 4).words(Language::En).message, @"The database could not be reached. It was tried 4 times.");
    assert_snapshot!(of_last_attempt(failure, 1).words(Language::En).message, @"The database could not be reached. It was tried once.");
    assert_snapshot!(of_crash().words(Language::En).message, @"The export broke off each time it was tried.");
}

/// Checks that no error's message contains that of its cause, which the chain adds.
fn assert_says_once(error: &dyn std::error::Error) {
    let words: Vec<String> =
        std::iter::successors(Some(error), |error: &&dyn std::error::Error| (*error).source())
            .map(ToString::to_string)
            .collect();
    for pair in words.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{words:?}");
    }
    for word in &words {
        assert_eq!(error_chain(error).matches(word.as_str()).count(), 1, "{}", error_chain(error));
    }
}

#[test]
fn error_says_each_thing_once() {
    let sink = |error| SourceError::Sink(SinkError::Encode(error));
    let source =
        source_errors().into_iter().chain(encode_errors().into_iter().map(sink)).map(ExportError::from);
    let store = store_errors().into_iter().map(ExportError::from);
    let sunk = store_errors().into_iter().map(|error| SinkError::from(error).into());
    let ledger = ledger_errors().into_iter().map(|error| SinkError::from(error).into());
    for error in source.chain(store).chain(sunk).chain(ledger) {
        let (_, failure) = of_export(&error);
        let message = failure.words(Language::En).message.to_lowercase();
        let detail = failure.detail.unwrap_or_default().to_lowercase();
        assert!(detail.is_empty() || !message.contains(&detail), "{detail}");
        assert_says_once(&error);
        assert_says_once(&ExportFailed { error, checkpoint: None });
    }
}

/// Many libraries include the cause's message in their own.
#[test]
fn error_chain_omits_repeated_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the query failed ({0}), see there")]
    struct Library(#[source] io::Error);
    let error = SourceError::Disconnected(Box::new(Library(io::Error::other("the cause"))));
    assert_snapshot!(error_chain(&error), @"the database could not be reached, or the connection to it broke: the query failed (the cause), see there");
}

#[test]
fn error_chain_has_every_cause_once() {
    let error = ExportError::from(SinkError::from(StoreError::Unavailable {
        operation: "storing a part",
        source: cause(),
    }));
    assert_snapshot!(error_chain(&error), @"the file could not be stored: storing a part: the store could not be reached or did not answer in time: the cause");
}

#[test]
fn failure_of_a_follower_is_its_leaders_unless_that_was_refused() {
    let (_, failure) = of_export(&SourceError::QueryFailed { code: 1366, message: String::new() }.into());
    assert!(failure.for_operator);
    let follower = of_follower(failure.clone()).unwrap();
    assert_eq!(follower, Failure { for_operator: false, ..failure }, "the operator is told of the leader's");
    let rejections = Message::parse("test").unwrap_err();
    assert_eq!(of_follower(of_rejection(&rejections)), None);
}
