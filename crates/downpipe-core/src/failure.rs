//! Sorts every error: whether the attempt is repeated, and what the requester and the operator read.

use std::error::Error;
use std::io::ErrorKind;

use downpipe_format::EncodeError;

use crate::error_chain::{join, words_of};
use crate::export::{ExportError, NotResumable};
use crate::job::Failure;
use crate::ledger::LedgerError;
use crate::message::{Rejections, cut};
use crate::source::{SinkError, SourceError};
use crate::store::StoreError;

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The cause may pass: another attempt may succeed.
    Retry,
    /// It will fail again: the job ends, and its requester is notified. The operator is too, where only they can fix the cause
    /// ([`Failure::for_operator`]).
    Fail,
    /// Another worker has the job: this one stops and writes nothing more.
    LeaseLost,
}

/// The most characters of a service's own message: some quote all that they were sent.
const MAX_DETAIL: usize = 4000;

/// The code of a request that was refused.
const REJECTED: &str = "rejected";

const ASK_AGAIN: &str =
    "Please ask for it again. If that fails too, tell the people who run this export the job number.";

const ASK_OPERATOR: &str = "Asking again will not help. Tell the people who run this export the job number.";

const SEE_WARNINGS: &str = "Asking again will not help. The people who run this export can change its query so that it warns less, \
                            raise max_error_count on the server, or grant SESSION_VARIABLES_ADMIN to its user.";

const ASK_FOR_LESS: &str = "Ask for less at once, for example a shorter period.";

/// Returns the failure of a request that was refused.
#[must_use]
pub fn of_rejection(rejections: &Rejections) -> Failure {
    failure(
        REJECTED,
        format!("The request was refused: {rejections}."),
        "Correct the request and send it again.",
    )
}

/// Returns the failure of a job that waited for another one, which failed so. `None` if that says nothing of this job: what is refused
/// to one requester may be given to the next. The operator is notified of the other job's.
#[must_use]
pub fn of_follower(leader: Failure) -> Option<Failure> {
    (leader.code != REJECTED).then_some(Failure { for_operator: false, ..leader })
}

/// Returns the failure of a job whose last attempt failed for a passing cause.
#[must_use]
pub fn of_last_attempt(last: Failure, attempts: u32) -> Failure {
    let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    let message = format!("{} It was tried {times}.", last.message);
    Failure { message, ..last }
}

/// Returns the failure of a job that was resumed as often as one may be.
#[must_use]
pub fn of_too_many_runs(runs: u32) -> Failure {
    failure("too_long", format!("The export was not ready after {runs} runs."), ASK_FOR_LESS)
}

/// Returns the failure of a job each of whose workers died before it could say why.
#[must_use]
pub fn of_crash() -> Failure {
    for_operator("crashed", "The export broke off each time it was tried.", ASK_OPERATOR)
}

/// Sorts the error of an export.
#[must_use]
pub fn of_export(error: &ExportError) -> (Disposition, Failure) {
    let (next, failure) = match error {
        ExportError::Source(error) => classify_source(error),
        ExportError::Store(error) => classify_store(error),
        ExportError::RunEnded(reason) => of_run_end(*reason),
    };
    let detail = failure.detail.clone().or_else(|| detail_beside(&failure.message, error));
    (next, Failure { detail: detail.map(|detail| cut(&detail, MAX_DETAIL)), ..failure })
}

/// Sorts an error of the ledger.
#[must_use]
pub fn of_ledger(error: &LedgerError) -> (Disposition, Failure) {
    let failure = failure("ledger", "The export could not be recorded.", ASK_AGAIN);
    match error {
        LedgerError::LeaseLost { .. } => (Disposition::LeaseLost, failure),
        LedgerError::Unavailable(_) | LedgerError::Failed(_) => (Disposition::Retry, failure),
    }
}

