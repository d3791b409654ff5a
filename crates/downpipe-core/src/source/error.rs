//! Why a query gave no complete result.

use std::error::Error;

use downpipe_format::EncodeError;

use super::value_fault::ValueFault;
use crate::catalog::QuoteMode;
use crate::job::{ChangedSetting, KeyError};
use crate::ledger::LedgerError;
use crate::login::LoginError;
use crate::message::Rejection;
use crate::store::StoreError;

/// Why a sink takes no more rows.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The rows do not fit the definition's columns or this format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A limit is exceeded.
    #[error("more than {most} {what}")]
    Limit {
        /// `rows` or `bytes`.
        what: &'static str,
        /// The most that is allowed.
        most: u64,
    },
    /// A sheet is full, and the store takes one file only.
    #[error("more than {most} rows, which is all that a sheet takes")]
    SheetFull {
        /// The rows that it takes.
        most: u64,
    },
    /// The query has no such column.
    #[error("resume.column: expected a column of the query, got {column:?}")]
    NoResumeColumn {
        /// The column that `[resume]` names.
        column: String,
    },
    /// The resume column has instants on a clock that has been changed: `:after` could mean two of them, and rows in between
    /// would be lost.
    #[error(
        "resume.column: expected a column that is no TIMESTAMP, because the clocks of {zone} have been changed and the same \
         local time can be two instants, got {column:?}. Set time_zone = \"UTC\", or resume by UNIX_TIMESTAMP({column})"
    )]
    NotOneInstant {
        /// The column that `[resume]` names.
        column: String,
        /// The definition's time zone.
        zone: String,
    },
    /// No run could resume after the resume key of a row.
    #[error("row {row}, resume column {column:?}: {reason}")]
    Key {
        /// The row, from 1, the header not counted.
        row: u64,
        /// The column that `[resume]` names.
        column: String,
        /// Why not.
        reason: KeyError,
    },
    /// The columns are not those with which an earlier run began the file.
    #[error("the columns have changed since the file was begun: expected {expected:?}, got {actual:?}")]
    ColumnsChanged {
        /// The headings of the file.
        expected: Vec<String>,
        /// The headings of the query now.
        actual: Vec<String>,
    },
    /// A setting of the database is not that with which an earlier run began the file. Otherwise the file's halves could differ in
    /// meaning.
    #[error("the database's settings have changed since the file was begun: {0}")]
    SessionChanged(ChangedSetting),
    /// The upload failed.
    #[error("the file could not be stored")]
    Store(#[from] StoreError),
    /// The ledger failed, or another worker has the job.
    #[error("the job could not be recorded")]
    Ledger(#[from] LedgerError),
}

/// Why a query gave no complete result.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database could not be reached, or the connection broke. A retry may succeed.
    #[error("the database could not be reached, or the connection to it broke")]
    Disconnected(#[source] Box<dyn Error + Send + Sync>),
    /// The database's certificate is wrong or missing. Nothing was sent to it.
    #[error("the database did not prove that it is the right one")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    /// The database refused the login.
    #[error("the database refused the login")]
    LoginRefused(#[source] Box<dyn Error + Send + Sync>),
    /// The database refused the query, and a retry will not help.
    #[error("the database reported error {code}")]
    QueryFailed {
        /// MySQL's error number; 0 for an error that the driver found.
        code: u16,
        /// Its message, which may quote the data.
        message: String,
    },
    /// The server refused a value that was bound to the query.
    #[error("the database reported error {code} about a value")]
    ValueRefused {
        /// The fault of the value.
        fault: ValueFault,
        /// MySQL's error number.
        code: u16,
        /// Its message, which may quote the value.
        message: String,
    },
    /// A parameter has a value that the query cannot work with.
    #[error("{rejection}")]
    ParamRefused {
        /// The parameters that may be at fault, and what was expected.
        rejection: Rejection,
        /// MySQL's error number and message.
        detail: String,
    },
    /// The server has too much load, or too few resources. A retry may succeed.
    #[error("the database cannot take it at the moment (error {code})")]
    Busy {
        /// MySQL's error number.
        code: u16,
    },
    /// Another session holds a lock on a table, and did not release it in time.
    #[error("a table is locked by another session: {detail}")]
    Locked {
        /// The session that holds it, as far as the server shows it.
        detail: String,
    },
    /// The statement returns no rows and has no columns.
    #[error("the statement returns no columns")]
    NoColumns,
    /// The server would read the quotes in the SQL otherwise than the definition means them.
    #[error(
        "sql: the server's sql_mode has {actual}, and with that the quotes in the SQL end elsewhere; its definition must say which mode it is written for (sql_mode)"
    )]
    SqlMode {
        /// The mode of the session.
        actual: QuoteMode,
    },
    /// A column has a type that the driver does not know.
    #[error("a column has a type that cannot be read: {0}")]
    UnknownType(String),
    /// The deadline or the database's time limit was reached.
    #[error("the query did not end in time")]
    TimedOut,
    /// The deadline was reached after the definition's throttle had held the query back.
    #[error("the query did not end in time; {key} held it back for {seconds} s")]
    HeldBack {
        /// The key of the definition that held it back the longest: `throttle.rows_per_second`.
        key: &'static str,
        /// The seconds for which it did.
        seconds: u64,
    },
    /// The definition limits the server's load, and the load cannot be read.
    #[error("{key} cannot be kept: {reason}")]
    LoadUnknown {
        /// The key of the definition: `throttle.max_replica_lag`.
        key: &'static str,
        /// Why, and what would help.
        reason: &'static str,
    },
    /// The server cannot evaluate the query in the definition's time zone as the zone's rules are known here.
    #[error("time_zone: {reason}")]
    TimeZone {
        /// Why, and what would help.
        reason: String,
    },
    /// The query was cancelled by its worker.
    #[error("the query was stopped on request")]
    Stopped,
    /// An administrator of the database killed the query.
    #[error("the query was stopped in the database")]
    Killed,
    /// The result was cut short. It is never taken for a small result.
    #[error("the result ended early: {0}")]
    Short(String),
    /// A setting of the session that decides which rows or values come is wrong.
    #[error("the database's session is not as it must be: {0}")]
    Session(ChangedSetting),
    /// The server kept fewer warnings than it counted. One that was not kept could be about a value that it cut.
    #[error("the server counted {counted} warnings of the query, and kept {listed} of them")]
    UnseenWarnings {
        /// The warnings that it counted.
        counted: u64,
        /// The warnings that it listed.
        listed: u64,
    },
    /// The sink failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl From<LoginError> for SourceError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Unavailable(_) => Self::Disconnected(Box::new(error)),
            LoginError::Invalid(_) => Self::LoginRefused(Box::new(error)),
        }
    }
}
