//! What an error means: for the person who asked, and for what happens next.
//!
//! The one table in which the errors of an export are sorted: retry, fail, or fail and tell the operator. (A ledger or a topic
//! that cannot be reached is not a job's failure: the message comes back.)

use std::error::Error;
use std::io::ErrorKind;

use downpipe_format::EncodeError;

use crate::job::Failure;
use crate::ledger::LedgerError;
use crate::login::LoginError;
use crate::pipeline::{ExportError, NotContinuable};
use crate::rejection::Rejections;
use crate::source::{SinkError, SourceError};
use crate::store::StoreError;

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The cause may pass: try again later.
    Retry,
    /// It will fail again: end the job and tell the person; and the operator, where only they can mend it
    /// ([`Failure::for_operator`]).
    Fail,
    /// The job is somebody else's now: stop, and write nothing more.
    Yield,
}

const ASK_AGAIN: &str =
    "Please ask for it again. If that fails too, tell the people who run this export the job number.";
const ASK_OPERATOR: &str = "Asking again will not help. Tell the people who run this export the job number.";
const ASK_FOR_LESS: &str = "Ask for less at once, for example a shorter period.";

/// A request that was refused.
#[must_use]
pub fn of_rejection(rejections: &Rejections) -> Failure {
    failure(
        "rejected",
        format!("The request was refused: {rejections}."),
        "Correct the request and send it again.",
    )
}

/// A failure that would have been retried, had it not been the last attempt.
#[must_use]
pub fn of_last_attempt(last: Failure, attempts: u32) -> Failure {
    let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    let message = format!("{} It was tried {times}.", last.message);
    Failure { message, ..last }
}

/// A job that was continued as often as one may be.
#[must_use]
pub fn of_too_many_runs(runs: u32) -> Failure {
    failure("too_long", format!("The export was not ready after {runs} runs."), ASK_FOR_LESS)
}

/// A job whose worker died, again and again, before it could say anything.
#[must_use]
pub fn of_crash() -> Failure {
    for_operator("crashed", "The export broke off each time it was tried.", ASK_OPERATOR)
}

/// Sorts the error of an export.
#[must_use]
pub fn of_export(error: &ExportError) -> (Next, Failure) {
    let (next, failure) = match error {
        ExportError::Source(error) => of_source(error),
        ExportError::Store(error) => of_store(error),
        ExportError::RunEnded(reason) => of_run_end(*reason),
    };
    let detail = failure.detail.or_else(|| Some(chain(error)));
    (next, Failure { detail, ..failure })
}

/// Sorts an error of the ledger.
#[must_use]
pub fn of_ledger(error: &LedgerError) -> (Next, Failure) {
    let failure = failure("ledger", "The export could not be recorded.", ASK_AGAIN);
    match error {
        LedgerError::LeaseLost { .. } => (Next::Yield, failure),
        LedgerError::Unavailable(_) | LedgerError::Failed(_) => (Next::Retry, failure),
    }
}