fn classify_source(error: &SourceError) -> (Disposition, Failure) {
    match error {
        SourceError::Disconnected(_) => (
            Disposition::Retry,
            failure("database_unavailable", "The database could not be reached.", ASK_AGAIN),
        ),
        // A wrong certificate authority stays wrong: three more attempts would only delay the notice.
        SourceError::Untrusted(_) => {
            let words = "The database did not prove that it is the right one.";
            (Disposition::Fail, for_operator("database_untrusted", words, ASK_OPERATOR))
        }
        // A rotated password arrives within minutes. A wrong one still fails at the last attempt.
        SourceError::LoginRefused(_) => (
            Disposition::Retry,
            for_operator("login_refused", "The database refused the login.", ASK_OPERATOR),
        ),
        SourceError::QueryFailed { code, message } | SourceError::ValueRefused { code, message, .. } => {
            let words = format!("The database could not answer the query (error {code}).");
            let failure = for_operator("query_failed", words, ASK_OPERATOR);
            (Disposition::Fail, Failure { detail: Some(message.clone()), ..failure })
        }
        // The requester can correct it, so the operator is not notified.
        SourceError::ParamRefused { rejection, detail } => {
            let failure = of_rejection(&rejection.clone().into());
            (Disposition::Fail, Failure { detail: Some(detail.clone()), ..failure })
        }
        SourceError::Busy { code } => {
            let words = format!("The database cannot take the export at the moment (error {code}).");
            (Disposition::Retry, failure("database_busy", words, ASK_AGAIN))
        }
        SourceError::Locked { .. } => {
            let words = "A table that the export reads is locked by another session, which did not give it back in time.";
            (Disposition::Retry, failure("locked", words, ASK_AGAIN))
        }
        SourceError::NoColumns => {
            let words = "The export's definition does not fit its purpose: its statement returns no columns, so there is nothing to write.";
            (Disposition::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        SourceError::UnknownType(_) => {
            let words = "The query returns a column of a type that cannot be read, such as VECTOR.";
            let cure = "Asking again will not help. Its definition must convert the column: VECTOR_TO_STRING(column) for people, \
                        CAST(column AS BINARY) for the bytes.";
            (Disposition::Fail, for_operator("unknown_type", words, cure))
        }
        SourceError::TimedOut => {
            (Disposition::Fail, failure("timed_out", "The query took longer than it may.", ASK_FOR_LESS))
        }
        SourceError::HeldBack { key, seconds } => {
            let words = format!(
                "The query took longer than it may. For {seconds} s of that time, {key} held it back."
            );
            let advice = format!("{ASK_FOR_LESS} Or ask the people who run this export to change {key}.");
            (Disposition::Fail, failure("timed_out", words, &advice))
        }
        SourceError::LoadUnknown { .. } | SourceError::SqlMode { .. } | SourceError::TimeZone { .. } => {
            let words = format!("The export's definition does not fit its database: {error}.");
            (Disposition::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        SourceError::Stopped => (
            Disposition::Fail,
            failure("stopped", "The export was stopped.", "Ask for it again when you need it."),
        ),
        SourceError::Killed => {
            (Disposition::Fail, failure("killed", "The query was stopped in the database.", ASK_AGAIN))
        }
        SourceError::Short(_) => (
            Disposition::Retry,
            failure("short_result", "The database's answer ended before its end.", ASK_AGAIN),
        ),
        // A server keeps its settings, so another attempt would fail as well.
        SourceError::Session(_) => {
            let words = format!("The result cannot be trusted: {error}.");
            (Disposition::Fail, for_operator("session", words, ASK_OPERATOR))
        }
        SourceError::UnseenWarnings { .. } => {
            let words = format!("A value may have been cut: {error}.");
            (Disposition::Fail, for_operator("unseen_warnings", words, SEE_WARNINGS))
        }
        SourceError::Sink(error) => of_sink(error),
    }
}

/// Sorts the end of a run that cannot be resumed. The message says what would make it resumable.
fn of_run_end(reason: NotResumable) -> (Disposition, Failure) {
    let (why, cure) = match reason {
        NotResumable::NoResume => (
            "it cannot be continued in another run",
            "Ask for less at once, for example a shorter period. Or the people who run this export can make it resumable: a [resume] in its definition.",
        ),
        NotResumable::Format => (
            "a file of this format cannot be continued in another run",
            "Ask for csv, tsv or jsonl, and no zip, which can be continued; or for less at once.",
        ),
        NotResumable::Key => (
            "its resume column has values after which it cannot be resumed",
            "Ask for less at once. The people who run this export can choose another resume column: whole numbers, decimals, dates, bytes, or texts of plain letters, digits and hyphens.",
        ),
        NotResumable::NoProgress | NotResumable::Stalled => (
            "it had not written enough to be continued",
            "Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [throttle].",
        ),
    };
    // One run without progress may be a busy server's fault. Several in a row end the job.
    let next = if reason == NotResumable::Stalled { Disposition::Retry } else { Disposition::Fail };
    (next, failure("timed_out", format!("The export took longer than one run may, and {why}."), cure))
}

fn of_sink(error: &SinkError) -> (Disposition, Failure) {
    match error {
        SinkError::NoResumeColumn { .. } | SinkError::NotOneInstant { .. } => {
            let words = format!("The export's definition does not fit its query: {error}.");
            (Disposition::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        SinkError::Key { .. } => {
            let words =
                format!("The rows do not come in the order by which the export could be continued: {error}.");
            let cure = "Asking again will not help. The query must order by the resume column, ascending, and no value of it may come twice.";
            (Disposition::Fail, for_operator("resume_key", words, cure))
        }
        SinkError::ColumnsChanged { .. } => {
            let words = "The columns were changed in the database while the export was on its way.";
            (Disposition::Fail, failure("columns_changed", words, "Please ask for it again."))
        }
        SinkError::SessionChanged(_) => {
            let words = format!("The export was not finished: {error}.");
            (Disposition::Fail, failure("session_changed", words, "Please ask for it again."))
        }
        SinkError::Encode(error) => of_encode(error),
        SinkError::Limit { what, most } => {
            let words = format!("The result is larger than allowed: more than {most} {what}.");
            (Disposition::Fail, failure("too_large", words, ASK_FOR_LESS))
        }
        SinkError::SheetFull { most } => {
            let words = format!(
                "The result has more than the {most} rows that a sheet takes, and only one file may be written."
            );
            let advice = "Ask for less at once, for the compression \"zip\", which takes several sheets, or for the profile \"plain\".";
            (Disposition::Fail, failure("sheet_full", words, advice))
        }
        SinkError::Store(error) => classify_store(error),
        SinkError::Ledger(error) => of_ledger(error),
    }
}

fn of_encode(error: &EncodeError) -> (Disposition, Failure) {
    match error {
        EncodeError::Layout(error) => {
            let words = format!("The export's definition does not fit its query: {error}.");
            (Disposition::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        EncodeError::Decimal { .. } => {
            let words = format!("The export's definition does not fit its data: {error}.");
            (Disposition::Fail, for_operator("definition", words, ASK_OPERATOR))
        }
        EncodeError::DoesNotFit { .. } => {
            let words = format!("The result cannot be written in this format: {error}.");
            (
                Disposition::Fail,
                failure(
                    "does_not_fit",
                    words,
                    "Ask for another format, such as csv, which takes every value.",
                ),
            )
        }
        EncodeError::Compress(_) => (
            Disposition::Retry,
            for_operator("compression", "The file could not be compressed.", ASK_OPERATOR),
        ),
        // The disk is no larger at the next attempt.
        EncodeError::Disk(error) if error.kind() == ErrorKind::StorageFull => {
            let words = "The file is too large for the worker's disk, on which a workbook is put together.";
            let advice = "Ask for less at once, or for another format, such as csv.";
            (Disposition::Fail, failure("disk_full", words, advice))
        }
        EncodeError::Disk(_) => {
            let words = "The file could not be put together on the worker's disk.";
            (Disposition::Retry, for_operator("disk", words, ASK_OPERATOR))
        }
    }
}

fn classify_store(error: &StoreError) -> (Disposition, Failure) {
    let words = "The file could not be stored.";
    match error {
        StoreError::Unavailable { .. }
        | StoreError::SizeMismatch { .. }
        | StoreError::ChecksumMismatch { .. } => (Disposition::Retry, failure("storage", words, ASK_AGAIN)),
        // An earlier attempt may have completed its object after all. The next attempt removes it.
        StoreError::Exists { .. } => (Disposition::Retry, for_operator("storage", words, ASK_OPERATOR)),
        StoreError::Refused { .. } => (Disposition::Fail, for_operator("storage", words, ASK_OPERATOR)),
    }
}

/// Returns what an error and its causes say besides the message that is shown with them.
fn detail_beside(message: &str, error: &dyn Error) -> Option<String> {
    let message = message.to_lowercase();
    let detail = join(words_of(error).filter(|words| !message.contains(&words.to_lowercase())));
    (!detail.is_empty()).then_some(detail)
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

/// Returns a failure whose cause only the operator can fix.
fn for_operator(code: &str, message: impl Into<String>, advice: &str) -> Failure {
    Failure { for_operator: true, ..failure(code, message, advice) }
}
