//! Every error, what happens next, and what the person is told.

use std::io::{self, ErrorKind};

use downpipe_core::failure::{Next, chain, of_crash, of_export, of_last_attempt, of_ledger, of_rejection};
use downpipe_core::ledger::LedgerError;
use downpipe_core::login::LoginError;
use downpipe_core::message::Message;
use downpipe_core::pipeline::{ExportError, NotContinuable};
use downpipe_core::source::{SinkError, SourceError};
use downpipe_core::store::StoreError;
use downpipe_format::{EncodeError, LayoutError};
use insta::assert_snapshot;

use crate::samples::job_id;

fn cause() -> Box<io::Error> {
    Box::new(io::Error::other("the cause"))
}

fn store_errors() -> Vec<StoreError> {
    vec![
        StoreError::Unavailable { operation: "storing a part", source: cause() },
        StoreError::Refused { operation: "storing a part", source: cause() },
        StoreError::Exists { holder: "job 1".to_owned() },
        StoreError::SizeMismatch { expected: 2, actual: 1 },
        StoreError::ChecksumMismatch { expected: "A".to_owned(), actual: "B".to_owned() },
    ]
}

fn ledger_errors() -> Vec<LedgerError> {
    vec![
        LedgerError::Unavailable(cause()),
        LedgerError::Failed(cause()),
        LedgerError::LeaseLost { job: job_id(), attempt: 1 },
    ]
}

fn source_errors() -> Vec<SourceError> {
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
        SourceError::TimedOut,
        SourceError::HeldBack { key: "pace.rows_per_second", seconds: 312 },
        SourceError::LoadUnknown { key: "pace.max_replica_lag", reason: "expected a replica" },
        SourceError::Killed,
        SourceError::Short("3 of 4 rows".to_owned()),
        SourceError::Sink(SinkError::Encode(layout.into())),
        limit("rows", 10),
        limit("bytes", 10),
        SourceError::Sink(SinkError::SheetFull { most: 1_048_575 }),
        SourceError::UnknownType("unknown column type 0xf2".to_owned()),
    ]
}

fn encode_errors() -> Vec<EncodeError> {
    vec![
        EncodeError::DoesNotFit {
            format: "xlsx",
            place: "row 17, column \"note\"".to_owned(),
            expected: "at most 32767 characters".to_owned(),
            actual: "40000".to_owned(),
        },
        EncodeError::Compress(io::Error::other("no memory")),
        EncodeError::Disk(io::Error::other("broken")),
        EncodeError::Disk(ErrorKind::StorageFull.into()),
    ]
}

/// An error's line in the table: what comes next, whether the operator is told when it has failed, the code, the words, and what
/// an operator sees.
fn line(error: &ExportError) -> String {
    let (next, failure) = of_export(error);
    let detail = failure.detail.unwrap_or_default();
    let operator = if failure.for_operator { " (operator)" } else { "" };
    format!("{next:?}{operator} {}: {} {}\n      {detail}\n", failure.code, failure.message, failure.advice)
}

