//! sqlx's errors, sorted once by what callers do about them.

use downpipe_core::ledger::LedgerError;
use downpipe_core::source::SourceError;
use sqlx::mysql::MySqlDatabaseError;

use crate::connect::ConnectError;

// Error numbers: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
const TOO_MANY_CONNECTIONS: u16 = 1040;
const DATABASE_ACCESS_DENIED: u16 = 1044;
const ACCESS_DENIED: u16 = 1045;
const SERVER_SHUTDOWN: u16 = 1053;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
const QUERY_INTERRUPTED: u16 = 1317;
const ACCESS_DENIED_NO_PASSWORD: u16 = 1698;
const EXECUTION_TIME_EXCEEDED: u16 = 3024;
const ACCOUNT_LOCKED: u16 = 3118;
const SESSION_KILLED: u16 = 3169;

/// The server's error number, if the error is the server's.
fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

pub(crate) fn is_login_refused(error: &sqlx::Error) -> bool {
    let refusals = [ACCESS_DENIED, DATABASE_ACCESS_DENIED, ACCESS_DENIED_NO_PASSWORD, ACCOUNT_LOCKED];
    number(error).is_some_and(|number| refusals.contains(&number))
}

/// Whether the server itself is in trouble, rather than the statement.
fn is_passing(number: u16) -> bool {
    [TOO_MANY_CONNECTIONS, SERVER_SHUTDOWN, LOCK_WAIT_TIMEOUT, DEADLOCK, SESSION_KILLED].contains(&number)
}

/// An error while a query was read.
pub(crate) fn of_query(error: sqlx::Error) -> SourceError {
    match number(&error) {
        Some(EXECUTION_TIME_EXCEEDED) => SourceError::TimedOut,
        Some(QUERY_INTERRUPTED) => SourceError::Killed,
        Some(number) if is_passing(number) => SourceError::Disconnected(Box::new(error)),
        Some(code) => SourceError::QueryFailed { code, message: error.to_string() },
        None => match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => SourceError::Disconnected(Box::new(error)),
            error => SourceError::QueryFailed { code: 0, message: error.to_string() },
        },
    }
}

impl From<ConnectError> for SourceError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Login(error) => error.into(),
            ConnectError::Refused(error) => Self::LoginRefused(Box::new(error)),
            ConnectError::Unreachable(error) => Self::Disconnected(Box::new(error)),
        }
    }
}

/// An error while the ledger was read or written.
pub(crate) fn of_ledger(error: sqlx::Error) -> LedgerError {
    match number(&error) {
        Some(number) if !is_passing(number) => LedgerError::Failed(Box::new(error)),
        _ => LedgerError::Unavailable(Box::new(error)),
    }
}

impl From<ConnectError> for LedgerError {
    fn from(error: ConnectError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
