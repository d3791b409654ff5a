//! Turns sqlx's errors into those of the ports, by what callers do about them.
//!
//! [`server_errors`](super::server_errors) says what the server's error numbers mean.

use std::borrow::Cow;
use std::error::Error;

use downpipe_core::ledger::LedgerError;
use downpipe_core::login::LoginError;
use downpipe_core::source::SourceError;
use sqlx::mysql::MySqlDatabaseError;

use super::server_errors::{Meaning, meaning};

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no login to connect with.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server did not prove its identity. It was sent no login.
    #[error("the database did not prove that it is the right one: {0}")]
    Untrusted(Cow<'static, str>),
    /// The server refused the login.
    #[error("the database refused the login")]
    Refused(#[source] sqlx::Error),
    /// The server could not be reached, or the connection broke.
    #[error("the database could not be reached")]
    Unreachable(#[source] sqlx::Error),
}

const DUPLICATE_ENTRY: u16 = 1062;
/// `ER_LOCK_DEADLOCK`.
const DEADLOCK: u16 = 1213;
/// A column that must have a value is given none.
const NULL_REFUSED: u16 = 1048;
const UNKNOWN_COLUMN: u16 = 1054;
const NO_SUCH_TABLE: u16 = 1146;

/// `ER_TABLE_DEF_CHANGED`: the snapshot is older than the table.
pub(crate) const TABLE_CHANGED: u16 = 1412;

/// Returns the server's error, if it is one.
fn server_error(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()
}

fn number(error: &sqlx::Error) -> Option<u16> {
    server_error(error).map(MySqlDatabaseError::number)
}

/// Returns the number of the server's error, and what it means.
fn meaning_of(error: &sqlx::Error) -> Option<(u16, Meaning)> {
    let error = server_error(error)?;
    Some((error.number(), meaning(error.number(), error.message())))
}

/// Returns whether the server refused the login.
pub(crate) fn is_login_refused(error: &sqlx::Error) -> bool {
    matches!(meaning_of(error), Some((_, Meaning::LoginRefused)))
}

/// Returns what may be logged of an error. The server's message can quote accounts, addresses and data; its number cannot.
fn redact(error: sqlx::Error) -> Box<dyn Error + Send + Sync> {
    match meaning_of(&error) {
        Some((NO_SUCH_TABLE, _)) => {
            "a table is missing (MySQL error 1146); `downpipe migrate` creates the ledger's".into()
        }
        Some((number, Meaning::ReadOnly)) => format!(
            "this is a read-only server (MySQL error {number}); the ledger needs the one that takes writes"
        )
        .into(),
        Some((number, _)) => format!("MySQL error {number}").into(),
        None => Box::new(error),
    }
}

/// Classifies an error of a statement that was prepared, or that ran with no value bound to it.
pub(crate) fn of_query(error: sqlx::Error) -> SourceError {
    match of_bound_query(error) {
        SourceError::ValueRefused { code, message, .. } => SourceError::QueryFailed { code, message },
        error => error,
    }
}

/// Classifies an error of a query that ran with values bound to it.
pub(crate) fn of_bound_query(error: sqlx::Error) -> SourceError {
    match meaning_of(&error) {
        Some((_, Meaning::TimedOut)) => SourceError::TimedOut,
        Some((_, Meaning::Killed)) => SourceError::Killed,
        Some((_, Meaning::Disconnected)) => SourceError::Disconnected(redact(error)),
        Some((code, Meaning::Busy)) => SourceError::Busy { code },
        Some((code, Meaning::Locked)) => SourceError::Locked { detail: format!("MySQL error {code}") },
        Some((code, Meaning::Value(fault))) => {
            SourceError::ValueRefused { fault, code, message: error.to_string() }
        }
        Some((code, Meaning::ReadOnly)) => {
            SourceError::QueryFailed { code, message: format!("the server is read-only: {error}") }
        }
        // Once the login was accepted, a missing privilege on a database is a fault of the statement.
        Some((code, Meaning::LoginRefused | Meaning::Statement)) => {
            SourceError::QueryFailed { code, message: error.to_string() }
        }
        None => match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => SourceError::Disconnected(Box::new(error)),
            // sqlx 0.9 reads the types of MySQL 8. It can neither read nor skip a VECTOR (0xf2).
            sqlx::Error::Protocol(message) if message.contains("unknown column type") => {
                SourceError::UnknownType(message)
            }
            error => SourceError::QueryFailed { code: 0, message: error.to_string() },
        },
    }
}

impl From<ConnectError> for SourceError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Login(error) => error.into(),
            ConnectError::Untrusted(reason) => Self::Untrusted(reason.into_owned().into()),
            ConnectError::Refused(error) => Self::LoginRefused(redact(error)),
            ConnectError::Unreachable(error) => match meaning_of(&error) {
                Some((code, Meaning::Busy)) => Self::Busy { code },
                _ => Self::Disconnected(redact(error)),
            },
        }
    }
}

/// Returns whether the snapshot is older than a table that the query reads.
pub(crate) fn is_table_changed(error: &sqlx::Error) -> bool {
    number(error) == Some(TABLE_CHANGED)
}

/// Returns whether a table lacks a column that a statement names.
pub(crate) fn is_unknown_column(error: &sqlx::Error) -> bool {
    number(error) == Some(UNKNOWN_COLUMN)
}

/// Returns whether the server refused a row because a column that must have a value has none.
pub(crate) fn is_null_refused(error: &sqlx::Error) -> bool {
    number(error) == Some(NULL_REFUSED)
}

/// Returns whether a row was not inserted because another one has its key.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(DUPLICATE_ENTRY)
}

/// Returns whether the server rolled a statement back because it and another one waited for each other. It can be run again at once.
pub(crate) fn is_deadlock(error: &sqlx::Error) -> bool {
    number(error) == Some(DEADLOCK)
}

/// Returns whether the server is read-only and refused a write.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    matches!(meaning_of(error), Some((_, Meaning::ReadOnly)))
}

/// Classifies an error of reading or writing the ledger. A read-only server is what a fail-over leaves behind for a while.
pub(crate) fn of_ledger(error: sqlx::Error) -> LedgerError {
    match meaning_of(&error) {
        None | Some((_, Meaning::Disconnected | Meaning::Busy | Meaning::Locked | Meaning::ReadOnly)) => {
            LedgerError::Unavailable(redact(error))
        }
        Some(_) => LedgerError::Failed(redact(error)),
    }
}

impl From<ConnectError> for LedgerError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Login(error) => Self::Unavailable(Box::new(error)),
            ConnectError::Untrusted(_) => Self::Failed(Box::new(error)),
            ConnectError::Refused(error) | ConnectError::Unreachable(error) => {
                Self::Unavailable(redact(error))
            }
        }
    }
}