/// What people are told when a run's time was up and no other can follow.
#[test]
fn the_table_of_ends_of_runs() {
    use NotContinuable::{Format, Key, NoProgress, NoResume, Stalled};
    let reasons = [NoResume, Format, Key, NoProgress, Stalled];
    let table: String = reasons.map(|reason| line(&ExportError::RunEnded(reason))).concat();
    assert_snapshot!(table, @r"
    Fail timed_out: The export took longer than one run may, and it cannot be continued in another run. Ask for less at once, for example a shorter period. Or the people who run this export can make it continuable: a [resume] in its definition.
          the run's time was up: the definition has no [resume]
    Fail timed_out: The export took longer than one run may, and a file of this format cannot be continued in another run. Ask for csv, tsv or jsonl, and no zip, which can be continued; or for less at once.
          the run's time was up: a file of this format can only be written in one run
    Fail timed_out: The export took longer than one run may, and its resume column has values after which nobody can go on. Ask for less at once. The people who run this export can choose another resume column: whole numbers, decimals, dates, bytes, or texts of plain letters, digits and hyphens.
          the run's time was up: the resume column is neither a whole number, a decimal, a date, bytes nor a plain text
    Fail timed_out: The export took longer than one run may, and it had not written enough to be continued. Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [pace].
          the run's time was up: the run did not get as far as the end of a part of the file
    Retry timed_out: The export took longer than one run may, and it had not written enough to be continued. Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [pace].
          the run's time was up: the run wrote no part of the file, as runs before had
    ");
}

#[test]
fn who_is_sent_to_the_operator_is_one_of_whom_the_operator_hears() {
    let encode = encode_errors().into_iter().map(|error| SourceError::Sink(SinkError::Encode(error)));
    let source = source_errors().into_iter().chain(encode).map(ExportError::from);
    for error in source.chain(store_errors().into_iter().map(ExportError::from)) {
        let (_, failure) = of_export(&error);
        let sent = failure.advice.starts_with("Asking again will not help.");
        assert_eq!(failure.for_operator, sent, "{}: {}", failure.code, failure.advice);
    }
    assert!(of_crash().for_operator);
}

#[test]
fn what_an_older_ledger_says_is_for_nobody_but_the_requester() {
    let old = r#"{"code":"storage","message":"m","advice":"a"}"#;
    let failure: downpipe_core::job::Failure = serde_json::from_str(old).unwrap();
    assert!(!failure.for_operator);
    assert_eq!(serde_json::to_string(&failure).unwrap(), old);
}

#[test]
fn the_table_of_encode_errors() {
    let sink = |error| SourceError::Sink(SinkError::Encode(error));
    let table: String = encode_errors().into_iter().map(|error| line(&sink(error).into())).collect();
    assert_snapshot!(table, @r#"
    Fail does_not_fit: The result cannot be written in this format: row 17, column "note": xlsx takes at most 32767 characters, got 40000. Ask for another format, such as csv, which takes every value.
          row 17, column "note": xlsx takes at most 32767 characters, got 40000
    Retry (operator) compression: The file could not be compressed. Asking again will not help. Tell the people who run this export the job number.
          the file could not be compressed: no memory
    Retry (operator) disk: The file could not be put together on the worker's disk. Asking again will not help. Tell the people who run this export the job number.
          the file could not be put together on the local disk: broken
    Fail disk_full: The file is too large for the worker's disk, on which a workbook is put together. Ask for less at once, or for another format, such as csv.
          the file could not be put together on the local disk: no storage space
    "#);
}

#[test]
fn the_table_of_source_errors() {
    let table: String = source_errors().into_iter().map(|error| line(&error.into())).collect();
    assert_snapshot!(table, @r#"
    Retry database_unavailable: The database could not be reached. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the database could not be reached, or the connection to it broke: the cause
    Fail (operator) database_untrusted: The database did not prove that it is the right one. Asking again will not help. Tell the people who run this export the job number.
          the database did not prove that it is the right one: the cause
    Retry (operator) login_refused: The database refused the login. Asking again will not help. Tell the people who run this export the job number.
          the database refused the login: the cause
    Retry database_unavailable: The database could not be reached. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the database could not be reached, or the connection to it broke: the database login could not be fetched: the cause
    Retry (operator) login_refused: The database refused the login. Asking again will not help. Tell the people who run this export the job number.
          the database refused the login: the database login cannot be used: no password in it
    Fail (operator) query_failed: The database could not answer the query (error 1054). Asking again will not help. Tell the people who run this export the job number.
          Unknown column 'secret'
    Fail timed_out: The query took longer than it may. Ask for less at once, for example a shorter period.
          the query did not end in time
    Fail timed_out: The query took longer than it may. For 312 s of that time, pace.rows_per_second held it back. Ask for less at once, for example a shorter period. Or ask the people who run this export to change pace.rows_per_second.
          the query did not end in time; pace.rows_per_second held it back for 312 s
    Fail (operator) definition: The export's definition does not fit its database: pace.max_replica_lag cannot be kept: expected a replica. Asking again will not help. Tell the people who run this export the job number.
          pace.max_replica_lag cannot be kept: expected a replica
    Fail killed: The query was stopped in the database. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the query was stopped in the database
    Retry short_result: The database's answer ended before its end. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the result ended early: 3 of 4 rows
    Fail (operator) definition: The export's definition does not fit its query: columns.x: the query returns no such column; it returns a, b. Asking again will not help. Tell the people who run this export the job number.
          columns.x: the query returns no such column; it returns a, b
    Fail too_large: The result is larger than allowed: more than 10 rows. Ask for less at once, for example a shorter period.
          more than 10 rows
    Fail too_large: The result is larger than allowed: more than 10 bytes. Ask for less at once, for example a shorter period.
          more than 10 bytes
    Fail sheet_full: The result has more than the 1048575 rows that a sheet takes, and only one file may be written. Ask for less at once, for the compression "zip", which takes several sheets, or for the profile "plain".
          more than 1048575 rows, which is all that a sheet takes
    Fail (operator) unknown_type: The query returns a column of a type that cannot be read, such as VECTOR. Asking again will not help. Its definition must convert the column: VECTOR_TO_STRING(column) for people, CAST(column AS BINARY) for the bytes.
          a column has a type that cannot be read: unknown column type 0xf2
    "#);
}

#[test]
fn the_table_of_store_errors() {
    let direct = store_errors().into_iter().map(ExportError::from);
    let through_the_sink = store_errors().into_iter().map(|error| SinkError::from(error).into());
    let table: Vec<String> = direct.map(|error| line(&error)).collect();
    assert_snapshot!(table.concat(), @"
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the file could not be stored: storing a part: the store could not be reached or did not answer in time: the cause
    Fail (operator) storage: The file could not be stored. Asking again will not help. Tell the people who run this export the job number.
          the file could not be stored: storing a part: the store refused: the cause
    Retry (operator) storage: The file could not be stored. Asking again will not help. Tell the people who run this export the job number.
          the file could not be stored: the key holds an object of job 1 already
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the file could not be stored: the stored object has 1 bytes, expected 2
    Retry storage: The file could not be stored. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the file could not be stored: the stored object has the checksum B, expected A
    ");
    let sorted = |error: &ExportError| (of_export(error).0, of_export(error).1.code);
    let through: Vec<_> = through_the_sink.map(|error| sorted(&error)).collect();
    let expected: Vec<_> = store_errors().into_iter().map(|error| sorted(&error.into())).collect();
    assert_eq!(through, expected, "it does not matter when the store failed");
}

#[test]
fn the_table_of_ledger_errors() {
    let table: Vec<String> =
        ledger_errors().into_iter().map(|error| line(&SinkError::from(error).into())).collect();
    assert_snapshot!(table.concat(), @"
    Retry ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: the ledger could not be reached: the cause
    Retry ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: the ledger reported an error: the cause
    Yield ledger: The export could not be recorded. Please ask for it again. If that fails too, tell the people who run this export the job number.
          the job could not be recorded: attempt 1 has lost its lease on job 0123456789abcdef01234567
    ");
    let direct: Vec<Next> = ledger_errors().iter().map(|error| of_ledger(error).0).collect();
    assert_eq!(direct, [Next::Retry, Next::Retry, Next::Yield]);
}

#[test]
fn what_a_database_says_reaches_operators_only() {
    let (_, failure) =
        of_export(&SourceError::QueryFailed { code: 1054, message: "secret".to_owned() }.into());
    assert!(!failure.message.contains("secret") && !failure.advice.contains("secret"));
    assert_eq!(failure.detail.as_deref(), Some("secret"));
}

#[test]
fn a_rejection_says_what_to_correct() {
    let failure = of_rejection(&Message::parse("{}").unwrap_err());
    assert_snapshot!(format!("{}: {} {}", failure.code, failure.message, failure.advice), @"rejected: The request was refused: export: expected the name of an export, got nothing. Correct the request and send it again.");
}

#[test]
fn the_last_attempt_says_how_many_there_were() {
    let (_, failure) = of_export(&SourceError::Disconnected(cause()).into());
    assert_snapshot!(of_last_attempt(failure.clone(), 4).message, @"The database could not be reached. It was tried 4 times.");
    assert_snapshot!(of_last_attempt(failure, 1).message, @"The database could not be reached. It was tried once.");
    assert_snapshot!(of_crash().message, @"The export broke off each time it was tried.");
}

#[test]
fn a_chain_has_every_cause_once() {
    let error = ExportError::from(SinkError::from(StoreError::Unavailable {
        operation: "storing a part",
        source: cause(),
    }));
    assert_snapshot!(chain(&error), @"the file could not be stored: storing a part: the store could not be reached or did not answer in time: the cause");
}
