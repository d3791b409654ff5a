//! Sorts every error: whether the attempt is repeated, and of which failure the requester and the operator read.

use std::error::Error;
use std::io::ErrorKind;

use downpipe_format::EncodeError;
use serde_json::{Value, json};

use crate::error_chain::{join, words_of};
use crate::export::{ExportError, NotResumable};
use crate::job::{ChangedSetting, Failure, KeyError};
use crate::language::Language;
use crate::ledger::LedgerError;
use crate::message::{Rejection, Rejections, cut};
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

/// Returns the failure of a request that was refused.
#[must_use]
pub fn of_rejection(rejections: &Rejections) -> Failure {
    let as_json = |Rejection { field, expected, actual }: &Rejection| json!({ "field": field, "expected": expected, "actual": actual });
    let shown: Vec<Value> = rejections.shown().map(as_json).collect();
    let failure = Failure::new(REJECTED).with("rejections", shown);
    match rejections.not_shown() {
        0 => failure,
        more => failure.with("more", more),
    }
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
    last.with("attempts", attempts)
}

/// Returns the failure of a job that was resumed as often as one may be.
#[must_use]
pub fn of_too_many_runs(runs: u32) -> Failure {
    Failure::new("too_long").with("runs", runs)
}

/// Returns the failure of a job each of whose workers died before it could say why.
#[must_use]
pub fn of_crash() -> Failure {
    for_operator("crashed")
}

/// Sorts the error of an export.
#[must_use]
pub fn of_export(error: &ExportError) -> (Disposition, Failure) {
    let (next, failure) = match error {
        ExportError::Source(error) => classify_source(error),
        ExportError::Store(error) => classify_store(error),
        ExportError::RunEnded(reason) => of_run_end(*reason),
    };
    let detail = failure.detail.clone().or_else(|| detail_beside(&failure, error));
    (next, Failure { detail: detail.map(|detail| cut(&detail, MAX_DETAIL)), ..failure })
}

/// Sorts an error of the ledger.
#[must_use]
pub fn of_ledger(error: &LedgerError) -> (Disposition, Failure) {
    let failure = Failure::new("ledger");
    match error {
        LedgerError::LeaseLost { .. } => (Disposition::LeaseLost, failure),
        LedgerError::Unavailable(_) | LedgerError::Failed(_) => (Disposition::Retry, failure),
    }
}

fn classify_source(error: &SourceError) -> (Disposition, Failure) {
    match error {
        SourceError::Disconnected(_) => (Disposition::Retry, Failure::new("database_unavailable")),
        // A wrong certificate authority stays wrong: three more attempts would only delay the notice.
        SourceError::Untrusted(_) => (Disposition::Fail, for_operator("database_untrusted")),
        // A rotated password arrives within minutes. A wrong one still fails at the last attempt.
        SourceError::LoginRefused(_) => (Disposition::Retry, for_operator("login_refused")),
        SourceError::QueryFailed { code, message } | SourceError::ValueRefused { code, message, .. } => {
            let failure = for_operator("query_failed").with("error", *code);
            (Disposition::Fail, Failure { detail: Some(message.clone()), ..failure })
        }
        // The requester can correct it, so the operator is not notified.
        SourceError::ParamRefused { rejection, detail } => {
            let failure = of_rejection(&rejection.clone().into());
            (Disposition::Fail, Failure { detail: Some(detail.clone()), ..failure })
        }
        SourceError::Busy { code } => {
            (Disposition::Retry, Failure::new("database_busy").with("error", *code))
        }
        SourceError::Locked { .. } => (Disposition::Retry, Failure::new("locked")),
        SourceError::NoColumns => (Disposition::Fail, for_operator("definition").in_case("no_columns")),
        SourceError::UnknownType(_) => (Disposition::Fail, for_operator("unknown_type")),
        SourceError::TimedOut => (Disposition::Fail, Failure::new("timed_out")),
        SourceError::HeldBack { key, seconds } => {
            let failure = Failure::new("timed_out").in_case("held_back");
            (Disposition::Fail, failure.with("key", *key).with("seconds", *seconds))
        }
        SourceError::LoadUnknown { .. } | SourceError::SqlMode { .. } | SourceError::TimeZone { .. } => {
            (Disposition::Fail, of_definition("database", error))
        }
        SourceError::Stopped => (Disposition::Fail, Failure::new("stopped")),
        SourceError::Killed => (Disposition::Fail, Failure::new("killed")),
        SourceError::Short(_) => (Disposition::Retry, Failure::new("short_result")),
        // A server keeps its settings, so another attempt would fail as well.
        SourceError::Session(setting) => (Disposition::Fail, with_setting(for_operator("session"), setting)),
        SourceError::UnseenWarnings { counted, listed } => {
            let failure = for_operator("unseen_warnings");
            (Disposition::Fail, failure.with("counted", *counted).with("listed", *listed))
        }
        SourceError::Sink(error) => of_sink(error),
    }
}

