//! sqlx's errors, sorted once by what callers do about them.

use std::error::Error;

use downpipe_core::ledger::LedgerError;
use downpipe_core::source::SourceError;
use sqlx::mysql::MySqlDatabaseError;

use crate::connect::ConnectError;

// Error numbers: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
const TOO_MANY_CONNECTIONS: u16 = 1040;
const DATABASE_ACCESS_DENIED: u16 = 1044;
const ACCESS_DENIED: u16 = 1045;
const SERVER_SHUTDOWN: u16 = 1053;
const DISK_FULL: u16 = 1021;
const TABLE_FULL: u16 = 1114;
const DUPLICATE_ENTRY: u16 = 1062;
const NO_SUCH_TABLE: u16 = 1146;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
const QUERY_INTERRUPTED: u16 = 1317;
const ACCESS_DENIED_NO_PASSWORD: u16 = 1698;
const TABLE_CHANGED: u16 = 1412;
const NEEDS_REPREPARE: u16 = 1615;
const EXECUTION_TIME_EXCEEDED: u16 = 3024;
/// The same on MariaDB: <https://mariadb.com/kb/en/mariadb-error-codes/>
const STATEMENT_TIMEOUT: u16 = 1969;
const OFFLINE_MODE: u16 = 3032;
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
    let passing = [
        TOO_MANY_CONNECTIONS,
        SERVER_SHUTDOWN,
        DISK_FULL,
        TABLE_FULL,
        LOCK_WAIT_TIMEOUT,
        DEADLOCK,
        TABLE_CHANGED,
        NEEDS_REPREPARE,
        OFFLINE_MODE,
        SESSION_KILLED,
    ];
    passing.contains(&number)
}

/// What may be logged of an error. The server's own words can quote accounts, addresses and data; its number cannot.
fn without_words(error: sqlx::Error) -> Box<dyn Error + Send + Sync> {
    match number(&error) {
        Some(NO_SUCH_TABLE) => {
            "a table is missing (MySQL error 1146); `downpipe migrate` creates the ledger's".into()
        }
        Some(number) => format!("MySQL error {number}").into(),
        None => Box::new(error),
    }
}

/// An error while a query was read.
pub(crate) fn of_query(error: sqlx::Error) -> SourceError {
    match number(&error) {
        Some(EXECUTION_TIME_EXCEEDED | STATEMENT_TIMEOUT) => SourceError::TimedOut,
        Some(QUERY_INTERRUPTED) => SourceError::Killed,
        Some(number) if is_passing(number) => SourceError::Disconnected(without_words(error)),
        Some(code) => SourceError::QueryFailed { code, message: error.to_string() },
        None => match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => SourceError::Disconnected(Box::new(error)),
            // sqlx 0.9 reads the types of MySQL 8; of a VECTOR, which is 0xf2, it knows nothing, not even how to skip it.
            sqlx::Error::Protocol(words) if words.contains("unknown column type") => {
                SourceError::UnknownType(words)
            }
            error => SourceError::QueryFailed { code: 0, message: error.to_string() },
        },
    }
}

impl From<ConnectError> for SourceError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Login(error) => error.into(),
            ConnectError::Untrusted(reason) => Self::Untrusted(reason.into()),
            ConnectError::Refused(error) => Self::LoginRefused(without_words(error)),
            ConnectError::Unreachable(error) => Self::Disconnected(without_words(error)),
        }
    }
}

/// Whether a row was not inserted because one of the same key is there.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(DUPLICATE_ENTRY)
}

/// An error while the ledger was read or written.
pub(crate) fn of_ledger(error: sqlx::Error) -> LedgerError {
    match number(&error) {
        Some(number) if !is_passing(number) => LedgerError::Failed(without_words(error)),
        _ => LedgerError::Unavailable(without_words(error)),
    }
}

impl From<ConnectError> for LedgerError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Login(error) => Self::Unavailable(Box::new(error)),
            ConnectError::Untrusted(_) => Self::Failed(Box::new(error)),
            ConnectError::Refused(error) | ConnectError::Unreachable(error) => {
                Self::Unavailable(without_words(error))
            }
        }
    }
}