fn of_source(error: &SourceError) -> (Next, Failure) {
    match error {
        SourceError::Disconnected(_) => {
            (Next::Retry, failure("database_unavailable", "The database could not be reached.", ASK_AGAIN))
        }
        // A wrong certificate authority does not mend itself, and a person who waits for four attempts is no help to anybody.
        SourceError::Untrusted(_) => {
            let words = "The database did not prove that it is the right one.";
            (Next::Fail, for_operator("database_untrusted", words, ASK_OPERATOR))
        }
        // A rotated password is a matter of minutes; a wrong one is found by the last attempt.
        SourceError::LoginRefused(_) => {
            (Next::Retry, for_operator("login_refused", "The database refused the login.", ASK_OPERATOR))
        }
        SourceError::QueryFailed { code, message } => {
            let words = format!("The database could not answer the query (error {code}).");
            let failure = for_operator("query_failed", words, ASK_OPERATOR);
            (Next::Fail, Failure { detail: Some(message.clone()), ..failure })
        }
        SourceError::UnknownType(_) => {
            let words = "The query returns a column of a type that cannot be read, such as VECTOR.";
            let cure = "Asking again will not help. Its definition must convert the column: VECTOR_TO_STRING(column) for people, \
                        CAST(column AS BINARY) for the bytes.";
            (Next::Fail, for_operator("unknown_type", words, cure))
        }
        SourceError::TimedOut => {
            (Next::Fail, failure("timed_out", "The query took longer than it may.", ASK_FOR_LESS))
        }
        SourceError::HeldBack { key, seconds } => {
            let words = format!(
                "The query took longer than it may. For {seconds} s of that time, {key} held it back."
            );
            let advice = format!("{ASK_FOR_LESS} Or ask the people who run this export to change {key}.");
            (Next::Fail, failure("timed_out", words, &advice))
        }
        SourceError::LoadUnknown { .. } => {
            let words = format!("The export's definition does not fit its database: {error}.");
            (Next::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        SourceError::Stopped => {
            (Next::Fail, failure("stopped", "The export was stopped.", "Ask for it again when you need it."))
        }
        SourceError::Killed => {
            (Next::Fail, failure("killed", "The query was stopped in the database.", ASK_AGAIN))
        }
        SourceError::Short(_) => {
            (Next::Retry, failure("short_result", "The database's answer ended before its end.", ASK_AGAIN))
        }
        SourceError::Sink(error) => of_sink(error),
    }
}

/// The run's time was up. What the message says is what would make it go on.
fn of_run_end(reason: NotContinuable) -> (Next, Failure) {
    let (why, cure) = match reason {
        NotContinuable::NoResume => (
            "it cannot be continued in another run",
            "Ask for less at once, for example a shorter period. Or the people who run this export can make it continuable: a [resume] in its definition.",
        ),
        NotContinuable::Format => (
            "a file of this format cannot be continued in another run",
            "Ask for csv, tsv or jsonl, and no zip, which can be continued; or for less at once.",
        ),
        NotContinuable::Key => (
            "its resume column has values after which nobody can go on",
            "Ask for less at once. The people who run this export can choose another resume column: whole numbers, decimals, dates, bytes, or texts of plain letters, digits and hyphens.",
        ),
        NotContinuable::NoProgress | NotContinuable::Stalled => (
            "it had not written enough to be continued",
            "Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [pace].",
        ),
    };
    // One run without progress may be the fault of a busy server; several in a row end the job.
    let next = if reason == NotContinuable::Stalled { Next::Retry } else { Next::Fail };
    (next, failure("timed_out", format!("The export took longer than one run may, and {why}."), cure))
}

fn of_sink(error: &SinkError) -> (Next, Failure) {
    match error {
        SinkError::NoResumeColumn { .. } => {
            let words = format!("The export's definition does not fit its query: {error}.");
            (Next::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        SinkError::Key { .. } => {
            let words =
                format!("The rows do not come in the order by which the export could be continued: {error}.");
            let cure = "Asking again will not help. The query must order by the resume column, ascending, and no value of it may come twice.";
            (Next::Fail, for_operator("resume_key", words, cure))
        }
        SinkError::ColumnsChanged { .. } => {
            let words = "The columns were changed in the database while the export was on its way.";
            (Next::Fail, failure("columns_changed", words, "Please ask for it again."))
        }
        SinkError::Encode(error) => of_encode(error),
        SinkError::Limit { what, most } => {
            let words = format!("The result is larger than allowed: more than {most} {what}.");
            (Next::Fail, failure("too_large", words, ASK_FOR_LESS))
        }
        SinkError::SheetFull { most } => {
            let words = format!(
                "The result has more than the {most} rows that a sheet takes, and only one file may be written."
            );
            let advice = "Ask for less at once, for the compression \"zip\", which takes several sheets, or for the profile \"plain\".";
            (Next::Fail, failure("sheet_full", words, advice))
        }
        SinkError::Store(error) => of_store(error),
        SinkError::Ledger(error) => of_ledger(error),
    }
}

fn of_encode(error: &EncodeError) -> (Next, Failure) {
    match error {
        EncodeError::Layout(error) => {
            let words = format!("The export's definition does not fit its query: {error}.");
            (Next::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        EncodeError::DoesNotFit { .. } => {
            let words = format!("The result cannot be written in this format: {error}.");
            (
                Next::Fail,
                failure(
                    "does_not_fit",
                    words,
                    "Ask for another format, such as csv, which takes every value.",
                ),
            )
        }
        EncodeError::Compress(_) => {
            (Next::Retry, for_operator("compression", "The file could not be compressed.", ASK_OPERATOR))
        }
        // It will not be larger the next time.
        EncodeError::Disk(error) if error.kind() == ErrorKind::StorageFull => {
            let words = "The file is too large for the worker's disk, on which a workbook is put together.";
            let advice = "Ask for less at once, or for another format, such as csv.";
            (Next::Fail, failure("disk_full", words, advice))
        }
        EncodeError::Disk(_) => {
            let words = "The file could not be put together on the worker's disk.";
            (Next::Retry, for_operator("disk", words, ASK_OPERATOR))
        }
    }
}

fn of_store(error: &StoreError) -> (Next, Failure) {
    let words = "The file could not be stored.";
    match error {
        StoreError::Unavailable { .. }
        | StoreError::SizeMismatch { .. }
        | StoreError::ChecksumMismatch { .. } => (Next::Retry, failure("storage", words, ASK_AGAIN)),
        // An earlier attempt may have come to its end after all; the next attempt clears that away.
        StoreError::Exists { .. } => (Next::Retry, for_operator("storage", words, ASK_OPERATOR)),
        StoreError::Refused { .. } => (Next::Fail, for_operator("storage", words, ASK_OPERATOR)),
    }
}

impl From<LoginError> for SourceError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Unavailable(_) => Self::Disconnected(Box::new(error)),
            LoginError::Invalid(_) => Self::LoginRefused(Box::new(error)),
        }
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Transparent errors repeat their cause's words.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

fn failure(code: &str, message: impl Into<String>, advice: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.into(),
        advice: advice.to_owned(),
        for_operator: false,
        detail: None,
    }
}

/// What nobody but the operator can mend.
fn for_operator(code: &str, message: impl Into<String>, advice: &str) -> Failure {
    Failure { for_operator: true, ..failure(code, message, advice) }
}
