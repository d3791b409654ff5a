//! The proof that a result was read to its end, and that nothing in it was cut.

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::Session as Settings;
use downpipe_core::source::SourceError;
use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Either, Row as _};

use super::session;
use crate::connection::error::of_query;
use crate::connection::timeouts::ROUND_TRIP_TIMEOUT;

/// Warnings of rows or values that were cut or lost for want of room. Other warnings are SQL's own answers (a division by zero, a
/// text that is no number), and the same for every client.
const CUTS: [u64; 5] = [
    UNZIPPED_TOO_LONG,
    UNZIP_OUT_OF_MEMORY,
    CUT_BY_GROUP_CONCAT,
    LONGER_THAN_A_PACKET,
    LIMIT_OF_ROWS_EXAMINED,
];

/// A value is `NULL` because it is too long for a packet once it is unpacked.
const UNZIPPED_TOO_LONG: u64 = 1256;
/// A value is `NULL` because there was no memory to unpack it.
const UNZIP_OUT_OF_MEMORY: u64 = 1257;
/// A value was cut at `group_concat_max_len`.
const CUT_BY_GROUP_CONCAT: u64 = 1260;
/// A value is `NULL` or cut because it is too long for a packet.
const LONGER_THAN_A_PACKET: u64 = 1301;
/// MariaDB ended the query at `LIMIT ROWS EXAMINED` or at `max_recursive_iterations`.
const LIMIT_OF_ROWS_EXAMINED: u64 = 1931;

/// The columns of the sentinel before the session's settings.
const NONCE: usize = 0;
const FOUND_ROWS: usize = 1;
const WARNINGS: usize = 2;
const SETTINGS: usize = 3;

/// Proves that the result was read to its end, and returns the session's settings as they are then.
///
/// The connection must answer a question with a nonce in it; the server must have sent as many rows as were read; no warning may
/// say that a value was cut; and no warning may have gone unseen.
///
/// A driver can be wrong about where a result ends. In the text protocol, sqlx 0.9 takes a row that begins with a value of 16 MiB
/// or more for the end: it reports success and leaves the rest on the wire. The binary protocol, which Downpipe reads, has no
/// such trap that is known; this finds unknown ones.
///
/// # Errors
/// [`SourceError::Short`] when the end was not reached, [`SourceError::QueryFailed`] with the warning's number when a value was
/// cut, [`SourceError::UnseenWarnings`] when the server kept fewer warnings than it counted.
pub async fn verify_end(connection: &mut MySqlConnection, rows: u64) -> Result<Settings, SourceError> {
    let nonce = format!("{:016x}", fastrand::u64(..));
    let asked = ask(connection, question(&nonce));
    let asked = tokio::time::timeout(ROUND_TRIP_TIMEOUT, asked).await;
    let (listed, answer) = asked.unwrap_or_else(|_| Err(short("the connection does not answer")))?;
    let text = |column| answer.as_ref().and_then(|row| row.try_get_unchecked::<&str, _>(column).ok());
    if text(NONCE) != Some(&nonce) {
        return Err(short("the connection did not answer the question that it was asked"));
    }
    let number = |column| text(column).and_then(|text| text.parse::<u64>().ok());
    match number(FOUND_ROWS) {
        Some(counted) if counted == rows => {}
        counted => return Err(short(&format!("the server sent {counted:?} rows, {rows} were read"))),
    }
    match number(WARNINGS) {
        Some(counted) if counted <= listed => {}
        Some(counted) => return Err(SourceError::UnseenWarnings { counted, listed }),
        None => return Err(short("the server does not count its warnings")),
    }
    answer.map_or_else(|| Ok(Settings::default()), |row| session::read_settings(&row, SETTINGS))
}

/// Builds the question: one round trip in the text protocol, because preparing a statement could change what `FOUND_ROWS()` counts.
///
/// The warnings come first, because any other statement clears them. Their number goes into a variable. Selected by itself, it
/// would be a result for `FOUND_ROWS()` to count; beside `FOUND_ROWS()`, which brings a warning of its own, it would be 1.
fn question(nonce: &str) -> String {
    let select = format!("SELECT '{nonce}', CAST(FOUND_ROWS() AS CHAR), CAST(@downpipe_warnings AS CHAR)");
    let sentinel = session::settings(&select);
    format!("SHOW WARNINGS; SET @downpipe_warnings = @@warning_count; {sentinel}")
}

/// Returns the number of warnings, none of them a [cut](CUTS), and the sentinel's answer.
async fn ask(
    connection: &mut MySqlConnection,
    question: String,
) -> Result<(u64, Option<MySqlRow>), SourceError> {
    let mut steps = sqlx::raw_sql(AssertSqlSafe(question)).fetch_many(connection);
    let (mut listed, mut answer) = (0, None);
    let mut are_warnings = true;
    while let Some(step) = steps.try_next().await.map_err(of_end)? {
        match step {
            Either::Left(_) => are_warnings = false,
            Either::Right(row) if are_warnings => {
                check_warning(&row)?;
                listed += 1;
            }
            Either::Right(row) => answer = Some(row),
        }
    }
    Ok((listed, answer))
}

fn check_warning(warning: &MySqlRow) -> Result<(), SourceError> {
    let code: u64 = warning.try_get("Code").map_err(of_end)?;
    if !CUTS.contains(&code) {
        return Ok(());
    }
    let message = warning.try_get("Message").map_err(of_end)?;
    Err(SourceError::QueryFailed { code: u16::try_from(code).unwrap_or_default(), message })
}

/// Classifies an error of the question. Unless the connection broke, the rest of the result got in the way.
fn of_end(error: sqlx::Error) -> SourceError {
    match of_query(error) {
        error @ SourceError::Disconnected(_) => error,
        error => short(&error_chain(&error)),
    }
}

fn short(reason: &str) -> SourceError {
    SourceError::Short(reason.to_owned())
}