/// Sorts the end of a run that cannot be resumed. The words say what would make it resumable.
fn of_run_end(reason: NotResumable) -> (Disposition, Failure) {
    let case = match reason {
        NotResumable::NoResume => "no_resume",
        NotResumable::Format => "format",
        NotResumable::Key => "resume_key",
        NotResumable::NoProgress | NotResumable::Stalled => "too_slow",
    };
    // One run without progress may be a busy server's fault. Several in a row end the job.
    let next = if reason == NotResumable::Stalled { Disposition::Retry } else { Disposition::Fail };
    (next, Failure::new("timed_out").in_case(case))
}

fn of_sink(error: &SinkError) -> (Disposition, Failure) {
    match error {
        SinkError::NoResumeColumn { .. } | SinkError::NotOneInstant { .. } => {
            (Disposition::Fail, of_definition("query", error))
        }
        SinkError::Key { row, column, reason } => {
            let case = match reason {
                KeyError::Null => "null",
                KeyError::NotAscending => "not_ascending",
            };
            let failure = for_operator("resume_key").in_case(case);
            (Disposition::Fail, failure.with("row", *row).with("column", column.as_str()))
        }
        SinkError::ColumnsChanged { .. } => (Disposition::Fail, Failure::new("columns_changed")),
        SinkError::SessionChanged(setting) => {
            (Disposition::Fail, with_setting(Failure::new("session_changed"), setting))
        }
        SinkError::Encode(error) => of_encode(error),
        SinkError::Limit { what, most } => {
            (Disposition::Fail, Failure::new("too_large").in_case(what).with("most", *most))
        }
        SinkError::SheetFull { most } => (Disposition::Fail, Failure::new("sheet_full").with("most", *most)),
        SinkError::Store(error) => classify_store(error),
        SinkError::Ledger(error) => of_ledger(error),
    }
}

fn of_encode(error: &EncodeError) -> (Disposition, Failure) {
    match error {
        EncodeError::Layout(error) => (Disposition::Fail, of_definition("query", error)),
        EncodeError::Decimal { .. } => (Disposition::Fail, of_definition("data", error)),
        EncodeError::DoesNotFit { format, place, expected, actual } => {
            let failure = Failure::new("does_not_fit").with("place", place.as_str()).with("format", *format);
            let failure = failure.with("expected", expected.as_str()).with("actual", actual.as_str());
            (Disposition::Fail, failure)
        }
        EncodeError::Compress(_) => (Disposition::Retry, for_operator("compression")),
        // The disk is no larger at the next attempt.
        EncodeError::Disk(error) if error.kind() == ErrorKind::StorageFull => {
            (Disposition::Fail, Failure::new("disk_full"))
        }
        EncodeError::Disk(_) => (Disposition::Retry, for_operator("disk")),
    }
}

fn classify_store(error: &StoreError) -> (Disposition, Failure) {
    let refused = || for_operator("storage").in_case("refused");
    match error {
        StoreError::Unavailable { .. }
        | StoreError::SizeMismatch { .. }
        | StoreError::ChecksumMismatch { .. } => (Disposition::Retry, Failure::new("storage")),
        // An earlier attempt may have completed its object after all. The next attempt removes it.
        StoreError::Exists { .. } => (Disposition::Retry, refused()),
        StoreError::Refused { .. } => (Disposition::Fail, refused()),
    }
}

/// Returns the failure of a definition that does not fit. Why is for the operator, in the words of the definition's own keys.
fn of_definition(case: &str, error: &dyn Error) -> Failure {
    for_operator("definition").in_case(case).with("reason", error.to_string())
}

fn with_setting(failure: Failure, setting: &ChangedSetting) -> Failure {
    let ChangedSetting { variable, expected, actual } = setting;
    let failure = failure.with("variable", variable.as_str());
    failure.with("expected", expected.as_str()).with("actual", actual.as_str())
}

/// Returns what an error and its causes say besides the message that is shown with them.
fn detail_beside(failure: &Failure, error: &dyn Error) -> Option<String> {
    let message = failure.words(Language::En).message.to_lowercase();
    let detail = join(words_of(error).filter(|words| !message.contains(&words.to_lowercase())));
    (!detail.is_empty()).then_some(detail)
}

/// Returns a failure whose cause only the operator can fix.
fn for_operator(code: &str) -> Failure {
    Failure { for_operator: true, ..Failure::new(code) }
}
